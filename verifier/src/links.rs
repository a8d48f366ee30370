//! Links between scalars: registers and spilled slots with one id hold the same number, or differ by known constants. Ids
//! given by moves, kept by additions, used when a branch teaches something about one of them.

use crate::alu::{alu_width, is_reg_form};
use crate::env::{InsnAux, Verifier};
use crate::reg::{ADD_CONST, ADD_CONST32, ADD_CONST64, Reg};
use crate::state::{FP, Linked, LinkedReg, State};
use crate::value::{Rules, Scalar, Width, alu};
use isa::Insn;

impl Reg {
    /// Forgets what the scalar is linked to.
    pub fn unlink(&mut self, rules: &Rules) {
        self.id = 0;
        if rules.clear_delta {
            self.off = 0;
        }
    }

    /// The scalar has a link that other registers may share.
    fn is_linked(&self) -> bool {
        self.is_scalar() && self.id != 0
    }
}

impl State {
    fn linked_reg(&self, at: LinkedReg) -> Option<&Reg> {
        let frame = self.frames.get(at.frame as usize)?;
        if at.is_slot { frame.stack.get(at.index as usize).map(|s| &s.reg) } else { frame.regs.get(at.index as usize) }
    }

    /// Every register and wholly spilled register with the id of `known` becomes like it.
    fn copy_to_id(&mut self, known: &Reg) {
        for frame in &mut self.frames {
            let slots = frame.stack.iter_mut().filter(|s| s.is_full_spill()).map(|s| &mut s.reg);
            for reg in frame.regs.iter_mut().chain(slots).filter(|r| r.is_scalar() && r.id == known.id) {
                *reg = *known;
            }
        }
    }

    fn linked_reg_mut(&mut self, at: LinkedReg) -> Option<&mut Reg> {
        let frame = self.frames.get_mut(at.frame as usize)?;
        if at.is_slot {
            frame.stack.get_mut(at.index as usize).map(|s| &mut s.reg)
        } else {
            frame.regs.get_mut(at.index as usize)
        }
    }
}

impl Verifier<'_> {
    /// Gives the source of a copy an id, so that the copy can share it. A source that is itself "base plus constant" leaves
    /// its base.
    pub fn ensure_id(&mut self, r: u8) {
        let mut reg = self.reg(r);
        self.ensure_reg_id(&mut reg);
        *self.reg_mut(r) = reg;
    }

    pub fn ensure_reg_id(&mut self, reg: &mut Reg) {
        if !reg.is_scalar() {
            return;
        }
        if reg.id & ADD_CONST != 0 {
            (reg.id, reg.off) = (0, 0);
        }
        if reg.id == 0 && (!reg.val.is_const() || !self.profile.changes.known_numbers_unlinked) {
            reg.id = self.new_id();
        }
    }

    /// What remains of dst's link after `dst op= src`; `before` is dst before the operation.
    pub(crate) fn link_after_alu(&mut self, insn: Insn, op: alu::Op, before: &Reg, src: &Reg) {
        let rules = self.rules;
        if !rules.wide_links {
            return self.link_after_add(insn, op, src);
        }
        let delta = if self.privs.bpf { wide_delta(insn, op, before, src) } else { None };
        let d = self.reg_mut(insn.dst);
        match delta.filter(|_| d.id != 0 && d.id & ADD_CONST == 0) {
            Some(delta) => {
                d.off = delta;
                d.id |= if alu_width(insn) == Width::W32 { ADD_CONST32 } else { ADD_CONST64 };
            }
            None => d.unlink(&rules),
        }
    }

    /// The same for kernels that keep links through 64-bit additions of positive constants only.
    fn link_after_add(&mut self, insn: Insn, op: alu::Op, src: &Reg) {
        // They read the source after the operation, which matters for `r += r`.
        let src = if is_reg_form(insn) { self.reg(insn.src) } else { *src };
        let bpf = self.privs.bpf && !self.rules.widths_apart;
        let d = self.reg_mut(insn.dst);
        let added = src.val.const_value().filter(|_| op == alu::Op::Add && alu_width(insn) == Width::W64);
        match added {
            Some(c) if bpf && d.id != 0 => match i32::try_from(c) {
                Ok(delta) if d.id & ADD_CONST == 0 => {
                    d.off = delta;
                    d.id |= ADD_CONST64;
                }
                _ => (d.id, d.off) = (0, 0),
            },
            _ => {
                d.id = 0;
                // A bitwise operation that yields a constant starts the register afresh.
                if matches!(op, alu::Op::And | alu::Op::Or | alu::Op::Xor) && d.is_const() && src.is_const() {
                    d.off = 0;
                }
            }
        }
    }

    // ---- at a conditional jump -----------------------------------------------------------------------------------------

    /// Everything linked to the operands of an undecided jump, in the current path. What no longer fits loses its link.
    pub(crate) fn collect_linked(&mut self, dst: u8, src: Option<u8>) -> Linked {
        let mut found = Linked::default();
        if self.rules.widths_apart {
            return found;
        }
        for r in src.into_iter().chain([dst]) {
            let reg = self.reg(r);
            if reg.is_linked() {
                self.collect_id(reg.base_id(), &mut found);
            }
        }
        found
    }

    fn collect_id(&mut self, id: u32, found: &mut Linked) {
        let rules = self.rules;
        for f in (0..self.cur.frames.len()).rev() {
            let at = if f == self.cur.cur() { self.insn_idx } else { self.cur.frame_insn(f) };
            let live = live_before(&self.aux, at, &rules);
            let frame = &mut self.cur.frames[f];
            for (i, reg) in frame.regs[..FP].iter_mut().enumerate() {
                if live & 1 << i != 0 {
                    add(found, reg, id, LinkedReg { frame: f as u8, index: i as u8, is_slot: false }, &rules);
                }
            }
            for (i, slot) in frame.stack.iter_mut().enumerate() {
                if slot.is_spill() {
                    add(found, &mut slot.reg, id, LinkedReg { frame: f as u8, index: i as u8, is_slot: true }, &rules);
                }
            }
        }
    }
}

/// Registers live before instruction `at`, as bits; all of them for kernels that do not ask.
fn live_before(aux: &[InsnAux], at: i32, rules: &Rules) -> u16 {
    if !rules.live_links {
        return u16::MAX;
    }
    usize::try_from(at).ok().and_then(|i| aux.get(i)).map_or(u16::MAX, |a| a.live_regs)
}

fn add(found: &mut Linked, reg: &mut Reg, id: u32, at: LinkedReg, rules: &Rules) {
    if reg.is_scalar() && reg.base_id() == id && !found.push(at) {
        reg.unlink(rules);
    }
}

/// The constant by which `dst op= src` moves dst away from its base, if the link can express it.
fn wide_delta(insn: Insn, op: alu::Op, before: &Reg, src: &Reg) -> Option<i32> {
    if is_reg_form(insn) && insn.src == insn.dst {
        return None;
    }
    let c = match alu_width(insn) {
        Width::W64 => i32::try_from(src.val.const_value()? as i64).ok()?,
        Width::W32 => {
            if !src.val.var_off.is_subreg_const() || before.val.umax > u32::MAX as u64 {
                return None;
            }
            src.val.var_off.value as i32
        }
    };
    match op {
        alu::Op::Add => Some(c),
        alu::Op::Sub => c.checked_neg(),
        _ => None,
    }
}

/// Carries what a branch taught about operand `r` over to everything linked to it.
pub(crate) fn propagate(state: &mut State, r: u8, linked: &Linked, rules: &Rules) {
    let known = state.frame().regs[r as usize];
    if !known.is_linked() {
        return;
    }
    if rules.widths_apart {
        return state.copy_to_id(&known);
    }
    let own = LinkedReg { frame: state.cur() as u8, index: r, is_slot: false };
    for at in linked.as_slice() {
        if *at == own {
            continue;
        }
        if let Some(reg) =
            state.linked_reg(*at).copied().filter(|reg| reg.is_scalar() && reg.base_id() == known.base_id())
            && let Some(next) = follow(&reg, &known, rules)
            && let Some(slot) = state.linked_reg_mut(*at)
        {
            *slot = next;
        }
    }
}

/// What a register linked to `known` becomes.
fn follow(reg: &Reg, known: &Reg, rules: &Rules) -> Option<Reg> {
    let mixed = reg.id & ADD_CONST != 0 && known.id & ADD_CONST != 0 && (reg.id ^ known.id) & ADD_CONST != 0;
    if rules.wide_links && mixed {
        return None;
    }
    if (reg.id | known.id) & ADD_CONST == 0 || reg.off == known.off {
        return Some(*known);
    }
    let mut next = Reg { id: reg.id, off: reg.off, ..*known };
    let delta =
        if rules.link_sync { reg.off as i64 - known.off as i64 } else { reg.off.wrapping_sub(known.off) as i64 };
    alu::add(&mut next.val, &Scalar::known(delta as u64), rules);
    if rules.link_sync {
        if (reg.id | known.id) & ADD_CONST32 != 0 {
            next.val.zext32();
        }
        next.val.sync(rules);
    }
    Some(next)
}
