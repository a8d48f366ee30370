//! Map values and keys: read-only maps and their known contents, special fields that plain loads and stores may not touch, kptrs.

use crate::env::Verifier;
use crate::maps::Field;
use crate::mem::{Access, Request};
use crate::reg::{BtfId, Ext, Flags, Kind, MapId, Reg, RegType};
use crate::reject::errno::ENOTSUPP;
use crate::reject::{R, Reject};
use isa::consts::*;
use spec::MapType;
use spec::map::FieldKind;

/// Kernel types whose objects stay readable in an RCU section after the pointer was taken out of a map.
const RCU_PROTECTED: [&str; 5] = ["prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"];

fn is_pointer_field(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::KptrUnref | FieldKind::KptrRef | FieldKind::KptrPercpu | FieldKind::Uptr)
}

impl Verifier<'_> {
    pub(super) fn map_key_access(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        if q.access.writes() {
            return Err(Reject::WritesKey { reg: q.base });
        }
        let size = reg.map().map_or(0, |m| self.map(m).def.key_size);
        self.check_region(q.base, off, q.size, size, false)?;
        self.load_unknown(q);
        Ok(())
    }

    pub(super) fn map_value_access(&mut self, q: &Request, reg: &Reg, off: i32) -> R {
        self.check_leak(q, "map")?;
        let Some(map) = reg.map() else { return Err(Reject::bug("map value without map")) };
        self.check_map_flags(map, off, q.size, q.access)?;
        self.check_map_access(q.base, off, q.size, false)?;
        let at = reg.val.var_off.is_const().then(|| i64::from(off) + reg.val.var_off.value as i64);
        if let Some(at) = at {
            let field =
                self.map(map).record.fields.iter().find(|f| i64::from(f.offset) == at && is_pointer_field(f.kind));
            if let Some(field) = field.cloned() {
                return self.kptr_access(q, reg, &field);
            }
        }
        if q.access == Access::Read && q.value.is_some() {
            if let Some(at) = at
                && let Some(v) = self.known_value(map, at as u64, q)?
            {
                if let Some(dst) = q.value {
                    self.mark_known(dst, v);
                }
                return Ok(());
            }
            self.load_unknown(q);
        }
        Ok(())
    }

    /// What a frozen read-only map holds.
    fn known_value(&self, map: MapId, at: u64, q: &Request) -> R<Option<u64>> {
        let m = self.map(map);
        if !m.is_constant() || m.ty != Some(MapType::Array) {
            return Ok(None);
        }
        if m.def.max_entries != 1 {
            return Err(Reject::Silent { errno: ENOTSUPP });
        }
        Ok(Some(m.constant(at, q.size, q.sign_extend)))
    }

    pub fn check_map_flags(&self, map: MapId, off: i32, size: u32, access: Access) -> R {
        let m = self.map(map);
        let value = m.def.value_size;
        match access {
            Access::Write if m.rdonly_prog() => Err(Reject::ValueWriteForbidden { value, off, size }),
            Access::Read if m.wronly_prog() => Err(Reject::ValueReadForbidden { value, off, size }),
            _ => Ok(()),
        }
    }

    /// Bounds and special fields, for an instruction.
    pub fn check_map_access(&mut self, regno: u8, off: i32, size: u32, zero_allowed: bool) -> R {
        self.check_value_access(regno, off, size, zero_allowed, false)
    }

    /// The same; helpers may not touch pointer fields at all.
    pub(crate) fn check_value_access(&mut self, regno: u8, off: i32, size: u32, zero_allowed: bool, helper: bool) -> R {
        let reg = self.reg(regno);
        let Some(map) = reg.map() else { return Err(Reject::bug("map value without map")) };
        let value_size = self.map(map).def.value_size;
        self.check_region(regno, off, size, value_size, zero_allowed)?;
        let from = reg.val.smin + i64::from(off);
        let to = reg.val.umax as i64 + i64::from(off) + i64::from(size);
        for f in &self.map(map).record.fields {
            let (start, end) = (i64::from(f.offset), i64::from(f.offset + f.size));
            if from >= end || start >= to {
                continue;
            }
            let what = crate::call::field_name(f.kind);
            if !is_pointer_field(f.kind) {
                return Err(Reject::FieldDirectAccess { what });
            }
            if helper {
                return Err(Reject::KptrByHelper { what });
            }
            if !reg.val.var_off.is_const() {
                return Err(Reject::KptrVariable { what });
            }
            let at = i64::from(off) + reg.val.var_off.value as i64;
            if at != start {
                return Err(Reject::KptrMisaligned { what, expected: f.offset, off: at });
            }
            if size != 8 {
                return Err(Reject::KptrSize { what });
            }
        }
        Ok(())
    }

    /// An instruction exactly on a kptr or uptr field.
    fn kptr_access(&mut self, q: &Request, reg: &Reg, field: &Field) -> R {
        let insn = self.insns[self.insn_idx as usize];
        if mode(insn.code) != BPF_MEM {
            return Err(Reject::KptrMode);
        }
        let load = class(insn.code) == BPF_LDX;
        if !load {
            match field.kind {
                FieldKind::KptrRef | FieldKind::KptrPercpu => return Err(Reject::KptrStore),
                FieldKind::Uptr => return Err(Reject::UptrStore),
                _ => {}
            }
        }
        let Some(slot) = self.kptr_field(reg, field) else { return Err(Reject::bug("kptr without type")) };
        match class(insn.code) {
            BPF_LDX if field.kind == FieldKind::Uptr => {
                let size = self.btf(slot.btf).and_then(|b| b.resolve_size(slot.type_id)).unwrap_or(0);
                let id = self.new_id();
                let ty = RegType::of(Kind::Mem).with(Flags::MAYBE_NULL);
                self.load_reg(q, Reg { id, ext: Ext::Mem { size, dynptr_id: 0 }, ..Reg::pointer(ty) });
            }
            BPF_LDX => {
                let flags = self.loaded_kptr_flags(&slot, field.kind);
                let id = self.new_id();
                let ty = RegType::of(Kind::Btf).with(flags | Flags::MAYBE_NULL);
                let ext = Ext::Btf { btf: slot.btf, id: slot.type_id };
                self.load_reg(q, Reg { id, ext, ..Reg::pointer(ty) });
            }
            BPF_STX => {
                let value = self.reg(insn.src);
                if !value.is_null() {
                    self.check_kptr_value(insn.src, &value, &slot)?;
                }
            }
            _ => {
                if insn.imm != 0 {
                    return Err(Reject::KptrStImm { off: field.offset });
                }
            }
        }
        Ok(())
    }

    fn loaded_kptr_flags(&self, slot: &crate::call::KptrField, kind: FieldKind) -> Flags {
        let local = slot.btf != BtfId::KERNEL;
        let name = self.btf_type_name(slot.btf, slot.type_id);
        let protected =
            kind == FieldKind::KptrPercpu || (kind == FieldKind::KptrRef && (local || RCU_PROTECTED.contains(&name)));
        if !protected || !self.cur.in_rcu_section() {
            return Flags::UNTRUSTED;
        }
        let mut flags = Flags::RCU;
        if kind == FieldKind::KptrPercpu {
            flags = flags | Flags::PERCPU;
        } else if local {
            flags = flags | Flags::ALLOC;
            let graph = self
                .struct_record(slot.btf, slot.type_id)
                .is_some_and(|r| r.find(FieldKind::ListNode).is_some() || r.find(FieldKind::RbNode).is_some());
            if graph {
                flags = flags | Flags::NON_OWNING;
            }
        }
        flags
    }
}
