//! The memory of a process that is being followed. Everything read there is hostile: lengths are limited by the caller.
#![allow(unsafe_code, reason = "reading another process's memory is a system call on raw addresses")]

use std::io;

use libc::{c_void, iovec, pid_t};

/// Smallest unit of what is mapped or not.
const PAGE: u64 = 4096;

/// Exactly `len` bytes at `addr`.
pub fn read(tid: pid_t, addr: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; len];
    let mut done = 0;
    while done < len {
        match read_some(tid, addr.wrapping_add(done as u64), &mut bytes[done..])? {
            0 => return Err(io::Error::from_raw_os_error(libc::EFAULT)),
            n => done += n,
        }
    }
    Ok(bytes)
}

/// Text up to a NUL or `max` bytes, whichever comes first; of a longer one than `keep` bytes, its end. The text may stand right before
/// memory that does not exist.
pub fn read_text(tid: pid_t, addr: u64, max: usize, keep: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut done = 0;
    while done < max {
        let at = addr.wrapping_add(done as u64);
        let chunk = ((PAGE - at % PAGE) as usize).min(max - done);
        let bytes = read(tid, at, chunk)?;
        let end = bytes.iter().position(|b| *b == 0);
        text.extend_from_slice(&bytes[..end.unwrap_or(chunk)]);
        // Not each time: what is kept has to be moved.
        if text.len() >= keep.saturating_mul(2).max(PAGE as usize) {
            text.drain(..text.len() - keep);
        }
        if end.is_some() {
            break;
        }
        done += chunk;
    }
    text.drain(..text.len().saturating_sub(keep));
    Ok(text)
}

fn read_some(tid: pid_t, addr: u64, into: &mut [u8]) -> io::Result<usize> {
    let local = iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = iovec { iov_base: addr as *mut c_void, iov_len: into.len() };
    // SAFETY: `local` describes `into`, which is borrowed mutably for the call; `remote` is an address of the other process, which the
    // kernel checks.
    let n = unsafe { libc::process_vm_readv(tid, &local, 1, &remote, 1, 0) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_a_nul_or_at_its_limit() {
        let own = std::process::id() as pid_t;
        let text = b"GPL\0tail".to_vec();
        let at = text.as_ptr() as u64;
        assert_eq!(read_text(own, at, 8, 8).unwrap(), b"GPL");
        assert_eq!(read_text(own, at, 2, 8).unwrap(), b"GP");
        assert_eq!(read(own, at, 8).unwrap(), text);
    }

    #[test]
    fn of_long_text_the_end_is_kept() {
        let own = std::process::id() as pid_t;
        let mut text: Vec<u8> = (0..100_000u32).map(|i| b'a' + (i % 23) as u8).collect();
        text.push(0);
        for keep in [0, 1, 5000, 99_999, 100_000, 200_000] {
            let tail = &text[100_000usize.saturating_sub(keep)..100_000];
            assert_eq!(read_text(own, text.as_ptr() as u64, 200_000, keep).unwrap(), tail);
        }
    }

    #[test]
    fn what_is_not_mapped_is_an_error() {
        let own = std::process::id() as pid_t;
        assert_eq!(read(own, 8, 16).unwrap_err().raw_os_error(), Some(libc::EFAULT));
        assert!(read(own, u64::MAX - 3, 16).is_err());
    }
}
