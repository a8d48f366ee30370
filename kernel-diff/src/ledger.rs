//! Known differences: a list that works both ways. A difference that is not in it fails; so does an entry that agrees by now.

use serde::Deserialize;

use crate::outcome::Outcome;

/// One accepted difference.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `file program` of the case.
    pub case: String,
    /// Short words of the differences, as [`Difference::what`](crate::outcome::Difference::what) gives them.
    pub what: Vec<String>,
    /// Why it is so, and what would end it.
    pub why: String,
}

/// The ledger file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    #[serde(default)]
    pub known: Vec<Entry>,
}

/// What the ledger says to an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Agrees, as it should.
    Good,
    /// Differs as written down.
    Known,
    /// Differs and is not written down, or differs otherwise than written down.
    New,
    /// Written down, yet agrees: remove the entry.
    Stale,
    /// Could not be compared.
    Unknown,
}

impl Ledger {
    pub fn parse(text: &str) -> Result<Self, String> {
        let ledger: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        match ledger.known.iter().find(|e| e.why.trim().is_empty() || e.what.is_empty()) {
            Some(e) => Err(format!("entry `{}` needs a `what` and a `why`", e.case)),
            None => Ok(ledger),
        }
    }

    /// The ledger of this repository, built into the binary.
    pub fn shipped() -> Result<Self, String> {
        Self::parse(include_str!("../known.toml"))
    }

    pub fn standing(&self, case: &str, outcome: &Outcome) -> Standing {
        let entry = self.known.iter().find(|e| e.case == case);
        match (outcome, entry) {
            (Outcome::Agree, None) => Standing::Good,
            (Outcome::Agree, Some(_)) => Standing::Stale,
            (Outcome::NotComparable(_), _) => Standing::Unknown,
            (Outcome::Differ(d), Some(e)) if d.iter().all(|d| e.what.iter().any(|w| w == d.what())) => Standing::Known,
            (Outcome::Differ(_), _) => Standing::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Difference;

    const TEXT: &str = "[[known]]\ncase = \"a.o p\"\nwhat = [\"retval\"]\nwhy = \"example\"\n";

    #[test]
    fn works_both_ways() {
        let l = Ledger::parse(TEXT).unwrap();
        let retval = Outcome::Differ(vec![Difference::Retval { a: 1, b: 2 }]);
        let errno = Outcome::Differ(vec![Difference::Errno { a: -13, b: -22 }]);
        assert_eq!(l.standing("a.o p", &retval), Standing::Known);
        assert_eq!(l.standing("a.o p", &errno), Standing::New);
        assert_eq!(l.standing("a.o p", &Outcome::Agree), Standing::Stale);
        assert_eq!(l.standing("b.o p", &retval), Standing::New);
        assert_eq!(l.standing("b.o p", &Outcome::Agree), Standing::Good);
    }

    #[test]
    fn entries_need_a_reason() {
        assert!(Ledger::parse("[[known]]\ncase = \"a\"\nwhat = [\"log\"]\nwhy = \" \"\n").is_err());
        assert!(Ledger::parse("[[known]]\ncase = \"a\"\n").is_err());
    }

    #[test]
    fn the_shipped_ledger_parses() {
        Ledger::shipped().unwrap();
    }
}
