//! Short campaigns against the kernel of this machine; skipped aloud where `bpf(2)` is refused.

use fuzz::campaign::{Plan, verdicts};
use kernel_diff::{Engine, live};

fn kernel() -> Option<Box<dyn Engine>> {
    live::host().map_err(|e| eprintln!("SKIPPED: {e}")).ok()
}

/// The kernel agrees with itself: whatever differs between two loads (addresses, times) is masked, and nothing more is needed.
#[test]
fn a_kernel_agrees_with_itself() {
    let (Some(mut a), Some(mut b)) = (kernel(), kernel()) else { return };
    let plan = Plan { cases: 150, first_seed: 5000, ..Plan::default() };
    let summary = verdicts(a.as_mut(), b.as_mut(), &plan, |_| {});
    assert_eq!(summary.cases, 150);
    assert!(summary.accepted > 50, "{} accepted", summary.accepted);
    assert!(summary.groups.is_empty(), "{:?}", summary.groups.keys());
    assert!(summary.skipped.is_empty(), "{:?}", summary.skipped);
}
