//! The few syscalls that probing needs: BPF_PROG_LOAD, BPF_MAP_CREATE, and dropping capabilities for the length of a question.
#![allow(unsafe_code, reason = "asking the kernel is a syscall; nothing else here is unsafe")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use isa::Insn;
use spec::map::CreateAttr;
use spec::profile::Caps;

use super::vm;

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_PROG_LOAD: libc::c_long = 5;
/// Bytes of `union bpf_attr` that are passed.
const ATTR_SIZE: usize = 144;

/// One program to ask about.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    pub prog_type: u32,
    pub attach_type: u32,
    pub flags: u32,
    pub attach_btf_id: u32,
    pub license: &'static str,
    pub insns: &'a [Insn],
    pub log_level: u32,
}

/// What BPF_PROG_LOAD said: errno (0 for success) and the log.
pub struct Answer<'a> {
    pub errno: i32,
    pub log: &'a str,
}

/// The running kernel. Keeps one log buffer.
pub struct Kernel {
    log: Vec<u8>,
    own_caps: CapSets,
    pulse: Instant,
}

/// How often a guest says that it is still asking.
const PULSE: Duration = Duration::from_secs(15);

/// A zeroed `union bpf_attr` that is filled by offset.
struct Attr([u8; ATTR_SIZE]);

impl Attr {
    fn new() -> Attr {
        Attr([0; ATTR_SIZE])
    }

    fn u32(mut self, at: usize, value: u32) -> Attr {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn u64(mut self, at: usize, value: u64) -> Attr {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn bytes(mut self, at: usize, value: &[u8]) -> Attr {
        self.0[at..at + value.len()].copy_from_slice(value);
        self
    }

    /// The new fd or the errno.
    fn call(mut self, command: libc::c_long) -> Result<OwnedFd, i32> {
        // SAFETY: the attribute is ATTR_SIZE bytes long and outlives the call; every address in it is that of a buffer that the
        // caller holds, with its length beside it.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), ATTR_SIZE) };
        match i32::try_from(fd) {
            // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
            Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        }
    }
}

impl Kernel {
    pub fn open() -> Result<Kernel> {
        let mut kernel = Kernel { log: vec![0; 1 << 18], own_caps: CapSets::current()?, pulse: Instant::now() };
        let insns = super::code::returning(0);
        let asked = Load {
            prog_type: 1,
            attach_type: 0,
            flags: 0,
            attach_btf_id: 0,
            license: "GPL",
            insns: &insns,
            log_level: 1,
        };
        match kernel.load(&asked).errno {
            0 => Ok(kernel),
            errno => bail!("bpf(2) is not usable here: {}", io::Error::from_raw_os_error(errno)),
        }
    }

    pub fn load(&mut self, asked: &Load<'_>) -> Answer<'_> {
        if self.pulse.elapsed() > PULSE && vm::is_guest() {
            println!("{}", vm::ASKING);
            self.pulse = Instant::now();
        }
        let mut code = Vec::with_capacity(asked.insns.len() * Insn::SIZE);
        code.extend(asked.insns.iter().flat_map(|i| i.to_bytes()));
        let license = format!("{}\0", asked.license);
        self.log[0] = 0;
        let made = Attr::new()
            .u32(0, asked.prog_type)
            .u32(4, asked.insns.len() as u32)
            .u64(8, code.as_ptr() as u64)
            .u64(16, license.as_ptr() as u64)
            .u32(24, asked.log_level)
            .u32(28, self.log.len() as u32)
            .u64(32, self.log.as_mut_ptr() as u64)
            .u32(44, asked.flags)
            .u32(68, asked.attach_type)
            .u32(108, asked.attach_btf_id)
            .call(BPF_PROG_LOAD);
        let end = self.log.iter().position(|&b| b == 0).unwrap_or(0);
        Answer { errno: made.err().unwrap_or(0), log: std::str::from_utf8(&self.log[..end]).unwrap_or("") }
    }

    /// Makes a map.
    pub fn create_map(&self, a: &CreateAttr<'_>, inner: Option<i32>) -> Result<OwnedFd, i32> {
        let mut attr = Attr::new()
            .u32(0, a.map_type)
            .u32(4, a.key_size)
            .u32(8, a.value_size)
            .u32(12, a.max_entries)
            .u32(16, a.map_flags)
            .u32(20, inner.unwrap_or(-1) as u32)
            .u32(52, a.btf_key_type_id)
            .u32(56, a.btf_value_type_id)
            .u32(60, a.btf_vmlinux_value_type_id)
            .u64(64, a.map_extra);
        if a.btf_value_type_id != 0 {
            // No BTF is made for these questions: the answer is EBADF where everything before it was accepted.
            attr = attr.u32(48, u32::MAX);
        }
        let name = a.name.as_bytes();
        attr = attr.bytes(28, &name[..name.len().min(16)]);
        attr.call(BPF_MAP_CREATE)
    }

    /// Runs `ask` with no more than these capabilities.
    pub fn with_caps<T>(&mut self, caps: Caps, ask: impl FnOnce(&mut Kernel) -> Result<T>) -> Result<T> {
        self.own_caps.reduced_to(caps).apply()?;
        let answer = ask(self);
        self.own_caps.apply()?;
        answer
    }
}

/// The two words of effective, permitted and inheritable capabilities, as capget(2) has them.
#[derive(Clone, Copy)]
struct CapSets([u32; 6]);

impl CapSets {
    const VERSION_3: u32 = 0x2008_0522;
    const SYS_ADMIN: u32 = 21;
    const NET_ADMIN: u32 = 12;
    const PERFMON: u32 = 38;
    const BPF: u32 = 39;

    fn current() -> Result<CapSets> {
        let mut header = [Self::VERSION_3, 0];
        let mut sets = CapSets([0; 6]);
        // SAFETY: capget(2) reads a header of two words and, for version 3, writes six words.
        let result = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.0.as_mut_ptr()) };
        if result != 0 { Err(io::Error::last_os_error()).context("capget") } else { Ok(sets) }
    }

    fn apply(&self) -> Result<()> {
        let mut header = [Self::VERSION_3, 0];
        // SAFETY: capset(2) reads a header of two words and, for version 3, six words.
        let result = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), self.0.as_ptr()) };
        if result != 0 { Err(io::Error::last_os_error()).context("capset") } else { Ok(()) }
    }

    /// Effective bits that a profile's capabilities name are taken away unless given; permitted ones stay.
    fn reduced_to(self, caps: Caps) -> CapSets {
        let mut sets = self;
        let bits = [
            (Self::SYS_ADMIN, caps.sys_admin),
            (Self::NET_ADMIN, caps.net_admin),
            (Self::PERFMON, caps.perfmon),
            (Self::BPF, caps.bpf),
        ];
        for (bit, keep) in bits {
            if !keep {
                // Words are effective, permitted, inheritable of the low half, then of the high half.
                sets.0[(bit / 32) as usize * 3] &= !(1 << (bit % 32));
            }
        }
        sets
    }
}
