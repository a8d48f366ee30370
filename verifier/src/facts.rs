//! Tells the engines what the walk proves about memory accesses. What the facts mean is in `program::facts`.

use crate::env::Verifier;
use crate::reg::{Flags, Kind, RegType};
use program::facts::Fact;

impl Verifier<'_> {
    /// An access of the current instruction through this type of pointer was found in bounds.
    pub fn note_access(&mut self, ty: RegType) {
        if self.cur.speculative {
            return;
        }
        let fact = match ty.kind {
            Kind::Stack => Fact::Stack,
            Kind::Ctx => Fact::Ctx,
            Kind::Packet | Kind::PacketMeta => Fact::Packet,
            Kind::MapValue | Kind::MapKey => Fact::MapValue,
            Kind::Mem if !ty.flags.has(Flags::UNTRUSTED) => Fact::Mem,
            Kind::Btf => Fact::Btf { probe: !ty.flags.any(Flags::TRUSTED | Flags::RCU | Flags::ALLOC) },
            Kind::Arena => Fact::Arena,
            // Sockets, flow keys and buffers are conversions of the context's kind or bounded only at attach time.
            _ => Fact::Unknown,
        };
        self.facts.record(self.insn_idx as usize, fact);
    }
}
