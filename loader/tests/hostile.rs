//! Objects that are not what they say: cut short, overwritten. Opening and linking must end in a result, soon, without a panic.

use loader::Options;
use proptest::prelude::*;

const OBJECT: &[u8] = include_bytes!("objects/features.bpf.o");

/// Opens and links everything; what comes out does not matter.
fn exercise(bytes: &[u8]) {
    let options = Options { kconfig: Some("CONFIG_BPF_JIT=y\n".into()), ..Options::default() };
    let Ok(object) = loader::open(bytes, &options) else { return };
    let target = object.local_btf().cloned();
    let mut linker = object.linker(target.as_deref());
    for i in 0..object.programs.len() {
        let _ = linker.program(i).is_ok();
    }
    let _ = object.programs.first().is_some_and(|_| object.program(0, None).is_ok());
}

#[test]
fn cut_at_every_length() {
    for len in 0..OBJECT.len() {
        assert!(loader::open(&OBJECT[..len], &Options::default()).is_err(), "{len} bytes of the object open");
    }
}

#[test]
fn errors_say_what_was_wrong() {
    let error = |bytes: &[u8]| loader::open(bytes, &Options::default()).unwrap_err().to_string();
    let with = |at: usize, value: u8| {
        let mut bytes = OBJECT.to_vec();
        bytes[at] = value;
        error(&bytes)
    };
    assert_eq!(error(b""), "not an ELF object: the file is shorter than an ELF header");
    assert_eq!(with(0, 0), "not an ELF object: it does not start with \\x7fELF");
    assert_eq!(with(4, 1), "not an ELF object: it is not 64-bit");
    assert_eq!(with(5, 2), "big-endian BPF objects are not supported; compile with -target bpfel");
    assert_eq!(with(18, 62), "ELF machine 62 is not BPF (247)");
    assert_eq!(with(16, 2), "ELF file type 2 is not a relocatable object (1)");
}

/// A call of itself, a chain of calls, and calls in a circle end.
#[test]
fn circular_calls_end() {
    let mut bytes = OBJECT.to_vec();
    // Every call of `.text` into the same function: flip the distance of each pseudo call.
    for at in (64..bytes.len() - 8).step_by(8) {
        if bytes[at] == 0x85 && bytes[at + 1] == 0x10 {
            bytes[at + 4..at + 8].copy_from_slice(&(-1i32).to_le_bytes());
        }
    }
    exercise(&bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn overwritten_bytes(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = OBJECT.to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        exercise(&bytes);
    }

    #[test]
    fn overwritten_words(edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&[0u32, 1, 2, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][..])), 1..6)) {
        let mut bytes = OBJECT.to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len() / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        exercise(&bytes);
    }
}
