//! The command line as users meet it: what goes to stdout, what to stderr, and the exit status. Hostile input is in `bad_input.rs`.

mod common;

use common::bpfverdict;

/// Snapshots without what differs from run to run.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d+\.\d ms", "[time]");
    settings.add_filter(r#""duration_us":\d+"#, r#""duration_us":0"#);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn verify_shows_a_table_and_the_reasons() {
    let said = bpfverdict(&["verify", "xdp/drop_udp.bpf.o", "rules/uninit_register.bpf.o"]);
    snapshot("verify_human", &said.all());
    assert_eq!(said.status, 1);
}

#[test]
fn verify_of_what_is_accepted_ends_well() {
    let said = bpfverdict(&["verify", "xdp/drop_udp.bpf.o"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
}

#[test]
fn verify_speaks_json_lines() {
    let said = bpfverdict(&["verify", "--format", "json", "--only", "bad", "rules/uninit_register.bpf.o"]);
    snapshot("verify_json", &said.all());
    let row: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    for field in [
        "schema",
        "file",
        "program",
        "section",
        "prog_type",
        "verdict",
        "id",
        "errno",
        "message",
        "insn",
        "source",
        "insns_processed",
        "total_states",
        "peak_states",
        "max_states_per_insn",
        "stack_depth",
        "duration_us",
    ] {
        assert!(row.get(field).is_some(), "the contract names `{field}`");
    }
}

#[test]
fn verify_speaks_csv() {
    let said = bpfverdict(&["verify", "--format", "csv", "xdp/pass_count.bpf.o", "xdp/drop_udp.bpf.o"]);
    let rows: Vec<&str> = said.out.lines().collect();
    assert_eq!(rows.len(), 3, "{}", said.out);
    assert!(rows[0].starts_with("schema,file,program,section,prog_type,verdict,id,"), "{}", rows[0]);
    assert_eq!(said.status, 0);
}

#[test]
fn logs_are_alone_on_stdout() {
    let said = bpfverdict(&["verify", "--log-level", "2", "xdp/pass_count.bpf.o"]);
    snapshot("verify_log", &said.all());
}

#[test]
fn records_keep_their_ids() {
    let record = r#"{"id":"seven","load":{"prog_name":"p","prog_type":6,"license":"GPL","insns":"b7000000020000009500000000000000","insn_cnt":2,"maps":[]}}"#;
    let (_dir, path) =
        file("one.jsonl", &format!("{record}\n\n{}\n", record.replace("seven", "8").replace("b700", "bf10")));
    let said = bpfverdict(&["verify", "--format", "json", &path]);
    let rows: Vec<serde_json::Value> = said.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0]["id"].as_str(), rows[0]["verdict"].as_str()), (Some("seven"), Some("accept")));
    assert_eq!((rows[1]["id"].as_str(), rows[1]["verdict"].as_str()), (Some("8"), Some("reject")));
}

#[test]
fn assembly_goes_there_and_back() {
    let (dir, path) = file("three.bpfasm", "r0 = 1\nif r1 == 0x0 goto pc+1\nr0 = 2\nexit\n");
    let bin = dir.path().join("three.bin");
    let bin = bin.to_str().unwrap();
    assert_eq!(bpfverdict(&["asm", &path, "-o", bin]).status, 0);
    let said = bpfverdict(&["disasm", "--type", "xdp", bin]);
    snapshot("disasm", &said.all());
    assert_eq!(bpfverdict(&["verify", "--type", "xdp", bin]).status, 0);
    assert_eq!(bpfverdict(&["verify", "--type", "xdp", &path]).status, 0);
}

#[test]
fn a_program_runs_alike_in_both_engines() {
    let (_dir, path) =
        file("in.toml", "packet = \"ffffffffffff00000000000008000000000000000000000000000000000000000000\"\n");
    let run = |engine: &str| {
        let said =
            bpfverdict(&["run", "xdp/pass_count.bpf.o", "--engine", engine, "--input", &path, "--format", "json"]);
        assert_eq!(said.status, 0, "{}", said.err);
        let mut v: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        v["engine"] = "".into();
        v["duration_ns"] = 0.into();
        v
    };
    let interp = run("interp");
    assert_eq!(interp["retval"], 2);
    assert_eq!(interp, run("jit"));
}

#[test]
fn run_asks_which_program() {
    let said = bpfverdict(&["run", "rules/alignment.bpf.o"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("choose a program with --only; there are good, bad"), "{}", said.err);
}

#[test]
fn explain_takes_ids_messages_and_logs() {
    let said = bpfverdict(&["explain", "R0 !read_ok"]);
    assert_eq!(said.status, 0, "{}", said.err);
    let id = said.out.split(' ').next().unwrap().to_owned();
    assert!(bpfverdict(&["explain", &id]).out.contains("!read_ok"));
    let (_dir, path) = file("log", "0: (bf) r0 = r2\nR2 !read_ok\nprocessed 1 insns\n");
    assert!(bpfverdict(&["explain", &path]).out.contains(&id));
    assert_eq!(bpfverdict(&["explain", "no such thing"]).status, 2);
}

#[test]
fn recorded_answers_are_called_recorded() {
    let said = bpfverdict(&["diff", "corpus", "--engine", "recorded", "--only", "drop_udp"]);
    assert!(said.err.contains("RECORDED"), "{}", said.err);
    snapshot("diff_recorded", &said.out);
    assert_eq!(said.status, 0, "{}", said.out);
}

/// Every build can ask the kernel; whether it may is the process's privilege, and then the answer is its, not a recording's.
#[test]
fn the_running_kernel_is_asked_where_that_is_allowed() {
    let allowed = kernel_diff::live::host();
    for args in [
        &["diff", "xdp/drop_udp.bpf.o", "--only", "drop_udp"][..],
        &["fuzz", "--cases", "1"],
        &["run", "xdp/drop_udp.bpf.o", "--engine", "kernel"],
    ] {
        let said = bpfverdict(args);
        match &allowed {
            Ok(_) => {
                assert!(said.status <= 1, "{args:?}: {}", said.err);
                assert!(!said.err.contains("RECORDED") && !said.out.is_empty(), "{args:?}: {}", said.err);
            }
            Err(why) => {
                eprintln!("SKIPPED: no kernel was asked: {why}");
                assert_eq!(said.status, 3, "{args:?}: {}", said.err);
                assert!(said.err.contains("bpf(2)"), "{args:?}: {}", said.err);
            }
        }
    }
}

#[test]
fn kernels_that_were_not_fetched_are_named_with_the_way_to_get_them() {
    for args in [&["diff", "corpus", "--engine", "vm", "--kernel", "0.1"][..], &["kernels", "boot", "0.1"]] {
        let said = bpfverdict(args);
        assert_eq!(said.status, 3, "{args:?}: {}", said.err);
        assert!(said.err.contains("kernels fetch 0.1"), "{args:?}: {}", said.err);
    }
    let said = bpfverdict(&["kernels", "fetch", "mine", "--vmlinuz", "xdp/drop_udp.bpf.o"]);
    assert_eq!(said.status, 2, "{}", said.err);
    assert!(said.err.contains("0x202") && said.err.contains("drop_udp"), "{}", said.err);
}

#[test]
fn every_command_explains_itself() {
    for command in ["verify", "run", "diff", "disasm", "asm", "jit", "fuzz", "kernels", "explain", "completions", "man"]
    {
        let said = bpfverdict(&[command, "--help"]);
        assert_eq!(said.status, 0);
        assert!(said.out.contains("Exit status:"), "{command} does not tell its exit status");
        assert!(said.out.contains("Example"), "{command} has no example");
    }
}

#[test]
fn bad_usage_is_status_two() {
    for args in
        [&["verify"][..], &["nonsense"], &["verify", "--format", "xml", "x"], &["verify", "--log-level", "8", "x"]]
    {
        assert_eq!(bpfverdict(args).status, 2, "{args:?}");
    }
}

#[test]
fn an_unknown_kernel_is_named_with_those_there_are() {
    let said = bpfverdict(&["verify", "--kernel", "4.4", "xdp/drop_udp.bpf.o"]);
    assert_eq!(said.status, 3);
    assert!(said.err.contains("4.4") && said.err.contains("6.18"), "{}", said.err);
}

#[test]
fn scripts_and_manual_are_made() {
    assert!(bpfverdict(&["completions", "bash"]).out.contains("bpfverdict"));
    assert!(bpfverdict(&["man"]).out.contains(".TH"));
    assert_eq!(bpfverdict(&["kernels", "list"]).status, 0);
}

/// UDP to port 80 goes through until the object's `port` says 80.
#[test]
fn globals_are_preset_as_a_loader_does() {
    let udp = "4500001c00000000401100000a0000010a000002".to_owned() + "1234005000080000";
    let (_input, input) = file("in.toml", &format!("packet = \"{}0800{udp}\"\n", "00".repeat(12)));
    let (_presets, presets) = file("globals", "# what a skeleton would set\n\nport = 80\n");
    let retval = |more: &[&str]| {
        let args = [&["run", "xdp/drop_udp.bpf.o", "--input", &input, "--format", "json"], more].concat();
        let said = bpfverdict(&args);
        serde_json::from_str::<serde_json::Value>(&said.out).unwrap_or_else(|_| panic!("{}", said.all()))["retval"]
            .as_u64()
    };
    assert_eq!(retval(&[]), Some(2));
    assert_eq!(retval(&["--set", "port=80"]), Some(1));
    assert_eq!(retval(&["--presets", &presets]), Some(1));
    assert_eq!(retval(&["--presets", &presets, "--set", "port=81"]), Some(2));
    let said = bpfverdict(&["verify", "--set", "ports=80", "xdp/drop_udp.bpf.o"]);
    assert_eq!((said.status, said.err.contains("ports")), (2, true), "{}", said.all());
    let (_bad, bad) = file("bad", "port = 80\nport\n");
    let said = bpfverdict(&["verify", "--presets", &bad, "xdp/drop_udp.bpf.o"]);
    assert_eq!((said.status, said.err.contains("line 2")), (2, true), "{}", said.all());
}

#[test]
fn a_kernel_configuration_fills_externs() {
    let object = "../loader/tests/objects/features.bpf.o";
    let (_dir, config) = file("config", "CONFIG_BPF_JIT=y\nCONFIG_HZ=250\n");
    let without = bpfverdict(&["disasm", object]);
    assert!(without.all().contains("CONFIG_BPF_JIT"), "{}", without.all());
    let with = bpfverdict(&["disasm", "--kconfig", &config, object]);
    assert!(!with.all().contains("CONFIG_BPF_JIT"), "{}", with.all());
    let (_dir, config) = file("config", "nothing of the kind\n");
    let said = bpfverdict(&["disasm", "--kconfig", &config, object]);
    assert_eq!((said.status, said.err.contains("expected a kernel configuration")), (2, true), "{}", said.all());
}

/// Rows come in the order of the files, whatever takes longest.
#[test]
fn many_programs_keep_their_order() {
    let said = bpfverdict(&["verify", "--format", "json", "."]);
    let rows: Vec<serde_json::Value> = said.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let files: Vec<&str> = rows.iter().filter_map(|r| r["file"].as_str()).collect();
    assert!(rows.len() > 100 && files.is_sorted(), "{files:?}");
}

#[test]
fn machine_code_stands_beside_instructions() {
    let (_dir, path) = file("add.bpfasm", "r0 = 1\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\n");
    let said = bpfverdict(&["jit", &path]);
    assert_eq!(said.status, 0, "{}", said.err);
    let slots = said.out.split("out of line:").next().unwrap_or_default();
    let mut settings = insta::Settings::clone_current();
    // Where code lies depends on the length of the code in front of it.
    settings.add_filter(r"(?m)^ +[0-9a-f]+  ", "  ");
    settings.add_filter(r"\b(j[a-z]+|call) 0x[0-9a-f]+", "$1 [elsewhere]");
    settings.add_filter(r"0x[0-9a-f]{9,}", "[address]");
    settings.bind(|| insta::assert_snapshot!("jit", slots));
}

#[test]
fn explanations_name_the_rule() {
    let said = bpfverdict(&["explain", "invalid bpf_context access off=76 size=4"]);
    assert!(said.out.starts_with("BV033") && said.status == 0, "{}", said.all());
}

#[test]
fn refusals_carry_their_cause_and_places() {
    for (object, cause) in [
        ("packet_bounds", "PKT-MISSING"),
        ("map_null", "NULL"),
        ("stale_packet", "PKT-STALE"),
        ("lost_proof", "PKT-LOST"),
        ("loop", "LOOP"),
        ("stack_size", "STACK-SIZE"),
        ("helper_for_type", "HELPER-NA"),
        ("reference", "REF"),
        ("map_index", "RANGE"),
    ] {
        let said = bpfverdict(&["verify", "--format", "json", "--only", "bad", &format!("rules/{object}.bpf.o")]);
        let row: serde_json::Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
        assert_eq!(row["cause"], cause, "{object}: {}", said.out);
        let places = row["places"].as_array().unwrap();
        assert!(
            places.iter().any(|p| matches!(p["role"].as_str(), Some("rejected" | "loop"))),
            "{object}: {}",
            said.out
        );
        assert!(!row["fix"].as_array().unwrap().is_empty(), "{object}");
    }
}

#[test]
fn accepted_programs_carry_no_cause() {
    let said = bpfverdict(&["verify", "--format", "json", "--only", "good", "rules/map_null.bpf.o"]);
    assert!(said.out.contains("\"cause\":null") && !said.out.contains("\"places\""), "{}", said.out);
}

#[test]
fn the_work_of_a_walk_adds_up_to_its_counters() {
    for object in ["xdp/tail_chain.bpf.o", "rules/reference.bpf.o", "rules/insn_budget.bpf.o"] {
        let said = bpfverdict(&["verify", "--profile", "--format", "json", object]);
        let rows: Vec<serde_json::Value> = said.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let (verdicts, work): (Vec<_>, Vec<_>) = rows.iter().partition(|r| r["verdict"].is_string());
        assert_eq!(verdicts.len(), work.len(), "{object}");
        for (v, w) in verdicts.iter().zip(&work) {
            assert_eq!(v["insns_processed"], w["insns"], "{object} {}", v["program"]);
            assert_eq!(v["total_states"], w["states"], "{object} {}", v["program"]);
            for part in ["lines", "functions"] {
                let sum: u64 = w[part].as_array().unwrap().iter().map(|l| l["insns"].as_u64().unwrap()).sum();
                assert_eq!(w["insns"], sum, "{object} {} {part}", v["program"]);
            }
        }
    }
}

#[test]
fn a_counterexample_breaks_the_program_again() {
    let said = bpfverdict(&["verify", "--format", "json", "--only", "bad", "rules/map_null.bpf.o"]);
    let row: serde_json::Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    let (_dir, path) = file("input.json", &row["counterexample"]["input"].to_string());
    let run = bpfverdict(&["run", "rules/map_null.bpf.o", "--only", "bad", "--input", &path]);
    assert_eq!(run.status, 1, "{}", run.all());
    assert!(run.err.contains("fault: at insn 7"), "{}", run.all());
    assert_eq!(row["fix"][0]["proven"], true, "{}", said.out);
}

#[test]
fn a_page_holds_all_that_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");
    let said = bpfverdict(&["verify", "--html", page.to_str().unwrap(), "rules/lost_proof.bpf.o"]);
    assert_eq!(said.status, 1, "{}", said.all());
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.contains("PKT-LOST") && text.contains("\"steps\":[[0,0,"), "no path in the page");
    assert!(!text.contains("http://") && !text.contains("https://"), "the page needs a network");
}
