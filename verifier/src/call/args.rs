//! One argument of a helper: its type, its offset, and what its kind demands. Memory bounds are in `mem`, dynptrs, locks and kptrs
//! in files of their own.

use super::helper::HelperCall;
use super::id;
use crate::env::Verifier;
use crate::mem::Access;
use crate::reg::{BtfId, Ext, Flags, Kind, Reg, RegType};
use crate::reject::errno::EACCES;
use crate::reject::{R, Reject};
use crate::stack::Byte;
use btf::Kind as BtfKind;
use spec::MapType;
use spec::helper::{Arg, ArgKind, MemAccess, MemSize};
use spec::prog::HelperPacket;
use std::fmt;

/// Register types that an argument accepts, printed as the kernel lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeList(pub &'static [RegType]);

impl fmt::Display for TypeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, ty) in self.0.iter().enumerate() {
            write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

const fn plain(kind: Kind) -> RegType {
    RegType::of(kind)
}
const fn flagged(kind: Kind, flags: Flags) -> RegType {
    RegType { kind, flags }
}

/// Messages name the types in their order, so that shorter lists are beginnings of longer ones.
const fn without_last(list: &'static [RegType]) -> &'static [RegType] {
    match list.split_last() {
        Some((_, rest)) => rest,
        None => list,
    }
}

const BTF_PLAIN: RegType = plain(Kind::Btf);
const BTF_TRUSTED: RegType = flagged(Kind::Btf, Flags::TRUSTED);
const BTF_RCU: RegType = flagged(Kind::Btf, Flags::RCU);
const BTF_ALLOC: RegType = flagged(Kind::Btf, Flags::ALLOC);

const MEMORY_OR_CTX: &[RegType] = &[
    plain(Kind::Stack),
    plain(Kind::Packet),
    plain(Kind::PacketMeta),
    plain(Kind::MapKey),
    plain(Kind::MapValue),
    plain(Kind::Mem),
    flagged(Kind::Mem, Flags::RINGBUF),
    plain(Kind::Buf),
    BTF_TRUSTED,
    plain(Kind::Ctx),
];
const MEMORY: &[RegType] = without_last(MEMORY_OR_CTX);
const EARLY_MEMORY: &[RegType] = without_last(MEMORY);
const EARLY_ELEMENTS: &[RegType] =
    &[plain(Kind::Stack), plain(Kind::Packet), plain(Kind::PacketMeta), plain(Kind::MapKey), plain(Kind::MapValue)];
const EARLY_BTF_SOCK_COMMONS: &[RegType] =
    &[plain(Kind::SockCommon), plain(Kind::Sock), plain(Kind::TcpSock), plain(Kind::XdpSock), BTF_PLAIN];
const EARLY_BTF: &[RegType] = &[BTF_PLAIN];
const EARLY_PERCPU: &[RegType] = &[flagged(Kind::Btf, Flags::PERCPU)];
const SCALARS: &[RegType] = &[RegType::SCALAR];
const MAP_PTRS: &[RegType] = &[plain(Kind::MapPtr)];
const CONTEXTS: &[RegType] = &[plain(Kind::Ctx)];
const SOCK_COMMONS: &[RegType] =
    &[plain(Kind::SockCommon), plain(Kind::Sock), plain(Kind::TcpSock), plain(Kind::XdpSock)];
const BTF_SOCK_COMMONS: &[RegType] =
    &[plain(Kind::SockCommon), plain(Kind::Sock), plain(Kind::TcpSock), plain(Kind::XdpSock), BTF_PLAIN, BTF_TRUSTED];
const FULL_SOCKS: &[RegType] = &[plain(Kind::Sock)];
pub(super) const BTF_POINTERS: &[RegType] = &[BTF_PLAIN, BTF_TRUSTED, BTF_RCU];
const VALUE_OR_OBJECT: &[RegType] = &[plain(Kind::MapValue), BTF_ALLOC];
const KPTR_PLACES: &[RegType] = &[plain(Kind::MapValue), BTF_ALLOC, BTF_PLAIN, BTF_RCU];
const RINGBUF_MEM: &[RegType] = &[flagged(Kind::Mem, Flags::RINGBUF)];
const PERCPU_POINTERS: &[RegType] = &[
    flagged(Kind::Btf, Flags::PERCPU),
    flagged(Kind::Btf, Flags(Flags::PERCPU.0 | Flags::RCU.0)),
    flagged(Kind::Btf, Flags(Flags::PERCPU.0 | Flags::TRUSTED.0)),
];
const FUNCS: &[RegType] = &[plain(Kind::Func)];
const STACKS: &[RegType] = &[plain(Kind::Stack)];
const MAP_VALUES: &[RegType] = &[plain(Kind::MapValue)];
const DYNPTRS: &[RegType] = &[plain(Kind::Stack), plain(Kind::DynptrPtr)];

/// Accepted register types of an argument kind.
fn accepted(kind: ArgKind) -> &'static [RegType] {
    match kind {
        ArgKind::MapKey | ArgKind::MapValue(_) | ArgKind::Mem(..) => MEMORY,
        ArgKind::Size { .. } | ArgKind::ConstAllocSize => SCALARS,
        ArgKind::ConstMapPtr => MAP_PTRS,
        ArgKind::Ctx => CONTEXTS,
        ArgKind::SockCommon => SOCK_COMMONS,
        ArgKind::BtfSockCommon => BTF_SOCK_COMMONS,
        ArgKind::Socket => FULL_SOCKS,
        ArgKind::Btf(_) | ArgKind::BtfOfKptr => BTF_POINTERS,
        ArgKind::SpinLock | ArgKind::KptrDest => VALUE_OR_OBJECT,
        ArgKind::RingbufMem => RINGBUF_MEM,
        ArgKind::PercpuBtf => PERCPU_POINTERS,
        ArgKind::Func => FUNCS,
        ArgKind::Stack => STACKS,
        ArgKind::ConstStr | ArgKind::Timer => MAP_VALUES,
        ArgKind::Dynptr { .. } => DYNPTRS,
        ArgKind::None | ArgKind::Anything => &[],
    }
}

/// The same where a pointer to a kernel object is trusted or not by nothing but its type.
fn accepted_early(kind: ArgKind) -> &'static [RegType] {
    match kind {
        ArgKind::MapKey | ArgKind::MapValue(_) => EARLY_ELEMENTS,
        ArgKind::Mem(..) => EARLY_MEMORY,
        ArgKind::BtfSockCommon => EARLY_BTF_SOCK_COMMONS,
        ArgKind::Btf(_) | ArgKind::BtfOfKptr => EARLY_BTF,
        ArgKind::SpinLock | ArgKind::KptrDest => MAP_VALUES,
        ArgKind::PercpuBtf => EARLY_PERCPU,
        other => accepted(other),
    }
}

/// What a BTF pointer has to point to.
enum Wanted {
    /// Nothing is demanded.
    Any,
    Kernel(&'static str),
    Kptr,
}

impl Verifier<'_> {
    pub(super) fn check_helper_arg(&mut self, i: usize, call: &mut HelperCall) -> R {
        let arg = call.proto.args[i];
        let regno = i as u8 + 1;
        if arg.kind == ArgKind::None {
            return Ok(());
        }
        self.check_reg_read(regno)?;
        let reg = self.reg(regno);
        if arg.kind == ArgKind::Anything {
            let rounds = call.id() == super::id::LOOP && regno == 1 && self.profile.changes.loop_rounds_are_numbers;
            if rounds && !reg.is_scalar() && self.privs.ptr_leaks {
                return Err(Reject::ArgType { reg: regno, ty: reg.ty, expected: TypeList(SCALARS) });
            }
            return match reg.ty.is_pointer() && !self.privs.ptr_leaks {
                true => Err(Reject::HelperLeak { reg: regno }),
                false => Ok(()),
            };
        }
        if reg.ty.is_packet() && !self.helper_takes_packet(call) {
            return Err(Reject::HelperPacket);
        }
        let arg = Arg { kind: self.resolve_map_value(arg.kind, call)?, ..arg };
        if arg.nullable && reg.is_null() {
            if self.profile.changes.null_args_precise {
                self.mark_precise(regno)?;
            }
        } else {
            self.check_arg_type(regno, arg, call)?;
            match self.profile.changes.trusted_pointers {
                true => self.check_arg_offset(regno, &reg, arg.release, matches!(arg.kind, ArgKind::Dynptr { .. }))?,
                false => self.check_arg_offset_early(regno, &reg, arg)?,
            }
        }
        if arg.release {
            self.check_released(regno, arg.kind, call)?;
        }
        if reg.ref_obj_id != 0 && arg.kind != ArgKind::KptrDest {
            if call.ref_obj_id != 0 {
                return Err(Reject::TwoReferences { reg: regno, id: reg.ref_obj_id, first: call.ref_obj_id });
            }
            call.ref_obj_id = reg.ref_obj_id;
        }
        self.check_arg_kind(regno, arg, call)
    }

    fn helper_takes_packet(&self, call: &HelperCall) -> bool {
        match spec::prog::packet_rules(self.prog_type).helper {
            HelperPacket::Never => false,
            HelperPacket::IfHelperTakes => call.proto.pkt_access,
            HelperPacket::Always => true,
        }
    }

    /// The value of a socket map is a socket, the value that a bloom filter is asked about is read.
    fn resolve_map_value(&self, kind: ArgKind, call: &HelperCall) -> R<ArgKind> {
        let (ArgKind::MapValue(access), Some((map, _))) = (kind, call.map) else { return Ok(kind) };
        match MapType::from_raw(self.map(map).def.map_type) {
            Some(MapType::Sockmap | MapType::Sockhash) if access == MemAccess::Read => Ok(ArgKind::BtfSockCommon),
            Some(MapType::Sockmap | MapType::Sockhash) => Err(Reject::SockmapValueArg),
            Some(MapType::BloomFilter) if call.id() == id::MAP_PEEK_ELEM => Ok(ArgKind::MapValue(MemAccess::Read)),
            _ => Ok(kind),
        }
    }

    /// The register's type is in the kind's list, and a BTF pointer points to the wanted type.
    fn check_arg_type(&mut self, regno: u8, arg: Arg, call: &HelperCall) -> R {
        let reg = self.reg(regno);
        let list = if self.profile.changes.trusted_pointers { accepted(arg.kind) } else { accepted_early(arg.kind) };
        let more_places = arg.kind == ArgKind::KptrDest && self.profile.changes.kptrs_in_kernel_objects;
        let mut list = if more_places { KPTR_PLACES } else { list };
        if list == MEMORY && self.profile.changes.ctx_as_memory {
            list = MEMORY_OR_CTX;
        }
        let mut ty = reg.ty;
        if matches!(arg.kind, ArgKind::Mem(MemAccess::Read, _)) {
            ty = ty.without(Flags::RDONLY);
        }
        if arg.nullable {
            ty = ty.without(Flags::MAYBE_NULL);
        }
        if matches!(arg.kind, ArgKind::Mem(..)) {
            ty = ty.without(Flags::DYNPTR_ANY);
        }
        if arg.kind == ArgKind::BtfOfKptr && ty.flags.has(Flags::ALLOC) {
            ty = ty.without(Flags::ALLOC | Flags::PERCPU);
        }
        if !list.contains(&ty) {
            return Err(Reject::ArgType { reg: regno, ty: reg.ty, expected: TypeList(list) });
        }
        if reg.ty.kind != Kind::Btf {
            return Ok(());
        }
        if list.starts_with(MEMORY) {
            return match arg.kind {
                ArgKind::Mem(MemAccess::Read, _) => Ok(()),
                _ => Err(Reject::ArgWritten { helper: call.proto.name(), reg: regno, ty: reg.ty }),
            };
        }
        let wanted = match arg.kind {
            ArgKind::Btf(name) => Wanted::Kernel(name),
            ArgKind::BtfSockCommon => Wanted::Kernel("sock_common"),
            ArgKind::BtfOfKptr => Wanted::Kptr,
            _ => Wanted::Any,
        };
        self.check_arg_btf(regno, arg, wanted, call)
    }

    fn check_arg_btf(&mut self, regno: u8, arg: Arg, wanted: Wanted, call: &HelperCall) -> R {
        let reg = self.reg(regno);
        let flags = reg.ty.flags.without(Flags::MAYBE_NULL);
        let kernel_like = [Flags::NONE, Flags::TRUSTED, Flags::RCU].contains(&flags);
        let typed = kernel_like || matches!(wanted, Wanted::Kptr);
        // A release needs the object itself: NULL was told apart before.
        if typed && reg.ty.maybe_null() && (!arg.nullable || arg.release) {
            return Err(Reject::ArgMaybeNull { reg: regno });
        }
        match wanted {
            Wanted::Kptr => match call.kptr {
                Some(field) => self.check_kptr_value(regno, &reg, &field),
                None => Ok(()),
            },
            Wanted::Kernel(name) if kernel_like => {
                let strict = arg.release && call.id() != id::SK_RELEASE;
                self.check_reg_points_to(regno, &reg, name, strict)
            }
            _ => Ok(()),
        }
    }

    /// The BTF pointer points to the kernel's struct `name` (or to one that begins with it, unless `strict`).
    pub(super) fn check_reg_points_to(&mut self, regno: u8, reg: &Reg, name: &str, strict: bool) -> R {
        let want = self.btf(BtfId::KERNEL).and_then(|b| b.find_by_name_kind(name, BtfKind::Struct));
        let Some(want) = want else {
            return Err(Reject::unsupported(format!("struct {name} is not in the kernel's BTF")));
        };
        self.check_reg_points_to_id(regno, reg, want, strict)
    }

    /// The same with a type id of the kernel's BTF.
    pub(super) fn check_reg_points_to_id(&mut self, regno: u8, reg: &Reg, want: u32, strict: bool) -> R {
        let Some((btf, have)) = reg.btf() else {
            return Err(Reject::bug(format!("R{regno} has no btf_id")));
        };
        if self.btf_types_match(btf, have, reg.off, BtfId::KERNEL, want, strict) {
            return Ok(());
        }
        Err(Reject::ArgBtfType {
            reg: regno,
            have: self.btf_type_name(btf, have).to_owned(),
            want: self.btf_type_name(BtfId::KERNEL, want).to_owned(),
        })
    }

    /// Which offsets a register of this type may carry into a call.
    pub(super) fn check_arg_offset(&mut self, regno: u8, reg: &Reg, release: bool, dynptr: bool) -> R {
        if release {
            if dynptr && reg.ty.is(Kind::Stack) {
                return Ok(());
            }
            if reg.off != 0 {
                return Err(Reject::ArgReleaseOffset { reg: regno });
            }
            return self.check_ptr_off_reg(reg, regno, false);
        }
        let flags = reg.ty.flags;
        match reg.ty.kind {
            // Bounds of the context are checked with the memory that it stands for.
            Kind::Ctx if self.profile.changes.ctx_as_memory && self.prog_type == spec::ProgType::Syscall => Ok(()),
            Kind::Stack
            | Kind::Packet
            | Kind::PacketMeta
            | Kind::MapKey
            | Kind::MapValue
            | Kind::Arena
            | Kind::Scalar
                if flags.is_empty() =>
            {
                Ok(())
            }
            Kind::Mem if [Flags::NONE, Flags::RDONLY, Flags::RINGBUF].contains(&flags) => Ok(()),
            Kind::Buf if [Flags::NONE, Flags::RDONLY].contains(&flags) => Ok(()),
            Kind::Btf => {
                let graph = Flags::ALLOC | Flags::NON_OWNING;
                let fixed_ok =
                    [Flags::NONE, Flags::ALLOC, Flags::TRUSTED, Flags::RCU, graph, graph | Flags::RCU].contains(&flags);
                self.check_ptr_off_reg(reg, regno, fixed_ok)
            }
            _ => self.check_ptr_off_reg(reg, regno, false),
        }
    }

    /// The same where a ring buffer record must not have moved, and a released object only not by a constant.
    fn check_arg_offset_early(&self, regno: u8, reg: &Reg, arg: Arg) -> R {
        let flags = reg.ty.flags;
        let dynptr = matches!(arg.kind, ArgKind::Dynptr { .. });
        let movable = match reg.ty.kind {
            Kind::Stack if dynptr && reg.off % 8 != 0 => return Err(Reject::DynptrAtOffset),
            Kind::Stack | Kind::Packet | Kind::PacketMeta | Kind::MapKey | Kind::MapValue | Kind::Scalar => {
                flags.is_empty()
            }
            Kind::Mem => [Flags::NONE, Flags::RDONLY, Flags::RINGBUF].contains(&flags),
            Kind::Buf => [Flags::NONE, Flags::RDONLY].contains(&flags),
            _ => false,
        };
        let kept = arg.kind == ArgKind::RingbufMem && self.profile.changes.records_unmoved;
        if movable && !kept {
            return Ok(());
        }
        let object = reg.ty.is(Kind::Btf);
        if object && arg.release && reg.off != 0 {
            return Err(Reject::ArgReleaseOffset { reg: regno });
        }
        self.check_ptr_off_reg(reg, regno, object)
    }

    /// The argument of a releasing call holds a reference.
    fn check_released(&mut self, regno: u8, kind: ArgKind, call: &mut HelperCall) -> R {
        let reg = self.reg(regno);
        if matches!(kind, ArgKind::Dynptr { .. }) {
            if !reg.ty.is(Kind::Stack) {
                return Err(Reject::DynptrConstRelease);
            }
            let held = self
                .dynptr_slot(&reg, regno)?
                .is_some_and(|s| self.cur.frames[s.frame].stack[s.slot].reg.ref_obj_id != 0);
            if !held {
                return Err(Reject::DynptrUnacquired { arg: regno });
            }
        } else if reg.ref_obj_id == 0 && !reg.is_null() && self.profile.changes.release_before_helper {
            return Err(Reject::ReleaseUnreferenced { reg: regno, helper: call.proto.name() });
        }
        call.release_reg = Some(regno);
        Ok(())
    }

    /// What is special to the kind.
    fn check_arg_kind(&mut self, regno: u8, arg: Arg, call: &mut HelperCall) -> R {
        match arg.kind {
            ArgKind::ConstMapPtr => self.check_map_arg(regno, call),
            ArgKind::MapKey => self.check_key_arg(regno, call),
            ArgKind::MapValue(access) => self.check_value_arg(regno, arg, access, call),
            ArgKind::Mem(access, size) => self.check_mem_arg(regno, access, size, call),
            ArgKind::Size { zero_allowed } => self.check_size_arg(regno, zero_allowed, call),
            ArgKind::ConstAllocSize => {
                let Some(size) = self.reg(regno).const_value() else {
                    return Err(Reject::AllocSizeUnknown { reg: regno });
                };
                call.mem_size = size as u32;
                self.mark_precise(regno)
            }
            ArgKind::PercpuBtf => {
                let reg = self.reg(regno);
                if reg.btf().is_none_or(|(_, id)| id == 0) {
                    return Err(Reject::HelperNoBtfId { reg: regno });
                }
                call.percpu = reg.btf();
                call.percpu_object = reg.ty.flags.has(Flags::RCU);
                Ok(())
            }
            ArgKind::SpinLock => {
                let checked = self.check_spin_lock(regno, call.id() == id::SPIN_LOCK);
                self.as_refused_argument(checked)
            }
            ArgKind::Timer => {
                let checked = self.check_timer(regno, call);
                self.as_refused_argument(checked)
            }
            ArgKind::Func => {
                call.callback = Self::callback_of(&self.reg(regno));
                Ok(())
            }
            ArgKind::Dynptr { kind, uninit, rdonly } => self.check_helper_dynptr(regno, kind, uninit, rdonly, call),
            ArgKind::ConstStr => self.check_const_str(regno),
            ArgKind::KptrDest => {
                let checked = self.check_kptr_dest(regno, call);
                self.as_refused_argument(checked)
            }
            ArgKind::None
            | ArgKind::Anything
            | ArgKind::Ctx
            | ArgKind::Stack
            | ArgKind::SockCommon
            | ArgKind::Socket
            | ArgKind::BtfSockCommon
            | ArgKind::Btf(_)
            | ArgKind::BtfOfKptr
            | ArgKind::RingbufMem => Ok(()),
        }
    }

    /// Older kernels give one errno for whatever is wrong with a lock, timer or kptr.
    fn as_refused_argument(&mut self, checked: R) -> R {
        match checked {
            Err(r) if !self.profile.changes.fields_by_errno && !matches!(r, Reject::Unsupported { .. }) => {
                self.note(&r);
                Err(Reject::Silent { errno: EACCES })
            }
            checked => checked,
        }
    }

    fn check_map_arg(&mut self, regno: u8, call: &mut HelperCall) -> R {
        let Ext::Map { map, uid } = self.reg(regno).ext else {
            return Err(Reject::bug(format!("R{regno} is a map pointer without map")));
        };
        if let Some((timer_map, timer_uid)) = call.map
            && (timer_map != map || timer_uid != uid)
        {
            return Err(Reject::TimerMap { timer_uid, map_uid: uid });
        }
        call.map = Some((map, uid));
        Ok(())
    }

    fn check_key_arg(&mut self, regno: u8, call: &mut HelperCall) -> R {
        let Some((map, _)) = call.map else {
            return Err(Reject::bug("invalid map_ptr to access map->key"));
        };
        let def = self.map(map).def.clone();
        self.check_helper_mem_access(regno, def.key_size, Access::Read, false, None)?;
        let array = matches!(MapType::from_raw(def.map_type), Some(MapType::Array | MapType::PercpuArray));
        if array && self.profile.changes.known_key_never_null {
            call.known_key = self.known_key(regno, def.key_size)?;
        }
        Ok(())
    }

    /// The constant that the key's memory holds, if that is certain: zero bytes, or a spilled constant of exactly the key's size.
    fn known_key(&mut self, regno: u8, key_size: u32) -> R<Option<u64>> {
        let reg = self.reg(regno);
        if !self.privs.bpf || !reg.ty.is(Kind::Stack) {
            return Ok(None);
        }
        let Some(var) = reg.val.const_value() else { return Ok(None) };
        let off = i64::from(reg.off).wrapping_add(var as i64);
        if off >= 0 {
            return Ok(None);
        }
        let (slot, byte) = ((-off - 1) as usize / 8, (-off - 1) as usize % 8);
        let frame = reg.frameno as usize;
        let Some(found) = self.cur.frames[frame].stack.get(slot).copied() else { return Ok(None) };
        let run = |what: Byte| found.bytes[..=byte].iter().rev().take_while(|b| **b == what).count() as u32;
        if run(Byte::Zero) >= key_size {
            return Ok(Some(0));
        }
        if !found.is_scalar_spill() || run(Byte::Spill) != key_size {
            return Ok(None);
        }
        let Some(value) = found.reg.const_value() else { return Ok(None) };
        self.mark_slot_precise(frame, slot)?;
        Ok(Some(value))
    }

    fn check_value_arg(&mut self, regno: u8, arg: Arg, access: MemAccess, call: &mut HelperCall) -> R {
        if arg.nullable && self.reg(regno).is_null() {
            return Ok(());
        }
        let Some((map, _)) = call.map else {
            return Err(Reject::bug("invalid map_ptr to access map->value"));
        };
        let size = self.map(map).def.value_size;
        call.raw.on = access == MemAccess::Write;
        self.check_helper_mem_access(regno, size, direction(access), false, Some(&mut call.raw))
    }

    fn check_mem_arg(&mut self, regno: u8, access: MemAccess, size: MemSize, call: &mut HelperCall) -> R {
        call.raw.on = access == MemAccess::Write;
        let MemSize::Fixed { size, aligned } = size else { return Ok(()) };
        self.check_helper_mem_access(regno, size, direction(access), false, Some(&mut call.raw))?;
        if aligned {
            let reg = self.reg(regno);
            self.check_alignment(&reg, 0, size, true)?;
        }
        Ok(())
    }

    fn check_size_arg(&mut self, regno: u8, zero_allowed: bool, call: &mut HelperCall) -> R {
        // Arguments come as (memory, size): the argument before says how the memory is used.
        let access = match call.proto.args[regno as usize - 2].kind {
            ArgKind::Mem(access, _) => direction(access),
            _ => Access::Read,
        };
        call.max_size = self.reg(regno).val.umax;
        self.check_mem_size_reg(regno, access, zero_allowed, Some(&mut call.raw))
    }

    /// A NUL-terminated string in a map value that can no longer change.
    pub(super) fn check_const_str(&mut self, regno: u8) -> R {
        let reg = self.reg(regno);
        if !reg.ty.is(Kind::MapValue) {
            return Ok(());
        }
        let Some(map) = reg.map() else { return Err(Reject::bug("map value without map")) };
        let def = self.map(map).def.clone();
        if !self.map(map).is_constant() {
            return Err(Reject::StrMapWritable { reg: regno });
        }
        let Some(var) = reg.val.const_value() else {
            return Err(Reject::StrNotConstant { reg: regno });
        };
        if !self.map(map).ty.is_some_and(spec::map::supports_direct_value) {
            return Err(Reject::StrNoDirectValue);
        }
        let size = (def.value_size as i32).wrapping_sub(reg.off);
        self.check_map_access(regno, reg.off, size as u32, false)?;
        let at = i64::from(reg.off) + var as i64;
        let text = def.value0.as_deref().unwrap_or_default();
        let Some(tail) = usize::try_from(at).ok().and_then(|at| text.get(at..)) else {
            // The value is as long as the map says; what the program did not give is zero.
            return if at >= 0 && at < i64::from(def.value_size) { Ok(()) } else { Err(Reject::StrLookup) };
        };
        let padded = text.len() < def.value_size as usize;
        if tail.contains(&0) || padded { Ok(()) } else { Err(Reject::StrUnterminated) }
    }
}

const fn direction(access: MemAccess) -> Access {
    match access {
        MemAccess::Read => Access::Read,
        MemAccess::ReadWrite | MemAccess::Write => Access::Write,
    }
}
