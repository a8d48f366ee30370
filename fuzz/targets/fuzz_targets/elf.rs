//! Any bytes as an ELF object: opening and linking, with and without the kernel's types, never panic. Judging is `judge`.
#![no_main]

use std::sync::LazyLock;

static PROFILE: LazyLock<spec::Profile> = LazyLock::new(spec::Profile::default);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(object) = loader::open(bytes, &loader::Options::default()) else { return };
    for kernel in [None, Some(&**PROFILE.btf())] {
        let mut linker = object.linker(kernel);
        for index in 0..object.programs.len() {
            let _ = linker.program(index);
        }
    }
});
