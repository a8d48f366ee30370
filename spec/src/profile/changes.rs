//! What verifiers of different kernels do differently: one named switch a row, and the kernels that have it. Differences that are facts
//! of their own (who is offered what, fields of contexts, prototypes) stand in their tables; other words for the same refusal in the
//! verifier's `reject/wording.rs`.
//!
//! True is what newer kernels do. A row lists versions in ascending order: the first of each series that was seen to have it, as far as we
//! asked. Within a listed series it holds from there on; the last one also speaks for every later series. So `"6.12.117 6.18.44"` is true
//! of 6.12.117, of 6.18.44 and of 7.0, but not of 6.16.12 or 6.18.15: fixes reach old series before they reach all patch levels of newer
//! ones.

use super::Version;

macro_rules! changes {
    ($( $(#[$doc:meta])+ $name:ident $versions:literal; )*) => {
        /// How one kernel does what others do differently.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Changes { $( $(#[$doc])+ pub $name: bool, )* }

        impl Changes {
            /// What the kernel of this version does.
            pub fn of(version: Version) -> Changes {
                Changes { $( $name: has($versions, version), )* }
            }

            /// Every row: the switch, and the versions that have it.
            pub const TABLE: &'static [(&'static str, &'static str)] = &[ $( (stringify!($name), $versions), )* ];
        }
    };
}

changes! {
    /// A tnum that leaves exactly one member inside the u64 range makes the register constant.
    tnum_single_member "6.18.44";
    /// s32/u32 refinement also when the signed range crosses the sign.
    refine_across_sign32 "6.18.44";
    /// `<<= 32` keeps signed bounds for negative values too.
    lsh32_keeps_signed "6.18.44";
    /// Byte swaps are followed bit by bit; otherwise their result is unknown.
    bswap_tracked "6.18.44";
    /// AND/OR of a value in [-1, 0] with a constant forks the path.
    and_or_fork "6.18.44";
    /// Linked registers: also for SUB, negative deltas and 32-bit additions; never for `r += r`.
    links_extended "6.18.44";
    /// Propagating a delta: 64-bit difference, zero extension for 32-bit additions, bounds synchronised after it.
    link_delta64 "6.18.44";
    /// A link's offset is cleared together with its id.
    link_off_cleared "6.18.44";
    /// Only registers that are live join a linked set.
    links_only_live "6.18.44";
    /// ALU with an arena pointer as source makes the destination an arena pointer.
    arena_alu_source "6.18.44";
    /// A variable-offset store that may hit a special slot turns the whole slot into misc, not only the bytes in range.
    var_store_clears_slot "6.18.44";
    /// bpf_throw's leak messages begin with `bpf_throw` and locks are looked at in every frame.
    throw_own_prefix "6.18.44";
    /// A failing LD_ABS/LD_IND in a subprogram is modelled as the subprogram returning 0.
    ld_abs_returns "6.18.44";
}

/// Whether the row's versions include this one.
fn has(versions: &str, asked: Version) -> bool {
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
    fn rows_are_ascending_versions() {
        for (name, versions) in Changes::TABLE {
            let parsed: Vec<Version> = versions.split(' ').map(Version::parse).collect();
            assert!(parsed.is_sorted() && parsed.iter().all(|v| v.major > 0), "{name}: {versions}");
        }
    }
}
