//! Everything that is decided before and after the walk, in the kernel's order: which of two defects is reported depends on it.

pub mod attach;
mod cfg;
mod constants;
mod depth;
mod discover;
mod fastcall;
mod fixup;
pub mod form;
pub mod graph;
mod info;
pub mod load;
pub mod object;
mod resolve;

use crate::env::Verifier;
use crate::reject::R;

impl Verifier<'_> {
    pub fn before_walk(&mut self) -> R {
        if !self.profile.changes.info_first {
            self.find_subprogs()?;
            self.check_boundaries()?;
            self.check_func_info_records()?;
            self.check_btf_info()?;
            self.check_attach()?;
            self.resolve_insns()?;
            self.check_cfg()?;
            self.compute_postorder();
        } else {
            self.check_func_info_records()?;
            self.find_subprogs()?;
            self.check_boundaries()?;
            self.check_btf_info()?;
            self.resolve_insns()?;
            self.check_cfg()?;
            self.check_recursion()?;
            self.compute_postorder();
            self.decide_jumps();
            self.check_attach()?;
        }
        self.compute_components();
        self.compute_live_regs();
        if self.profile.changes.forgets_at_once {
            self.compute_live_stack();
        }
        self.print_live_regs();
        self.mark_fastcalls();
        Ok(())
    }

    pub fn after_walk(&mut self) -> R {
        self.remove_fastcall_spills();
        self.check_stack_depth()?;
        self.fixups()
    }
}
