//! The running kernel as the profile's questions see it: one program or map at a time, errno and last words. The system calls are
//! `kernel_diff::live`'s.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use isa::Insn;
use kernel_diff::live::{privilege, sys};
use program::InfoTable;
use spec::map::CreateAttr;
use spec::profile::Caps;

use super::vm;

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
    pulse: Instant,
}

/// How often a guest says that it is still asking.
const PULSE: Duration = Duration::from_secs(15);

impl Kernel {
    pub fn open() -> Result<Kernel> {
        let mut kernel = Kernel { log: vec![0; 1 << 18], pulse: Instant::now() };
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
            errno => bail!("bpf(2) is not usable here: {}", sys::Errno(errno)),
        }
    }

    pub fn load(&mut self, asked: &Load<'_>) -> Answer<'_> {
        if self.pulse.elapsed() > PULSE && vm::is_guest() {
            println!("{}", vm::ASKING);
            self.pulse = Instant::now();
        }
        let code: Vec<u8> = asked.insns.iter().flat_map(|i| i.to_bytes()).collect();
        let none = InfoTable::default();
        let args = sys::LoadArgs {
            prog_type: asked.prog_type,
            insns: &code,
            license: asked.license,
            log_level: asked.log_level,
            kern_version: 0,
            flags: asked.flags,
            name: [0; 16],
            expected_attach_type: asked.attach_type,
            btf: None,
            func_info: &none,
            line_info: &none,
            attach_btf_id: asked.attach_btf_id,
        };
        self.log[0] = 0;
        let errno = sys::prog_load(&args, &mut self.log).map_or_else(|e| e.0, |_| 0);
        let end = self.log.iter().position(|&b| b == 0).unwrap_or(0);
        Answer { errno, log: std::str::from_utf8(&self.log[..end]).unwrap_or("") }
    }

    /// Makes a map; the errno of a refusal.
    pub fn create_map(&self, a: &CreateAttr<'_>, inner: Option<i32>) -> Result<OwnedFd, i32> {
        let mut map_name = [0; 16];
        for (slot, b) in map_name.iter_mut().zip(a.name.as_bytes()) {
            *slot = *b;
        }
        sys::map_create(sys::MapCreate {
            map_type: a.map_type,
            key_size: a.key_size,
            value_size: a.value_size,
            max_entries: a.max_entries,
            map_flags: a.map_flags,
            inner_map_fd: inner.unwrap_or(-1).cast_unsigned(),
            map_name,
            // No BTF is made for these questions: the answer is EBADF where everything before it was accepted.
            btf_fd: if a.btf_value_type_id == 0 { 0 } else { u32::MAX },
            btf_key_type_id: a.btf_key_type_id,
            btf_value_type_id: a.btf_value_type_id,
            btf_vmlinux_value_type_id: a.btf_vmlinux_value_type_id,
            map_extra: a.map_extra,
            ..sys::MapCreate::default()
        })
        .map_err(|e| e.0)
    }

    /// Runs `ask` with no more than these capabilities.
    pub fn with_caps<T>(&mut self, caps: Caps, ask: impl FnOnce(&mut Kernel) -> Result<T>) -> Result<T> {
        privilege::with_effective(caps, || ask(self))?
    }
}
