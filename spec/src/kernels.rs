//! What each recorded kernel offers: program types, attach types, map types, helpers, instructions, kfuncs. Says what a kernel lacks;
//! that a program loads there is a profile's question, not this table's. Recorded by `cargo xtask profile --record`, one file a kernel;
//! what single programs are offered is in `offers`, releases between two recordings in `since`.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use crate::helper::HelperId;
use crate::map::MapType;
use crate::prog::ProgType;

/// The recordings, oldest kernel first.
const RECORDS: &[&str] = &[
    include_str!("../profiles/5.10/kernel.txt"),
    include_str!("../profiles/6.1/kernel.txt"),
    include_str!("../profiles/6.12/kernel.txt"),
    include_str!("../profiles/kernels/6.16.txt"),
    include_str!("../profiles/kernels/6.17.txt"),
    include_str!("../profiles/kernels/6.18.txt"),
    include_str!("../profiles/kernels/6.19.txt"),
    include_str!("../profiles/kernels/7.0.txt"),
    include_str!("../profiles/kernels/7.1.txt"),
    include_str!("../profiles/7.2/kernel.txt"),
];

/// The last attach type that recordings ask about; it speaks for those above.
const LAST_ATTACH: u32 = 63;

/// Instructions that came after the first kernel here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Atomics that return the old value, exchange, compare and exchange, and, or, xor.
    FetchAtomics,
    /// Signed division and modulo.
    SignedDivision,
    /// Sign-extending moves.
    Movsx,
    /// Sign-extending loads.
    Ldsx,
    /// Unconditional byte swaps.
    Bswap,
    /// Jumps with 32-bit offsets.
    Gotol,
    /// The loop that ends by itself.
    MayGoto,
    /// load_acquire and store_release.
    AcquireRelease,
}

impl Feature {
    pub const ALL: [Feature; 8] = [
        Feature::FetchAtomics,
        Feature::SignedDivision,
        Feature::Movsx,
        Feature::Ldsx,
        Feature::Bswap,
        Feature::Gotol,
        Feature::MayGoto,
        Feature::AcquireRelease,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Feature::FetchAtomics => "fetch_atomics",
            Feature::SignedDivision => "signed_division",
            Feature::Movsx => "movsx",
            Feature::Ldsx => "ldsx",
            Feature::Bswap => "bswap",
            Feature::Gotol => "gotol",
            Feature::MayGoto => "may_goto",
            Feature::AcquireRelease => "acquire_release",
        }
    }
}

/// One kernel as it was recorded.
#[derive(Debug, Default)]
pub struct Kernel {
    /// `6.1.192`.
    pub version: &'static str,
    types: HashSet<ProgType>,
    /// For each type the attach types it may be loaded with; without an entry nobody asked.
    attach: HashMap<ProgType, Vec<(u32, u32)>>,
    maps: HashSet<MapType>,
    /// How many helper numbers there are, 0 if nobody asked.
    helper_count: HelperId,
    /// For each type the helpers that some program of it is offered.
    helpers: HashMap<ProgType, Vec<(HelperId, HelperId)>>,
    features: HashSet<&'static str>,
    lacks: HashMap<&'static str, Refusal>,
    kfuncs: HashSet<&'static str>,
}

/// How a kernel refuses an instruction that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Positive.
    pub errno: i32,
    /// Wherever the instruction stands; otherwise only where a path reaches it.
    pub before_walk: bool,
    pub words: &'static str,
}

impl Kernel {
    pub fn has_type(&self, ty: ProgType) -> bool {
        self.types.contains(&ty)
    }

    /// The series: `6.1`.
    pub fn series(&self) -> &'static str {
        self.version.match_indices('.').nth(1).map_or(self.version, |(end, _)| &self.version[..end])
    }

    /// Whether a program of this type may be loaded with the attach type; `None` if that was not asked.
    pub fn has_attach(&self, ty: ProgType, attach: u32) -> Option<bool> {
        self.attach.get(&ty).map(|ranges| contains(ranges, attach.min(LAST_ATTACH)))
    }

    /// Whether there is a helper of this number, whoever may call it.
    pub fn has_helper_number(&self, id: HelperId) -> bool {
        self.helper_count == 0 || id < self.helper_count
    }

    /// One more than the highest number of a helper, 0 if nobody asked.
    pub fn helper_numbers(&self) -> HelperId {
        self.helper_count
    }

    pub fn kfunc_count(&self) -> usize {
        self.kfuncs.len()
    }

    pub fn has_map(&self, ty: MapType) -> bool {
        self.maps.contains(&ty)
    }

    /// Whether some program of this type may call the helper.
    pub fn has_helper(&self, ty: ProgType, id: HelperId) -> bool {
        self.helpers.get(&ty).is_some_and(|ranges| contains(ranges, id))
    }

    pub fn has_feature(&self, feature: Feature) -> bool {
        self.features.contains(feature.name())
    }

    /// How the kernel refuses the instruction; `None` if it has it or was not asked.
    pub fn refuses(&self, feature: Feature) -> Option<Refusal> {
        self.lacks.get(feature.name()).copied()
    }

    pub fn has_kfunc(&self, name: &str) -> bool {
        self.kfuncs.contains(name)
    }

    /// Reads a recording: a line is a kind and its words.
    pub(crate) fn parse(text: &'static str) -> Result<Kernel, String> {
        let mut kernel = Kernel::default();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let bad = || format!("cannot read {line:?}");
            let (kind, rest) = line.split_once(' ').ok_or_else(bad)?;
            let words = rest.split(' ');
            match kind {
                "kernel" => kernel.version = rest,
                "types" => kernel.types = words.map(ProgType::from_name).collect::<Option<_>>().ok_or_else(bad)?,
                "maps" => kernel.maps = words.map(MapType::from_name).collect::<Option<_>>().ok_or_else(bad)?,
                "features" => kernel.features = words.collect(),
                "kfuncs" => kernel.kfuncs = words.collect(),
                "count" => kernel.helper_count = rest.parse().map_err(|_| bad())?,
                "lacks" => {
                    let (name, refusal) = refusal(rest).ok_or_else(bad)?;
                    kernel.lacks.insert(name, refusal);
                }
                "helpers" | "attach" => {
                    let (ty, ranges) = rest.split_once(' ').ok_or_else(bad)?;
                    let ranges = ranges.split(',').map(range).collect::<Option<_>>();
                    let table = if kind == "helpers" { &mut kernel.helpers } else { &mut kernel.attach };
                    table.insert(ProgType::from_name(ty).ok_or_else(bad)?, ranges.ok_or_else(bad)?);
                }
                _ => return Err(bad()),
            }
        }
        Ok(kernel)
    }
}

/// `3` or `5-8`.
fn range(text: &str) -> Option<(HelperId, HelperId)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some((low.parse().ok()?, high.parse().ok()?))
}

fn contains(ranges: &[(u32, u32)], number: u32) -> bool {
    ranges.iter().any(|&(low, high)| (low..=high).contains(&number))
}

/// `movsx 22 walk BPF_MOV uses reserved fields`.
fn refusal(text: &'static str) -> Option<(&'static str, Refusal)> {
    let mut words = text.splitn(4, ' ');
    let (name, errno, stage) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    Some((name, Refusal { errno, before_walk: stage == "form", words: words.next().unwrap_or("") }))
}

/// The recorded kernel of this series (`6.1`).
pub fn of_series(series: &str) -> Option<&'static Kernel> {
    all().iter().find(|k| k.series() == series)
}

/// The recorded kernels, oldest first.
pub fn all() -> &'static [Kernel] {
    static PARSED: OnceLock<Vec<Kernel>> = OnceLock::new();
    // The texts are part of the crate and read by a test.
    PARSED.get_or_init(|| RECORDS.iter().map(|r| Kernel::parse(r).expect("embedded recording")).collect())
}

/// The oldest recorded kernel from which on every recorded one passes.
pub fn since(has: impl Fn(&Kernel) -> bool) -> Option<&'static Kernel> {
    all().iter().rev().take_while(|k| has(k)).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_read_in_order() {
        let number = |k: &Kernel| k.version.split('.').map(|n| n.parse().unwrap_or(0)).collect::<Vec<u32>>();
        assert!(all().is_sorted_by_key(number));
        for kernel in all() {
            assert!(kernel.has_type(ProgType::Xdp) && kernel.has_map(MapType::Hash), "{}", kernel.version);
            assert!(kernel.has_helper(ProgType::Xdp, 1), "{}", kernel.version);
        }
    }

    #[test]
    fn what_came_when() {
        let first = |has: &dyn Fn(&Kernel) -> bool| since(has).map(Kernel::series);
        assert_eq!(first(&|k| k.has_type(ProgType::Netfilter)), Some("6.12"));
        assert_eq!(first(&|k| k.has_type(ProgType::Syscall)), Some("6.1"));
        assert_eq!(first(&|k| k.has_map(MapType::Arena)), Some("6.12"));
        assert_eq!(first(&|k| k.has_map(MapType::CgrpStorage)), Some("6.12"));
        assert_eq!(first(&|k| k.has_helper(ProgType::Xdp, 189)), Some("6.1"));
        assert_eq!(first(&|k| k.has_feature(Feature::Ldsx)), Some("6.12"));
        assert_eq!(first(&|k| k.has_feature(Feature::FetchAtomics)), Some("6.1"));
        assert_eq!(first(&|k| k.has_kfunc("bpf_iter_num_new")), Some("6.12"));
        assert_eq!(first(&|k| k.has_helper(ProgType::SocketFilter, 44)), None);
    }
}
