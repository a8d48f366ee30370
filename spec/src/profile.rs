//! A profile: which kernel the facts are asked of, and with which privileges. Version, capabilities, helper
//! availability, the kernel's BTF (inflated and parsed when first asked for). Its configuration is in `config`, what its verifier does
//! differently from others in `changes`.
//! The reference kernel is [`REFERENCE`]; others ([`Other`]) are read by `disk` from folders or from what is `embedded`. Those of
//! [`MODELLED`] series are judged; of the rest it is known only what they offer.

use std::sync::{Arc, OnceLock};

use crate::ctx::{self, Layout};
use crate::helper::{Availability, Column, HelperAvail, HelperId};
use crate::kernels::Kernel;
use crate::kfunc::{self, Flags, Kfunc};
use crate::map::MapType;
use crate::offers::Offered;
use crate::prog::{self, ProgContext, ProgType};

mod changes;
mod config;
mod disk;
mod embedded;
mod switches;
mod takes;

pub use changes::Changes;
pub use config::{Config, Lockdown};
pub use disk::{FOLDER_VARIABLE, Folders, Other, Place};
pub use takes::Takes;

/// The kernel that tables speak of where nothing else is said.
struct Reference {
    name: &'static str,
    version: Version,
    helpers: &'static str,
    btf: &'static [u8],
    availability: OnceLock<Availability>,
    parsed_btf: OnceLock<Arc<btf::Btf>>,
}

static REFERENCE: Reference = Reference {
    name: "6.18",
    version: Version::REFERENCE,
    helpers: include_str!("../profiles/6.18/helpers.txt"),
    btf: include_bytes!("../profiles/6.18/vmlinux.btf.lz4"),
    availability: OnceLock::new(),
    parsed_btf: OnceLock::new(),
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

impl Version {
    /// The kernel that is meant where none is named.
    pub const REFERENCE: Version = Version { major: 6, minor: 18, patch: 44 };

    /// `6.1` or `6.1.192-whatever`; anything else sorts before every version.
    pub fn parse(text: &str) -> Version {
        let mut numbers = text.split(['.', '-', '+']).map(|n| n.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Version { major: next(), minor: next(), patch: next() }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Capabilities of the loader. `sys_admin` stands in for each of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    pub bpf: bool,
    pub perfmon: bool,
    pub net_admin: bool,
    pub sys_admin: bool,
}

impl Caps {
    pub const ALL: Caps = Caps { bpf: true, perfmon: true, net_admin: true, sys_admin: true };
    pub const NONE: Caps = Caps { bpf: false, perfmon: false, net_admin: false, sys_admin: false };

    pub const fn has_bpf(self) -> bool {
        self.bpf || self.sys_admin
    }

    pub const fn has_perfmon(self) -> bool {
        self.perfmon || self.sys_admin
    }

    pub const fn has_net_admin(self) -> bool {
        self.net_admin || self.sys_admin
    }
}

/// The series whose verifier is modelled, oldest first.
const MODELLED: &[(u16, u16)] = &[(5, 10), (6, 1), (6, 12), (6, 18), (7, 2)];

/// A kernel and a loader. Cheap to make and to clone.
#[derive(Clone)]
pub struct Profile {
    reference: &'static Reference,
    pub version: Version,
    /// What this kernel does differently from others.
    pub changes: Changes,
    pub config: Config,
    pub caps: Caps,
    /// nr_cpu_ids: what get_smp_processor_id stays below.
    pub nr_cpus: u32,
    /// Whether this kernel's walk is modelled. Where it is not, nothing is accepted: what is known to be lacking is refused, all
    /// else unsupported.
    pub modelled: bool,
    own_btf: Option<Arc<btf::Btf>>,
    other: Option<Arc<Other>>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("version", &self.version)
            .field("changes", &self.changes)
            .field("config", &self.config)
            .field("caps", &self.caps)
            .field("nr_cpus", &self.nr_cpus)
            .finish_non_exhaustive()
    }
}

impl Default for Profile {
    /// Linux 6.18 LTS at patch level 44 as distributions configure it, loader with every capability.
    fn default() -> Profile {
        Profile::new(&REFERENCE)
    }
}

/// Why there is no such profile; its text names those that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoProfile {
    pub wanted: String,
    why: String,
}

impl NoProfile {
    fn new(wanted: &str, why: String) -> NoProfile {
        NoProfile { wanted: wanted.to_owned(), why }
    }
}

impl std::fmt::Display for NoProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no profile {:?}; {}", self.wanted, self.why)
    }
}

impl std::error::Error for NoProfile {}

impl Profile {
    fn new(reference: &'static Reference) -> Profile {
        Profile {
            reference,
            version: reference.version,
            changes: Changes::of(reference.version),
            config: Config::DISTRIBUTION,
            caps: Caps::ALL,
            nr_cpus: 2,
            modelled: true,
            own_btf: None,
            other: None,
        }
    }

    /// The kernel that most recorded answers are of: 6.18.44 with the configuration of the machine they were recorded on.
    pub fn reference() -> Profile {
        Profile { config: Config::REFERENCE, ..Profile::default() }
    }

    /// The profile of this name: a series (`6.18`, `6.1`) or, where it is that very one, a version (`6.18.15`, `6.1.192`). Folders
    /// come first, then those in the program.
    pub fn load(name: &str) -> Result<Profile, NoProfile> {
        Profile::load_from(name, &Folders::new(None))
    }

    /// The same, looking into these folders.
    pub fn load_from(name: &str, folders: &Folders) -> Result<Profile, NoProfile> {
        if let Some(other) = folders.load(name)? {
            return Ok(Profile::of_other(other));
        }
        if let Some(profile) = Profile::of_reference(name) {
            return Ok(profile);
        }
        let mut there: Vec<String> = Profile::names().map(str::to_owned).collect();
        there.extend(folders.names().into_iter().map(|(name, _)| name));
        Err(NoProfile::new(name, format!("there is {}", there.join(", "))))
    }

    fn of_reference(name: &str) -> Option<Profile> {
        let series = name.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let mut profile = Profile::new((REFERENCE.name == series).then_some(&REFERENCE)?);
        match name.strip_prefix(&series)? {
            "" | ".44" => {}
            ".15" => {
                profile.version.patch = 15;
                profile.changes = Changes::of(profile.version);
                profile.config = Config::DEBIAN;
            }
            _ => return None,
        }
        Some(profile)
    }

    /// Another kernel than the reference. Its walk counts as modelled if its series is and single programs were asked about. Without a
    /// BTF of its own it has 6.18's.
    pub fn of_other(other: Arc<Other>) -> Profile {
        let version = Version::parse(other.kernel.version);
        let modelled = other.offers.is_some() && MODELLED.contains(&(version.major, version.minor));
        Profile { version, changes: Changes::of(version), modelled, other: Some(other), ..Profile::default() }
    }

    /// The kernel as recorded, if it is not the reference.
    pub fn other(&self) -> Option<&Other> {
        self.other.as_deref()
    }

    /// The names of the reference.
    pub fn names() -> impl Iterator<Item = &'static str> {
        [REFERENCE.name, "6.18.15", "6.18.44"].into_iter()
    }

    pub fn with_caps(mut self, caps: Caps) -> Profile {
        self.caps = caps;
        self
    }

    /// The same kernel with another BTF (`--btf`).
    pub fn with_btf(mut self, btf: Arc<btf::Btf>) -> Profile {
        self.own_btf = Some(btf);
        self
    }

    /// The kernel's BTF; parsed when first asked for, shared by all profiles of that kernel.
    pub fn btf(&self) -> &Arc<btf::Btf> {
        let known = self.own_btf.as_ref().or_else(|| self.other.as_deref()?.btf());
        known.unwrap_or_else(|| self.reference.parsed_btf.get_or_init(|| Arc::new(self.reference.parse_btf())))
    }

    /// The context of this program; `None` where it is typed by BTF.
    pub fn ctx(&self, prog: &ProgContext<'_>) -> Option<Layout> {
        ctx::layout_of(prog, self.version, self.config.kprobes)
    }

    pub fn has_type(&self, ty: ProgType) -> bool {
        self.other.as_deref().is_none_or(|o| o.kernel.has_type(ty))
    }

    pub fn has_map(&self, ty: MapType) -> bool {
        self.other.as_deref().is_none_or(|o| o.kernel.has_map(ty))
    }

    /// Whether programs of this type may be loaded with this `expected_attach_type`.
    pub fn has_attach(&self, ty: ProgType, attach: u32) -> bool {
        let recorded = self.other.as_deref().and_then(|o| o.kernel.has_attach(ty, attach));
        self.has_type(ty)
            && recorded
                .unwrap_or_else(|| prog::attach_type_valid(ty, prog::fixup_attach_type(ty, attach), self.version))
    }

    /// The registration through which this program may call the kfunc whose FUNC has this id in the kernel's BTF. A BTF that marks
    /// kfuncs decides which of the table's the kernel was built with.
    pub fn kfunc(&self, func: u32, prog: &ProgContext<'_>) -> Option<Kfunc> {
        let btf = self.btf();
        let name = btf.name(func);
        let recorded = self.other.as_deref().and_then(|o| Some((o.offers.as_ref()?, o.to(prog).offered?)));
        if let Some((offers, offered)) = recorded {
            let registered = kfunc::allowed(name, prog).copied();
            let mut kfunc = match offered.kfunc(name) {
                Some(false) => None,
                Some(true) => Some(registered.unwrap_or(Kfunc::recorded(offers.kfunc_name(name)?))),
                None => registered,
            }?;
            kfunc.flags = offers.kfunc_flags(name).unwrap_or(kfunc.flags);
            return Some(kfunc);
        }
        let built = |id| btf.has_decl_tag(id, -1, "bpf_kfunc");
        // Every kernel that marks kfuncs has this one.
        let marks = btf.find(btf::Kind::Func, "bpf_iter_num_new").is_some_and(built);
        if marks && !built(func) { None } else { kfunc::allowed(name, prog).copied() }
    }

    /// The flags that the kfunc is registered with, whoever may call it: more than one set where they differ by program.
    pub fn kfunc_flags(&self, name: &str) -> Vec<Flags> {
        let recorded = self.other.as_deref().and_then(|o| o.offers.as_ref()?.kfunc_flags(name));
        recorded.map_or_else(|| kfunc::by_name(name).iter().map(|k| k.flags).collect(), |flags| vec![flags])
    }

    /// Whether the function is only a prototype in the kernel's BTF: the long form of a kfunc whose last parameters the kernel fills in.
    pub fn kfunc_is_prototype(&self, name: &str) -> bool {
        let Some(offers) = self.other.as_deref().and_then(|o| o.offers.as_ref()) else { return false };
        let short = name.strip_suffix("_impl").and_then(|short| offers.kfunc_flags(short));
        offers.kfunc_flags(name).is_none() && short.is_some_and(|flags| flags.contains(Flags::IMPLICIT_ARGS))
    }

    /// The helpers of this program: ask once, look up often.
    pub fn helpers(&self, prog: ProgContext<'_>) -> HelperSet<'_> {
        HelperSet {
            column: self.reference.availability().column(prog),
            version: self.version,
            config: &self.config,
            other: self.other.as_deref().map(|o| o.to(&prog)),
        }
    }

    /// Whether this program is offered this helper, whatever the capabilities.
    pub fn helper(&self, prog: ProgContext<'_>, id: HelperId) -> HelperAvail {
        self.helpers(prog).get(id)
    }
}

/// The helpers that one program is offered.
#[derive(Clone, Copy, Debug)]
pub struct HelperSet<'a> {
    column: Column<'a>,
    version: Version,
    config: &'a Config,
    other: Option<OtherOffer<'a>>,
}

/// What another kernel than the reference offers to a program.
#[derive(Clone, Copy, Debug)]
struct OtherOffer<'a> {
    kernel: &'static Kernel,
    prog_type: ProgType,
    offered: Option<Offered<'a>>,
}

impl HelperSet<'_> {
    /// Programs with the same column are offered the same helpers.
    pub fn column_index(&self) -> Option<usize> {
        self.column.index()
    }

    pub fn get(&self, id: HelperId) -> HelperAvail {
        let gone = match id {
            36 => self.config.lockdown >= Lockdown::Integrity,
            4 | 45 | 113 | 115 => self.config.lockdown >= Lockdown::Confidentiality,
            58 => !self.config.kprobe_override,
            _ => false,
        };
        if gone {
            return HelperAvail::No;
        }
        match self.other {
            Some(other) => other.helper(id, self.version).unwrap_or_else(|| self.column.helper(id)),
            None => self.column.helper(id),
        }
    }

    /// Whether it is another kernel than the reference that does not offer the helper.
    pub fn withheld(&self, id: HelperId) -> bool {
        self.other.is_some_and(|o| o.helper(id, self.version) == Some(HelperAvail::No))
    }
}

impl Other {
    fn to(&self, prog: &ProgContext<'_>) -> OtherOffer<'_> {
        let offered = self.offers.as_ref().and_then(|o| o.column(prog));
        OtherOffer { kernel: self.kernel, prog_type: prog.prog_type, offered }
    }
}

impl OtherOffer<'_> {
    /// What was recorded of this kernel; `None` if it may be as on 6.18.
    fn helper(&self, id: HelperId, version: Version) -> Option<HelperAvail> {
        let offered = self.offered.and_then(|o| o.helper(id, version));
        offered.or_else(|| (!self.kernel.has_helper(self.prog_type, id)).then_some(HelperAvail::No))
    }
}

impl Reference {
    fn availability(&self) -> &Availability {
        // The text is part of the crate: a test reads it, so that this cannot fail on any input.
        self.availability.get_or_init(|| Availability::parse(self.helpers).expect("embedded helpers.txt"))
    }

    fn parse_btf(&self) -> btf::Btf {
        // As above: embedded data, read by a test. LZ4, because inflating takes longer than parsing and all else together.
        let bytes = lz4_flex::decompress_size_prepended(self.btf).expect("embedded BTF unpacks");
        btf::Btf::parse_vec(bytes, None).expect("embedded BTF parses")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::Need;
    use crate::prog::AttachType;

    fn avail(prog: ProgContext<'_>, id: u32) -> Option<(char, Need)> {
        match Profile::default().helper(prog, id) {
            HelperAvail::Yes { proto, need } => Some((proto.variant, need)),
            HelperAvail::No => None,
        }
    }

    #[test]
    fn embedded_kernels_are_readable() {
        Availability::parse(REFERENCE.helpers).expect("helpers.txt");
        for kernel in embedded::EMBEDDED {
            let profile = Profile::load(kernel.name).expect("readable");
            assert!(profile.btf().len() > 50_000, "{}", kernel.name);
        }
        let btf = Profile::default().btf().clone();
        assert!(Arc::ptr_eq(&btf, Profile::default().btf()), "parsed once");
    }

    #[test]
    fn profiles_by_name() {
        assert_eq!(Profile::load("6.18.15").map(|p| p.changes.bswap_tracked), Ok(false));
        assert_eq!(Profile::load("6.18").map(|p| p.version.to_string()), Ok("6.18.44".to_owned()));
        let error = Profile::load("2.6").map(|_| ()).expect_err("too old");
        assert_eq!(error.to_string(), "no profile \"2.6\"; there is 6.18, 6.18.15, 6.18.44, 5.10, 6.1, 6.12, 7.2");
        assert!(Profile::load("6.18.99").is_err() && Profile::load("").is_err() && Profile::load("6.18x").is_err());
    }

    #[test]
    fn profiles_of_other_kernels() {
        let old = Profile::load("6.1").expect("embedded");
        let xdp = ProgContext::of(ProgType::Xdp);
        assert_eq!(old.other().map(|o| o.kernel.series()), Some("6.1"));
        assert!(old.btf().find(btf::Kind::Struct, "task_struct").is_some());
        assert!(!Arc::ptr_eq(old.btf(), Profile::default().btf()));
        // get_current_pid_tgid came to XDP later; cgrp_storage_get did not exist.
        assert_eq!((old.helper(xdp, 14), old.helper(xdp, 210)), (HelperAvail::No, HelperAvail::No));
        assert_ne!(old.helper(xdp, 1), HelperAvail::No);
        let exact = old.version.to_string();
        assert_eq!(Profile::load(&exact).map(|p| p.version), Ok(old.version));
        let other_patch = Profile::load("6.1.1").map(|_| ()).expect_err("not that one");
        assert_eq!(other_patch.to_string(), format!("no profile \"6.1.1\"; the profile of this series is {exact}'s"));
        assert!(Profile::default().other().is_none());
    }

    #[test]
    fn columns_are_chosen_by_what_is_most_specific() {
        let of = ProgContext::of;
        assert_eq!(avail(of(ProgType::Xdp), 1), Some(('a', Need::Nothing)));
        assert_eq!(avail(of(ProgType::Xdp), 6), Some(('a', Need::Perfmon)));
        assert_eq!(avail(of(ProgType::Xdp), 0), None);
        assert_eq!(avail(of(ProgType::Xdp), 4000), None);
        // Any attach type of a type that does not depend on it.
        assert_eq!(avail(ProgContext { attach_type: 61, ..of(ProgType::SchedCls) }, 9), Some(('a', Need::Nothing)));
        // get_retval: not under attach type 0, but under the type's own.
        let device = |attach_type| ProgContext { attach_type, ..of(ProgType::CgroupDevice) };
        assert_eq!(avail(device(0), 186), None);
        assert!(avail(device(AttachType::CgroupDevice.raw()), 186).is_some());
        // Sockopts in iterators over TCP sockets only.
        let iter = |target| ProgContext { attach_type: 28, target, ..of(ProgType::Tracing) };
        assert_eq!(avail(iter("task"), 49), None);
        assert_eq!(avail(iter("tcp"), 49).map(|a| a.0), Some('b'));
        assert!(avail(iter("task"), 126).is_some());
        // struct_ops: by struct, by member.
        let ops = |target| ProgContext { target, ..of(ProgType::StructOps) };
        assert!(avail(ops("tcp_congestion_ops.init"), 49).is_some());
        assert_eq!(avail(ops("tcp_congestion_ops.release"), 49), None);
        assert_eq!(avail(ops("bpf_dummy_ops.test_1"), 1), None);
        assert!(avail(ops("sched_ext_ops.enqueue"), 1).is_some());
    }

    #[test]
    fn kfuncs_are_those_of_the_build() {
        let profile = Profile::default();
        let id = |name| profile.btf().find(btf::Kind::Func, name).expect("in the BTF");
        let syscall = ProgContext { sleepable: true, ..ProgContext::of(ProgType::Syscall) };
        assert!(profile.kfunc(id("bpf_iter_num_new"), &syscall).is_some());
        // In the table and in the BTF, yet not registered by this build.
        assert!(kfunc::allowed("bpf_verify_pkcs7_signature", &syscall).is_some());
        assert_eq!(profile.kfunc(id("bpf_verify_pkcs7_signature"), &syscall), None);
    }

    #[test]
    fn kprobes_write_their_registers_where_there_are_any() {
        let kprobe = ProgContext::of(ProgType::Kprobe);
        let writes = |profile: Profile| {
            let layout = profile.ctx(&kprobe).expect("kprobe has a context");
            layout.access(Caps::ALL, 8, 8, ctx::AccessKind::Write).is_some()
        };
        assert_eq!((writes(Profile::default()), writes(Profile::reference())), (true, false));
    }

    #[test]
    fn configuration_takes_helpers_away() {
        let kprobe = ProgContext::of(ProgType::Kprobe);
        let mut profile = Profile::default();
        assert_ne!(profile.helper(kprobe, 36), HelperAvail::No);
        profile.config.lockdown = Lockdown::Integrity;
        profile.config.kprobe_override = false;
        assert_eq!((profile.helper(kprobe, 36), profile.helper(kprobe, 58)), (HelperAvail::No, HelperAvail::No));
        assert_ne!(profile.helper(kprobe, 113), HelperAvail::No);
        profile.config.lockdown = Lockdown::Confidentiality;
        assert_eq!(profile.helper(kprobe, 113), HelperAvail::No);
    }
}
