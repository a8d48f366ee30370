//! One subprogram: where it is, what its BTF says, what the passes and the walk found out about it.

/// How a global function's parameter is to be passed, read off its BTF prototype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    Scalar,
    /// Untrusted memory or object: anything is taken.
    UntrustedMem,
    UntrustedBtf {
        id: u32,
    },
    Ctx,
    Mem {
        size: u32,
        nullable: bool,
    },
    Arena,
    Dynptr,
    TrustedBtf {
        id: u32,
        nullable: bool,
    },
}

/// BTF linkage of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    Static,
    Global,
    Extern,
}

#[derive(Clone, Debug, Default)]
pub struct Subprog {
    pub start: u32,
    /// One past the last slot.
    pub end: u32,
    /// BTF type id of the FUNC, 0 without func_info.
    pub func_id: u32,
    pub name: String,
    pub linkage: Option<Linkage>,
    /// BTF prototype does not describe the registers; later matches are skipped.
    pub unreliable: bool,
    /// By its prototype it returns nothing, which its kernel lets global functions do.
    pub returns_void: bool,
    /// Prototype, once it was understood.
    pub args: Option<Vec<Arg>>,
    pub has_tail_call: bool,
    pub has_ld_abs: bool,
    pub changes_pkt: bool,
    pub might_sleep: bool,
    pub is_callback: bool,
    pub is_async_callback: bool,
    pub is_exception_callback: bool,
    pub called: bool,
    pub verified: bool,
    /// Deepest byte of its own frame touched, multiple of 8.
    pub stack_depth: i32,
    /// First offset above the bpf_fastcall pattern area; i16::MIN when cancelled, 0 without patterns.
    pub fastcall_limit: i32,
    pub keep_fastcall_stack: bool,
    /// Instructions processed while it was walked on its own.
    pub insns: u32,
    /// Instruction indices in the kernel's postorder.
    pub postorder: Vec<u32>,
}

impl Subprog {
    /// A function that is verified on its own and assumed valid at calls.
    pub fn is_global(&self) -> bool {
        self.linkage == Some(Linkage::Global)
    }
}
