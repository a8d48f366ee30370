//! Why a program is refused: the one table. A row is a stable id, the facts it carries, the errno and the kernel's text. To find
//! where a message comes from, grep it here, then grep the variant's name.
//!
//! Text ends in `\n` exactly where the kernel's does. A refusal that prints several lines either has them all in its row, or its author
//! notes the earlier rows (`Verifier::note`) and returns the last one. Ids are never reused: 01xx load and passes, 02xx scalars and
//! jumps, 03xx memory, 04xx calls, 05xx exploration, 07xx BTF and objects, 08xx program types, 09xx maps, 10xx kfuncs,
//! 11xx other kernels.

use crate::call::{BitsText, ExitContext, HelperName, RangeText, TypeList};
use crate::mem::Region;
use crate::reg::RegType;
use crate::value::Tnum;
use std::fmt;

/// Errno values that verdicts use, as the kernel returns them (positive here).
pub mod errno {
    pub const NONE: i32 = 0;
    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const ESRCH: i32 = 3;
    pub const E2BIG: i32 = 7;
    pub const EBADF: i32 = 9;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EFAULT: i32 = 14;
    pub const EBUSY: i32 = 16;
    pub const EEXIST: i32 = 17;
    pub const EINVAL: i32 = 22;
    pub const ERANGE: i32 = 34;
    pub const EPROTO: i32 = 71;
    pub const EOPNOTSUPP: i32 = 95;
    pub const ENOTSUPP: i32 = 524;
}
use errno::*;

mod wording;

pub use wording::text;

pub type R<T = ()> = Result<T, Reject>;

macro_rules! rejections {
    ($( $(#[$doc:meta])* $id:literal $name:ident $({ $($field:ident : $ty:ty),* $(,)? })? $(*)? $errno:ident, $text:literal ; )*) => {
        /// A refusal, with the facts that its text needs.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Reject {
            $( $(#[$doc])* $name $({ $($field : $ty),* })?, )*
        }

        impl Reject {
            /// Stable id, `BVnnnn`.
            pub fn id(&self) -> &'static str {
                match self { $( Reject::$name { .. } => $id, )* }
            }
            /// Name of the variant, for people who search the code.
            pub fn name(&self) -> &'static str {
                match self { $( Reject::$name { .. } => stringify!($name), )* }
            }
            /// Positive errno.
            // Most rows have a constant errno and leave their facts unused here.
            #[allow(unused_variables)]
            pub fn errno(&self) -> i32 {
                // Either a constant or a fact of the row, which is a reference here.
                match self { $( Reject::$name $({ $($field),* })? => i32::clone(&$errno), )* }
            }
            /// Every row: id, variant, text with its placeholders.
            pub const TABLE: &'static [(&'static str, &'static str, &'static str)] =
                &[ $( ($id, stringify!($name), $text), )* ];
        }

        impl fmt::Display for Reject {
            // A row may carry a fact (an errno) that its text does not show.
            #[allow(unused_variables)]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $( Reject::$name $({ $($field),* })? => write!(f, $text), )* }
            }
        }
    };
}

/// A tnum as messages print it: a constant in decimal (hex above 65535), else `(0xvalue; 0xmask)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TnumText(pub Tnum);

impl fmt::Display for TnumText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tnum { value, mask } = self.0;
        match (mask, value) {
            (0, 0xffff_ffff_ffff_8000..) => write!(f, "{}", value as i64),
            (0, 0..=65535) => write!(f, "{value}"),
            (0, _) => write!(f, "{value:#x}"),
            _ => write!(f, "({value:#x}; {mask:#x})"),
        }
    }
}

rejections! {
    /// What the verifier does not model. Becomes the verdict `unsupported`, never an accept.
    "BV0000" Unsupported { what: String } NONE, "unsupported: {what}";
    /// The kernel prints nothing.
    "BV0001" Silent { errno: i32 } *errno, "";
    /// An internal inconsistency that the kernel reports under these words.
    "BV0002" VerifierBug { text: String } EFAULT, "verifier bug: {text}\n";

    /// Another kernel than the modelled one lacks something and says nothing: these words are ours.
    "BV0003" KernelLacks { what: String, errno: i32 } *errno, "{what}\n";
    /// Another kernel than the modelled one refuses something that it lacks, in its own words.
    "BV0004" KernelRefuses { text: String, errno: i32 } *errno, "{text}\n";

    // ---- 01xx load, passes, instruction form (pass/) -------------------------------------------------------------------

    "BV0101" CallsNeedCapBpf EPERM, "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN\n";
    "BV0102" CallOutOfProgram EINVAL, "call to invalid destination\n";
    "BV0103" TooManySubprogs E2BIG, "too many subprograms\n";
    "BV0104" KfuncNeedsGpl EINVAL, "cannot call kernel function from non-GPL compatible program\n";
    "BV0105" KfuncNegativeOffset EINVAL, "negative offset disallowed for kernel module function call\n";
    "BV0106" KfuncNoBtf { errno: i32 } *errno, "failed to find BTF for kernel function\n";
    "BV0107" TooManyKfuncs E2BIG, "too many different kernel function calls\n";
    "BV0108" KfuncNotFunction { id: u32 } EINVAL, "kernel btf_id {id} is not a function\n";
    "BV0109" KfuncNoProto { id: u32 } EINVAL, "kernel function btf_id {id} does not have a valid func_proto\n";
    "BV0110" ExceptionCallbackTwice EEXIST, "multiple exception callback tags for main subprog\n";
    "BV0111" ExceptionCallbackUnknown { name: String } ENOENT, "exception callback '{name}' could not be found in BTF\n";
    "BV0112" ExceptionCallbackLinkage { name: String } EINVAL, "exception callback '{name}' must have global linkage\n";
    "BV0113" ExceptionCallbackAtZero EINVAL, "invalid exception callback insn_off in func_info: 0\n";
    "BV0114" ExceptionCallbackNoInfo EINVAL, "exception callback type id not found in func_info\n";
    "BV0115" JumpOutOfRange { from: usize, to: i32 } EINVAL, "jump out of range from insn {from} to {to}\n";
    "BV0116" LastInsnNotExit EINVAL, "last insn is not an exit or jmp\n";
    "BV0117" FuncInfoRecordSize { size: u32 } EINVAL, "invalid func info rec size {size}\n";
    "BV0118" FuncInfoTail E2BIG, "nonzero tailing record in func info";
    "BV0119" FuncInfoFirstOffset { off: u32 } EINVAL, "nonzero insn_off {off} for the first func info record";
    "BV0120" FuncInfoOrder { off: u32, last: u32 } EINVAL,
        "same or smaller insn offset ({off}) than previous func info record ({last})";
    "BV0121" FuncInfoType { id: u32 } EINVAL, "invalid type id {id} in func info";
    "BV0122" FuncInfoCount EINVAL, "number of funcs in func_info doesn't match number of subprogs\n";
    "BV0123" FuncInfoLayout EINVAL, "func_info BTF section doesn't match subprog layout in BPF program\n";
    "BV0124" NoBtfForLdAbs EINVAL, "LD_ABS is not allowed in subprogs without BTF\n";
    "BV0125" NoBtfForTailCall EINVAL, "tail_call is not allowed in subprogs without BTF\n";
    "BV0126" LdAbsReturnsInt EINVAL, "LD_ABS is only allowed in functions that return 'int'.\n";
    "BV0127" TailCallReturnsInt EINVAL, "tail_call is only allowed in functions that return 'int'.\n";
    "BV0128" LineInfoTail E2BIG, "nonzero tailing record in line_info";
    "BV0129" LineInfoOffset { index: usize, off: u32, prev: u32, len: u32 } EINVAL,
        "Invalid line_info[{index}].insn_off:{off} (prev_offset:{prev} prog->len:{len})\n";
    "BV0130" LineInfoInsn { index: usize } EINVAL, "Invalid insn code at line_info[{index}].insn_off\n";
    "BV0131" LineInfoStrings { index: usize } EINVAL, "Invalid line_info[{index}].line_off or .file_name_off\n";
    "BV0132" LineInfoMissing { func: usize } EINVAL, "missing bpf_line_info for func#{func}\n";
    "BV0133" LineInfoMissingFrom { count: usize, func: usize } EINVAL,
        "missing bpf_line_info for {count} funcs starting from func#{func}\n";
    "BV0134" LdxReservedFields EINVAL, "BPF_LDX uses reserved fields\n";
    "BV0135" LdImm64Form EINVAL, "invalid bpf_ld_imm64 insn\n";
    "BV0136" LdImm64Unrecognized EINVAL, "unrecognized bpf_ld_imm64 insn\n";
    "BV0137" FdIdxWithoutArray EPROTO, "fd_idx without fd_array is invalid\n";
    "BV0138" BadMapFd { fd: i32, errno: i32 } *errno, "fd {fd} is not pointing to valid bpf_map\n";
    "BV0139" UnknownOpcode { code: u8 } EINVAL, "unknown opcode {code:02x}\n";
    "BV0140" DirectValueOffset { off: u32 } EINVAL, "direct value offset of {off} is not allowed\n";
    "BV0141" NoDirectValue EINVAL, "no direct value access support for this map type\n";
    "BV0142" DirectValueRange { size: u32, off: u32, errno: i32 } *errno,
        "invalid access to map value pointer, value_size={size} off={off}\n";
    "BV0143" KsymBadId { id: u32 } ENOENT, "ldimm64 insn specifies invalid btf_id {id}.\n";
    "BV0144" KsymNotVarOrFunc { id: u32 } EINVAL, "pseudo btf_id {id} in ldimm64 isn't KIND_VAR or KIND_FUNC\n";
    "BV0145" KsymSize { name: String, error: i64 } EINVAL, "ldimm64 unable to resolve the size of type '{name}': {error}\n";
    "BV0146" UnreachableInsn { insn: usize } EINVAL, "unreachable insn {insn}\n";
    "BV0147" JumpIntoLdImm64 { insn: usize } EINVAL, "jump into the middle of ldimm64 insn {insn}\n";
    "BV0148" BackEdge { from: usize, to: usize } EINVAL, "back-edge from insn {from} to {to}\n";
    "BV0149" SubprogStack { subprog: usize, size: i32 } EACCES, "stack size of subprog {subprog} is {size}. Too large\n";
    "BV0150" CombinedStack { calls: usize, size: i32 } EACCES, "combined stack size of {calls} calls is {size}. Too large\n";
    "BV0151" TailCallStack { depth: i32 } EACCES,
        "tail_calls are not allowed when call stack of previous frames is {depth} bytes. Too large\n";
    "BV0152" ThrowFromCallback { insn: usize, subprog: usize } EINVAL,
        "bpf_throw kfunc (insn {insn}) cannot be called from callback subprog {subprog}\n";
    "BV0153" CallsExceptionCallback { insn: usize } EINVAL, "insn {insn} cannot call exception cb directly";
    "BV0154" CallChainTooDeep { frames: usize } E2BIG, "the call stack of {frames} frames is too deep !\n";
    "BV0155" TailCallInExceptionCallback EINVAL, "cannot tail call within exception cb\n";
    "BV0156" KfuncNotEliminated EINVAL, "invalid kernel function call not eliminated in verifier pass\n";
    "BV0157" TailCallPoisoned EINVAL, "tail_call abusing map_ptr\n";
    "BV0158" KfuncNeedsDevice EINVAL, "metadata kfuncs require device-bound program\n";
    "BV0159" KsymNoAddress { name: String } ENOENT,
        "ldimm64 failed to find the address for kernel symbol '{name}'.\n";

    // ---- 02xx registers, scalars, pointer arithmetic, jumps (env, alu, ptr_arith, branch) ------------------------------
    "BV0201" RegInvalid { reg: u8 } EINVAL, "R{reg} is invalid\n";
    "BV0202" RegNotReadable { reg: u8 } EACCES, "R{reg} !read_ok\n";
    "BV0203" FramePointerReadOnly EACCES, "frame pointer is read only\n";
    /// A field that the instruction does not use is not zero.
    "BV0204" ReservedFields { what: &'static str } EINVAL, "{what} uses reserved fields\n";
    "BV0205" InvalidAluOpcode { op: u8 } EINVAL, "invalid BPF_ALU opcode {op:x}\n";
    "BV0206" DivByZero EINVAL, "div by zero\n";
    "BV0207" InvalidShift { imm: i32 } EINVAL, "invalid shift {imm}\n";
    "BV0208" AddrSpaceCastImm EINVAL, "addr_space_cast insn can only convert between address space 1 and 0\n";
    "BV0209" AddrSpaceCastNoArena EINVAL,
        "addr_space_cast insn can only be used in a program that has an associated arena\n";
    "BV0210" PointerPartialCopy { reg: u8 } EACCES, "R{reg} partial copy of pointer\n";
    "BV0211" PointerSignExtension { reg: u8 } EACCES, "R{reg} sign-extension part of pointer\n";
    "BV0220" PointerArithmetic { reg: u8 } EACCES, "R{reg} pointer arithmetic prohibited\n";
    "BV0221" PointerOpPointer { reg: u8, op: &'static str } EACCES, "R{reg} pointer {op} pointer prohibited\n";
    "BV0222" PointerArithmetic32 { reg: u8 } EACCES, "R{reg} 32-bit pointer arithmetic prohibited\n";
    "BV0223" PointerArithmeticMaybeNull { reg: u8, ty: RegType } EACCES,
        "R{reg} pointer arithmetic on {ty} prohibited, null-check it first\n";
    "BV0224" PointerArithmeticOn { reg: u8, ty: RegType } EACCES, "R{reg} pointer arithmetic on {ty} prohibited\n";
    "BV0225" PointerMathConst { ty: RegType, value: i64 } EINVAL, "math between {ty} pointer and {value} is not allowed\n";
    "BV0226" PointerOffset { ty: RegType, off: i64 } EINVAL, "{ty} pointer offset {off} is not allowed\n";
    "BV0227" PointerMathUnbounded { ty: RegType } EINVAL,
        "math between {ty} pointer and register with unbounded min value is not allowed\n";
    "BV0228" PointerValueOutOfBounds { ty: RegType, value: i64 } EINVAL, "value {value} makes {ty} pointer be out of bounds\n";
    "BV0229" PointerFromScalar { reg: u8 } EACCES, "R{reg} tried to subtract pointer from scalar\n";
    "BV0230" StackPointerSub { reg: u8 } EACCES, "R{reg} subtraction from stack pointer prohibited\n";
    "BV0231" PointerBitwise { reg: u8, op: &'static str } EACCES, "R{reg} bitwise operator {op} on pointer prohibited\n";
    "BV0232" PointerOperator { reg: u8, op: &'static str } EACCES,
        "R{reg} pointer arithmetic with {op} operator prohibited\n";
    "BV0240" StackPointerVariable { reg: u8, var_off: TnumText, off: i32 } EACCES,
        "R{reg} variable stack access prohibited for !root, var_off={var_off} off={off}\n";
    "BV0241" StackPointerRange { reg: u8, off: i32 } EACCES,
        "R{reg} stack pointer arithmetic goes out of range, prohibited for !root; off={off}\n";
    "BV0242" MapPointerRange { reg: u8 } EACCES,
        "R{reg} pointer arithmetic of map value goes out of range, prohibited for !root\n";
    "BV0243" SanitizeBounds { reg: u8 } EACCES,
        "R{reg} has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root\n";
    "BV0244" SanitizeType { reg: u8 } EACCES,
        "R{reg} has pointer with unsupported alu operation, pointer arithmetic with it prohibited for !root\n";
    "BV0245" SanitizePaths { reg: u8, verb: &'static str } EACCES,
        "R{reg} tried to {verb} from different maps, paths or scalars, pointer arithmetic with it prohibited for !root\n";
    "BV0246" SanitizeLimit { reg: u8, verb: &'static str } EACCES,
        "R{reg} tried to {verb} beyond pointer bounds, pointer arithmetic with it prohibited for !root\n";
    "BV0247" SanitizeStack { reg: u8 } ENOMEM,
        "R{reg} could not be pushed for speculative verification, pointer arithmetic with it prohibited for !root\n";
    "BV0250" InvalidJumpOpcode { op: u8 } EINVAL, "invalid BPF_JMP/JMP32 opcode {op:x}\n";
    "BV0251" PointerComparison { reg: u8 } EACCES, "R{reg} pointer comparison prohibited\n";
    "BV0252" MayGotoFields { off: i16, imm: i32 } EINVAL, "invalid may_goto imm {imm}\n";

    // ---- 03xx memory (mem/) --------------------------------------------------------------------------------------------

    "BV0301" InvalidMemAccess { reg: u8, ty: RegType } EACCES, "R{reg} invalid mem access '{ty}'\n";
    "BV0302" StxReservedFields EINVAL, "BPF_STX uses reserved fields\n";
    "BV0303" StReservedFields EINVAL, "BPF_ST uses reserved fields\n";
    "BV0304" LeaksAddr { reg: u8, into: &'static str } EACCES, "R{reg} leaks addr into {into}\n";
    "BV0305" MisalignedPacket { base: i64, var: TnumText, fixed: i32, off: i32, size: u32 } EACCES,
        "misaligned packet access off {base}+{var}+{fixed}+{off} size {size}\n";
    "BV0306" Misaligned { what: &'static str, var: TnumText, fixed: i32, off: i32, size: u32 } EACCES,
        "misaligned {what}access off {var}+{fixed}+{off} size {size}\n";
    "BV0307" DifferentPointers EINVAL, "same insn cannot be used with different pointers\n";
    "BV0308" NegativeOffset { reg: u8, ty: RegType, off: i32 } EACCES, "negative offset {ty} ptr R{reg} off={off} disallowed\n";
    "BV0309" ModifiedPointer { reg: u8, ty: RegType, off: i32 } EACCES,
        "dereference of modified {ty} ptr R{reg} off={off} disallowed\n";
    "BV0310" VariableAccess { ty: RegType, value: u64, mask: u64 } EACCES,
        "variable {ty} access var_off=({value:#x}; {mask:#x}) disallowed\n";
    "BV0311" RegionLine { what: Region, limit: u32, off: i32, size: u32 } EACCES,
        "invalid access to {what}={limit} off={off} size={size}\n";
    "BV0312" MinNegative { reg: u8 } EACCES,
        "R{reg} min value is negative, either use unsigned index or do a if (index >=0) check.\n";
    "BV0313" MinOutside { reg: u8 } EACCES, "R{reg} min value is outside of the allowed memory range\n";
    "BV0314" Unbounded { reg: u8 } EACCES, "R{reg} unbounded memory access, make sure to bounds check any such access\n";
    "BV0315" MaxOutside { reg: u8 } EACCES, "R{reg} max value is outside of the allowed memory range\n";
    "BV0316" CannotWrite { reg: u8, ty: RegType } EACCES, "R{reg} cannot write into {ty}\n";
    "BV0317" WritesKey { reg: u8 } EACCES, "write to change key R{reg} not allowed\n";
    "BV0318" ValueWriteForbidden { value: u32, off: i32, size: u32 } EACCES,
        "write into map forbidden, value_size={value} off={off} size={size}\n";
    "BV0319" ValueReadForbidden { value: u32, off: i32, size: u32 } EACCES,
        "read from map forbidden, value_size={value} off={off} size={size}\n";
    "BV0320" FieldDirectAccess { what: &'static str } EACCES, "{what} cannot be accessed directly by load/store\n";
    "BV0321" KptrByHelper { what: &'static str } EACCES, "{what} cannot be accessed indirectly by helper\n";
    "BV0322" KptrVariable { what: &'static str } EACCES, "{what} access cannot have variable offset\n";
    "BV0323" KptrMisaligned { what: &'static str, expected: u32, off: i64 } EACCES,
        "{what} access misaligned expected={expected} off={off}\n";
    "BV0324" KptrSize { what: &'static str } EACCES, "{what} access size must be BPF_DW\n";
    "BV0325" KptrMode EACCES, "kptr in map can only be accessed using BPF_MEM instruction mode\n";
    "BV0326" KptrStore EACCES, "store to referenced kptr disallowed\n";
    "BV0327" UptrStore EACCES, "store to uptr disallowed\n";
    "BV0328" KptrStImm { off: u32 } EACCES, "BPF_ST imm must be 0 when storing to kptr at off={off}\n";
    "BV0329" PacketReadOnly EACCES, "cannot write into packet\n";
    "BV0330" PacketLine { off: i32, size: u32, reg: u8, id: u32, range: i32 } EACCES,
        "invalid access to packet, off={off} size={size}, R{reg}(id={id},off={off},r={range})\n";
    "BV0331" PacketOutside { reg: u8, errno: i32 } *errno, "R{reg} offset is outside of the packet\n";
    "BV0332" InvalidContext { off: i32, size: u32 } EACCES, "invalid bpf_context access off={off} size={size}\n";
    /// The same, its text already printed: the source line comes behind it.
    "BV0333" InvalidContextDone { off: i32, size: u32 } EACCES, "";
    "BV0334" InvalidSockAccess { reg: u8, ty: RegType, off: i32, size: u32 } EACCES,
        "R{reg} invalid {ty} access off={off} size={size}\n";
    "BV0335" InvalidFlowKeys { off: i32, size: u32 } EACCES, "invalid access to flow keys off={off} size={size}\n";
    "BV0336" InvalidBuffer { reg: u8, what: &'static str, off: i32, size: u32, fixed: i32, insn_off: i32 } EACCES,
        "R{reg} invalid {what} buffer access: off={off}, size={size}\n";
    "BV0337" VariableBuffer { reg: u8, off: i32, value: u64, mask: u64 } EACCES,
        "R{reg} invalid variable buffer offset: off={off}, var_off=({value:#x}; {mask:#x})\n";
    "BV0338" MapPtrType { map_type: u32, errno: i32 } *errno, "map_ptr access not supported for map type {map_type}\n";
    "BV0339" KernelStructPrivileged { name: String } EPERM,
        "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n";
    "BV0340" MapPtrNegative { reg: u8, name: &'static str, off: i32 } EACCES,
        "R{reg} is {name} invalid negative access: off={off}\n";
    "BV0341" MapPtrReadOnly { name: &'static str } EACCES, "only read from {name} is supported\n";
    "BV0342" StackUnbounded { words: &'static str, reg: u8, by_call: bool } EACCES,
        "invalid unbounded variable-offset{words} stack R{reg}\n";
    "BV0343" StackBounds { words: &'static str, reg: u8, off: i32, size: u32, errno: i32, by_call: bool } *errno,
        "invalid{words} stack R{reg} off={off} size={size}\n";
    "BV0344" StackBoundsVariable {
        words: &'static str, reg: u8, value: u64, mask: u64, off: i32, size: u32, errno: i32, by_call: bool,
    } *errno, "invalid variable-offset{words} stack R{reg} var_off=({value:#x}; {mask:#x}) off={off} size={size}\n";
    "BV0345" CorruptsSpill EACCES, "attempt to corrupt spilled pointer on stack\n";
    "BV0346" SpillSize EACCES, "invalid size of register spill\n";
    "BV0347" SpillIntoCaller EINVAL, "cannot spill pointers to stack into stack frame of the caller\n";
    "BV0348" OverwritesDynptr EINVAL, "cannot overwrite referenced dynptr\n";
    "BV0349" VarStoreOverSpill { insn: i32, off: i32 } EINVAL,
        "spilled ptr in range of var-offset stack write; insn {insn}, ptr off: {off}";
    "BV0350" LeakingSpill { off: i32 } EACCES, "leaking pointer from stack off {off}\n";
    "BV0351" FillSize EACCES, "invalid size of register fill\n";
    "BV0352" UninitRead { off: i32, byte: u32, size: u32 } EACCES, "invalid read from stack off {off}+{byte} size {size}\n";
    "BV0353" VarStackHelper { value: u64, mask: u64, off: i32, size: u32 } EACCES,
        "variable offset stack pointer cannot be passed into helper function; var_off=({value:#x}; {mask:#x}) off={off} size={size}\n";
    "BV0354" NotMemory { reg: u8, ty: RegType } EACCES, "R{reg} type={ty} expected=fp\n";
    "BV0355" SizeNegative { reg: u8 } EACCES,
        "R{reg} min value is negative, either use unsigned or 'var &= const'\n";
    "BV0356" SizeZero { reg: u8, umin: u64, umax: u64 } EACCES, "R{reg} invalid zero-sized read: u64=[{umin},{umax}]\n";
    "BV0357" SizeUnbounded { reg: u8 } EACCES,
        "R{reg} unbounded memory access, use 'var &= const' or 'if (var < const)'\n";
    "BV0358" ZeroSizedRead EACCES, "invalid zero-sized read\n";
    "BV0359" VarStackUnprivileged { reg: u8, value: u64, mask: u64 } EACCES,
        "R{reg} variable offset stack access prohibited for !root, var_off=({value:#x}; {mask:#x})\n";
    "BV0360" WritesDynptr { off: i32 } EACCES, "potential write to dynptr at off={off} disallowed\n";
    "BV0361" UninitArg { reg: u8, off: i32, byte: u32, size: u32, by_call: bool } EACCES,
        "invalid read from stack R{reg} off {off}+{byte} size {size}\n";
    "BV0362" UninitArgVariable { reg: u8, value: u64, mask: u64, byte: u32, size: u32, by_call: bool } EACCES,
        "invalid read from stack R{reg} var_off ({value:#x}; {mask:#x})+{byte} size {size}\n";
    "BV0363" AtomicOpcode { imm: u32 } EINVAL, "BPF_ATOMIC uses invalid atomic opcode {imm:02x}\n";
    "BV0364" AtomicSize EINVAL, "invalid atomic operand size\n";
    "BV0365" AtomicBase { reg: u8, what: &'static str, ty: RegType } EACCES, "BPF_ATOMIC {what} R{reg} {ty} is not allowed\n";
    "BV0366" LdImm64Reserved EINVAL, "BPF_LD_IMM64 uses reserved fields\n";
    "BV0367" FuncRefNoInfo EINVAL, "missing btf func_info\n";
    "BV0368" FuncRefNotStatic EINVAL, "callback function not static\n";
    "BV0369" LdAbsProgType EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type\n";
    "BV0370" LdAbsReserved EINVAL, "BPF_LD_[ABS|IND] uses reserved fields\n";
    "BV0371" LdAbsNoSkb EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb\n";

    // ---- 04xx calls, references, exit (call/) --------------------------------------------------------------------------
    "BV0401" CallReserved EINVAL, "BPF_CALL uses reserved fields\n";
    "BV0402" CallUnderLock EINVAL, "function calls are not allowed while holding a lock\n";
    "BV0403" HelperInvalid { func: HelperName } EINVAL, "invalid func {func}\n";
    "BV0404" HelperNotOffered { func: HelperName } EINVAL, "program of this type cannot use helper {func}\n";
    "BV0405" HelperGplOnly EINVAL, "cannot call GPL-restricted function from non-GPL compatible program\n";
    "BV0406" HelperNotInProbe EINVAL, "helper call is not allowed in probe\n";
    "BV0407" HelperSleeps { func: HelperName } EINVAL, "helper call might sleep in a non-sleepable prog\n";
    "BV0408" HelperSleepsInRegion { func: HelperName, region: &'static str } EINVAL, "sleepable helper {func} in {region}\n";
    "BV0409" HelperMapType { map_type: u32, func: HelperName } EINVAL, "cannot pass map_type {map_type} into func {func}\n";
    "BV0410" SockmapUpdate EINVAL, "cannot update sockmap in this context\n";
    "BV0411" MixedTailCalls EINVAL, "mixing of tail_calls and bpf-to-bpf calls is not supported\n";
    "BV0412" FuncIpAttach { func: HelperName } ENOTSUPP, "func {func} supported only for fentry/fexit/fmod_ret programs\n";
    "BV0413" FuncIpProgType { func: HelperName, prog_type: u32 } ENOTSUPP,
        "func {func} not supported for program type {prog_type}\n";
    // Arguments of helpers.
    "BV0420" HelperLeak { reg: u8 } EACCES, "R{reg} leaks addr into helper function\n";
    "BV0421" HelperPacket EACCES, "helper access to the packet is not allowed\n";
    "BV0422" SockmapValueArg EINVAL, "invalid arg_type for sockmap/sockhash\n";
    "BV0423" ArgType { reg: u8, ty: RegType, expected: TypeList } EACCES, "R{reg} type={ty} expected={expected}\n";
    "BV0424" ArgWritten { helper: &'static str, reg: u8, ty: RegType } EACCES,
        "bpf_{helper}() may write into memory pointed by R{reg} type={ty}\n";
    "BV0425" ArgMaybeNull { reg: u8 } EACCES, "Possibly NULL pointer passed to helper arg{reg}\n";
    "BV0426" ArgBtfType { reg: u8, have: String, want: String } EACCES, "R{reg} is of type {have} but {want} is expected\n";
    "BV0427" ArgReleaseOffset { reg: u8 } EINVAL,
        "R{reg} must have zero offset when passed to release func or trusted arg to kfunc\n";
    "BV0428" TwoReferences { reg: u8, id: u32, first: u32 } EACCES, "more than one arg with ref_obj_id R{reg} {id} {first}";
    "BV0429" TimerMap { timer_uid: u32, map_uid: u32 } EINVAL,
        "timer pointer in R1 map_uid={timer_uid} doesn't match map pointer in R2 map_uid={map_uid}\n";
    "BV0430" AllocSizeUnknown { reg: u8 } EACCES, "R{reg} is not a known constant'\n";
    "BV0431" HelperNoBtfId { reg: u8 } EACCES, "Helper has invalid btf_id in R{reg}\n";
    "BV0432" StrMapWritable { reg: u8 } EACCES, "R{reg} does not point to a readonly map'\n";
    "BV0433" StrNotConstant { reg: u8 } EACCES, "R{reg} is not a constant address'\n";
    "BV0434" StrNoDirectValue EACCES, "no direct value access support for this map type\n";
    "BV0435" StrLookup EINVAL, "direct value access on string failed\n";
    "BV0436" StrUnterminated EINVAL, "string is not zero-terminated\n";
    "BV0437" HelperMapWrite EACCES, "write into map forbidden\n";
    "BV0438" TailCallNoProgArray EINVAL, "expected prog array map for tail call";
    "BV0439" LocalStorageFlags EINVAL, "get_local_storage() doesn't support non-zero flags\n";
    "BV0440" DynptrFromMem { ty: RegType } EACCES, "Unsupported reg type {ty} for bpf_dynptr_from_mem data\n";
    "BV0441" LsmVoidRetval EINVAL, "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n";
    "BV0442" PercpuNoStruct EFAULT, "Helper has invalid btf/btf_id in R1\n";
    "BV0443" PercpuSize { name: String } EINVAL, "unable to resolve the size of type '{name}': -22\n";
    "BV0444" FormatAddress { errno: i32 } *errno, "failed to retrieve map value address\n";
    "BV0445" FormatInvalid EINVAL, "Invalid format string\n";
    "BV0446" CallbackMap ENOTSUPP, "callback function not allowed for map\n";
    // References and where programs end.
    "BV0450" ReleaseUnreferenced { reg: u8, helper: &'static str } EINVAL, "R{reg} must be referenced when passed to release function\n";
    "BV0451" HelperReferenceUnknown { func: HelperName } EINVAL, "func {func} reference has not been acquired before\n";
    "BV0452" Unreleased { id: u32, insn: u32 } EINVAL, "Unreleased reference id={id} alloc_insn={insn}\n";
    "BV0453" ReferenceLeak { what: &'static str } EINVAL, "{what} would lead to reference leak\n";
    "BV0454" HeldInRegion { what: &'static str, region: &'static str, times: u32 } EINVAL,
        "{what} cannot be used inside {region}-ed region\n";
    "BV0455" ExitReserved EINVAL, "BPF_EXIT uses reserved fields\n";
    "BV0456" ReturnLeaks { reg: u8 } EACCES, "R{reg} leaks addr as return value\n";
    "BV0457" ReturnNoScalar { context: ExitContext, what: &'static str, reg: u8, ty: RegType } EINVAL,
        "{context} the register R{reg} is not {what} ({ty})\n";
    "BV0458" ReturnRange { context: ExitContext, reg: u8, known: RangeText, min: i64, max: i64, errno: i32 } *errno,
        "{context} the register R{reg} has{known} should have been in [{min}, {max}]\n";
    "BV0459" LsmVoidNote EINVAL, "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n";
    "BV0460" ReturnsStack EINVAL, "cannot return stack pointer to the caller\n";
    "BV0461" CallbackResult EACCES, "R0 not a scalar value\n";
    "BV0462" ExceptionCallbackArgs EINVAL, "exception cb only supports single integer argument\n";
    // Functions of the program.
    "BV0470" GlobalCallUnderLock EINVAL,
        "global function calls are not allowed while holding a lock,\nuse static function instead\n";
    "BV0471" GlobalCallSleeps { name: String, region: &'static str } EINVAL,
        "global functions that may sleep are not allowed in non-sleepable context,\ni.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context\n";
    "BV0472" GlobalCallArgs { func: usize, name: String, errno: i32 } *errno,
        "Caller passes invalid args into func#{func} ('{name}')\n";
    "BV0473" PrototypeMissing EFAULT, "Global functions need valid BTF\n";
    "BV0474" PrototypeNoFunc { func: usize } EFAULT, "BTF of func#{func} doesn't point to KIND_FUNC\n";
    "BV0475" PrototypeInvalid { name: String } EFAULT, "Invalid type of function {name}()\n";
    "BV0476" PrototypeArgs { name: String, args: usize, max: usize } EINVAL,
        "Global function {name}() with {args} > {max} args. Buggy compiler.\n";
    "BV0477" PrototypeReturn { name: String, errno: i32 } *errno,
        "Global function {name}() doesn't return scalar. Only those are supported.\n";
    "BV0478" ArgTagStatic { arg: usize } EOPNOTSUPP, "arg#{arg} type tag is not supported in static functions\n";
    "BV0479" ArgTagUnknown { arg: usize } EOPNOTSUPP, "arg#{arg} has unsupported set of tags\n";
    "BV0480" ArgTagCombination { arg: usize } EINVAL, "arg#{arg} has invalid combination of tags\n";
    "BV0481" ArgTagUntrusted { arg: usize } EINVAL, "arg#{arg} untrusted cannot be combined with any other tags\n";
    "BV0482" ArgTagArena { arg: usize } EINVAL, "arg#{arg} arena cannot be combined with any other tags\n";
    "BV0483" ArgTagNoPointer { arg: usize } EINVAL, "arg#{arg} has pointer tag, but is not a pointer type\n";
    "BV0484" ArgUnsupported { arg: usize, kind: &'static str, name: String } EINVAL,
        "Arg#{arg} type {kind} in {name}() is not supported yet.\n";
    "BV0485" ArgSize { arg: usize, kind: &'static str, name: String, error: i32 } EINVAL,
        "arg#{arg} reference type('{kind} {name}') size cannot be determined: {error}\n";
    "BV0486" ArgUntrustedKind { arg: usize, kind: &'static str } EINVAL,
        "arg#{arg} has type {kind} '(anon)', but only struct or primitive types are allowed\n";
    "BV0487" ArgNoMatch { arg: usize, kind: &'static str, name: String } ENOENT,
        "arg#{arg} reference type('{kind} {name}') has no matches\n";
    "BV0488" ArgAmbiguous { arg: usize, kind: &'static str, name: String } ESRCH,
        "arg#{arg} reference type('{kind} {name}') is ambiguous\n";
    "BV0491" CtxArgVoid { arg: usize } EINVAL, "arg#{arg} should be void pointer\n";
    "BV0492" CtxArgName { arg: usize, user: &'static str } EINVAL, "arg#{arg} should be `struct {user} *`\n";
    "BV0493" ArgNoScalar { reg: u8 } EINVAL, "R{reg} is not a scalar\n";
    "BV0494" ArgNoCtx { arg: usize } EINVAL, "arg#{arg} expects pointer to ctx\n";
    "BV0495" ArgNull { arg: usize } EINVAL, "arg#{arg} is expected to be non-NULL\n";
    "BV0496" ArgNoArena { reg: u8 } EINVAL, "R{reg} is not a pointer to arena or scalar.\n";

    // ---- 05xx exploration (walk, prune) --------------------------------------------------------------------------------
    "BV0501" TooManyInsns { processed: u32 } E2BIG, "BPF program is too large. Processed {processed} insn\n";
    "BV0502" TooManyBranches { pending: usize, errno: i32 } *errno, "The sequence of {pending} jumps is too complex.\n";
    "BV0503" TooManyAsyncBranches { pending: usize } EFAULT, "The sequence of {pending} jumps is too complex for async cb.\n";
    "BV0504" InfiniteLoop { insn: i32, cur: String, old: String } EINVAL,
        "infinite loop detected at insn {insn}\ncur state:{cur}\nold state:{old}\n";
    "BV0507" JaReservedFields EINVAL, "BPF_JA uses reserved fields\n";
    "BV0505" TooManyFrames { frames: usize } E2BIG, "the call stack of {frames} frames is too deep\n";
    "BV0506" InsnOutOfRange { insn: i32, count: usize } EFAULT, "invalid insn idx {insn} insn_cnt {count}\n";

    // ---- 07xx BTF pointers, kfuncs, objects ----------------------------------------------------------------------------
    // Special fields and locks.
    "BV0701" FieldOffsetVariable { reg: u8, what: &'static str } EINVAL,
        "R{reg} doesn't have constant offset. {what} has to be at the constant offset\n";
    "BV0702" FieldNoBtf { map: String, what: &'static str } EINVAL, "map '{map}' has to have BTF in order to use {what}\n";
    "BV0703" FieldMissing { holder: String, what: &'static str } EINVAL, "{holder} has no valid {what}\n";
    "BV0704" FieldElsewhere { at: i64, what: &'static str, expected: u32 } EINVAL,
        "off {at} doesn't point to 'struct {what}' that is at {expected}\n";
    "BV0705" TimerRealtime EOPNOTSUPP, "bpf_timer cannot be used for PREEMPT_RT.\n";
    "BV0706" KptrNone { reg: u8 } EINVAL, "R{reg} has no valid kptr\n";
    "BV0707" KptrElsewhere { at: i32 } EACCES, "off={at} doesn't point to kptr\n";
    "BV0708" KptrNotOwned { at: i32 } EACCES, "off={at} kptr isn't referenced kptr\n";
    "BV0709" KptrType { reg: u8, ty: RegType, name: String, target: String, or: String } EACCES,
        "invalid kptr access, R{reg} type={ty}{name} expected=ptr_{target}{or}\n";
    "BV0710" LockInLessCallback EACCES, "can't spin_{{lock,unlock}} in rbtree cb\n";
    "BV0711" TwoSpinLocks EINVAL, "Locking two bpf_spin_locks are not allowed\n";
    "BV0712" LockDeadlock EINVAL, "Acquiring the same lock again, AA deadlock detected\n";
    "BV0713" UnlockNothing { what: &'static str } EINVAL, "{what}_unlock without taking a lock\n";
    "BV0714" UnlockOther { what: &'static str } EINVAL, "{what}_unlock of different lock\n";
    "BV0715" UnlockOrder { what: &'static str } EINVAL, "{what}_unlock cannot be out of order\n";
    // Stack objects.
    "BV0720" ObjectOffsetVariable { what: &'static str } EINVAL, "{what} has to be at a constant offset\n";
    "BV0721" ObjectOffset { what: &'static str, off: i32 } EINVAL, "cannot pass in {what} at an offset={off}\n";
    "BV0722" DynptrPointer { arg: u8 } EINVAL, "arg#{arg} expected pointer to stack or const struct bpf_dynptr\n";
    "BV0723" DynptrNotUninit EINVAL, "Dynptr has to be an uninitialized dynptr\n";
    "BV0724" DynptrConst EINVAL, "cannot pass pointer to const bpf_dynptr, the helper mutates it\n";
    "BV0725" DynptrExpected { arg: u8 } EINVAL, "Expected an initialized dynptr as arg #{arg}\n";
    "BV0726" DynptrKind { kind: &'static str, arg: u8 } EINVAL, "Expected a dynptr of type {kind} as arg #{arg}\n";
    "BV0727" DynptrConstRelease EINVAL, "cannot release unowned const bpf_dynptr\n";
    "BV0728" DynptrUnacquired { arg: u8 } EINVAL, "arg {arg} is an unacquired reference\n";
    // Pointers to kernel structs and allocated objects.
    "BV0740" WalkNoStruct { name: String } EINVAL, "Type '{name}' is not a struct\n";
    "BV0741" WalkBeyondStruct { name: String, off: u32, size: u32 } EACCES,
        "access beyond struct {name} at off {off} size {size}\n";
    "BV0742" WalkNoField { name: String, off: u32 } EINVAL, "struct {name} doesn't have field at offset {off}\n";
    "BV0743" WalkNoSize { member: String } EFAULT, "field {member} doesn't have size\n";
    "BV0744" WalkPartOfPointer { member: String, start: u32, name: String, off: u32, size: u32 } EACCES,
        "cannot access ptr member {member} with moff {start} in struct {name} with off {off} size {size}\n";
    "BV0745" WalkBeyondMember { member: String, end: u32, name: String, off: u32, size: u32 } EACCES,
        "access beyond the end of member {member} (mend:{end}) in struct {name} with off {off} size {size}\n";
    "BV0746" BtfNeedsPerfmon { name: String } EPERM, "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n";
    "BV0747" BtfNeedsGpl { name: String } EINVAL, "Cannot access kernel 'struct {name}' from non-GPL compatible program\n";
    "BV0748" BtfNegative { reg: u8, name: String, off: i32 } EACCES,
        "R{reg} is ptr_{name} invalid negative access: off={off}\n";
    "BV0749" BtfVariable { reg: u8, name: String, off: i32, var_off: TnumText } EACCES,
        "R{reg} is ptr_{name} invalid variable offset: off={off}, var_off={var_off}\n";
    "BV0750" BtfUser { reg: u8, name: String, off: i32 } EACCES, "R{reg} is ptr_{name} access user memory: off={off}\n";
    "BV0751" BtfPercpu { reg: u8, name: String, off: i32 } EACCES, "R{reg} is ptr_{name} access percpu memory: off={off}\n";
    "BV0752" BtfReadOnly EACCES, "only read is supported\n";
    "BV0763" BtfArgReadOnly { reg: u8, name: String, off: i32, size: u32 } EACCES, "only read is supported\n";
    "BV0753" ObjectField { what: &'static str } EACCES, "direct access to {what} is disallowed\n";
    "BV0758" DummyOpsState EACCES, "only access to bpf_dummy_ops_state is supported\n";
    "BV0759" WriteBeyondState { off: u32, size: u32 } EACCES, "write access at off {off} with size {size}\n";
    "BV0760" WriteBeyondField { off: u32, size: u32, name: String, end: u32 } EACCES,
        "write access at off {off} with size {size} beyond the member of {name} ended at {end}\n";
    "BV0761" NoWriteSupport { name: String, off: u32 } EACCES, "no write support to {name} at off {off}\n";
    // Kfuncs.
    "BV1001" KfuncNotAllowed { name: String } EACCES, "calling kernel function {name} is not allowed\n";
    "BV1002" KfuncTrap EFAULT, "unexpected __bpf_trap() due to uninitialized variable?\n";
    "BV1003" KfuncDestructive EACCES, "destructive kfunc calls require CAP_SYS_BOOT capability\n";
    "BV1004" KfuncSleeps { name: String } EACCES, "program must be sleepable to call sleepable kfunc {name}\n";
    "BV1005" KfuncArgs { name: String, args: usize } EINVAL, "Function {name} has {args} > 5 args\n";
    "BV1006" KfuncCallback { func: String, errno: i32 } *errno, "kfunc {func} failed callback verification\n";
    "BV1007" FailedLockBranch { errno: i32 } *errno, "failed to push state for failed lock acquisition\n";
    "BV1008" RcuInLessCallback EACCES, "Calling bpf_rcu_read_{{lock,unlock}} in unnecessary rbtree callback\n";
    "BV1009" RcuNested { name: String } EINVAL, "nested rcu read lock (kernel function {name})\n";
    "BV1010" RcuUnmatched { name: String } EINVAL, "unmatched rcu read unlock (kernel function {name})\n";
    "BV1011" KfuncSleepsInRegion { name: String, region: &'static str } EACCES,
        "kernel func {name} is sleepable within {region} region\n";
    "BV1012" PreemptUnmatched { name: String } EINVAL, "unmatched attempt to enable preemption (kernel function {name})\n";
    "BV1013" KfuncNeedsRcu { name: String } EACCES, "kernel func {name} requires RCU critical section protection\n";
    "BV1014" KfuncReferenceUnknown { func: String } EINVAL, "kfunc {func} reference has not been acquired before\n";
    "BV1015" KfuncReleaseNothing { name: String } EINVAL,
        "release kernel function {name} expects refcounted PTR_TO_BTF_ID\n";
    "BV1016" KfuncArgKind { arg: usize, kind: &'static str } EINVAL, "Unrecognized arg#{arg} type {kind}\n";
    "BV1017" KfuncNull { arg: usize } EACCES, "Possibly NULL pointer passed to trusted arg{arg}\n";
    "BV1018" KfuncNotConstant { reg: u8 } EINVAL, "R{reg} must be a known constant\n";
    "BV1019" KfuncTwoBuffers EINVAL, "2 or more rdonly/rdwr_buf_size parameters for kfunc";
    "BV1020" KfuncBufferSize { reg: u8 } EINVAL, "R{reg} is not a const\n";
    "BV1021" KfuncArgPointer { func: String, arg: usize, kind: &'static str, name: String } EINVAL,
        "kernel function {func} args#{arg} pointer type {kind} {name} is not supported\n";
    "BV1022" KfuncUntrusted { reg: u8 } EINVAL, "R{reg} must be referenced or trusted\n";
    "BV1023" KfuncNoRcu { reg: u8 } EINVAL, "R{reg} must be a rcu pointer\n";
    "BV1024" KfuncNoMap { reg: u8 } EINVAL, "pointer in R{reg} isn't map pointer\n";
    "BV1025" TaskWorkMap { seen: u32, uid: u32 } EINVAL,
        "bpf_task_work pointer in R2 map_uid={seen} doesn't match map pointer in R3 map_uid={uid}\n";
    "BV1026" WorkqueueMap { seen: u32, uid: u32 } EINVAL,
        "workqueue pointer in R1 map_uid={seen} doesn't match map pointer in R2 map_uid={uid}\n";
    "BV1027" KfuncStr { arg: usize } EINVAL, "arg#{arg} doesn't point to a const string\n";
    "BV1028" KfuncLockArg { arg: usize } EINVAL, "arg#{arg} doesn't point to map value or allocated object\n";
    "BV1029" KfuncNoFunc { arg: usize } EINVAL, "arg{arg} expected pointer to func\n";
    "BV1073" KfuncKernCtx { id: u32 } EINVAL, "kern ctx type id {id} is not a struct\n";
    "BV1030" KfuncNoCtx { arg: usize, ty: RegType } EINVAL, "arg#{arg} expected pointer to ctx, but got {ty}\n";
    "BV1031" KfuncObjectDrop { arg: usize, percpu: &'static str } EINVAL, "arg#{arg} expected for bpf_{percpu}obj_drop_impl()\n";
    "BV1032" KfuncNoObject { arg: usize } EINVAL, "arg#{arg} expected pointer to allocated object\n";
    "BV1033" KfuncObjectUnowned EINVAL, "allocated object must be referenced\n";
    "BV1034" KfuncNoGraphRef { arg: usize } EINVAL, "arg#{arg} is neither owning or non-owning ref\n";
    "BV1035" KfuncNoRefcount { arg: usize } EINVAL, "arg#{arg} doesn't point to a type with bpf_refcount field\n";
    "BV1036" KfuncNoMapValue { arg: usize } EINVAL, "arg#{arg} doesn't point to a map value\n";
    "BV1037" KfuncBtfKind { arg: usize, ty: RegType, base: RegType } EINVAL, "arg#{arg} is {ty} expected {base} or socket\n";
    "BV1038" KfuncBtfType {
        func: String, arg: usize, want_kind: &'static str, want: String, reg: u8, have_kind: &'static str, have: String
    } EINVAL, "kernel function {func} args#{arg} expected pointer to {want_kind} {want} but R{reg} has a pointer to {have_kind} {have}\n";
    "BV1039" KfuncNesting EINVAL, "max struct nesting depth exceeded\n";
    "BV1040" KfuncMemoryType { arg: usize, kind: &'static str, name: String, or_void: &'static str } EINVAL,
        "arg#{arg} pointer type {kind} {name} must point to {or_void}scalar, or struct with scalar\n";
    "BV1041" KfuncMemoryPair { arg: usize, size: usize, errno: i32 } *errno,
        "arg#{arg} arg#{size} memory, len pair leads to invalid memory access\n";
    "BV1042" KfuncAcquires EINVAL, "acquire kernel function does not return PTR_TO_BTF_ID\n";
    "BV1043" KfuncResultSize { func: String, kind: &'static str, name: String } EINVAL,
        "kernel function {func} returns pointer type {kind} {name} is not supported\n";
    "BV1044" SliceReadOnly EINVAL, "the prog does not allow writes to packet data\n";
    "BV1045" ObjectTypeRange EINVAL, "local type ID argument must be in range [0, U32_MAX]\n";
    "BV1046" ObjectNeedsBtf EINVAL, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF\n";
    "BV1047" ObjectNoStruct EINVAL, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct\n";
    "BV1048" PercpuObjectSize { size: u32, max: u32 } EINVAL, "bpf_percpu_obj_new type size ({size}) is greater than {max}\n";
    "BV1049" PercpuObjectScalars EINVAL, "bpf_percpu_obj_new type ID argument must be of a struct of scalars\n";
    "BV1050" PercpuObjectFields EINVAL, "bpf_percpu_obj_new type ID argument must not contain special fields\n";
    "BV1051" RdonlyCastUnknown { id: i32 } EINVAL, "Unknown type ID {id} passed to kfunc bpf_rdonly_cast\n";
    "BV1052" RdonlyCastType EINVAL, "kfunc bpf_rdonly_cast type ID argument must be of a struct or void\n";
    // Graphs, iterators, interrupt flags.
    "BV1053" GraphHolder { arg: usize } EINVAL, "arg#{arg} expected pointer to map value or allocated object\n";
    "BV1054" GraphNoField { what: &'static str, at: u32 } EINVAL, "{what} not found at offset={at}\n";
    "BV1055" GraphOtherLock EINVAL, "held lock and object are not in the same allocation\n";
    "BV1056" GraphUnlocked { off: i64, what: &'static str } EINVAL, "bpf_spin_lock at off={off} must be held for {what}\n";
    "BV1057" GraphNodeOwned { name: String } EINVAL, "{name} can only take non-owning or refcounted bpf_rb_node pointer\n";
    "BV1058" GraphInLess { name: String } EINVAL, "{name} not allowed in rbtree cb\n";
    "BV1059" GraphNoObject { arg: usize } EINVAL, "arg#{arg} expected pointer to allocated object\n";
    "BV1060" GraphNodeType { root: &'static str, node: &'static str, off: u32, expected: String, at: u32, name: String } EINVAL,
        "operation on {root} expects arg#1 {node} at offset={off} in struct {expected}, but arg is at offset={at} in struct {name}\n";
    "BV1061" GraphNodeOffset { at: u32, node: &'static str, off: u32, expected: String } EINVAL,
        "arg#1 offset={at}, but expected {node} at offset={off} in struct {expected}\n";
    "BV1062" IterPointer { arg: usize } EINVAL, "arg#{arg} expected pointer to an iterator on stack\n";
    "BV1063" IterType { arg: usize } EINVAL, "expected valid iter pointer as arg #{arg}\n";
    "BV1064" IterNotUninit { name: String, arg: usize } EINVAL, "expected uninitialized iter_{name} as arg #{arg}\n";
    "BV1065" IterExpected { name: String, arg: usize } EINVAL, "expected an initialized iter_{name} as arg #{arg}\n";
    "BV1066" IterNeedsRcu { name: String } EPROTO, "expected an RCU CS when using {name}\n";
    "BV1067" IterCssTask EINVAL, "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs\n";
    "BV1068" IrqPointer { arg: usize } EINVAL, "arg#{arg} doesn't point to an irq flag on stack\n";
    "BV1069" IrqNotUninit { arg: usize } EINVAL, "expected uninitialized irq flag as arg#{arg}\n";
    "BV1070" IrqExpected { arg: usize } EINVAL, "expected an initialized irq flag as arg#{arg}\n";
    "BV1071" IrqClassMix { saved: &'static str, restored: &'static str } EINVAL,
        "irq flag acquired by {saved} kfuncs cannot be restored with {restored} kfuncs\n";
    "BV1072" IrqOrder { id: u32, insn: u32 } EACCES,
        "cannot restore irq state out of order, expected id={id} acquired at insn_idx={insn}\n";

    // ---- 08xx program types, attach targets ----------------------------------------------------------------------------

    "BV0801" SyscallNotSleepable EINVAL, "Syscall programs can only be sleepable\n";
    "BV0802" TypeNotSleepable EINVAL,
        "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable\n";
    "BV0803" NoAttachBtfId EINVAL, "Tracing programs must provide btf_id\n";
    "BV0804" AttachIdInvalid { id: u32 } EINVAL, "attach_btf_id {id} is invalid\n";
    "BV0805" ReplacesKernelFunction EINVAL, "Cannot replace kernel functions\n";
    "BV0806" AttachNotTypedef { id: u32 } EINVAL, "attach_btf_id {id} is not a typedef\n";
    "BV0807" AttachWrongName { id: u32, name: String } EINVAL, "attach_btf_id {id} points to wrong type name {name}\n";
    "BV0808" AttachNotFunction { id: u32 } EINVAL, "attach_btf_id {id} is not a function\n";
    "BV0809" TracingDenied { name: String } EINVAL, "Attaching tracing programs to function '{name}' is rejected.\n";
    "BV0810" TracesNoreturn { name: String } EINVAL,
        "Attaching fexit/fmod_ret to __noreturn function '{name}' is rejected.\n";
    "BV0811" TargetNotSleepable { name: String } EINVAL, "{name} is not sleepable\n";
    "BV0812" NotModifiable { name: String } EINVAL, "{name}() is not modifiable\n";
    "BV0813" LsmNeedsGpl EINVAL, "LSM programs must have a GPL compatible license\n";
    "BV0814" LsmHookDisabled { id: u32, name: String } EINVAL, "attach_btf_id {id} points to disabled hook {name}\n";
    "BV0815" StructOpsNeedsGpl EINVAL, "struct ops programs must have a GPL compatible license\n";
    "BV0816" NotStructOps { id: u32 } ENOTSUPP, "attach_btf_id {id} is not a supported struct\n";
    "BV0817" StructOpsMemberIdx { idx: u32, name: String } EINVAL, "attach to invalid member idx {idx} of struct {name}\n";
    "BV0818" StructOpsMember { member: String, idx: u32, name: String } EINVAL,
        "attach to invalid member {member}(@idx {idx}) of struct {name}\n";
    "BV0819" StructOpsUnsupported { member: String, name: String, errno: i32 } *errno,
        "attach to unsupported member {member} of struct {name}\n";
    "BV0820" TooManyArgs { name: String, count: usize } EINVAL, "The function {name} has {count} arguments. Too many.\n";
    "BV0821" BadReturnType { name: String, ty: &'static str } EINVAL, "The function {name} return type {ty} is unsupported.\n";
    "BV0822" VariableArgs { name: String } EINVAL, "The function {name} with variable args is unsupported.\n";
    "BV0823" BadArgType { name: String, arg: usize, ty: &'static str } EINVAL,
        "The function {name} arg{arg} type {ty} is unsupported.\n";
    "BV0824" VoidArg { name: String } EINVAL, "The function {name} has malformed void argument.\n";

    "BV0830" CtxOffset { func: String, off: i32 } EACCES, "func '{func}' offset {off} is not multiple of 8\n";
    "BV0831" CtxNoArg { func: String, arg: usize } EACCES, "func '{func}' doesn't have {arg}-th argument\n";
    "BV0832" CtxFmodRet { kind: &'static str } EACCES, "ret type {kind} not allowed for fmod_ret\n";
    "BV0833" CtxOnlyPointers { func: String, arg: usize, name: String, kind: &'static str } EACCES,
        "func '{func}' arg{arg} '{name}' has type {kind}. Only pointer access is allowed\n";
    "BV0834" CtxSize { func: String, size: u32 } EACCES, "func '{func}' size {size} must be 8\n";
    "BV0835" CtxNotStruct { func: String, arg: usize, kind: &'static str } EACCES,
        "func '{func}' arg{arg} type {kind} is not a struct\n";
    "BV0836" CtxReferenceGone { off: i32 } EACCES,
        "invalid bpf_context access off={off}. Reference may already be released\n";

    // ---- 09xx maps -----------------------------------------------------------------------------------------------------
    /// As loaders say it: the kernel has only the errno.
    "BV0908" MapCreate { name: String, error: &'static str, errno: i32 } *errno, "map '{name}': failed to create: -{error}\n";
    "BV0901" TooManyMaps E2BIG, "The total number of maps per program has reached the limit of 64\n";
    "BV0902" MapRefused { text: &'static str } EINVAL, "{text}\n";
    "BV0903" StructOpsMap EINVAL, "bpf_struct_ops map cannot be used in prog\n";
    "BV0904" SleepableMap EINVAL, "Sleepable programs can only use array, hash, ringbuf and local storage maps\n";
    "BV0905" OneCgroupStorage EBUSY, "only one cgroup storage of each type is allowed\n";
    "BV0906" OneArena EBUSY, "Only one arena per program\n";
    "BV0907" ArenaNeedsCaps EPERM, "CAP_BPF and CAP_PERFMON are required to use arena\n";

    // ---- 11xx what 6.18 does not refuse, or not like this: older kernels from 1101, newer ones from 1151 ------------------

    /// A number that 6.18 has a name for and the kernel of the profile has not.
    "BV1101" HelperUnknown { number: i32 } EINVAL, "invalid func unknown#{number}\n";
    "BV1102" ArenaSignExtends EOPNOTSUPP, "sign extending loads from arena are not supported yet\n";
    "BV1103" GlobalCallUnpreempted EINVAL,
        "global function calls are not allowed with preemption disabled,\nuse static function instead\n";
    "BV1110" ArgPointer { arg: usize, name: String, id: u32 } EINVAL, "reg type unsupported for arg#{arg} function {name}#{id}\n";
    "BV1111" ArgNoContext { arg: usize } EINVAL, "arg#{arg} expected pointer to ctx, but got PTR\n";
    "BV1115" DynptrAtOffset EINVAL, "cannot pass in dynptr at an offset\n";
    "BV1114" ReturnBits { context: ExitContext, reg: u8, known: BitsText, range: BitsText } EINVAL,
        "{context} the register R{reg} has {known} should have been in {range:#}\n";
    "BV1120" ArgNoPointer { reg: u8 } EINVAL, "R{reg} is not a pointer\n";
    "BV1130" ContextNotConverted EINVAL, "bpf verifier is misconfigured\n";
    "BV1170" TracepointNotFaultable { name: String } EINVAL,
        "Sleepable program cannot attach to non-faultable tracepoint {name}\n";
    "BV1121" CtxImmediate { reg: u8, ty: RegType } EACCES, "BPF_ST stores into R{reg} {ty} is not allowed\n";
    /// Newer kernels: an indirect jump without a map that says where to.
    "BV1152" NoJumpTables { start: u32 } EINVAL, "no jump tables found for subprog starting at {start}\n";
    /// Newer kernels: freeing an object may run code that is not allowed in an NMI.
    "BV1153" ObjectDropInNmi { name: String } EINVAL,
        "{name} cannot be used in tracing programs on types with NMI unsafe fields\n";
    /// Newer kernels: a function calls itself.
    "BV1151" Recursion { from: String, to: String } EINVAL, "recursive call from {from}() to {to}()\n";
}

impl Reject {
    pub fn unsupported(what: impl Into<String>) -> Reject {
        Reject::Unsupported { what: what.into() }
    }
    pub fn bug(text: impl Into<String>) -> Reject {
        Reject::VerifierBug { text: text.into() }
    }
    /// On a speculative path these end the path instead of the verification.
    pub fn ends_speculation(&self) -> bool {
        !matches!(self, Reject::Unsupported { .. }) && matches!(self.errno(), EPERM | EACCES | EINVAL)
    }
}
