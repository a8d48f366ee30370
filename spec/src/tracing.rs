//! Typed arguments of TRACING programs that the kernel's BTF does not tell: iterator targets, and tracepoints whose pointer
//! arguments may be NULL or an error.

use crate::profile::Version;
use crate::span::Span;

/// What a `ctx` argument of an iterator becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IterArg {
    Scalar,
    /// BTF pointer to this struct.
    Ptr {
        name: &'static str,
        trusted: bool,
        nullable: bool,
    },
    /// Memory of the map's key or value size, or NULL.
    Buf {
        rdonly: bool,
    },
}

/// A target of `bpf_iter_<name>`; argument i is at ctx offset 8 * i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IterTarget {
    pub name: &'static str,
    pub args: &'static [IterArg],
}

/// The iterator target of this name, with or without `bpf_iter_`.
pub fn iterator(name: &str) -> Option<&'static IterTarget> {
    let bare = name.strip_prefix("bpf_iter_").unwrap_or(name);
    ITERATORS.binary_search_by(|t| t.name.cmp(bare)).ok().map(|i| &ITERATORS[i])
}

/// Which arguments of a tracepoint (0 = the first after `__data`) may be NULL, and which may hold an error pointer and are
/// therefore scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTpArgs {
    pub name: &'static str,
    nullable: u16,
    error: u16,
    span: Span,
}

impl RawTpArgs {
    pub fn may_be_null(&self, arg: u32) -> bool {
        arg < 16 && self.nullable >> arg & 1 == 1
    }

    pub fn may_be_error(&self, arg: u32) -> bool {
        arg < 16 && self.error >> arg & 1 == 1
    }
}

/// The special tracepoint of this name, with or without `btf_trace_`.
pub fn raw_tp(name: &str, version: Version) -> Option<&'static RawTpArgs> {
    let bare = name.strip_prefix("btf_trace_").unwrap_or(name);
    let first = RAW_TPS.partition_point(|t| t.name < bare);
    RAW_TPS[first..].iter().take_while(|t| t.name == bare).find(|t| t.span.holds(version))
}

const META: IterArg = Ptr { name: "bpf_iter_meta", trusted: true, nullable: false };

use IterArg::{Buf, Ptr, Scalar};

/// Sorted by name.
#[rustfmt::skip]
pub const ITERATORS: &[IterTarget] = &[
    IterTarget { name: "bpf_link", args: &[META, Ptr { name: "bpf_link", trusted: false, nullable: true }] },
    IterTarget { name: "bpf_map", args: &[META, Ptr { name: "bpf_map", trusted: true, nullable: true }] },
    IterTarget { name: "bpf_map_elem", args: &[META, Ptr { name: "bpf_map", trusted: true, nullable: false }, Buf { rdonly: true }, Buf { rdonly: false }] },
    IterTarget { name: "bpf_prog", args: &[META, Ptr { name: "bpf_prog", trusted: false, nullable: true }] },
    IterTarget { name: "bpf_sk_storage_map", args: &[META, Ptr { name: "bpf_map", trusted: true, nullable: false }, Ptr { name: "sock", trusted: false, nullable: true }, Buf { rdonly: false }] },
    IterTarget { name: "cgroup", args: &[META, Ptr { name: "cgroup", trusted: true, nullable: true }] },
    IterTarget { name: "dmabuf", args: &[META, Ptr { name: "dma_buf", trusted: false, nullable: true }] },
    IterTarget { name: "ipv6_route", args: &[META, Ptr { name: "fib6_info", trusted: false, nullable: true }] },
    IterTarget { name: "kmem_cache", args: &[META, Ptr { name: "kmem_cache", trusted: true, nullable: true }] },
    IterTarget { name: "ksym", args: &[META, Ptr { name: "kallsym_iter", trusted: false, nullable: true }] },
    IterTarget { name: "netlink", args: &[META, Ptr { name: "netlink_sock", trusted: false, nullable: true }] },
    IterTarget { name: "sockmap", args: &[META, Ptr { name: "bpf_map", trusted: true, nullable: false }, Buf { rdonly: true }, Ptr { name: "sock", trusted: false, nullable: true }] },
    IterTarget { name: "task", args: &[META, Ptr { name: "task_struct", trusted: true, nullable: true }] },
    IterTarget { name: "task_file", args: &[META, Ptr { name: "task_struct", trusted: false, nullable: true }, Scalar, Ptr { name: "file", trusted: false, nullable: true }] },
    IterTarget { name: "task_vma", args: &[META, Ptr { name: "task_struct", trusted: false, nullable: true }, Ptr { name: "vm_area_struct", trusted: false, nullable: true }] },
    IterTarget { name: "tcp", args: &[META, Ptr { name: "sock_common", trusted: true, nullable: true }, Scalar] },
    IterTarget { name: "udp", args: &[META, Ptr { name: "udp_sock", trusted: true, nullable: true }, Scalar, Scalar] },
    IterTarget { name: "unix", args: &[META, Ptr { name: "unix_sock", trusted: false, nullable: true }, Scalar] },
];

const fn t(name: &'static str, nullable: u16, error: u16) -> RawTpArgs {
    // Before, kernels did not know.
    RawTpArgs { name, nullable, error, span: Span::ALWAYS.since(6, 12) }
}

impl RawTpArgs {
    const fn since(mut self, major: u16, minor: u16) -> RawTpArgs {
        self.span = self.span.since(major, minor);
        self
    }

    const fn until(mut self, major: u16, minor: u16) -> RawTpArgs {
        self.span = self.span.until(major, minor);
        self
    }
}

/// Sorted by name: tracepoint, may be NULL, may be an error (bit i = argument i).
#[rustfmt::skip]
pub const RAW_TPS: &[RawTpArgs] = &[
    t("afs_flock_ev", 0b10, 0b0),
    t("afs_make_fs_call", 0b10, 0b0),
    t("afs_make_fs_call1", 0b10, 0b0),
    t("afs_make_fs_call2", 0b10, 0b0),
    t("afs_make_fs_calli", 0b10, 0b0),
    t("afs_protocol_error", 0b1, 0b0),
    t("amdgpu_vm_bo_map", 0b1, 0b0),
    t("amdgpu_vm_bo_unmap", 0b1, 0b0),
    t("amdtp_packet", 0b100, 0b0),
    t("binder_transaction", 0b100, 0b0),
    t("bpf_testmod_test_read", 0b0, 0b0),
    t("break_lease_block", 0b10, 0b0),
    t("break_lease_noblock", 0b10, 0b0),
    t("break_lease_unblock", 0b10, 0b0),
    t("btree_path_free", 0b100, 0b0),
    t("cachefiles_io_error", 0b1, 0b0),
    t("cachefiles_lookup", 0b1, 0b100),
    t("cachefiles_mark_active", 0b1, 0b0),
    t("cachefiles_mark_failed", 0b1, 0b0),
    t("cachefiles_mark_inactive", 0b1, 0b0),
    t("cachefiles_ondemand_close", 0b1, 0b0),
    t("cachefiles_ondemand_copen", 0b1, 0b0),
    t("cachefiles_ondemand_cread", 0b1, 0b0),
    t("cachefiles_ondemand_fd_release", 0b1, 0b0),
    t("cachefiles_ondemand_fd_write", 0b1, 0b0),
    t("cachefiles_ondemand_open", 0b1, 0b0),
    t("cachefiles_ondemand_read", 0b1, 0b0),
    t("cachefiles_prep_read", 0b1, 0b0),
    t("cachefiles_rename", 0b1, 0b0),
    t("cachefiles_unlink", 0b1, 0b0),
    t("cachefiles_vfs_error", 0b1, 0b0),
    t("cfg80211_inform_bss_frame", 0b100, 0b0),
    t("cfg80211_michael_mic_failure", 0b10000, 0b0),
    t("cfg80211_report_wowlan_wakeup", 0b100, 0b0),
    t("cfg80211_scan_done", 0b11, 0b0),
    t("coda_dec_pic_done", 0b10, 0b0),
    t("coda_dec_pic_run", 0b10, 0b0),
    t("device_pm_callback_start", 0b10, 0b0),
    t("dpu_crtc_setup_mixer", 0b100, 0b0),
    t("ext4_mballoc_discard", 0b10, 0b0),
    t("ext4_mballoc_free", 0b10, 0b0),
    t("fcntl_setlk", 0b10, 0b0),
    t("fib_table_lookup", 0b100, 0b0),
    t("flock_lock_inode", 0b10, 0b0),
    t("folio_wait_writeback", 0b10, 0b0),
    t("generic_delete_lease", 0b10, 0b0),
    t("hfi1_sdma_progress", 0b1000, 0b0),
    t("host1x_cdma_push_gather", 0b10000, 0b0),
    t("hugetlbfs_alloc_inode", 0b10, 0b0),
    t("iptfs_ingress_postq_event", 0b1000, 0b0),
    t("kfree_skb", 0b1000, 0b0),
    t("kvm_page_fault_enter", 0b100, 0b0),
    t("locks_remove_posix", 0b10, 0b0),
    t("mm_collapse_huge_page_isolate", 0b1, 0b0),
    t("mm_khugepaged_collapse_file", 0b10, 0b0),
    t("mm_khugepaged_scan_file", 0b10, 0b0),
    t("mm_khugepaged_scan_pmd", 0b10, 0b0),
    t("mm_page_alloc", 0b1, 0b0),
    t("mm_page_alloc_zone_locked", 0b1, 0b0),
    t("mm_page_pcpu_drain", 0b1, 0b0),
    t("mr_integ_alloc", 0b0, 0b1000),
    t("neigh_update", 0b10, 0b0),
    t("netfs_failure", 0b10, 0b0),
    t("netfs_folioq", 0b1, 0b0),
    t("nfs4_inode_callback_event", 0b0, 0b100),
    t("nfs4_inode_stateid_callback_event", 0b0, 0b100),
    t("nfs4_setup_sequence", 0b1, 0b0),
    t("nfsd_dirent", 0b1, 0b0),
    t("nfsd_file_acquire", 0b1001, 0b0),
    t("nfsd_file_cons_err", 0b1, 0b0),
    t("nfsd_file_insert_err", 0b1, 0b0),
    t("pnfs_mds_fallback_pg_get_mirror_count", 0b10000, 0b0),
    t("pnfs_mds_fallback_pg_init_read", 0b10000, 0b0),
    t("pnfs_mds_fallback_pg_init_write", 0b10000, 0b0),
    t("pnfs_mds_fallback_read_done", 0b10000, 0b0),
    t("pnfs_mds_fallback_read_pagelist", 0b10000, 0b0),
    t("pnfs_mds_fallback_write_done", 0b10000, 0b0),
    t("pnfs_mds_fallback_write_pagelist", 0b10000, 0b0),
    t("pnfs_update_layout", 0b10000, 0b0),
    t("posix_lock_inode", 0b10, 0b0),
    t("qdisc_dequeue", 0b1000, 0b0),
    t("rdev_set_coalesce", 0b10, 0b0),
    t("rxrpc_client", 0b1, 0b0),
    t("rxrpc_recvdata", 0b1, 0b0),
    t("rxrpc_resend", 0b10, 0b0),
    t("rxrpc_tq", 0b10, 0b0),
    t("sched_pi_setprio", 0b10, 0b0),
    t("sched_process_wait", 0b1, 0b0).until(6, 13),
    t("sched_process_wait", 0b1, 0b0).since(7, 2),
    t("sched_stick_numa", 0b100, 0b0),
    t("sched_swap_numa", 0b100, 0b0),
    t("signal_deliver", 0b0, 0b10).until(6, 13),
    t("signal_deliver", 0b0, 0b10).since(7, 2),
    t("signal_generate", 0b0, 0b10).until(6, 13),
    t("signal_generate", 0b0, 0b10).since(7, 2),
    t("spufs_context", 0b10, 0b0),
    t("tcp_send_reset", 0b11, 0b0),
    t("tcp_sendmsg_locked", 0b100, 0b0),
    t("tegra_dma_tx_status", 0b100, 0b0),
    t("time_out_leases", 0b10, 0b0),
    t("tmigr_update_events", 0b1, 0b0),
    t("wiphy_work_cancel", 0b10, 0b0),
    t("wiphy_work_flush", 0b10, 0b0),
    t("wiphy_work_queue", 0b10, 0b0),
    t("wiphy_work_run", 0b10, 0b0),
    t("writeback_dirty_folio", 0b10, 0b0),
    t("xchk_metapath_lookup", 0b100, 0b0),
    t("xchk_nlinks_live_update", 0b10, 0b0),
    t("xfs_blockgc_flush_all", 0b1, 0b0),
    t("xfs_blockgc_free_space", 0b10, 0b0),
    t("xfs_blockgc_start", 0b1, 0b0),
    t("xfs_blockgc_stop", 0b1, 0b0),
    t("xfs_blockgc_worker", 0b1, 0b0),
    t("xfs_btree_overlapped_query_range", 0b100, 0b0),
    t("xfs_btree_updkeys", 0b100, 0b0),
    t("xfs_defer_add_item", 0b1, 0b0),
    t("xfs_defer_cancel_item", 0b1, 0b0),
    t("xfs_defer_cancel_list", 0b1, 0b0),
    t("xfs_defer_create_intent", 0b1, 0b0),
    t("xfs_defer_finish_item", 0b1, 0b0),
    t("xfs_defer_isolate_paused", 0b1, 0b0),
    t("xfs_defer_item_pause", 0b1, 0b0),
    t("xfs_defer_item_unpause", 0b1, 0b0),
    t("xfs_defer_pending_abort", 0b1, 0b0),
    t("xfs_defer_pending_finish", 0b1, 0b0),
    t("xfs_defer_relog_intent", 0b1, 0b0),
    t("xfs_fs_sync_fs", 0b1, 0b0),
    t("xfs_inodegc_flush", 0b1, 0b0),
    t("xfs_inodegc_push", 0b1, 0b0),
    t("xfs_inodegc_queue", 0b1, 0b0),
    t("xfs_inodegc_start", 0b1, 0b0),
    t("xfs_inodegc_stop", 0b1, 0b0),
    t("xfs_inodegc_throttle", 0b1, 0b0),
    t("xfs_ioc_free_eofblocks", 0b10, 0b0),
    t("xfs_iomap_alloc", 0b1000, 0b0),
    t("xfs_iomap_found", 0b1000, 0b0),
    t("xfs_map_blocks_alloc", 0b10000, 0b0),
    t("xfs_map_blocks_found", 0b10000, 0b0),
    t("xprt_get_cong", 0b10, 0b0),
    t("xprt_put_cong", 0b10, 0b0),
    t("xprt_release_cong", 0b10, 0b0),
    t("xprt_reserve_cong", 0b10, 0b0),
    t("xs_stream_read_data", 0b1, 0b0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterators_are_sorted_and_typed() {
        assert!(ITERATORS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(ITERATORS.len(), 18);
        let task = iterator("bpf_iter_task").expect("task is a target");
        assert_eq!(task.args, [META, Ptr { name: "task_struct", trusted: true, nullable: true }]);
        assert_eq!(iterator("bpf_map_elem").map(|t| t.args[2]), Some(Buf { rdonly: true }));
        assert_eq!(iterator("nothing"), None);
    }

    #[test]
    fn raw_tracepoints_are_sorted_and_marked() {
        assert!(RAW_TPS.is_sorted_by(|a, b| a.name <= b.name));
        assert_eq!(RAW_TPS.iter().filter(|t| t.span.holds(Version::REFERENCE)).count(), 137);
        let raw_tp = |name| raw_tp(name, Version::REFERENCE);
        let pi = raw_tp("btf_trace_sched_pi_setprio").expect("listed");
        assert!(pi.may_be_null(1) && !pi.may_be_null(0) && !pi.may_be_error(1) && !pi.may_be_null(99));
        let lookup = raw_tp("cachefiles_lookup").expect("listed");
        assert!(lookup.may_be_null(0) && lookup.may_be_error(2));
    }
}
