//! `--min-kernel`: which feature of a program needs which kernel, and the oldest one that has them all. What a program needs is found by
//! the verifier; since when there is what, by `spec::since`.

use program::Program;
use serde::Serialize;
use spec::Profile;
use spec::since::{Need, Release};

use crate::output::{DIM, styled};
use crate::verdict::Row;

/// One feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// `helper`, `map type`, `kfunc`, ...
    pub feature: &'static str,
    /// As the kernel's headers have it.
    pub name: String,
    /// `5.18`; `> 6.1, <= 6.12` where only recordings tell; `<= 5.10` for what the oldest recorded kernel has.
    pub since: String,
    /// The first instruction that needs it.
    pub insn: Option<usize>,
    /// The release from which on it is certainly there.
    #[serde(skip)]
    enough: Option<Release>,
}

/// Everything, newest first.
pub fn needs(program: &Program, profile: &Profile, reached: Option<&[bool]>) -> Vec<Needed> {
    let row = |(need, insn): (Need<'_>, Option<usize>)| {
        let since = need.since();
        Needed { feature: need.kind(), name: need.name(), since: since.to_string(), insn, enough: since.enough() }
    };
    let mut found: Vec<Needed> = verifier::needs(program, profile, reached).into_iter().map(row).collect();
    // What no kernel is known to have comes first.
    found.sort_by_key(|n| std::cmp::Reverse((n.enough.is_none(), n.enough)));
    found
}

/// The oldest recorded kernel. What came before it (loops, global data, 32-bit jumps, calls of functions) is not told apart.
const OLDEST: Release = Release(5, 10);

/// The `since` of the newest feature, but nothing older than what was recorded.
pub fn oldest(needs: &[Needed]) -> String {
    match needs.first() {
        None => "unknown".to_owned(),
        Some(n) if n.enough.is_some_and(|e| e <= OLDEST) => format!("<= {OLDEST}"),
        Some(n) => n.since.clone(),
    }
}

/// Features of one kernel that are named; a program has dozens that every kernel in use has.
const SHOWN: usize = 8;

/// For people: the oldest kernel and what asks for it.
pub fn human(row: &Row) -> String {
    let (Some(min), Some(needs)) = (&row.min_kernel, &row.needs) else { return String::new() };
    let mut out = format!("\n{}: oldest Linux with all it needs: {min}\n", crate::output::shown(&row.program));
    for n in needs.iter().take(SHOWN) {
        let place = n.insn.map_or_else(String::new, |i| styled(DIM, &format!("  insn {i}")));
        out.push_str(&format!("  {:12} {} {}{place}\n", n.since, n.feature, n.name));
    }
    if let Some(more) = needs.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        out.push_str(&styled(DIM, &format!("  and {more} older features")));
        out.push('\n');
    }
    out
}
