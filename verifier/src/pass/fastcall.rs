//! bpf_fastcall: spills and fills around calls that keep their registers are taken out again, which lowers the stack depth.

use crate::env::Verifier;
use isa::Insn;
use isa::consts::*;
use spec::helper::RetKind;

const SPILL: u8 = BPF_STX | BPF_MEM | BPF_DW;
const FILL: u8 = BPF_LDX | BPF_MEM | BPF_DW;
/// R0..R5.
const CALLER_SAVED: u16 = 0x3f;
pub const CANCELLED: i32 = i16::MIN as i32;

/// What a call that might follow the convention overwrites.
struct Convention {
    clobbered: u16,
    /// Really keeps the other registers (the pattern may be taken out).
    fastcall: bool,
}

impl Verifier<'_> {
    /// Marks the patterns. Never fails.
    pub fn mark_fastcalls(&mut self) {
        for s in 0..self.subprogs.len() {
            let range = self.subprogs[s].start as usize..self.subprogs[s].end as usize;
            let lowest = range
                .clone()
                .map(|i| self.insns[i])
                .filter(|x| x.code == SPILL && x.dst == REG_FP)
                .map(|x| x.off)
                .min()
                .unwrap_or(0)
                .min(0);
            for i in range {
                self.mark_fastcall(s, i, lowest);
            }
        }
    }

    fn mark_fastcall(&mut self, s: usize, i: usize, lowest: i16) {
        let Some(conv) = self.convention(self.insns[i]) else { return };
        let mut expected = CALLER_SAVED & !conv.clobbered;
        let mut pairs = 0;
        for k in 1..=6 {
            if i < k || i + k >= self.insns.len() {
                break;
            }
            let (st, ld) = (self.insns[i - k], self.insns[i + k]);
            let off = i32::from(lowest) + 8 * (k as i32 - 1);
            if st.code != SPILL
                || st.dst != REG_FP
                || ld.code != FILL
                || ld.src != REG_FP
                || st.src != ld.dst
                || expected & (1 << st.src) == 0
                || i32::from(st.off) != off
                || i32::from(ld.off) != off
            {
                break;
            }
            expected &= !(1 << st.src);
            self.aux[i - k].fastcall_pattern = true;
            self.aux[i + k].fastcall_pattern = true;
            pairs = k;
        }
        if pairs == 0 {
            return;
        }
        let limit = i32::from(lowest) + 8 * pairs as i32;
        let sub = &mut self.subprogs[s];
        sub.fastcall_limit = sub.fastcall_limit.min(limit);
        if conv.fastcall {
            self.aux[i].fastcall_pairs = pairs as u8;
        } else {
            sub.keep_fastcall_stack = true;
        }
    }

    fn convention(&self, insn: Insn) -> Option<Convention> {
        if insn.code != BPF_JMP | BPF_CALL {
            return None;
        }
        let args = |n: u32| ((1u32 << (n.min(5) + 1)) - 2) as u16;
        match insn.src {
            0 => {
                let proto = self.helper_proto(insn.imm)?;
                let returns = u16::from(proto.ret.kind != RetKind::Void);
                let clobbered = args(self.call_params(insn)?) | returns;
                let inlined = proto.allow_fastcall && self.profile.config.jit;
                Some(Convention { clobbered, fastcall: inlined })
            }
            BPF_PSEUDO_KFUNC_CALL => {
                let k = self.kfunc_allowed(insn)?;
                let returns = u16::from(!k.returns_void);
                Some(Convention {
                    clobbered: args(k.params) | returns,
                    fastcall: k.flags.contains(spec::kfunc::Flags::FASTCALL),
                })
            }
            _ => None,
        }
    }

    /// A stack access of the walk: one below the pattern area that is not part of a pattern cancels all patterns of that subprogram.
    pub fn note_stack_access(&mut self, subprog: usize, off: i32) {
        if self.subprogs[subprog].fastcall_limit <= off || self.aux[self.insn_idx as usize].fastcall_pattern {
            return;
        }
        let sub = &mut self.subprogs[subprog];
        sub.fastcall_limit = CANCELLED;
        for i in sub.start as usize..sub.end as usize {
            self.aux[i].fastcall_pattern = false;
            self.aux[i].fastcall_pairs = 0;
        }
    }

    /// Behind the walk: patterns that held are removed, and with them the stack they used.
    pub fn remove_fastcall_spills(&mut self) {
        for s in 0..self.subprogs.len() {
            let range = self.subprogs[s].start as usize..self.subprogs[s].end as usize;
            let mut removed = false;
            for i in range {
                let pairs = self.aux[i].fastcall_pairs as usize;
                for k in 1..=pairs {
                    self.insns[i - k] = NOP;
                    self.insns[i + k] = NOP;
                    removed = true;
                }
            }
            let sub = &mut self.subprogs[s];
            if removed && !sub.keep_fastcall_stack {
                sub.stack_depth = -sub.fastcall_limit;
            }
        }
    }
}

/// `goto +0`.
pub const NOP: Insn = Insn { code: BPF_JMP | BPF_JA, dst: 0, src: 0, off: 0, imm: 0 };
