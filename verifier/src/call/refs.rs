//! What a path holds: objects that must be released, and regions (locks, RCU, preemption, interrupts) that must be left. Taking and
//! giving back, and the checks where a program ends. Locks themselves are in `lock`.

use crate::env::Verifier;
use crate::held::Held;
use crate::reg::Reg;
use crate::reject::{R, Reject};
use crate::state::{LockObj, Ref, RefKind};

/// A region in which a program may not sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Rcu,
    Preempt,
    Irq,
}

impl Region {
    /// The words of the helper's message.
    pub const fn of_helper(self) -> &'static str {
        match self {
            Region::Rcu => "rcu_read_lock region",
            Region::Preempt => "non-preemptible region",
            Region::Irq => "IRQ-disabled region",
        }
    }
}

impl Verifier<'_> {
    /// The first region that forbids sleeping, in the order in which the kernel asks.
    pub fn no_sleep_region(&self) -> Option<Region> {
        if self.cur.active_rcu > 0 {
            Some(Region::Rcu)
        } else if self.cur.active_preempt > 0 {
            Some(Region::Preempt)
        } else if self.cur.active_irq_id != 0 {
            Some(Region::Irq)
        } else {
            None
        }
    }

    /// A new object that the program must release; its id.
    pub fn acquire_reference(&mut self) -> u32 {
        let id = self.new_id();
        self.push_ref(RefKind::Ptr, id, LockObj::None);
        id
    }

    pub fn push_ref(&mut self, kind: RefKind, id: u32, lock: LockObj) {
        let insn = self.insn_idx as u32;
        let frame = self.cur.frame();
        let callback = if frame.in_callback { frame.frameno } else { 0 };
        self.cur.refs.push(Ref { kind, id, insn, lock, callback });
    }

    /// Drops the reference and makes everything that points to the object unusable. False when it is not held.
    pub fn release_reference(&mut self, ref_obj_id: u32) -> bool {
        let frame = self.cur.frame();
        let foreign = |r: &Ref| r.kind == RefKind::Ptr && r.id == ref_obj_id && r.callback != frame.frameno;
        if self.refs_per_frame() && frame.in_callback && self.cur.refs.iter().any(foreign) {
            return false;
        }
        if !self.cur.drop_ref(ref_obj_id) {
            return false;
        }
        self.invalidate_regs(|r| r.ref_obj_id == ref_obj_id);
        true
    }

    /// Registers and spilled registers of all frames that `which` picks become unusable.
    pub fn invalidate_regs(&mut self, which: impl Fn(&Reg) -> bool) {
        let gone = self.invalidated();
        self.cur.for_each_reg_mut(|r| {
            if which(r) {
                *r = gone;
            }
        });
    }

    /// After a callback its caller has the references that it had, where references are each frame's; locks are the path's.
    pub(super) fn restore_references(&mut self, held: Held) {
        let now = std::mem::take(&mut self.cur.refs);
        let stays = |r: &&Ref| r.kind == RefKind::Ptr || now.contains(r);
        let new = |r: &&Ref| r.kind != RefKind::Ptr && !held.contains(r);
        self.cur.refs = held.iter().filter(stays).chain(now.iter().filter(new)).copied().collect();
    }

    /// Nothing is held where the program ends (or may be left). `exception`: by an exception, which ends every frame.
    /// `regions`: locks and regions count, too.
    pub fn check_resources(&mut self, exception: bool, regions: bool, what: &'static str) -> R {
        if !self.profile.changes.resources_named {
            return self.check_resources_early(what);
        }
        if regions && self.cur.active_locks > 0 {
            return Err(Reject::HeldInRegion { what, region: "bpf_spin_lock", times: 1 });
        }
        let held_first = self.profile.changes.held_before_regions || what != super::EXIT;
        if held_first {
            self.check_references(exception, what)?;
        }
        if regions {
            self.check_open_regions(what)?;
        }
        if held_first { Ok(()) } else { self.check_references(exception, what) }
    }

    fn check_open_regions(&self, what: &'static str) -> R {
        let region = if self.cur.active_irq_id != 0 {
            "bpf_local_irq_save"
        } else if self.cur.active_rcu > 0 {
            "bpf_rcu_read_lock"
        } else if self.cur.active_preempt > 0 {
            "bpf_preempt_disable"
        } else {
            return Ok(());
        };
        Err(Reject::HeldInRegion { what, region, times: self.cur.active_preempt })
    }

    /// The same for kernels that know references and one lock only, and have words of their own for each place.
    fn check_resources_early(&mut self, what: &'static str) -> R {
        let locked = self.cur.active_locks > 0;
        let ld_abs = what == super::LD_ABS;
        if locked && !ld_abs {
            return Err(Reject::HeldInRegion { what, region: "bpf_spin_lock", times: 1 });
        }
        let frame = self.cur.frame();
        let (inner, callback) = (self.cur.frames.len() > 1, frame.in_callback);
        if !inner || callback {
            // A callback gives back what it took itself.
            let own = self.cur.cur() as u32;
            let leaked: Vec<Ref> = self.cur.refs.iter().copied().filter(|r| !callback || r.callback == own).collect();
            for r in leaked.iter().filter(|r| r.kind == RefKind::Ptr) {
                self.note(&Reject::Unreleased { id: r.id, insn: r.insn });
            }
            if leaked.iter().any(|r| r.kind == RefKind::Ptr) {
                return Err(Reject::ReferenceLeak { what });
            }
        }
        match locked {
            true => Err(Reject::HeldInRegion { what, region: "bpf_spin_lock", times: 1 }),
            false => Ok(()),
        }
    }

    fn check_references(&mut self, exception: bool, what: &'static str) -> R {
        let frame = self.cur.frame();
        // A callback gives back what it took itself, where references are each frame's.
        let own = (!exception && frame.in_callback && self.refs_per_frame()).then_some(frame.frameno);
        if !exception && own.is_none() && self.cur.frames.len() > 1 {
            return Ok(());
        }
        let struct_ops = self.prog_type == spec::ProgType::StructOps && !exception;
        // A struct_ops member may hand a referenced object to the kernel as its result.
        let returned = if struct_ops { self.reg(0).ref_obj_id } else { 0 };
        let leaked: Vec<Ref> = self
            .cur
            .refs
            .iter()
            .copied()
            .filter(|r| r.kind == RefKind::Ptr && (returned == 0 || r.id != returned))
            .filter(|r| own.is_none_or(|frame| r.callback == frame))
            .collect();
        for r in &leaked {
            self.note(&Reject::Unreleased { id: r.id, insn: r.insn });
        }
        if leaked.is_empty() { Ok(()) } else { Err(Reject::ReferenceLeak { what }) }
    }
}
