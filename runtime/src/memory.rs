//! Raw memory: owned blocks with a stable address, and the primitive loads and stores on addresses. Not here: who may touch what (`region`).
//!
//! BPF programs hold real addresses, so memory that a program can reach is never borrowed as `&[u8]`/`&mut [u8]` while a program may run: it
//! is copied in and out through raw pointers.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::{self, NonNull};

/// Bytes copied out of program-visible memory; short ones (keys, most values) without allocation.
pub type Bytes = smallvec::SmallVec<[u8; 64]>;

/// Zeroed memory with a stable address. Shared mutability by design, within one thread: reads and writes are plain copies.
#[derive(Debug)]
pub struct Block {
    ptr: NonNull<u8>,
    len: usize,
}

// SAFETY: a block is only bytes; no references into it are ever handed out, and all access is by raw copy, from the thread that owns it.
unsafe impl Send for Block {}

impl Block {
    const ALIGN: usize = 64;

    fn layout(len: usize) -> Option<Layout> {
        Layout::from_size_align(len.max(1), Self::ALIGN).ok()
    }

    /// `None` when the memory cannot be had.
    pub fn zeroed(len: usize) -> Option<Self> {
        let layout = Self::layout(len)?;
        // SAFETY: the layout's size is at least 1.
        let ptr = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let _ = ptr.as_ptr().expose_provenance();
        Some(Self { ptr, len })
    }

    pub fn addr(&self) -> u64 {
        self.ptr.as_ptr() as u64
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn span(&self, off: usize, len: usize) -> *mut u8 {
        assert!(off.checked_add(len).is_some_and(|end| end <= self.len), "block access {off}+{len} of {}", self.len);
        // SAFETY: the assertion above keeps the pointer within the block.
        unsafe { self.ptr.as_ptr().add(off) }
    }

    pub fn read(&self, off: usize, out: &mut [u8]) {
        let from = self.span(off, out.len());
        // SAFETY: `span` checked the range; `out` is a distinct Rust buffer, which no block overlaps.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) }
    }

    pub fn bytes(&self, off: usize, len: usize) -> Bytes {
        let mut out = Bytes::from_elem(0, len);
        self.read(off, &mut out);
        out
    }

    pub fn write(&self, off: usize, data: &[u8]) {
        let to = self.span(off, data.len());
        // SAFETY: as in `read`.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) }
    }

    pub fn fill(&self, off: usize, len: usize, byte: u8) {
        let to = self.span(off, len);
        // SAFETY: `span` checked the range.
        unsafe { ptr::write_bytes(to, byte, len) }
    }

    /// Moves bytes within the block; the ranges may overlap.
    pub fn shift(&self, from: usize, to: usize, len: usize) {
        let (src, dst) = (self.span(from, len), self.span(to, len));
        // SAFETY: `span` checked both ranges; `copy` allows overlap.
        unsafe { ptr::copy(src, dst, len) }
    }

    pub fn get<const N: usize>(&self, off: usize) -> [u8; N] {
        let mut out = [0; N];
        self.read(off, &mut out);
        out
    }

    pub fn u32(&self, off: usize) -> u32 {
        u32::from_le_bytes(self.get(off))
    }

    pub fn u64(&self, off: usize) -> u64 {
        u64::from_le_bytes(self.get(off))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len) {
            // SAFETY: allocated in `zeroed` with this same layout.
            unsafe { dealloc(self.ptr.as_ptr(), layout) }
        }
    }
}

/// Loads 1, 2, 4 or 8 bytes, zero-extended.
///
/// # Safety
/// `addr..addr+size` lies in live memory that programs may read (a region check, or a verifier fact for the very access).
#[inline(always)]
pub unsafe fn load(addr: u64, size: u8) -> u64 {
    let p = ptr::with_exposed_provenance::<u8>(addr as usize);
    // SAFETY: the caller's condition; unaligned reads because packets and BPF programs are.
    unsafe {
        match size {
            1 => u64::from(p.read()),
            2 => u64::from(p.cast::<u16>().read_unaligned()),
            4 => u64::from(p.cast::<u32>().read_unaligned()),
            _ => p.cast::<u64>().read_unaligned(),
        }
    }
}

/// Stores the low 1, 2, 4 or 8 bytes of `value`.
///
/// # Safety
/// `addr..addr+size` lies in live memory that programs may write.
#[inline(always)]
pub unsafe fn store(addr: u64, size: u8, value: u64) {
    let p = ptr::with_exposed_provenance_mut::<u8>(addr as usize);
    // SAFETY: the caller's condition.
    unsafe {
        match size {
            1 => p.write(value as u8),
            2 => p.cast::<u16>().write_unaligned(value as u16),
            4 => p.cast::<u32>().write_unaligned(value as u32),
            _ => p.cast::<u64>().write_unaligned(value),
        }
    }
}

/// Copies out of program-visible memory.
///
/// # Safety
/// `addr..addr+out.len()` is readable live memory.
pub unsafe fn copy_out(addr: u64, out: &mut [u8]) {
    // SAFETY: the caller's condition; `out` is a distinct Rust buffer.
    unsafe { ptr::copy_nonoverlapping(ptr::with_exposed_provenance::<u8>(addr as usize), out.as_mut_ptr(), out.len()) }
}

/// Copies into program-visible memory.
///
/// # Safety
/// `addr..addr+data.len()` is writable live memory.
pub unsafe fn copy_in(addr: u64, data: &[u8]) {
    // SAFETY: the caller's condition.
    unsafe {
        ptr::copy_nonoverlapping(data.as_ptr(), ptr::with_exposed_provenance_mut::<u8>(addr as usize), data.len())
    }
}
