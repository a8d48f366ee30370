//! Small contexts, and those that are a record of plain memory: registers, tracepoint records, arguments, a caller's buffer.

use super::CtxReg::{TpBuffer, TrustedPtr};
use super::*;

pub(super) fn cgroup_device() -> Layout {
    Layout::new("bpf_cgroup_dev_ctx", 12, Rows::One(CGROUP_DEVICE))
}

pub(super) fn sysctl() -> Layout {
    Layout::new("bpf_sysctl", 8, Rows::One(SYSCTL))
}

pub(super) fn netfilter() -> Layout {
    Layout::new("bpf_nf_ctx", 16, Rows::One(NETFILTER))
}

/// x86-64's registers and two words.
pub(super) fn perf_event() -> Layout {
    Layout::new("bpf_perf_event_data", 184, Rows::One(PERF_EVENT))
}

/// x86-64's registers.
pub(super) fn kprobe(writable: bool) -> Layout {
    Layout::new("pt_regs", 168, Rows::Two(KPROBE, usize::from(writable)))
}

/// A trace record: its first 8 bytes are the kernel's; negative offsets pass, because the lower bound is compared unsigned.
pub(super) fn tracepoint() -> Layout {
    Layout { negative_reads: true, ..Layout::new("", 8192, Rows::One(TRACEPOINT)) }
}

pub(super) fn raw_tracepoint() -> Layout {
    Layout::new("bpf_raw_tracepoint_args", 96, Rows::One(RAW_TRACEPOINT))
}

/// The first argument is the writable buffer; only offset 0 is special.
pub(super) fn raw_tracepoint_writable() -> Layout {
    Layout::new("bpf_raw_tracepoint_args", 96, Rows::One(RAW_TRACEPOINT_WRITABLE))
}

/// The caller's buffer; its size is checked when the program runs.
pub(super) fn syscall() -> Layout {
    Layout::new("", 65535, Rows::One(SYSCALL))
}

pub(super) fn lirc() -> Layout {
    Layout::new("__u32", 4, Rows::One(LIRC))
}

/// `struct bpf_cgroup_dev_ctx`.
#[rustfmt::skip]
static CGROUP_DEVICE: &[Row<1>] = &[
    row("access_type", 0, 4, [NARROW]),
    row("major", 4, 4, [WORD]),
    row("minor", 8, 4, [WORD]),
];

/// `struct bpf_sysctl`.
#[rustfmt::skip]
static SYSCTL: &[Row<1>] = &[
    row("write", 0, 4, [NARROW]),
    row("file_pos", 4, 4, [NARROW_W]),
];

/// `struct bpf_nf_ctx`.
#[rustfmt::skip]
static NETFILTER: &[Row<1>] = &[
    row("state", 0, 8, [ptr8(TrustedPtr("nf_hook_state"))]),
    row("skb", 8, 8, [ptr8(TrustedPtr("sk_buff"))]),
];

/// `struct bpf_perf_event_data`.
#[rustfmt::skip]
static PERF_EVENT: &[Row<1>] = &[
    row("regs", 0, 168, [QUAD]),
    row("sample_period", 168, 8, [PART]),
    row("addr", 176, 8, [PART]),
];

static KPROBE: &[Row<2>] = &[row("regs", 0, 168, [PART, PART_W])];

static TRACEPOINT: &[Row<1>] = &[row("common", 0, 8, [__]), row("record", 8, 8184, [PART])];

static RAW_TRACEPOINT: &[Row<1>] = &[row("args", 0, 96, [PART])];

/// Past its first byte, the first argument is read as any other.
const BYTES: Access = access_of(Sizes::Aligned(1 | 2 | 4), Sizes::No, CtxReg::Scalar);

static RAW_TRACEPOINT_WRITABLE: &[Row<1>] = &[
    row("buffer", 0, 1, [access_of(Sizes::At(&[(8, 0)]), Sizes::No, TpBuffer)]),
    row("buffer", 1, 7, [BYTES]),
    row("args", 8, 88, [PART]),
];

/// Plain memory since pointers have one offset, not a fixed and a variable part.
static SYSCALL: &[Row<1>] = &[
    row("buffer", 0, 65535, [PART_W]).until(7, 1),
    row("buffer", 0, 65535, [access_of(Sizes::Anywhere(15), Sizes::Anywhere(15), CtxReg::Scalar)]).since(7, 1),
];

static LIRC: &[Row<1>] = &[row("sample", 0, 4, [WORD])];
