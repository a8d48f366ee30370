//! Special fields of map values and allocated objects as call arguments: which one a register points to, timers and work queues,
//! kptr slots and what may be put into them. Locks are in `lock`, graph nodes in `kfunc::graph`.

use super::helper::HelperCall;
use crate::env::Verifier;
use crate::maps::{Field, Owner, Record};
use crate::reg::{BtfId, Ext, Flags, Kind, MapId, Reg};
use crate::reject::{R, Reject};
use spec::map::FieldKind;

/// The slot that kptr_xchg exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KptrField {
    pub btf: BtfId,
    pub type_id: u32,
    pub percpu: bool,
    /// Not owned: takes pointers that it does not release.
    pub untrusted: bool,
}

/// The name that messages give a field.
pub(crate) const fn field_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::SpinLock => "bpf_spin_lock",
        FieldKind::ResSpinLock => "bpf_res_spin_lock",
        FieldKind::Timer => "bpf_timer",
        FieldKind::Workqueue => "bpf_wq",
        FieldKind::TaskWork => "bpf_task_work",
        FieldKind::KptrUnref | FieldKind::KptrRef => "kptr",
        FieldKind::KptrPercpu => "percpu_kptr",
        FieldKind::Uptr => "uptr",
        FieldKind::ListHead => "bpf_list_head",
        FieldKind::ListNode => "bpf_list_node",
        FieldKind::RbRoot => "bpf_rb_root",
        FieldKind::RbNode => "bpf_rb_node",
        FieldKind::Refcount => "bpf_refcount",
    }
}

/// A pointer (or volatile pointer) whose target carries a kptr tag.
fn is_tagged_pointer(b: &btf::Btf, mut id: u32) -> bool {
    if b.kind(id) == Some(btf::Kind::Volatile) {
        id = b.ty(id).and_then(|t| t.type_id()).unwrap_or(0);
    }
    if b.kind(id) != Some(btf::Kind::Ptr) {
        return false;
    }
    let target = b.ty(id).and_then(|t| t.type_id()).unwrap_or(0);
    b.kind(target) == Some(btf::Kind::TypeTag) && matches!(b.name(target), "kptr_untrusted" | "kptr" | "percpu_kptr")
}

impl Verifier<'_> {
    /// Special fields of what a register points to.
    pub(crate) fn record_of(&self, reg: &Reg) -> Option<Record> {
        match reg.ty.kind {
            Kind::MapValue => Some(self.map(reg.map()?).record.clone()),
            Kind::Btf if reg.ty.flags.has(Flags::ALLOC) => {
                let (btf, id) = reg.btf()?;
                self.struct_record(btf, id)
            }
            _ => None,
        }
    }

    /// Special fields of a struct of the program's BTF. The kernel looks for them only in structs that directly hold one of
    /// the older kinds.
    pub(crate) fn struct_record(&self, btf: BtfId, id: u32) -> Option<Record> {
        const TRIGGERS: [&str; 6] =
            ["bpf_spin_lock", "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount"];
        if btf == BtfId::KERNEL {
            return None;
        }
        let b = self.btf(btf)?.clone();
        let triggers = b.kind(id) == Some(btf::Kind::Struct)
            && b.members(id).any(|m| {
                let named = b.kind(m.type_id) == Some(btf::Kind::Struct) && TRIGGERS.contains(&b.name(m.type_id));
                named || is_tagged_pointer(&b, m.type_id)
            });
        if !triggers {
            return None;
        }
        let kernel = |name: &str| self.btf(BtfId::KERNEL)?.find_by_name_kind(name, btf::Kind::Struct);
        let kernel = spec::map::Kernel { version: self.profile.version, kernel_type: &kernel };
        Some(Record::of(&b, id, Owner::Object, kernel))
    }

    pub(crate) fn struct_has_refcount(&self, btf: BtfId, id: u32) -> bool {
        self.struct_record(btf, id).is_some_and(|r| r.find(FieldKind::Refcount).is_some())
    }

    /// The only field of a kind that a record has at most once.
    pub(crate) fn field_of(&self, reg: &Reg, kind: FieldKind) -> Option<Field> {
        self.record_of(reg)?.find(kind).cloned()
    }

    pub(super) fn map_has_lock(&self, map: MapId) -> bool {
        self.map(map).has_lock()
    }

    pub(super) fn map_name(&self, map: MapId) -> String {
        // The kernel keeps 15 bytes of a name.
        self.map(map).def.name.chars().take(15).collect()
    }

    /// The register points exactly at the map value's only field of this kind.
    pub(super) fn check_map_field(&mut self, regno: u8, kind: FieldKind) -> R<MapId> {
        let reg = self.reg(regno);
        let what = field_name(kind);
        let Some(var) = reg.val.const_value() else {
            return Err(Reject::FieldOffsetVariable { reg: regno, what });
        };
        let Some(map) = reg.map() else { return Err(Reject::bug("map value without map")) };
        if self.map(map).btf.is_none() {
            return Err(Reject::FieldNoBtf { map: self.map_name(map), what });
        }
        let Some(field) = self.field_of(&reg, kind) else {
            return Err(Reject::FieldMissing { holder: format!("map '{}'", self.map_name(map)), what });
        };
        let at = (var as i64).wrapping_add(i64::from(reg.off));
        if at != i64::from(field.offset) {
            return Err(Reject::FieldElsewhere { at, what, expected: field.offset });
        }
        Ok(map)
    }

    pub(super) fn check_timer(&mut self, regno: u8, call: &mut HelperCall) -> R {
        let map = self.check_map_field(regno, FieldKind::Timer)?;
        if self.profile.config.preempt_rt {
            return Err(Reject::TimerRealtime);
        }
        let uid = match self.reg(regno).ext {
            Ext::Map { uid, .. } => uid,
            _ => 0,
        };
        call.map = Some((map, uid));
        Ok(())
    }

    /// First argument of kptr_xchg: a slot for an owned pointer.
    pub(super) fn check_kptr_dest(&mut self, regno: u8, call: &mut HelperCall) -> R {
        let reg = self.reg(regno);
        if reg.ty.kind == Kind::Btf && !reg.ty.flags.has(Flags::ALLOC) {
            return Err(Reject::unsupported("bpf_kptr_xchg with a field of a kernel object"));
        }
        if let (Kind::MapValue, Ext::Map { map, uid }) = (reg.ty.kind, reg.ext) {
            if self.map(map).btf.is_none() {
                return Err(Reject::FieldNoBtf { map: self.map_name(map), what: "bpf_kptr_xchg" });
            }
            call.map = Some((map, uid));
        }
        let Some(var) = reg.val.const_value() else {
            return Err(Reject::FieldOffsetVariable { reg: regno, what: "kptr" });
        };
        let is_kptr = |k| matches!(k, FieldKind::KptrUnref | FieldKind::KptrRef | FieldKind::KptrPercpu);
        let fields = self.record_of(&reg).map_or(Vec::new(), |r| r.fields);
        if !fields.iter().any(|f| is_kptr(f.kind)) {
            return Err(Reject::KptrNone { reg: regno });
        }
        let at = reg.off.wrapping_add(var as i32);
        let Some(field) = fields.iter().find(|f| i64::from(f.offset) == i64::from(at) && is_kptr(f.kind)) else {
            return Err(Reject::KptrElsewhere { at });
        };
        if field.kind == FieldKind::KptrUnref {
            return Err(Reject::KptrNotOwned { at });
        }
        call.kptr = self.kptr_field(&reg, field);
        match call.kptr {
            Some(_) => Ok(()),
            None => Err(Reject::bug("kptr without type")),
        }
    }

    /// Type of the kptr in a field of what a register points to.
    pub(crate) fn kptr_field(&self, reg: &Reg, field: &Field) -> Option<KptrField> {
        let own = match reg.map() {
            Some(map) => self.map(map).btf?,
            None => reg.btf()?.0,
        };
        let kptr = field.kptr.as_ref()?;
        Some(KptrField {
            btf: if kptr.kernel { BtfId::KERNEL } else { own },
            type_id: kptr.id,
            percpu: field.kind == FieldKind::KptrPercpu,
            untrusted: field.kind == FieldKind::KptrUnref,
        })
    }

    /// The pointer in `regno` may be put into the kptr slot: flags, offset and type fit.
    pub(crate) fn check_kptr_value(&mut self, regno: u8, reg: &Reg, field: &KptrField) -> R {
        let mismatch = |v: &Self, name: String| {
            let target = v.btf_type_name(field.btf, field.type_id).to_owned();
            let or = if field.untrusted { format!(" or untrusted_ptr_{target}") } else { String::new() };
            Reject::KptrType { reg: regno, ty: reg.ty, name, target, or }
        };
        let Some((btf, id)) = reg.btf().filter(|_| reg.ty.kind == Kind::Btf) else {
            return Err(mismatch(self, String::new()));
        };
        let mut allowed = Flags::MAYBE_NULL;
        if btf == BtfId::KERNEL {
            allowed = allowed | Flags::TRUSTED | Flags::RCU;
            if field.untrusted {
                allowed = allowed | Flags::UNTRUSTED;
            }
        } else {
            allowed = allowed | Flags::ALLOC;
            if field.percpu {
                allowed = allowed | Flags::PERCPU;
            }
        }
        if !reg.ty.flags.without(allowed).is_empty() {
            return Err(mismatch(self, String::new()));
        }
        self.check_ptr_off_reg(reg, regno, true)?;
        if self.btf_types_match(btf, id, reg.off, field.btf, field.type_id, !field.untrusted) {
            return Ok(());
        }
        Err(mismatch(self, self.btf_type_name(btf, id).to_owned()))
    }
}
