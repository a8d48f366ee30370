//! Accesses whose answer the kernel gave.

use super::*;

fn prog(ty: ProgType, attach: AttachType) -> ProgContext<'static> {
    ProgContext { attach_type: attach.raw(), ..ProgContext::of(ty) }
}

fn reads(p: &ProgContext<'_>, off: i32, size: u32) -> Option<CtxReg> {
    access(p, Caps::ALL, off, size, AccessKind::Read).map(|a| a.reg)
}

fn reg_access(reg: FieldReg, off: i32, size: u32, kind: AccessKind) -> Option<CtxAccess> {
    super::reg_access(reg, Version::REFERENCE, off, size, kind)
}

fn writes(p: &ProgContext<'_>, off: i32, size: u32) -> bool {
    access(p, Caps::ALL, off, size, AccessKind::Write).is_some()
}

#[test]
fn rows_are_ordered_and_do_not_overlap() {
    for &ty in ProgType::ALL {
        let Some(layout) = layout(&ProgContext::of(ty)) else { continue };
        let mut end = 0;
        for field in layout.fields() {
            assert!(field.off >= end, "{ty} {}", field.name);
            end = field.off + field.width;
        }
        assert!(end <= layout.size, "{ty}");
    }
}

#[test]
fn packet_pointers_want_their_width() {
    let xdp = ProgContext::of(ProgType::Xdp);
    assert_eq!(reads(&xdp, 0, 4), Some(CtxReg::Pkt));
    assert_eq!(reads(&xdp, 0, 8), None);
    assert_eq!(reads(&xdp, 0, 2), None);
    assert_eq!(access(&xdp, Caps::ALL, 0, 4, AccessKind::ReadSx), None);
    assert_eq!(reads(&xdp, 20, 4), None);
    assert_eq!(reads(&prog(ProgType::Xdp, AttachType::XdpDevmap), 20, 4), Some(CtxReg::Scalar));
    assert!(!writes(&xdp, 16, 4));
}

#[test]
fn skb_depends_on_the_type() {
    let (tc, filter) = (ProgContext::of(ProgType::SchedCls), ProgContext::of(ProgType::SocketFilter));
    assert_eq!(reads(&tc, 76, 4), Some(CtxReg::Pkt));
    assert_eq!(reads(&filter, 76, 4), None);
    assert_eq!(reads(&tc, 168, 8), Some(CtxReg::SockCommon { nullable: true }));
    // cb is one field of five words: 8 bytes only at 48 and 56.
    assert_eq!([48, 52, 56, 60, 64].map(|off| reads(&tc, off, 8).is_some()), [true, false, true, false, false]);
    assert!(writes(&tc, 8, 4) && !writes(&tc, 8, 2) && !writes(&filter, 8, 4) && writes(&filter, 51, 1));
    assert_eq!(reads(&ProgContext::of(ProgType::FlowDissector), 144, 8), Some(CtxReg::FlowKeys));
    assert_eq!(reads(&tc, 192, 4), None);
    assert_eq!(reads(&tc, -4, 4), None);
}

#[test]
fn cgroup_skb_needs_cap_bpf_for_data() {
    let skb = ProgContext::of(ProgType::CgroupSkb);
    let try_with = |caps, off, size, kind| access(&skb, caps, off, size, kind).is_some();
    assert!(try_with(Caps::ALL, 76, 4, AccessKind::Read) && !try_with(Caps::NONE, 76, 4, AccessKind::Read));
    assert!(try_with(Caps::ALL, 152, 8, AccessKind::Write) && !try_with(Caps::NONE, 152, 8, AccessKind::Write));
    assert!(try_with(Caps::NONE, 152, 8, AccessKind::Read) && try_with(Caps::NONE, 8, 4, AccessKind::Write));
}

#[test]
fn sock_addr_shows_the_family_of_the_hook() {
    let v4 = prog(ProgType::CgroupSockAddr, AttachType::CgroupInet4Connect);
    let v6 = prog(ProgType::CgroupSockAddr, AttachType::CgroupInet6Connect);
    let unix = prog(ProgType::CgroupSockAddr, AttachType::CgroupUnixConnect);
    let send6 = prog(ProgType::CgroupSockAddr, AttachType::CgroupUdp6Sendmsg);
    assert!(reads(&v4, 4, 4).is_some() && reads(&v6, 4, 4).is_none() && reads(&unix, 4, 4).is_none());
    assert!(writes(&v6, 8, 8) && writes(&v6, 16, 8) && !writes(&v6, 12, 8) && !writes(&v4, 8, 4));
    assert!(writes(&send6, 48, 8) && !writes(&send6, 44, 8) && writes(&send6, 44, 4));
}

#[test]
fn special_points() {
    let tp = ProgContext::of(ProgType::Tracepoint);
    assert_eq!((reads(&tp, 4, 4), reads(&tp, 8, 8)), (None, Some(CtxReg::Scalar)));
    assert!(reads(&tp, -8, 8).is_some() && reads(&tp, -6, 4).is_none() && !writes(&tp, -8, 8));
    let writable = ProgContext::of(ProgType::RawTracepointWritable);
    assert_eq!(reads(&writable, 0, 8), Some(CtxReg::TpBuffer));
    assert_eq!(reads(&writable, 0, 4), None);
    assert_eq!(reads(&writable, 4, 4), Some(CtxReg::Scalar));
    assert_eq!(reads(&ProgContext::of(ProgType::Netfilter), 8, 8), Some(CtxReg::TrustedPtr("sk_buff")));
    let lookup = ProgContext::of(ProgType::SkLookup);
    assert!(reads(&lookup, 36, 4).is_some() && reads(&lookup, 38, 2).is_some() && reads(&lookup, 68, 4).is_none());
    assert!(writes(&ProgContext::of(ProgType::SockOps), 4, 4) && !writes(&ProgContext::of(ProgType::SockOps), 8, 4));
}

#[test]
fn socket_registers() {
    let common = |off, size| reg_access(FieldReg::SockCommon, off, size, AccessKind::Read).is_some();
    assert!(common(0, 4) && common(24, 1) && !common(16, 4) && !common(1, 1));
    assert!(reg_access(FieldReg::Sock, 16, 4, AccessKind::Read).is_some());
    assert!(reg_access(FieldReg::TcpSock, 84, 4, AccessKind::Read).is_some_and(|a| a.conversion_fails));
    assert!(reg_access(FieldReg::TcpSock, 80, 8, AccessKind::Read).is_some_and(|a| !a.conversion_fails));
    assert!(reg_access(FieldReg::FlowKeys, 1, 8, AccessKind::Write).is_some());
    assert!(reg_access(FieldReg::FlowKeys, 49, 8, AccessKind::Read).is_none());
}

#[test]
fn fields_come_with_kernels() {
    let on = |kernel: &str, ty: ProgType, off, size, kind| {
        let profile = crate::Profile::load(kernel).expect("a profile");
        profile.ctx(&ProgContext::of(ty)).and_then(|l| l.access(Caps::ALL, off, size, kind)).is_some()
    };
    let read = |kernel, ty, off, size| on(kernel, ty, off, size, AccessKind::Read);
    let kernels = ["5.10", "6.1", "6.12", "6.18", "7.2"];
    assert_eq!(kernels.map(|k| read(k, ProgType::SchedCls, 184, 8)), [false, true, true, true, true]);
    assert_eq!(kernels.map(|k| read(k, ProgType::SockOps, 216, 8)), [false, false, true, true, true]);
    assert_eq!(kernels.map(|k| read(k, ProgType::SkReuseport, 40, 8)), [false, true, true, true, true]);
    assert_eq!(kernels.map(|k| read(k, ProgType::Syscall, 1, 8)), [false, false, false, false, true]);
    let writes = kernels.map(|k| on(k, ProgType::Kprobe, 8, 8, AccessKind::Write));
    assert_eq!(writes, [false, false, false, true, true]);
    // What later became tstamp_type was padding that passes for a field.
    let padding = |kernel| {
        let profile = crate::Profile::load(kernel).expect("a profile");
        let found = profile.ctx(&ProgContext::of(ProgType::SchedCls))?.access(Caps::ALL, 180, 1, AccessKind::Read)?;
        Some(found.conversion_fails)
    };
    assert_eq!((padding("5.10"), padding("6.1")), (Some(true), Some(false)));
}
