//! Any bytes as an ELF object: opening, linking and judging never panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(object) = loader::open(bytes, &loader::Options::default()) else { return };
    let mut linker = object.linker(None);
    for program in (0..object.programs.len()).filter_map(|i| linker.program(i).ok()) {
        verifier::verify(&program, &spec::Profile::default(), &verifier::Options::default());
    }
});
