//! What the generator believes about registers and stack slots. Belief only: the verifier decides.

use crate::rng::Rng;

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Unreadable.
    Nothing,
    Scalar,
    /// A scalar from 0 to this.
    Bounded(u32),
    Ctx,
    /// `fp` plus a constant, with this many bytes of written stack from there on upwards.
    Stack {
        bytes: u32,
    },
    /// A packet pointer with this many bytes proven behind it.
    Packet {
        bytes: u32,
    },
    /// A pointer into a map value with this many bytes from here to the end.
    Value {
        bytes: u32,
    },
}

impl Kind {
    pub(crate) fn is_scalar(self) -> bool {
        matches!(self, Self::Scalar | Self::Bounded(_))
    }

    /// A pointer to memory, with the bytes from here on that may be read.
    pub(crate) fn memory(self) -> Option<u32> {
        match self {
            Self::Stack { bytes } | Self::Packet { bytes } | Self::Value { bytes } => Some(bytes),
            _ => None,
        }
    }

    /// What is known where two paths meet.
    fn meet(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Bounded(a), Self::Bounded(b)) => Self::Bounded(a.max(b)),
            (a, b) if a.is_scalar() && b.is_scalar() => Self::Scalar,
            (Self::Packet { bytes: a }, Self::Packet { bytes: b }) => Self::Packet { bytes: a.min(b) },
            (Self::Value { bytes: a }, Self::Value { bytes: b }) => Self::Value { bytes: a.min(b) },
            (Self::Stack { bytes: a }, Self::Stack { bytes: b }) => Self::Stack { bytes: a.min(b) },
            _ => Self::Nothing,
        }
    }
}

/// 8-byte stack slots that ordinary statements use; slot 0 is `fp-8`.
pub(crate) const SLOTS: usize = 10;
/// Loop counters that live on the stack are below those.
pub(crate) const COUNTER_SLOTS: std::ops::Range<usize> = 12..16;

/// Registers and stack of one function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) regs: [Kind; 10],
    /// What an 8-byte load gives; `Nothing` where it would be refused.
    pub(crate) slots: [Kind; SLOTS],
    /// Registers that must not be written: loop counters.
    pub(crate) reserved: [bool; 10],
}

impl State {
    /// A main function's: the context in r1.
    pub(crate) fn entry() -> Self {
        let mut s = Self { regs: [Kind::Nothing; 10], slots: [Kind::Nothing; SLOTS], reserved: [false; 10] };
        s.regs[1] = Kind::Ctx;
        s
    }

    /// A called function's with its arguments.
    pub(crate) fn called(args: &[Kind]) -> Self {
        let mut s = Self::entry();
        s.regs[1] = Kind::Nothing;
        s.regs[1..=args.len()].copy_from_slice(args);
        s
    }

    pub(crate) fn meet(&mut self, other: &Self) {
        for (a, b) in self.regs.iter_mut().zip(&other.regs) {
            *a = a.meet(*b);
        }
        for (a, b) in self.slots.iter_mut().zip(&other.slots) {
            *a = a.meet(*b);
        }
    }

    /// A register whose kind satisfies `want`.
    pub(crate) fn find(&self, rng: &mut Rng, want: impl Fn(Kind) -> bool) -> Option<u8> {
        let found: Vec<u8> = (0..10u8).filter(|r| want(self.regs[usize::from(*r)])).collect();
        (!found.is_empty()).then(|| rng.pick(&found))
    }

    /// A register that may be overwritten, not among `keep`; rather not the saved context.
    pub(crate) fn victim(&self, rng: &mut Rng, keep: &[u8]) -> u8 {
        let free = |r: &u8| !self.reserved[usize::from(*r)] && !keep.contains(r);
        let cheap: Vec<u8> = (0..10u8).filter(free).filter(|r| *r != 6 || rng.chance(2)).collect();
        let preferred: Vec<u8> =
            cheap.iter().copied().filter(|r| self.regs[usize::from(*r)].memory().is_none()).collect();
        if !preferred.is_empty() && rng.chance(80) {
            rng.pick(&preferred)
        } else if cheap.is_empty() {
            0
        } else {
            rng.pick(&cheap)
        }
    }

    pub(crate) fn kind(&self, reg: u8) -> Kind {
        self.regs.get(usize::from(reg)).copied().unwrap_or(Kind::Nothing)
    }

    pub(crate) fn set(&mut self, reg: u8, kind: Kind) {
        if let Some(r) = self.regs.get_mut(usize::from(reg)) {
            *r = kind;
        }
    }

    /// A call clobbers r1-r5 and sets r0.
    pub(crate) fn after_call(&mut self, result: Kind) {
        self.regs[1..=5].fill(Kind::Nothing);
        self.regs[0] = result;
    }

    /// What forgets packet bounds: helpers that move the packet.
    pub(crate) fn forget_packets(&mut self) {
        for k in self.regs.iter_mut().chain(&mut self.slots) {
            if matches!(k, Kind::Packet { .. }) {
                *k = Kind::Nothing;
            }
        }
    }
}
