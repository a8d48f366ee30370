//! Paths, kernels and streams of the command line: what is visited, in which form it is told, and what never reaches a terminal. Verdicts
//! are elsewhere.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Said, bpfverdict, corpus};
use serde_json::Value;

fn rows(said: &Said) -> Vec<Value> {
    said.out.lines().map(|l| serde_json::from_str(l).expect("a JSON object a line")).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn put(dir: &tempfile::TempDir, from: &str, to: &str) -> String {
    let path = dir.path().join(to);
    std::fs::copy(corpus(from), &path).expect("a copy");
    path.to_str().expect("text").to_owned()
}

/// Runs with bytes on standard input.
fn with_stdin(args: &[&str], bytes: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bpfverdict"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn several_kernels_answer_at_once() {
    let said = bpfverdict(&["verify", "--kernel", "6.18,6.18.15,6.18", "--format", "json", "xdp/drop_udp.bpf.o"]);
    let kernels: Vec<_> = rows(&said).iter().map(|r| (r["kernel"].clone(), r["confidence"].clone())).collect();
    assert_eq!(kernels, [("6.18".into(), "exact".into()), ("6.18.15".into(), Value::from("exact"))], "{}", said.all());
    let said = bpfverdict(&["verify", "--kernel", "6.18,6.18.15", "xdp/drop_udp.bpf.o"]);
    assert!(said.out.contains("kernel") && said.out.contains("6.18.15"), "{}", said.out);
    let said = bpfverdict(&["verify", "--kernel", "6.18", "--format", "csv", "xdp/drop_udp.bpf.o"]);
    let head = said.out.lines().next().unwrap_or_default();
    assert!(head.contains(",kernel,confidence"), "{head}");
}

#[test]
fn kernels_that_make_no_sense_are_bad_usage() {
    assert_eq!(bpfverdict(&["verify", "--kernel", "6.18,", "xdp/drop_udp.bpf.o"]).status, 2);
    let said = bpfverdict(&["jit", "--kernel", "6.18,6.18.15", "xdp/drop_udp.bpf.o"]);
    assert_eq!(said.status, 2, "{}", said.all());
    assert!(said.err.contains("takes one kernel"), "{}", said.err);
}

#[test]
fn what_cannot_be_read_is_a_line_too() {
    let dir = folder();
    let bad = dir.path().join("bad.o");
    std::fs::write(&bad, "no object").expect("written");
    let bad = bad.to_str().expect("text");
    let said = bpfverdict(&["verify", "--format", "json", bad, "xdp/drop_udp.bpf.o"]);
    let rows = rows(&said);
    assert_eq!((said.status, rows.len()), (2, 2), "{}", said.all());
    assert_eq!((rows[0]["file"].as_str(), rows[0]["verdict"].as_str()), (Some(bad), Some("error")));
    assert!(rows[0]["message"].as_str().is_some_and(|m| m.contains("ELF") && !m.contains(bad)), "{}", rows[0]);
    assert_eq!(rows[1]["verdict"], "accept");
}

#[test]
fn standard_input_is_a_path() {
    let object = std::fs::read(corpus("xdp/drop_udp.bpf.o")).expect("an object");
    for args in [&["verify", "-"][..], &["disasm", "-"], &["verify", "--kernel", "6.18,6.18.15", "-"]] {
        let (status, out, err) = with_stdin(args, &object);
        assert_eq!(status, 0, "{args:?}: {err}");
        assert!(out.contains("drop_udp"), "{args:?}: {out}");
    }
    let (status, _, err) = with_stdin(&["verify", "--type", "xdp", "-"], b"r0 = 2\nexit\n");
    assert_eq!(status, 0, "{err}");
}

#[test]
fn bare_instructions_need_a_type() {
    let (status, out, err) = with_stdin(&["verify", "-"], b"r0 = 2\nexit\n");
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(err.contains("--type"), "{err}");
    assert_eq!(with_stdin(&["disasm", "-"], b"r0 = 2\nexit\n").0, 0);
}

#[cfg(unix)]
#[test]
fn folders_hold_more_than_files() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let dir = folder();
    put(&dir, "xdp/drop_udp.bpf.o", "one.bpf.o");
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    symlink(dir.path(), inner.join("up")).expect("a link");
    symlink(&inner, dir.path().join("again")).expect("a link");
    symlink(dir.path().join("nothing"), dir.path().join("broken.o")).expect("a link");
    let _socket = UnixListener::bind(dir.path().join("socket.o")).expect("a socket");
    let fifo = Command::new("mkfifo").arg(dir.path().join("pipe.o")).status();
    let said = bpfverdict(&["verify", "--format", "json", dir.path().to_str().expect("text")]);
    assert_eq!((said.status, rows(&said).len()), (0, 1), "{}", said.all());
    assert!(said.err.contains("socket.o: neither a file nor a folder: skipped"), "{}", said.err);
    assert_eq!(said.err.contains("pipe.o"), fifo.is_ok_and(|s| s.success()), "{}", said.err);
    let quiet = bpfverdict(&["verify", "--quiet", dir.path().to_str().expect("text")]);
    assert_eq!(quiet.err, "");
}

#[test]
fn the_same_words_are_said_once() {
    let dir = folder();
    for n in 0..5 {
        put(&dir, "rules/uninit_register.bpf.o", &format!("copy{n}.bpf.o"));
    }
    let said = bpfverdict(&["verify", "--only", "bad", dir.path().to_str().expect("text")]);
    assert_eq!(said.out.matches("the kernel says").count(), 1, "{}", said.out);
    assert!(said.out.contains("copy0.bpf.o: bad, and 4 more\n"), "{}", said.out);
    assert!(said.out.contains("copy4.bpf.o  bad"), "{}", said.out);
}

#[test]
fn tables_fit_eighty_columns() {
    let dir = folder();
    put(&dir, "rules/uninit_register.bpf.o", "an_object_with_a_name_that_is_far_too_long_for_any_table.bpf.o");
    let said = bpfverdict(&["verify", "--kernel", "6.18,6.18.15", dir.path().to_str().expect("text")]);
    let table: Vec<&str> = said.out.lines().take_while(|l| !l.is_empty()).collect();
    assert!(table.len() > 8 && table[0].contains("verdict"), "{}", said.out);
    assert!(table.iter().all(|l| l.chars().count() <= 80), "{}", said.out);
}

#[test]
fn logs_of_several_programs_have_names_between() {
    let said = bpfverdict(&["verify", "--log-level", "1", "rules/uninit_register.bpf.o"]);
    assert!(said.err.contains("log: rules/uninit_register.bpf.o: bad (Linux 6.18)\n"), "{}", said.err);
    assert!(!said.out.contains("uninit_register.bpf.o: bad"), "{}", said.out);
}

#[test]
fn colours_come_when_asked_for() {
    let said = bpfverdict(&["verify", "--color", "always", "--only", "bad", "rules/uninit_register.bpf.o"]);
    assert!(said.out.contains("\u{1b}[31m"), "{}", said.out);
    let said = bpfverdict(&["verify", "--color", "never", "--only", "bad", "rules/uninit_register.bpf.o"]);
    assert!(!said.out.contains('\u{1b}'), "{}", said.out);
}

/// An object whose names, source lines and path would retitle the terminal, clear it and hide text.
#[test]
fn nothing_of_a_hostile_object_acts_on_the_terminal() {
    let mut object = std::fs::read(corpus("rules/uninit_register.bpf.o")).expect("an object");
    let spoil = |object: &mut Vec<u8>, old: &[u8], new: &[u8]| {
        assert_eq!(old.len(), new.len());
        let mut hits = 0;
        for at in 0..=object.len() - old.len() {
            if &object[at..at + old.len()] == old {
                object[at..at + old.len()].copy_from_slice(new);
                hits += 1;
            }
        }
        assert!(hits > 0, "{}", String::from_utf8_lossy(old));
    };
    spoil(&mut object, b"bad_after_call\0", b"\x1b[2J\x1b[8m\x1b]0;hi\0");
    let dir = folder();
    let path = dir.path().join("a\u{1b}[31mb\u{9b}c\u{202e}.bpf.o");
    std::fs::write(&path, &object).expect("written");
    let path = path.to_str().expect("text");
    for args in [
        &["verify"][..],
        &["verify", "--short"],
        &["verify", "--color", "always"],
        &["verify", "--log-level", "2", "--color", "always"],
        &["disasm", "--color", "always"],
        &["explain", "--color", "always"],
        &["verify", "--kernel", "no\u{1b}[2Jkernel"],
    ] {
        let said = bpfverdict(&[args, &[path]].concat());
        let all = said.out + &said.err;
        let mut rest = all.as_str();
        while let Some(at) = rest.find('\u{1b}') {
            rest = &rest[at + 1..];
            let params = rest.strip_prefix('[').and_then(|r| r.split_once('m')).map(|(p, _)| p);
            assert!(params.is_some_and(|p| matches!(p.parse(), Ok(0u8..=4 | 30..=37 | 90..=97))), "{args:?}: {all:?}");
        }
        let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\u{1b}') || c == '\u{202e}';
        assert!(!all.contains(acts), "{args:?}: {all:?}");
    }
    let said = bpfverdict(&["verify", path]);
    assert!(said.out.contains(r"\x1b[2J"), "{}", said.out);
}

#[test]
fn a_kfunc_that_a_kernel_lacks_is_no_bad_input() {
    let said = bpfverdict(&["verify", "--kernel", "6.1", "--format", "json", "--only", "good", "causes/context.bpf.o"]);
    let rows = rows(&said);
    assert_eq!((said.status, rows[0]["verdict"].as_str()), (1, Some("unsupported")), "{}", said.all());
    let message = rows[0]["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("extern (func ksym) 'bpf_rcu_read_lock': not found in kernel or module BTFs"),
        "{message}"
    );
}
