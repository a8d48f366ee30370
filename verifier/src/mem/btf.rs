//! Loads and stores through pointers to kernel structs and to objects that the program allocated: what may be accessed, and how far
//! the pointers found there can be trusted. Which field an offset hits is in `walk`.

pub mod walk;

use self::walk::{Hit, Walk};
use super::{Access, Request};
use crate::env::Verifier;
use crate::reg::{BtfId, Ext, Flags, Kind, Reg, RegType};
use crate::reject::errno::EACCES;
use crate::reject::{R, Reject, TnumText};
use btf::{Btf, Kind as BtfKind};
use spec::ProgType;

/// Flags with which a pointer counts as trusted as long as it has no other.
const TRUST: Flags = Flags(Flags::ALLOC.0 | Flags::TRUSTED.0 | Flags::NON_OWNING.0);

impl Reg {
    /// Holds a reference, or comes from where the kernel keeps the object alive.
    pub fn is_trusted(&self) -> bool {
        let safe = self.ty.flags.without(TRUST).is_empty();
        self.ref_obj_id != 0
            || match self.ty.kind {
                Kind::Sock | Kind::SockCommon | Kind::TcpSock | Kind::MapPtr => safe,
                _ => self.ty.flags.any(TRUST) && safe,
            }
    }
    pub fn is_rcu(&self) -> bool {
        self.ty.flags.has(Flags::RCU)
    }
}

/// The four lists of fields that stay valid with their struct, as suffixes of struct names in the kernel's BTF.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Safe {
    Trusted,
    TrustedOrNull,
    Rcu,
    RcuOrNull,
}

impl Safe {
    const fn suffix(self) -> &'static str {
        match self {
            Safe::Trusted => "__safe_trusted",
            Safe::TrustedOrNull => "__safe_trusted_or_null",
            Safe::Rcu => "__safe_rcu",
            Safe::RcuOrNull => "__safe_rcu_or_null",
        }
    }

    /// Whether `member` of struct `id`, a pointer to `target`, is on this list.
    fn lists(self, btf: &Btf, id: u32, member: &str, target: u32) -> bool {
        let Some(kind) = btf.kind(id) else { return false };
        let name = format!("{}{}", btf.name(id), self.suffix());
        if name.len() >= 64 {
            return false;
        }
        let Some(list) = btf.find_by_name_kind(&name, kind) else { return false };
        btf.members(list).any(|m| {
            let points_to = || {
                let (_, ptr) = btf.resolve(m.type_id).filter(|(_, t)| t.kind() == BtfKind::Ptr)?;
                btf.skip_mods_and_typedefs(ptr.type_id()?)
            };
            btf.string(m.name_off) == member && points_to() == Some(target)
        })
    }
}

impl Verifier<'_> {
    /// An instruction's access through a BTF pointer.
    pub(super) fn btf_access(&mut self, q: &Request) -> R {
        self.check_btf_access(q.base, q.off, q.size, q.access, q.value)
    }

    /// An access of `size` bytes at `ioff` through BTF pointer `regno` (which is not maybe-null). `value`: destination of a load.
    pub fn check_btf_access(&mut self, regno: u8, ioff: i32, size: u32, access: Access, value: Option<u8>) -> R {
        let reg = self.reg(regno);
        let Some((btf_id, id)) = reg.btf() else { return Err(Reject::bug(format!("R{regno} has no btf_id"))) };
        let Some(btf) = self.btf(btf_id).cloned() else { return Err(Reject::bug("BTF pointer without BTF")) };
        let name = btf.name(id).to_owned();
        let off = ioff.wrapping_add(reg.off);
        let flags = reg.ty.flags;
        if !self.privs.ptr_leaks {
            return Err(Reject::BtfNeedsPerfmon { name });
        }
        let gpl = !self.profile.changes.kernel_structs_need_gpl || spec::prog::is_gpl_compatible(&self.prog.license);
        if btf_id == BtfId::KERNEL && !gpl {
            return Err(Reject::BtfNeedsGpl { name });
        }
        if off < 0 {
            return Err(Reject::BtfNegative { reg: regno, name, off });
        }
        if !reg.val.is_zero() {
            return Err(Reject::BtfVariable { reg: regno, name, off, var_off: TnumText(reg.val.var_off) });
        }
        if flags.has(Flags::USER) {
            return Err(Reject::BtfUser { reg: regno, name, off });
        }
        if flags.has(Flags::PERCPU) {
            return Err(Reject::BtfPercpu { reg: regno, name, off });
        }
        let write = access == Access::Write;
        let alloc = flags.has(Flags::ALLOC);
        if write && !alloc && self.has_own_write_rule() {
            return self.check_kernel_write(&btf, &name, off as u32, size);
        }
        if write && !alloc {
            return Err(Reject::BtfReadOnly);
        }
        if alloc {
            self.check_object_fields(btf_id, id, off as u32, size)?;
        }
        let hit = walk::access(&btf, id, off as u32, size, self.profile.changes.unions_cross_fields)?;
        if let (false, Some(value)) = (write, value) {
            self.load_btf(value, &reg, btf_id, id, hit);
        }
        Ok(())
    }

    /// Special fields of an allocated object are not for loads and stores.
    fn check_object_fields(&self, btf: BtfId, id: u32, off: u32, size: u32) -> R {
        let Some(record) = self.struct_record(btf, id) else { return Ok(()) };
        let touched = record.fields.iter().find(|f| f.offset < off.saturating_add(size) && off < f.offset + f.size);
        match touched {
            Some(f) => Err(Reject::ObjectField { what: crate::call::field_name(f.kind) }),
            None => Ok(()),
        }
    }

    fn load_btf(&mut self, value: u8, base: &Reg, btf_id: BtfId, id: u32, hit: Hit) {
        match hit {
            Hit::Pointer { id: target, flags, member } if !base.ty.flags.has(Flags::ALLOC) => {
                let flags = self.trust_of(base, btf_id, id, &member, target, flags);
                self.set_loaded_pointer(value, flags, btf_id, target);
            }
            Hit::Memory if self.profile.changes.walk_gives_memory => {
                self.mark_pointer(value, RegType::of(Kind::Mem).with(Flags::RDONLY | Flags::UNTRUSTED));
                self.reg_mut(value).ext = Ext::Mem { size: 0, dynptr_id: 0 };
            }
            _ => self.mark_unknown(value),
        }
    }

    fn set_loaded_pointer(&mut self, value: u8, flags: Flags, btf: BtfId, id: u32) {
        self.mark_pointer(value, RegType::of(Kind::Btf).with(flags));
        self.reg_mut(value).ext = Ext::Btf { btf, id };
        if flags.has(Flags::MAYBE_NULL) {
            self.reg_mut(value).id = self.new_id();
        }
    }

    /// Flags of a pointer loaded from `member`: what the tags say (`tags`), and what the base pointer is worth.
    fn trust_of(&self, base: &Reg, btf_id: BtfId, id: u32, member: &str, target: u32, tags: Flags) -> Flags {
        let flags = base.ty.flags;
        if !self.profile.changes.trusted_pointers {
            let inherited = if flags.has(Flags::UNTRUSTED) { Flags::UNTRUSTED } else { Flags::NONE };
            return tags.without(Flags::RCU | Flags::UNTRUSTED) | inherited;
        }
        if flags.has(Flags::UNTRUSTED) {
            return Flags::UNTRUSTED;
        }
        let forget = Flags::ALLOC | Flags::TRUSTED | Flags::NON_OWNING | Flags::RCU;
        if !base.is_trusted() && !base.is_rcu() {
            return tags.without(forget);
        }
        let Some(btf) = self.btf(btf_id) else { return Flags::UNTRUSTED };
        let on = |list: Safe| list.lists(btf, id, member, target);
        if on(Safe::Trusted) {
            return tags | Flags::TRUSTED;
        }
        if on(Safe::TrustedOrNull) {
            return tags | Flags::TRUSTED | Flags::MAYBE_NULL;
        }
        if !self.cur.in_rcu_section() || flags.has(Flags::MAYBE_NULL) {
            return Flags::UNTRUSTED;
        }
        if on(Safe::Rcu) {
            return tags | Flags::RCU;
        }
        let or_null = on(Safe::RcuOrNull);
        if or_null || tags.has(Flags::RCU) {
            let found = tags | Flags::RCU | Flags::MAYBE_NULL;
            return if or_null { found.without(Flags::UNTRUSTED) } else { found };
        }
        if tags.any(Flags::PERCPU | Flags::USER) { tags } else { tags.without(forget) }
    }

    /// A load of a field of the kernel's object `name` behind a map pointer.
    pub(super) fn map_object_field(&mut self, q: &Request, name: &str) -> R {
        let Some(btf) = self.btf(BtfId::KERNEL).cloned() else {
            return Err(Reject::unsupported("kernel BTF is missing"));
        };
        let Some(id) = btf.find_by_name_kind(name, BtfKind::Struct) else {
            return Err(Reject::unsupported(format!("struct {name} is not in the kernel's BTF")));
        };
        let hit = walk::access(&btf, id, q.off as u32, q.size, self.profile.changes.unions_cross_fields)?;
        let Some(value) = q.value else { return Ok(()) };
        match hit {
            Hit::Pointer { id, flags, .. } => self.set_loaded_pointer(value, flags, BtfId::KERNEL, id),
            hit => self.load_btf(value, &Reg::NOT_INIT, BtfId::KERNEL, id, hit),
        }
        Ok(())
    }

    /// Same type, in the same BTF.
    fn same_btf_type(&self, a: (BtfId, u32), b: (BtfId, u32)) -> bool {
        a == b
            || a.1 == b.1
                && match (self.btf(a.0), self.btf(b.0)) {
                    // The same bytes loaded twice, as for a program and its maps.
                    (Some(x), Some(y)) => a.0 != BtfId::KERNEL && b.0 != BtfId::KERNEL && x == y,
                    _ => false,
                }
    }

    /// A pointer to `have` at `off` may stand for a pointer to `need`: the same type or, unless `strict`, a struct that has it at that
    /// offset. What the walk complains about goes to the log.
    pub fn btf_types_match(
        &mut self,
        btf_id: BtfId,
        have: u32,
        off: i32,
        need_btf: BtfId,
        need: u32,
        strict: bool,
    ) -> bool {
        if off == 0 && self.same_btf_type((btf_id, have), (need_btf, need)) {
            return true;
        }
        if strict {
            return false;
        }
        let Some(btf) = self.btf(btf_id).cloned() else { return false };
        let mut walk = Walk::new(self.profile.changes.unions_cross_fields);
        let (mut id, mut at) = (have, off as u32);
        // Structs nest a few levels deep; a cycle cannot be, as each is part of the one before.
        for _ in 0..64 {
            match walk.step(&btf, id, at, 1) {
                Ok(Hit::Nested(inner)) if self.same_btf_type((btf_id, inner), (need_btf, need)) => return true,
                Ok(Hit::Nested(inner)) => (id, at) = (inner, 0),
                Ok(_) => return false,
                Err(r) => {
                    self.note(&r);
                    return false;
                }
            }
        }
        false
    }

    /// Program types that let some kernel fields be written.
    fn has_own_write_rule(&self) -> bool {
        match self.prog_type {
            ProgType::SchedCls | ProgType::SchedAct | ProgType::Xdp => true,
            ProgType::StructOps => {
                let ops = self.target.name.split('.').next().unwrap_or_default();
                matches!(ops, "tcp_congestion_ops" | "Qdisc_ops" | "sched_ext_ops" | "hid_bpf_ops" | "bpf_dummy_ops")
            }
            _ => false,
        }
    }

    fn check_kernel_write(&self, btf: &Btf, name: &str, off: u32, size: u32) -> R {
        if self.prog_type != ProgType::StructOps {
            if btf.find_by_name_kind("nf_conn", BtfKind::Struct).is_none() {
                return Err(Reject::Silent { errno: EACCES });
            }
            let conn = matches!(name, "nf_conn" | "nf_conn___init");
            return if conn { writable_field(btf, "nf_conn", &["mark"], off, size) } else { Err(Reject::BtfReadOnly) };
        }
        match self.target.name.split('.').next().unwrap_or_default() {
            ops @ "tcp_congestion_ops" => match spec::prog::struct_ops_writable(ops, name) {
                Some(fields) => {
                    let app_limited = self.profile.changes.app_limited_writable;
                    let fields: Vec<_> =
                        fields.iter().copied().filter(|f| app_limited || *f != "app_limited").collect();
                    writable_field(btf, name, &fields, off, size)
                }
                None => Err(Reject::BtfReadOnly),
            },
            "bpf_dummy_ops" if name != "bpf_dummy_ops_state" => Err(Reject::DummyOpsState),
            "bpf_dummy_ops" => {
                let id = btf.find_by_name_kind(name, BtfKind::Struct);
                match id.and_then(|id| btf.resolve_size(id)) {
                    Some(total) if off.saturating_add(size) <= total => Ok(()),
                    _ => Err(Reject::WriteBeyondState { off, size }),
                }
            }
            ops => Err(Reject::unsupported(format!("stores to kernel structs from {ops}"))),
        }
    }
}

/// Where a (dotted) field lies: start and end in bytes. Sockets begin with the more general one as their first member.
fn field_range(btf: &Btf, id: u32, path: &str) -> Option<(u32, u32)> {
    let mut at = 0;
    let mut id = id;
    for part in path.split('.') {
        let m = find_deep(btf, id, part, 0)?;
        at += m.0;
        id = m.1;
    }
    Some((at, at + btf.resolve_size(id)?))
}

/// A member by name in this struct, its anonymous members, or the struct at its start.
fn find_deep(btf: &Btf, id: u32, name: &str, depth: u32) -> Option<(u32, u32)> {
    if depth > 8 {
        return None;
    }
    if let Some(m) = btf.find_member(id, name) {
        return Some((m.bit_offset / 8, m.type_id));
    }
    let first = btf.member(btf.skip_mods_and_typedefs(id)?, 0)?;
    find_deep(btf, first.type_id, name, depth + 1)
}

fn writable_field(btf: &Btf, name: &str, fields: &[&str], off: u32, size: u32) -> R {
    let Some(id) = btf.find_by_name_kind(name, BtfKind::Struct) else { return Err(Reject::BtfReadOnly) };
    for field in fields {
        let Some((start, end)) = field_range(btf, id, field) else { continue };
        let hit = if *field == "icsk_ca_priv" { (start..end).contains(&off) } else { off == start };
        if !hit {
            continue;
        }
        if off.saturating_add(size) > end {
            return Err(Reject::WriteBeyondField { off, size, name: name.to_owned(), end });
        }
        return Ok(());
    }
    Err(Reject::NoWriteSupport { name: name.to_owned(), off })
}
