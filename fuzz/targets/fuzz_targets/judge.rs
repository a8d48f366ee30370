//! Any bytes as an ELF object: judging its programs never panics. Most of the time goes into loops, so `elf` is better at the loader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(object) = loader::open(bytes, &loader::Options::default()) else { return };
    let mut linker = object.linker(None);
    for program in (0..object.programs.len()).filter_map(|i| linker.program(i).ok()) {
        verifier::verify(&program, &spec::Profile::default(), &verifier::Options::default());
    }
});
