//! What one cleaned line of a log is. Knows no neighbours: what follows from the order of lines is in `log`.

use std::sync::LazyLock;

use regex_lite::Regex;

use super::Source;
use super::state::State;

#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Nothing,
    /// Of the kernel, but nothing that a diagnosis needs.
    Noise,
    /// `-- BEGIN PROG LOAD LOG --`
    Begin(Option<String>),
    /// A loader names the program that it speaks of.
    Program(String),
    /// A loader or another tool speaks.
    Tool,
    /// `(12 line(s) omitted)`
    Gap,
    /// `func#1 @20`
    Function(u32, u32),
    Validating(String),
    Safe,
    Source(Source),
    Insn {
        insn: u32,
        text: String,
        /// Behind it on the same line.
        state: Option<State>,
        /// Of the branch that is taken up on the same line (level 1).
        next: Option<State>,
        /// An error that follows on the same line (level 1).
        message: Option<String>,
    },
    From {
        from: u32,
        state: Option<State>,
    },
    /// `from 3 to 5: safe`
    Pruned,
    State {
        insn: Option<u32>,
        state: State,
    },
    Processed(u64),
    /// Anything else the kernel says.
    Message,
}

fn re(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static INSN: LazyLock<Option<Regex>> = LazyLock::new(|| re(r"^(\d+): \([0-9a-f]{2}\) (.*)$"));
static NEXT: LazyLock<Option<Regex>> = LazyLock::new(|| re(r"\s+(?:from \d+ to )?\d+: ((?:frame\d+: )?R\d+\S*=.*)$"));
/// What follows a jump or call at level 1, where the line's end is taken back.
static TAIL: LazyLock<Option<Regex>> = LazyLock::new(|| re(r"^(.*?\b(?:goto pc[+-]\d+|call \S+))\s+(\S.*)$"));
static FROM: LazyLock<Option<Regex>> =
    LazyLock::new(|| re(r"^from (\d+) to (\d+)(?: \(speculative execution\))?:\s*(.*)$"));
static STATE: LazyLock<Option<Regex>> =
    LazyLock::new(|| re(r"^(?:(\d+):\s*)?((?:frame\d+:\s*)?R\d+(?:_[a-zA-Z]+)?=.*)$"));
static FUNC: LazyLock<Option<Regex>> = LazyLock::new(|| re(r"^func#(\d+) @(\d+)"));
static VALIDATING: LazyLock<Option<Regex>> = LazyLock::new(|| re(r"^Validating (.*)\(\) func#\d+"));
static PROG: LazyLock<Option<Regex>> =
    LazyLock::new(|| re(r"^libbpf: prog(?:ram)? '([^']+)'|^libbpf: -- BEGIN|program ([\w.-]+): load program:"));
static GAP: LazyLock<Option<Regex>> =
    LazyLock::new(|| re(r"\(\d+ lines? omitted\)|\(\d+ line\(s\) omitted\)|^\.\.\.$|^\[\.\.\.\]$|^\[\d+ lines"));
static PROCESSED: LazyLock<Option<Regex>> = LazyLock::new(|| re(r"^processed (\d+) insns"));
static NOISE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    re(
        r"^(?:mark_precise: |regs=|last_idx |parent |parent_state|propagating|caller:|callee:|returning from callee|to caller at |verification time |stack depth |insns processed |insn_idx|topo_order|subprog(?:#| )\d+|live regs before|\d+: [.0-9]{10,}|\d+: safe|cur state:|old state:|max_states|peak_states|arg#\d+ reference type\('[^']*'\) size cannot|-- BEGIN|-- END)",
    )
});
/// How loaders and what runs them speak.
static TOOL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    re(concat!(
        r"^(?:libbpf: |libbpf_|Error: |error: |ERROR|WARN|failed to |Failed to |FATAL|fatal|panic:|thread '|note: |Caused by|warning: |",
        r"bpf: Failed to load|bpf: |Traceback|File |Exception|raise |sudo |\$ |# |make|clang|go run|exit status|Process exited|Prog section|",
        r" - |BTF debug|Verifier analysis|Skipped |attaching |attach: |loading |load program|load\(\): |can't load|cannot load|could not load|Could not load|couldn't|",
        r"Unable to|unable to load|Stdin|The BPF|HINT|Run |-- (?:BEGIN|END)|\d+: (?:failed|loading|the BPF)|Program section|type:|verifier log:|Verifier output|",
        r"level=|time=|msg=|Kernel error log|Error loading program|ERROR: |bpftrace|Attaching|usage:|creating |skel|run `|invalid argument|permission denied)"
    ))
});

/// `file.c:12`, `./x/file.c:12:5`.
pub fn place(text: &str, at: &str) -> Source {
    let mut source = Source { text: text.trim().to_owned(), ..Source::default() };
    let mut parts: Vec<&str> = at.rsplitn(3, ':').collect();
    parts.reverse();
    match parts[..] {
        [file, line, column] if line.parse::<u32>().is_ok() && column.parse::<u32>().is_ok() => {
            (source.file, source.line, source.column) = (Some(file.to_owned()), line.parse().ok(), column.parse().ok());
        }
        [.., line] if line.parse::<u32>().is_ok() => {
            source.file = Some(at[..at.len() - line.len() - 1].to_owned());
            source.line = line.parse().ok();
        }
        _ => source.file = Some(at.to_owned()),
    }
    source
}

/// What a line is.
pub fn read(text: &str) -> Line {
    let text = text.trim();
    if text.is_empty() {
        return Line::Nothing;
    }
    // Most lines by far.
    if text.as_bytes()[0].is_ascii_digit()
        && let Some(c) = captures(&INSN, text)
    {
        return insn(number(&c[0]), &c[1]);
    }
    if text.contains("BEGIN PROG LOAD LOG") {
        return Line::Begin(program(text));
    }
    if text.contains("END PROG LOAD LOG") {
        return Line::Tool;
    }
    if let Some(name) = program(text) {
        return Line::Program(name);
    }
    if let Some(rest) = text.strip_prefix(';') {
        let rest = rest.trim();
        return Line::Source(match rest.rsplit_once(" @ ") {
            Some((code, at)) => place(code, at),
            None => Source { text: rest.to_owned(), ..Source::default() },
        });
    }
    if let Some(c) = captures(&FROM, text) {
        if c[2].trim() == "safe" {
            return Line::Pruned;
        }
        return Line::From { from: number(&c[0]), state: State::parse(&c[2]) };
    }
    if let Some(c) = captures(&PROCESSED, text) {
        return Line::Processed(c[0].parse().unwrap_or(0));
    }
    if is(&NOISE, text) {
        return Line::Noise;
    }
    if let Some(c) = captures(&STATE, text)
        && let Some(state) = State::parse(&c[1])
    {
        return Line::State { insn: c[0].parse().ok(), state };
    }
    if let Some(c) = captures(&FUNC, text) {
        return Line::Function(number(&c[0]), number(&c[1]));
    }
    if let Some(c) = captures(&VALIDATING, text) {
        return Line::Validating(c[0].clone());
    }
    if text.starts_with("Func#") && text.contains("is safe") {
        return Line::Safe;
    }
    if is(&GAP, text) {
        return Line::Gap;
    }
    // Some of the kernel's own messages begin as tools do.
    if is(&TOOL, text) && crate::ids::by_message(text).is_none() {
        return Line::Tool;
    }
    Line::Message
}

fn insn(insn: u32, rest: &str) -> Line {
    // The state behind an instruction begins at a `;`; a branch taken up at level 1 follows without one.
    let (text, state) = match rest.split_once("; ").filter(|(t, _)| !t.contains('"')) {
        Some((t, s)) => (t, State::parse(s)),
        None => (rest.trim_end_matches(';'), None),
    };
    let (text, next) = match captures_at(&NEXT, text) {
        Some((at, state)) => (&text[..at], State::parse(&state)),
        None => (text, None),
    };
    let (text, message) = match captures(&TAIL, text) {
        Some(c) if state.is_none() && next.is_none() => (c[0].clone(), Some(c[1].clone())),
        _ => (text.trim().to_owned(), None),
    };
    Line::Insn { insn, text, state, next, message }
}

/// The program that a loader's line names.
fn program(text: &str) -> Option<String> {
    let c = PROG.as_ref()?.captures(text)?;
    c.get(1).or_else(|| c.get(2)).map(|m| m.as_str().to_owned())
}

fn is(re: &LazyLock<Option<Regex>>, text: &str) -> bool {
    re.as_ref().is_some_and(|r| r.is_match(text))
}

fn captures(re: &LazyLock<Option<Regex>>, text: &str) -> Option<Vec<String>> {
    let c = re.as_ref()?.captures(text)?;
    Some((1..c.len()).map(|i| c.get(i).map_or_else(String::new, |m| m.as_str().to_owned())).collect())
}

fn captures_at(re: &LazyLock<Option<Regex>>, text: &str) -> Option<(usize, String)> {
    let c = re.as_ref()?.captures(text)?;
    Some((c.get(0)?.start(), c.get(1)?.as_str().to_owned()))
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or(u32::MAX)
}
