//! What tests that need more than one crate share: the format of filetests. The tests themselves are in `tests/`.

pub mod filetest;
