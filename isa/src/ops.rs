//! The instruction table: one row per instruction form; everything that knows opcodes is derived from it. Decoding, text and
//! generation are in their own files; meaning is in `kind` (which one) and `semantics` (what it computes).

use crate::kind::{AluOp, AtomicOp, ByteOrder, Cast, JumpOp, Kind, Pseudo, Rhs, Size, Width};

/// First ISA version (clang's `-mcpu`) with an instruction. `Never`: it has a text in the kernel's log, but no kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    V1,
    V2,
    V3,
    V4,
    Never,
}

/// A field with the fixed value that selects a row among those with the same opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sel {
    Src(u8),
    Off(i16),
    Imm(i32),
}

/// One row: an instruction form.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub op: Op,
    /// Name of the form, that of its `Op`.
    pub name: &'static str,
    pub code: u8,
    pub sel: &'static [Sel],
    pub since: Version,
    pub kind: Kind,
    /// Text with holes in braces, one letter each (see below). Operand roles are read off it: a field without a hole and
    /// without a selector is reserved and must be zero.
    pub text: &'static str,
    pub fields: Fields,
}

/// Which fields of a form hold operands; the others are selectors or reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    pub dst: bool,
    pub src: bool,
    pub off: bool,
    pub imm: bool,
    /// imm of the second slot.
    pub imm2: bool,
}

/// Operand fields, read off the holes of a text.
const fn fields_of(text: &str) -> Fields {
    let mut f = Fields { dst: false, src: false, off: false, imm: false, imm2: false };
    let text = text.as_bytes();
    let mut i = 0;
    while i + 2 < text.len() {
        if text[i] == b'{' {
            let hole = text[i + 1];
            f.dst |= hole == b'd';
            f.src |= hole == b's';
            f.off |= matches!(hole, b'o' | b'j' | b'k');
            f.imm |= !matches!(hole, b'd' | b's' | b'o' | b'j' | b'v');
            f.imm2 |= matches!(hole, b'q' | b'v' | b'f');
        }
        i += 1;
    }
    f
}

/// Expands `$then! { rows }` with the whole table. A row: name, opcode, selectors, since, kind, text.
///
/// Holes: `d` `s` number of a register; `o` signed off; `i` imm as a signed decimal, `w` the same where only 32 bits count,
/// `D` the same where hexadecimal means a 64-bit immediate, `x` imm as unsigned hexadecimal, `h` `l` its halves;
/// `j` jump distance in off, `J` in imm, `f` the same before a second imm that may be anything; `q` both imms as one hexadecimal number, `v` the second imm; `m` a map;
/// `n` helper, `k` kfunc (off is its BTF object).
///
/// Rows with the same opcode stand together, those with more selectors first.
#[macro_export]
macro_rules! for_each_op {
    ($then:ident) => {
        $then! {
            // ALU64: class 7
            Add64K          0x07 []                      V1    Alu(W64, Add, K)              "r{d} += {i}";
            Add64X          0x0f []                      V1    Alu(W64, Add, X)              "r{d} += r{s}";
            Sub64K          0x17 []                      V1    Alu(W64, Sub, K)              "r{d} -= {i}";
            Sub64X          0x1f []                      V1    Alu(W64, Sub, X)              "r{d} -= r{s}";
            Mul64K          0x27 []                      V1    Alu(W64, Mul, K)              "r{d} *= {i}";
            Mul64X          0x2f []                      V1    Alu(W64, Mul, X)              "r{d} *= r{s}";
            Sdiv64K         0x37 [Off(1)]                V4    Alu(W64, Sdiv, K)             "r{d} s/= {i}";
            Div64K          0x37 []                      V1    Alu(W64, Div, K)              "r{d} /= {i}";
            Sdiv64X         0x3f [Off(1)]                V4    Alu(W64, Sdiv, X)             "r{d} s/= r{s}";
            Div64X          0x3f []                      V1    Alu(W64, Div, X)              "r{d} /= r{s}";
            Or64K           0x47 []                      V1    Alu(W64, Or, K)               "r{d} |= {i}";
            Or64X           0x4f []                      V1    Alu(W64, Or, X)               "r{d} |= r{s}";
            And64K          0x57 []                      V1    Alu(W64, And, K)              "r{d} &= {i}";
            And64X          0x5f []                      V1    Alu(W64, And, X)              "r{d} &= r{s}";
            Lsh64K          0x67 []                      V1    Alu(W64, Lsh, K)              "r{d} <<= {i}";
            Lsh64X          0x6f []                      V1    Alu(W64, Lsh, X)              "r{d} <<= r{s}";
            Rsh64K          0x77 []                      V1    Alu(W64, Rsh, K)              "r{d} >>= {i}";
            Rsh64X          0x7f []                      V1    Alu(W64, Rsh, X)              "r{d} >>= r{s}";
            Smod64K         0x97 [Off(1)]                V4    Alu(W64, Smod, K)             "r{d} s%= {i}";
            Mod64K          0x97 []                      V1    Alu(W64, Mod, K)              "r{d} %= {i}";
            Smod64X         0x9f [Off(1)]                V4    Alu(W64, Smod, X)             "r{d} s%= r{s}";
            Mod64X          0x9f []                      V1    Alu(W64, Mod, X)              "r{d} %= r{s}";
            Xor64K          0xa7 []                      V1    Alu(W64, Xor, K)              "r{d} ^= {i}";
            Xor64X          0xaf []                      V1    Alu(W64, Xor, X)              "r{d} ^= r{s}";
            Mov64K          0xb7 []                      V1    Alu(W64, Mov, K)              "r{d} = {D}";
            CastKern        0xbf [Off(1), Imm(1)]        V4    AddrSpaceCast(Kernel)         "r{d} = addr_space_cast(r{s}, 0, 1)";
            CastUser        0xbf [Off(1), Imm(0x10000)]  V4    AddrSpaceCast(User)           "r{d} = addr_space_cast(r{s}, 1, 0)";
            CastBad         0xbf [Off(1)]                Never Malformed                     "r{d} = addr_space_cast(r{s}, {h}, {l})";
            PercpuMov       0xbf [Off(-1)]               Never Malformed                     "r{d} = &(void __percpu *)(r{s})";
            Movs8To64       0xbf [Off(8)]                V4    MovSx(W64, B8)                "r{d} = (s8)r{s}";
            Movs16To64      0xbf [Off(16)]               V4    MovSx(W64, B16)               "r{d} = (s16)r{s}";
            Movs32To64      0xbf [Off(32)]               V4    MovSx(W64, B32)               "r{d} = (s32)r{s}";
            Mov64X          0xbf []                      V1    Alu(W64, Mov, X)              "r{d} = r{s}";
            Arsh64K         0xc7 []                      V1    Alu(W64, Arsh, K)             "r{d} s>>= {i}";
            Arsh64X         0xcf []                      V1    Alu(W64, Arsh, X)             "r{d} s>>= r{s}";
            Neg64           0x87 []                      V1    Neg(W64)                      "r{d} = -r{d}";
            // ALU: class 4
            Add32K          0x04 []                      V3    Alu(W32, Add, K)              "w{d} += {w}";
            Add32X          0x0c []                      V3    Alu(W32, Add, X)              "w{d} += w{s}";
            Sub32K          0x14 []                      V3    Alu(W32, Sub, K)              "w{d} -= {w}";
            Sub32X          0x1c []                      V3    Alu(W32, Sub, X)              "w{d} -= w{s}";
            Mul32K          0x24 []                      V3    Alu(W32, Mul, K)              "w{d} *= {w}";
            Mul32X          0x2c []                      V3    Alu(W32, Mul, X)              "w{d} *= w{s}";
            Sdiv32K         0x34 [Off(1)]                V4    Alu(W32, Sdiv, K)             "w{d} s/= {w}";
            Div32K          0x34 []                      V3    Alu(W32, Div, K)              "w{d} /= {w}";
            Sdiv32X         0x3c [Off(1)]                V4    Alu(W32, Sdiv, X)             "w{d} s/= w{s}";
            Div32X          0x3c []                      V3    Alu(W32, Div, X)              "w{d} /= w{s}";
            Or32K           0x44 []                      V3    Alu(W32, Or, K)               "w{d} |= {w}";
            Or32X           0x4c []                      V3    Alu(W32, Or, X)               "w{d} |= w{s}";
            And32K          0x54 []                      V3    Alu(W32, And, K)              "w{d} &= {w}";
            And32X          0x5c []                      V3    Alu(W32, And, X)              "w{d} &= w{s}";
            Lsh32K          0x64 []                      V3    Alu(W32, Lsh, K)              "w{d} <<= {w}";
            Lsh32X          0x6c []                      V3    Alu(W32, Lsh, X)              "w{d} <<= w{s}";
            Rsh32K          0x74 []                      V3    Alu(W32, Rsh, K)              "w{d} >>= {w}";
            Rsh32X          0x7c []                      V3    Alu(W32, Rsh, X)              "w{d} >>= w{s}";
            Smod32K         0x94 [Off(1)]                V4    Alu(W32, Smod, K)             "w{d} s%= {w}";
            Mod32K          0x94 []                      V3    Alu(W32, Mod, K)              "w{d} %= {w}";
            Smod32X         0x9c [Off(1)]                V4    Alu(W32, Smod, X)             "w{d} s%= w{s}";
            Mod32X          0x9c []                      V3    Alu(W32, Mod, X)              "w{d} %= w{s}";
            Xor32K          0xa4 []                      V3    Alu(W32, Xor, K)              "w{d} ^= {w}";
            Xor32X          0xac []                      V3    Alu(W32, Xor, X)              "w{d} ^= w{s}";
            Mov32K          0xb4 []                      V3    Alu(W32, Mov, K)              "w{d} = {w}";
            Movs8To32       0xbc [Off(8)]                V4    MovSx(W32, B8)                "w{d} = (s8)w{s}";
            Movs16To32      0xbc [Off(16)]               V4    MovSx(W32, B16)               "w{d} = (s16)w{s}";
            Movs32To32      0xbc [Off(32)]               Never Malformed                     "w{d} = (s32)w{s}";
            Mov32X          0xbc []                      V3    Alu(W32, Mov, X)              "w{d} = w{s}";
            Arsh32K         0xc4 []                      V3    Alu(W32, Arsh, K)             "w{d} s>>= {w}";
            Arsh32X         0xcc []                      V3    Alu(W32, Arsh, X)             "w{d} s>>= w{s}";
            Neg32           0x84 []                      V3    Neg(W32)                      "w{d} = -w{d}";
            // Byte order: class 4 converts from or to the named order, class 7 always swaps
            Le16            0xd4 [Imm(16)]               V1    End(Le, B16)                  "r{d} = le16 r{d}";
            Le32            0xd4 [Imm(32)]               V1    End(Le, B32)                  "r{d} = le32 r{d}";
            Le64            0xd4 [Imm(64)]               V1    End(Le, B64)                  "r{d} = le64 r{d}";
            LeBad           0xd4 []                      Never Malformed                     "r{d} = le{i} r{d}";
            Be16            0xdc [Imm(16)]               V1    End(Be, B16)                  "r{d} = be16 r{d}";
            Be32            0xdc [Imm(32)]               V1    End(Be, B32)                  "r{d} = be32 r{d}";
            Be64            0xdc [Imm(64)]               V1    End(Be, B64)                  "r{d} = be64 r{d}";
            BeBad           0xdc []                      Never Malformed                     "r{d} = be{i} r{d}";
            Bswap16         0xd7 [Imm(16)]               V4    End(Swap, B16)                "r{d} = bswap16 r{d}";
            Bswap32         0xd7 [Imm(32)]               V4    End(Swap, B32)                "r{d} = bswap32 r{d}";
            Bswap64         0xd7 [Imm(64)]               V4    End(Swap, B64)                "r{d} = bswap64 r{d}";
            BswapBad        0xd7 []                      Never Malformed                     "r{d} = bswap{i} r{d}";
            // LD: 64-bit immediates (two slots) and packet loads of the classic BPF
            LdMapFd         0x18 [Src(1)]                V1    LdImm64(MapFd)                "r{d} = map[{m}]";
            LdMapValue      0x18 [Src(2)]                V1    LdImm64(MapValue)             "r{d} = map_value[{m}, {v}]";
            LdBtfId         0x18 [Src(3)]                V1    LdImm64(BtfId)                "r{d} = btf_id[{i}, {v}]";
            LdFunc          0x18 [Src(4)]                V1    LdImm64(Func)                 "r{d} = func {f}";
            LdMapIdx        0x18 [Src(5)]                V1    LdImm64(MapIdx)               "r{d} = map_idx[{i}]";
            LdMapIdxValue   0x18 [Src(6)]                V1    LdImm64(MapIdxValue)          "r{d} = map_idx_value[{i}, {v}]";
            LdImm64         0x18 [Src(0)]                V1    LdImm64(Const)                "r{d} = {q}";
            LdImm64Bad      0x18 []                      Never Malformed                     "r{d} = {q}";
            LdAbs32         0x20 []                      V1    LdAbs(B32)                    "r0 = *(u32 *)skb[{w}]";
            LdAbs16         0x28 []                      V1    LdAbs(B16)                    "r0 = *(u16 *)skb[{w}]";
            LdAbs8          0x30 []                      V1    LdAbs(B8)                     "r0 = *(u8 *)skb[{w}]";
            LdInd32         0x40 []                      V1    LdInd(B32)                    "r0 = *(u32 *)skb[r{s} + {w}]";
            LdInd16         0x48 []                      V1    LdInd(B16)                    "r0 = *(u16 *)skb[r{s} + {w}]";
            LdInd8          0x50 []                      V1    LdInd(B8)                     "r0 = *(u8 *)skb[r{s} + {w}]";
            // LDX, ST, STX
            Ldx32           0x61 []                      V1    Ldx(B32)                      "r{d} = *(u32 *)(r{s} {o})";
            Ldx16           0x69 []                      V1    Ldx(B16)                      "r{d} = *(u16 *)(r{s} {o})";
            Ldx8            0x71 []                      V1    Ldx(B8)                       "r{d} = *(u8 *)(r{s} {o})";
            Ldx64           0x79 []                      V1    Ldx(B64)                      "r{d} = *(u64 *)(r{s} {o})";
            Ldsx32          0x81 []                      V4    Ldsx(B32)                     "r{d} = *(s32 *)(r{s} {o})";
            Ldsx16          0x89 []                      V4    Ldsx(B16)                     "r{d} = *(s16 *)(r{s} {o})";
            Ldsx8           0x91 []                      V4    Ldsx(B8)                      "r{d} = *(s8 *)(r{s} {o})";
            St32            0x62 []                      V1    St(B32)                       "*(u32 *)(r{d} {o}) = {w}";
            St16            0x6a []                      V1    St(B16)                       "*(u16 *)(r{d} {o}) = {w}";
            St8             0x72 []                      V1    St(B8)                        "*(u8 *)(r{d} {o}) = {w}";
            St64            0x7a []                      V1    St(B64)                       "*(u64 *)(r{d} {o}) = {i}";
            Stx32           0x63 []                      V1    Stx(B32)                      "*(u32 *)(r{d} {o}) = r{s}";
            Stx16           0x6b []                      V1    Stx(B16)                      "*(u16 *)(r{d} {o}) = r{s}";
            Stx8            0x73 []                      V1    Stx(B8)                       "*(u8 *)(r{d} {o}) = r{s}";
            Stx64           0x7b []                      V1    Stx(B64)                      "*(u64 *)(r{d} {o}) = r{s}";
            // Atomics: imm selects the operation; read-modify-write exists for 32 and 64 bits only
            AtomicAdd32     0xc3 [Imm(0x00)]             V1    Atomic(B32, Add)              "lock *(u32 *)(r{d} {o}) += r{s}";
            AtomicOr32      0xc3 [Imm(0x40)]             V3    Atomic(B32, Or)               "lock *(u32 *)(r{d} {o}) |= r{s}";
            AtomicAnd32     0xc3 [Imm(0x50)]             V3    Atomic(B32, And)              "lock *(u32 *)(r{d} {o}) &= r{s}";
            AtomicXor32     0xc3 [Imm(0xa0)]             V3    Atomic(B32, Xor)              "lock *(u32 *)(r{d} {o}) ^= r{s}";
            AtomicFetchAdd32 0xc3 [Imm(0x01)]             V3    Atomic(B32, FetchAdd)         "r{s} = atomic_fetch_add((u32 *)(r{d} {o}), r{s})";
            AtomicFetchOr32 0xc3 [Imm(0x41)]             V3    Atomic(B32, FetchOr)          "r{s} = atomic_fetch_or((u32 *)(r{d} {o}), r{s})";
            AtomicFetchAnd32 0xc3 [Imm(0x51)]             V3    Atomic(B32, FetchAnd)         "r{s} = atomic_fetch_and((u32 *)(r{d} {o}), r{s})";
            AtomicFetchXor32 0xc3 [Imm(0xa1)]             V3    Atomic(B32, FetchXor)         "r{s} = atomic_fetch_xor((u32 *)(r{d} {o}), r{s})";
            Xchg32          0xc3 [Imm(0xe1)]             V3    Atomic(B32, Xchg)             "r{s} = atomic_xchg((u32 *)(r{d} {o}), r{s})";
            Cmpxchg32       0xc3 [Imm(0xf1)]             V3    Atomic(B32, Cmpxchg)          "r0 = atomic_cmpxchg((u32 *)(r{d} {o}), r0, r{s})";
            LoadAcquire32   0xc3 [Imm(0x100)]            V4    Atomic(B32, LoadAcquire)      "r{d} = load_acquire((u32 *)(r{s} {o}))";
            StoreRelease32  0xc3 [Imm(0x110)]            V4    Atomic(B32, StoreRelease)     "store_release((u32 *)(r{d} {o}), r{s})";
            AtomicAdd16     0xcb [Imm(0x00)]             Never Malformed                     "lock *(u16 *)(r{d} {o}) += r{s}";
            AtomicOr16      0xcb [Imm(0x40)]             Never Malformed                     "lock *(u16 *)(r{d} {o}) |= r{s}";
            AtomicAnd16     0xcb [Imm(0x50)]             Never Malformed                     "lock *(u16 *)(r{d} {o}) &= r{s}";
            AtomicXor16     0xcb [Imm(0xa0)]             Never Malformed                     "lock *(u16 *)(r{d} {o}) ^= r{s}";
            AtomicFetchAdd16 0xcb [Imm(0x01)]             Never Malformed                     "r{s} = atomic_fetch_add((u16 *)(r{d} {o}), r{s})";
            AtomicFetchOr16 0xcb [Imm(0x41)]             Never Malformed                     "r{s} = atomic_fetch_or((u16 *)(r{d} {o}), r{s})";
            AtomicFetchAnd16 0xcb [Imm(0x51)]             Never Malformed                     "r{s} = atomic_fetch_and((u16 *)(r{d} {o}), r{s})";
            AtomicFetchXor16 0xcb [Imm(0xa1)]             Never Malformed                     "r{s} = atomic_fetch_xor((u16 *)(r{d} {o}), r{s})";
            Xchg16          0xcb [Imm(0xe1)]             Never Malformed                     "r{s} = atomic_xchg((u16 *)(r{d} {o}), r{s})";
            Cmpxchg16       0xcb [Imm(0xf1)]             Never Malformed                     "r0 = atomic_cmpxchg((u16 *)(r{d} {o}), r0, r{s})";
            LoadAcquire16   0xcb [Imm(0x100)]            V4    Atomic(B16, LoadAcquire)      "r{d} = load_acquire((u16 *)(r{s} {o}))";
            StoreRelease16  0xcb [Imm(0x110)]            V4    Atomic(B16, StoreRelease)     "store_release((u16 *)(r{d} {o}), r{s})";
            AtomicAdd8      0xd3 [Imm(0x00)]             Never Malformed                     "lock *(u8 *)(r{d} {o}) += r{s}";
            AtomicOr8       0xd3 [Imm(0x40)]             Never Malformed                     "lock *(u8 *)(r{d} {o}) |= r{s}";
            AtomicAnd8      0xd3 [Imm(0x50)]             Never Malformed                     "lock *(u8 *)(r{d} {o}) &= r{s}";
            AtomicXor8      0xd3 [Imm(0xa0)]             Never Malformed                     "lock *(u8 *)(r{d} {o}) ^= r{s}";
            AtomicFetchAdd8 0xd3 [Imm(0x01)]             Never Malformed                     "r{s} = atomic_fetch_add((u8 *)(r{d} {o}), r{s})";
            AtomicFetchOr8  0xd3 [Imm(0x41)]             Never Malformed                     "r{s} = atomic_fetch_or((u8 *)(r{d} {o}), r{s})";
            AtomicFetchAnd8 0xd3 [Imm(0x51)]             Never Malformed                     "r{s} = atomic_fetch_and((u8 *)(r{d} {o}), r{s})";
            AtomicFetchXor8 0xd3 [Imm(0xa1)]             Never Malformed                     "r{s} = atomic_fetch_xor((u8 *)(r{d} {o}), r{s})";
            Xchg8           0xd3 [Imm(0xe1)]             Never Malformed                     "r{s} = atomic_xchg((u8 *)(r{d} {o}), r{s})";
            Cmpxchg8        0xd3 [Imm(0xf1)]             Never Malformed                     "r0 = atomic_cmpxchg((u8 *)(r{d} {o}), r0, r{s})";
            LoadAcquire8    0xd3 [Imm(0x100)]            V4    Atomic(B8, LoadAcquire)       "r{d} = load_acquire((u8 *)(r{s} {o}))";
            StoreRelease8   0xd3 [Imm(0x110)]            V4    Atomic(B8, StoreRelease)      "store_release((u8 *)(r{d} {o}), r{s})";
            AtomicAdd64     0xdb [Imm(0x00)]             V1    Atomic(B64, Add)              "lock *(u64 *)(r{d} {o}) += r{s}";
            AtomicOr64      0xdb [Imm(0x40)]             V3    Atomic(B64, Or)               "lock *(u64 *)(r{d} {o}) |= r{s}";
            AtomicAnd64     0xdb [Imm(0x50)]             V3    Atomic(B64, And)              "lock *(u64 *)(r{d} {o}) &= r{s}";
            AtomicXor64     0xdb [Imm(0xa0)]             V3    Atomic(B64, Xor)              "lock *(u64 *)(r{d} {o}) ^= r{s}";
            AtomicFetchAdd64 0xdb [Imm(0x01)]             V3    Atomic(B64, FetchAdd)         "r{s} = atomic64_fetch_add((u64 *)(r{d} {o}), r{s})";
            AtomicFetchOr64 0xdb [Imm(0x41)]             V3    Atomic(B64, FetchOr)          "r{s} = atomic64_fetch_or((u64 *)(r{d} {o}), r{s})";
            AtomicFetchAnd64 0xdb [Imm(0x51)]             V3    Atomic(B64, FetchAnd)         "r{s} = atomic64_fetch_and((u64 *)(r{d} {o}), r{s})";
            AtomicFetchXor64 0xdb [Imm(0xa1)]             V3    Atomic(B64, FetchXor)         "r{s} = atomic64_fetch_xor((u64 *)(r{d} {o}), r{s})";
            Xchg64          0xdb [Imm(0xe1)]             V3    Atomic(B64, Xchg)             "r{s} = atomic64_xchg((u64 *)(r{d} {o}), r{s})";
            Cmpxchg64       0xdb [Imm(0xf1)]             V3    Atomic(B64, Cmpxchg)          "r0 = atomic64_cmpxchg((u64 *)(r{d} {o}), r0, r{s})";
            LoadAcquire64   0xdb [Imm(0x100)]            V4    Atomic(B64, LoadAcquire)      "r{d} = load_acquire((u64 *)(r{s} {o}))";
            StoreRelease64  0xdb [Imm(0x110)]            V4    Atomic(B64, StoreRelease)     "store_release((u64 *)(r{d} {o}), r{s})";
            // JMP and JMP32
            Ja              0x05 []                      V1    Ja                            "goto {j}";
            Gotol           0x06 []                      V4    Gotol                         "gotol {J}";
            CallHelper      0x85 [Src(0)]                V1    CallHelper                    "call {n}";
            CallLocal       0x85 [Src(1)]                V1    CallLocal                     "call {J}";
            CallKfunc       0x85 [Src(2)]                V1    CallKfunc                     "call {k}";
            CallBad         0x85 []                      Never Malformed                     "call unknown#{i}";
            Exit            0x95 []                      V1    Exit                          "exit";
            MayGoto         0xe5 [Src(0)]                V4    MayGoto                       "may_goto {j}";
            JcondBad        0xe5 []                      Never Malformed                     "if r{d} (null) {x} goto {j}";
            Jeq64K          0x15 []                      V1    Cond(W64, Eq, K)              "if r{d} == {x} goto {j}";
            Jeq64X          0x1d []                      V1    Cond(W64, Eq, X)              "if r{d} == r{s} goto {j}";
            Jgt64K          0x25 []                      V1    Cond(W64, Gt, K)              "if r{d} > {x} goto {j}";
            Jgt64X          0x2d []                      V1    Cond(W64, Gt, X)              "if r{d} > r{s} goto {j}";
            Jge64K          0x35 []                      V1    Cond(W64, Ge, K)              "if r{d} >= {x} goto {j}";
            Jge64X          0x3d []                      V1    Cond(W64, Ge, X)              "if r{d} >= r{s} goto {j}";
            Jset64K         0x45 []                      V1    Cond(W64, Set, K)             "if r{d} & {x} goto {j}";
            Jset64X         0x4d []                      V1    Cond(W64, Set, X)             "if r{d} & r{s} goto {j}";
            Jne64K          0x55 []                      V1    Cond(W64, Ne, K)              "if r{d} != {x} goto {j}";
            Jne64X          0x5d []                      V1    Cond(W64, Ne, X)              "if r{d} != r{s} goto {j}";
            Jsgt64K         0x65 []                      V1    Cond(W64, Sgt, K)             "if r{d} s> {x} goto {j}";
            Jsgt64X         0x6d []                      V1    Cond(W64, Sgt, X)             "if r{d} s> r{s} goto {j}";
            Jsge64K         0x75 []                      V1    Cond(W64, Sge, K)             "if r{d} s>= {x} goto {j}";
            Jsge64X         0x7d []                      V1    Cond(W64, Sge, X)             "if r{d} s>= r{s} goto {j}";
            Jlt64K          0xa5 []                      V2    Cond(W64, Lt, K)              "if r{d} < {x} goto {j}";
            Jlt64X          0xad []                      V2    Cond(W64, Lt, X)              "if r{d} < r{s} goto {j}";
            Jle64K          0xb5 []                      V2    Cond(W64, Le, K)              "if r{d} <= {x} goto {j}";
            Jle64X          0xbd []                      V2    Cond(W64, Le, X)              "if r{d} <= r{s} goto {j}";
            Jslt64K         0xc5 []                      V2    Cond(W64, Slt, K)             "if r{d} s< {x} goto {j}";
            Jslt64X         0xcd []                      V2    Cond(W64, Slt, X)             "if r{d} s< r{s} goto {j}";
            Jsle64K         0xd5 []                      V2    Cond(W64, Sle, K)             "if r{d} s<= {x} goto {j}";
            Jsle64X         0xdd []                      V2    Cond(W64, Sle, X)             "if r{d} s<= r{s} goto {j}";
            Jeq32K          0x16 []                      V3    Cond(W32, Eq, K)              "if w{d} == {x} goto {j}";
            Jeq32X          0x1e []                      V3    Cond(W32, Eq, X)              "if w{d} == w{s} goto {j}";
            Jgt32K          0x26 []                      V3    Cond(W32, Gt, K)              "if w{d} > {x} goto {j}";
            Jgt32X          0x2e []                      V3    Cond(W32, Gt, X)              "if w{d} > w{s} goto {j}";
            Jge32K          0x36 []                      V3    Cond(W32, Ge, K)              "if w{d} >= {x} goto {j}";
            Jge32X          0x3e []                      V3    Cond(W32, Ge, X)              "if w{d} >= w{s} goto {j}";
            Jset32K         0x46 []                      V3    Cond(W32, Set, K)             "if w{d} & {x} goto {j}";
            Jset32X         0x4e []                      V3    Cond(W32, Set, X)             "if w{d} & w{s} goto {j}";
            Jne32K          0x56 []                      V3    Cond(W32, Ne, K)              "if w{d} != {x} goto {j}";
            Jne32X          0x5e []                      V3    Cond(W32, Ne, X)              "if w{d} != w{s} goto {j}";
            Jsgt32K         0x66 []                      V3    Cond(W32, Sgt, K)             "if w{d} s> {x} goto {j}";
            Jsgt32X         0x6e []                      V3    Cond(W32, Sgt, X)             "if w{d} s> w{s} goto {j}";
            Jsge32K         0x76 []                      V3    Cond(W32, Sge, K)             "if w{d} s>= {x} goto {j}";
            Jsge32X         0x7e []                      V3    Cond(W32, Sge, X)             "if w{d} s>= w{s} goto {j}";
            Jlt32K          0xa6 []                      V3    Cond(W32, Lt, K)              "if w{d} < {x} goto {j}";
            Jlt32X          0xae []                      V3    Cond(W32, Lt, X)              "if w{d} < w{s} goto {j}";
            Jle32K          0xb6 []                      V3    Cond(W32, Le, K)              "if w{d} <= {x} goto {j}";
            Jle32X          0xbe []                      V3    Cond(W32, Le, X)              "if w{d} <= w{s} goto {j}";
            Jslt32K         0xc6 []                      V3    Cond(W32, Slt, K)             "if w{d} s< {x} goto {j}";
            Jslt32X         0xce []                      V3    Cond(W32, Slt, X)             "if w{d} s< w{s} goto {j}";
            Jsle32K         0xd6 []                      V3    Cond(W32, Sle, K)             "if w{d} s<= {x} goto {j}";
            Jsle32X         0xde []                      V3    Cond(W32, Sle, X)             "if w{d} s<= w{s} goto {j}";
        }
    };
}

macro_rules! define_ops {
    ($($name:ident $code:literal [$($sel:ident($val:literal)),*] $since:ident $kind:ident $(($($arg:ident),+))? $text:literal;)+) => {
        /// Every instruction form of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Op {
            $($name),+
        }

        /// The table, indexed by `Op`.
        pub static ROWS: &[Row] = &[
            $(Row {
                op: Op::$name,
                name: stringify!($name),
                code: $code,
                sel: &[$(Sel::$sel($val)),*],
                since: Version::$since,
                kind: define_ops!(@kind $kind $($($arg),+)?),
                text: $text,
                fields: const { fields_of($text) },
            }),+
        ];
    };
    // The arguments of a kind, each in its own enum.
    (@kind Alu $w:ident, $op:ident, $rhs:ident) => { Kind::Alu(Width::$w, AluOp::$op, Rhs::$rhs) };
    (@kind Cond $w:ident, $op:ident, $rhs:ident) => { Kind::Cond(Width::$w, JumpOp::$op, Rhs::$rhs) };
    (@kind Neg $w:ident) => { Kind::Neg(Width::$w) };
    (@kind MovSx $w:ident, $size:ident) => { Kind::MovSx(Width::$w, Size::$size) };
    (@kind End $order:ident, $size:ident) => { Kind::End(ByteOrder::$order, Size::$size) };
    (@kind AddrSpaceCast $to:ident) => { Kind::AddrSpaceCast(Cast::$to) };
    (@kind LdImm64 $pseudo:ident) => { Kind::LdImm64(Pseudo::$pseudo) };
    (@kind Atomic $size:ident, $op:ident) => { Kind::Atomic(Size::$size, AtomicOp::$op) };
    (@kind $access:ident $size:ident) => { Kind::$access(Size::$size) };
    (@kind $kind:ident) => { Kind::$kind };
}

for_each_op!(define_ops);

/// For each opcode the range of its rows.
static BY_CODE: [(u16, u16); 256] = index_by_code();

const fn index_by_code() -> [(u16, u16); 256] {
    const CODES: &[u8] = &codes();
    let mut index = [(0, 0); 256];
    let mut i = 0;
    while i < CODES.len() {
        let code = CODES[i] as usize;
        assert!(index[code].1 == 0, "rows with the same opcode must stand together");
        let start = i;
        while i < CODES.len() && CODES[i] as usize == code {
            i += 1;
        }
        index[code] = (start as u16, i as u16);
    }
    index
}

macro_rules! define_codes {
    ($($name:ident $code:literal [$($sel:ident($val:literal)),*] $since:ident $kind:ident $(($($arg:ident),+))? $text:literal;)+) => {
        const fn codes() -> [u8; [$($code),+].len()] {
            [$($code),+]
        }
    };
}

for_each_op!(define_codes);

impl Op {
    /// All forms, including those that no kernel takes.
    pub fn all() -> impl Iterator<Item = Op> {
        ROWS.iter().map(|r| r.op)
    }

    /// All forms that a kernel takes.
    pub fn valid() -> impl Iterator<Item = Op> {
        ROWS.iter().filter(|r| r.since != Version::Never).map(|r| r.op)
    }

    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    pub fn kind(self) -> Kind {
        self.row().kind
    }

    pub fn since(self) -> Version {
        self.row().since
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Operand fields of the form.
    pub fn free_fields(self) -> Fields {
        self.row().fields
    }

    /// Rows of an opcode, in order of selection.
    pub(crate) fn of_code(code: u8) -> &'static [Row] {
        let (start, end) = BY_CODE[code as usize];
        &ROWS[start as usize..end as usize]
    }
}
