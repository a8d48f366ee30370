//! Engines of `kernel-diff`, one file each: what this repository has in user space, and a peer that others wrote. The real kernel is in
//! `kernel-diff`.

pub mod rbpf;
pub mod userspace;
pub mod verifier;
