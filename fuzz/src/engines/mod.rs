//! What this repository has in user space, as engines of `kernel-diff`: one file each. The real kernel is in `kernel-diff`.

pub mod userspace;
pub mod verifier;
