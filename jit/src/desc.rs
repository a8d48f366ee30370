//! The word by which machine code tells Rust what it was doing when it asks for help. The functions that read it are in `host`.

use isa::{AtomicOp, Size};

/// Why machine code cannot go on at a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Trap {
    /// The slot is no valid instruction.
    Instruction,
    /// The image knows that the slot cannot run here.
    Missing,
    /// A jump or call leaves the program.
    Jump,
    /// Control runs off the end.
    End,
    Budget,
}

impl Trap {
    const ALL: [Self; 5] = [Self::Instruction, Self::Missing, Self::Jump, Self::End, Self::Budget];
}

/// An access or a trap, packed: slot, size (or trap), base register, flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Desc(pub u64);

impl Desc {
    const SIGNED: u64 = 1 << 48;
    const PROBE: u64 = 1 << 49;
    const WRITE: u64 = 1 << 50;
    const ATOMIC: u64 = 1 << 51;

    pub(crate) fn access(slot: u32, size: Size, base: u8) -> Self {
        Self(u64::from(slot) | u64::from(size.bytes()) << 32 | u64::from(base) << 40)
    }

    pub(crate) fn trap(slot: u32, trap: Trap) -> Self {
        Self(u64::from(slot) | (trap as u64) << 32)
    }

    pub(crate) fn signed(self) -> Self {
        Self(self.0 | Self::SIGNED)
    }

    /// A load that reads 0 where it would fault.
    pub(crate) fn probe(self) -> Self {
        Self(self.0 | Self::PROBE)
    }

    pub(crate) fn write(self) -> Self {
        Self(self.0 | Self::WRITE)
    }

    pub(crate) fn atomic(self, op: AtomicOp) -> Self {
        Self(self.0 | Self::ATOMIC | (op as u64) << 56)
    }

    pub(crate) fn slot(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn bytes(self) -> u8 {
        (self.0 >> 32) as u8
    }

    pub(crate) fn size(self) -> Size {
        match self.bytes() {
            1 => Size::B8,
            2 => Size::B16,
            4 => Size::B32,
            _ => Size::B64,
        }
    }

    pub(crate) fn base(self) -> u8 {
        (self.0 >> 40) as u8
    }

    pub(crate) fn is_signed(self) -> bool {
        self.0 & Self::SIGNED != 0
    }

    pub(crate) fn is_probe(self) -> bool {
        self.0 & Self::PROBE != 0
    }

    pub(crate) fn is_write(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    pub(crate) fn is_atomic(self) -> bool {
        self.0 & Self::ATOMIC != 0
    }

    pub(crate) fn op(self) -> Option<AtomicOp> {
        AtomicOp::ALL.get((self.0 >> 56) as usize).copied()
    }

    pub(crate) fn as_trap(self) -> Trap {
        Trap::ALL.get(usize::from(self.bytes())).copied().unwrap_or(Trap::Instruction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_packed_comes_out() {
        for (i, op) in AtomicOp::ALL.into_iter().enumerate() {
            assert_eq!(op as usize, i);
            let d = Desc::access(u32::MAX, Size::B16, 10).atomic(op).write();
            assert_eq!((d.slot(), d.size(), d.base(), d.op()), (u32::MAX, Size::B16, 10, Some(op)));
            assert!(d.is_write() && d.is_atomic() && !d.is_signed() && !d.is_probe());
        }
        for t in Trap::ALL {
            assert_eq!(Desc::trap(7, t).as_trap(), t);
        }
        let d = Desc::access(1, Size::B8, 0).signed().probe();
        assert!(d.is_signed() && d.is_probe() && !d.is_write());
    }
}
