//! What a kernel says to generated programs: share accepted, and the commonest refusals. For tuning the generator.

use std::collections::BTreeMap;

use fuzz::campaign::{Plan, case};
use kernel_diff::LoadOptions;

fn main() {
    let mut kernel = match kernel_diff::live::host() {
        Ok(k) => k,
        Err(e) => return eprintln!("{e}"),
    };
    let arg = |i, or| std::env::args().nth(i).and_then(|a| a.parse().ok()).unwrap_or(or);
    let (count, mutate) = (arg(1, 1000), arg(2, 0));
    let plan = Plan { mutate, ..Plan::default() };
    let mut says: BTreeMap<String, u64> = BTreeMap::new();
    let (mut insns, mut slots, mut longest) = (0, 0, 0);
    for seed in 0..count {
        let p = case(&plan, seed);
        slots += p.insns.len() as u64;
        match kernel.load(&p, &LoadOptions::with_level(4)) {
            Ok(l) => {
                let n = l.judgement.stats.insns_processed.unwrap_or(0);
                insns += n;
                longest = longest.max(n);
                let last = l.judgement.message().lines().last().unwrap_or("").replace(|c: char| c.is_ascii_digit(), "");
                *says.entry(if l.judgement.accepted { "ACCEPTED".into() } else { last }).or_default() += 1;
            }
            Err(e) => *says.entry(e.to_string()).or_default() += 1,
        }
    }
    println!(
        "{count} programs, {} slots each, {} insns processed each, longest walk {longest}",
        slots / count,
        insns / count
    );
    let mut says: Vec<_> = says.into_iter().collect();
    says.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    for (what, n) in says.into_iter().take(40) {
        println!("{n:6} {what}");
    }
}
