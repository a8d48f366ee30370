//! The structs of function pointers that STRUCT_OPS programs implement: which members may be implemented, which may sleep, and what
//! programs may write to.

use crate::errno::Errno;

/// One struct. Its members' types are in the kernel's BTF; that a kernel has it at all shows there as `bpf_struct_ops_<name>`.
#[derive(Debug)]
struct StructOps {
    name: &'static str,
    members: Members,
    sleepable: Sleepable,
    /// (kernel struct, its members) that programs may store to through a BTF pointer.
    writable: &'static [(&'static str, &'static [&'static str])],
}

/// Function members that the kernel has a stub for.
#[derive(Debug)]
enum Members {
    Only(&'static [&'static str]),
    All,
    AllBut(&'static [&'static str]),
}

/// Members that may be implemented by a sleepable program.
#[derive(Debug)]
enum Sleepable {
    All,
    Only(&'static [&'static str]),
}

const STRUCTS: &[StructOps] = &[
    StructOps {
        name: "tcp_congestion_ops",
        members: Members::AllBut(&["get_info"]),
        sleepable: Sleepable::All,
        writable: &[(
            "tcp_sock",
            &[
                "sk_pacing_rate",
                "sk_pacing_status",
                "icsk_ca_priv",
                "icsk_ack.pending",
                "snd_cwnd",
                "snd_cwnd_cnt",
                "snd_cwnd_stamp",
                "snd_ssthresh",
                "ecn_flags",
                "app_limited",
            ],
        )],
    },
    StructOps {
        name: "bpf_dummy_ops",
        members: Members::All,
        sleepable: Sleepable::Only(&["test_sleepable"]),
        writable: &[("bpf_dummy_ops_state", &[])],
    },
    StructOps {
        name: "Qdisc_ops",
        members: Members::Only(&["enqueue", "dequeue", "init", "reset", "destroy"]),
        sleepable: Sleepable::All,
        writable: &[("Qdisc", &["limit", "q.qlen", "qstats"]), ("sk_buff", &["tstamp", "cb"])],
    },
    StructOps {
        name: "hid_bpf_ops",
        members: Members::Only(&["hid_device_event", "hid_rdesc_fixup", "hid_hw_request", "hid_hw_output_report"]),
        sleepable: Sleepable::Only(&["hid_rdesc_fixup", "hid_hw_request", "hid_hw_output_report"]),
        writable: &[("hid_bpf_ctx", &["retval"]), ("hid_device", &["name", "uniq", "phys"])],
    },
    StructOps {
        name: "sched_ext_ops",
        members: Members::All,
        sleepable: Sleepable::Only(&[
            "init_task",
            "cgroup_init",
            "cgroup_exit",
            "cgroup_prep_move",
            "cpu_online",
            "cpu_offline",
            "init",
            "exit",
        ]),
        writable: &[("task_struct", &["scx.slice", "scx.dsq_vtime", "scx.disallow"])],
    },
];

fn find(name: &str) -> Option<&'static StructOps> {
    STRUCTS.iter().find(|s| s.name == name)
}

/// Whether programs can implement this struct.
pub fn struct_ops(name: &str) -> bool {
    find(name).is_some()
}

/// Whether a program may implement this function member. `Err` is the errno of `attach to unsupported member`.
pub fn struct_ops_member(name: &str, member: &str, sleepable: bool) -> Result<(), Errno> {
    let ops = find(name).ok_or(Errno::ENOTSUPP)?;
    let supported = match ops.members {
        Members::Only(list) => list.contains(&member),
        Members::All => true,
        Members::AllBut(list) => !list.contains(&member),
    };
    let may_sleep = match ops.sleepable {
        Sleepable::All => true,
        Sleepable::Only(list) => list.contains(&member),
    };
    match (supported, sleepable && !may_sleep) {
        (false, _) => Err(Errno::ENOTSUPP),
        (true, true) => Err(Errno::EINVAL),
        (true, false) => Ok(()),
    }
}

/// Members (paths with dots) of a kernel struct that programs of these ops may write: scalars at their very offset, arrays at any
/// offset inside. `Some` of an empty list is the whole struct; `None` is none of it.
pub fn struct_ops_writable(name: &str, kernel_struct: &str) -> Option<&'static [&'static str]> {
    find(name)?.writable.iter().find(|(s, _)| *s == kernel_struct).map(|(_, members)| *members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_sleep() {
        assert_eq!(struct_ops_member("tcp_congestion_ops", "init", true), Ok(()));
        assert_eq!(struct_ops_member("tcp_congestion_ops", "get_info", false), Err(Errno::ENOTSUPP));
        assert_eq!(struct_ops_member("bpf_dummy_ops", "test_1", true), Err(Errno::EINVAL));
        assert_eq!(struct_ops_member("bpf_dummy_ops", "test_sleepable", true), Ok(()));
        assert_eq!(struct_ops_member("Qdisc_ops", "peek", false), Err(Errno::ENOTSUPP));
        assert!(!struct_ops("task_struct"));
        assert_eq!(struct_ops_writable("bpf_dummy_ops", "bpf_dummy_ops_state"), Some(&[][..]));
        assert_eq!(struct_ops_writable("bpf_dummy_ops", "tcp_sock"), None);
        assert!(struct_ops_writable("tcp_congestion_ops", "tcp_sock").is_some_and(|m| m.contains(&"snd_cwnd")));
    }
}
