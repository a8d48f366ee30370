//! Refusals that other kernels put in other words: rows with the versions that print them. The words of 6.18 stand with the refusal in
//! `reject`; whether a kernel refuses at all is not here.

use super::Reject;
use crate::reg::Kind;
use spec::profile::Version;

/// From here to (not including) there.
struct Range(Version, Version);

const fn series(major: u16, minor: u16) -> Version {
    Version { major, minor, patch: 0 }
}

/// Kernels older than this series.
const fn before(major: u16, minor: u16) -> Range {
    Range(series(0, 0), series(major, minor))
}

macro_rules! wordings {
    ($( $range:expr, $pattern:pat $(if $guard:expr)? => $text:literal; )*) => {
        /// The kernel's own words, where they are not those of the row. The first row that fits counts.
        fn other_words(reject: &Reject, version: Version) -> Option<String> {
            $( if let (Range(from, to), $pattern) = ($range, reject) && (from..to).contains(&version) $(&& $guard)? {
                return Some(format!($text));
            } )*
            None
        }
    };
}

wordings! {
    before(5, 18), Reject::InvalidMemAccess { reg, ty } if ty.kind == Kind::Scalar => "R{reg} invalid mem access 'inv'\n";
    before(6, 12), Reject::HelperNotOffered { func } => "unknown func {func}\n";
}

/// What the kernel of this version prints.
pub fn text(reject: &Reject, version: Version) -> String {
    other_words(reject, version).unwrap_or_else(|| reject.to_string())
}
