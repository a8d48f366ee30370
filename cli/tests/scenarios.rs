//! `run` with scenarios, `run --init`, `test` and `gate` as users meet them.

mod common;

use common::{bpfverdict, corpus};

/// A folder with copies of objects of the corpus.
fn folder(objects: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for object in objects {
        let name = object.rsplit('/').next().expect("a name");
        std::fs::copy(corpus(object), dir.path().join(name)).expect("a copy");
    }
    dir
}

fn write(dir: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn a_template_is_an_input() {
    for (object, only, part) in [
        ("xdp/count_by_source.bpf.o", "count_by_source", "packet = \"eth/ip("),
        ("lsm/file_open_guard.bpf.o", "file_open_guard", "{ struct = \"file\", fields = {} }"),
        ("tracepoint/syscall_latency.bpf.o", "enter", "is args[0]"),
        ("kprobe/tcp_connect.bpf.o", "tcp_connect", "# sk: struct sock *"),
        ("tc/vlan_tag.bpf.o", "vlan_tag", "[ctx]"),
    ] {
        let path = corpus(object).display().to_string();
        if !corpus(object).is_file() {
            continue;
        }
        let said = bpfverdict(&["run", "--init", &path, "--only", only]);
        assert_eq!(said.status, 0, "{object}: {}", said.err);
        assert!(said.out.contains(part), "{object}: {}", said.out);
        let dir = folder(&[]);
        let input = write(&dir, "input.toml", &said.out);
        let ran = bpfverdict(&["run", &path, "--only", only, "--input", &input]);
        assert_eq!(ran.status, 0, "{object}: {}{}", ran.out, ran.err);
        assert!(ran.out.starts_with("returns "), "{object}: {}", ran.out);
        // What is commented out is true as well.
        let all: String = said.out.lines().map(|l| format!("{}\n", uncommented(l))).collect();
        let input = write(&dir, "all.toml", &all);
        let ran = bpfverdict(&["run", &path, "--only", only, "--input", &input]);
        assert!(ran.status <= 1, "{object}: {}{all}", ran.err);
    }
}

/// A line of a template with its proposal taken up; prose stays a comment.
fn uncommented(line: &str) -> &str {
    let proposal = line.strip_prefix("# ").unwrap_or(line);
    let is_proposal = proposal.contains(" = ") || proposal.starts_with("[[");
    // Of events there is nothing to propose.
    if is_proposal && !proposal.contains("data = \"\"") && proposal != "[[events]]" { proposal } else { line }
}

#[test]
fn what_an_input_expects_is_checked() {
    let object = corpus("xdp/drop_udp.bpf.o").display().to_string();
    let dir = folder(&[]);
    let right = write(&dir, "right.toml", "packet = 'eth/ip/udp(dport=53)/zero:20'\nreturns = 1\n");
    let said = bpfverdict(&["run", &object, "--input", &right]);
    assert_eq!(said.status, 0, "{}", said.all());
    let wrong = write(&dir, "wrong.toml", "packet = 'eth/ip/tcp/zero:20'\nreturns = 7\n");
    let said = bpfverdict(&["run", &object, "--input", &wrong]);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.out.contains("not as expected: returns 2, expected 7"), "{}", said.out);
    for (text, part) in [
        ("pakcet = ''\n", "input.toml: line 1: unknown field `pakcet`"),
        ("program = 'nobody'\n", "no program `nobody`"),
        ("[[maps]]\nmap = 'nothing'\nkey = '00'\nvalue = '00'\n", "no map `nothing`"),
    ] {
        let input = write(&dir, "input.toml", text);
        let said = bpfverdict(&["run", &object, "--input", &input]);
        assert_eq!(said.status, 2, "{text}: {}", said.err);
        assert!(said.err.contains(part), "{text}: {}", said.err);
    }
}

#[test]
fn tests_stand_beside_their_objects() {
    let dir = folder(&["xdp/drop_udp.bpf.o"]);
    let path = dir.path().display().to_string();
    let good = "[[test]]\nname = 'UDP is dropped'\npacket = 'udp_dns'\nreturns = 1\n\n\
                [[test]]\nname = 'TCP passes'\npacket = 'eth/ip/tcp/zero:20'\nreturns = 2\n";
    write(&dir, "drop_udp.test.toml", good);
    let said = bpfverdict(&["test", &path]);
    assert_eq!(said.status, 0, "{}", said.all());
    assert!(said.out.contains("2 tests: 2 passed, 0 failed"), "{}", said.out);

    write(&dir, "drop_udp.test.toml", &good.replace("returns = 2", "returns = 3"));
    let said = bpfverdict(&["test", &path]);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.out.contains("interp: returns 2, expected 3") && said.out.contains("jit: returns 2"), "{}", said.out);
    let junit = bpfverdict(&["test", &path, "--format", "junit"]);
    assert!(junit.out.contains("<testsuites") && junit.out.contains("failures=\"1\""), "{}", junit.out);

    write(&dir, "drop_udp.test.toml", "[[test]]\nname = 'nothing'\n");
    let said = bpfverdict(&["test", &path]);
    assert_eq!(said.status, 2, "{}", said.out);
    assert!(said.err.contains("line 1: test `nothing` expects nothing"), "{}", said.err);
}

#[test]
fn the_schema_is_printed() {
    let said = bpfverdict(&["run", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(schema["$defs"]["Step"]["properties"]["packet_out"].is_object(), "{schema}");
}

#[test]
fn a_gate_fails_on_what_is_newly_worse() {
    let dir = folder(&["rules/map_null.bpf.o", "xdp/drop_udp.bpf.o"]);
    let object = |name: &str| dir.path().join(name).display().to_string();
    let (config, baseline) = (object("bpfverdict.toml"), object("base.txt"));
    let text = "objects = ['*.o']\nkernels = ['6.1', '6.18']\nbaseline = 'base.txt'\n[limits]\ninsns = '+10%'\n";
    write(&dir, "bpfverdict.toml", text);
    let gate = |more: &[&str]| bpfverdict(&[&["gate", "--config", &config], more].concat());
    assert_eq!(gate(&[]).status, 1, "without a baseline every refusal fails");
    assert_eq!(gate(&["--update"]).status, 0);
    let kept = std::fs::read_to_string(&baseline).expect("a baseline");
    assert!(kept.lines().any(|l| l.contains("map_null.bpf.o bad - 6.1 reject BV0301")), "{kept}");
    assert_eq!(gate(&[]).status, 0, "what is known passes");

    // One NULL check is lost: the object that was right is replaced by one that is not.
    std::fs::write(
        &baseline,
        kept.replace("map_null.bpf.o bad - 6.1 reject BV0301", "map_null.bpf.o bad - 6.1 accept -"),
    )
    .expect("a baseline");
    let (sarif, junit) = (format!("sarif={}", object("x.sarif")), format!("junit={}", object("x.xml")));
    let said = gate(&["--report", &sarif, "--report", &junit]);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.out.contains("map_value_or_null") && said.out.contains("map_null.bpf.c:25"), "{}", said.out);
    let sarif: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(object("x.sarif")).expect("a report")).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((sarif["version"].as_str(), result["ruleId"].as_str()), (Some("2.1.0"), Some("BV0301")), "{sarif:#}");
    let line = &result["locations"][0]["physicalLocation"]["region"]["startLine"];
    assert_eq!(line.as_u64(), Some(25), "{sarif:#}");
    assert!(std::fs::read_to_string(object("x.xml")).expect("a report").contains("BV0301"));
}
