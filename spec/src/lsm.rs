//! LSM hooks: what an LSM program may attach to and what follows from it. Argument types are in the kernel's BTF
//! (`bpf_lsm_<hook>`).

use Returns::{Bool, Int, Void};

use crate::profile::Version;
use crate::span::Span;

/// What a hook returns, as far as the range of R0 depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// 0 or a negative errno.
    Int,
    /// One of the three hooks that return 0 or 1.
    Bool,
    Void,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LsmHook {
    /// Without `bpf_lsm_`.
    pub name: &'static str,
    pub returns: Returns,
    /// Attaching is refused.
    pub disabled: bool,
    sleepable: bool,
    /// Pointer arguments are not trusted.
    pub untrusted: bool,
    /// Under LSM_CGROUP the cgroup is current's, not the socket's.
    pub cgroup_of_current: bool,
    /// The kernels in which the hook is so.
    span: Span,
}

/// The hook of this name, with or without `bpf_lsm_`, in a kernel of this version.
pub fn hook(name: &str, version: Version) -> Option<&'static LsmHook> {
    let bare = name.strip_prefix("bpf_lsm_").unwrap_or(name);
    let first = HOOKS.partition_point(|h| h.name < bare);
    HOOKS[first..].iter().take_while(|h| h.name == bare).find(|h| h.span.holds(version))
}

/// Before, programs slept in one hook only.
const SLEEPING: Span = Span::ALWAYS.since(6, 1);
const FIRST_TO_SLEEP: &str = "bprm_committed_creds";

/// The hooks of a kernel of this version.
pub fn hooks(version: Version) -> impl Iterator<Item = &'static LsmHook> {
    HOOKS.iter().filter(move |h| h.span.holds(version))
}

const fn h(name: &'static str, returns: Returns) -> LsmHook {
    LsmHook {
        name,
        returns,
        disabled: false,
        sleepable: false,
        untrusted: false,
        cgroup_of_current: false,
        span: Span::ALWAYS,
    }
}

impl LsmHook {
    /// Whether BPF_F_SLEEPABLE is accepted.
    pub fn sleeps(&self, version: Version) -> bool {
        self.sleepable && (SLEEPING.holds(version) || self.name == FIRST_TO_SLEEP)
    }

    /// From this series on.
    const fn since(mut self, major: u16, minor: u16) -> LsmHook {
        self.span = self.span.since(major, minor);
        self
    }

    /// Before this series.
    const fn until(mut self, major: u16, minor: u16) -> LsmHook {
        self.span = self.span.until(major, minor);
        self
    }

    const fn disabled(mut self) -> LsmHook {
        self.disabled = true;
        self
    }

    const fn sleepable(mut self) -> LsmHook {
        self.sleepable = true;
        self
    }

    const fn untrusted(mut self) -> LsmHook {
        self.untrusted = true;
        self
    }

    const fn cgroup_of_current(mut self) -> LsmHook {
        self.cgroup_of_current = true;
        self
    }
}

/// Sorted by name; rows of the same name hold in different kernels.
#[rustfmt::skip]
pub const HOOKS: &[LsmHook] = &[
    h("audit_rule_free", Void),
    h("audit_rule_init", Int),
    h("audit_rule_known", Bool),
    h("audit_rule_match", Int).until(6, 1),
    h("audit_rule_match", Int).disabled().since(6, 1),
    h("backing_file_alloc", Int).until(6, 13),
    h("backing_file_alloc", Int).since(7, 0),
    h("backing_file_free", Void).until(6, 13),
    h("backing_file_free", Void).since(7, 0),
    h("bdev_alloc_security", Int).until(7, 2),
    h("bdev_alloc_security", Int).sleepable().untrusted().since(7, 2),
    h("bdev_free_security", Void).until(7, 2),
    h("bdev_free_security", Void).untrusted().since(7, 2),
    h("bdev_setintegrity", Int).until(7, 2),
    h("bdev_setintegrity", Int).sleepable().since(7, 2),
    h("binder_set_context_mgr", Int),
    h("binder_transaction", Int),
    h("binder_transfer_binder", Int),
    h("binder_transfer_file", Int),
    h("bpf", Int).sleepable(),
    h("bpf_map", Int).sleepable(),
    h("bpf_map_alloc_security", Int).sleepable().until(6, 12),
    h("bpf_map_create", Int).sleepable(),
    h("bpf_map_free", Void).sleepable().untrusted(),
    h("bpf_map_free_security", Void).sleepable().until(6, 12),
    h("bpf_prog", Int).sleepable(),
    h("bpf_prog_alloc_security", Int).until(6, 12),
    h("bpf_prog_free", Void).untrusted().until(6, 13),
    h("bpf_prog_free", Void).sleepable().untrusted().since(6, 13).until(7, 2),
    h("bpf_prog_free", Void).untrusted().since(7, 2),
    h("bpf_prog_free_security", Void).until(6, 12),
    h("bpf_prog_load", Int).sleepable(),
    h("bpf_token_capable", Int).sleepable(),
    h("bpf_token_cmd", Int).sleepable(),
    h("bpf_token_create", Int).sleepable(),
    h("bpf_token_free", Void).sleepable(),
    h("bprm_check_security", Int).sleepable(),
    h("bprm_committed_creds", Void).sleepable(),
    h("bprm_committing_creds", Void).sleepable(),
    h("bprm_creds_for_exec", Int).sleepable(),
    h("bprm_creds_from_file", Int).sleepable(),
    h("capable", Int),
    h("capget", Int).sleepable(),
    h("capset", Int).sleepable(),
    h("cred_alloc_blank", Int),
    h("cred_free", Void),
    h("cred_getlsmprop", Void),
    h("cred_getsecid", Void),
    h("cred_prepare", Int).sleepable(),
    h("cred_transfer", Void),
    h("current_getlsmprop_subj", Void),
    h("current_getsecid_subj", Void).sleepable().until(6, 18),
    h("d_instantiate", Void),
    h("dentry_create_files_as", Int),
    h("dentry_init_security", Int),
    h("file_alloc_security", Int).untrusted().until(7, 0),
    h("file_alloc_security", Int).untrusted().disabled().since(7, 0),
    h("file_fcntl", Int),
    h("file_free_security", Void).untrusted(),
    h("file_ioctl", Int).sleepable(),
    h("file_ioctl_compat", Int),
    h("file_lock", Int).sleepable(),
    h("file_mprotect", Int),
    h("file_open", Int).sleepable(),
    h("file_permission", Int),
    h("file_post_open", Int).sleepable(),
    h("file_receive", Int).sleepable(),
    h("file_release", Void),
    h("file_send_sigiotask", Int),
    h("file_set_fowner", Void),
    h("file_truncate", Int),
    h("fs_context_dup", Int),
    h("fs_context_parse_param", Int),
    h("fs_context_submount", Int),
    h("getprocattr", Int).until(6, 1),
    h("getprocattr", Int).disabled().since(6, 1),
    h("getselfattr", Int).until(6, 1),
    h("getselfattr", Int).disabled().since(6, 1),
    h("ib_alloc_security", Int),
    h("ib_endport_manage_subnet", Int),
    h("ib_free_security", Void).until(6, 12),
    h("ib_pkey_access", Int),
    h("inet_conn_established", Void).sleepable().until(6, 12),
    h("inet_conn_established", Void).since(6, 12).until(6, 13),
    h("inet_conn_established", Void).sleepable().since(6, 13).until(7, 0),
    h("inet_conn_established", Void).since(7, 0),
    h("inet_conn_request", Int),
    h("inet_csk_clone", Void),
    h("initramfs_populated", Void),
    h("inode_alloc_security", Int),
    h("inode_copy_up", Int),
    h("inode_copy_up_xattr", Int).until(6, 1),
    h("inode_copy_up_xattr", Int).disabled().since(6, 1),
    h("inode_create", Int).sleepable(),
    h("inode_file_getattr", Int),
    h("inode_file_setattr", Int),
    h("inode_follow_link", Int),
    h("inode_free_security", Void).sleepable(),
    h("inode_free_security_rcu", Void),
    h("inode_get_acl", Int),
    h("inode_getattr", Int).sleepable(),
    h("inode_getlsmprop", Void),
    h("inode_getsecctx", Int),
    h("inode_getsecid", Void).until(6, 18),
    h("inode_getsecurity", Int).until(6, 1),
    h("inode_getsecurity", Int).disabled().since(6, 1),
    h("inode_getxattr", Int).sleepable(),
    h("inode_init_security", Int),
    h("inode_init_security_anon", Int),
    h("inode_invalidate_secctx", Void),
    h("inode_killpriv", Int),
    h("inode_link", Int),
    h("inode_listsecurity", Int).until(6, 1),
    h("inode_listsecurity", Int).disabled().since(6, 1),
    h("inode_listxattr", Int),
    h("inode_mkdir", Int),
    h("inode_mknod", Int).sleepable(),
    h("inode_need_killpriv", Int).until(6, 1),
    h("inode_need_killpriv", Int).disabled().sleepable().since(6, 1),
    h("inode_notifysecctx", Int),
    h("inode_permission", Int),
    h("inode_post_create_tmpfile", Void),
    h("inode_post_remove_acl", Void),
    h("inode_post_removexattr", Void).until(6, 13),
    h("inode_post_removexattr", Void).sleepable().since(6, 13),
    h("inode_post_set_acl", Void),
    h("inode_post_setattr", Void),
    h("inode_post_setxattr", Void).sleepable(),
    h("inode_readlink", Int).sleepable(),
    h("inode_remove_acl", Int),
    h("inode_removexattr", Int).until(6, 13),
    h("inode_removexattr", Int).sleepable().since(6, 13),
    h("inode_rename", Int).sleepable(),
    h("inode_rmdir", Int).sleepable(),
    h("inode_set_acl", Int),
    h("inode_setattr", Int).sleepable(),
    h("inode_setintegrity", Int),
    h("inode_setsecctx", Int),
    h("inode_setsecurity", Int),
    h("inode_setxattr", Int).sleepable(),
    h("inode_symlink", Int).sleepable(),
    h("inode_unlink", Int).sleepable(),
    h("inode_xattr_skipcap", Bool),
    h("ipc_getlsmprop", Void),
    h("ipc_getsecid", Void).until(6, 18),
    h("ipc_permission", Int),
    h("ismaclabel", Int).until(6, 1),
    h("ismaclabel", Int).disabled().since(6, 1),
    h("kernel_act_as", Int),
    h("kernel_create_files_as", Int),
    h("kernel_load_data", Int),
    h("kernel_module_request", Int).sleepable(),
    h("kernel_post_load_data", Int),
    h("kernel_post_read_file", Int),
    h("kernel_read_file", Int).sleepable(),
    h("kernfs_init_security", Int).sleepable(),
    h("key_alloc", Int),
    h("key_free", Void).sleepable().until(6, 12),
    h("key_getsecurity", Int).until(6, 1),
    h("key_getsecurity", Int).disabled().since(6, 1),
    h("key_permission", Int),
    h("key_post_create_or_update", Void),
    h("locked_down", Int),
    h("lsmprop_to_secctx", Int),
    h("mmap_addr", Int),
    h("mmap_backing_file", Int).until(6, 13),
    h("mmap_backing_file", Int).since(7, 0),
    h("mmap_file", Int).sleepable(),
    h("move_mount", Int),
    h("mptcp_add_subflow", Int),
    h("msg_msg_alloc_security", Int),
    h("msg_msg_free_security", Void),
    h("msg_queue_alloc_security", Int),
    h("msg_queue_associate", Int),
    h("msg_queue_free_security", Void),
    h("msg_queue_msgctl", Int),
    h("msg_queue_msgrcv", Int),
    h("msg_queue_msgsnd", Int),
    h("netlink_send", Int).sleepable(),
    h("path_chmod", Int).until(6, 12),
    h("path_chmod", Int).sleepable().since(6, 12),
    h("path_chown", Int).until(6, 12),
    h("path_chown", Int).sleepable().since(6, 12),
    h("path_chroot", Int),
    h("path_link", Int).until(6, 12),
    h("path_link", Int).sleepable().since(6, 12),
    h("path_mkdir", Int).until(6, 12),
    h("path_mkdir", Int).sleepable().since(6, 12),
    h("path_mknod", Int),
    h("path_notify", Int).sleepable(),
    h("path_post_mknod", Void),
    h("path_rename", Int).until(6, 12),
    h("path_rename", Int).sleepable().since(6, 12),
    h("path_rmdir", Int).until(6, 12),
    h("path_rmdir", Int).sleepable().since(6, 12),
    h("path_symlink", Int).until(6, 12),
    h("path_symlink", Int).sleepable().since(6, 12),
    h("path_truncate", Int).until(6, 12),
    h("path_truncate", Int).sleepable().since(6, 12),
    h("path_unlink", Int).until(6, 12),
    h("path_unlink", Int).sleepable().since(6, 12),
    h("perf_event_alloc", Int),
    h("perf_event_free", Void).until(6, 12),
    h("perf_event_open", Int),
    h("perf_event_read", Int),
    h("perf_event_write", Int),
    h("post_notification", Int),
    h("ptrace_access_check", Int),
    h("ptrace_traceme", Int),
    h("quota_on", Int),
    h("quotactl", Int),
    h("release_secctx", Void).sleepable(),
    h("req_classify_flow", Void),
    h("sb_add_mnt_opt", Int).until(6, 1),
    h("sb_alloc_security", Int).sleepable(),
    h("sb_clone_mnt_opts", Int),
    h("sb_delete", Void),
    h("sb_eat_lsm_opts", Int).sleepable(),
    h("sb_free_mnt_opts", Void),
    h("sb_free_security", Void),
    h("sb_kern_mount", Int).sleepable(),
    h("sb_mnt_opts_compat", Int),
    h("sb_mount", Int).sleepable(),
    h("sb_pivotroot", Int),
    h("sb_remount", Int).sleepable(),
    h("sb_set_mnt_opts", Int).sleepable(),
    h("sb_show_options", Int).sleepable(),
    h("sb_statfs", Int).sleepable(),
    h("sb_umount", Int).sleepable(),
    h("sctp_assoc_established", Int),
    h("sctp_assoc_request", Int),
    h("sctp_bind_connect", Int),
    h("sctp_sk_clone", Void),
    h("secctx_to_secid", Int),
    h("secid_to_secctx", Int),
    h("secmark_refcount_dec", Void),
    h("secmark_refcount_inc", Void),
    h("secmark_relabel_packet", Int),
    h("sem_alloc_security", Int),
    h("sem_associate", Int),
    h("sem_free_security", Void),
    h("sem_semctl", Int),
    h("sem_semop", Int),
    h("setprocattr", Int).until(6, 1),
    h("setprocattr", Int).disabled().since(6, 1),
    h("setselfattr", Int),
    h("settime", Int).sleepable(),
    h("shm_alloc_security", Int),
    h("shm_associate", Int),
    h("shm_free_security", Void),
    h("shm_shmat", Int),
    h("shm_shmctl", Int),
    h("sk_alloc_security", Int).untrusted().cgroup_of_current(),
    h("sk_clone_security", Void),
    h("sk_free_security", Void).untrusted().cgroup_of_current(),
    h("sk_getsecid", Void),
    h("sock_graft", Void),
    h("socket_accept", Int).sleepable(),
    h("socket_bind", Int).sleepable(),
    h("socket_connect", Int).sleepable(),
    h("socket_create", Int).sleepable(),
    h("socket_getpeername", Int).sleepable(),
    h("socket_getpeersec_dgram", Int).sleepable(),
    h("socket_getpeersec_stream", Int),
    h("socket_getsockname", Int).sleepable(),
    h("socket_getsockopt", Int).sleepable(),
    h("socket_listen", Int).sleepable(),
    h("socket_post_create", Int).sleepable(),
    h("socket_recvmsg", Int).sleepable(),
    h("socket_sendmsg", Int).sleepable(),
    h("socket_setsockopt", Int),
    h("socket_shutdown", Int).sleepable(),
    h("socket_sock_rcv_skb", Int),
    h("socket_socketpair", Int).sleepable(),
    h("syslog", Int).sleepable(),
    h("task_alloc", Int).sleepable(),
    h("task_fix_setgid", Int),
    h("task_fix_setgroups", Int),
    h("task_fix_setuid", Int),
    h("task_free", Void).untrusted(),
    h("task_getioprio", Int),
    h("task_getlsmprop_obj", Void),
    h("task_getpgid", Int),
    h("task_getscheduler", Int),
    h("task_getsecid", Void).until(6, 1),
    h("task_getsecid_obj", Void).sleepable().until(6, 18),
    h("task_getsid", Int),
    h("task_kill", Int),
    h("task_movememory", Int),
    h("task_prctl", Int).sleepable(),
    h("task_prlimit", Int),
    h("task_setioprio", Int),
    h("task_setnice", Int),
    h("task_setpgid", Int),
    h("task_setrlimit", Int),
    h("task_setscheduler", Int).sleepable(),
    h("task_to_inode", Void).until(6, 13),
    h("task_to_inode", Void).sleepable().since(6, 13).until(7, 0),
    h("task_to_inode", Void).since(7, 0),
    h("tun_dev_alloc_security", Int),
    h("tun_dev_attach", Int),
    h("tun_dev_attach_queue", Int),
    h("tun_dev_create", Int),
    h("tun_dev_free_security", Void).until(6, 12),
    h("tun_dev_open", Int),
    h("unix_find", Int).since(7, 2),
    h("unix_may_send", Int),
    h("unix_stream_connect", Int),
    h("uring_allowed", Int),
    h("uring_cmd", Int),
    h("uring_override_creds", Int),
    h("uring_sqpoll", Int),
    h("userns_create", Int).sleepable(),
    h("vm_enough_memory", Int).until(6, 1),
    h("vm_enough_memory", Int).disabled().since(6, 1),
    h("watch_key", Int),
    h("xfrm_decode_session", Int).until(6, 1),
    h("xfrm_decode_session", Int).disabled().since(6, 1).until(6, 13),
    h("xfrm_decode_session", Int).since(6, 13).until(7, 2),
    h("xfrm_decode_session", Int).disabled().since(7, 2),
    h("xfrm_policy_alloc_security", Int),
    h("xfrm_policy_clone_security", Int),
    h("xfrm_policy_delete_security", Int),
    h("xfrm_policy_free_security", Void),
    h("xfrm_policy_lookup", Int),
    h("xfrm_state_alloc", Int),
    h("xfrm_state_alloc_acquire", Int),
    h("xfrm_state_delete_security", Int),
    h("xfrm_state_free_security", Void),
    h("xfrm_state_pol_flow_match", Bool),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_sorted_and_found() {
        let now = |name| hook(name, Version::REFERENCE);
        assert!(HOOKS.is_sorted_by(|a, b| a.name <= b.name));
        assert_eq!(hooks(Version::REFERENCE).count(), 273);
        let open = now("bpf_lsm_file_open").expect("file_open is a hook");
        assert_eq!((open.returns, open.sleepable, open.disabled), (Int, true, false));
        assert!(open.sleeps(Version::REFERENCE) && !open.sleeps(Version::parse("5.10.262")));
        assert_eq!(now("inode_xattr_skipcap").map(|h| h.returns), Some(Bool));
        assert_eq!(hooks(Version::REFERENCE).filter(|h| h.disabled).count(), 11);
        assert_eq!(now("no_such_hook"), None);
        // Rows of one name hold one after the other.
        let in_kernel = |name, version| hook(name, Version::parse(version));
        let disabled = |version| in_kernel("xfrm_decode_session", version).map(|h| h.disabled);
        assert_eq!(
            ["5.10.262", "6.1.192", "6.12.117", "6.18.15", "7.2.13"].map(disabled),
            [Some(false), Some(true), Some(true), Some(false), Some(true)]
        );
        assert_eq!(in_kernel("unix_find", "6.18.44"), None);
        assert!(in_kernel("unix_find", "7.2.13").is_some() && in_kernel("key_free", "6.1.192").is_some());
    }
}
