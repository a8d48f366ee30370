//! The structured meaning of an instruction, for code that acts on instructions (verifier, engines) rather than prints them.
//! Every row of the table in `ops` names one `Kind`. Numbers and text are not here.

/// Operand width of ALU and jump instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Width {
    W32,
    W64,
}

/// Where the right-hand operand comes from: the immediate (sign-extended) or the source register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rhs {
    K,
    X,
}

/// Width of a memory access or of a partial value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    B8,
    B16,
    B32,
    B64,
}

impl Size {
    pub const fn bytes(self) -> u32 {
        match self {
            Self::B8 => 1,
            Self::B16 => 2,
            Self::B32 => 4,
            Self::B64 => 8,
        }
    }

    pub const fn bits(self) -> u32 {
        self.bytes() * 8
    }

    /// All ones in this size.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }
}

/// Two-operand arithmetic. `Mov` is here because it has the same forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Sdiv,
    Or,
    And,
    Lsh,
    Rsh,
    Mod,
    Smod,
    Xor,
    Mov,
    Arsh,
}

impl AluOp {
    pub const ALL: [Self; 14] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Sdiv,
        Self::Or,
        Self::And,
        Self::Lsh,
        Self::Rsh,
        Self::Mod,
        Self::Smod,
        Self::Xor,
        Self::Mov,
        Self::Arsh,
    ];
}

/// Comparison of a conditional jump; `S..` are signed, `Set` is "any common bit".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JumpOp {
    Eq,
    Gt,
    Ge,
    Set,
    Ne,
    Sgt,
    Sge,
    Lt,
    Le,
    Slt,
    Sle,
}

impl JumpOp {
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Gt,
        Self::Ge,
        Self::Set,
        Self::Ne,
        Self::Sgt,
        Self::Sge,
        Self::Lt,
        Self::Le,
        Self::Slt,
        Self::Sle,
    ];
}

/// Byte order conversions: `Le`/`Be` depend on the host (little endian here), `Swap` never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    Le,
    Be,
    Swap,
}

/// Atomic operations on memory. All but load-acquire address memory through dst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    Add,
    Or,
    And,
    Xor,
    FetchAdd,
    FetchOr,
    FetchAnd,
    FetchXor,
    Xchg,
    Cmpxchg,
    LoadAcquire,
    StoreRelease,
}

impl AtomicOp {
    pub const ALL: [Self; 12] = [
        Self::Add,
        Self::Or,
        Self::And,
        Self::Xor,
        Self::FetchAdd,
        Self::FetchOr,
        Self::FetchAnd,
        Self::FetchXor,
        Self::Xchg,
        Self::Cmpxchg,
        Self::LoadAcquire,
        Self::StoreRelease,
    ];

    /// Whether the old value goes to a register: src for the fetching ones, r0 for cmpxchg.
    pub const fn fetches(self) -> bool {
        matches!(self, Self::FetchAdd | Self::FetchOr | Self::FetchAnd | Self::FetchXor | Self::Xchg | Self::Cmpxchg)
    }

    /// Read-modify-write operations exist for 32 and 64 bits only.
    pub const fn is_rmw(self) -> bool {
        !matches!(self, Self::LoadAcquire | Self::StoreRelease)
    }
}

/// What a 64-bit immediate stands for (its src field).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pseudo {
    Const,
    /// imm: map (fd, or an index in a `Program`).
    MapFd,
    /// imm: map, second imm: offset into its value.
    MapValue,
    /// imm: BTF id of a kernel variable or function, second imm: fd of the BTF object, 0 for vmlinux.
    BtfId,
    /// imm: distance to a function of this program, counted from the next slot.
    Func,
    /// imm: index into fd_array.
    MapIdx,
    /// imm: index into fd_array, second imm: offset into the value.
    MapIdxValue,
}

/// Direction of an address-space cast of an arena pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cast {
    /// From the user's view of the arena to the kernel's: the upper half is dropped.
    Kernel,
    /// From the kernel's view to the user's: the upper half of the arena's user address is put in, NULL stays NULL.
    User,
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Alu(Width, AluOp, Rhs),
    Neg(Width),
    /// Sign-extending move from the given size.
    MovSx(Width, Size),
    End(ByteOrder, Size),
    AddrSpaceCast(Cast),
    LdImm64(Pseudo),
    LdAbs(Size),
    LdInd(Size),
    Ldx(Size),
    /// Sign-extending load.
    Ldsx(Size),
    /// Store of the immediate.
    St(Size),
    Stx(Size),
    Atomic(Size, AtomicOp),
    Ja,
    /// `ja` with a 32-bit distance.
    Gotol,
    MayGoto,
    Cond(Width, JumpOp, Rhs),
    CallHelper,
    CallLocal,
    CallKfunc,
    Exit,
    /// The log has a text for it, but no kernel takes it. `decode` never yields it.
    Malformed,
}
