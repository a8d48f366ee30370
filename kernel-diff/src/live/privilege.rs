//! Asking the kernel with fewer privileges: what it lets a process do depends on the capabilities of the thread that asks.
#![allow(unsafe_code, reason = "capset has no safe interface")]

use spec::Caps;

use crate::engine::Error;

const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Version 3 of the calls: two halves. Pid 0: this thread.
const HEADER: Header = Header { version: 0x2008_0522, pid: 0 };

/// The capabilities that a profile speaks of, with their bits.
fn named(caps: Caps) -> [(bool, u32); 4] {
    [(caps.net_admin, NET_ADMIN), (caps.sys_admin, SYS_ADMIN), (caps.perfmon, PERFMON), (caps.bpf, BPF)]
}

fn apply(sets: &[Sets; 2]) -> Result<(), Error> {
    // SAFETY: both pointers are to live structs of the layout that version 3 of the call reads.
    let done = unsafe { libc::syscall(libc::SYS_capset, &HEADER, sets.as_ptr()) };
    match done {
        0 => Ok(()),
        _ => Err(Error::Environment(format!("capset: {}", std::io::Error::last_os_error()))),
    }
}

/// Runs `ask` with no more than these capabilities in effect; then all are back.
pub fn with_effective<T>(caps: Caps, ask: impl FnOnce() -> T) -> Result<T, Error> {
    let mut header = HEADER;
    let mut own = [Sets::default(); 2];
    // SAFETY: the call reads a header and, for version 3, writes two sets; both are live and of that layout.
    let got = unsafe { libc::syscall(libc::SYS_capget, &mut header, own.as_mut_ptr()) };
    if got != 0 {
        return Err(Error::Environment(format!("capget: {}", std::io::Error::last_os_error())));
    }
    let mut fewer = own;
    for (_, bit) in named(caps).iter().filter(|(has, _)| !has) {
        fewer[(bit / 32) as usize].effective &= !(1 << (bit % 32));
    }
    apply(&fewer)?;
    let answer = ask();
    apply(&own)?;
    Ok(answer)
}

/// Leaves the calling thread these capabilities and no other. They do not come back: do it on a thread made for the purpose.
pub fn limit_thread(caps: Caps) -> Result<(), Error> {
    let mut sets = [Sets::default(); 2];
    for (_, bit) in named(caps).iter().filter(|(has, _)| *has) {
        let half = &mut sets[(bit / 32) as usize];
        half.effective |= 1 << (bit % 32);
        half.permitted |= 1 << (bit % 32);
    }
    apply(&sets)
}
