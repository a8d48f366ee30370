//! How tables of differences between kernels are written: a named switch a row, and the versions that have it. What differs is in
//! `changes` and `takes`.
//!
//! True is what newer kernels do. A row lists versions in ascending order: the first of each series that was seen to have it, as far as we
//! asked. Within a listed series it holds from there on; the last one also speaks for every later series. So `"6.12.117 6.18.44"` is true
//! of 6.12.117, of 6.18.44 and of 7.0, but not of 6.16.12 or 6.18.15: fixes reach old series before they reach all patch levels of newer
//! ones.

use super::Version;

macro_rules! switches {
    ($(#[$of:meta])+ $table:ident { $( $(#[$doc:meta])+ $name:ident $versions:literal; )* }) => {
        $(#[$of])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $table { $( $(#[$doc])+ pub $name: bool, )* }

        impl $table {
            /// That of the kernel of this version.
            pub fn of(version: crate::profile::Version) -> $table {
                $table { $( $name: crate::profile::switches::has($versions, version), )* }
            }

            /// Every row: the switch, and the versions that have it.
            pub const TABLE: &'static [(&'static str, &'static str)] = &[ $( (stringify!($name), $versions), )* ];
        }
    };
}
pub(super) use switches;

/// Whether the row's versions include this one.
pub(super) fn has(versions: &str, asked: Version) -> bool {
    let series = |v: Version| (v.major, v.minor);
    let mut last = None;
    for listed in versions.split(' ').map(Version::parse) {
        if series(listed) == series(asked) {
            return asked >= listed;
        }
        last = Some(listed);
    }
    last.is_some_and(|l| asked > l)
}

#[cfg(test)]
mod tests {
    use super::super::{Changes, Takes};
    use super::*;

    #[test]
    fn series_answer_for_themselves() {
        let of = |asked: &str| has("5.10.200 6.12.117 6.18.44", Version::parse(asked));
        assert!(of("5.10.262") && of("6.12.117") && of("6.18.44") && of("6.19.0") && of("7.2.13"));
        assert!(
            !of("5.10.199") && !of("5.15.300") && !of("6.1.192") && !of("6.12.1") && !of("6.17.99") && !of("6.18.15")
        );
    }

    #[test]
    fn a_series_between_may_lack_a_fix() {
        let links = |asked: &str| Changes::of(Version::parse(asked)).links_extended;
        assert!(links("6.18.44") && links("7.0.13") && !links("6.19.14") && !links("6.18.15"));
    }

    #[test]
    fn rows_are_ascending_versions() {
        for (name, versions) in Changes::TABLE.iter().chain(Takes::TABLE) {
            let parsed: Vec<Version> = versions.split(' ').map(Version::parse).collect();
            assert!(parsed.is_sorted() && parsed.iter().all(|v| v.major > 0), "{name}: {versions}");
        }
    }
}
