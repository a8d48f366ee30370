//! Other kernels on the command line: `--kernel`, `--min-kernel`, configuration switches, `kernels`.

mod common;

use common::bpfverdict;
use serde_json::Value;

fn rows(out: &str) -> Vec<Value> {
    out.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
}

#[test]
fn what_a_kernel_lacks_is_rejected() {
    let said = bpfverdict(&["verify", "--kernel", "6.1", "--format", "json", "netfilter/drop_long.bpf.o"]);
    let row = &rows(&said.out)[0];
    assert_eq!((row["verdict"].as_str(), row["errno"].as_i64()), (Some("reject"), Some(-22)), "{}", said.out);
    assert_eq!(row["message"].as_str(), Some("Linux 6.1 has no program type NETFILTER"));
    assert_eq!(said.status, 1);
}

#[test]
fn other_kernels_have_verdicts_of_their_own() {
    let said = |kernel| bpfverdict(&["verify", "--kernel", kernel, "xdp/drop_udp.bpf.o", "netfilter/drop_long.bpf.o"]);
    for kernel in ["5.10", "6.1"] {
        let said = said(kernel);
        assert!(said.out.contains("1 accepted, 1 rejected"), "{}", said.all());
        assert!(said.out.contains(&format!("Linux {kernel} has no program type NETFILTER")), "{}", said.all());
        assert_eq!(said.status, 1);
    }
    for kernel in ["6.12", "7.2"] {
        let said = said(kernel);
        assert!(said.out.contains("2 accepted"), "{}", said.all());
        assert_eq!(said.status, 0);
    }
}

#[test]
fn every_kernel_is_in_the_program() {
    let dir = tempfile::tempdir().expect("a folder");
    let (copy, object) = (dir.path().join("bpfverdict"), dir.path().join("drop_udp.bpf.o"));
    std::fs::copy(env!("CARGO_BIN_EXE_bpfverdict"), &copy).expect("a copy");
    std::fs::copy(common::corpus("xdp/drop_udp.bpf.o"), &object).expect("a copy");
    for kernel in ["5.10", "6.1", "6.12", "6.18", "6.18.15", "7.2"] {
        let mut command = std::process::Command::new(&copy);
        command.args(["verify", "--kernel", kernel]).arg(&object).current_dir(dir.path()).env_clear();
        let output = command.output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 accepted"), "{kernel}: {text}");
    }
}

#[test]
fn what_is_not_modelled_is_not_accepted() {
    // A profile of somebody's own, of a series that nobody held against its kernel.
    let dir = tempfile::tempdir().expect("a folder");
    let own = dir.path().join("6.6");
    std::fs::create_dir(&own).expect("a folder");
    let known = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/profiles/6.1");
    for file in ["kernel.txt", "offers.txt", "vmlinux.btf.gz"] {
        std::fs::copy(known.join(file), own.join(file)).expect("a copy");
    }
    let recording = std::fs::read_to_string(own.join("kernel.txt")).expect("its text");
    let recording = recording.replace("kernel 6.1.192", "kernel 6.6.1");
    std::fs::write(own.join("kernel.txt"), recording).expect("its new text");
    let folder = dir.path().to_str().expect("a name");
    let said = bpfverdict(&["verify", "--profiles", folder, "--kernel", "6.6", "xdp/drop_udp.bpf.o"]);
    let reason = "the walk of Linux 6.6 is not modelled; by the rules of 6.18: accept";
    assert!(said.out.contains(reason), "{}", said.all());
    assert_eq!(said.status, 1);
}

#[test]
fn an_unknown_kernel_names_the_known_ones() {
    let said = bpfverdict(&["verify", "--kernel", "4.19", "xdp/drop_udp.bpf.o"]);
    assert!(said.err.contains("there is 6.18, 6.18.15, 6.18.44, 5.10, 6.1, 6.12, 7.2"), "{}", said.err);
    assert_eq!(said.status, 3);
}

#[test]
fn the_oldest_kernel_is_that_of_the_newest_feature() {
    let said = bpfverdict(&["verify", "--min-kernel", "--format", "json", "xdp/queue_sample.bpf.o"]);
    let row = &rows(&said.out)[0];
    assert_eq!(row["min_kernel"].as_str(), Some("<= 5.10"), "{}", said.out);
    let needs = row["needs"].as_array().expect("a list");
    let queue = needs.iter().find(|n| n["name"] == "BPF_MAP_TYPE_QUEUE").expect("its map");
    assert_eq!((queue["feature"].as_str(), queue["since"].as_str()), (Some("map type"), Some("4.20")));
    assert!(needs.iter().any(|n| n["name"] == "bpf_map_push_elem" && n["insn"].is_u64()), "{needs:?}");
    assert_eq!(said.status, 0);
    let newer = bpfverdict(&["verify", "--min-kernel", "--format", "json", "netfilter/drop_long.bpf.o"]);
    assert_eq!(rows(&newer.out)[0]["min_kernel"].as_str(), Some("6.4"), "{}", newer.out);
    let without = bpfverdict(&["verify", "--format", "json", "xdp/queue_sample.bpf.o"]);
    assert!(rows(&without.out)[0].get("needs").is_none(), "only when asked for");
}

#[test]
fn lockdown_takes_helpers_away() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("write_user.txt");
    // probe_write_user in a kprobe program; its arguments do not matter to who may call it.
    std::fs::write(&path, "call bpf_probe_write_user#36\nr0 = 0\nexit\n").expect("written");
    let path = path.to_str().expect("plain");
    let message = |options: &[&str]| {
        let said = bpfverdict(&[&["verify", "--type", "kprobe", "--format", "json", path], options].concat());
        rows(&said.out)[0]["message"].as_str().unwrap_or("").to_owned()
    };
    assert!(message(&["--lockdown", "integrity"]).contains("cannot use helper bpf_probe_write_user#36"));
    assert!(message(&[]).contains("R2 !read_ok"), "{}", message(&[]));
    assert_eq!(bpfverdict(&["verify", "--lockdown", "half", path]).status, 2);
    let lsm = bpfverdict(&["verify", "--type", "lirc_mode2", "--config", "BPF_LIRC_MODE2=n", "--format", "json", path]);
    assert_eq!(rows(&lsm.out)[0]["errno"].as_i64(), Some(-22), "{}", lsm.out);
    assert_eq!(bpfverdict(&["verify", "--config", "SOUND=y", path]).status, 2);
}

#[test]
fn kernels_are_listed_and_shown() {
    let said = bpfverdict(&["kernels", "list"]);
    for name in ["6.18 ", "6.18.15 ", "5.10 ", "6.1 ", "6.12 ", "7.2 ", "6.16 ", "7.1 ", "host "] {
        assert!(said.out.lines().any(|l| l.starts_with(name)), "{name}: {}", said.out);
    }
    let shown = bpfverdict(&["kernels", "show", "6.1"]);
    assert!(shown.out.contains("program types: 30, not LIRC_MODE2 NETFILTER"), "{}", shown.out);
    assert!(bpfverdict(&["kernels", "show", "6.17"]).out.contains("recorded of Linux 6.17"));
    assert_eq!(bpfverdict(&["kernels", "show", "1.0"]).status, 3);
}
