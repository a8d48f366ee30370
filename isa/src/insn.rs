//! The raw 8-byte instruction slot, exactly as it reaches `bpf(2)`. What opcodes mean is not here (see `ops`).

/// One slot of a program. `lddw` (ldimm64) takes two slots; the second has only `imm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Insn {
    pub code: u8,
    pub dst: u8,
    pub src: u8,
    pub off: i16,
    pub imm: i32,
}

impl Insn {
    /// Bytes of one slot in a program.
    pub const SIZE: usize = 8;

    /// Reads a little-endian slot: opcode, dst in the low nibble, src in the high nibble, s16 off, s32 imm.
    pub const fn from_bytes(b: [u8; 8]) -> Self {
        Self {
            code: b[0],
            dst: b[1] & 0xf,
            src: b[1] >> 4,
            off: i16::from_le_bytes([b[2], b[3]]),
            imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    /// The little-endian slot.
    pub const fn to_bytes(self) -> [u8; 8] {
        let o = self.off.to_le_bytes();
        let i = self.imm.to_le_bytes();
        [self.code, (self.src << 4) | (self.dst & 0xf), o[0], o[1], i[0], i[1], i[2], i[3]]
    }
}
