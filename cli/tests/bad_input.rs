//! Hostile input: one clear error that names the file and what was expected, exit status 2, in bounded time and memory, never a panic.

mod common;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Said, bpfverdict, corpus};

/// What the command line does with an object, in this process: open it and link every program.
fn digest(bytes: &[u8]) {
    let Ok(object) = loader::open(bytes, &loader::Options::default()) else { return };
    let mut linker = object.linker(None);
    for i in 0..object.programs.len() {
        let _ = linker.program(i);
    }
}

const OBJECTS: [&str; 3] = ["xdp/drop_udp.bpf.o", "xdp/tail_chain.bpf.o", "raw_tp/filter_ringbuf.bpf.o"];

/// Writes bytes to a file with this name and asks for a verdict.
fn verify(name: &str, bytes: &[u8]) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    // Bare instructions do not say what they are.
    let typed: &[&str] = if name.ends_with(".bin") { &["--type", "socket_filter"] } else { &[] };
    bpfverdict(&[&["verify", path.to_str().unwrap()], typed].concat())
}

/// Exit status 2 and a single line that names the file.
fn one_clear_error(said: &Said, file: &str) {
    assert_eq!(said.status, 2, "{}", said.all());
    assert_eq!(said.out, "", "{}", said.all());
    assert!(said.err.starts_with("error: ") && said.err.contains(file), "{}", said.err);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
}

#[test]
fn objects_cut_at_every_length() {
    for name in OBJECTS {
        let whole = std::fs::read(corpus(name)).unwrap();
        for len in 0..whole.len() {
            digest(&whole[..len]);
        }
    }
}

#[test]
fn a_cut_object_is_one_error() {
    let whole = std::fs::read(corpus(OBJECTS[0])).unwrap();
    for len in [0, 3, 4, 16, 63, 64, 100, whole.len() / 2, whole.len() - 1] {
        let said = verify("cut.bpf.o", &whole[..len]);
        one_clear_error(&said, "cut.bpf.o");
    }
}

#[test]
fn objects_with_every_byte_spoilt() {
    let whole = std::fs::read(corpus(OBJECTS[0])).unwrap();
    for at in 0..whole.len() {
        for flip in [0xff, 0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            digest(&bytes);
        }
    }
}

#[test]
fn random_bytes() {
    let mut rng = fuzz::rng::Rng::new(1);
    for n in 0..400u64 {
        let mut bytes: Vec<u8> = (0..n * 3).map(|_| rng.number() as u8).collect();
        if n % 2 == 0 && bytes.len() > 20 {
            bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
            bytes[16..20].copy_from_slice(&[1, 0, 247, 0]);
        }
        digest(&bytes);
        let _ = btf::Btf::parse(&bytes);
    }
    let bytes: Vec<u8> = (0..999).map(|_| rng.number() as u8 | 0x80).collect();
    one_clear_error(&verify("noise", &bytes), "noise");
}

/// Random instructions are verdicts, not errors, and no panic either.
#[test]
fn random_instructions_get_verdicts() {
    let mut rng = fuzz::rng::Rng::new(2);
    for _ in 0..20 {
        let bytes: Vec<u8> = (0..8 * 40).map(|_| rng.number() as u8).collect();
        let said = verify("noise.bin", &bytes);
        assert!(said.status <= 1 && !said.out.contains("internal error"), "{}", said.all());
    }
}

#[test]
fn another_machine() {
    let mut bytes = std::fs::read(corpus(OBJECTS[0])).unwrap();
    bytes[18] = 62;
    bytes[19] = 0;
    let said = verify("native.o", &bytes);
    one_clear_error(&said, "native.o");
    assert!(said.err.contains("62") && said.err.contains("247"), "{}", said.err);
}

#[test]
fn no_such_file_and_no_program() {
    one_clear_error(&bpfverdict(&["verify", "/no/such/file.o"]), "/no/such/file.o");
    let dir = tempfile::tempdir().unwrap();
    let said = bpfverdict(&["verify", dir.path().to_str().unwrap()]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("no BPF program found"), "{}", said.err);
    let said = bpfverdict(&["verify", "--only", "nobody", "xdp/drop_udp.bpf.o"]);
    assert_eq!((said.status, said.err.contains("nobody")), (2, true));
}

#[test]
fn kernel_btf_that_is_missing_or_is_none() {
    one_clear_error(&bpfverdict(&["verify", "--btf", "/no/btf", "xdp/drop_udp.bpf.o"]), "/no/btf");
    let said = bpfverdict(&["verify", "--btf", "packets.toml", "xdp/drop_udp.bpf.o"]);
    one_clear_error(&said, "packets.toml");
    assert!(said.err.contains("expected kernel BTF"), "{}", said.err);
}

#[test]
fn records_name_the_line() {
    let said = verify("bad.jsonl", b"{\"load\":{\"insns\":\"zz\"}}\n");
    one_clear_error(&said, "bad.jsonl");
    assert!(said.err.contains("line 1"), "{}", said.err);
    let said = verify("bad.jsonl", b"{\"load\":\n");
    one_clear_error(&said, "bad.jsonl");
}

#[test]
fn text_names_line_and_column() {
    let said = verify("prog.bpfasm", b"r0 = 0\nr77 = 1\nexit\n");
    one_clear_error(&said, "prog.bpfasm");
    assert!(said.err.contains("line 2"), "{}", said.err);
}

#[test]
fn odd_raw_instructions_name_the_offset() {
    let said = verify("odd.bin", &[0xb7; 13]);
    one_clear_error(&said, "odd.bin");
    assert!(said.err.contains("offset 8") && said.err.contains("multiple of 8"), "{}", said.err);
}

/// Runs with a gigabyte of address space at most.
fn limited(path: &Path) -> (Said, Duration) {
    let start = Instant::now();
    let binary = env!("CARGO_BIN_EXE_bpfverdict");
    let script = format!("ulimit -v 1048576; exec {binary} verify --type socket_filter {}", path.display());
    let output = Command::new("sh").args(["-c", &script]).env("NO_COLOR", "1").output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let said =
        Said { status: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
    (said, start.elapsed())
}

#[test]
fn a_gigabyte_of_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (name, head) in [("big.o", &b"\x7fELF"[..]), ("big.bin", b""), ("big.jsonl", b"{"), ("big", b"")] {
        let path = dir.path().join(name);
        let mut f = File::create(&path).unwrap();
        f.write_all(head).unwrap();
        f.set_len(1 << 30).unwrap();
        let (said, time) = limited(&path);
        one_clear_error(&said, name);
        assert!(time < Duration::from_secs(20), "{name}: {time:?}");
    }
}

#[test]
fn ten_million_instructions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.bin");
    let mut f = std::io::BufWriter::new(File::create(&path).unwrap());
    for _ in 0..10_000_000u32 {
        f.write_all(&[0xb7, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    }
    f.flush().unwrap();
    let (said, time) = limited(&path);
    one_clear_error(&said, "long.bin");
    assert!(time < Duration::from_secs(20), "{time:?}");
    // Fewer, but still more than a kernel takes: that is a verdict.
    File::options().write(true).open(&path).unwrap().set_len(8 * 1_000_001).unwrap();
    let (said, time) = limited(&path);
    assert_eq!(said.status, 1, "{}", said.all());
    assert!(time < Duration::from_secs(20), "{time:?}");
}

/// Functions that call each other in a circle: linking ends, and the verdict is the kernel's.
#[test]
fn calls_in_a_circle() {
    let said = bpfverdict(&["verify", "--only", "bad", "rules/recursion.bpf.o"]);
    assert_eq!(said.status, 1, "{}", said.all());
}
