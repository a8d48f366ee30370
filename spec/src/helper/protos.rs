//! The helper table: every helper with its prototypes, one row each. Rows with the same number differ by program type (the letter:
//! which program gets which is in the profile's `helpers.txt` or `offers.txt`) or by version (`since`, `until`: in and before that
//! series; what is not marked holds for every kernel that has the helper).

use super::{
    AllowCheck, Arg, ArgKind, DynptrKind, Effects, HelperId, MemAccess, MemSize, Proto, Ret, RetKind, RetRange, Sleeps,
};
use crate::span::Span;

/// Names by number.
#[rustfmt::skip]
pub(super) const NAMES: [&str; super::COUNT as usize] = [
    "bpf_unspec", "bpf_map_lookup_elem", "bpf_map_update_elem", "bpf_map_delete_elem", "bpf_probe_read", "bpf_ktime_get_ns",
    "bpf_trace_printk", "bpf_get_prandom_u32", "bpf_get_smp_processor_id", "bpf_skb_store_bytes", "bpf_l3_csum_replace", "bpf_l4_csum_replace",
    "bpf_tail_call", "bpf_clone_redirect", "bpf_get_current_pid_tgid", "bpf_get_current_uid_gid", "bpf_get_current_comm", "bpf_get_cgroup_classid",
    "bpf_skb_vlan_push", "bpf_skb_vlan_pop", "bpf_skb_get_tunnel_key", "bpf_skb_set_tunnel_key", "bpf_perf_event_read", "bpf_redirect",
    "bpf_get_route_realm", "bpf_perf_event_output", "bpf_skb_load_bytes", "bpf_get_stackid", "bpf_csum_diff", "bpf_skb_get_tunnel_opt",
    "bpf_skb_set_tunnel_opt", "bpf_skb_change_proto", "bpf_skb_change_type", "bpf_skb_under_cgroup", "bpf_get_hash_recalc", "bpf_get_current_task",
    "bpf_probe_write_user", "bpf_current_task_under_cgroup", "bpf_skb_change_tail", "bpf_skb_pull_data", "bpf_csum_update", "bpf_set_hash_invalid",
    "bpf_get_numa_node_id", "bpf_skb_change_head", "bpf_xdp_adjust_head", "bpf_probe_read_str", "bpf_get_socket_cookie", "bpf_get_socket_uid",
    "bpf_set_hash", "bpf_setsockopt", "bpf_skb_adjust_room", "bpf_redirect_map", "bpf_sk_redirect_map", "bpf_sock_map_update",
    "bpf_xdp_adjust_meta", "bpf_perf_event_read_value", "bpf_perf_prog_read_value", "bpf_getsockopt", "bpf_override_return", "bpf_sock_ops_cb_flags_set",
    "bpf_msg_redirect_map", "bpf_msg_apply_bytes", "bpf_msg_cork_bytes", "bpf_msg_pull_data", "bpf_bind", "bpf_xdp_adjust_tail",
    "bpf_skb_get_xfrm_state", "bpf_get_stack", "bpf_skb_load_bytes_relative", "bpf_fib_lookup", "bpf_sock_hash_update", "bpf_msg_redirect_hash",
    "bpf_sk_redirect_hash", "bpf_lwt_push_encap", "bpf_lwt_seg6_store_bytes", "bpf_lwt_seg6_adjust_srh", "bpf_lwt_seg6_action", "bpf_rc_repeat",
    "bpf_rc_keydown", "bpf_skb_cgroup_id", "bpf_get_current_cgroup_id", "bpf_get_local_storage", "bpf_sk_select_reuseport", "bpf_skb_ancestor_cgroup_id",
    "bpf_sk_lookup_tcp", "bpf_sk_lookup_udp", "bpf_sk_release", "bpf_map_push_elem", "bpf_map_pop_elem", "bpf_map_peek_elem",
    "bpf_msg_push_data", "bpf_msg_pop_data", "bpf_rc_pointer_rel", "bpf_spin_lock", "bpf_spin_unlock", "bpf_sk_fullsock",
    "bpf_tcp_sock", "bpf_skb_ecn_set_ce", "bpf_get_listener_sock", "bpf_skc_lookup_tcp", "bpf_tcp_check_syncookie", "bpf_sysctl_get_name",
    "bpf_sysctl_get_current_value", "bpf_sysctl_get_new_value", "bpf_sysctl_set_new_value", "bpf_strtol", "bpf_strtoul", "bpf_sk_storage_get",
    "bpf_sk_storage_delete", "bpf_send_signal", "bpf_tcp_gen_syncookie", "bpf_skb_output", "bpf_probe_read_user", "bpf_probe_read_kernel",
    "bpf_probe_read_user_str", "bpf_probe_read_kernel_str", "bpf_tcp_send_ack", "bpf_send_signal_thread", "bpf_jiffies64", "bpf_read_branch_records",
    "bpf_get_ns_current_pid_tgid", "bpf_xdp_output", "bpf_get_netns_cookie", "bpf_get_current_ancestor_cgroup_id", "bpf_sk_assign", "bpf_ktime_get_boot_ns",
    "bpf_seq_printf", "bpf_seq_write", "bpf_sk_cgroup_id", "bpf_sk_ancestor_cgroup_id", "bpf_ringbuf_output", "bpf_ringbuf_reserve",
    "bpf_ringbuf_submit", "bpf_ringbuf_discard", "bpf_ringbuf_query", "bpf_csum_level", "bpf_skc_to_tcp6_sock", "bpf_skc_to_tcp_sock",
    "bpf_skc_to_tcp_timewait_sock", "bpf_skc_to_tcp_request_sock", "bpf_skc_to_udp6_sock", "bpf_get_task_stack", "bpf_load_hdr_opt", "bpf_store_hdr_opt",
    "bpf_reserve_hdr_opt", "bpf_inode_storage_get", "bpf_inode_storage_delete", "bpf_d_path", "bpf_copy_from_user", "bpf_snprintf_btf",
    "bpf_seq_printf_btf", "bpf_skb_cgroup_classid", "bpf_redirect_neigh", "bpf_per_cpu_ptr", "bpf_this_cpu_ptr", "bpf_redirect_peer",
    "bpf_task_storage_get", "bpf_task_storage_delete", "bpf_get_current_task_btf", "bpf_bprm_opts_set", "bpf_ktime_get_coarse_ns", "bpf_ima_inode_hash",
    "bpf_sock_from_file", "bpf_check_mtu", "bpf_for_each_map_elem", "bpf_snprintf", "bpf_sys_bpf", "bpf_btf_find_by_name_kind",
    "bpf_sys_close", "bpf_timer_init", "bpf_timer_set_callback", "bpf_timer_start", "bpf_timer_cancel", "bpf_get_func_ip",
    "bpf_get_attach_cookie", "bpf_task_pt_regs", "bpf_get_branch_snapshot", "bpf_trace_vprintk", "bpf_skc_to_unix_sock", "bpf_kallsyms_lookup_name",
    "bpf_find_vma", "bpf_loop", "bpf_strncmp", "bpf_get_func_arg", "bpf_get_func_ret", "bpf_get_func_arg_cnt",
    "bpf_get_retval", "bpf_set_retval", "bpf_xdp_get_buff_len", "bpf_xdp_load_bytes", "bpf_xdp_store_bytes", "bpf_copy_from_user_task",
    "bpf_skb_set_tstamp", "bpf_ima_file_hash", "bpf_kptr_xchg", "bpf_map_lookup_percpu_elem", "bpf_skc_to_mptcp_sock", "bpf_dynptr_from_mem",
    "bpf_ringbuf_reserve_dynptr", "bpf_ringbuf_submit_dynptr", "bpf_ringbuf_discard_dynptr", "bpf_dynptr_read", "bpf_dynptr_write", "bpf_dynptr_data",
    "bpf_tcp_raw_gen_syncookie_ipv4", "bpf_tcp_raw_gen_syncookie_ipv6", "bpf_tcp_raw_check_syncookie_ipv4", "bpf_tcp_raw_check_syncookie_ipv6", "bpf_ktime_get_tai_ns", "bpf_user_ringbuf_drain",
    "bpf_cgrp_storage_get", "bpf_cgrp_storage_delete",
];

/// The name without `bpf_`.
pub(super) fn bare_name(id: HelperId) -> Option<&'static str> {
    NAMES.get(id as usize)?.strip_prefix("bpf_")
}

const fn arg(kind: ArgKind) -> Arg {
    Arg { kind, nullable: false, release: false }
}

const fn ret(kind: RetKind) -> Ret {
    Ret { kind, nullable: false }
}

const __: Arg = arg(ArgKind::None);
const ANY: Arg = arg(ArgKind::Anything);
const MAP: Arg = arg(ArgKind::ConstMapPtr);
const KEY: Arg = arg(ArgKind::MapKey);
const VALUE: Arg = arg(ArgKind::MapValue(MemAccess::Read));
const VALUE_OUT: Arg = arg(ArgKind::MapValue(MemAccess::Write));
const SIZE: Arg = arg(ArgKind::Size { zero_allowed: false });
const SIZE0: Arg = arg(ArgKind::Size { zero_allowed: true });
const ALLOC: Arg = arg(ArgKind::ConstAllocSize);
const CTX: Arg = arg(ArgKind::Ctx);
const LOCK: Arg = arg(ArgKind::SpinLock);
const TIMER: Arg = arg(ArgKind::Timer);
const KPTR_DEST: Arg = arg(ArgKind::KptrDest);
const KPTR: Arg = arg(ArgKind::BtfOfKptr);
const FUNC: Arg = arg(ArgKind::Func);
const STR: Arg = arg(ArgKind::ConstStr);
const STACK: Arg = arg(ArgKind::Stack);
const SKC: Arg = arg(ArgKind::SockCommon);
const SK: Arg = arg(ArgKind::Socket);
const BTF_SK: Arg = arg(ArgKind::BtfSockCommon);
const PERCPU: Arg = arg(ArgKind::PercpuBtf);
const RB_MEM: Arg = arg(ArgKind::RingbufMem);

const INT: Ret = ret(RetKind::Int);
const VOID: Ret = ret(RetKind::Void);
const R_VALUE: Ret = ret(RetKind::MapValue);
const R_SK: Ret = ret(RetKind::Socket);
const R_SKC: Ret = ret(RetKind::SockCommon);
const R_TCP: Ret = ret(RetKind::TcpSock);
const R_PERCPU: Ret = ret(RetKind::MemOrBtf);
const R_KPTR: Ret = ret(RetKind::BtfOfKptr);

const fn read(size_arg: u8) -> Arg {
    arg(ArgKind::Mem(MemAccess::Read, MemSize::Arg(size_arg)))
}

const fn update(size_arg: u8) -> Arg {
    arg(ArgKind::Mem(MemAccess::ReadWrite, MemSize::Arg(size_arg)))
}

const fn write(size_arg: u8) -> Arg {
    arg(ArgKind::Mem(MemAccess::Write, MemSize::Arg(size_arg)))
}

const fn fixed(access: MemAccess, size: u32, aligned: bool) -> Arg {
    arg(ArgKind::Mem(access, MemSize::Fixed { size, aligned }))
}

const fn btf(name: &'static str) -> Arg {
    arg(ArgKind::Btf(name))
}

const fn dynptr(kind: DynptrKind, uninit: bool, rdonly: bool) -> Arg {
    arg(ArgKind::Dynptr { kind, uninit, rdonly })
}

const fn mem_ret(ringbuf: bool, size_arg: u8) -> Ret {
    ret(RetKind::Mem { ringbuf, size_arg })
}

const fn btf_ret(name: &'static str, trusted: bool) -> Ret {
    ret(RetKind::Btf { name, trusted })
}

impl Arg {
    const fn or_null(mut self) -> Arg {
        self.nullable = true;
        self
    }

    const fn releases(mut self) -> Arg {
        self.release = true;
        self
    }
}

impl Ret {
    const fn or_null(mut self) -> Ret {
        self.nullable = true;
        self
    }
}

const fn p(id: HelperId, variant: char, ret: Ret, args: [Arg; 5]) -> Proto {
    Proto {
        id,
        variant,
        gpl_only: false,
        pkt_access: false,
        sleeps: Sleeps::Never,
        allow_fastcall: false,
        ret,
        args,
        allow_check: None,
        effects: Effects::NONE,
        ret_range: RetRange::Any,
        span: Span::ALWAYS,
    }
}

impl Proto {
    const fn gpl(mut self) -> Proto {
        self.gpl_only = true;
        self
    }

    const fn pkt(mut self) -> Proto {
        self.pkt_access = true;
        self
    }

    const fn sleeps(mut self) -> Proto {
        self.sleeps = Sleeps::Always;
        self
    }

    const fn sleeps_in(mut self, programs: Sleeps) -> Proto {
        self.sleeps = programs;
        self
    }

    const fn fastcall(mut self) -> Proto {
        self.allow_fastcall = true;
        self
    }

    const fn only_if(mut self, check: AllowCheck) -> Proto {
        self.allow_check = Some(check);
        self
    }

    const fn fx(mut self, effects: Effects) -> Proto {
        self.effects = effects;
        self
    }

    const fn range(mut self, range: RetRange) -> Proto {
        self.ret_range = range;
        self
    }

    const fn since(mut self, major: u16, minor: u16) -> Proto {
        self.span = self.span.since(major, minor);
        self
    }

    const fn until(mut self, major: u16, minor: u16) -> Proto {
        self.span = self.span.until(major, minor);
        self
    }
}

/// All prototypes, by helper number, then variant.
#[rustfmt::skip]
pub const PROTOS: &[Proto] = &[
    p(1, 'a', R_VALUE.or_null(), [MAP, KEY, __, __, __]).pkt().fx(Effects::ACQUIRE_IF_SOCKMAP), // map_lookup_elem
    p(2, 'a', INT, [MAP, KEY, VALUE, ANY, __]).pkt(), // map_update_elem
    p(3, 'a', INT, [MAP, KEY, __, __, __]).pkt(), // map_delete_elem
    p(4, 'a', INT, [write(2), SIZE0, ANY, __, __]).gpl(), // probe_read
    p(5, 'a', INT, [__, __, __, __, __]), // ktime_get_ns
    p(6, 'a', INT, [read(2), SIZE, __, __, __]).gpl(), // trace_printk
    p(7, 'a', INT, [__, __, __, __, __]), // get_prandom_u32
    p(8, 'a', INT, [__, __, __, __, __]).until(6, 12), // get_smp_processor_id
    p(8, 'a', INT, [__, __, __, __, __]).range(RetRange::Cpu).since(6, 12), // get_smp_processor_id
    p(8, 'b', INT, [__, __, __, __, __]).until(6, 12), // get_smp_processor_id
    p(8, 'b', INT, [__, __, __, __, __]).fastcall().range(RetRange::Cpu).since(6, 12), // get_smp_processor_id
    p(9, 'a', INT, [CTX, ANY, read(4), SIZE, ANY]).fx(Effects::CHANGES_PKT), // skb_store_bytes
    p(10, 'a', INT, [CTX, ANY, ANY, ANY, ANY]).fx(Effects::CHANGES_PKT), // l3_csum_replace
    p(11, 'a', INT, [CTX, ANY, ANY, ANY, ANY]).fx(Effects::CHANGES_PKT), // l4_csum_replace
    p(12, 'a', VOID, [CTX, MAP, ANY, __, __]).fx(Effects::CHANGES_PKT), // tail_call
    p(13, 'a', INT, [CTX, ANY, ANY, __, __]).fx(Effects::CHANGES_PKT), // clone_redirect
    p(14, 'a', INT, [__, __, __, __, __]), // get_current_pid_tgid
    p(15, 'a', INT, [__, __, __, __, __]), // get_current_uid_gid
    p(16, 'a', INT, [write(2), SIZE, __, __, __]), // get_current_comm
    p(17, 'a', INT, [__, __, __, __, __]), // get_cgroup_classid
    p(17, 'b', INT, [CTX, __, __, __, __]), // get_cgroup_classid
    p(18, 'a', INT, [CTX, ANY, ANY, __, __]).fx(Effects::CHANGES_PKT), // skb_vlan_push
    p(19, 'a', INT, [CTX, __, __, __, __]).fx(Effects::CHANGES_PKT), // skb_vlan_pop
    p(20, 'a', INT, [CTX, write(3), SIZE, ANY, __]), // skb_get_tunnel_key
    p(21, 'a', INT, [CTX, read(3), SIZE, ANY, __]), // skb_set_tunnel_key
    p(22, 'a', INT, [MAP, ANY, __, __, __]).gpl(), // perf_event_read
    p(23, 'a', INT, [ANY, ANY, __, __, __]), // redirect
    p(24, 'a', INT, [CTX, __, __, __, __]), // get_route_realm
    p(25, 'a', INT, [CTX, MAP, ANY, read(5), SIZE0]).gpl(), // perf_event_output
    p(26, 'a', INT, [CTX, ANY, write(4), SIZE, __]), // skb_load_bytes
    p(27, 'a', INT, [CTX, MAP, ANY, __, __]).gpl(), // get_stackid
    p(27, 'b', INT, [CTX, MAP, ANY, __, __]), // get_stackid
    p(28, 'a', INT, [read(2).or_null(), SIZE0, read(4).or_null(), SIZE0, ANY]).pkt(), // csum_diff
    p(29, 'a', INT, [CTX, write(3), SIZE, __, __]), // skb_get_tunnel_opt
    p(30, 'a', INT, [CTX, read(3), SIZE, __, __]), // skb_set_tunnel_opt
    p(31, 'a', INT, [CTX, ANY, ANY, __, __]).fx(Effects::CHANGES_PKT), // skb_change_proto
    p(32, 'a', INT, [CTX, ANY, __, __, __]), // skb_change_type
    p(33, 'a', INT, [CTX, MAP, ANY, __, __]), // skb_under_cgroup
    p(34, 'a', INT, [CTX, __, __, __, __]), // get_hash_recalc
    p(35, 'a', INT, [__, __, __, __, __]).gpl(), // get_current_task
    p(36, 'a', INT, [ANY, read(3), SIZE, __, __]).gpl(), // probe_write_user
    p(37, 'a', INT, [MAP, ANY, __, __, __]), // current_task_under_cgroup
    p(38, 'a', INT, [CTX, ANY, ANY, __, __]).fx(Effects::CHANGES_PKT), // skb_change_tail
    p(39, 'a', INT, [CTX, ANY, __, __, __]).fx(Effects::CHANGES_PKT), // skb_pull_data
    p(40, 'a', INT, [CTX, ANY, __, __, __]), // csum_update
    p(41, 'a', INT, [CTX, __, __, __, __]), // set_hash_invalid
    p(42, 'a', INT, [__, __, __, __, __]), // get_numa_node_id
    p(43, 'a', INT, [CTX, ANY, ANY, __, __]).fx(Effects::CHANGES_PKT), // skb_change_head
    p(44, 'a', INT, [CTX, ANY, __, __, __]).fx(Effects::CHANGES_PKT), // xdp_adjust_head
    p(45, 'a', INT, [write(2), SIZE0, ANY, __, __]).gpl().range(RetRange::ErrorOrSize), // probe_read_str
    p(46, 'a', INT, [CTX, __, __, __, __]), // get_socket_cookie
    p(46, 'b', INT, [BTF_SK, __, __, __, __]).until(6, 12), // get_socket_cookie
    p(46, 'b', INT, [BTF_SK.or_null(), __, __, __, __]).since(6, 12), // get_socket_cookie
    p(47, 'a', INT, [CTX, __, __, __, __]), // get_socket_uid
    p(48, 'a', INT, [CTX, ANY, __, __, __]), // set_hash
    p(49, 'a', INT, [CTX, ANY, ANY, read(5), SIZE]), // setsockopt
    p(49, 'b', INT, [BTF_SK, ANY, ANY, read(5), SIZE]), // setsockopt
    p(50, 'a', INT, [CTX, ANY, ANY, ANY, __]).fx(Effects::CHANGES_PKT), // skb_adjust_room
    p(51, 'a', INT, [MAP, ANY, ANY, __, __]), // redirect_map
    p(52, 'a', INT, [CTX, MAP, ANY, ANY, __]), // sk_redirect_map
    p(53, 'a', INT, [CTX, MAP, KEY, ANY, __]).pkt(), // sock_map_update
    p(54, 'a', INT, [CTX, ANY, __, __, __]).fx(Effects::CHANGES_PKT), // xdp_adjust_meta
    p(55, 'a', INT, [MAP, ANY, write(4), SIZE, __]).gpl(), // perf_event_read_value
    p(56, 'a', INT, [CTX, write(3), SIZE, __, __]).gpl(), // perf_prog_read_value
    p(57, 'a', INT, [CTX, ANY, ANY, write(5), SIZE]), // getsockopt
    p(57, 'b', INT, [BTF_SK, ANY, ANY, write(5), SIZE]), // getsockopt
    p(58, 'a', INT, [CTX, ANY, __, __, __]).gpl(), // override_return
    p(59, 'a', INT, [CTX, ANY, __, __, __]), // sock_ops_cb_flags_set
    p(60, 'a', INT, [CTX, MAP, ANY, ANY, __]), // msg_redirect_map
    p(61, 'a', INT, [CTX, ANY, __, __, __]), // msg_apply_bytes
    p(62, 'a', INT, [CTX, ANY, __, __, __]), // msg_cork_bytes
    p(63, 'a', INT, [CTX, ANY, ANY, ANY, __]).fx(Effects::CHANGES_PKT), // msg_pull_data
    p(64, 'a', INT, [CTX, read(3), SIZE, __, __]), // bind
    p(65, 'a', INT, [CTX, ANY, __, __, __]).fx(Effects::CHANGES_PKT), // xdp_adjust_tail
    p(66, 'a', INT, [CTX, ANY, write(4), SIZE, ANY]), // skb_get_xfrm_state
    p(67, 'a', INT, [CTX, write(3), SIZE0, ANY, __]).gpl().range(RetRange::ErrorOrSize).sleeps_in(Sleeps::InSleepableProbe), // get_stack
    p(68, 'a', INT, [CTX, ANY, write(4), SIZE, ANY]), // skb_load_bytes_relative
    p(69, 'a', INT, [CTX, read(3), SIZE, ANY, __]).gpl().until(6, 16), // fib_lookup
    p(69, 'a', INT, [CTX, update(3), SIZE, ANY, __]).gpl().since(6, 16), // fib_lookup
    p(70, 'a', INT, [CTX, MAP, KEY, ANY, __]).pkt(), // sock_hash_update
    p(71, 'a', INT, [CTX, MAP, KEY, ANY, __]), // msg_redirect_hash
    p(72, 'a', INT, [CTX, MAP, KEY, ANY, __]), // sk_redirect_hash
    p(73, 'a', INT, [CTX, ANY, read(4), SIZE, __]).fx(Effects::CHANGES_PKT), // lwt_push_encap
    p(74, 'a', INT, [CTX, ANY, read(4), SIZE, __]).fx(Effects::CHANGES_PKT), // lwt_seg6_store_bytes
    p(75, 'a', INT, [CTX, ANY, ANY, __, __]).fx(Effects::CHANGES_PKT), // lwt_seg6_adjust_srh
    p(76, 'a', INT, [CTX, ANY, read(4), SIZE, __]).fx(Effects::CHANGES_PKT), // lwt_seg6_action
    p(77, 'a', INT, [CTX, __, __, __, __]).gpl(), // rc_repeat
    p(78, 'a', INT, [CTX, ANY, ANY, ANY, __]).gpl(), // rc_keydown
    p(79, 'a', INT, [CTX, __, __, __, __]), // skb_cgroup_id
    p(80, 'a', INT, [__, __, __, __, __]), // get_current_cgroup_id
    p(81, 'a', R_VALUE, [MAP, ANY, __, __, __]), // get_local_storage
    p(82, 'a', INT, [CTX, MAP, KEY, ANY, __]), // sk_select_reuseport
    p(83, 'a', INT, [CTX, ANY, __, __, __]), // skb_ancestor_cgroup_id
    p(84, 'a', R_SK.or_null(), [CTX, read(3), SIZE, ANY, ANY]).pkt().fx(Effects::ACQUIRE).until(6, 12), // sk_lookup_tcp
    p(84, 'a', R_SK.or_null(), [CTX, read(3), SIZE0, ANY, ANY]).pkt().fx(Effects::ACQUIRE).since(6, 12), // sk_lookup_tcp
    p(84, 'b', R_SK.or_null(), [CTX, read(3), SIZE, ANY, ANY]).fx(Effects::ACQUIRE).until(6, 12), // sk_lookup_tcp
    p(84, 'b', R_SK.or_null(), [CTX, read(3), SIZE0, ANY, ANY]).fx(Effects::ACQUIRE).since(6, 12), // sk_lookup_tcp
    p(85, 'a', R_SK.or_null(), [CTX, read(3), SIZE, ANY, ANY]).pkt().fx(Effects::ACQUIRE).until(6, 12), // sk_lookup_udp
    p(85, 'a', R_SK.or_null(), [CTX, read(3), SIZE0, ANY, ANY]).pkt().fx(Effects::ACQUIRE).since(6, 12), // sk_lookup_udp
    p(85, 'b', R_SK.or_null(), [CTX, read(3), SIZE, ANY, ANY]).fx(Effects::ACQUIRE).until(6, 12), // sk_lookup_udp
    p(85, 'b', R_SK.or_null(), [CTX, read(3), SIZE0, ANY, ANY]).fx(Effects::ACQUIRE).since(6, 12), // sk_lookup_udp
    p(86, 'a', INT, [BTF_SK.releases(), __, __, __, __]), // sk_release
    p(87, 'a', INT, [MAP, VALUE, ANY, __, __]).pkt(), // map_push_elem
    p(88, 'a', INT, [MAP, VALUE_OUT, __, __, __]), // map_pop_elem
    p(89, 'a', INT, [MAP, VALUE_OUT, __, __, __]), // map_peek_elem
    p(90, 'a', INT, [CTX, ANY, ANY, ANY, __]).fx(Effects::CHANGES_PKT), // msg_push_data
    p(91, 'a', INT, [CTX, ANY, ANY, ANY, __]).fx(Effects::CHANGES_PKT), // msg_pop_data
    p(92, 'a', INT, [CTX, ANY, ANY, __, __]).gpl(), // rc_pointer_rel
    p(93, 'a', VOID, [LOCK, __, __, __, __]), // spin_lock
    p(94, 'a', VOID, [LOCK, __, __, __, __]), // spin_unlock
    p(95, 'a', R_SK.or_null(), [SKC, __, __, __, __]).fx(Effects::PTR_CAST), // sk_fullsock
    p(96, 'a', R_TCP.or_null(), [SKC, __, __, __, __]).fx(Effects::PTR_CAST), // tcp_sock
    p(97, 'a', INT, [CTX, __, __, __, __]), // skb_ecn_set_ce
    p(98, 'a', R_SK.or_null(), [SKC, __, __, __, __]), // get_listener_sock
    p(99, 'a', R_SKC.or_null(), [CTX, read(3), SIZE, ANY, ANY]).pkt().fx(Effects::ACQUIRE).until(6, 12), // skc_lookup_tcp
    p(99, 'a', R_SKC.or_null(), [CTX, read(3), SIZE0, ANY, ANY]).pkt().fx(Effects::ACQUIRE).since(6, 12), // skc_lookup_tcp
    p(99, 'b', R_SKC.or_null(), [CTX, read(3), SIZE, ANY, ANY]).fx(Effects::ACQUIRE).until(6, 12), // skc_lookup_tcp
    p(99, 'b', R_SKC.or_null(), [CTX, read(3), SIZE0, ANY, ANY]).fx(Effects::ACQUIRE).since(6, 12), // skc_lookup_tcp
    p(100, 'a', INT, [BTF_SK, read(3), SIZE, read(5), SIZE]).gpl().pkt(), // tcp_check_syncookie
    p(101, 'a', INT, [CTX, read(3), SIZE, ANY, __]).until(6, 16), // sysctl_get_name
    p(101, 'a', INT, [CTX, update(3), SIZE, ANY, __]).since(6, 16), // sysctl_get_name
    p(102, 'a', INT, [CTX, write(3), SIZE, __, __]), // sysctl_get_current_value
    p(103, 'a', INT, [CTX, write(3), SIZE, __, __]), // sysctl_get_new_value
    p(104, 'a', INT, [CTX, read(3), SIZE, __, __]), // sysctl_set_new_value
    p(105, 'a', INT, [read(2), SIZE, ANY, fixed(MemAccess::Read, 8, true), __]).until(6, 1), // strtol
    p(105, 'a', INT, [read(2), SIZE, ANY, fixed(MemAccess::Write, 8, true), __]).since(6, 1), // strtol
    p(106, 'a', INT, [read(2), SIZE, ANY, fixed(MemAccess::Read, 8, true), __]).until(6, 1), // strtoul
    p(106, 'a', INT, [read(2), SIZE, ANY, fixed(MemAccess::Write, 8, true), __]).since(6, 1), // strtoul
    p(107, 'a', R_VALUE.or_null(), [MAP, BTF_SK, VALUE.or_null(), ANY, __]).fx(Effects::STORAGE_GET), // sk_storage_get
    p(107, 'b', R_VALUE.or_null(), [MAP, CTX, VALUE.or_null(), ANY, __]).fx(Effects::STORAGE_GET), // sk_storage_get
    p(107, 'c', R_VALUE.or_null(), [MAP, btf("sock_common"), VALUE.or_null(), ANY, __]).only_if(AllowCheck::SkStorageTracing).fx(Effects::STORAGE_GET).until(6, 12), // sk_storage_get
    p(107, 'c', R_VALUE.or_null(), [MAP, btf("sock_common").or_null(), VALUE.or_null(), ANY, __]).only_if(AllowCheck::SkStorageTracing).fx(Effects::STORAGE_GET).since(6, 12), // sk_storage_get
    p(108, 'a', INT, [MAP, BTF_SK, __, __, __]), // sk_storage_delete
    p(108, 'b', INT, [MAP, btf("sock_common"), __, __, __]).only_if(AllowCheck::SkStorageTracing).until(6, 12), // sk_storage_delete
    p(108, 'b', INT, [MAP, btf("sock_common").or_null(), __, __, __]).only_if(AllowCheck::SkStorageTracing).since(6, 12), // sk_storage_delete
    p(109, 'a', INT, [ANY, __, __, __, __]), // send_signal
    p(110, 'a', INT, [BTF_SK, read(3), SIZE, read(5), SIZE]).gpl().pkt(), // tcp_gen_syncookie
    p(111, 'a', INT, [btf("sk_buff"), MAP, ANY, read(5), SIZE0]).gpl(), // skb_output
    p(112, 'a', INT, [write(2), SIZE0, ANY, __, __]).gpl(), // probe_read_user
    p(113, 'a', INT, [write(2), SIZE0, ANY, __, __]).gpl(), // probe_read_kernel
    p(114, 'a', INT, [write(2), SIZE0, ANY, __, __]).gpl().range(RetRange::ErrorOrSize), // probe_read_user_str
    p(115, 'a', INT, [write(2), SIZE0, ANY, __, __]).gpl().range(RetRange::ErrorOrSize), // probe_read_kernel_str
    p(116, 'a', INT, [btf("tcp_sock"), ANY, __, __, __]), // tcp_send_ack
    p(117, 'a', INT, [ANY, __, __, __, __]), // send_signal_thread
    p(118, 'a', INT, [__, __, __, __, __]), // jiffies64
    p(119, 'a', INT, [CTX, read(3).or_null(), SIZE0, ANY, __]).gpl().until(6, 16), // read_branch_records
    p(119, 'a', INT, [CTX, update(3).or_null(), SIZE0, ANY, __]).gpl().since(6, 16), // read_branch_records
    p(120, 'a', INT, [ANY, ANY, write(4), SIZE, __]), // get_ns_current_pid_tgid
    p(121, 'a', INT, [btf("xdp_buff"), MAP, ANY, read(5), SIZE0]).gpl(), // xdp_output
    p(122, 'a', INT, [CTX.or_null(), __, __, __, __]), // get_netns_cookie
    p(123, 'a', INT, [ANY, __, __, __, __]), // get_current_ancestor_cgroup_id
    p(124, 'a', INT, [CTX, BTF_SK, ANY, __, __]), // sk_assign
    p(124, 'b', INT, [CTX, SK.or_null(), ANY, __, __]), // sk_assign
    p(125, 'a', INT, [__, __, __, __, __]), // ktime_get_boot_ns
    p(126, 'a', INT, [btf("seq_file"), read(3), SIZE, read(5).or_null(), SIZE0]).gpl(), // seq_printf
    p(127, 'a', INT, [btf("seq_file"), read(3), SIZE0, __, __]).gpl(), // seq_write
    p(128, 'a', INT, [BTF_SK, __, __, __, __]), // sk_cgroup_id
    p(129, 'a', INT, [BTF_SK, ANY, __, __, __]), // sk_ancestor_cgroup_id
    p(130, 'a', INT, [MAP, read(3), SIZE0, ANY, __]), // ringbuf_output
    p(131, 'a', mem_ret(true, 2).or_null(), [MAP, ALLOC, ANY, __, __]).fx(Effects::ACQUIRE), // ringbuf_reserve
    p(132, 'a', VOID, [RB_MEM.releases(), ANY, __, __, __]), // ringbuf_submit
    p(133, 'a', VOID, [RB_MEM.releases(), ANY, __, __, __]), // ringbuf_discard
    p(134, 'a', INT, [MAP, ANY, __, __, __]), // ringbuf_query
    p(135, 'a', INT, [CTX, ANY, __, __, __]), // csum_level
    p(136, 'a', btf_ret("tcp6_sock", false).or_null(), [BTF_SK, __, __, __, __]).fx(Effects::PTR_CAST), // skc_to_tcp6_sock
    p(137, 'a', btf_ret("tcp_sock", false).or_null(), [BTF_SK, __, __, __, __]).fx(Effects::PTR_CAST), // skc_to_tcp_sock
    p(138, 'a', btf_ret("tcp_timewait_sock", false).or_null(), [BTF_SK, __, __, __, __]).fx(Effects::PTR_CAST), // skc_to_tcp_timewait_sock
    p(139, 'a', btf_ret("tcp_request_sock", false).or_null(), [BTF_SK, __, __, __, __]).fx(Effects::PTR_CAST), // skc_to_tcp_request_sock
    p(140, 'a', btf_ret("udp6_sock", false).or_null(), [BTF_SK, __, __, __, __]).fx(Effects::PTR_CAST), // skc_to_udp6_sock
    p(141, 'a', INT, [btf("task_struct"), write(3), SIZE0, ANY, __]).until(6, 1), // get_task_stack
    p(141, 'a', INT, [btf("task_struct"), write(3), SIZE0, ANY, __]).range(RetRange::ErrorOrSize).sleeps_in(Sleeps::InSleepable).since(6, 1), // get_task_stack
    p(142, 'a', INT, [CTX, read(3), SIZE, ANY, __]).until(6, 1), // load_hdr_opt
    p(142, 'a', INT, [CTX, update(3), SIZE, ANY, __]).since(6, 1), // load_hdr_opt
    p(143, 'a', INT, [CTX, read(3), SIZE, ANY, __]).fx(Effects::CHANGES_PKT), // store_hdr_opt
    p(144, 'a', INT, [CTX, ANY, ANY, __, __]), // reserve_hdr_opt
    p(145, 'a', R_VALUE.or_null(), [MAP, btf("inode"), VALUE.or_null(), ANY, __]).fx(Effects::STORAGE_GET).until(6, 12), // inode_storage_get
    p(145, 'a', R_VALUE.or_null(), [MAP, btf("inode").or_null(), VALUE.or_null(), ANY, __]).fx(Effects::STORAGE_GET).since(6, 12), // inode_storage_get
    p(146, 'a', INT, [MAP, btf("inode"), __, __, __]).until(6, 12), // inode_storage_delete
    p(146, 'a', INT, [MAP, btf("inode").or_null(), __, __, __]).since(6, 12), // inode_storage_delete
    p(147, 'a', INT, [btf("path"), update(3), SIZE0, __, __]).only_if(AllowCheck::DPath), // d_path
    p(148, 'a', INT, [write(2), SIZE0, ANY, __, __]).sleeps(), // copy_from_user
    p(149, 'a', INT, [read(2), SIZE, read(4), SIZE, ANY]).until(6, 16), // snprintf_btf
    p(149, 'a', INT, [update(2), SIZE, read(4), SIZE, ANY]).since(6, 16), // snprintf_btf
    p(150, 'a', INT, [btf("seq_file"), read(3), SIZE0, ANY, __]).gpl(), // seq_printf_btf
    p(151, 'a', INT, [CTX, __, __, __, __]), // skb_cgroup_classid
    p(152, 'a', INT, [ANY, read(3).or_null(), SIZE0, ANY, __]), // redirect_neigh
    p(153, 'a', R_PERCPU.or_null(), [PERCPU, ANY, __, __, __]), // per_cpu_ptr
    p(154, 'a', R_PERCPU, [PERCPU, __, __, __, __]), // this_cpu_ptr
    p(155, 'a', INT, [ANY, ANY, __, __, __]), // redirect_peer
    p(156, 'a', R_VALUE.or_null(), [MAP, btf("task_struct"), VALUE.or_null(), ANY, __]).fx(Effects::STORAGE_GET).until(6, 12), // task_storage_get
    p(156, 'a', R_VALUE.or_null(), [MAP, btf("task_struct").or_null(), VALUE.or_null(), ANY, __]).fx(Effects::STORAGE_GET).since(6, 12), // task_storage_get
    p(157, 'a', INT, [MAP, btf("task_struct"), __, __, __]).until(6, 12), // task_storage_delete
    p(157, 'a', INT, [MAP, btf("task_struct").or_null(), __, __, __]).since(6, 12), // task_storage_delete
    p(158, 'a', btf_ret("task_struct", false), [__, __, __, __, __]).gpl().until(6, 12), // get_current_task_btf
    p(158, 'a', btf_ret("task_struct", true), [__, __, __, __, __]).gpl().since(6, 12), // get_current_task_btf
    p(159, 'a', INT, [btf("linux_binprm"), ANY, __, __, __]), // bprm_opts_set
    p(160, 'a', INT, [__, __, __, __, __]), // ktime_get_coarse_ns
    p(161, 'a', INT, [btf("inode"), write(3), SIZE, __, __]).sleeps().only_if(AllowCheck::LsmSleepableHook), // ima_inode_hash
    p(162, 'a', btf_ret("socket", false).or_null(), [btf("file"), __, __, __, __]), // sock_from_file
    p(163, 'a', INT, [CTX, ANY, fixed(MemAccess::ReadWrite, 4, true), ANY, ANY]).gpl(), // check_mtu
    p(164, 'a', INT, [MAP, FUNC, STACK.or_null(), ANY, __]).fx(Effects::SYNC_CALLBACK), // for_each_map_elem
    p(165, 'a', INT, [read(2).or_null(), SIZE0, STR, read(5).or_null(), SIZE0]).gpl().until(6, 16), // snprintf
    p(165, 'a', INT, [update(2).or_null(), SIZE0, STR, read(5).or_null(), SIZE0]).gpl().since(6, 16), // snprintf
    p(166, 'a', INT, [ANY, read(3), SIZE, __, __]).sleeps_in(Sleeps::ForLoaders), // sys_bpf
    p(167, 'a', INT, [read(2), SIZE, ANY, ANY, __]).sleeps_in(Sleeps::ForLoaders), // btf_find_by_name_kind
    p(168, 'a', INT, [ANY, __, __, __, __]).sleeps_in(Sleeps::ForLoaders), // sys_close
    p(169, 'a', INT, [TIMER, MAP, ANY, __, __]).gpl(), // timer_init
    p(170, 'a', INT, [TIMER, FUNC, __, __, __]).gpl().fx(Effects::ASYNC_CALLBACK), // timer_set_callback
    p(171, 'a', INT, [TIMER, ANY, ANY, __, __]).gpl(), // timer_start
    p(172, 'a', INT, [TIMER, __, __, __, __]).gpl(), // timer_cancel
    p(173, 'a', INT, [CTX, __, __, __, __]).gpl(), // get_func_ip
    p(173, 'b', INT, [CTX, __, __, __, __]), // get_func_ip
    p(174, 'a', INT, [CTX, __, __, __, __]), // get_attach_cookie
    p(175, 'a', btf_ret("pt_regs", false), [btf("task_struct"), __, __, __, __]).gpl(), // task_pt_regs
    p(176, 'a', INT, [write(2), SIZE0, __, __, __]).gpl(), // get_branch_snapshot
    p(177, 'a', INT, [read(2), SIZE, read(4).or_null(), SIZE0, __]).gpl(), // trace_vprintk
    p(178, 'a', btf_ret("unix_sock", false).or_null(), [BTF_SK, __, __, __, __]), // skc_to_unix_sock
    p(179, 'a', INT, [read(2), SIZE0, ANY, fixed(MemAccess::Write, 8, true), __]), // kallsyms_lookup_name
    p(180, 'a', INT, [btf("task_struct"), ANY, FUNC, STACK.or_null(), ANY]).fx(Effects::SYNC_CALLBACK), // find_vma
    p(181, 'a', INT, [ANY, FUNC, STACK.or_null(), ANY, __]).fx(Effects::SYNC_CALLBACK), // loop
    p(182, 'a', INT, [read(2), SIZE, STR, __, __]), // strncmp
    p(183, 'a', INT, [CTX, ANY, fixed(MemAccess::Write, 8, true), __, __]), // get_func_arg
    p(184, 'a', INT, [CTX, fixed(MemAccess::Write, 8, true), __, __, __]), // get_func_ret
    p(185, 'a', INT, [CTX, __, __, __, __]), // get_func_arg_cnt
    p(186, 'a', INT, [__, __, __, __, __]).until(7, 2), // get_retval
    p(186, 'a', INT, [__, __, __, __, __]).range(RetRange::Error).since(7, 2), // get_retval
    p(187, 'a', INT, [ANY, __, __, __, __]), // set_retval
    p(188, 'a', INT, [CTX, __, __, __, __]), // xdp_get_buff_len
    p(188, 'b', INT, [btf("xdp_buff"), __, __, __, __]), // xdp_get_buff_len
    p(189, 'a', INT, [CTX, ANY, write(4), SIZE, __]), // xdp_load_bytes
    p(190, 'a', INT, [CTX, ANY, read(4), SIZE, __]), // xdp_store_bytes
    p(191, 'a', INT, [write(2), SIZE0, ANY, btf("task_struct"), ANY]).gpl().sleeps(), // copy_from_user_task
    p(192, 'a', INT, [CTX, ANY, ANY, __, __]), // skb_set_tstamp
    p(193, 'a', INT, [btf("file"), write(3), SIZE, __, __]).sleeps().only_if(AllowCheck::LsmSleepableHook), // ima_file_hash
    p(194, 'a', R_KPTR.or_null(), [KPTR_DEST, KPTR.or_null().releases(), __, __, __]).fx(Effects::ACQUIRE), // kptr_xchg
    p(195, 'a', R_VALUE.or_null(), [MAP, KEY, ANY, __, __]).pkt(), // map_lookup_percpu_elem
    p(196, 'a', btf_ret("mptcp_sock", false).or_null(), [SKC, __, __, __, __]).fx(Effects::PTR_CAST), // skc_to_mptcp_sock
    p(197, 'a', INT, [write(2), SIZE0, ANY, dynptr(DynptrKind::Local, true, false), __]), // dynptr_from_mem
    p(198, 'a', INT, [MAP, ANY, ANY, dynptr(DynptrKind::Ringbuf, true, false), __]), // ringbuf_reserve_dynptr
    p(199, 'a', VOID, [dynptr(DynptrKind::Ringbuf, false, false).releases(), ANY, __, __, __]), // ringbuf_submit_dynptr
    p(200, 'a', VOID, [dynptr(DynptrKind::Ringbuf, false, false).releases(), ANY, __, __, __]), // ringbuf_discard_dynptr
    p(201, 'a', INT, [write(2), SIZE0, dynptr(DynptrKind::Any, false, true), ANY, ANY]), // dynptr_read
    p(202, 'a', INT, [dynptr(DynptrKind::Any, false, true), ANY, read(4), SIZE0, ANY]), // dynptr_write
    p(203, 'a', mem_ret(false, 3).or_null(), [dynptr(DynptrKind::Any, false, true), ANY, ALLOC, __, __]).fx(Effects::DYNPTR_REF), // dynptr_data
    p(204, 'a', INT, [fixed(MemAccess::Read, 20, false), read(3), SIZE, __, __]).gpl().pkt().until(6, 12), // tcp_raw_gen_syncookie_ipv4
    p(204, 'a', INT, [fixed(MemAccess::Read, 20, false), read(3), SIZE0, __, __]).gpl().pkt().since(6, 12), // tcp_raw_gen_syncookie_ipv4
    p(205, 'a', INT, [fixed(MemAccess::Read, 40, false), read(3), SIZE, __, __]).gpl().pkt().until(6, 12), // tcp_raw_gen_syncookie_ipv6
    p(205, 'a', INT, [fixed(MemAccess::Read, 40, false), read(3), SIZE0, __, __]).gpl().pkt().since(6, 12), // tcp_raw_gen_syncookie_ipv6
    p(206, 'a', INT, [fixed(MemAccess::Read, 20, false), fixed(MemAccess::Read, 20, false), __, __, __]).gpl().pkt(), // tcp_raw_check_syncookie_ipv4
    p(207, 'a', INT, [fixed(MemAccess::Read, 40, false), fixed(MemAccess::Read, 20, false), __, __, __]).gpl().pkt(), // tcp_raw_check_syncookie_ipv6
    p(208, 'a', INT, [__, __, __, __, __]), // ktime_get_tai_ns
    p(209, 'a', INT, [MAP, FUNC, STACK.or_null(), ANY, __]).fx(Effects::SYNC_CALLBACK), // user_ringbuf_drain
    p(210, 'a', R_VALUE.or_null(), [MAP, btf("cgroup").or_null(), VALUE.or_null(), ANY, __]).fx(Effects::STORAGE_GET), // cgrp_storage_get
    p(211, 'a', INT, [MAP, btf("cgroup").or_null(), __, __, __]), // cgrp_storage_delete
];
