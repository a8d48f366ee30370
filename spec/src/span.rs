//! From which kernel to which a row of a table holds. What such a row says is the table's affair.

use crate::profile::Version;

/// Kernels from one series to before another. A row that says nothing holds for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    since: Version,
    until: Version,
}

const fn series(major: u16, minor: u16) -> Version {
    Version { major, minor, patch: 0 }
}

impl Span {
    pub const ALWAYS: Span = Span { since: series(0, 0), until: series(u16::MAX, 0) };

    /// From this series on.
    pub const fn since(self, major: u16, minor: u16) -> Span {
        Span { since: series(major, minor), ..self }
    }

    /// Before this series.
    pub const fn until(self, major: u16, minor: u16) -> Span {
        Span { until: series(major, minor), ..self }
    }

    pub fn holds(self, version: Version) -> bool {
        self.since <= version && version < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_begin_with_a_series_and_end_before_one() {
        let holds = |span: Span, version| span.holds(Version::parse(version));
        let some = Span::ALWAYS.since(6, 1).until(6, 12);
        assert!(holds(some, "6.1.0") && holds(some, "6.11.9") && !holds(some, "6.0.19") && !holds(some, "6.12.1"));
        assert!(holds(Span::ALWAYS, "2.6.39") && holds(Span::ALWAYS.since(7, 0), "9.0"));
    }
}
