//! libbpf and the kernel as the measure of our loader: whole objects, CO-RE on types of other kernels, section names, which BTF the
//! kernel takes.
//!
//! Runs on the corpus, or on the objects under the folders in `BPFVERDICT_OBJECTS` (colon-separated). libbpf creates the maps in the
//! running kernel, so it needs root.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use kernel_diff::libbpf::{self, Peer, compare, differences, host_options};
use loader::Options;

fn objects(dir: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            objects(&path, out);
        } else if path.extension().is_some_and(|e| e == "o") {
            out.push(path);
        }
    }
}

fn all_objects() -> Vec<PathBuf> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus");
    let folders = std::env::var("BPFVERDICT_OBJECTS").unwrap_or_else(|_| corpus.to_owned());
    let mut paths = Vec::new();
    folders.split(':').filter(|f| !f.is_empty()).for_each(|f| objects(Path::new(f), &mut paths));
    assert!(!paths.is_empty(), "no objects under {folders}");
    paths
}

/// Objects `test_core_reloc_X.bpf.o` against the types of every `btf__core_reloc_X*.bpf.o`: the CO-RE tests of the kernel's
/// selftests, where most relocations fail or are ambiguous on purpose.
#[test]
fn same_core_relocations() {
    let paths = all_objects();
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let find = |prefix: String| paths.iter().filter(move |p| name(p).starts_with(&prefix));
    let dir = tempfile::tempdir().expect("temporary folder");
    let (mut equal, mut refused, mut found) = (0, 0, Vec::new());
    for path in find("test_core_reloc_".into()) {
        let what = name(path).trim_start_matches("test_core_reloc_").trim_end_matches(".bpf.o").to_owned();
        let bytes = std::fs::read(path).expect("readable object");
        let options = Options { object_name: "core".into(), ..host_options() };
        let ours = loader::open(&bytes, &options).expect("object opens");
        for target in find(format!("btf__core_reloc_{what}")) {
            let target_object = loader::open(&std::fs::read(target).expect("readable object"), &Options::default());
            let Some(target_btf) = target_object.ok().and_then(|o| o.local_btf().cloned()) else { continue };
            let file = dir.path().join("target.btf");
            std::fs::write(&file, target_btf.raw()).expect("writable folder");
            let theirs = Peer::open(&bytes, "core", Some(&file)).expect("object opens");
            let prepared = theirs.prepare(None);
            let fds: HashMap<i32, String> = theirs.maps().into_iter().map(|m| (m.fd, m.name)).collect();
            let mut linker = ours.linker(Some(&target_btf));
            for program in theirs.programs() {
                let at = ours.programs.iter().position(|p| p.name == program.name).expect("same programs");
                let here = match (linker.program(at), &prepared) {
                    (Err(_), Err(_)) => {
                        refused += 1;
                        continue;
                    }
                    (Ok(_), Err(e)) => vec![format!("libbpf refuses, we do not: {e}")],
                    (Err(e), Ok(())) => vec![e.to_string()],
                    (Ok(p), Ok(())) => differences(&p, &program, &fds),
                };
                equal += usize::from(here.is_empty());
                found.extend(here.into_iter().map(|d| format!("{} on {}: {d}", name(path), name(target))));
            }
        }
    }
    println!("{equal} equal, {refused} refused by both");
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// Every name that libbpf knows, alone, with something behind it, and slightly wrong.
#[test]
fn same_section_names() {
    const NAMES: &str = "socket sk_reuseport/migrate sk_reuseport kprobe uprobe uprobe.s kretprobe uretprobe uretprobe.s \
        kprobe.multi kretprobe.multi kprobe.session uprobe.multi uretprobe.multi uprobe.session uprobe.multi.s \
        uretprobe.multi.s uprobe.session.s ksyscall kretsyscall tc/ingress tc/egress tcx/ingress \
        tcx/egress tc classifier action netkit/primary netkit/peer tracepoint tp raw_tracepoint raw_tp raw_tracepoint.w \
        raw_tp.w tp_btf fentry fmod_ret fexit fentry.s fmod_ret.s fexit.s fsession fsession.s freplace lsm lsm.s \
        lsm_cgroup iter iter.s syscall xdp.frags/devmap xdp/devmap xdp.frags/cpumap xdp/cpumap xdp.frags xdp perf_event \
        lwt_in lwt_out lwt_xmit lwt_seg6local sockops sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_skb \
        sk_msg lirc_mode2 flow_dissector cgroup_skb/ingress cgroup_skb/egress cgroup/skb cgroup/sock_create \
        cgroup/sock_release cgroup/sock cgroup/post_bind4 cgroup/post_bind6 cgroup/bind4 cgroup/bind6 cgroup/connect4 \
        cgroup/connect6 cgroup/connect_unix cgroup/sendmsg4 cgroup/sendmsg6 cgroup/sendmsg_unix cgroup/recvmsg4 \
        cgroup/recvmsg6 cgroup/recvmsg_unix cgroup/getpeername4 cgroup/getpeername6 cgroup/getpeername_unix \
        cgroup/getsockname4 cgroup/getsockname6 cgroup/getsockname_unix cgroup/sysctl cgroup/getsockopt \
        cgroup/setsockopt cgroup/dev struct_ops struct_ops.s sk_lookup netfilter";
    for name in NAMES.split_whitespace() {
        for name in
            [name.to_owned(), format!("{name}/x"), format!("{name}/x/y"), format!("{name}x"), format!("x{name}")]
        {
            let ours = loader::section_kind(&name).map(|s| (s.prog_type, s.expected_attach_type));
            assert_eq!(ours, libbpf::section_kind(&name), "{name}");
        }
    }
}

/// A number from the last one, well enough mixed to choose mutations.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The objects' BTF with words changed: the kernel and `check_as_kernel` must agree on each, errno included.
#[test]
fn same_btf_verdicts() {
    // Not checked by us.
    let special = |b: &btf::Btf| {
        let names = ["bpf_spin_lock", "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount"];
        names.iter().any(|n| b.find(btf::Kind::Struct, n).is_some())
            || (1..b.len()).any(|id| b.name(id).contains("kptr"))
    };
    let blobs: Vec<Vec<u8>> = all_objects()
        .iter()
        .filter_map(|p| loader::open(&std::fs::read(p).ok()?, &host_options()).ok())
        .filter_map(|o| o.btf.as_ref().filter(|b| !special(b)).map(|b| b.raw().to_vec()))
        .filter(|raw| raw.len() < 30_000)
        .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut taken, mut refused, mut differences) = (0, 0, Vec::new());
    for round in 0..blobs.len() * 20 {
        let mut raw = blobs[round % blobs.len()].clone();
        let types = u32::from_le_bytes([raw[12], raw[13], raw[14], raw[15]]) as usize / 4;
        // The first round is as compiled.
        for _ in 0..if round < blobs.len() { 0 } else { 1 + next(&mut state) % 2 } {
            let at = 24 + (next(&mut state) as usize % types) * 4;
            let old = u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
            let new = match next(&mut state) % 5 {
                0 => old ^ 1 << (next(&mut state) % 32),
                1 => (next(&mut state) % 64) as u32,
                2 => old.wrapping_add(1),
                3 => old.wrapping_sub(1),
                _ => 0,
            };
            raw[at..at + 4].copy_from_slice(&new.to_le_bytes());
        }
        let (errno, _) = libbpf::load_btf(&raw, 0);
        let ours = btf::Btf::parse(&raw).map(|b| b.check_as_kernel().map_err(|e| (e.errno, e.message)));
        let (own, why) = match ours {
            Ok(Ok(())) => (0, String::new()),
            Ok(Err(refusal)) => refusal,
            // Too broken to be looked at; the kernel has the same errno for most of it.
            Err(e) => (errno.min(-1), e.to_string()),
        };
        if own != errno && differences.len() < 40 {
            let kernel = libbpf::load_btf(&raw, 1).1;
            differences.push(format!("round {round}: ours {own} {why}, kernel {errno} {kernel}"));
        }
        *if errno < 0 { &mut refused } else { &mut taken } += 1;
    }
    println!("{taken} taken, {refused} refused");
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn same_as_libbpf() {
    let kernel =
        btf::Btf::parse(&std::fs::read("/sys/kernel/btf/vmlinux").expect("kernel BTF")).expect("valid kernel BTF");
    let host = host_options();
    let (mut programs, mut equal, mut found) = (0, 0, Vec::new());
    for path in all_objects() {
        let options = Options { object_name: Options::name_from_path(&path), ..host.clone() };
        let report = compare(&std::fs::read(&path).expect("readable object"), &kernel, &options);
        programs += report.programs;
        equal += report.equal;
        let refused = report.refusal.ours.is_some() != report.refusal.libbpf.is_some();
        found.extend(refused.then(|| format!("{}: {:?}", path.display(), report.refusal)));
        found.extend(report.differences.into_iter().map(|d| format!("{}: {d}", path.display())));
    }
    println!("{programs} programs, {equal} equal");
    assert!(found.is_empty() && equal > 0, "{} differences:\n{}", found.len(), found.join("\n"));
}
