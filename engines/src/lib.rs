//! What takes programs behind one trait, [`kernel_diff::Engine`], one file each: the interpreter and the JIT, our verifier, and rbpf, a peer
//! that others wrote. Kernels are engines too, and live elsewhere: this machine's in `kernel_diff::live`, those of guests in `vm`.

pub mod rbpf;
pub mod userspace;
pub mod verifier;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; a panic becomes an error with its message, so that one defect of an engine does not end a comparison.
pub fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|p| {
        let text = p.downcast_ref::<String>().map(String::as_str).or_else(|| p.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without a message").to_owned()
    })
}
