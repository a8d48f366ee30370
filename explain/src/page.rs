//! A page as blocks: prose, headings, code that stands in it or is taken out of the corpus. How they look is the matter of who shows
//! them.

use std::sync::OnceLock;

use corpus::Corpus;

use crate::Malformed;

/// One piece of a page, in the order of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// `## Title` is level 2; the page's own title is not among its blocks.
    Heading { level: usize, text: String },
    /// A paragraph, a list or a table, as written: Markdown without code fences.
    Prose(String),
    /// Code with its language, empty where none is said.
    Code { language: String, text: String },
}

/// A page: its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub blocks: Vec<Block>,
}

impl Page {
    /// Markdown with fences and, on lines of their own, `{{code OBJECT FUNCTION}}`: the function's source in the corpus.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Page, Malformed> {
        let malformed = |what: String| Malformed { file: file.to_owned(), what };
        let (mut blocks, mut prose) = (Vec::new(), Vec::<&str>::new());
        let mut lines = text.lines();
        let close = |prose: &mut Vec<&str>, blocks: &mut Vec<Block>| {
            if !prose.is_empty() {
                blocks.push(Block::Prose(prose.join("\n")));
                prose.clear();
            }
        };
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                close(&mut prose, &mut blocks);
                let code: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
                blocks.push(Block::Code { language: language.to_owned(), text: code.join("\n") });
            } else if let Some(wanted) = line.strip_prefix("{{code ").and_then(|l| l.strip_suffix("}}")) {
                close(&mut prose, &mut blocks);
                let (object, function) =
                    wanted.split_once(' ').ok_or_else(|| malformed(format!("`{line}`: OBJECT and FUNCTION")))?;
                let text = source_of(object, function)
                    .ok_or_else(|| malformed(format!("the corpus has no `{function}` in {object}")))?;
                blocks.push(Block::Code { language: "c".to_owned(), text });
            } else if line.starts_with('#') {
                close(&mut prose, &mut blocks);
                let level = line.bytes().take_while(|b| *b == b'#').count();
                blocks.push(Block::Heading { level, text: line[level..].trim().to_owned() });
            } else if line.trim().is_empty() {
                close(&mut prose, &mut blocks);
            } else {
                prose.push(line);
            }
        }
        close(&mut prose, &mut blocks);
        Ok(Page { blocks })
    }

    /// The page as Markdown, code of the corpus in its place.
    pub fn markdown(&self) -> String {
        let show = |block: &Block| match block {
            Block::Heading { level, text } => format!("{} {text}\n", "#".repeat(*level)),
            Block::Prose(text) => format!("{text}\n"),
            Block::Code { language, text } => format!("```{language}\n{text}\n```\n"),
        };
        self.blocks.iter().map(show).collect::<Vec<_>>().join("\n")
    }
}

fn embedded() -> Option<&'static Corpus> {
    static CORPUS: OnceLock<Option<Corpus>> = OnceLock::new();
    CORPUS.get_or_init(|| Corpus::embedded().ok()).as_ref()
}

/// A function's text: from the line above its name, where its section stands, to the closing brace at the margin.
fn source_of(object: &str, function: &str) -> Option<String> {
    let entry = embedded()?.entries.iter().find(|e| e.id() == object)?;
    let source = std::str::from_utf8(entry.source.as_deref()?).ok()?;
    let lines: Vec<&str> = source.lines().collect();
    let named = |line: &str| {
        let head = line.split_once(&format!("{function}(")).map(|(head, _)| head);
        let wrapped = line.split_once(&format!("({function},")).map(|(head, _)| head);
        head.or(wrapped).is_some_and(|h| !h.starts_with(char::is_whitespace) && !h.contains("asm"))
    };
    let name = lines.iter().position(|l| named(l) && !l.trim_end().ends_with(';'))?;
    let start = if name > 0 && lines[name - 1].starts_with("SEC(") { name - 1 } else { name };
    let end = name + lines[name..].iter().position(|l| *l == "}")?;
    Some(lines[start..=end].join("\n").replace('\t', "    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart() {
        let page = Page::parse("x.md", "## One\na\nb\n\nc\n```console\n$ x\n\n$ y\n```\n").expect("a page");
        assert_eq!(
            page.blocks,
            [
                Block::Heading { level: 2, text: "One".to_owned() },
                Block::Prose("a\nb".to_owned()),
                Block::Prose("c".to_owned()),
                Block::Code { language: "console".to_owned(), text: "$ x\n\n$ y".to_owned() },
            ]
        );
    }

    #[test]
    fn code_comes_from_the_corpus() {
        let page = Page::parse("x.md", "{{code rules/packet_bounds bad}}").expect("a page");
        let [Block::Code { text, .. }] = page.blocks.as_slice() else { panic!("{:?}", page.blocks) };
        assert!(text.starts_with("SEC(") && text.ends_with('}'), "{text}");
        assert!(Page::parse("x.md", "{{code rules/packet_bounds nothing}}").is_err());
        assert!(Page::parse("x.md", "{{code rules/packet_bounds}}").is_err());
    }
}
