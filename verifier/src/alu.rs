//! ALU and ALU64 instructions: form of the instruction, operands, moves, and which rule computes the result. Numbers are in
//! `value`, pointers in `ptr_arith`, links between scalars in `links`.

use crate::env::Verifier;
use crate::pass::form;
use crate::reg::{Kind, Reg, RegType};
use crate::reject::errno::EFAULT;
use crate::reject::{R, Reject};
use crate::value::{Rules, Scalar, Width, alu, early};
use isa::Insn;
use isa::consts::*;

impl Rules {
    pub fn of(profile: &spec::Profile) -> Rules {
        let p = &profile.changes;
        Rules {
            mul_bitwise: p.mul_bitwise,
            mul_signed: p.mul_signed_bounds,
            add_wraps: p.add_keeps_wrapped,
            neg_tracked: p.neg_tracked,
            cross_sign64: p.refine_across_sign64,
            three_rounds: p.deduce_thrice,
            eq_by_bits: p.equality_by_bits,
            single_member: p.tnum_single_member,
            cross_sign32: p.refine_across_sign32,
            lsh32_signed: p.lsh32_keeps_signed,
            end_tracked: p.bswap_tracked,
            fork: p.and_or_fork,
            wide_links: p.links_extended,
            link_sync: p.link_delta64,
            clear_delta: p.link_off_cleared,
            live_links: p.links_only_live,
            widths_apart: !p.widths_joined,
            low_bits: p.bounds_teach_low_bits,
            divide: p.division_tracked,
        }
    }
}

/// Operator as messages print it; signed division and modulo print as the unsigned ones.
pub fn operator(code: u8) -> &'static str {
    match code & 0xf0 {
        BPF_ADD => "+=",
        BPF_SUB => "-=",
        BPF_MUL => "*=",
        BPF_DIV => "/=",
        BPF_OR => "|=",
        BPF_AND => "&=",
        BPF_LSH => "<<=",
        BPF_RSH => ">>=",
        BPF_MOD => "%=",
        BPF_XOR => "^=",
        BPF_MOV => "=",
        _ => "s>>=",
    }
}

/// The operator whose result is tracked; `None` for division and modulo.
fn tracked(code: u8) -> Option<alu::Op> {
    Some(match code & 0xf0 {
        BPF_ADD => alu::Op::Add,
        BPF_SUB => alu::Op::Sub,
        BPF_MUL => alu::Op::Mul,
        BPF_OR => alu::Op::Or,
        BPF_AND => alu::Op::And,
        BPF_LSH => alu::Op::Lsh,
        BPF_RSH => alu::Op::Rsh,
        BPF_XOR => alu::Op::Xor,
        BPF_ARSH => alu::Op::Arsh,
        _ => return None,
    })
}

pub fn is_reg_form(insn: Insn) -> bool {
    insn.code & BPF_X != 0
}

pub fn alu_width(insn: Insn) -> Width {
    if insn.code & 7 == BPF_ALU64 { Width::W64 } else { Width::W32 }
}

impl Verifier<'_> {
    /// One ALU or ALU64 instruction.
    pub fn check_alu(&mut self, insn: Insn) -> R {
        form::fields(insn)?;
        match insn.code & 0xf0 {
            BPF_NEG | BPF_END => self.check_unary(insn)?,
            BPF_MOV => self.check_mov(insn)?,
            _ => self.check_binary(insn)?,
        }
        self.check_reg_invariants(insn.dst, "alu")
    }

    fn check_unary(&mut self, insn: Insn) -> R {
        self.check_reg_read(insn.dst)?;
        if self.is_pointer(insn.dst) && !self.privs.ptr_leaks {
            return Err(Reject::PointerArithmetic { reg: insn.dst });
        }
        self.check_reg_write(insn.dst)?;
        if !self.reg(insn.dst).is_scalar() {
            self.mark_unknown(insn.dst);
            return Ok(());
        }
        let rules = self.rules;
        if insn.code & 0xf0 == BPF_NEG && rules.neg_tracked {
            let d = self.reg_mut(insn.dst);
            let mut val = d.val;
            d.set_known(0);
            alu::neg(alu_width(insn), &mut val, &rules);
            d.val = val;
        } else if insn.code & 0xf0 == BPF_END && rules.end_tracked {
            let swap = alu_width(insn) == Width::W64 || is_reg_form(insn);
            let bits = insn.imm as u32;
            let d = self.reg_mut(insn.dst);
            if swap || bits < 64 {
                (d.id, d.off) = (0, 0);
            }
            alu::end(bits, swap, &mut d.val, &rules);
        } else {
            self.mark_unknown(insn.dst);
        }
        Ok(())
    }

    // ---- moves ---------------------------------------------------------------------------------------------------------

    fn check_mov(&mut self, insn: Insn) -> R {
        if !is_reg_form(insn) {
            self.check_reg_write(insn.dst)?;
            let imm = match alu_width(insn) {
                Width::W64 => insn.imm as i64 as u64,
                Width::W32 => insn.imm as u32 as u64,
            };
            self.mark_known(insn.dst, imm);
            return Ok(());
        }
        let cast = alu_width(insn) == Width::W64 && insn.off == 1;
        if cast && !self.has_arena() {
            return Err(Reject::AddrSpaceCastNoArena);
        }
        self.check_reg_read(insn.src)?;
        self.check_reg_write(insn.dst)?;
        if cast {
            let to_arena = insn.imm == 1;
            let mut reg = self.unknown();
            if to_arena {
                reg.ty = RegType::of(Kind::Arena);
            }
            *self.reg_mut(insn.dst) = reg;
            return Ok(());
        }
        match (alu_width(insn), insn.off) {
            (Width::W64, 0) => {
                self.ensure_id(insn.src);
                *self.reg_mut(insn.dst) = self.reg(insn.src);
                Ok(())
            }
            (Width::W64, bits) => self.move_sign_extended(insn, bits as u32),
            (Width::W32, bits) => self.move_low_half(insn, bits as u32),
        }
    }

    pub(crate) fn has_arena(&self) -> bool {
        self.maps.iter().any(|m| m.ty == Some(spec::MapType::Arena))
    }

    /// Copies a scalar; the link survives only if the move keeps the value.
    fn move_scalar(&mut self, insn: Insn, keeps_value: bool) {
        if keeps_value {
            self.ensure_id(insn.src);
        }
        let mut reg = self.reg(insn.src);
        if !keeps_value {
            reg.unlink(&self.rules);
        }
        *self.reg_mut(insn.dst) = reg;
    }

    /// `r = (sN)r'`.
    fn move_sign_extended(&mut self, insn: Insn, bits: u32) -> R {
        let src = self.reg(insn.src);
        if src.is_scalar() {
            self.move_scalar(insn, src.val.fits_positive(bits));
            self.reg_mut(insn.dst).val.sign_extend64(bits / 8);
        } else if self.privs.ptr_leaks {
            self.mark_unknown(insn.dst);
        } else {
            return Err(Reject::PointerSignExtension { reg: insn.src });
        }
        Ok(())
    }

    /// `w = w'` (`bits` = 0) and `w = (sN)w'`.
    fn move_low_half(&mut self, insn: Insn, bits: u32) -> R {
        let src = self.reg(insn.src);
        let rules = self.rules;
        if src.is_scalar() {
            let keeps_value = if bits == 0 { src.val.fits_unsigned(32) } else { src.val.fits_positive(bits) };
            self.move_scalar(insn, keeps_value && !rules.widths_apart);
        } else if self.privs.ptr_leaks {
            self.mark_unknown(insn.dst);
        } else {
            return Err(Reject::PointerPartialCopy { reg: insn.src });
        }
        let val = &mut self.reg_mut(insn.dst).val;
        if src.is_scalar() && bits != 0 {
            val.sign_extend32(bits / 8, &rules);
        } else {
            val.zext32();
            val.sync(&rules);
        }
        Ok(())
    }

    // ---- two operands --------------------------------------------------------------------------------------------------

    fn check_binary(&mut self, insn: Insn) -> R {
        let op = insn.code & 0xf0;
        let divides = matches!(op, BPF_DIV | BPF_MOD);
        let reg_form = is_reg_form(insn);
        if reg_form {
            self.check_reg_read(insn.src)?;
        }
        self.check_reg_read(insn.dst)?;
        if divides && !reg_form && insn.imm == 0 {
            return Err(Reject::DivByZero);
        }
        if matches!(op, BPF_LSH | BPF_RSH | BPF_ARSH) && !reg_form {
            let bits = if alu_width(insn) == Width::W64 { 64 } else { 32 };
            if !(0..bits).contains(&insn.imm) {
                return Err(Reject::InvalidShift { imm: insn.imm });
            }
        }
        self.check_reg_write(insn.dst)?;
        self.dispatch_operands(insn, reg_form)
    }

    fn dispatch_operands(&mut self, insn: Insn, reg_form: bool) -> R {
        let dst = self.reg(insn.dst);
        let src = if reg_form { self.reg(insn.src) } else { self.immediate(insn.imm) };
        if dst.ty.kind == Kind::Arena {
            return Ok(());
        }
        if src.ty.kind == Kind::Arena && self.profile.changes.arena_alu_source {
            *self.reg_mut(insn.dst) = src;
            return Ok(());
        }
        match (dst.is_scalar(), src.is_scalar()) {
            (false, false) => {
                if insn.code & 0xf0 == BPF_SUB && self.privs.ptr_leaks {
                    self.mark_unknown(insn.dst);
                    return Ok(());
                }
                Err(Reject::PointerOpPointer { reg: insn.dst, op: operator(insn.code) })
            }
            (true, false) => {
                self.mark_precise(insn.dst)?;
                self.pointer_arith(insn, insn.src, &src, &self.reg(insn.dst))
            }
            (false, true) => {
                if reg_form {
                    self.mark_precise(insn.src)?;
                }
                self.pointer_arith(insn, insn.dst, &dst, &src)
            }
            (true, true) => {
                if reg_form && dst.precise {
                    self.mark_precise(insn.src)?;
                }
                self.scalar_arith(insn, &src)
            }
        }
    }

    /// The register that an immediate operand stands for.
    pub fn immediate(&self, imm: i32) -> Reg {
        Reg { val: Scalar::from_imm(imm), ..self.unknown() }
    }

    /// `dst op= src` for two scalars.
    fn scalar_arith(&mut self, insn: Insn, src: &Reg) -> R {
        let width = alu_width(insn);
        let rules = self.rules;
        let before = self.reg(insn.dst);
        if matches!(insn.code & 0xf0, BPF_DIV | BPF_MOD) && alu::is_divided(width, &src.val, &rules) {
            let how = alu::Division { modulo: insn.code & 0xf0 == BPF_MOD, signed: insn.off == 1 };
            let d = self.reg_mut(insn.dst);
            alu::divide(how, width, &mut d.val, &src.val, &rules);
            d.unlink(&rules);
            return Ok(());
        }
        let op = tracked(insn.code).filter(|op| rules.tracks(*op, width, &src.val));
        let Some(op) = op else {
            self.mark_unknown(insn.dst);
            if rules.widths_apart {
                self.reg_mut(insn.dst).val = early::untracked(tracked(insn.code), width, &src.val, &rules);
            }
            return Ok(());
        };
        if matches!(op, alu::Op::Add | alu::Op::Sub) {
            self.sanitize_scalar(insn)?;
        }
        if let Some(at) = alu::fork(op, &before.val, &src.val, &rules) {
            self.fork_minus_one_or_zero(insn.dst, at)?;
        }
        alu::binary(op, width, &mut self.reg_mut(insn.dst).val, &src.val, &rules);
        self.link_after_alu(insn, op, &before, src);
        Ok(())
    }

    /// The register is -1 or 0: the queued path takes 0 and repeats the instruction, this one goes on with -1.
    fn fork_minus_one_or_zero(&mut self, r: u8, at: Width) -> R {
        let queued = self.push_branch(self.insn_idx, self.insn_idx, false).map_err(|full| full.reject(EFAULT))?;
        let other = &mut self.queue[queued].state.frame_mut().regs[r as usize];
        let own = &mut self.cur.frame_mut().regs[r as usize];
        match at {
            Width::W64 => {
                other.set_known(0);
                own.set_known(u64::MAX);
            }
            Width::W32 => {
                other.val.set_known32(0);
                own.val.set_known32(u32::MAX);
            }
        }
        Ok(())
    }
}
