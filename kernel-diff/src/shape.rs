//! What `BPF_PROG_TEST_RUN` takes for each program type. Facts only; running is in `live` and in the engines.

/// Parts of an input that a program type takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub name: &'static str,
    pub data: bool,
    pub ctx_in: bool,
    pub ctx_out: bool,
    pub repeat: bool,
    /// Fewer bytes of data are refused.
    pub min_data: usize,
    /// Size of the context that user space gives; 0 when variable.
    pub ctx_size: usize,
}

const fn packet(name: &'static str, min_data: usize, ctx_size: usize) -> Shape {
    Shape { name, data: true, ctx_in: ctx_size != 0, ctx_out: ctx_size != 0, repeat: true, min_data, ctx_size }
}

/// `None`: the kernel has no test run for this type (`ENOTSUPP`).
pub fn of(prog_type: u32) -> Option<Shape> {
    Some(match prog_type {
        1 => packet("socket_filter", 14, 192),
        3 => packet("sched_cls", 14, 192),
        4 => packet("sched_act", 14, 192),
        6 => packet("xdp", 14, 24),
        8 => packet("cgroup_skb", 14, 192),
        10 => packet("lwt_in", 14, 192),
        11 => packet("lwt_out", 14, 192),
        12 => packet("lwt_xmit", 14, 192),
        17 => Shape {
            name: "raw_tracepoint",
            data: false,
            ctx_in: true,
            ctx_out: false,
            repeat: false,
            min_data: 0,
            ctx_size: 0,
        },
        22 => Shape { ctx_out: false, ..packet("flow_dissector", 14, 0) },
        30 => Shape {
            name: "sk_lookup",
            data: false,
            ctx_in: true,
            ctx_out: true,
            repeat: true,
            min_data: 0,
            ctx_size: 72,
        },
        31 => {
            Shape { name: "syscall", data: false, ctx_in: true, ctx_out: true, repeat: false, min_data: 0, ctx_size: 0 }
        }
        32 => Shape {
            name: "netfilter",
            data: true,
            ctx_in: false,
            ctx_out: false,
            repeat: true,
            min_data: 20,
            ctx_size: 0,
        },
        _ => return None,
    })
}
