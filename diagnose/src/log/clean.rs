//! From what a tool printed to the kernel's lines: colours, time stamps, prefixes, quoting and escapes of loaders and CI go. What a line
//! means is not decided here.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::Regex;

/// Prefixes that loggers put before a line, one after the other.
static PREFIXES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // ISO and clock times, with or without a zone, in brackets or bare.
        r"^\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?:Z|[+-]\d\d:?\d\d)?\]?[ \t]+",
        r"^\d\d:\d\d:\d\d(?:[.,]\d+)?[ \t]+",
        // syslog and journald.
        r"^[^\s\d]{3,5} +\d+ \d\d:\d\d:\d\d(?:\.\d+)? \S+ [^\s:]+(?:\[\d+\])?: ",
        r"^\[ *\d+\.\d+\] ",
        // docker compose, kubectl --prefix.
        r"^[A-Za-z][\w./-]* +\| ?",
        r"^\[pod/[^\]]*\] ",
        // Levels.
        r"^(?:\[(?:ERROR|WARN|WARNING|INFO|DEBUG|error|warn|warning|info|debug)\s*\]|(?:ERROR|WARN|WARNING|INFO|DEBUG|TRACE)\b)[: ]*",
        r"^##\[(?:error|warning|debug)\]",
        r"^::(?:error|warning)[^:]*::",
        r"^libbpf: (?:prog '[^']*': )?",
        // Quoting.
        r"^> ?",
        r"^\| ",
        r"^[ \t]+",
    ]
    .iter()
    .filter_map(|p| Regex::new(p).ok())
    .collect()
});

/// A line as a field of a structured log.
static LOGFMT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^(?:time=\S+ )?level=\w+ msg="((?:[^"\\]|\\.)*)""#).ok());

static ANSI: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\].*?\x07").ok());

/// An instruction of a trace: number, opcode in brackets.
static INSN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?:^|[\s:>|])(\d{1,7}: (?:\(|R\d+[_=]))").ok());

/// Where tools tell which program and what happened, which must be seen whole.
static TOOL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^libbpf: |BEGIN PROG LOAD LOG|END PROG LOAD LOG|program [\w.-]+: load program:").ok()
});

/// The lines of a text, cleaned.
pub fn lines(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for raw in text.lines() {
        let raw = raw.trim_end_matches(['\r', '\0', ' ']);
        let field =
            LOGFMT.as_ref().filter(|_| raw.contains("level=")).and_then(|l| l.captures(raw)).and_then(|c| c.get(1));
        let raw = field.map_or(raw, |m| m.as_str());
        let raw = match &*ANSI {
            Some(ansi) if raw.contains('\x1b') => ansi.replace_all(raw, ""),
            _ => Cow::Borrowed(raw),
        };
        if escaped(&raw) || field.is_some() {
            unescape(&raw).lines().for_each(|l| push(&mut out, line(l)));
        } else {
            push(&mut out, line(&raw));
        }
    }
    out
}

/// What loaders put on one line: `program x: load program: permission denied: 7: (71) r1 = ...: R2 ... (5 line(s) omitted)`.
static SUMMARY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"load program: [a-zA-Z ]+: (.+?)(?: \(\d+ lines?(?:\(s\))? omitted\))?:?$").ok());

/// A line that sums a log up, as the lines that it was made of.
fn summary(line: &str) -> Option<Vec<String>> {
    if let Some((_, message)) = line.split_once(" message=").filter(|_| line.contains("bpf_load_program")) {
        return Some(vec![message.to_owned()]);
    }
    if let Some((tool, output)) = line.split_once("Verifier output: ") {
        let output = output.trim_matches(['"', '\\', ' ']);
        return (!output.is_empty()).then(|| vec![tool.to_owned(), output.to_owned()]);
    }
    let rest = SUMMARY.as_ref()?.captures(line)?.get(1)?.as_str();
    let mut out = vec![line.to_owned()];
    match rest.split_once(") ").filter(|_| rest.starts_with(|c: char| c.is_ascii_digit())) {
        Some((head, tail)) => {
            let (insn, message) = tail.split_once(": ")?;
            out.push(format!("{head}) {insn}"));
            out.push(message.to_owned());
        }
        None => out.push(rest.to_owned()),
    }
    Some(out)
}

/// Old kernels at level 1 print an instruction behind a state, on the same line.
fn push(out: &mut Vec<String>, line: String) {
    if let Some(parts) = summary(&line) {
        out.extend(parts);
        return;
    }
    let state = line.starts_with('R') || line.starts_with("from ");
    let insn = || INSN.as_ref().and_then(|i| i.captures(&line)).and_then(|c| Some(c.get(1)?.start()));
    match insn().filter(|at| state && *at > 0 && line[*at..].contains(": (")) {
        Some(at) => {
            out.push(line[..at].trim_end().to_owned());
            out.push(line[at..].to_owned());
        }
        None => out.push(line),
    }
}

/// Whether a line is a whole log in the notation of a string literal, as Rust's `Debug` and JSON print it.
fn escaped(raw: &str) -> bool {
    raw.matches("\\n").count() >= 2
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('r')) => {}
            ('\\', Some('"')) => out.push('"'),
            ('\\', Some('\'')) => out.push('\''),
            ('\\', Some('\\')) => out.push('\\'),
            _ => {
                out.push(c);
                continue;
            }
        }
        chars.next();
    }
    out
}

/// One line without what tools put around it. Lines in which a tool itself speaks keep their words.
fn line(raw: &str) -> String {
    let mut rest = raw.trim_start_matches([' ', '\t']);
    loop {
        if TOOL.as_ref().is_some_and(|t| t.is_match(rest)) {
            return rest.to_owned();
        }
        let cut = PREFIXES.iter().find_map(|p| p.find(rest)).map_or(0, |m| m.end());
        if cut == 0 {
            break;
        }
        rest = &rest[cut..];
    }
    // A prefix of no known kind before an instruction.
    if !rest.starts_with(|c: char| c.is_ascii_digit())
        && !rest.starts_with(';')
        && !rest.starts_with('(')
        && let Some(found) = INSN.as_ref().and_then(|i| i.captures(rest)).and_then(|c| c.get(1))
        && found.start() < 60
        && !rest.starts_with("from ")
        && !rest[..found.start()].contains('(')
        && !rest.starts_with("regs=")
    {
        rest = &rest[found.start()..];
    }
    rest.trim_end_matches(['"', ' ', ',']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_tools_go() {
        for raw in [
            "2024-01-02T03:04:05.123456Z 5: (b7) r0 = 0",
            "Jan  2 03:04:05 host falco[123]: 5: (b7) r0 = 0",
            "web-1  | 5: (b7) r0 = 0",
            "\t5: (b7) r0 = 0",
            "\x1b[31m5: (b7) r0 = 0\x1b[0m",
            "[  12.345678] 5: (b7) r0 = 0",
            "> 5: (b7) r0 = 0",
            "level=error msg: 5: (b7) r0 = 0",
            "2024/01/02 03:04:05 5: (b7) r0 = 0",
        ] {
            assert_eq!(lines(raw), ["5: (b7) r0 = 0"], "{raw}");
        }
    }

    #[test]
    fn escapes_of_a_string_literal_become_lines() {
        assert_eq!(lines(r#"verifier_log: "0: (b7) r0 = 0\n1: (95) exit\n""#)[1], "1: (95) exit");
    }

    #[test]
    fn words_of_tools_stay() {
        assert_eq!(lines("libbpf: prog 'x': BPF program load failed: Invalid argument").len(), 1);
        assert_eq!(lines("R1 type=scalar expected=fp"), ["R1 type=scalar expected=fp"]);
    }
}
