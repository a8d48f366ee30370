//! The pages of causes: `causes/<ID>.md`, each with a head in TOML between `+++` lines and a text. A cause is what has to change, which
//! a message alone does not tell. Dropping a file into the folder adds a page.

use std::sync::OnceLock;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::Malformed;
use crate::page::Page;

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/causes");

/// A page's head and text.
#[derive(Debug, Clone)]
pub struct Cause {
    /// As reports print it: `PKT-MISSING`.
    pub id: String,
    /// What it means, in a few words.
    pub title: String,
    /// Ids of the rejections behind which it was met, most frequent first.
    pub rejections: Vec<String>,
    /// Programs that show it.
    pub examples: Vec<Example>,
    pub page: Page,
}

/// A program of the corpus that has the defect and one that has not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// `rules/packet_bounds`
    pub object: String,
    pub bad: String,
    pub good: String,
    /// Kernels that take `bad` after all.
    #[serde(default)]
    pub bad_loads_on: Vec<String>,
    /// Kernels that refuse `good`, too: they lack what it is made of.
    #[serde(default)]
    pub good_fails_on: Vec<String>,
    /// Capabilities of the loader, where it has not all: `cap_bpf,cap_net_admin`.
    #[serde(default)]
    pub caps: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    title: String,
    #[serde(default)]
    rejections: Vec<String>,
    #[serde(default)]
    examples: Vec<Example>,
}

impl Cause {
    fn parse(file: &str, text: &str) -> Result<Cause, Malformed> {
        let malformed = |what: String| Malformed { file: file.to_owned(), what };
        let id = file.strip_suffix(".md").ok_or_else(|| malformed("a page ends in .md".to_owned()))?;
        let (head, body) = text
            .strip_prefix("+++\n")
            .and_then(|t| t.split_once("\n+++\n"))
            .ok_or_else(|| malformed("a page begins with a head between two lines of `+++`".to_owned()))?;
        let head: Head = toml::from_str(head).map_err(|e| malformed(e.to_string()))?;
        Ok(Cause {
            id: id.to_owned(),
            title: head.title,
            rejections: head.rejections,
            examples: head.examples,
            page: Page::parse(file, body)?,
        })
    }

    /// The whole page with its title, as Markdown.
    pub fn markdown(&self) -> String {
        format!("# {}: {}\n\n{}", self.id, self.title, self.page.markdown())
    }
}

fn read() -> Result<Vec<Cause>, Malformed> {
    let mut all = Vec::new();
    for file in FOLDER.files() {
        let name = file.path().to_string_lossy().into_owned();
        let text = file.contents_utf8().ok_or(Malformed { file: name.clone(), what: "not UTF-8".to_owned() })?;
        all.push(Cause::parse(&name, text)?);
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

/// Every cause, by id.
pub fn causes() -> Result<&'static [Cause], Malformed> {
    static ALL: OnceLock<Result<Vec<Cause>, Malformed>> = OnceLock::new();
    ALL.get_or_init(read).as_deref().map_err(Clone::clone)
}

/// The page of a cause; the id in any case.
pub fn cause(id: &str) -> Option<&'static Cause> {
    causes().ok()?.iter().find(|c| c.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_holds_to_the_form() {
        let all = causes().unwrap_or_else(|e| panic!("{e}"));
        assert!(all.len() >= 33, "{} pages", all.len());
        for cause in all {
            let headings: Vec<&str> = cause
                .page
                .blocks
                .iter()
                .filter_map(|b| match b {
                    crate::Block::Heading { text, .. } => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(
                headings,
                [
                    "What it means",
                    "Why the kernel insists",
                    "How to recognise it",
                    "Fails",
                    "Works",
                    "Compilers and kernels"
                ],
                "{}",
                cause.id
            );
            for line in cause.markdown().lines() {
                assert!(line.chars().count() <= 80, "{}: longer than a terminal: {line}", cause.id);
            }
        }
    }

    #[test]
    fn ids_are_found_in_any_case() {
        assert_eq!(cause("pkt-missing").map(|c| c.id.as_str()), Some("PKT-MISSING"));
        assert!(cause("NOT-A-CAUSE").is_none());
    }

    #[test]
    fn a_head_with_a_typo_is_an_error() {
        let wrong = Cause::parse("X.md", "+++\ntitle = \"x\"\nrejection = []\n+++\n");
        assert!(wrong.is_err_and(|e| e.to_string().starts_with("X.md: ")));
    }
}
