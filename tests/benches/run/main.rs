//! How fast programs run: one table of workloads and engines, measured in one run, side by side.
//!
//! ```text
//! cargo bench -p bpfverdict-tests --bench run              all of it, about a minute
//! cargo bench -p bpfverdict-tests --bench run -- hash lru  rows whose names hold one of these words
//! ```
//! Engines take turns, row by row, and the least of many rounds counts, because a busy machine only ever adds. Times are nanoseconds of
//! one run with that of an empty program taken off. Where the kernel cannot be asked its column is empty, and that is said. Nothing is
//! asserted: machines differ. What the rows do is in `workloads.bpf.c`; `real:` rows are programs of the corpus on a packet of theirs.

mod columns;
mod rows;

use columns::Engine;
use rows::{Row, rows};

/// The least of so many rounds counts.
const ROUNDS: usize = 12;

/// Bodies shorter than this are left out of the ratios' limits: what they cost is the call.
const SHORT_NS: f64 = 20.0;

struct Measured {
    name: String,
    /// Per engine; `None` where it does not take the program.
    ns: Vec<Option<f64>>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let chosen = |r: &Row| words.is_empty() || r.is_empty() || words.iter().any(|w| r.name.contains(w.as_str()));
    let rows: Vec<Row> = rows().into_iter().filter(chosen).collect();
    let mut engines = columns::all(&rows);
    let mut measured: Vec<Measured> =
        rows.iter().map(|r| Measured { name: r.name.clone(), ns: vec![None; engines.len()] }).collect();
    for round in 0..ROUNDS {
        for (row, m) in measured.iter_mut().enumerate() {
            for (engine, best) in engines.iter_mut().zip(&mut m.ns) {
                let ns = engine.measure(row);
                *best = match (*best, ns) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        eprint!("\rround {} of {ROUNDS}", round + 1);
    }
    eprintln!();
    show(&engines, &rows, measured);
    columns::overheads(&rows);
}

fn show(engines: &[Box<dyn Engine>], rows: &[Row], mut measured: Vec<Measured>) {
    let empty: Vec<f64> = rows
        .iter()
        .position(Row::is_empty)
        .map_or(vec![0.0; engines.len()], |at| measured[at].ns.iter().map(|n| n.unwrap_or(0.0)).collect());
    print!("{:<22}", "ns a run");
    for e in engines {
        print!("{:>18}", e.name());
    }
    println!();
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
    let mut slow = Vec::new();
    for (row, m) in rows.iter().zip(&mut measured) {
        print!("{:<22}", m.name);
        if !row.is_empty() {
            for (ns, idle) in m.ns.iter_mut().zip(&empty) {
                *ns = ns.map(|n| (n - idle).max(0.5));
            }
        }
        let kernel = m.ns[0];
        for (i, ns) in m.ns.iter().enumerate() {
            match (ns, kernel) {
                (None, _) => print!("{:>18}", "-"),
                (Some(n), Some(k)) if i > 0 && !row.is_empty() => {
                    print!("{n:>10.1} {:>6.2}x", n / k);
                    ratios[i].push(n / k);
                    if i == 1 && n / k > 1.1 && k >= SHORT_NS {
                        slow.push(format!("{} {:.2}x", m.name, n / k));
                    }
                }
                (Some(n), _) => print!("{n:>10.1}        "),
            }
        }
        println!();
    }
    print!("{:<22}{:>18}", "geometric mean", "");
    for r in ratios.iter().skip(1) {
        let mean = r.iter().map(|x| x.ln()).sum::<f64>() / r.len().max(1) as f64;
        if r.is_empty() { print!("{:>18}", "-") } else { print!("{:>17.2}x", mean.exp()) }
    }
    println!();
    if !slow.is_empty() {
        println!("over 1.1x of the kernel's JIT: {}", slow.join(", "));
    }
}
