//! Saved interrupt flags: one stack slot each, restored in the reverse order of saving, by kfuncs of the same family.

use super::KfuncCall;
use crate::call::dynptr::Place;
use crate::env::Verifier;
use crate::mem::Access;
use crate::reg::{Ext, IrqClass, Kind, Reg, RegType};
use crate::reject::{R, Reject};
use crate::stack::{Byte, Slot};
use crate::state::{LockObj, RefKind};

const fn class_name(class: IrqClass) -> &'static str {
    match class {
        IrqClass::Native => "native",
        IrqClass::Lock => "lock",
    }
}

impl Verifier<'_> {
    pub(super) fn check_irq_flag(&mut self, i: usize, call: &KfuncCall) -> R {
        let reg = self.reg(i as u8 + 1);
        if !reg.ty.is(Kind::Stack) {
            return Err(Reject::IrqPointer { arg: i });
        }
        match call.name.as_str() {
            "bpf_local_irq_save" => self.save_irq(i, &reg, IrqClass::Native),
            "bpf_res_spin_lock_irqsave" => self.save_irq(i, &reg, IrqClass::Lock),
            "bpf_local_irq_restore" => self.restore_irq(i, &reg, IrqClass::Native),
            "bpf_res_spin_unlock_irqrestore" => self.restore_irq(i, &reg, IrqClass::Lock),
            _ => Err(Reject::unsupported(format!("kfunc {}", call.name))),
        }
    }

    fn save_irq(&mut self, i: usize, reg: &Reg, class: IrqClass) -> R {
        let free = match self.object_place(reg, "irq_flag", 1) {
            Ok(None) => true,
            Ok(Some(p)) => !self.cur.frames[p.frame].stack[p.slot].bytes.contains(&Byte::Irq),
            Err(r) => {
                self.note(&r);
                false
            }
        };
        if !free {
            return Err(Reject::IrqNotUninit { arg: i });
        }
        self.check_mem_access(i as u8 + 1, 0, 8, Access::Write, None, false, false)?;
        let Ok(Some(Place { frame, slot })) = self.object_place(reg, "irq_flag", 1) else {
            return Err(Reject::bug("irq flag without stack"));
        };
        let id = self.new_id();
        self.push_ref(RefKind::Irq, id, LockObj::None);
        self.cur.active_irq_id = id;
        let mut image = Reg::pointer(RegType::of(Kind::Stack));
        image.ref_obj_id = id;
        image.ext = Ext::Irq(class);
        self.cur.frames[frame].stack[slot] = Slot { bytes: [Byte::Irq; 8], reg: image };
        self.live_write(frame, slot);
        self.log.scratch_slot(slot);
        Ok(())
    }

    fn restore_irq(&mut self, i: usize, reg: &Reg, class: IrqClass) -> R {
        let place = match self.object_place(reg, "irq_flag", 1) {
            Ok(place) => place,
            Err(r) => {
                self.note(&r);
                None
            }
        };
        let found = place.map(|p| (p, self.cur.frames[p.frame].stack[p.slot]));
        let Some((Place { frame, slot }, image)) =
            found.filter(|(_, s)| s.bytes == [Byte::Irq; 8] && s.reg.ref_obj_id != 0)
        else {
            return Err(Reject::IrqExpected { arg: i });
        };
        self.live_read(frame, slot);
        self.log.scratch_slot(slot);
        if image.reg.ext != Ext::Irq(class) {
            let saved = if class == IrqClass::Native { IrqClass::Lock } else { IrqClass::Native };
            return Err(Reject::IrqClassMix { saved: class_name(saved), restored: class_name(class) });
        }
        self.release_irq(image.reg.ref_obj_id)?;
        self.cur.frames[frame].stack[slot] = Slot::EMPTY;
        self.live_write(frame, slot);
        self.log.scratch_slot(slot);
        Ok(())
    }

    fn release_irq(&mut self, id: u32) -> R {
        let active = self.cur.active_irq_id;
        if id != active {
            let insn = self.cur.refs.iter().find(|r| r.kind == RefKind::Irq && r.id == active).map_or(0, |r| r.insn);
            return Err(Reject::IrqOrder { id: active, insn });
        }
        self.cur.refs.retain(|r| !(r.kind == RefKind::Irq && r.id == id));
        self.cur.active_irq_id = self.cur.refs.iter().rev().find(|r| r.kind == RefKind::Irq).map_or(0, |r| r.id);
        Ok(())
    }
}
