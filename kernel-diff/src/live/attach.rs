//! Attaching a loaded program where its section says, as a loader does: tracepoints and probes through perf events, typed hooks through
//! their own command, cgroups through the root group. Only for guests: what is attached here sees the whole machine. What makes programs
//! run is in `trigger`.
#![allow(unsafe_code, reason = "perf events and attachments have no safe interface")]

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use program::Program;
use spec::ProgType;

use super::sys;
use crate::engine::Error;

const SET_BPF: libc::c_ulong = 0x4004_2408;
const ENABLE: libc::c_ulong = 0x2400;
const TRACEPOINT: u32 = 2;
const CGROUP: &str = "/sys/fs/cgroup";

/// An attachment; dropping it detaches.
pub enum Link {
    /// The descriptors of perf events, or of a raw tracepoint.
    Open(#[expect(dead_code, reason = "held until the attachment ends")] Vec<OwnedFd>),
    Cgroup {
        group: File,
        program: std::rc::Rc<OwnedFd>,
        kind: u32,
    },
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Cgroup { group, program, kind } = self {
            // What cannot be detached is gone with the guest.
            let _ = sys::cgroup_detach(group, program, *kind);
        }
    }
}

/// The first eight bytes and those that follow of `struct perf_event_attr`, as far as they are needed.
#[repr(C)]
#[derive(Default)]
struct PerfAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved: u16,
}

fn last(what: &str) -> Error {
    Error::unsupported(format!("{what}: {}", std::io::Error::last_os_error()))
}

/// A perf event of everybody on the first CPU, where what triggers it runs.
fn perf_event(attr: &mut PerfAttr) -> Result<OwnedFd, Error> {
    attr.size = size_of::<PerfAttr>() as u32;
    attr.sample_period = 1;
    attr.wakeup_events = 1;
    // SAFETY: the attribute is live, of the size it says, and its addresses are those of strings that live through the call.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, std::ptr::from_mut(attr), -1, 0, -1, 8u64) };
    match i32::try_from(fd) {
        // SAFETY: the kernel just made this descriptor for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(last("perf_event_open")),
    }
}

fn with_program(event: OwnedFd, program: &OwnedFd) -> Result<Link, Error> {
    // SAFETY: both are descriptors that we own; these requests take a number.
    let done = unsafe {
        libc::ioctl(event.as_raw_fd(), SET_BPF, program.as_raw_fd()) == 0
            && libc::ioctl(event.as_raw_fd(), ENABLE, 0) == 0
    };
    if done { Ok(Link::Open(vec![event])) } else { Err(last("attaching to a perf event")) }
}

fn number(path: &str) -> Result<u64, Error> {
    let text = fs::read_to_string(path).map_err(|e| Error::unsupported(format!("{path}: {e}")))?;
    text.trim().parse().map_err(|_| Error::unsupported(format!("{path}: expected a number, found `{text}`")))
}

fn tracepoint(program: &OwnedFd, target: &str) -> Result<Link, Error> {
    let id = number(&format!("/sys/kernel/tracing/events/{target}/id"))?;
    with_program(perf_event(&mut PerfAttr { kind: TRACEPOINT, config: id, ..PerfAttr::default() })?, program)
}

fn probe(program: &OwnedFd, function: &str, at_return: bool) -> Result<Link, Error> {
    let kind = number("/sys/bus/event_source/devices/kprobe/type")? as u32;
    let name = CString::new(function).map_err(|_| Error::unsupported("a function's name with a NUL in it"))?;
    let mut attr =
        PerfAttr { kind, config: u64::from(at_return), config1: name.as_ptr() as u64, ..PerfAttr::default() };
    with_program(perf_event(&mut attr)?, program).map_err(|e| Error::unsupported(format!("probe on {function}: {e}")))
}

/// Attaches where the section says.
pub fn attach(program: &Program, fd: &std::rc::Rc<OwnedFd>) -> Result<Link, Error> {
    let refused = |e: sys::Errno| Error::unsupported(format!("the kernel refuses to attach `{}`: {e}", program.name));
    let target = program.section.split_once('/').map_or("", |(_, t)| t);
    let raw = |name: Option<&str>| sys::raw_tracepoint(fd, name).map(|l| Link::Open(vec![l])).map_err(refused);
    match ProgType::from_raw(program.prog_type) {
        Some(ProgType::Tracepoint) => tracepoint(fd, target),
        Some(ProgType::Kprobe) if program.section.starts_with("kretprobe/") => probe(fd, target, true),
        Some(ProgType::Kprobe) if program.section.starts_with("kprobe/") => probe(fd, target, false),
        Some(ProgType::RawTracepoint | ProgType::RawTracepointWritable) => raw(Some(target)),
        Some(ProgType::Tracing | ProgType::Lsm) => raw(None),
        Some(
            ProgType::CgroupSock
            | ProgType::CgroupSockAddr
            | ProgType::CgroupDevice
            | ProgType::CgroupSysctl
            | ProgType::CgroupSockopt
            | ProgType::SockOps
            | ProgType::CgroupSkb,
        ) => {
            let group = File::open(CGROUP).map_err(|e| Error::unsupported(format!("{CGROUP}: {e}")))?;
            let kind = program.expected_attach_type;
            sys::cgroup_attach(&group, fd, kind).map_err(refused)?;
            Ok(Link::Cgroup { group, program: std::rc::Rc::clone(fd), kind })
        }
        _ => Err(Error::unsupported(format!(
            "`{}`: programs of section `{}` are not attached yet",
            program.name, program.section
        ))),
    }
}
