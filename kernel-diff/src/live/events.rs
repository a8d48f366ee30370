//! Records that a program sends to user space through ring buffers: the kernel's pages are mapped and read. Which maps a program has is not
//! here.
#![allow(
    unsafe_code,
    reason = "the ring is memory that the kernel writes; nothing but mapping and reading it is unsafe"
)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::maps::{MapSet, RINGBUF};
use crate::engine::Error;
use crate::input::Event;

/// Flags in a record's first word; the rest of it is the length.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
/// A record's header, and what records are aligned to.
const HEADER: u64 = 8;

/// Everything that waits in the ring buffers of `maps`, ring by ring in order of map index.
pub fn drain(maps: &MapSet) -> Result<Vec<Event>, Error> {
    let mut rings: Vec<_> = maps.iter().filter(|(_, m)| m.def.map_type == RINGBUF).collect();
    rings.sort_by_key(|(i, _)| **i);
    let mut found = Vec::new();
    for (_, map) in rings {
        let mut ring = Ring::of(&map.fd, map.def.max_entries as usize)
            .map_err(|e| Error::Environment(format!("reading ring buffer `{}`: {e}", map.def.name)))?;
        while let Some(data) = ring.next() {
            found.push(Event { map: map.def.name.clone(), data });
        }
    }
    Ok(found)
}

/// A ring's pages: the consumer's position (ours to write), the producer's, and the data twice in a row, so that no record is parted.
struct Ring {
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    size: usize,
}

impl Ring {
    fn of(fd: &OwnedFd, size: usize) -> std::io::Result<Self> {
        // SAFETY: no memory is involved.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let consumer = Mapping::new(fd, page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        let producer = Mapping::new(fd, page + 2 * size, libc::PROT_READ, page)?;
        Ok(Self { consumer, producer, page, size })
    }

    /// The next record that is whole; discarded ones are passed over.
    fn next(&mut self) -> Option<Vec<u8>> {
        // SAFETY: both positions are the first eight bytes of a page of their own, which the kernel reads and writes atomically.
        let (read, written) = unsafe { (self.consumer.at::<AtomicU64>(0), self.producer.at::<AtomicU64>(0)) };
        loop {
            let at = read.load(Ordering::Relaxed);
            if at >= written.load(Ordering::Acquire) {
                return None;
            }
            let start = self.page + (at as usize & (self.size - 1));
            // SAFETY: `start` is within the first copy of the data, eight-byte aligned; the kernel writes this word atomically.
            let word = unsafe { self.producer.at::<AtomicU32>(start) }.load(Ordering::Acquire);
            if word & BUSY != 0 {
                return None;
            }
            let len = word & !(BUSY | DISCARDED);
            let mut data = vec![0; len as usize];
            // SAFETY: a record lies within the two copies of the data (its length is below the ring's size), it is no longer
            // written to since its busy flag is gone, and not handed out again before the consumer's position moves.
            unsafe {
                let from = self.producer.0.as_ptr().add(start + HEADER as usize);
                std::ptr::copy_nonoverlapping(from, data.as_mut_ptr(), data.len());
            }
            read.store(at + (u64::from(len) + HEADER).next_multiple_of(HEADER), Ordering::Release);
            if word & DISCARDED == 0 {
                return Some(data);
            }
        }
    }
}

/// Mapped pages, by address and length.
struct Mapping(NonNull<u8>, usize);

impl Mapping {
    fn new(fd: &OwnedFd, len: usize, access: i32, offset: usize) -> std::io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(std::io::Error::other)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice; no memory of ours is touched.
        let p = unsafe { libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        match NonNull::new(p.cast::<u8>()) {
            Some(at) if p != libc::MAP_FAILED => Ok(Self(at, len)),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// # Safety
    /// `offset` must be within the mapping with room for a `T`, aligned for it, and any bytes there be a valid `T`.
    unsafe fn at<T>(&self, offset: usize) -> &T {
        debug_assert!(offset + size_of::<T>() <= self.1, "within the mapping");
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset).cast().as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: address and length are those of a mapping of our own that nobody refers to any more.
        let _ = unsafe { libc::munmap(self.0.as_ptr().cast(), self.1) };
    }
}
