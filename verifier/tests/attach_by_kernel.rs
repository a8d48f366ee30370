//! What programs may attach to on which kernel, with the kernels' own answers: `cargo xtask profile --only targets` asks all of it.

use btf::Kind;
use isa::Insn;
use program::Program;
use spec::prog::flags::SLEEPABLE;
use spec::{AttachType, Profile, ProgType};
use verifier::{Options, verify};

/// `r3 = *(u64 *)(r1 + 8 * arg)` if asked, `r0 = value`, exit.
fn judged(
    kernel: &str,
    ty: ProgType,
    attach: u32,
    flags: u32,
    target: (Kind, &str),
    arg: Option<i16>,
    value: i32,
) -> String {
    let mut profile = Profile::load(kernel).expect("in the source tree");
    profile.modelled = true;
    let load = arg.map(|arg| Insn { code: 0x79, dst: 3, src: 1, off: 8 * arg, imm: 0 });
    let end = [Insn { code: 0xb7, imm: value, ..Insn::default() }, Insn { code: 0x95, ..Insn::default() }];
    let program = Program {
        prog_type: ty.raw(),
        expected_attach_type: attach,
        flags,
        insns: load.into_iter().chain(end).collect(),
        license: "GPL".to_owned(),
        attach_btf_id: profile.btf().find(target.0, target.1).expect("in the kernel"),
        ..Program::default()
    };
    let outcome = verify(&program, &profile, &Options::default());
    let last = outcome.message.lines().last().unwrap_or("").to_owned();
    if last.is_empty() { format!("{} {}", outcome.verdict.name(), outcome.errno) } else { last }
}

fn hook(kernel: &str, name: &str, flags: u32) -> String {
    let target = format!("bpf_lsm_{name}");
    judged(kernel, ProgType::Lsm, AttachType::LsmMac.raw(), flags, (Kind::Func, &target), None, 0)
}

fn around(kernel: &str, attach: u32, flags: u32, name: &str, value: i32) -> String {
    judged(kernel, ProgType::Tracing, attach, flags, (Kind::Func, name), None, value)
}

const ACCEPT: &str = "accept 0";
const FEXIT: u32 = 25;
const MODIFY_RETURN: u32 = 26;
const FSESSION: u32 = 58;

#[test]
fn hooks_are_those_of_the_kernel() {
    assert_eq!(hook("6.1", "key_free", 0), ACCEPT);
    assert_eq!(hook("7.2", "unix_find", 0), ACCEPT);
    assert_eq!(hook("5.10", "xfrm_decode_session", 0), ACCEPT);
    assert!(hook("6.12", "xfrm_decode_session", 0).ends_with("points to disabled hook bpf_lsm_xfrm_decode_session"));
    assert_eq!(hook("6.18", "xfrm_decode_session", 0), ACCEPT);
    assert_eq!(hook("5.10", "file_open", SLEEPABLE), "bpf_lsm_file_open is not sleepable");
    assert_eq!(hook("6.1", "file_open", SLEEPABLE), ACCEPT);
    assert_eq!(hook("6.1", "path_mkdir", SLEEPABLE), "bpf_lsm_path_mkdir is not sleepable");
    assert_eq!(hook("6.12", "path_mkdir", SLEEPABLE), ACCEPT);
    // Structs among the arguments.
    assert_eq!(hook("5.10", "path_chown", 0), "The function bpf_lsm_path_chown arg1 type STRUCT is unsupported.");
    assert_eq!(hook("6.1", "path_chown", 0), ACCEPT);
}

#[test]
fn attach_types_come_with_kernels() {
    let cgroup = |kernel| judged(kernel, ProgType::Lsm, 43, 0, (Kind::Func, "bpf_lsm_file_open"), None, 1);
    assert_eq!((cgroup("5.10").as_str(), cgroup("6.1").as_str()), ("reject -22", ACCEPT));
    assert_eq!(around("6.18", FSESSION, 0, "vfs_truncate", 0), "reject -22");
    assert_eq!(around("7.2", FSESSION, 0, "vfs_truncate", 0), ACCEPT);
    assert!(around("7.2", FSESSION, 0, "vfs_truncate", 1).contains("should have been in [0, 0]"));
    // Accepted as a target, refused when it returns.
    assert_eq!(around("6.18", 27, 0, "bpf_fentry_test1", 0), "reject -524");
}

#[test]
fn functions_are_guarded_more_and_more() {
    let exit = |kernel| around(kernel, FEXIT, 0, "do_exit", 0);
    assert_eq!(exit("6.1"), ACCEPT);
    assert_eq!(exit("6.12"), "Attaching fexit/fmod_ret to __noreturn functions is rejected.");
    assert_eq!(exit("6.18"), "Attaching fexit/fmod_ret to __noreturn function 'do_exit' is rejected.");
    assert_eq!(exit("7.2"), "Attaching fexit/fsession/fmod_ret to __noreturn function 'do_exit' is rejected.");
    assert_eq!(around("6.1", FEXIT, 0, "__rcu_read_lock", 0), ACCEPT);
    assert_eq!(around("6.12", FEXIT, 0, "__rcu_read_lock", 0), "reject -22");
    let test = |kernel| around(kernel, MODIFY_RETURN, 0, "bpf_modify_return_test", 0);
    assert_eq!((test("6.1").as_str(), test("6.12").as_str()), ("bpf_modify_return_test() is not modifiable", ACCEPT));
    let open = |kernel| around(kernel, MODIFY_RETURN, SLEEPABLE, "__x64_sys_openat", 0);
    assert_eq!((open("6.18").as_str(), open("7.2").as_str()), ("__x64_sys_openat is not sleepable", ACCEPT));
}

#[test]
fn words_for_what_cannot_sleep() {
    let sleeper = |kernel, ty: ProgType| {
        let mut profile = Profile::load(kernel).expect("in the source tree");
        profile.modelled = true;
        let insns = [(0xb7, 0), (0x95, 0)].map(|(code, imm)| Insn { code, imm, ..Insn::default() }).to_vec();
        let program =
            Program { prog_type: ty.raw(), flags: SLEEPABLE, insns, license: "GPL".to_owned(), ..Program::default() };
        verify(&program, &profile, &Options::default()).message.trim_end().to_owned()
    };
    assert_eq!(sleeper("5.10", ProgType::Kprobe), "Only fentry/fexit/fmod_ret and lsm programs can be sleepable");
    let old = "Only fentry/fexit/fmod_ret, lsm, and kprobe/uprobe programs can be sleepable";
    assert_eq!(sleeper("6.1", ProgType::Xdp), old);
    assert_eq!(sleeper("6.1", ProgType::Kprobe), "");
}
