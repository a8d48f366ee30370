//! What a file descriptor of another process refers to, and what the kernel says about that: `/proc` for the id, then `bpf(2)` calls of
//! our own. What loaders did earlier is `session`'s.
#![allow(unsafe_code, reason = "bpf(2) and pidfd_getfd have no safe interface")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::pid_t;

use super::attr;

const MAP_LOOKUP_ELEM: u32 = 1;
const MAP_GET_FD_BY_ID: u32 = 14;
const OBJ_GET_INFO_BY_FD: u32 = 15;
const BTF_GET_FD_BY_ID: u32 = 19;

/// The kernel's own BTF is the first that it makes.
pub const VMLINUX_BTF: u32 = 1;
/// Programs have BTF of some hundred KiB, kernels of some MiB.
const MAX_BTF: u32 = 64 << 20;

/// What a descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    Map {
        id: u32,
        frozen: bool,
    },
    Btf {
        id: u32,
    },
    Program {
        /// Instructions that the verifier went through, where the kernel says.
        verified_insns: Option<u64>,
    },
    /// A file of another kind.
    Other,
    /// Not open.
    Closed,
}

/// What descriptor `fd` of a process refers to.
pub fn identify(tid: pid_t, fd: i32) -> io::Result<Object> {
    if fd < 0 {
        return Ok(Object::Closed);
    }
    let link = match fs::read_link(format!("/proc/{tid}/fd/{fd}")) {
        Ok(link) => link,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Object::Closed),
        Err(e) => return Err(e),
    };
    let link = link.to_string_lossy();
    let Some(kind @ ("bpf-map" | "btf" | "bpf-prog")) = link.strip_prefix("anon_inode:") else {
        return Ok(Object::Other);
    };
    let text = fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}"))?;
    let id = |key| number(&text, key).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| unnumbered(kind));
    Ok(match kind {
        "bpf-map" => Object::Map { id: id("map_id")?, frozen: number(&text, "frozen") == Some(1) },
        "btf" => Object::Btf { id: id("btf_id")? },
        _ => Object::Program { verified_insns: number(&text, "verified_insns") },
    })
}

fn unnumbered(kind: &str) -> io::Error {
    io::Error::other(format!("this kernel gives no id of a {kind}"))
}

/// The value of a line `key:\tvalue`.
fn number(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

/// What the kernel says about a map, in the words of its creation.
#[derive(Clone, Debug, Default)]
pub struct MapInfo {
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub map_extra: u64,
    pub name: String,
    pub ifindex: u32,
    pub btf_id: u32,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
    pub btf_vmlinux_value_type_id: u32,
}

/// A descriptor of ours for the map that the process's `fd` refers to.
pub fn open_map(tid: pid_t, fd: i32, id: u32) -> io::Result<OwnedFd> {
    open_by_id(MAP_GET_FD_BY_ID, id).or_else(|_| {
        let own = borrow_fd(tid, fd)?;
        match identify(std::process::id() as pid_t, own.as_raw_fd())? {
            Object::Map { id: found, .. } if found == id => Ok(own),
            _ => Err(io::Error::other("the map's descriptor changed meanwhile")),
        }
    })
}

/// The bytes of a BTF object that was loaded; `fd` of the process, if it has one, refers to it.
pub fn btf_bytes(tid: pid_t, fd: Option<i32>, id: u32) -> io::Result<Vec<u8>> {
    let own = open_by_id(BTF_GET_FD_BY_ID, id).or_else(|refused| {
        let own = borrow_fd(tid, fd.ok_or(refused)?)?;
        match identify(std::process::id() as pid_t, own.as_raw_fd())? {
            Object::Btf { id: found } if found == id => Ok(own),
            _ => Err(io::Error::other("the BTF's descriptor changed meanwhile")),
        }
    })?;
    // struct bpf_btf_info: address of a buffer, its size (answered by the BTF's), id.
    let mut info = [0u8; 16];
    get_info(&own, &mut info)?;
    let size = u32::from_le_bytes([info[8], info[9], info[10], info[11]]);
    if size > MAX_BTF {
        return Err(io::Error::other(format!("BTF of {size} bytes is too large")));
    }
    let mut bytes = vec![0u8; size as usize];
    info = [0; 16];
    info[..8].copy_from_slice(&(bytes.as_mut_ptr() as u64).to_le_bytes());
    info[8..12].copy_from_slice(&size.to_le_bytes());
    get_info(&own, &mut info)?;
    Ok(bytes)
}

/// `struct bpf_map_info` of a map.
pub fn map_info(map: &OwnedFd) -> io::Result<MapInfo> {
    let mut info = [0u8; 88];
    get_info(map, &mut info)?;
    let word = |at: usize| u32::from_le_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    Ok(MapInfo {
        map_type: word(0),
        key_size: word(8),
        value_size: word(12),
        max_entries: word(16),
        map_flags: word(20),
        name: attr::name(&info[24..40]),
        ifindex: word(40),
        btf_vmlinux_value_type_id: word(44),
        btf_id: word(64),
        btf_key_type_id: word(68),
        btf_value_type_id: word(72),
        map_extra: u64::from(word(80)) | u64::from(word(84)) << 32,
    })
}

/// Element 0 of an array.
pub fn element0(map: &OwnedFd, value_size: usize) -> io::Result<Vec<u8>> {
    let key = 0u32;
    let mut value = vec![0u8; value_size];
    let mut attr = [0u8; 32];
    attr[..4].copy_from_slice(&map.as_raw_fd().to_le_bytes());
    attr[8..16].copy_from_slice(&(std::ptr::from_ref(&key) as u64).to_le_bytes());
    attr[16..24].copy_from_slice(&(value.as_mut_ptr() as u64).to_le_bytes());
    bpf(MAP_LOOKUP_ELEM, &mut attr)?;
    Ok(value)
}

fn get_info(of: &OwnedFd, info: &mut [u8]) -> io::Result<()> {
    let mut attr = [0u8; 16];
    attr[..4].copy_from_slice(&of.as_raw_fd().to_le_bytes());
    attr[4..8].copy_from_slice(&(info.len() as u32).to_le_bytes());
    attr[8..16].copy_from_slice(&(info.as_mut_ptr() as u64).to_le_bytes());
    bpf(OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

fn open_by_id(command: u32, id: u32) -> io::Result<OwnedFd> {
    let mut attr = [0u8; 12];
    attr[..4].copy_from_slice(&id.to_le_bytes());
    let fd = bpf(command, &mut attr)?;
    // SAFETY: the call returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Buffers that an attribute points to are as long as the command takes them to be; that is its maker's duty, all in this file.
fn bpf(command: u32, attr: &mut [u8]) -> io::Result<RawFd> {
    // SAFETY: `attr` is borrowed for the call and its length is given; see above for what it points to.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), attr.len()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as RawFd) }
}

/// A copy of a descriptor of another process: for those who may not open by id. Threads of one process nearly always share their files;
/// the callers check that the copy is the right one.
fn borrow_fd(tid: pid_t, fd: i32) -> io::Result<OwnedFd> {
    let status = fs::read_to_string(format!("/proc/{tid}/status"))?;
    let process = number(&status, "Tgid").ok_or_else(|| io::Error::other("no Tgid"))?;
    let own = |answer: i64| {
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call that returned `answer` has made this descriptor; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(answer as RawFd) })
    };
    // SAFETY: takes numbers only.
    let pidfd = own(unsafe { libc::syscall(libc::SYS_pidfd_open, process as pid_t, 0) })?;
    // SAFETY: takes numbers only.
    own(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_told_from_none() {
        let own = std::process::id() as pid_t;
        let file = fs::File::open("/proc/self/status").unwrap();
        assert_eq!(identify(own, file.as_raw_fd()).unwrap(), Object::Other);
        assert_eq!(identify(own, -1).unwrap(), Object::Closed);
        assert_eq!(identify(own, i32::MAX).unwrap(), Object::Closed);
    }

    #[test]
    fn lines_are_found_by_their_whole_key() {
        let text = "pos:\t0\nmap_id:\t68930\nfrozen:\t0\n";
        assert_eq!(number(text, "map_id"), Some(68930));
        assert_eq!(number(text, "map"), None);
        assert_eq!(number(text, "frozen"), Some(0));
    }
}
