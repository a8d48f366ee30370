//! The kernels that are part of the program: the folders of `profiles/`. What a folder holds and how it is read is `disk`'s.

/// The files of one kernel.
pub(super) struct Embedded {
    pub name: &'static str,
    pub recording: &'static str,
    pub offers: &'static str,
    pub btf: &'static [u8],
}

/// All of them, oldest first; listed when the crate is built.
pub(super) static EMBEDDED: &[Embedded] = &include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

pub(super) fn named(name: &str) -> Option<&'static Embedded> {
    EMBEDDED.iter().find(|e| e.name == name)
}
