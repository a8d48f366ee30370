//! Special fields: locks, timers, kptrs, list heads and the like inside map values and program-allocated objects, found in their BTF;
//! and whether a kernel takes BTF whose structs have such fields. What may be done with a field is the verifier's.

use btf::{Btf, Kind};

use super::FieldKind;
use crate::errno::Errno::{self, E2BIG, EEXIST, EFAULT, EINVAL, ELOOP, ENOENT};
use crate::profile::Version;
use crate::span::Span;

/// A pointer to a kernel or program object kept in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kptr {
    /// The type is the kernel's; else of the BTF that the record comes from.
    pub kernel: bool,
    pub id: u32,
}

/// What a list head or tree root holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// Type of the nodes' objects, and where the node is in it.
    pub value_id: u32,
    pub node_offset: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub kind: FieldKind,
    pub offset: u32,
    pub size: u32,
    pub kptr: Option<Kptr>,
    pub graph: Option<Graph>,
}

/// All special fields of a type, by offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub fields: Vec<Field>,
}

impl Record {
    pub fn find(&self, kind: FieldKind) -> Option<&Field> {
        self.fields.iter().find(|f| f.kind == kind)
    }
    pub fn at(&self, offset: u32) -> Option<&Field> {
        self.fields.iter().find(|f| f.offset == offset)
    }
    pub fn kinds(&self) -> Vec<FieldKind> {
        self.fields.iter().map(|f| f.kind).collect()
    }
}

const MAX_FIELDS: usize = 11;
const MAX_DEPTH: u32 = 32;

/// Where a record is wanted: the kinds that count differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    MapValue,
    /// A map value where kernels know locks, timers and two sorts of kptrs, under other tags.
    EarlyMapValue,
    Object,
}

/// The kernel that looks for fields.
#[derive(Clone, Copy)]
pub struct Kernel<'a> {
    pub version: Version,
    /// Whether its BTF has a struct of this name, and its id.
    pub kernel_type: &'a dyn Fn(&str) -> Option<u32>,
}

struct Finder<'a> {
    unknown_tag: std::cell::Cell<bool>,
    btf: &'a Btf,
    owner: Owner,
    kernel: Kernel<'a>,
    fields: Vec<Field>,
}

/// Since when a struct of such a name is something special.
fn known_since(kind: FieldKind) -> Span {
    let since = |major, minor| Span::ALWAYS.since(major, minor);
    match kind {
        FieldKind::ResSpinLock => since(6, 16),
        FieldKind::TaskWork => since(6, 18),
        _ => Span::ALWAYS,
    }
}

/// Name of the struct, its kind, size, alignment, only one per level, repeated in arrays.
const NAMED: [(&str, FieldKind, u32, u32, bool, bool); 10] = [
    ("bpf_spin_lock", FieldKind::SpinLock, 4, 4, true, false),
    ("bpf_res_spin_lock", FieldKind::ResSpinLock, 4, 4, true, false),
    ("bpf_timer", FieldKind::Timer, 16, 8, true, false),
    ("bpf_wq", FieldKind::Workqueue, 16, 8, true, false),
    ("bpf_task_work", FieldKind::TaskWork, 8, 8, true, false),
    ("bpf_list_head", FieldKind::ListHead, 16, 8, false, true),
    ("bpf_list_node", FieldKind::ListNode, 24, 8, false, false),
    ("bpf_rb_root", FieldKind::RbRoot, 16, 8, false, true),
    ("bpf_rb_node", FieldKind::RbNode, 32, 8, false, false),
    ("bpf_refcount", FieldKind::Refcount, 4, 4, false, false),
];

/// Kernel types that a referenced kptr may point to: those with a destructor.
const DESTRUCTIBLE: [&str; 7] =
    ["task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx", "prog_test_ref_kfunc", "prog_test_member", "sk_buff"];

impl Record {
    /// Special fields of a struct or data section. Empty when there are none or the type is malformed in a way that makes the kernel
    /// ignore them.
    pub fn of(btf: &Btf, id: u32, owner: Owner, kernel: Kernel<'_>) -> Record {
        Record::try_of(btf, id, owner, kernel).unwrap_or_default()
    }

    /// The same, and why there are none.
    pub fn try_of(btf: &Btf, id: u32, owner: Owner, kernel: Kernel<'_>) -> Result<Record, Errno> {
        let mut f = Finder { btf, owner, kernel, fields: Vec::new(), unknown_tag: std::cell::Cell::new(false) };
        match btf.kind(id) {
            Some(Kind::Struct) => f.in_struct(id, 0, 0)?,
            Some(Kind::Datasec) => f.in_datasec(id)?,
            _ => return Ok(Record::default()),
        }
        if f.unknown_tag.get() {
            f.fields.retain(|field| field.kptr.is_none());
        }
        let mut end = 0;
        for field in &f.fields {
            if field.offset < end {
                return Err(EEXIST);
            }
            end = field.offset + field.size;
        }
        let record = Record { fields: f.fields };
        let has = |k| record.find(k).is_some();
        let locked = has(FieldKind::SpinLock) || has(FieldKind::ResSpinLock);
        let graph = has(FieldKind::ListHead) || has(FieldKind::RbRoot);
        if (has(FieldKind::SpinLock) && has(FieldKind::ResSpinLock))
            || (graph && !locked)
            || (has(FieldKind::ListNode) && has(FieldKind::RbNode) && !has(FieldKind::Refcount))
        {
            return Err(EINVAL);
        }
        Ok(record)
    }
}

impl Finder<'_> {
    fn wants(&self, kind: FieldKind) -> bool {
        if self.owner == Owner::EarlyMapValue {
            use FieldKind::*;
            return matches!(kind, SpinLock | Timer | KptrUnref | KptrRef);
        }
        if !known_since(kind).holds(self.kernel.version) {
            return false;
        }
        match kind {
            FieldKind::ListNode | FieldKind::RbNode => self.owner == Owner::Object,
            FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork | FieldKind::Uptr => {
                self.owner == Owner::MapValue
            }
            _ => true,
        }
    }

    fn in_struct(&mut self, id: u32, base: u32, depth: u32) -> Result<(), Errno> {
        if depth >= MAX_DEPTH {
            return Err(E2BIG);
        }
        let mut seen = Vec::new();
        for (i, m) in self.btf.members(id).enumerate() {
            let bits = m.bit_offset;
            if bits % 8 != 0 {
                return Err(EINVAL);
            }
            self.candidate(m.type_id, base + bits / 8, (id, i as i32), &mut seen, depth)?;
        }
        Ok(())
    }

    fn in_datasec(&mut self, id: u32) -> Result<(), Errno> {
        let mut seen = Vec::new();
        let vars: Vec<_> = self.btf.vars(id).collect();
        for v in vars {
            let Some(ty) = self.btf.ty(v.type_id).and_then(|t| t.type_id()) else { continue };
            if self.btf.resolve_size(ty) != Some(v.size) {
                continue;
            }
            self.candidate(ty, v.offset, (v.type_id, -1), &mut seen, 0)?;
        }
        Ok(())
    }

    /// One member or variable, arrays taken apart.
    fn candidate(
        &mut self,
        mut ty: u32,
        offset: u32,
        tag_of: (u32, i32),
        seen: &mut Vec<FieldKind>,
        depth: u32,
    ) -> Result<(), Errno> {
        let mut elems = 1u32;
        let mut is_array = false;
        for _ in 0..MAX_DEPTH {
            let Some(a) = self.btf.array(ty) else { break };
            elems = elems.saturating_mul(a.nelems);
            ty = a.elem;
            is_array = true;
        }
        if elems == 0 {
            return Ok(());
        }
        let first = self.fields.len();
        let Some(kind) = self.btf.kind(ty) else { return Ok(()) };
        let name = self.btf.name(ty);
        let named = (kind == Kind::Struct).then(|| NAMED.iter().find(|n| n.0 == name && self.wants(n.1))).flatten();
        let repeatable = match named {
            Some(&(_, field, size, align, unique, repeat)) => {
                if unique && seen.contains(&field) {
                    return Err(E2BIG);
                }
                seen.push(field);
                if !offset.is_multiple_of(align) || self.btf.resolve_size(ty) != Some(size) {
                    return Ok(());
                }
                let graph = match field {
                    FieldKind::ListHead | FieldKind::RbRoot => Some(self.graph(tag_of, field)?),
                    _ => None,
                };
                self.push(Field { kind: field, offset, size, kptr: None, graph })?;
                repeat
            }
            None if kind == Kind::Struct => {
                self.in_struct(ty, offset, depth + 1)?;
                self.fields[first..]
                    .iter()
                    .all(|f| f.kptr.is_some() || matches!(f.kind, FieldKind::ListHead | FieldKind::RbRoot))
            }
            None => {
                if let Some((kind, kptr)) = self.kptr(ty)? {
                    if !offset.is_multiple_of(8) {
                        return Ok(());
                    }
                    self.push(Field { kind, offset, size: 8, kptr: Some(kptr), graph: None })?;
                }
                true
            }
        };
        if is_array && self.fields.len() > first {
            if !repeatable && elems > 1 {
                return Err(EINVAL);
            }
            let one = self.btf.resolve_size(ty).ok_or(EINVAL)?;
            let pattern = self.fields[first..].to_vec();
            for e in 1..elems {
                for f in &pattern {
                    self.push(Field { offset: f.offset + e * one, ..f.clone() })?;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, f: Field) -> Result<(), Errno> {
        if self.fields.len() >= MAX_FIELDS {
            return Err(E2BIG);
        }
        self.fields.push(f);
        Ok(())
    }

    /// Pointer with a kptr tag: optional volatile, PTR, TYPE_TAG, struct.
    fn kptr(&self, mut ty: u32) -> Result<Option<(FieldKind, Kptr)>, Errno> {
        if self.btf.kind(ty) == Some(Kind::Volatile) {
            ty = self.target(ty);
        }
        if self.btf.kind(ty) != Some(Kind::Ptr) {
            return Ok(None);
        }
        let tag = self.target(ty);
        if self.btf.kind(tag) != Some(Kind::TypeTag) || self.btf.ty(tag).is_some_and(|t| t.kflag()) {
            return Ok(None);
        }
        let pointee = self.target(tag);
        if self.btf.kind(pointee) == Some(Kind::TypeTag) {
            return Err(EINVAL);
        }
        let early = self.owner == Owner::EarlyMapValue;
        let kind = match self.btf.name(tag) {
            "kptr" if early => FieldKind::KptrUnref,
            "kptr_ref" if early => FieldKind::KptrRef,
            // One tag that is not known and there are no kptrs at all.
            _ if early => {
                self.unknown_tag.set(true);
                return Ok(None);
            }
            "kptr_untrusted" => FieldKind::KptrUnref,
            "kptr" => FieldKind::KptrRef,
            "percpu_kptr" => FieldKind::KptrPercpu,
            "uptr" => FieldKind::Uptr,
            _ => return Err(EINVAL),
        };
        if !self.wants(kind) {
            return Ok(None);
        }
        let id = self.btf.skip_mods(pointee).ok_or(EINVAL)?;
        if self.btf.kind(id) != Some(Kind::Struct) {
            return Err(EINVAL);
        }
        let name = self.btf.name(id);
        let kptr = match (self.kernel.kernel_type)(name) {
            Some(_) if kind == FieldKind::KptrRef && !DESTRUCTIBLE.contains(&name) => return Err(ENOENT),
            Some(_) if kind == FieldKind::Uptr => return Err(EINVAL),
            Some(kernel) => Kptr { kernel: true, id: kernel },
            None => Kptr { kernel: false, id },
        };
        match self.btf.resolve_size(id) {
            Some(1..=4096) => {}
            Some(4097..) if kind == FieldKind::Uptr => return Err(E2BIG),
            _ if kind == FieldKind::Uptr => return Err(EINVAL),
            _ => {}
        }
        Ok(Some((kind, kptr)))
    }

    fn target(&self, id: u32) -> u32 {
        self.btf.ty(id).and_then(|t| t.type_id()).unwrap_or(0)
    }

    /// `contains:<struct>:<member>` on the member that is the head.
    fn graph(&self, (owner, component): (u32, i32), kind: FieldKind) -> Result<Graph, Errno> {
        let mut tags = self.btf.decl_tags_of(owner, component).filter_map(|t| t.strip_prefix("contains:"));
        let (Some(tag), None) = (tags.next(), tags.next()) else { return Err(EINVAL) };
        let (value, member) = tag.split_once(':').filter(|(_, m)| !m.is_empty()).ok_or(EINVAL)?;
        let value_id = self.btf.find_by_name_kind(value, Kind::Struct).ok_or(ENOENT)?;
        let wanted = if kind == FieldKind::ListHead { "bpf_list_node" } else { "bpf_rb_node" };
        let m = self.btf.find_member(value_id, member).ok_or(ENOENT)?;
        let bits = m.bit_offset;
        if self.btf.name(m.type_id) != wanted || bits % 64 != 0 {
            return Err(EINVAL);
        }
        Ok(Graph { value_id, node_offset: bits / 8 })
    }
}

/// Names of structs that make the kernel look for fields in whatever struct has one as a member.
const TELLING: [&str; 6] =
    ["bpf_spin_lock", "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount"];

/// Whether the structs of a program's BTF hold what they may; the first that does not, and the errno of loading that BTF.
pub fn check_structs(btf: &Btf, kernel: Kernel<'_>) -> Result<(), (u32, Errno)> {
    let telling: Vec<u32> = TELLING.iter().filter_map(|name| btf.find_by_name_kind(name, Kind::Struct)).collect();
    let mut found = Vec::new();
    for id in (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Struct)) {
        if !btf.members(id).any(|m| telling.contains(&m.type_id) || is_kptr(btf, m.type_id)) {
            continue;
        }
        match Record::try_of(btf, id, Owner::Object, kernel) {
            Ok(record) if record.fields.is_empty() => return Err((id, EFAULT)),
            Ok(record) => found.push((id, record)),
            Err(errno) => return Err((id, errno)),
        }
    }
    found.iter().try_for_each(|(id, record)| check_graph(record, &found).map_err(|errno| (*id, errno)))
}

/// Whether the roots in a map's value own what they may.
pub(super) fn check_roots(btf: &Btf, record: &Record, kernel: Kernel<'_>) -> Result<(), Errno> {
    let owned = record.fields.iter().filter_map(|f| f.graph.as_ref()).map(|g| g.value_id);
    let objects: Vec<_> = owned.map(|id| (id, Record::of(btf, id, Owner::Object, kernel))).collect();
    let objects: Vec<_> = objects.into_iter().filter(|(_, record)| !record.fields.is_empty()).collect();
    check_graph(record, &objects)
}

/// What the roots of a record own: objects with fields, and no roots in what is a node itself.
fn check_graph(record: &Record, objects: &[(u32, Record)]) -> Result<(), Errno> {
    let has = |record: &Record, kinds: [FieldKind; 2]| record.fields.iter().any(|f| kinds.contains(&f.kind));
    for graph in record.fields.iter().filter_map(|f| f.graph.as_ref()) {
        let (_, owned) = objects.iter().find(|(id, _)| *id == graph.value_id).ok_or(EFAULT)?;
        let is_node = has(record, [FieldKind::ListNode, FieldKind::RbNode]);
        if is_node && has(owned, [FieldKind::ListHead, FieldKind::RbRoot]) {
            return Err(ELOOP);
        }
    }
    Ok(())
}

/// A pointer that would be a kptr. Others make nobody look, whatever their tags.
fn is_kptr(btf: &Btf, id: u32) -> bool {
    let to = |id: u32| btf.ty(id).and_then(|t| t.type_id()).unwrap_or(0);
    let pointer = if btf.kind(id) == Some(Kind::Volatile) { to(id) } else { id };
    let tag = to(pointer);
    let pointee = to(tag);
    btf.kind(pointer) == Some(Kind::Ptr)
        && btf.ty(tag).is_some_and(|t| t.kind() == Kind::TypeTag && !t.kflag())
        && matches!(btf.name(tag), "kptr" | "kptr_untrusted" | "percpu_kptr")
        && btf.kind(pointee) != Some(Kind::TypeTag)
        && btf.skip_mods(pointee).is_some_and(|id| btf.kind(id) == Some(Kind::Struct))
}
