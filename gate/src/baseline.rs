//! The baseline: one line a cell, sorted, made to be read in a diff. Reading, writing, and how a cell relates to its line.

use std::collections::BTreeMap;

use report::{Cell, ChangeKind, Verdict};

const HEAD: &str = "# bpfverdict baseline: object program configuration kernel verdict id insns states stack size\n";

/// Object, program, configuration, kernel.
pub type Key = (String, String, String, String);

/// What is remembered of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub verdict: Verdict,
    pub id: Option<String>,
    pub insns: u64,
    pub peak_states: u64,
    pub total_states: u64,
    pub stack: Vec<u32>,
    pub size: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    pub lines: BTreeMap<Key, Line>,
}

pub fn key(c: &Cell) -> Key {
    (c.object.clone(), c.program.clone(), c.configuration.clone(), c.kernel.clone())
}

impl Baseline {
    pub fn of(cells: &[Cell]) -> Self {
        let line = |c: &Cell| Line {
            verdict: c.verdict,
            id: c.id.clone(),
            insns: c.insns,
            peak_states: c.peak_states,
            total_states: c.total_states,
            stack: c.stack.clone(),
            size: c.size,
        };
        Self { lines: cells.iter().map(|c| (key(c), line(c))).collect() }
    }

    pub fn write(&self) -> String {
        let mut out = HEAD.to_owned();
        for ((object, program, configuration, kernel), l) in &self.lines {
            let stack = if l.stack.is_empty() {
                "-".to_owned()
            } else {
                l.stack.iter().map(u32::to_string).collect::<Vec<_>>().join("+")
            };
            out.push_str(&format!(
                "{} {} {} {} {} {} insns={} states={}/{} stack={stack} size={}\n",
                word(object),
                word(program),
                word(configuration),
                word(kernel),
                l.verdict.name(),
                l.id.as_deref().unwrap_or("-"),
                l.insns,
                l.peak_states,
                l.total_states,
                l.size
            ));
        }
        out
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = BTreeMap::new();
        for (n, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let expected =
                || format!("line {}: expected `object program configuration kernel verdict id insns=...`", n + 1);
            let (key, value) = parse_line(line).ok_or_else(expected)?;
            if lines.insert(key, value).is_some() {
                return Err(format!("line {}: the same cell a second time", n + 1));
            }
        }
        Ok(Self { lines })
    }
}

fn parse_line(line: &str) -> Option<(Key, Line)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [object, program, configuration, kernel, verdict, id, insns, states, stack, size] = words[..] else {
        return None;
    };
    let (peak, total) = states.strip_prefix("states=")?.split_once('/')?;
    let stack = match stack.strip_prefix("stack=")? {
        "-" => Vec::new(),
        text => text.split('+').map(|s| s.parse().ok()).collect::<Option<_>>()?,
    };
    let value = Line {
        verdict: Verdict::from_name(verdict)?,
        id: (id != "-").then(|| id.to_owned()),
        insns: insns.strip_prefix("insns=")?.parse().ok()?,
        peak_states: peak.parse().ok()?,
        total_states: total.parse().ok()?,
        stack,
        size: size.strip_prefix("size=")?.parse().ok()?,
    };
    Some(((plain(object), plain(program), plain(configuration), plain(kernel)), value))
}

/// A name as one word.
fn word(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    text.replace('%', "%25").replace(' ', "%20").replace('\t', "%09").replace('\n', "%0A").replace('#', "%23")
}

fn plain(text: &str) -> String {
    if text == "%" {
        return String::new();
    }
    text.replace("%23", "#").replace("%0A", "\n").replace("%09", "\t").replace("%20", " ").replace("%25", "%")
}

impl Line {
    /// How a cell relates to this line by its verdict, cost aside.
    pub fn verdict_change(&self, c: &Cell) -> ChangeKind {
        match c.verdict.cmp(&self.verdict) {
            std::cmp::Ordering::Greater => ChangeKind::Worse,
            std::cmp::Ordering::Less => ChangeKind::Better,
            std::cmp::Ordering::Equal if c.id != self.id => ChangeKind::Changed,
            std::cmp::Ordering::Equal => ChangeKind::Known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_read_back_as_written() {
        let cell = Cell {
            object: "a b/x.o".into(),
            program: "50%".into(),
            configuration: "-".into(),
            kernel: "6.1".into(),
            verdict: Verdict::Reject,
            id: Some("BV0202".into()),
            insns: 12,
            stack: vec![8, 16],
            ..Cell::default()
        };
        let other = Cell { kernel: "5.10".into(), ..Cell::default() };
        let baseline = Baseline::of(&[cell, other]);
        assert_eq!(Baseline::parse(&baseline.write()), Ok(baseline));
        assert!(Baseline::parse("a b c\n").is_err_and(|e| e.starts_with("line 1:")));
    }
}
