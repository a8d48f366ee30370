//! Helpers on packets: return values and packets as BPF_PROG_TEST_RUN gave them on Linux 6.18.44.

use program::Program;
use runtime::input::Blob;
use runtime::{Input, Options, Report, Session, World};

/// Ethernet (all zero, IPv4), then 40 bytes: IPv4 header, UDP header, "abcdefghijkl".
const PACKET: &str = "000000000000 000000000000 0800 450000280001 000040 1166bd0a000001c0a80001 04d2003500140000 6162636465666768696a6b6c";

const SCHED_CLS: u32 = 3;
const XDP: u32 = 6;

fn packet() -> Vec<u8> {
    Blob::from_hex(PACKET).expect("hex").0
}

fn run_on(prog_type: u32, text: &str, packet: Vec<u8>) -> Report {
    let insns = isa::asm::assemble(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let program = Program { prog_type, insns, ..Program::default() };
    let session = Session::new(&[program], &Options::default()).expect("image");
    let input = Input { packet: Blob(packet), ..Input::default() };
    let mut world = World::default();
    let mut run = Session::start(&session.images[0], &input, &mut world).expect("context");
    let r0 = interpreter::run(&session.images[0], &mut run).unwrap_or_else(|f| panic!("{f}\n{text}"));
    Report::of(&run, r0)
}

/// Calls a helper with r1 = context and these values in r2, r3, ...; `mem` as an argument is a pointer to 4 bytes 44 33 22 11.
fn call(prog_type: u32, helper: u32, args: &[&str], then: &str) -> (i32, Vec<u8>) {
    call_on(prog_type, helper, args, then, packet())
}

fn call_on(prog_type: u32, helper: u32, args: &[&str], then: &str, packet: Vec<u8>) -> (i32, Vec<u8>) {
    let mut text = String::from("r6 = r1\n*(u64 *)(r10 -8) = 287454020\n");
    for (i, arg) in args.iter().enumerate() {
        let r = i + 2;
        match *arg {
            "mem" => text += &format!("r{r} = r10\nr{r} += -8\n"),
            number => text += &format!("r{r} = {number}\n"),
        }
    }
    text += &format!("r1 = r6\ncall bpf_helper#{helper}\n{then}exit\n");
    let report = run_on(prog_type, &text, packet);
    (report.retval as i32, report.packet.0)
}

fn same(prog_type: u32, helper: u32, args: &[&str], expected: i32) {
    let (ret, out) = call(prog_type, helper, args, "");
    assert_eq!((ret, out == packet()), (expected, true), "helper {helper} {args:?}");
}

fn with_len(prog_type: u32, helper: u32, args: &[&str], expected: i32, len: usize) {
    let (ret, out) = call(prog_type, helper, args, "");
    assert_eq!((ret, out.len()), (expected, len), "helper {helper} {args:?}");
}

#[test]
fn xdp_head_tail_meta() {
    for (delta, ret, len) in [
        ("-256", -22, 54),
        ("-216", 0, 270),
        ("-217", -22, 54),
        ("14", 0, 40),
        ("40", 0, 14),
        ("41", -22, 54),
        ("0", 0, 54),
    ] {
        with_len(XDP, 44, &[delta], ret, len);
    }
    for (delta, ret, len) in [("-40", 0, 14), ("-41", -22, 54), ("100", 0, 154), ("3466", 0, 3520), ("3467", -22, 54)] {
        with_len(XDP, 65, &[delta], ret, len);
    }
    for (delta, ret) in [("-4", 0), ("-3", -13), ("-32", 0), ("-252", -22), ("4", -22), ("0", 0)] {
        assert_eq!(call(XDP, 54, &[delta], "").0, ret, "adjust_meta {delta}");
    }
    same(XDP, 188, &[], 54);
    same(XDP, 189, &["50", "mem", "4"], 0);
    same(XDP, 189, &["51", "mem", "4"], -22);
    same(XDP, 189, &["65536", "mem", "4"], -14);
    assert_eq!(call(XDP, 190, &["0", "mem", "4"], "").1[..4], [0x44, 0x33, 0x22, 0x11]);
}

#[test]
fn skb_sizes() {
    for (len, ret, after) in
        [("13", -22, 54), ("14", 0, 14), ("60", 0, 60), ("3777", 0, 3777), ("16064", 0, 16064), ("16065", -22, 54)]
    {
        with_len(SCHED_CLS, 38, &[len, "0"], ret, after);
    }
    for (room, ret, after) in [("0", 0, 54), ("100", 0, 154), ("-1", -22, 54), ("16010", 0, 16064), ("16011", -22, 54)]
    {
        with_len(SCHED_CLS, 43, &[room, "0"], ret, after);
    }
    same(SCHED_CLS, 39, &["54"], 0);
    same(SCHED_CLS, 39, &["55"], -12);
    for (args, ret, after) in [
        (["20", "0", "0"], 0, 74),
        (["-20", "0", "0"], 0, 34),
        (["20", "1", "0"], 0, 74),
        (["-8", "1", "0"], 0, 46),
        (["-28", "1", "0"], -524, 54),
        (["4096", "0", "0"], -14, 54),
        (["20", "2", "0"], -524, 54),
        (["40", "1", "4"], 0, 94),
        (["20", "0", "512"], -22, 54),
    ] {
        with_len(SCHED_CLS, 50, &args, ret, after);
    }
    let (_, out) = call(SCHED_CLS, 50, &["20", "0", "0"], "");
    assert_eq!(out[..34], packet()[..34]);
    assert_eq!(out[34..54], [0; 20]);
    let (_, out) = call(SCHED_CLS, 50, &["-8", "1", "0"], "");
    assert_eq!(out[14..], packet()[22..]);
    assert_eq!(call(SCHED_CLS, 50, &["40", "1", "4"], "r0 = *(u32 *)(r6 +16)\n").0, 56710);
    with_len(SCHED_CLS, 31, &["56710", "0"], 0, 74);
    same(SCHED_CLS, 31, &["8", "0"], -524);
}

#[test]
fn skb_bytes() {
    same(SCHED_CLS, 26, &["50", "mem", "4"], 0);
    same(SCHED_CLS, 26, &["51", "mem", "4"], -14);
    same(SCHED_CLS, 26, &["-1", "mem", "4"], -14);
    same(SCHED_CLS, 9, &["51", "mem", "4", "0"], -14);
    same(SCHED_CLS, 9, &["0", "mem", "4", "4"], -22);
    assert_eq!(call(SCHED_CLS, 9, &["50", "mem", "4", "0"], "").1[50..], [0x44, 0x33, 0x22, 0x11]);
    let relative = |off: &str, from: &str| {
        call(SCHED_CLS, 68, &[off, "mem", "4", from], "if r0 == 0 goto pc+1\nexit\nr0 = *(u32 *)(r10 -8)\n").0
    };
    assert_eq!(relative("0", "1"), 671_088_709);
    assert_eq!(relative("12", "0"), 4_521_992);
    assert_eq!(relative("36", "1"), 1_818_978_921);
    assert_eq!(relative("37", "1"), -14);
    assert_eq!(relative("0", "2"), -14);
}

#[test]
fn checksums_in_packets() {
    let l3 = |args: &[&str]| {
        let (ret, out) = call(SCHED_CLS, 10, args, "");
        (ret, u16::from_be_bytes([out[24], out[25]]))
    };
    assert_eq!(l3(&["24", "4660", "22136", "2"]), (0, 0x2279));
    assert_eq!(l3(&["24", "0", "22136", "0"]), (0, 0xee66));
    assert_eq!(l3(&["24", "1", "22136", "0"]), (-22, 0x66bd));
    assert_eq!(l3(&["24", "1", "2", "4"]), (0, 0x65bd));
    assert_eq!(l3(&["25", "1", "2", "2"]), (-14, 0x66bd));
    assert_eq!(l3(&["54", "0", "1", "2"]), (-14, 0x66bd));
    assert_eq!(l3(&["24", "1", "2", "3"]), (-22, 0x66bd));
    assert_eq!(l3(&["24", "1", "2", "16"]), (-22, 0x66bd));
    same(SCHED_CLS, 11, &["40", "4660", "22136", "34"], 0);
    same(SCHED_CLS, 11, &["40", "1", "2", "260"], -22);
    same(SCHED_CLS, 40, &["5"], -524);
    for (level, ret) in [("0", -13), ("1", 0), ("2", 0), ("3", 0), ("4", -22)] {
        same(SCHED_CLS, 135, &[level], ret);
    }
}

#[test]
fn vlan_tags() {
    let field = |off: u32| format!("r0 = *(u32 *)(r6 +{off})\n");
    let push = |then: &str| call(SCHED_CLS, 18, &["129", "5"], then);
    assert_eq!(push("").1, packet(), "the tag is metadata");
    assert_eq!([20, 24, 28, 16].map(|off| push(&field(off)).0), [1, 5, 129, 8]);
    let again = "r1 = r6\nr2 = 129\nr3 = 9\ncall bpf_skb_vlan_push#18\n";
    let (ret, out) = push(again);
    assert_eq!((ret, out.len(), &out[12..18]), (0, 58, &[0x81, 0, 0, 5, 8, 0][..]));
    assert_eq!([16, 20, 24, 28].map(|off| push(&format!("{again}{}", field(off))).0), [129, 1, 9, 129]);
    let pop = "r1 = r6\ncall bpf_skb_vlan_pop#19\n";
    assert_eq!(push(&format!("{pop}{}", field(20))).0, 0);
    let mut tagged = packet();
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    assert_eq!(call_on(SCHED_CLS, 19, &[], "", tagged.clone()), (0, packet()));
    assert_eq!(call_on(SCHED_CLS, 19, &[], &field(16), tagged).0, 8);
}

#[test]
fn marks_and_hashes() {
    for (ty, ret) in [("0", 0), ("3", 0), ("4", -22), ("7", -22)] {
        same(SCHED_CLS, 32, &[ty], ret);
    }
    assert_eq!(call(SCHED_CLS, 48, &["77"], "r0 = *(u32 *)(r6 +68)\n").0, 77);
    same(SCHED_CLS, 97, &[], 0);
    let mut ect = packet();
    ect[15] = 2;
    let (ret, out) = call_on(SCHED_CLS, 97, &[], "", ect.clone());
    assert_eq!((ret, out[15], u16::from_be_bytes([out[24], out[25]])), (1, 3, 0x66bc));
    ect[15] = 3;
    assert_eq!(call_on(SCHED_CLS, 97, &[], "", ect.clone()), (1, ect));
}

#[test]
fn redirects() {
    let redirect = |prog_type, flags: u32| {
        run_on(prog_type, &format!("r1 = 1\nr2 = {flags}\ncall bpf_redirect#23\nexit"), packet()).retval
    };
    assert_eq!([0, 1, 2].map(|f| redirect(SCHED_CLS, f)), [7, 7, 2]);
    assert_eq!([0, 1, 2].map(|f| redirect(XDP, f)), [4, 0, 0]);
    same(SCHED_CLS, 13, &["1", "2"], -22);
}

#[test]
fn packets_that_the_kernel_refuses() {
    let start = |prog_type, len| {
        let insns = isa::asm::assemble("r0 = 0\nexit").expect("assembles");
        let session =
            Session::new(&[Program { prog_type, insns, ..Program::default() }], &Options::default()).expect("image");
        let mut world = World::default();
        let input = Input { packet: Blob(vec![0; len]), ..Input::default() };
        Session::start(&session.images[0], &input, &mut world).map(|_| ()).map_err(|e| e.to_string())
    };
    assert!(start(XDP, 13).is_err_and(|e| e.starts_with("EINVAL")));
    assert_eq!(start(XDP, 14), Ok(()));
    assert_eq!(start(XDP, 3520), Ok(()));
    assert!(start(XDP, 3521).is_err_and(|e| e.starts_with("unsupported")));
    assert_eq!(start(SCHED_CLS, 3712), Ok(()));
    assert!(start(SCHED_CLS, 3713).is_err());
}

#[test]
fn what_programs_see_of_a_packet() {
    let field = |prog_type: u32, off: u32, packet: Vec<u8>| {
        run_on(prog_type, &format!("r0 = *(u32 *)(r1 +{off})\nexit"), packet).retval
    };
    // len, pkt_type, protocol, ifindex
    assert_eq!([0, 4, 16, 40].map(|off| field(SCHED_CLS, off, packet())), [54, 0, 8, 1]);
    assert_eq!([0, 4, 16, 40].map(|off| field(1, off, packet())), [40, 0, 8, 1]);
    let with = |dst: u8, ty: [u8; 2]| {
        let mut p = packet();
        p[0] = dst;
        p[12..14].copy_from_slice(&ty);
        p
    };
    assert_eq!(field(SCHED_CLS, 4, with(0xff, [8, 0])), 2);
    assert_eq!(field(SCHED_CLS, 4, with(2, [8, 0])), 3);
    assert_eq!(field(SCHED_CLS, 16, with(0, [0, 0x40])), 0x400);
    assert_eq!(field(SCHED_CLS, 16, with(0, [0x86, 0xdd])), 0xdd86);
    assert_eq!(field(XDP, 12, packet()), 1);
}

const RAW_TRACEPOINT: u32 = 17;

fn raw(text: &str) -> i32 {
    run_on(RAW_TRACEPOINT, text, Vec::new()).retval as i32
}

/// Puts bytes on the stack at `r10 + base`.
fn store(bytes: &[u8], base: i32) -> String {
    let words = bytes.chunks(4).enumerate().map(|(i, c)| {
        let mut word = [0; 4];
        word[..c.len()].copy_from_slice(c);
        format!("*(u32 *)(r10 {:+}) = {}\n", base + 4 * i as i32, i32::from_le_bytes(word))
    });
    words.collect()
}

#[test]
fn probe_reads_fail_as_in_the_kernel() {
    // (address, results of probe_read, _user, _kernel, _kernel_str for 8 bytes and for 0)
    for (addr, eight, zero) in [
        ("0xffff000000000000", [-34, -14, -34, -34], [-34, -14, -34, 0]),
        ("0xfffffffffffff000", [-14, -14, -14, -14], [0, -14, 0, 0]),
        ("0x7ffffffff000", [-34, -14, -34, -34], [-34, 0, -34, 0]),
        ("0x7fffffffffff", [-34, -14, -34, -34], [-34, -14, -34, 0]),
        ("0xffff800000000000", [-14, -14, -14, -14], [0, -14, 0, 0]),
        ("0x10", [-14, -14, -34, -34], [0, 0, -34, 0]),
    ] {
        for (i, helper) in [4, 112, 113, 115].into_iter().enumerate() {
            for (size, expected) in [(8, eight[i]), (0, zero[i])] {
                let text = format!(
                    "*(u64 *)(r10 -8) = 85\nr1 = r10\nr1 += -8\nr2 = {size}\nr3 = {addr} ll\ncall bpf_probe#{helper}\nr7 = *(u64 *)(r10 -8)\nif r7 != 85 goto pc+1\nr7 = 0\nif r7 == 0 goto pc+1\nr0 = 1\nexit"
                );
                assert_eq!(raw(&text), expected, "helper {helper} at {addr}, {size} bytes");
            }
        }
    }
    for (size, expected, word) in [(8, 5, 0x6463_6261u32), (3, 3, 0xff00_6261), (1, 1, 0xffff_ff00)] {
        let text = |tail: &str| {
            format!(
                "{}*(u64 *)(r10 -8) = -1\nr1 = r10\nr1 += -8\nr2 = {size}\nr3 = r10\nr3 += -16\ncall bpf_probe#115\n{tail}exit",
                store(b"abcd\0xyz", -16)
            )
        };
        assert_eq!(raw(&text("")), expected);
        assert_eq!(raw(&text("r0 = *(u32 *)(r10 -8)\n")) as u32, word);
    }
}

#[test]
fn numbers_from_text() {
    for (text, base, signed, unsigned) in [
        ("  -0x1fz", 0, (7, -31), (-22, 0)),
        ("010", 0, (3, 8), (3, 8)),
        ("9", 8, (-22, 0), (-22, 0)),
        ("5", 7, (-22, 0), (-22, 0)),
        ("-", 10, (-22, 0), (-22, 0)),
        ("18446744073709551616", 10, (-34, 0), (-34, 0)),
        ("9223372036854775808", 10, (-34, 0), (19, 0)),
        ("-9223372036854775808", 10, (20, 0), (-22, 0)),
        ("0x", 16, (-22, 0), (-22, 0)),
        ("0xg", 0, (1, 0), (1, 0)),
    ] {
        for (helper, expected) in [(105, signed), (106, unsigned)] {
            let call = |tail: &str| {
                format!(
                    "{}*(u64 *)(r10 -8) = 85\nr1 = r10\nr1 += -64\nr2 = {}\nr3 = {base}\nr4 = r10\nr4 += -8\ncall bpf_strto#{helper}\n{tail}exit",
                    store(text.as_bytes(), -64),
                    text.len()
                )
            };
            assert_eq!((raw(&call("")), raw(&call("r0 = *(u32 *)(r10 -8)\n"))), expected, "{helper} {text}");
        }
    }
}

#[test]
fn printed_lengths() {
    for (fmt, expected) in [
        (&b"hello\0"[..], 5),
        (b"%z\0", -22),
        (b"%%\0", 1),
        (b"%px\0", 16),
        (b"%p\0", 16),
        (b"%c\0", 1),
        (b"%hd\0", -22),
        (b"ab", -22),
        (b"%#x\0", -22),
        (b"%s\0", 4),
        (b"%10s|\0", 11),
        (b"%pB\0", -1),
        (b"%pI4\0", 12),
        (b"%pi4\0", 15),
        (b"%pI6\0", 39),
        (b"%pks\0", 4),
        (b"\x80\0", 1),
        (b"\x01\0", -22),
        (b"\x7f\0", -22),
        (b"\n\0", 1),
        (b"%\0", -22),
        (b"%5.3d\0", -22),
        (b"%px4\0", 16),
        (b"%d %u %x %d\0", -22),
        (b"%ls\0", -22),
        (b"%pd\0", -22),
        (b"%5c|\0", 6),
    ] {
        let text = format!(
            "{}*(u32 *)(r10 -16) = 1684234849\n*(u32 *)(r10 -12) = 0\n*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -64\nr2 = {}\nr3 = r10\nr3 += -16\nr4 = r3\nr5 = r3\ncall bpf_trace_printk#6\nexit",
            store(fmt, -64),
            fmt.len()
        );
        // A symbol's text depends on the address.
        if expected != -1 {
            assert_eq!(raw(&text), expected, "{:?}", String::from_utf8_lossy(fmt));
        }
    }
    for (fmt, values, line) in [
        (&b"%5d|%-5u|\0"[..], [77, 5, 0], "   77|5    |"),
        (b"%05d %x\0", [-3, 255, 0], "-0003 ff"),
        (b"% d %+d\0", [77, 77, 0], " 77 +77"),
        (b"%lld\0", [-1, 0, 0], "-1"),
    ] {
        let text = format!(
            "{}r1 = r10\nr1 += -64\nr2 = {}\nr3 = {}\nr4 = {}\nr5 = {}\ncall bpf_trace_printk#6\nexit",
            store(fmt, -64),
            fmt.len(),
            values[0],
            values[1],
            values[2]
        );
        let report = run_on(RAW_TRACEPOINT, &text, Vec::new());
        assert_eq!(report.outputs.trace, [line]);
        assert_eq!(report.retval as usize, line.len());
    }
}

/// A run to call helpers and kfuncs in by hand.
fn with_run(prog_type: u32, body: impl FnOnce(&mut runtime::Run<'_>)) {
    let insns = isa::asm::assemble("r0 = 0\nexit").expect("assembles");
    let session =
        Session::new(&[Program { prog_type, insns, ..Program::default() }], &Options::default()).expect("image");
    let mut world = World::default();
    let input = Input { packet: Blob(packet()), ..Input::default() };
    let mut run = Session::start(&session.images[0], &input, &mut world).expect("context");
    body(&mut run);
}

fn kfunc(run: &mut runtime::Run<'_>, name: &str, args: &[u64]) -> i64 {
    let mut five = [0; 5];
    five[..args.len()].copy_from_slice(args);
    runtime::kfunc::by_name(name).expect(name)(run, five).unwrap_or_else(|f| panic!("{name}: {f}")) as i64
}

fn helper(run: &mut runtime::Run<'_>, id: u32, args: [u64; 5]) -> i64 {
    (runtime::helper::by_id(id).expect("modelled").function)(run, args).unwrap_or_else(|f| panic!("{id}: {f}")) as i64
}

#[test]
fn string_kfuncs() {
    with_run(SCHED_CLS, |run| {
        let kind = runtime::Kind::Mem;
        let mut text = |t: &[u8]| run.allocate(kind, t, true).expect("memory");
        let (a, b, empty, abc, abcd) =
            (text(b"hello world\0"), text(b"o w\0"), text(b"\0"), text(b"abc\0"), text(b"bcd\0"));
        let leh = text(b"leh\0");
        for (name, args, expected) in [
            ("bpf_strlen", vec![a], 11),
            ("bpf_strnlen", vec![a, 3], 3),
            ("bpf_strnlen", vec![a, 100_000], 11),
            ("bpf_strcmp", vec![a, b], -1),
            ("bpf_strcmp", vec![b, a], 1),
            ("bpf_strcmp", vec![a, a], 0),
            ("bpf_strchr", vec![a, 111], 4),
            ("bpf_strchr", vec![a, 0], 11),
            ("bpf_strchr", vec![a, 122], -2),
            ("bpf_strchrnul", vec![a, 122], 11),
            ("bpf_strrchr", vec![a, 111], 7),
            ("bpf_strrchr", vec![a, 0], 11),
            ("bpf_strnchr", vec![a, 3, 108], 2),
            ("bpf_strnchr", vec![a, 2, 108], -2),
            ("bpf_strnchr", vec![a, 11, 0], -2),
            ("bpf_strnchr", vec![a, 12, 0], 11),
            ("bpf_strspn", vec![a, leh], 4),
            ("bpf_strcspn", vec![a, b], 4),
            ("bpf_strstr", vec![a, b], 4),
            ("bpf_strstr", vec![abc, empty], 0),
            ("bpf_strstr", vec![abc, abcd], -2),
            ("bpf_strnstr", vec![a, b, 6], -2),
            ("bpf_strnstr", vec![a, b, 7], 4),
            ("bpf_strnstr", vec![abc, empty, 0], 0),
            ("bpf_strnstr", vec![abc, abc, 2], -2),
        ] {
            assert_eq!(kfunc(run, name, &args) as i32, expected, "{name}");
        }
    });
}

#[test]
fn dynptrs() {
    with_run(SCHED_CLS, |run| {
        let kind = runtime::Kind::Mem;
        let mut memory = |n: usize| run.allocate(kind, &vec![7; n], true).expect("memory");
        let (data, d, null, buffer) = (memory(32), memory(16), memory(16), memory(64));
        assert_eq!(helper(run, 197, [data, 32, 0, d, 0]), 0);
        assert_eq!(helper(run, 197, [data, 32, 1, null, 0]), -22);
        for (len, off, flags, expected) in [
            (8, 0, 0, 0),
            (8, 24, 0, 0),
            (8, 25, 0, -7),
            (8, 33, 0, -7),
            (0, 32, 0, 0),
            (8, 0, 1, -22),
            (1, u64::MAX, 0, -7),
        ] {
            assert_eq!(helper(run, 201, [buffer, len, d, off, flags]), expected, "read {len} at {off}");
            assert_eq!(helper(run, 202, [d, off, buffer, len, flags]), expected, "write {len} at {off}");
            assert_eq!(helper(run, 201, [buffer, len, null, off, flags]), -22);
        }
        assert_eq!(helper(run, 203, [d, 24, 8, 0, 0]) as u64, data + 24);
        assert_eq!(helper(run, 203, [d, 25, 8, 0, 0]), 0);

        let ctx = run.ctx.addr();
        assert_eq!(kfunc(run, "bpf_dynptr_from_skb", &[ctx, 0, d]), 0);
        assert_eq!(kfunc(run, "bpf_dynptr_size", &[d]), 54);
        for (off, flags, expected) in [(0, 0, 0), (46, 0, 0), (47, 0, -7), (0, 1, 0), (0, 2, 0), (0, 4, -22)] {
            assert_eq!(helper(run, 202, [d, off, buffer, 8, flags]), expected, "write at {off}, flags {flags}");
        }
        assert_eq!(helper(run, 201, [buffer, 8, d, 0, 1]), -22);
        for (start, end, expected, size) in [(10, 5, -22, 54), (10, 55, -34, 54), (10, 54, 0, 44), (44, 44, 0, 0)] {
            assert_eq!(kfunc(run, "bpf_dynptr_adjust", &[d, start, end]) as i32, expected);
            assert_eq!(kfunc(run, "bpf_dynptr_size", &[d]), size);
        }
    });
}

#[test]
fn counting_iterators() {
    with_run(XDP, |run| {
        let it = run.allocate(runtime::Kind::Mem, &[0; 8], true).expect("memory");
        assert_eq!(kfunc(run, "bpf_iter_num_new", &[it, 3, 6]), 0);
        let mut seen = Vec::new();
        loop {
            match kfunc(run, "bpf_iter_num_next", &[it]) as u64 {
                0 => break,
                place => seen.push(run.load(place, 4).expect("readable")),
            }
        }
        assert_eq!(seen, [3, 4, 5]);
        assert_eq!(kfunc(run, "bpf_iter_num_new", &[it, 6, 3]) as i32, -22);
        assert_eq!(kfunc(run, "bpf_iter_num_next", &[it]), 0);
        assert_eq!(kfunc(run, "bpf_iter_num_new", &[it, 0, (8 << 20) + 1]) as i32, -7);
    });
}
