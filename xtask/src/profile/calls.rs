//! Calls of everything that may be called: every helper and kfunc with registers that all hold the same, also where sleeping is
//! forbidden for a while. The last words are compared with the verifier's.

use anyhow::Result;
use btf::Kind;
use isa::Insn;
use spec::helper::HelperAvail;
use spec::prog::{self, ProgContext, ProgType};
use spec::{Profile, kfunc};
use verifier::{Options, verify};

use super::Tally;
use super::code;
use super::subjects::{self, Subject};
use super::sys::Kernel;
use super::targets::{last_words, program};

/// Kfuncs that open a region, and whether they want a word of the stack.
const REGIONS: [(&str, bool); 3] =
    [("bpf_rcu_read_lock", false), ("bpf_preempt_disable", false), ("bpf_local_irq_save", true)];
/// Bytes of the stack that are set before a call.
const BUFFER: i16 = 64;

/// What all argument registers hold.
#[derive(Clone, Copy, Debug)]
enum Filling {
    Nothing,
    Zero,
    Number,
    Context,
    Buffer,
}

impl Filling {
    const ALL: [Filling; 5] = [Filling::Nothing, Filling::Zero, Filling::Number, Filling::Context, Filling::Buffer];

    fn insns(self) -> Vec<Insn> {
        let each = |set: &dyn Fn(u8) -> Vec<Insn>| (1..=5).flat_map(set).collect();
        match self {
            Filling::Nothing => Vec::new(),
            Filling::Zero => each(&|r| vec![code::set(r, 0)]),
            Filling::Number => each(&|r| vec![code::set(r, 8)]),
            Filling::Context => each(&|r| vec![code::copy(r, 6)]),
            Filling::Buffer => each(&|r| vec![code::copy(r, 10), code::add(r, i32::from(-BUFFER))]),
        }
    }
}

pub fn compare(kernel: &mut Kernel, profile: &Profile) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut profile = profile.clone();
    profile.modelled = true;
    for subject in subjects::few(&profile).into_iter().flat_map(|s| with_sleeper(s, &profile)) {
        let [value, exit] = code::returning(subject.good_return());
        if kernel.load(&subject.load(&[value, exit], 4)).errno != 0 {
            tally.undecided(format!("no {} here", subject.prog.prog_type));
            continue;
        }
        let mut setup = vec![code::copy(6, 1)];
        setup.extend((1..=BUFFER / 8).map(|slot| code::store_imm(8, 10, -8 * slot, 0)));
        let mut regions = vec![("", Vec::new())];
        if subject.prog.sleepable {
            regions.extend(openers(&profile));
        }
        for (region, open) in regions {
            let before: Vec<Insn> = setup.iter().chain(&open).copied().collect();
            for (call, name) in calls(&profile, &subject) {
                for filling in Filling::ALL {
                    let what = format!("{} {region} {name} {filling:?}", subject.describe());
                    let insns = [&before[..], &filling.insns(), &[call, value, exit]].concat();
                    ask(kernel, &profile, &subject, &insns, what, &mut tally);
                }
            }
        }
    }
    Ok(tally)
}

/// The program, and the same as one that may sleep.
fn with_sleeper(subject: Subject, profile: &Profile) -> Vec<Subject> {
    let prog = ProgContext { sleepable: true, ..subject.prog };
    let sleeps = prog::may_be_sleepable(&prog, profile.version) && prog.prog_type != ProgType::Syscall;
    let sleeper = sleeps.then_some(Subject { prog, ..subject });
    std::iter::once(subject)
        .filter(|s| !s.prog.sleepable || s.prog.prog_type == ProgType::Syscall)
        .chain(sleeper)
        .collect()
}

fn openers(profile: &Profile) -> Vec<(&'static str, Vec<Insn>)> {
    let opener = |&(name, on_stack): &(&'static str, bool)| {
        let id = profile.btf().find(Kind::Func, name)?;
        let flags = [code::copy(1, 10), code::add(1, i32::from(-BUFFER - 8))];
        let mut insns = if on_stack { flags.to_vec() } else { Vec::new() };
        insns.push(code::call_kfunc(id));
        Some((name, insns))
    };
    REGIONS.iter().filter_map(opener).collect()
}

/// Calls of all helpers and kfuncs that the program may call.
fn calls(profile: &Profile, subject: &Subject) -> Vec<(Insn, String)> {
    let helper = |id| match profile.helper(subject.prog, id) {
        HelperAvail::Yes { proto, .. } => Some((code::call(id), proto.name().to_owned())),
        _ => None,
    };
    let mut seen = std::collections::HashSet::new();
    let kfunc = |k: &kfunc::Kfunc| {
        let id = profile.btf().find(Kind::Func, k.name)?;
        profile.kfunc(id, &subject.prog)?;
        seen.insert(id).then(|| (code::call_kfunc(id), k.name.to_owned()))
    };
    (1..spec::helper::COUNT).filter_map(helper).chain(kfunc::all().iter().filter_map(kfunc)).collect()
}

fn ask(kernel: &mut Kernel, profile: &Profile, subject: &Subject, insns: &[Insn], what: String, tally: &mut Tally) {
    // Without the trace nothing but a refusal stands in the log.
    let answer = kernel.load(&subject.load(insns, 4));
    let kernels = (answer.errno, if answer.errno == 0 { String::new() } else { last_words(answer.log) });
    let ours = verify(&program(subject, insns), profile, &Options::default());
    tally.compare(|| what, (-ours.errno, last_words(&ours.message)), kernels);
}
