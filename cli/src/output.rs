//! What several commands need to print: the two streams for people, tables, styles, progress. Everything that a person reads passes
//! through [`out`] or [`err`], which show control characters of hostile names, source lines and messages escaped, and drop colours where
//! there is no terminal. What is for machines (JSON, CSV) has its own escapes and does not come here.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

pub const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
pub const BAD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
pub const WARN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
pub const DIM: Style = Style::new().dimmed();

/// Whether notes and progress are left out.
static QUIET: AtomicBool = AtomicBool::new(false);
/// The bar that is on the screen: lines on stderr go above it.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal
    #[default]
    Auto,
    Always,
    Never,
}

/// What the command line says about all output.
pub fn set(color: Color, quiet: bool) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Results for people.
pub fn out() -> Lines<anstream::Stdout> {
    Lines::new(anstream::stdout())
}

/// Errors and notes.
pub fn err() -> Lines<anstream::Stderr> {
    Lines::new(anstream::stderr())
}

/// A line on stderr that `--quiet` leaves out: `note: ...`.
pub fn note(text: impl std::fmt::Display) {
    remark(WARN, "note", text);
}

/// The same in other words.
pub fn remark(style: Style, word: &str, text: impl std::fmt::Display) {
    if !QUIET.load(Ordering::Relaxed) {
        complain(style, word, text);
    }
}

/// A line on stderr that is always there.
pub fn complain(style: Style, word: &str, text: impl std::fmt::Display) {
    let line = format!("{}: {text}\n", styled(style, word));
    let write = || err().write_all(line.as_bytes());
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
    // A stderr that is closed takes no complaints about that either.
    let _ = bar.as_ref().map_or_else(write, |bar| bar.suspend(write));
}

/// A writer that passes whole lines on, with what would act on a terminal escaped.
pub struct Lines<W: Write> {
    inner: W,
    line: Vec<u8>,
}

impl<W: Write> Lines<W> {
    fn new(inner: W) -> Self {
        Self { inner, line: Vec::new() }
    }

    fn pass(&mut self, upto: usize) -> io::Result<()> {
        let rest = self.line.split_off(upto);
        let whole = std::mem::replace(&mut self.line, rest);
        self.inner.write_all(escape(&String::from_utf8_lossy(&whole), true).as_bytes())
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if let Some(end) = bytes.iter().rposition(|b| *b == b'\n') {
            self.pass(self.line.len() - bytes.len() + end + 1)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass(self.line.len())?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for Lines<W> {
    fn drop(&mut self) {
        // Who cares about a failure calls `flush`.
        let _ = self.flush();
    }
}

/// Text of others, for a report that has colours of ours: nothing in it acts on a terminal.
pub fn shown(text: &str) -> String {
    escape(text, false)
}

/// Control characters, and those that turn the direction of text, as `\x1b`; colours may stay.
fn escape(text: &str, colours: bool) -> String {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || turns(c));
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c| !harmless(c)) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(len) = colours.then(|| colour(rest)).flatten() {
            out.push_str(&rest[..len]);
            rest = &rest[len..];
            continue;
        }
        let mut chars = rest.chars();
        match chars.next().map(u32::from) {
            Some(c @ 0..=0xff) => out.push_str(&format!("\\x{c:02x}")),
            Some(c) => out.push_str(&format!("\\u{{{c:x}}}")),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// Characters that make text read other than it stands.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Length of the sequence at the beginning if it is one that the styles here and in `diagnose` are made of.
fn colour(text: &str) -> Option<usize> {
    let params = text.strip_prefix("\x1b[")?;
    let end = params.find(|c: char| !c.is_ascii_digit())?;
    let ours = params[end..].starts_with('m') && matches!(params[..end].parse(), Ok(0u8..=4 | 30..=37 | 90..=97));
    ours.then_some(2 + end + 1)
}

/// `text` in `style`.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Columns for a person to read in: the terminal's, and 80 elsewhere.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let term = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    asked.or_else(term).filter(|w| *w >= 40).unwrap_or(80)
}

/// A plain table, each cell a single line.
pub fn table(header: &[&str]) -> Table {
    let mut t = Table::new();
    t.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    t.set_header(header.iter().copied());
    t
}

/// The table's lines without the trailing blanks that fill its cells.
pub fn lines(table: &Table) -> String {
    let mut out = String::new();
    for line in table.lines() {
        // The style without borders still pads its first column.
        out.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        out.push('\n');
    }
    out
}

/// Lines of a table that fits [`width`]: the columns of `dropped` go, one after the other, until it does.
pub fn fitting(header: &[&str], rows: &[Vec<String>], dropped: &[&str]) -> String {
    let width = width();
    let mut gone = 0;
    loop {
        let keep: Vec<usize> = (0..header.len()).filter(|i| !dropped[..gone].contains(&header[*i])).collect();
        let mut all = table(&keep.iter().map(|i| header[*i]).collect::<Vec<_>>());
        for row in rows {
            all.add_row(keep.iter().map(|i| shown(&row[*i]).replace(['\n', '\t'], " ")).collect::<Vec<_>>());
        }
        let text = lines(&all);
        if gone == dropped.len() || text.lines().all(|l| l.chars().count() <= width) {
            return text;
        }
        gone += 1;
    }
}

/// A bar on stderr when that is a terminal, else nothing.
pub fn progress(total: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() || QUIET.load(Ordering::Relaxed) {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} {eta}");
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    let bar = match style {
        Ok(s) => bar.with_style(s),
        Err(_) => bar,
    };
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_reach_a_terminal() {
        let hostile = "a\x1b]0;owned\x07b\x1b[2Jc\x1b[8md\re\u{9b}f\u{202e}g\th\n";
        let shown = r"a\x1b]0;owned\x07b\x1b[2Jc\x1b[8md\x0de\x9bf\u{202e}g".to_owned() + "\th\n";
        assert_eq!(escape(hostile, true), shown);
        assert_eq!(escape(hostile, false), shown);
        let red = styled(BAD, "reject");
        assert_eq!(escape(&red, true), red);
        assert!(!super::shown(&red).contains('\x1b'));
    }

    #[test]
    fn sequences_in_pieces_are_seen_whole() {
        let mut got = Vec::new();
        let mut lines = Lines::new(&mut got);
        for piece in ["\x1b", "[", "31", "m", "x", "\x1b", "[2", "J", "\n", "rest\x1b"] {
            lines.write_all(piece.as_bytes()).expect("a vector");
        }
        drop(lines);
        assert_eq!(String::from_utf8_lossy(&got), "\x1b[31mx\\x1b[2J\nrest\\x1b");
    }
}
