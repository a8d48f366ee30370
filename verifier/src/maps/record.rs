//! Special fields: locks, timers, kptrs, list heads and the like inside map values and program-allocated objects, found in their BTF.

use btf::{Btf, Kind};
use spec::map::FieldKind;

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

/// A malformed type: the kernel then sees no special fields at all.
struct Malformed;

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

/// `kernel_type` says whether the kernel's BTF has a struct of this name, and its id.
struct Finder<'a> {
    unknown_tag: std::cell::Cell<bool>,
    btf: &'a Btf,
    owner: Owner,
    kernel_type: &'a dyn Fn(&str) -> Option<u32>,
    fields: Vec<Field>,
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
    pub fn of(btf: &Btf, id: u32, owner: Owner, kernel_type: &dyn Fn(&str) -> Option<u32>) -> Record {
        Record::try_of(btf, id, owner, kernel_type).unwrap_or_default()
    }

    fn try_of(
        btf: &Btf,
        id: u32,
        owner: Owner,
        kernel_type: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Record, Malformed> {
        let mut f = Finder { btf, owner, kernel_type, fields: Vec::new(), unknown_tag: std::cell::Cell::new(false) };
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
                return Err(Malformed);
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
            return Err(Malformed);
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
        match kind {
            FieldKind::ListNode | FieldKind::RbNode => self.owner == Owner::Object,
            FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork | FieldKind::Uptr => {
                self.owner == Owner::MapValue
            }
            _ => true,
        }
    }

    fn in_struct(&mut self, id: u32, base: u32, depth: u32) -> Result<(), Malformed> {
        if depth >= MAX_DEPTH {
            return Err(Malformed);
        }
        let mut seen = Vec::new();
        for (i, m) in self.btf.members(id).enumerate() {
            let bits = m.bit_offset;
            if bits % 8 != 0 {
                return Err(Malformed);
            }
            self.candidate(m.type_id, base + bits / 8, (id, i as i32), &mut seen, depth)?;
        }
        Ok(())
    }

    fn in_datasec(&mut self, id: u32) -> Result<(), Malformed> {
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
    ) -> Result<(), Malformed> {
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
                    return Err(Malformed);
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
                return Err(Malformed);
            }
            let one = self.btf.resolve_size(ty).ok_or(Malformed)?;
            let pattern = self.fields[first..].to_vec();
            for e in 1..elems {
                for f in &pattern {
                    self.push(Field { offset: f.offset + e * one, ..f.clone() })?;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, f: Field) -> Result<(), Malformed> {
        if self.fields.len() >= MAX_FIELDS {
            return Err(Malformed);
        }
        self.fields.push(f);
        Ok(())
    }

    /// Pointer with a kptr tag: optional volatile, PTR, TYPE_TAG, struct.
    fn kptr(&self, mut ty: u32) -> Result<Option<(FieldKind, Kptr)>, Malformed> {
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
            return Err(Malformed);
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
            _ => return Err(Malformed),
        };
        if !self.wants(kind) {
            return Ok(None);
        }
        let id = self.btf.skip_mods(pointee).ok_or(Malformed)?;
        if self.btf.kind(id) != Some(Kind::Struct) {
            return Err(Malformed);
        }
        let name = self.btf.name(id);
        let kptr = match (self.kernel_type)(name) {
            Some(_) if kind == FieldKind::KptrRef && !DESTRUCTIBLE.contains(&name) => return Err(Malformed),
            Some(_) if kind == FieldKind::Uptr => return Err(Malformed),
            Some(kernel) => Kptr { kernel: true, id: kernel },
            None => Kptr { kernel: false, id },
        };
        if kind == FieldKind::Uptr && !self.btf.resolve_size(id).is_some_and(|s| (1..=4096).contains(&s)) {
            return Err(Malformed);
        }
        Ok(Some((kind, kptr)))
    }

    fn target(&self, id: u32) -> u32 {
        self.btf.ty(id).and_then(|t| t.type_id()).unwrap_or(0)
    }

    /// `contains:<struct>:<member>` on the member that is the head.
    fn graph(&self, (owner, component): (u32, i32), kind: FieldKind) -> Result<Graph, Malformed> {
        let mut tags = self.btf.decl_tags_of(owner, component).filter_map(|t| t.strip_prefix("contains:"));
        let (Some(tag), None) = (tags.next(), tags.next()) else { return Err(Malformed) };
        let (value, member) = tag.split_once(':').filter(|(_, m)| !m.is_empty()).ok_or(Malformed)?;
        let value_id = self.btf.find_by_name_kind(value, Kind::Struct).ok_or(Malformed)?;
        let wanted = if kind == FieldKind::ListHead { "bpf_list_node" } else { "bpf_rb_node" };
        let m = self.btf.find_member(value_id, member).ok_or(Malformed)?;
        let bits = m.bit_offset;
        if self.btf.name(m.type_id) != wanted || bits % 64 != 0 {
            return Err(Malformed);
        }
        Ok(Graph { value_id, node_offset: bits / 8 })
    }
}
