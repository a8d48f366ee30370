//! A page of `explain` on a terminal: headings in bold, code indented, prose as it was written, which is for 80 columns.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use explain::{Block, Page};

const HEADING: Style = Style::new().bold();
const CODE: Style = AnsiColor::Cyan.on_default();

/// Writes the page under its title.
pub fn show(out: &mut impl Write, title: &str, page: &Page) -> io::Result<()> {
    writeln!(out, "{HEADING}{title}{HEADING:#}")?;
    for block in &page.blocks {
        writeln!(out)?;
        match block {
            Block::Heading { text, .. } => writeln!(out, "{HEADING}{text}{HEADING:#}")?,
            Block::Prose(text) => writeln!(out, "{text}")?,
            Block::Code { text, .. } => {
                for line in text.lines() {
                    writeln!(out, "    {CODE}{line}{CODE:#}")?;
                }
            }
        }
    }
    Ok(())
}
