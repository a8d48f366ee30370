//! A diagnosis as a report for a terminal, in rustc's manner. One problem, one report: source (or instructions, where there is no source)
//! with labels, why, what to change, where to read on. Nothing is concluded here.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::diagnosis::{Certainty, Diagnosis, Extra, Fix, Place, Role};
use crate::log::Refusal;

/// How reports look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

/// Width that text is wrapped to.
const WIDTH: usize = 78;
/// Lines between marks that one snippet may span.
const SPAN: u32 = 5_000;

/// One line: `file:line: error[BV0331]: PKT-MISSING: title`.
pub fn short(d: &Diagnosis) -> String {
    let place = d.places.iter().find(|p| p.role == Role::Rejected).or(d.places.first());
    let at = match place {
        Some(Place { file: Some(f), line: Some(l), .. }) => format!("{f}:{l}: "),
        Some(Place { insn: Some(i), .. }) => format!("insn {i}: "),
        _ => String::new(),
    };
    let program = d.program.as_deref().map_or_else(String::new, |p| format!("{p}: "));
    format!("{at}{program}error{}: {}: {}", d.id.map_or_else(String::new, |i| format!("[{i}]")), d.cause.id(), d.title)
}

/// A stretch of numbered lines that snippets are cut from.
struct Sheet {
    path: String,
    first: u32,
    text: String,
    /// Start of each line in `text`.
    starts: Vec<usize>,
}

impl Sheet {
    fn new(path: String, lines: &BTreeMap<u32, String>) -> Option<Sheet> {
        let (first, last) = (*lines.keys().next()?, *lines.keys().next_back()?);
        let (mut text, mut starts) = (String::new(), Vec::new());
        for n in first..=last {
            starts.push(text.len());
            if let Some(line) = lines.get(&n) {
                text.push_str(&line.replace('\t', "    "));
            }
            text.push('\n');
        }
        Some(Sheet { path, first, text, starts })
    }

    /// The bytes of a line without indentation, or of the token at a column.
    fn span(&self, line: u32) -> Option<Range<usize>> {
        let index = line.checked_sub(self.first)? as usize;
        let start = *self.starts.get(index)?;
        let end = self.text[start..].find('\n').map_or(self.text.len(), |e| start + e);
        let body = &self.text[start..end];
        let indent = body.len() - body.trim_start().len();
        Some(start + indent..(start + body.trim_end().len()).max(start + indent))
    }
}

/// Where a patch goes and what it puts there.
type Change = (Sheet, Range<usize>, String);

/// Which sheet and line a place is on.
fn key(place: &Place, listing: bool) -> Option<(String, u32)> {
    match (&place.file, place.line, place.insn) {
        (Some(f), Some(l), _) if !listing => Some((f.clone(), l)),
        (.., Some(i)) if listing => Some((String::new(), i)),
        _ => None,
    }
}

pub fn render(d: &Diagnosis, refusal: &Refusal, extra: &Extra, style: Style) -> String {
    let with_lines = d.places.iter().any(|p| p.file.is_some() && p.line.is_some());
    let text_only = !with_lines && d.places.iter().any(|p| p.text.is_some());
    let sheets = sheets(d, refusal, extra, !with_lines);
    let id = d.id.map_or_else(|| d.cause.id().to_owned(), |i| format!("{i}: {}", d.cause.id()));
    let title = wrap(&d.title, WIDTH - 12 - id.len().min(30));
    let mut main = Group::with_title(Level::ERROR.primary_title(title.as_str()).id(id.as_str()));
    let mut drawn = Vec::new();
    for sheet in &sheets {
        let mut snippet =
            Snippet::source(sheet.text.as_str()).line_start(sheet.first as usize).path(sheet.path.as_str());
        let mut any = false;
        for (n, place) in d.places.iter().enumerate() {
            let Some((file, line)) = key(place, !with_lines) else { continue };
            let same = if with_lines { file == sheet.path } else { true };
            let Some(span) = sheet.span(line).filter(|_| same && !drawn.contains(&n)) else { continue };
            let kind = match place.role {
                Role::Rejected | Role::Loop | Role::Function => AnnotationKind::Primary,
                _ => AnnotationKind::Context,
            };
            snippet = snippet.annotation(kind.span(span).label(place.label.as_str()));
            drawn.push(n);
            any = true;
        }
        if any {
            main = main.element(snippet);
        }
    }
    // Text from old logs has no line numbers: it goes with the listing.
    let quoted = if text_only { quoted(d) } else { Vec::new() };
    for q in &quoted {
        main = main.element(Level::NOTE.message(q.as_str()));
    }
    let mut notes = Vec::new();
    if !d.message.is_empty() {
        notes.push(format!("the kernel says: {}", shorten(&d.message)));
    }
    let because = match d.cause_confidence {
        Certainty::Sure => "because ",
        Certainty::Likely => "likely, because ",
        Certainty::Guess => "a guess: ",
    };
    notes.extend(d.evidence.iter().enumerate().map(|(i, e)| if i == 0 { format!("{because}{e}") } else { e.clone() }));
    notes.extend(d.notes.iter().cloned());
    let notes: Vec<String> = notes.iter().map(|n| wrap(n, WIDTH - 12)).collect();
    for n in &notes {
        main = main.element(Level::NOTE.message(n.as_str()));
    }
    let patches: Vec<(String, Option<Change>)> =
        d.fix.iter().map(|f| (wrap(&fix_title(f), WIDTH - 6), patch(f, refusal, extra))).collect();
    let mut groups = vec![main];
    for (title, change) in &patches {
        let mut group = Group::with_title(Level::HELP.secondary_title(title.as_str()));
        if let Some((sheet, span, code)) = change {
            let snippet = Snippet::source(sheet.text.as_str())
                .line_start(sheet.first as usize)
                .path(sheet.path.as_str())
                .patch(Patch::new(span.clone(), code.as_str()));
            group = group.element(snippet);
        }
        groups.push(group);
    }
    let page = format!("bpfverdict explain {}", d.cause.id());
    let more = format!("for more about this cause: {page}");
    groups.push(Group::with_title(Level::NOTE.secondary_title(more.as_str())));
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let drawn = renderer.term_width(100).render(&groups);
    drawn.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn fix_title(f: &Fix) -> String {
    let code = match (&f.code, f.line) {
        (Some(code), None) => format!("{}: `{code}`", f.text),
        _ => f.text.clone(),
    };
    if f.proven { format!("{code} (tried on the bytecode: with this it loads)") } else { code }
}

/// The lines of the kernel's message, the noise of long ones cut.
fn shorten(message: &str) -> String {
    let lines: Vec<&str> = message.lines().collect();
    let from = lines.len().saturating_sub(3);
    lines[from..].join("\n")
}

fn sheets(d: &Diagnosis, refusal: &Refusal, extra: &Extra, listing: bool) -> Vec<Sheet> {
    let mut by_path: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    for place in &d.places {
        let Some((path, line)) = key(place, listing) else { continue };
        let text = if listing { place.bpf.clone() } else { place.text.clone() };
        let lines = by_path.entry(path).or_default();
        // Lines too far away get a sheet of their own only if another file has it; else they are left to the JSON.
        if lines.keys().next().is_none_or(|f| f.abs_diff(line) < SPAN) {
            lines.insert(line, text.unwrap_or_default());
        }
    }
    let order: Vec<String> = d.places.iter().filter_map(|p| key(p, listing)).map(|k| k.0).collect();
    let mut out: Vec<Sheet> = Vec::new();
    for path in order {
        let Some(mut lines) = by_path.remove(&path) else { continue };
        fill(&mut lines, &path, refusal, extra, listing);
        let shown =
            if listing { format!("{} (BPF instructions)", d.program.as_deref().unwrap_or("program")) } else { path };
        out.extend(Sheet::new(shown, &lines));
    }
    out
}

/// Lines between marked ones that are known.
fn fill(lines: &mut BTreeMap<u32, String>, path: &str, refusal: &Refusal, extra: &Extra, listing: bool) {
    let (Some(first), Some(last)) = (lines.keys().next().copied(), lines.keys().next_back().copied()) else { return };
    let mut put = |n: u32, text: &str| {
        if (first..=last).contains(&n) {
            lines.entry(n).or_insert_with(|| text.to_owned());
        }
    };
    if listing {
        extra.listing.iter().for_each(|(n, t)| put(*n, t));
        refusal.steps.iter().for_each(|s| put(s.insn, &s.text));
        return;
    }
    let all = extra.sources.iter().map(|s| &s.1).chain(&refusal.sources);
    for s in all.filter(|s| s.file.as_deref() == Some(path)) {
        if let Some(n) = s.line {
            put(n, &s.text);
        }
    }
}

/// The changed line as a patch to the known one.
fn patch(f: &Fix, refusal: &Refusal, extra: &Extra) -> Option<Change> {
    let (file, line, code) = (f.file.as_ref()?, f.line?, f.code.as_ref()?);
    let all = extra.sources.iter().map(|s| &s.1).chain(&refusal.sources);
    let source = all.clone().find(|s| s.file.as_ref() == Some(file) && s.line == Some(line))?;
    let sheet = Sheet::new(file.clone(), &BTreeMap::from([(line, source.text.clone())]))?;
    let span = sheet.span(line)?;
    match f.how {
        Some("before") => {
            let indent = " ".repeat(span.start);
            Some((sheet, span.start..span.start, format!("{code}\n{indent}")))
        }
        _ => Some((sheet, span, code.trim().to_owned())),
    }
}

/// Source text without line numbers, by place.
fn quoted(d: &Diagnosis) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for p in &d.places {
        if let (Some(text), Some(insn)) = (&p.text, p.insn)
            && !seen.contains(&text.as_str())
        {
            seen.push(text);
            out.push(format!("instruction {insn} comes from: {text}"));
        }
    }
    out
}

/// Breaks lines at spaces.
fn wrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    for (i, line) in text.lines().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let mut used = 0;
        for word in line.split(' ') {
            let len = word.chars().count();
            if used > 0 && used + 1 + len > width {
                out.push('\n');
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += len;
        }
    }
    out
}
