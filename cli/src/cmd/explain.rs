//! `explain`: what a refusal means. Takes a cause, the id of a rejection, a verifier's message, or a file with a log.

use std::io::Write;
use std::path::Path;

use verifier::Reject;

use crate::exit::{Failure, Status};
use crate::page;

/// Explain a refusal by its cause, its id, its message, or a log that ends with it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 = explained, 2 = nothing known about it.

Examples:
  bpfverdict explain PKT-MISSING
  bpfverdict explain BV0202
  bpfverdict explain 'R0 !read_ok'
  bpfverdict explain verifier.log
  bpfverdict explain --list")]
pub struct Args {
    /// A cause, BVnnnn, a message, or a file with a log
    #[arg(required_unless_present = "list")]
    what: Option<String>,
    /// List the causes
    #[arg(long, conflicts_with = "what")]
    list: bool,
}

type TableRow = (&'static str, &'static str, &'static str);

pub fn run(args: &Args) -> Result<Status, Failure> {
    let mut out = anstream::stdout();
    let Some(what) = &args.what else {
        for cause in explain::causes()? {
            writeln!(out, "{:12} {}", cause.id, cause.title)?;
        }
        return Ok(Status::Ok);
    };
    if let Some(cause) = explain::cause(what) {
        page::show(&mut out, &format!("{}: {}", cause.id, cause.title), &cause.page)?;
        return Ok(Status::Ok);
    }
    let text = match Path::new(what) {
        path if path.is_file() => String::from_utf8_lossy(&crate::input::read(path)?).into_owned(),
        _ => what.clone(),
    };
    let rows: Vec<&TableRow> = match by_id(text.trim()) {
        rows if rows.is_empty() => text.lines().rev().map(by_message).find(|r| !r.is_empty()).unwrap_or_default(),
        rows => rows,
    };
    if rows.is_empty() {
        return Err(Failure::input(format!("`{what}` is neither a cause, an id, a known message, nor a log with one")));
    }
    for (id, name, message) in rows {
        writeln!(out, "{id} {name}\n  the kernel says: {}", shown(message))?;
        for cause in explain::causes()?.iter().filter(|c| c.rejections.iter().any(|r| r == id)) {
            writeln!(out, "  may mean {}: {}", cause.id, cause.title)?;
        }
    }
    Ok(Status::Ok)
}

fn by_id(id: &str) -> Vec<&'static TableRow> {
    Reject::TABLE.iter().filter(|r| r.0.eq_ignore_ascii_case(id)).collect()
}

/// Rows whose text, with its placeholders, could have printed this line; the one with most fixed text wins.
fn by_message(line: &str) -> Vec<&'static TableRow> {
    let line = line.trim();
    let matching = Reject::TABLE.iter().filter(|r| r.2.lines().any(|t| matches(&pieces(t), line)));
    matching.max_by_key(|r| pieces(r.2).iter().map(String::len).sum::<usize>()).into_iter().collect()
}

/// The fixed text between the placeholders of a format string.
fn pieces(template: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        let last = out.len() - 1;
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                out[last].push(c);
            }
            '{' => {
                for _ in chars.by_ref().take_while(|c| *c != '}') {}
                out.push(String::new());
            }
            _ => out[last].push(c),
        }
    }
    out
}

/// Whether `line` is the pieces in order with anything between them.
fn matches(pieces: &[String], line: &str) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return false };
    let fixed: usize = pieces.iter().map(|p| p.trim().len()).sum();
    let Some(mut left) = line.strip_prefix(first.trim_end_matches('\n')).filter(|_| fixed >= 4) else { return false };
    for (i, piece) in rest.iter().enumerate() {
        let piece = piece.trim_end_matches('\n');
        if i + 1 == rest.len() {
            return left.ends_with(piece);
        }
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.trim_end().is_empty()
}

/// A template as people read it: placeholders as `…`.
fn shown(template: &str) -> String {
    pieces(template.trim_end()).join("…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_their_messages() {
        let t = pieces("R{reg} !read_ok\n");
        assert!(matches(&t, "R0 !read_ok"));
        assert!(!matches(&t, "R0 read_ok"));
        assert!(!matches(&pieces("{text}"), "anything at all"));
        assert!(matches(&pieces("div by zero\n"), "div by zero"));
    }
}
