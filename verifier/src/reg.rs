//! What one register knows: its type, its numbers, and what ties it to other registers. Nothing here decides anything.

use crate::value::{Scalar, alu};
use std::fmt;

/// Base kind of a register, named as in the kernel's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    NotInit,
    Scalar,
    Ctx,
    MapPtr,
    MapValue,
    MapKey,
    Stack,
    Packet,
    PacketMeta,
    PacketEnd,
    FlowKeys,
    Sock,
    SockCommon,
    TcpSock,
    XdpSock,
    TpBuffer,
    Btf,
    Mem,
    Buf,
    Arena,
    Func,
    /// Argument of a callback or global function: a dynptr that lives elsewhere and may not be changed.
    DynptrPtr,
}

impl Kind {
    /// The kernel's word for the kind, without prefix and suffix.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::NotInit => "?",
            Kind::Scalar => "scalar",
            Kind::Ctx => "ctx",
            Kind::MapPtr => "map_ptr",
            Kind::MapValue => "map_value",
            Kind::MapKey => "map_key",
            Kind::Stack => "fp",
            Kind::Packet => "pkt",
            Kind::PacketMeta => "pkt_meta",
            Kind::PacketEnd => "pkt_end",
            Kind::FlowKeys => "flow_keys",
            Kind::Sock => "sock",
            Kind::SockCommon => "sock_common",
            Kind::TcpSock => "tcp_sock",
            Kind::XdpSock => "xdp_sock",
            Kind::TpBuffer => "tp_buffer",
            Kind::Btf => "ptr_",
            Kind::Mem => "mem",
            Kind::Buf => "buf",
            Kind::Arena => "arena",
            Kind::Func => "func",
            Kind::DynptrPtr => "dynptr_ptr",
        }
    }
}

/// Modifiers of a register's type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u32);

impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const MAYBE_NULL: Flags = Flags(1 << 0);
    pub const RDONLY: Flags = Flags(1 << 1);
    pub const RINGBUF: Flags = Flags(1 << 2);
    pub const USER: Flags = Flags(1 << 3);
    pub const PERCPU: Flags = Flags(1 << 4);
    pub const UNTRUSTED: Flags = Flags(1 << 5);
    pub const TRUSTED: Flags = Flags(1 << 6);
    pub const RCU: Flags = Flags(1 << 7);
    /// Object of a program-BTF type that the program allocated.
    pub const ALLOC: Flags = Flags(1 << 8);
    /// Graph node that is in a list or tree: usable while the lock is held.
    pub const NON_OWNING: Flags = Flags(1 << 9);
    pub const DYNPTR_LOCAL: Flags = Flags(1 << 10);
    pub const DYNPTR_RINGBUF: Flags = Flags(1 << 11);
    pub const DYNPTR_SKB: Flags = Flags(1 << 12);
    pub const DYNPTR_XDP: Flags = Flags(1 << 13);
    pub const DYNPTR_SKB_META: Flags = Flags(1 << 14);
    pub const DYNPTR_ANY: Flags = Flags(0x1f << 10);

    pub const fn has(self, f: Flags) -> bool {
        self.0 & f.0 == f.0
    }
    pub const fn any(self, f: Flags) -> bool {
        self.0 & f.0 != 0
    }
    pub const fn with(self, f: Flags) -> Flags {
        Flags(self.0 | f.0)
    }
    pub const fn without(self, f: Flags) -> Flags {
        Flags(self.0 & !f.0)
    }
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, o: Flags) -> Flags {
        self.with(o)
    }
}

/// Kind and flags together: what the kernel compares when it compares "types".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegType {
    pub kind: Kind,
    pub flags: Flags,
}

impl RegType {
    pub const NOT_INIT: RegType = RegType::of(Kind::NotInit);
    pub const SCALAR: RegType = RegType::of(Kind::Scalar);

    pub const fn of(kind: Kind) -> RegType {
        RegType { kind, flags: Flags::NONE }
    }
    pub const fn with(self, f: Flags) -> RegType {
        RegType { kind: self.kind, flags: self.flags.with(f) }
    }
    pub const fn without(self, f: Flags) -> RegType {
        RegType { kind: self.kind, flags: self.flags.without(f) }
    }
    pub const fn maybe_null(self) -> bool {
        self.flags.has(Flags::MAYBE_NULL)
    }
    /// Exactly this kind, no flag at all.
    pub fn is(self, kind: Kind) -> bool {
        self == RegType::of(kind)
    }
    pub const fn is_pointer(self) -> bool {
        !matches!(self.kind, Kind::Scalar | Kind::NotInit)
    }
    /// pkt, pkt_meta or pkt_end: may be compared with each other without leaking anything.
    pub fn is_packet_any(self) -> bool {
        self.is(Kind::Packet) || self.is(Kind::PacketMeta) || self.is(Kind::PacketEnd)
    }
    pub fn is_packet(self) -> bool {
        self.is(Kind::Packet) || self.is(Kind::PacketMeta)
    }
    pub fn is_sock_like(self) -> bool {
        self.flags.is_empty() && matches!(self.kind, Kind::Sock | Kind::SockCommon | Kind::TcpSock | Kind::XdpSock)
    }
}

impl fmt::Display for RegType {
    /// Prefixes, base and null suffix as in messages (`rcu_ptr_or_null_`); the struct name of a BTF pointer is not part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PREFIX: [(Flags, &str); 7] = [
            (Flags::RDONLY, "rdonly_"),
            (Flags::RINGBUF, "ringbuf_"),
            (Flags::USER, "user_"),
            (Flags::PERCPU, "percpu_"),
            (Flags::RCU, "rcu_"),
            (Flags::UNTRUSTED, "untrusted_"),
            (Flags::TRUSTED, "trusted_"),
        ];
        for (flag, text) in PREFIX {
            if self.flags.has(flag) {
                f.write_str(text)?;
            }
        }
        f.write_str(self.kind.name())?;
        if self.maybe_null() {
            f.write_str(if self.kind == Kind::Btf { "or_null_" } else { "_or_null" })?;
        }
        Ok(())
    }
}

/// Index into [`crate::env::Verifier::maps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapId(pub u16);

/// Index into [`crate::env::Verifier::btfs`]. 0 is the kernel's, 1 the program's (when it has one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BtfId(pub u16);

impl BtfId {
    pub const KERNEL: BtfId = BtfId(0);
    pub const PROGRAM: BtfId = BtfId(1);
}

/// Where a dynptr's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DynptrType {
    Local,
    Ringbuf,
    Skb,
    Xdp,
    SkbMeta,
}

impl DynptrType {
    pub const fn name(self) -> &'static str {
        match self {
            DynptrType::Local => "local",
            DynptrType::Ringbuf => "ringbuf",
            DynptrType::Skb => "skb",
            DynptrType::Xdp => "xdp",
            DynptrType::SkbMeta => "skb_meta",
        }
    }
    /// Only ring buffer dynptrs hold a reference that must be given back.
    pub const fn refcounted(self) -> bool {
        matches!(self, DynptrType::Ringbuf)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IterState {
    Active,
    Drained,
}

/// Which kfuncs made an irq flag: it must be given back to the same family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IrqClass {
    Native,
    Lock,
}

/// What only one kind of pointer has. One at a time, as in the kernel: copying a register copies it whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ext {
    #[default]
    None,
    /// Packet: bytes proven to exist; [`Ext::AT_END`] and [`Ext::BEYOND_END`] are special.
    Range(i32),
    Map {
        map: MapId,
        uid: u32,
    },
    Mem {
        size: u32,
        dynptr_id: u32,
    },
    Btf {
        btf: BtfId,
        id: u32,
    },
    Subprog(u32),
    Dynptr {
        ty: DynptrType,
        first: bool,
    },
    Iter {
        btf: BtfId,
        id: u32,
        state: IterState,
        depth: u32,
    },
    Irq(IrqClass),
}

impl Ext {
    pub const AT_END: i32 = -1;
    pub const BEYOND_END: i32 = -2;
}

/// Set in a scalar's `id`: its value is the linked base plus `off` (64-bit link).
pub const ADD_CONST64: u32 = 1 << 31;
/// The same, for a link through a 32-bit operation.
pub const ADD_CONST32: u32 = 1 << 30;
pub const ADD_CONST: u32 = ADD_CONST64 | ADD_CONST32;

/// One register (or the image of one in a stack slot).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg {
    pub ty: RegType,
    pub precise: bool,
    /// Frame that a stack pointer points into.
    pub frameno: u8,
    /// Pointers: fixed offset; where kernels keep none apart ([`spec::profile::Changes::offset_in_one`]), only as long as the variable
    /// part is zero. Scalars: delta of a link (see [`ADD_CONST`]).
    pub off: i32,
    pub id: u32,
    pub ref_obj_id: u32,
    /// The value of a scalar; the variable part of a pointer's offset.
    pub val: Scalar,
    pub ext: Ext,
}

impl Reg {
    pub const NOT_INIT: Reg = Reg {
        ty: RegType::NOT_INIT,
        precise: false,
        frameno: 0,
        off: 0,
        id: 0,
        ref_obj_id: 0,
        val: Scalar::UNKNOWN,
        ext: Ext::None,
    };

    /// A scalar about which nothing is known. `precise` is true for programs without CAP_BPF, see `Verifier::unknown`.
    pub const fn unknown(precise: bool) -> Reg {
        Reg { ty: RegType::SCALAR, precise, ..Reg::NOT_INIT }
    }

    /// A pointer with zero offsets.
    pub const fn pointer(ty: RegType) -> Reg {
        Reg { ty, val: Scalar::known(0), ..Reg::NOT_INIT }
    }

    pub fn is_scalar(&self) -> bool {
        self.ty.kind == Kind::Scalar
    }
    pub fn is_init(&self) -> bool {
        self.ty.kind != Kind::NotInit
    }
    /// A scalar (not a pointer) whose 64 bits are all known.
    pub fn is_const(&self) -> bool {
        self.is_scalar() && self.val.var_off.is_const()
    }
    pub fn const_value(&self) -> Option<u64> {
        self.is_const().then_some(self.val.var_off.value)
    }
    /// The constant scalar 0.
    pub fn is_null(&self) -> bool {
        self.const_value() == Some(0)
    }
    /// Id of the link without the "plus constant" bits.
    pub const fn base_id(&self) -> u32 {
        self.id & !ADD_CONST
    }
    /// The whole offset of a pointer: the fixed and the variable part together.
    pub fn offset(&self) -> Scalar {
        let fixed = Scalar::known(self.off as i64 as u64);
        if self.off == 0 {
            return self.val;
        }
        if self.val.is_zero() {
            return fixed;
        }
        let mut whole = self.val;
        alu::displace_up(&self.val, &fixed, &mut whole);
        whole
    }
    pub fn map(&self) -> Option<MapId> {
        match self.ext {
            Ext::Map { map, .. } => Some(map),
            _ => None,
        }
    }
    pub fn btf(&self) -> Option<(BtfId, u32)> {
        match self.ext {
            Ext::Btf { btf, id } => Some((btf, id)),
            _ => None,
        }
    }
    pub fn mem_size(&self) -> u32 {
        match self.ext {
            Ext::Mem { size, .. } => size,
            _ => 0,
        }
    }
    pub fn dynptr_id(&self) -> u32 {
        match self.ext {
            Ext::Mem { dynptr_id, .. } => dynptr_id,
            _ => 0,
        }
    }
    pub fn range(&self) -> i32 {
        match self.ext {
            Ext::Range(r) => r,
            _ => 0,
        }
    }
    /// Becomes the constant `c`: numbers, id, link and type-specific data; type and `precise` stay.
    pub fn set_known(&mut self, c: u64) {
        self.val = Scalar::known(c);
        self.id = 0;
        self.ref_obj_id = 0;
        self.off = 0;
        self.ext = Ext::None;
    }
    /// Identical in everything that equality of states looks at, ids aside.
    pub fn same_facts(&self, o: &Reg) -> bool {
        self.ty == o.ty && self.off == o.off && self.ext == o.ext && self.val == o.val
    }
}
