//! How a kernel is configured and started, as far as a verdict depends on it: named configurations, single switches by name, and what
//! a kernel's own configuration text says.

/// `lockdown=`: what it takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockdown {
    None,
    /// probe_write_user is gone.
    Integrity,
    /// Reading kernel memory (probe_read, probe_read_kernel and their `_str`) too.
    Confidentiality,
}

impl Lockdown {
    pub const ALL: [Lockdown; 3] = [Lockdown::None, Lockdown::Integrity, Lockdown::Confidentiality];

    /// As on the kernel's command line.
    pub const fn name(self) -> &'static str {
        match self {
            Lockdown::None => "none",
            Lockdown::Integrity => "integrity",
            Lockdown::Confidentiality => "confidentiality",
        }
    }

    pub fn from_name(name: &str) -> Option<Lockdown> {
        Lockdown::ALL.into_iter().find(|l| l.name() == name)
    }
}

macro_rules! config {
    ($( $(#[$doc:meta])* $field:ident $name:literal; )*) => {
        /// What verdicts depend on beyond the version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Config {
            pub lockdown: Lockdown,
            $( $(#[$doc])* pub $field: bool, )*
            /// NR_CPUS: the largest CPUMAP.
            pub max_cpus: u32,
            /// `kernel.perf_event_max_stack`: the deepest STACK_TRACE.
            pub max_stack: u32,
            pub page_size: u32,
        }

        impl Config {
            /// Names of the switches: the kernel's option without `CONFIG_`, or the sysctl.
            pub const SWITCHES: &'static [&'static str] = &[$($name),*];

            /// Turns the switch of this name on or off; false if there is none.
            pub fn set(&mut self, name: &str, on: bool) -> bool {
                let bare = name.strip_prefix("CONFIG_").unwrap_or(name);
                match bare {
                    $( $name => self.$field = on, )*
                    _ => return false,
                }
                true
            }

            /// Every switch and where it stands.
            pub fn switches(&self) -> impl Iterator<Item = (&'static str, bool)> {
                [$(($name, self.$field)),*].into_iter()
            }
        }
    };
}

config! {
    /// The helper override_return.
    kprobe_override "BPF_KPROBE_OVERRIDE";
    /// The program type.
    lirc_mode2 "BPF_LIRC_MODE2";
    /// KPROBE programs may write their registers (when they are attached it is asked whether they may); without it they may not.
    kprobes "KPROBES";
    lsm "BPF_LSM";
    netfilter_link "NETFILTER_BPF_LINK";
    perf_events "PERF_EVENTS";
    /// System calls may be modified and traced by sleepable programs.
    error_injection "FUNCTION_ERROR_INJECTION";
    /// Kernel variables have addresses that programs can be given.
    kallsyms_all "KALLSYMS_ALL";
    preempt_rt "PREEMPT_RT";
    /// The JIT is on and supports what x86-64's does (kfuncs, arena, exceptions, private stack, far atomics).
    jit "BPF_JIT";
    /// `kernel.unprivileged_bpf_disabled` is not 0.
    unprivileged_disabled "unprivileged_bpf_disabled";
    /// Loaders without CAP_PERFMON are held to what is safe on a processor that speculates; off where the kernel was booted with
    /// `mitigations=off`.
    mitigations "mitigations";
}

impl Config {
    /// x86-64 with everything on and no lockdown.
    pub const FULL: Config = Config {
        lockdown: Lockdown::None,
        kprobe_override: true,
        lirc_mode2: true,
        kprobes: true,
        lsm: true,
        netfilter_link: true,
        perf_events: true,
        error_injection: true,
        kallsyms_all: true,
        preempt_rt: false,
        jit: true,
        unprivileged_disabled: true,
        mitigations: true,
        max_cpus: 8192,
        max_stack: 127,
        page_size: 4096,
    };

    /// What distributions ship: everything but what makes system calls fail on purpose, which Debian refuses.
    pub const DISTRIBUTION: Config = Config { error_injection: false, ..Config::FULL };

    /// Debian's 6.18.
    pub const DEBIAN: Config = Config { kprobe_override: false, lirc_mode2: false, ..Config::DISTRIBUTION };

    /// The kernel that most recorded answers are of, and whose BTF is embedded.
    pub const REFERENCE: Config = Config {
        lockdown: Lockdown::Integrity,
        kprobe_override: false,
        lirc_mode2: false,
        error_injection: false,
        kallsyms_all: false,
        kprobes: false,
        max_cpus: 256,
        ..Config::FULL
    };

    /// The configuration that a kernel's `.config` text says. Lockdown and sysctls are no part of it.
    pub fn from_kconfig(text: &str) -> Config {
        let value =
            |name: &str| text.lines().find_map(|l| l.strip_prefix("CONFIG_")?.strip_prefix(name)?.strip_prefix('='));
        let mut config = Config::FULL;
        for name in Config::SWITCHES.iter().filter(|n| n.starts_with(|c: char| c.is_ascii_uppercase())) {
            config.set(name, value(name) == Some("y"));
        }
        config.max_cpus = value("NR_CPUS").and_then(|v| v.parse().ok()).unwrap_or(config.max_cpus);
        config
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::DISTRIBUTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_go_by_the_kernels_names() {
        let mut config = Config::default();
        assert!(!config.error_injection);
        assert!(config.set("CONFIG_FUNCTION_ERROR_INJECTION", true));
        assert!(config.error_injection);
        assert!(config.set("BPF_LSM", false) && !config.lsm);
        assert!(!config.set("BPF_LSMX", true));
    }

    #[test]
    fn a_configuration_is_read() {
        let text = "CONFIG_BPF_JIT=y\n# CONFIG_BPF_LSM is not set\nCONFIG_NR_CPUS=64\nCONFIG_PERF_EVENTS=y\nCONFIG_NR_CPUS_X=1\n";
        let config = Config::from_kconfig(text);
        assert!(config.jit && config.perf_events && !config.lsm && !config.preempt_rt && !config.kallsyms_all);
        assert_eq!((config.max_cpus, config.unprivileged_disabled), (64, true));
    }
}
