//! `union bpf_attr` of the commands that matter here, as rows of offsets. Fields behind the end of what a caller gave read as zero,
//! which is what they mean to the kernel.

use std::io;

use libc::pid_t;

use super::memory;

pub const MAP_CREATE: u64 = 0;
pub const PROG_LOAD: u64 = 5;

/// The kernel takes no longer attributes than a page.
const MAX_SIZE: u64 = 4096;

/// An attribute as the caller gave it.
#[derive(Debug)]
pub struct Attr(Vec<u8>);

/// Fields of `BPF_MAP_CREATE`.
pub mod map_create {
    pub const MAP_TYPE: usize = 0;
    pub const KEY_SIZE: usize = 4;
    pub const VALUE_SIZE: usize = 8;
    pub const MAX_ENTRIES: usize = 12;
    pub const MAP_FLAGS: usize = 16;
    pub const INNER_MAP_FD: usize = 20;
    pub const NUMA_NODE: usize = 24;
    pub const MAP_NAME: usize = 28;
    pub const MAP_IFINDEX: usize = 44;
    pub const BTF_FD: usize = 48;
    pub const BTF_KEY_TYPE_ID: usize = 52;
    pub const BTF_VALUE_TYPE_ID: usize = 56;
    pub const BTF_VMLINUX_VALUE_TYPE_ID: usize = 60;
    pub const MAP_EXTRA: usize = 64;
    pub const EXCL_PROG_HASH_SIZE: usize = 88;
}

/// Fields of `BPF_PROG_LOAD`.
pub mod prog_load {
    pub const PROG_TYPE: usize = 0;
    pub const INSN_CNT: usize = 4;
    pub const INSNS: usize = 8;
    pub const LICENSE: usize = 16;
    pub const LOG_LEVEL: usize = 24;
    pub const LOG_SIZE: usize = 28;
    pub const LOG_BUF: usize = 32;
    pub const KERN_VERSION: usize = 40;
    pub const PROG_FLAGS: usize = 44;
    pub const PROG_NAME: usize = 48;
    pub const PROG_IFINDEX: usize = 64;
    pub const EXPECTED_ATTACH_TYPE: usize = 68;
    pub const PROG_BTF_FD: usize = 72;
    pub const FUNC_INFO_REC_SIZE: usize = 76;
    pub const FUNC_INFO: usize = 80;
    pub const FUNC_INFO_CNT: usize = 88;
    pub const LINE_INFO_REC_SIZE: usize = 92;
    pub const LINE_INFO: usize = 96;
    pub const LINE_INFO_CNT: usize = 104;
    pub const ATTACH_BTF_ID: usize = 108;
    pub const ATTACH_FD: usize = 112;
    pub const CORE_RELO_CNT: usize = 116;
    pub const FD_ARRAY: usize = 120;
    pub const LOG_TRUE_SIZE: usize = 140;
    pub const SIGNATURE_SIZE: usize = 160;
    /// Behind the last field that is known here.
    pub const END: usize = 168;
}

impl Attr {
    /// Reads the attribute of a call about to be made.
    pub fn read(tid: pid_t, addr: u64, size: u64) -> io::Result<Self> {
        memory::read(tid, addr, size.min(MAX_SIZE) as usize).map(Self)
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.0.get(at + i).copied().unwrap_or(0))
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    /// A file descriptor.
    pub fn fd(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.bytes(at))
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }

    /// The name of a map or program: 16 bytes with a NUL in them.
    pub fn name(&self, at: usize) -> String {
        name(&self.bytes::<16>(at))
    }

    /// Whether anything but zeros stands from there on: fields of a newer kernel, which others refuse.
    pub fn says_more(&self, from: usize) -> bool {
        self.0.get(from..).is_some_and(|rest| rest.iter().any(|&b| b != 0))
    }

    /// Whether the caller's attribute is long enough to have the field, so that the kernel may have written to it.
    pub fn has(&self, at: usize, len: usize) -> bool {
        self.0.len() >= at + len
    }
}

/// Bytes up to the first NUL as text.
pub fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_the_end_is_zero() {
        let attr = Attr(vec![1, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(attr.u32(0), 1);
        assert_eq!(attr.u32(4), 0xffff);
        assert_eq!((attr.u64(usize::MAX / 2), attr.name(6)), (0, String::new()));
        assert!(attr.has(2, 4) && !attr.has(4, 4));
        assert!(attr.says_more(5) && !attr.says_more(6) && !attr.says_more(7) && !Attr(vec![1, 0]).says_more(1));
    }
}
