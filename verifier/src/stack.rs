//! One 8-byte stack slot: what its bytes are and the register image they may hold. Which accesses are allowed is in `mem::stack`.

use crate::reg::Reg;

/// What a stack byte holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Byte {
    #[default]
    Invalid,
    Spill,
    Misc,
    Zero,
    Dynptr,
    Iter,
    Irq,
    /// Nobody will read it (from 7.1).
    Poison,
}

impl Byte {
    pub const fn as_char(self) -> char {
        match self {
            Byte::Invalid => '?',
            Byte::Spill => 'r',
            Byte::Misc => 'm',
            Byte::Zero => '0',
            Byte::Dynptr => 'd',
            Byte::Iter => 'i',
            Byte::Irq => 'f',
            Byte::Poison => 'p',
        }
    }
    /// Something was stored there that may still be read.
    pub const fn is_stored(self) -> bool {
        !matches!(self, Byte::Invalid | Byte::Poison)
    }
}

/// Slot `k` covers `fp-8(k+1) .. fp-8k-1`. Byte 0 is its *highest* address, byte 7 its lowest, the order in which the log prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub bytes: [Byte; 8],
    /// Image of the spilled register, or the description of the dynptr, iterator or irq flag.
    pub reg: Reg,
}

impl Slot {
    pub const EMPTY: Slot = Slot { bytes: [Byte::Invalid; 8], reg: Reg::NOT_INIT };

    /// The type that decides what the slot is: that of its lowest address.
    pub const fn kind(&self) -> Byte {
        self.bytes[7]
    }
    /// Holds a spilled register (possibly a narrow one).
    pub fn is_spill(&self) -> bool {
        self.kind() == Byte::Spill
    }
    /// Holds all eight bytes of a spilled register.
    pub fn is_full_spill(&self) -> bool {
        self.bytes[0] == Byte::Spill
    }
    pub fn is_scalar_spill(&self) -> bool {
        self.is_spill() && self.reg.is_scalar()
    }
    /// Spill, dynptr, iterator or irq flag: more than plain bytes.
    pub fn is_special(&self) -> bool {
        matches!(self.kind(), Byte::Spill | Byte::Dynptr | Byte::Iter | Byte::Irq)
    }
}
