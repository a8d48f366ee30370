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

/// Leaves the calling thread these capabilities and no other. They do not come back: do it on a thread made for the purpose.
pub fn limit_thread(caps: Caps) -> Result<(), Error> {
    let wanted = [(caps.net_admin, NET_ADMIN), (caps.sys_admin, SYS_ADMIN), (caps.perfmon, PERFMON), (caps.bpf, BPF)];
    let mut sets = [Sets::default(); 2];
    for (_, bit) in wanted.iter().filter(|(has, _)| *has) {
        let half = &mut sets[(bit / 32) as usize];
        half.effective |= 1 << (bit % 32);
        half.permitted |= 1 << (bit % 32);
    }
    // Version 3: two halves. Pid 0: this thread.
    let header = Header { version: 0x2008_0522, pid: 0 };
    // SAFETY: both pointers are to live structs of the layout that version 3 of the call reads.
    let done = unsafe { libc::syscall(libc::SYS_capset, &header, sets.as_ptr()) };
    match done {
        0 => Ok(()),
        _ => Err(Error::Environment(format!("capset: {}", std::io::Error::last_os_error()))),
    }
}
