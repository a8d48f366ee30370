//! Capturing a loader of our own: this test binary, started again, makes bare `bpf(2)` calls. Where those are not permitted, the records
//! are compared as far as they go without a kernel, and the test says so.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "the loader makes its system calls itself: that no library stands between is the point")]

use std::os::fd::RawFd;
use std::path::Path;

use kernel_diff::capture::{self, Options, Summary};
use loader::records::{Reader, Record};

const MAP_CREATE: u32 = 0;
const MAP_UPDATE_ELEM: u32 = 2;
const PROG_LOAD: u32 = 5;
const BTF_LOAD: u32 = 18;
const MAP_FREEZE: u32 = 22;

const RDONLY_PROG: u32 = 1 << 7;

/// What the loader puts into its constants.
const CONSTANT: u64 = 0x1122_3344_5566_7788;

fn bpf(command: u32, words: &[u32]) -> RawFd {
    // SAFETY: the kernel reads the words, and only buffers that the callers keep alive; where it writes, they are the loader's logs.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, words.as_ptr(), size_of_val(words)) };
    answer as RawFd
}

fn low(pointer: *const u8) -> u32 {
    pointer as usize as u32
}

fn high(pointer: *const u8) -> u32 {
    (pointer as usize as u64 >> 32) as u32
}

fn word4(text: &[u8; 16]) -> [u32; 4] {
    std::array::from_fn(|i| u32::from_le_bytes([text[i * 4], text[i * 4 + 1], text[i * 4 + 2], text[i * 4 + 3]]))
}

struct NewMap {
    map_type: u32,
    value_size: u32,
    flags: u32,
    inner: RawFd,
    name: &'static [u8; 16],
    btf: Option<RawFd>,
}

fn create(map: &NewMap) -> RawFd {
    let [a, b, c, d] = word4(map.name);
    let (btf, key, value) = map.btf.map_or((0, 0, 0), |fd| (fd as u32, 1, 1));
    bpf(
        MAP_CREATE,
        &[map.map_type, 4, map.value_size, 1, map.flags, map.inner as u32, 0, a, b, c, d, 0, btf, key, value, 0],
    )
}

fn load(name: &[u8; 16], insns: &[u64], fd_array: &[RawFd], log: &mut [u8]) -> RawFd {
    let license = c"GPL".as_ptr().cast::<u8>();
    let code = insns.as_ptr().cast();
    let fds: *const u8 = if fd_array.is_empty() { std::ptr::null() } else { fd_array.as_ptr().cast() };
    let level = if log.is_empty() { 0 } else { 4 };
    let log_at: *const u8 = if log.is_empty() { std::ptr::null() } else { log.as_ptr() };
    let [a, b, c, d] = word4(name);
    let mut words = vec![1, insns.len() as u32, low(code), high(code), low(license), high(license), level];
    words.extend([log.len() as u32, low(log_at), high(log_at), 0, 0, a, b, c, d]);
    words.resize(30, 0);
    words.extend([low(fds), high(fds)]);
    bpf(PROG_LOAD, &words)
}

/// `lddw dst` of a map reference: the pseudo source, and the immediates.
fn reference(dst: u64, src: u64, imm: i32, second: i32) -> [u64; 2] {
    [0x18 | dst << 8 | src << 12 | u64::from(imm as u32) << 32, u64::from(second as u32) << 32]
}

const R0_ZERO: u64 = 0xb7;
const EXIT: u64 = 0x95;

/// BTF with one type, `int`.
fn btf() -> Vec<u8> {
    let types = [1u32, 1 << 24, 4, 1 << 24 | 32];
    let strings = b"\0int\0";
    let mut bytes = Vec::new();
    for word in [0x0001_eb9f, 24, 0, 16, 16, strings.len() as u32].into_iter().chain(types) {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(strings);
    bytes
}

/// Not a test: the loader that the tests follow.
#[test]
#[ignore = "the program that the tests follow, not a test"]
fn the_loader() {
    let btf = btf();
    let at = btf.as_ptr();
    let btf = bpf(BTF_LOAD, &[low(at), high(at), 0, 0, btf.len() as u32, 0, 0]);
    let plain =
        NewMap { map_type: 2, value_size: 4, flags: 0, inner: 0, name: b"plain\0\0\0\0\0\0\0\0\0\0\0", btf: Some(btf) };
    let first = create(&plain);
    // The number is free again, and the next map gets it.
    // SAFETY: closes a descriptor that nothing owns.
    unsafe { libc::close(first) };
    let constants = NewMap { value_size: 8, flags: RDONLY_PROG, name: b"constants\0\0\0\0\0\0\0", btf: None, ..plain };
    let constants = create(&constants);
    let (key, value) = (0u32, CONSTANT);
    let (k, v) = ((&raw const key).cast(), (&raw const value).cast());
    bpf(MAP_UPDATE_ELEM, &[constants as u32, 0, low(k), high(k), low(v), high(v), 0, 0]);
    bpf(MAP_FREEZE, &[constants as u32]);
    let again = create(&plain);
    let outer = create(&NewMap {
        map_type: 12,
        value_size: 4,
        flags: 0,
        inner: again,
        name: b"outer\0\0\0\0\0\0\0\0\0\0\0",
        btf: None,
    });

    let [a, b] = reference(1, 2, constants, 0);
    let [c, d] = reference(2, 1, outer, 0);
    load(b"by_fd\0\0\0\0\0\0\0\0\0\0\0", &[a, b, c, d, R0_ZERO, EXIT], &[], &mut []);
    let [a, b] = reference(1, 6, 1, 4);
    let [c, d] = reference(2, 5, 0, 0);
    load(b"by_index\0\0\0\0\0\0\0\0", &[a, b, c, d, R0_ZERO, EXIT], &[again, constants], &mut []);
    load(b"refused\0\0\0\0\0\0\0\0\0", &[EXIT], &[], &mut vec![0; 4096]);
    let [a, b] = reference(1, 1, 999, 0);
    load(b"bad_fd\0\0\0\0\0\0\0\0\0\0", &[a, b, R0_ZERO, EXIT], &[], &mut []);
    load(&[0; 16], &[R0_ZERO, EXIT], &[], &mut []);
    // A child's descriptors are its own, and their numbers mean what they meant to the parent.
    // SAFETY: the child makes system calls only, and ends without returning.
    unsafe {
        match libc::fork() {
            0 => {
                let [a, b] = reference(1, 1, constants, 0);
                load(b"in_child\0\0\0\0\0\0\0\0", &[a, b, R0_ZERO, EXIT], &[], &mut []);
                libc::_exit(0);
            }
            child => libc::waitpid(child, std::ptr::null_mut(), 0),
        };
    }
}

fn capture(dir: &Path, named: bool) -> (Summary, Vec<(serde_json::Value, Record)>) {
    let output = dir.join("out.jsonl");
    let mut command = vec![std::env::current_exe().unwrap().into_os_string()];
    command.extend(["--exact", "the_loader", "--ignored"].map(Into::into));
    let summary = capture::run(&Options { command, output: output.clone(), named }).unwrap();
    let mut reader = Reader::new(dir);
    let text = std::fs::read_to_string(output).unwrap();
    let records = text.lines().map(|l| (serde_json::from_str(l).unwrap(), reader.parse_line(l).unwrap())).collect();
    (summary, records)
}

/// Whether the kernel takes programs from us; says so when it does not.
fn permitted(records: &[(serde_json::Value, Record)]) -> bool {
    let permitted = records[0].0["answer"]["errno"] == 0;
    if !permitted {
        eprintln!("\n*** bpf(2) IS NOT PERMITTED HERE: only the shape of the records is compared ***\n");
    }
    permitted
}

#[test]
fn every_load_becomes_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let (summary, records) = capture(dir.path(), false);
    assert!(summary.ended.success(), "{}", summary.ended);
    let names: Vec<_> = records.iter().map(|(_, r)| r.program.name.as_str()).collect();
    assert_eq!(names, ["by_fd", "by_index", "refused", "bad_fd", "", "in_child"]);
    assert_eq!(records.len(), summary.accepted + summary.refused);
    for (_, record) in &records {
        assert_eq!(record.incomplete, None);
        assert_eq!((record.program.prog_type, record.program.license.as_str()), (1, "GPL"));
    }
    assert_eq!(records[3].1.program.raw_fd_insns, [0]);
    assert_eq!(records[3].1.program.insns[0].imm, 999);
    if !permitted(&records) {
        return;
    }
    let errnos: Vec<_> = records.iter().map(|(v, _)| v["answer"]["errno"].as_i64().unwrap()).collect();
    assert_eq!(errnos, [0, 0, i64::from(-libc::EACCES), i64::from(-libc::EBADF), 0, 0]);
    assert_eq!(records[2].0["answer"]["message"][0], "R0 !read_ok");
    assert_eq!(records[0].0["answer"]["insns_processed"], 4);
    for index in [0, 1, 5] {
        references(index, &records[index].1);
    }
}

/// Whatever the numbers of descriptors, the maps are the right ones.
fn references(index: usize, record: &Record) {
    let program = &record.program;
    assert!(program.raw_fd_insns.is_empty());
    let constants = &program.maps[program.insns[0].imm as usize];
    assert_eq!((constants.name.as_str(), constants.frozen, constants.map_flags), ("constants", true, RDONLY_PROG));
    assert_eq!(constants.value0.as_deref(), Some(&CONSTANT.to_le_bytes()[..]));
    if index == 5 {
        return;
    }
    let other = &program.maps[program.insns[2].imm as usize];
    let plain = if index == 0 {
        assert_eq!((other.name.as_str(), other.map_type), ("outer", 12));
        other.inner.as_ref().unwrap()
    } else {
        assert_eq!((program.insns[0].src, program.insns[2].src, program.insns[1].imm), (2, 1, 4));
        other
    };
    assert_eq!((plain.name.as_str(), plain.value_size, plain.btf_value_type_id), ("plain", 4, 1));
    assert_eq!(plain.btf.as_ref().unwrap().raw(), btf());
}

#[test]
fn programs_without_a_name_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (summary, records) = capture(dir.path(), true);
    assert_eq!((records.len(), summary.unnamed), (5, 1));
    assert!(records.iter().all(|(_, r)| !r.program.name.is_empty()));
}

#[test]
fn a_command_that_does_not_exist_is_the_users_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let command = vec!["/nonexistent/loader".into()];
    let failed = capture::run(&Options { command, output: dir.path().join("out.jsonl"), named: false });
    assert!(matches!(failed, Err(capture::Error::Command { .. })), "{failed:?}");
}

#[test]
fn the_commands_own_end_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        let command = ["sh", "-c", script].map(Into::into).to_vec();
        capture::run(&Options { command, output: dir.path().join("out.jsonl"), named: false }).unwrap().ended
    };
    assert_eq!(run("exit 3").code(), Some(3));
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&run("kill -TERM $$")), Some(libc::SIGTERM));
    // Signals reach their handlers, children of children are followed to their ends.
    assert_eq!(run("trap 'exit 5' USR1; (kill -USR1 $$; sleep 0.05) & wait; exit 6").code(), Some(5));
}
