//! Executable memory: written once, then made executable and never writable again. What is in it is not known here.

use std::io;
use std::ptr::NonNull;

/// Pages of machine code, read and execute only.
#[derive(Debug)]
pub(crate) struct Code {
    ptr: NonNull<u8>,
    mapped: usize,
    len: usize,
}

// SAFETY: the pages never change after `new`.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

impl Code {
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Self> {
        // SAFETY: an anonymous private mapping at an address of the system's choice touches no memory that exists.
        let ptr = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes.len().max(1),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if ptr == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let ptr = NonNull::new(ptr.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        let code = Self { ptr, mapped: bytes.len().max(1), len: bytes.len() };
        // SAFETY: the mapping is writable and at least as long as `bytes`; nothing else refers to it yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), ptr.as_ptr(), bytes.len()) };
        // SAFETY: exactly the mapping made above.
        if unsafe { libc::mprotect(ptr.as_ptr().cast(), code.mapped, libc::PROT_READ | libc::PROT_EXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(code)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes were initialised in `new` and the pages are read-only since.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// Address of an offset into the code; the offset must lie inside.
    pub(crate) fn at(&self, offset: u32) -> Option<*const u8> {
        self.bytes().get(offset as usize).map(std::ptr::from_ref)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; code that runs holds a reference, so none does now.
        unsafe { libc::munmap(self.ptr.as_ptr().cast(), self.mapped) };
    }
}
