//! Lists and trees of allocated objects: roots, nodes, and who owns a node when.

use super::{KfuncCall, Root};
use crate::call::callback::CallbackArgs;
use crate::call::field_name;
use crate::env::Verifier;
use crate::reg::{BtfId, Flags, Kind, Reg, RegType};
use crate::reject::errno::EINVAL;
use crate::reject::{R, Reject};
use spec::map::FieldKind;

const OBJECT: RegType = RegType { kind: Kind::Btf, flags: Flags::ALLOC };

impl Verifier<'_> {
    /// A list head or tree root whose lock is held.
    pub(super) fn check_root(&mut self, i: usize, kind: FieldKind, call: &mut KfuncCall) -> R {
        let regno = i as u8 + 1;
        let reg = self.reg(regno);
        if !reg.ty.is(Kind::MapValue) && reg.ty != OBJECT {
            return Err(Reject::GraphHolder { arg: i });
        }
        if reg.ty == OBJECT && reg.ref_obj_id == 0 {
            return Err(Reject::KfuncObjectUnowned);
        }
        let what = field_name(kind);
        let Some(var) = reg.val.const_value() else {
            return Err(Reject::FieldOffsetVariable { reg: regno, what });
        };
        let at = (reg.off as u32).wrapping_add(var as u32);
        let record = self.record_of(&reg).unwrap_or_default();
        let Some(field) = record.at(at).filter(|f| f.kind == kind) else {
            return Err(Reject::GraphNoField { what, at });
        };
        self.check_root_locked(&reg, what, record.find(FieldKind::SpinLock).map(|f| f.offset))?;
        call.root = self.root_at(&reg, field);
        match call.root {
            Some(_) => Ok(()),
            None => Err(Reject::bug("graph root without type")),
        }
    }

    fn check_root_locked(&mut self, reg: &Reg, what: &'static str, lock: Option<u32>) -> R {
        // Objects with a resilient lock have no spin lock; the kernel prints the "none" of its record.
        let off = lock.map_or(-i64::from(EINVAL), i64::from);
        let obj = Self::lock_object(reg);
        let held = self.cur.refs.iter().any(|r| r.kind.is_lock() && r.id == reg.id && r.lock == obj);
        if self.cur.active_locks > 0 && held {
            return Ok(());
        }
        if self.cur.active_locks > 0 {
            self.note(&Reject::GraphOtherLock);
        }
        Err(Reject::GraphUnlocked { off, what })
    }

    /// A node to be put in, or one that is in already.
    pub(super) fn check_node(&mut self, i: usize, kind: FieldKind, call: &mut KfuncCall) -> R {
        let regno = i as u8 + 1;
        let reg = self.reg(regno);
        let inside = ["bpf_rbtree_remove", "bpf_rbtree_left", "bpf_rbtree_right"].contains(&call.name.as_str());
        if inside {
            let non_owning = reg.ty.kind == Kind::Btf && reg.ty.flags.has(Flags::ALLOC | Flags::NON_OWNING);
            let owned = reg.ref_obj_id != 0;
            let fits =
                if self.profile.changes.removes_owned_nodes { non_owning || owned } else { non_owning && !owned };
            if !fits {
                return Err(Reject::GraphNodeOwned { name: call.name.clone() });
            }
            if self.in_rbtree_less_callback() {
                return Err(Reject::GraphInLess { name: call.name.clone() });
            }
        } else {
            if reg.ty != OBJECT {
                return Err(Reject::GraphNoObject { arg: i });
            }
            if reg.ref_obj_id == 0 {
                return Err(Reject::KfuncObjectUnowned);
            }
        }
        let what = field_name(kind);
        let Some(var) = reg.val.const_value() else {
            return Err(Reject::FieldOffsetVariable { reg: regno, what });
        };
        let at = (reg.off as u32).wrapping_add(var as u32);
        let found = self.record_of(&reg).is_some_and(|r| r.at(at).is_some_and(|f| f.kind == kind));
        if !found {
            return Err(Reject::GraphNoField { what, at });
        }
        self.check_node_fits(&reg, kind, at, call)
    }

    fn check_node_fits(&mut self, reg: &Reg, kind: FieldKind, at: u32, call: &mut KfuncCall) -> R {
        let (Some(root), Some((btf, id))) = (call.root.clone(), reg.btf()) else {
            return Err(Reject::bug("graph node without root"));
        };
        let node = field_name(kind);
        let expected = self.btf_type_name(root.btf, root.graph.value_id).to_owned();
        if !self.btf_types_match(btf, id, 0, root.btf, root.graph.value_id, true) {
            return Err(Reject::GraphNodeType {
                root: if kind == FieldKind::ListNode { "bpf_list_head" } else { "bpf_rb_root" },
                node,
                off: root.graph.node_offset,
                expected,
                at,
                name: self.btf_type_name(btf, id).to_owned(),
            });
        }
        if at != root.graph.node_offset {
            return Err(Reject::GraphNodeOffset { at, node, off: root.graph.node_offset, expected });
        }
        Ok(())
    }

    /// What was put into a list or tree belongs to it: the program's pointers are valid as long as the lock is held.
    pub(super) fn disown_graph_node(&mut self, call: &KfuncCall) -> R {
        if !call.is_list_push() && !call.is_rbtree_add() {
            return Ok(());
        }
        let node = self.reg(2);
        let refcount = node.btf().is_some_and(|(b, id)| self.struct_has_refcount(b, id));
        let reference = node.ref_obj_id;
        self.cur.for_each_reg_mut(|r| {
            if r.ref_obj_id == reference {
                set_non_owning(r, refcount);
            }
        });
        if self.release_reference(reference) {
            Ok(())
        } else {
            Err(Reject::KfuncReferenceUnknown { func: call.full_name() })
        }
    }

    /// R0 points to a node that stays in its list or tree.
    pub(super) fn set_result_non_owning(&mut self) {
        let refcount = self.reg(0).btf().is_some_and(|(b, id)| self.struct_has_refcount(b, id));
        set_non_owning(self.reg_mut(0), refcount);
    }

    /// The comparison of a tree insertion gets two nodes of the tree.
    pub(super) fn less_args(&self, root: &Root) -> CallbackArgs {
        let node = self.non_owning_reg(root.btf, root.graph.value_id, root.graph.node_offset as i32);
        CallbackArgs { regs: [node, node, Reg::NOT_INIT, Reg::NOT_INIT, Reg::NOT_INIT], returns: (0, 1) }
    }

    /// An object with a list or tree node belongs to the program's BTF.
    pub(super) fn graph_object(&mut self, btf: BtfId, id: u32, off: u32) {
        self.mark_pointer(0, OBJECT);
        let r0 = self.reg_mut(0);
        r0.ext = crate::reg::Ext::Btf { btf, id };
        r0.off = off as i32;
    }
}

fn set_non_owning(r: &mut Reg, refcount: bool) {
    r.ref_obj_id = 0;
    r.ty = r.ty.with(Flags::NON_OWNING);
    if refcount {
        r.ty = r.ty.with(Flags::RCU);
    }
}
