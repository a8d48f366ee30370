//! Messages through memory that two machines share: two rings of bytes, one a direction, each with one writer and one reader. How the memory
//! is shared is `qemu`'s and `guest`'s matter; what messages say is in `wire`.
#![allow(unsafe_code, reason = "the memory belongs to two machines at once")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of the shared memory; PCI wants a power of two.
pub const SIZE: usize = 64 << 20;
/// Positions are in the first page, each on a cache line of its own.
const POSITIONS: usize = 4096;
/// Bytes of one ring.
const RING: usize = ((SIZE - POSITIONS) / 2) & !4095;
/// The longest message.
pub const MAX_MESSAGE: usize = RING - 8;
/// How long to sleep while there is nothing to read: short at first.
const NAPS: [Duration; 3] = [Duration::ZERO, Duration::from_micros(50), Duration::from_micros(500)];

/// Which machine this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Host,
    Guest,
}

/// One end of the channel.
pub struct Channel {
    memory: NonNull<u8>,
    side: Side,
}

impl Channel {
    /// Maps the file that holds the memory.
    pub fn open(file: &File, side: Side) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice; no memory of ours is touched.
        let p = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        match NonNull::new(p.cast::<u8>()) {
            Some(memory) if p != libc::MAP_FAILED => Ok(Self { memory, side }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The ring that this side writes (or the one that it reads), by number.
    fn ring(&self, writes: bool) -> usize {
        usize::from((self.side == Side::Host) != writes)
    }

    /// Where the writer or the reader of a ring stands, in bytes since the beginning.
    fn position(&self, ring: usize, writer: bool) -> &AtomicU64 {
        let at = (ring * 2 + usize::from(writer)) * 64;
        // SAFETY: within the first page of the mapping, aligned to 64; both machines touch these words atomically only.
        unsafe { self.memory.add(at).cast::<AtomicU64>().as_ref() }
    }

    fn copy_in(&self, ring: usize, at: u64, bytes: &[u8]) {
        let start = at as usize % RING;
        let first = bytes.len().min(RING - start);
        // SAFETY: both parts lie within the ring, which lies within the mapping; the reader does not touch bytes behind the writer's
        // position, which moves only afterwards.
        unsafe {
            let ring = self.memory.as_ptr().add(POSITIONS + ring * RING);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), ring.add(start), first);
            std::ptr::copy_nonoverlapping(bytes.as_ptr().add(first), ring, bytes.len() - first);
        }
    }

    fn copy_out(&self, ring: usize, at: u64, bytes: &mut [u8]) {
        let start = at as usize % RING;
        let first = bytes.len().min(RING - start);
        // SAFETY: as above, with the sides changed: the writer does not touch bytes before the reader's position has moved past them.
        unsafe {
            let ring = self.memory.as_ptr().add(POSITIONS + ring * RING);
            std::ptr::copy_nonoverlapping(ring.add(start), bytes.as_mut_ptr(), first);
            std::ptr::copy_nonoverlapping(ring, bytes.as_mut_ptr().add(first), bytes.len() - first);
        }
    }

    /// Puts a message in; false when there is no room for it now.
    pub fn try_send(&self, message: &[u8]) -> io::Result<bool> {
        if message.len() > MAX_MESSAGE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a message of {} bytes", message.len())));
        }
        let ring = self.ring(true);
        let (written, read) = (self.position(ring, true), self.position(ring, false));
        let at = written.load(Ordering::Relaxed);
        let used = at.wrapping_sub(read.load(Ordering::SeqCst)) as usize;
        if used + 4 + message.len() > RING {
            return Ok(false);
        }
        self.copy_in(ring, at, &(message.len() as u32).to_le_bytes());
        self.copy_in(ring, at + 4, message);
        written.store(at + 4 + message.len() as u64, Ordering::SeqCst);
        Ok(true)
    }

    /// Takes a message out if there is one. Lengths that cannot be are the other side's fault and end the talk.
    pub fn try_receive(&self) -> io::Result<Option<Vec<u8>>> {
        let ring = self.ring(false);
        let (written, read) = (self.position(ring, true), self.position(ring, false));
        let at = read.load(Ordering::Relaxed);
        let there = written.load(Ordering::SeqCst).wrapping_sub(at);
        if there == 0 {
            return Ok(None);
        }
        let mut len = [0; 4];
        self.copy_out(ring, at, &mut len);
        let len = u32::from_le_bytes(len) as usize;
        if len > MAX_MESSAGE || there < 4 + len as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {len} bytes in {there}")));
        }
        let mut message = vec![0; len];
        self.copy_out(ring, at + 4, &mut message);
        read.store(at + 4 + len as u64, Ordering::SeqCst);
        Ok(Some(message))
    }

    /// The next message; `None` when there is none within `patience` or `gone` says that none will come.
    pub fn receive(&self, patience: Duration, gone: &mut dyn FnMut() -> bool) -> io::Result<Option<Vec<u8>>> {
        let start = Instant::now();
        let mut turns = 0usize;
        loop {
            if let Some(message) = self.try_receive()? {
                return Ok(Some(message));
            }
            if start.elapsed() > patience || (turns % 64 == 63 && gone()) {
                // What was said before the other side went away still counts.
                return self.try_receive();
            }
            nap(turns);
            turns += 1;
        }
    }
}

/// Waits a little, longer after many turns.
pub fn nap(turns: usize) {
    match NAPS[(turns / 64).min(NAPS.len() - 1)] {
        Duration::ZERO => std::thread::yield_now(),
        nap => std::thread::sleep(nap),
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this size, and nobody refers to it any more.
        let _ = unsafe { libc::munmap(self.memory.as_ptr().cast(), SIZE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, Channel) {
        let file = tempfile::tempfile().expect("a temporary file");
        file.set_len(SIZE as u64).expect("room");
        let open = |side| Channel::open(&file, side).expect("mapped");
        (open(Side::Host), open(Side::Guest))
    }

    #[test]
    fn messages_arrive_in_order_across_the_end_of_the_ring() {
        let (host, guest) = pair();
        let big = vec![7u8; RING / 3];
        for round in 0..10u8 {
            assert!(host.try_send(&[round]).expect("sent") && host.try_send(&big).expect("sent"));
            assert_eq!(guest.try_receive().expect("read"), Some(vec![round]));
            assert_eq!(guest.try_receive().expect("read").map(|m| m.len()), Some(big.len()));
        }
        assert_eq!(guest.try_receive().expect("read"), None);
        assert!(guest.try_send(b"back").expect("sent"));
        assert_eq!(host.receive(Duration::ZERO, &mut || false).expect("read").as_deref(), Some(&b"back"[..]));
    }

    #[test]
    fn a_full_ring_takes_nothing_and_loses_nothing() {
        let (host, guest) = pair();
        let big = vec![1u8; RING / 2 - 8];
        assert!(host.try_send(&big).expect("sent") && host.try_send(&big).expect("sent"));
        assert!(!host.try_send(&big).expect("no room"));
        assert!(host.try_send(&vec![0; RING]).is_err());
        assert_eq!(guest.try_receive().expect("read").map(|m| m.len()), Some(big.len()));
        assert!(host.try_send(&big).expect("room again"));
    }

    #[test]
    fn nonsense_from_the_other_side_is_an_error() {
        let (host, guest) = pair();
        host.copy_in(0, 0, &u32::MAX.to_le_bytes());
        host.position(0, true).store(4, Ordering::SeqCst);
        assert!(guest.try_receive().is_err());
    }
}
