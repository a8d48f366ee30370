//! Locks: who holds which, in which order they are given back. A lock is known by the id of the register that points to it and by
//! the map or BTF object it lies in.

use super::field::field_name;
use crate::env::Verifier;
use crate::reg::{Flags, Kind, Reg};
use crate::reject::{R, Reject};
use crate::state::{LockObj, Ref, RefKind};
use spec::map::FieldKind;

impl Verifier<'_> {
    /// Identity of the lock that a register points to.
    pub(crate) fn lock_object(reg: &Reg) -> LockObj {
        match (reg.ty.kind, reg.map(), reg.btf()) {
            (Kind::MapValue, Some(map), _) => LockObj::Map(map),
            (_, _, Some((btf, _))) => LockObj::Btf(btf),
            _ => LockObj::None,
        }
    }

    /// bpf_spin_lock and bpf_spin_unlock.
    pub(super) fn check_spin_lock(&mut self, regno: u8, lock: bool) -> R {
        if self.in_rbtree_less_callback() {
            return Err(Reject::LockInLessCallback);
        }
        self.check_lock(regno, RefKind::Lock, lock)
    }

    /// Takes or gives back the lock that the register points to.
    pub(super) fn check_lock(&mut self, regno: u8, kind: RefKind, lock: bool) -> R {
        let field = if kind == RefKind::Lock { FieldKind::SpinLock } else { FieldKind::ResSpinLock };
        self.check_lock_field(regno, field)?;
        let reg = self.reg(regno);
        let obj = Self::lock_object(&reg);
        let what = if kind == RefKind::Lock { "bpf_spin" } else { "bpf_res_spin" };
        if lock { self.take_lock(kind, &reg, obj) } else { self.give_lock(kind, what, reg.id, obj) }
    }

    fn check_lock_field(&mut self, regno: u8, kind: FieldKind) -> R {
        let reg = self.reg(regno);
        let what = field_name(kind);
        let Some(var) = reg.val.const_value() else {
            return Err(Reject::FieldOffsetVariable { reg: regno, what });
        };
        let map = reg.map().filter(|_| reg.ty.kind == Kind::MapValue);
        if let Some(map) = map
            && self.map(map).btf.is_none()
        {
            return Err(Reject::FieldNoBtf { map: self.map_name(map), what });
        }
        let Some(field) = self.field_of(&reg, kind) else {
            let holder = map.map_or("local 'kptr'".to_owned(), |m| format!("map '{}'", self.map_name(m)));
            return Err(Reject::FieldMissing { holder, what });
        };
        let at = (var as i64).wrapping_add(i64::from(reg.off));
        if at != i64::from(field.offset) {
            return Err(Reject::FieldElsewhere { at, what, expected: field.offset });
        }
        Ok(())
    }

    fn take_lock(&mut self, kind: RefKind, reg: &Reg, obj: LockObj) -> R {
        let held = |k: RefKind| self.cur.refs.iter().any(|r| r.kind == k && r.id == reg.id && r.lock == obj);
        if kind == RefKind::Lock {
            if self.cur.refs.iter().any(|r| r.kind == RefKind::Lock) {
                return Err(Reject::TwoSpinLocks);
            }
        } else if held(RefKind::ResLock) || held(RefKind::ResLockIrq) {
            return Err(Reject::LockDeadlock);
        }
        self.push_ref(kind, reg.id, obj);
        self.cur.active_locks += 1;
        self.cur.active_lock_id = reg.id;
        self.cur.active_lock_obj = obj;
        Ok(())
    }

    fn give_lock(&mut self, kind: RefKind, what: &'static str, id: u32, obj: LockObj) -> R {
        if self.cur.active_locks == 0 {
            return Err(Reject::UnlockNothing { what });
        }
        let taken = |r: &Ref| r.kind == kind && r.id == id && r.lock == obj;
        if !self.cur.refs.iter().any(taken) {
            return Err(Reject::UnlockOther { what });
        }
        if self.cur.active_lock_id != id || self.cur.active_lock_obj != obj {
            return Err(Reject::UnlockOrder { what });
        }
        self.cur.refs.remove_last(taken);
        self.cur.active_locks -= 1;
        let below = self.cur.refs.iter().rev().find(|r| r.kind.is_lock()).copied();
        (self.cur.active_lock_id, self.cur.active_lock_obj) = below.map_or((0, LockObj::None), |r| (r.id, r.lock));
        self.invalidate_non_owning();
        Ok(())
    }

    /// Graph nodes that the program does not own are only there while the lock is held.
    fn invalidate_non_owning(&mut self) {
        self.invalidate_regs(|r| r.ty.kind == Kind::Btf && r.ty.flags.has(Flags::ALLOC | Flags::NON_OWNING));
    }
}
