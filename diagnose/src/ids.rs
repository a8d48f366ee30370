//! From a message of a verifier to the row of the table of refusals that prints it. The table itself is the verifier's.

use std::sync::LazyLock;

use verifier::Reject;

/// A row of the table: id, variant, text with placeholders.
pub type Known = (&'static str, &'static str, &'static str);

/// Rows by their id.
pub fn by_id(id: &str) -> Vec<&'static Known> {
    Reject::TABLE.iter().filter(|r| r.0.eq_ignore_ascii_case(id)).collect()
}

struct Template {
    row: &'static Known,
    pieces: Vec<String>,
    weight: usize,
}

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let all = Reject::TABLE.iter().flat_map(|row| row.2.lines().map(move |line| (row, pieces(line))));
    all.map(|(row, pieces)| Template { row, weight: pieces.iter().map(String::len).sum(), pieces }).collect()
});

/// The row whose text could have printed this line; the one with most fixed text wins.
pub fn by_message(line: &str) -> Option<&'static Known> {
    let line = modern(line.trim());
    let matching = TEMPLATES.iter().filter(|t| matches(&t.pieces, &line));
    matching.max_by_key(|t| t.weight).map(|t| t.row)
}

/// What older kernels say in other words, in today's.
fn modern(line: &str) -> String {
    let mut line = line.replace("mem access 'inv'", "mem access 'scalar'").replace("type=inv ", "type=scalar ");
    if let Some(rest) = line.strip_prefix("invalid indirect read from stack ") {
        line = format!("invalid read from stack {rest}");
    }
    if line.starts_with("unknown func ") {
        line = line.replacen("unknown func", "program of this type cannot use helper", 1);
    }
    line
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

/// A template as people read it: placeholders as `…`.
pub fn shown(template: &str) -> String {
    pieces(template.trim_end()).join("…")
}

/// Whether `line` is the pieces in order with anything between them.
fn matches(pieces: &[String], line: &str) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return false };
    let fixed: usize = pieces.iter().map(|p| p.trim().len()).sum();
    let Some(mut left) = line.strip_prefix(first.as_str()).filter(|_| fixed >= 4) else { return false };
    for (i, piece) in rest.iter().enumerate() {
        if i + 1 == rest.len() {
            return left.ends_with(piece.as_str());
        }
        match left.find(piece.as_str()) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.trim_end().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_find_their_rows() {
        assert_eq!(by_message("R0 !read_ok").unwrap().0, "BV0202");
        assert_eq!(by_message("div by zero").unwrap().0, "BV0206");
        assert_eq!(by_message("R1 invalid mem access 'inv'").unwrap().0, "BV0301");
        assert!(by_message("anything at all").is_none());
    }
}
