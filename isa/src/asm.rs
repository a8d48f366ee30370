//! Text to instructions: the dialect of the kernel's log, read back through the templates of the table.
//!
//! A line is `[label:] [N:] [(xx)] instruction [; comment]`, so a listing or an excerpt of a log assembles as it is. `N` is
//! checked against the slot, `xx` narrows the choice of opcode. Jumps take `pc+3`, `+3` or a label. Without `(xx)`, `r1 = 5` is
//! a move and `r1 = 0x5` or `r1 = 5 ll` a 64-bit immediate, as in the log.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use crate::consts::REG_COUNT;
use crate::ops::{Op, ROWS, Row, Version};
use crate::token::{Token, Word, split};
use crate::{Decoded, Insn, Kind};

/// What is wrong, and in which line (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for AsmError {}

/// What names stand for. Numbers are always understood; these are for names without one, and for telling a helper's
/// `name#number` from a kfunc's.
pub trait Symbols {
    fn helper(&self, _name: &str) -> Option<i32> {
        None
    }

    fn kfunc(&self, _name: &str) -> Option<i32> {
        None
    }

    /// A map by name: `r1 = map[counters]`.
    fn map(&self, _name: &str) -> Option<i32> {
        None
    }
}

/// Knows no names.
pub struct NoSymbols;

impl Symbols for NoSymbols {}

/// A named function with a number below this is a helper if the symbols do not know it: ids of kernel functions in BTF are far
/// above, numbers of helpers far below.
const FIRST_KFUNC: u64 = 1024;

/// Slots of a whole program.
pub fn assemble(text: &str) -> Result<Vec<Insn>, AsmError> {
    assemble_with(text, &NoSymbols)
}

/// Slots of a whole program whose names `symbols` knows.
pub fn assemble_with(text: &str, symbols: &(impl Symbols + ?Sized)) -> Result<Vec<Insn>, AsmError> {
    Ok(assemble_lines(text, symbols)?.0)
}

/// The same with the line (from 1) that each slot comes from.
pub fn assemble_lines(text: &str, symbols: &(impl Symbols + ?Sized)) -> Result<(Vec<Insn>, Vec<usize>), AsmError> {
    let mut program = Assembly::default();
    let mut lines = Vec::new();
    for (n, line) in text.lines().enumerate() {
        program.line = n + 1;
        program.add(line, symbols)?;
        lines.resize(program.insns.len(), n + 1);
    }
    Ok((program.resolve()?, lines))
}

#[derive(Default)]
struct Assembly<'a> {
    insns: Vec<Insn>,
    labels: HashMap<&'a str, usize>,
    /// Uses of labels: slot, whether the distance is in imm, name, line, column.
    uses: Vec<(usize, bool, &'a str, usize, usize)>,
    line: usize,
}

impl<'a> Assembly<'a> {
    fn error(&self, column: usize, message: impl Into<String>) -> AsmError {
        AsmError { line: self.line, column: column + 1, message: message.into() }
    }

    fn add(&mut self, line: &'a str, symbols: &(impl Symbols + ?Sized)) -> Result<(), AsmError> {
        let words = split(line).map_err(|(column, why)| self.error(column, why))?;
        let mut words = &words[..];
        while let [first, Word { token: Token::Punct(':'), .. }, rest @ ..] = words {
            match first.token {
                Token::Ident(name) => {
                    if self.labels.insert(name, self.insns.len()).is_some() {
                        return Err(self.error(first.column, format!("label `{name}` is defined twice")));
                    }
                }
                Token::Number(n, _) if n == self.insns.len() as u64 => {}
                Token::Number(n, _) => {
                    let message = format!("this is slot {}, not {n}", self.insns.len());
                    return Err(self.error(first.column, message));
                }
                _ => break,
            }
            words = rest;
        }
        let (code, words) = match words {
            [Word { token: Token::Opcode(code), .. }, rest @ ..] => (Some(*code), rest),
            _ => (None, words),
        };
        let Some(first) = words.first() else { return Ok(()) };
        let mut best = Mismatch { column: first.column, specific: true, message: "not an instruction".into() };
        for (row, template) in TEMPLATES.iter() {
            if row.since == Version::Never || code.is_some_and(|c| c != row.code) {
                continue;
            }
            let mut m = Matcher { words, pos: 0, end: line.len(), code, d: blank(row.op), label: None, symbols };
            match m.run(template) {
                Ok(()) => {
                    let (first, second) = m.d.encode();
                    if let Some((in_imm, name, column)) = m.label {
                        self.uses.push((self.insns.len(), in_imm, name, self.line, column));
                    }
                    self.insns.push(first);
                    self.insns.extend(second);
                    return Ok(());
                }
                Err(e) if (e.column, e.specific) > (best.column, best.specific) => best = e,
                Err(_) => {}
            }
        }
        Err(self.error(best.column, best.message))
    }

    fn resolve(mut self) -> Result<Vec<Insn>, AsmError> {
        for (slot, in_imm, name, line, column) in std::mem::take(&mut self.uses) {
            self.line = line;
            let Some(&target) = self.labels.get(name) else {
                return Err(self.error(column, format!("label `{name}` is not defined")));
            };
            let distance = target as i64 - slot as i64 - 1;
            let too_far = |a: &Self| a.error(column, format!("label `{name}` is too far away ({distance} slots)"));
            if in_imm {
                self.insns[slot].imm = i32::try_from(distance).map_err(|_| too_far(&self))?;
            } else {
                self.insns[slot].off = i16::try_from(distance).map_err(|_| too_far(&self))?;
            }
        }
        Ok(self.insns)
    }
}

fn blank(op: Op) -> Decoded {
    let i = op.insn(0, 0, 0, 0);
    Decoded { op, dst: i.dst, src: i.src, off: i.off, imm: i.imm, imm2: 0 }
}

/// A word of a template.
#[derive(Clone, Copy, Debug)]
enum Part {
    Word(Token<'static>),
    /// A register written with this letter.
    Reg(char, u8),
    Hole(u8),
}

static TEMPLATES: LazyLock<Vec<(&'static Row, Vec<Part>)>> =
    LazyLock::new(|| ROWS.iter().map(|r| (r, template(r.text))).collect());

fn template(text: &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        let hole = after.as_bytes()[1];
        let is_reg = matches!(hole, b'd' | b's');
        let words = if is_reg { &before[..open - 1] } else { before };
        push_words(&mut parts, words);
        parts.push(if is_reg { Part::Reg(before.as_bytes()[open - 1] as char, hole) } else { Part::Hole(hole) });
        rest = &after[3..];
    }
    push_words(&mut parts, rest);
    parts
}

fn push_words(parts: &mut Vec<Part>, text: &'static str) {
    parts.extend(split(text).unwrap_or_default().into_iter().map(|w| Part::Word(w.token)));
}

struct Mismatch {
    column: usize,
    /// Whether a word was understood and is wrong, rather than another one expected.
    specific: bool,
    message: String,
}

impl Mismatch {
    fn specific(column: usize, message: String) -> Self {
        Self { column, specific: true, message }
    }
}

/// One attempt to read a line as one row of the table.
struct Matcher<'w, 'a, S: ?Sized> {
    words: &'w [Word<'a>],
    pos: usize,
    end: usize,
    code: Option<u8>,
    d: Decoded,
    label: Option<(bool, &'a str, usize)>,
    symbols: &'w S,
}

impl<'a, S: Symbols + ?Sized> Matcher<'_, 'a, S> {
    fn run(&mut self, template: &[Part]) -> Result<(), Mismatch> {
        let mut seen = [None; 2];
        for part in template {
            match *part {
                Part::Word(token) => self.word(token)?,
                Part::Reg(letter, hole) => {
                    let column = self.column();
                    let reg = self.register(letter)?;
                    let slot = &mut seen[usize::from(hole == b's')];
                    if slot.is_some_and(|r| r != reg) {
                        return Err(Mismatch::specific(
                            column,
                            format!("must be the same register as {letter}{}", slot.unwrap_or(0)),
                        ));
                    }
                    *slot = Some(reg);
                    if hole == b'd' { self.d.dst = reg } else { self.d.src = reg }
                }
                Part::Hole(hole) => self.hole(hole)?,
            }
        }
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fail("end of the instruction"),
        }
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.words.get(self.pos).map(|w| w.token)
    }

    fn column(&self) -> usize {
        self.words.get(self.pos).map_or(self.end, |w| w.column)
    }

    fn fail<T>(&self, expected: impl fmt::Display) -> Result<T, Mismatch> {
        Err(Mismatch { column: self.column(), specific: false, message: format!("expected {expected}") })
    }

    fn word(&mut self, token: Token<'_>) -> Result<(), Mismatch> {
        if self.peek() == Some(token) {
            self.pos += 1;
            return Ok(());
        }
        match token {
            Token::Ident(s) => self.fail(format_args!("`{s}`")),
            Token::Number(n, _) => self.fail(format_args!("`{n}`")),
            Token::Punct(c) => self.fail(format_args!("`{c}`")),
            Token::Opcode(c) => self.fail(format_args!("`({c:02x})`")),
        }
    }

    fn register(&mut self, letter: char) -> Result<u8, Mismatch> {
        let number = match self.peek() {
            Some(Token::Ident(s)) => s.strip_prefix(letter).filter(|n| !n.starts_with('0') || *n == "0"),
            _ => None,
        };
        match number.and_then(|n| n.parse::<u8>().ok()) {
            Some(n) if usize::from(n) < REG_COUNT => {
                self.pos += 1;
                Ok(n)
            }
            Some(_) => Err(Mismatch::specific(self.column(), format!("expected a register up to {letter}10"))),
            None => self.fail(format_args!("a register {letter}0 to {letter}10")),
        }
    }

    /// A number with an optional sign, and whether it was hexadecimal.
    fn number(&mut self) -> Result<(i128, bool), Mismatch> {
        let start = self.pos;
        let sign = match self.peek() {
            Some(Token::Punct('-')) => -1,
            Some(Token::Punct('+')) => 1,
            _ => 0,
        };
        self.pos += usize::from(sign != 0);
        if let Some(Token::Number(n, hex)) = self.peek() {
            self.pos += 1;
            return Ok((if sign < 0 { -i128::from(n) } else { i128::from(n) }, hex));
        }
        self.pos = start;
        self.fail("a number")
    }

    fn in_range(&mut self, lo: i128, hi: i128) -> Result<(i128, bool), Mismatch> {
        let column = self.column();
        let (n, hex) = self.number()?;
        if (lo..=hi).contains(&n) {
            return Ok((n, hex));
        }
        Err(Mismatch::specific(column, format!("{n} does not fit (from {lo} to {hi})")))
    }

    fn hole(&mut self, hole: u8) -> Result<(), Mismatch> {
        const I32: (i128, i128) = (i32::MIN as i128, i32::MAX as i128);
        const BITS32: (i128, i128) = (i32::MIN as i128, u32::MAX as i128);
        match hole {
            b'o' => self.d.off = self.in_range(i16::MIN.into(), i16::MAX.into())?.0 as i16,
            b'i' => self.d.imm = self.in_range(I32.0, I32.1)?.0 as i32,
            b'w' | b'x' => self.d.imm = self.in_range(BITS32.0, BITS32.1)?.0 as i32,
            b'D' => {
                let start = self.pos;
                let (n, hex) = self.in_range(I32.0, I32.1)?;
                if hex && self.code.is_none() {
                    self.pos = start;
                    return self.fail("a decimal number");
                }
                self.d.imm = n as i32;
            }
            b'q' => {
                let start = self.pos;
                let (n, hex) = self.in_range(i64::MIN.into(), u64::MAX.into())?;
                let long = self.peek() == Some(Token::Ident("ll"));
                self.pos += usize::from(long);
                if !hex && !long && self.code.is_none() {
                    self.pos = start;
                    return self.fail("a hexadecimal number, or `ll` after a decimal one");
                }
                (self.d.imm, self.d.imm2) = (n as i32, (n >> 32) as i32);
            }
            b'v' => self.d.imm2 = self.in_range(BITS32.0, BITS32.1)?.0 as i32,
            b'j' => self.target(false)?,
            b'J' | b'f' => self.target(true)?,
            b'm' => match self.peek() {
                Some(Token::Ident(name)) => match self.symbols.map(name) {
                    Some(n) => {
                        self.pos += 1;
                        self.d.imm = n;
                    }
                    None => return self.fail("a map that exists"),
                },
                _ => self.d.imm = self.in_range(I32.0, I32.1)?.0 as i32,
            },
            b'n' | b'k' => self.function(hole == b'k')?,
            _ => return self.fail("nothing"),
        }
        Ok(())
    }

    /// `pc+3`, `+3` or a label.
    fn target(&mut self, in_imm: bool) -> Result<(), Mismatch> {
        match self.peek() {
            Some(Token::Ident("pc")) => self.pos += 1,
            Some(Token::Ident(name)) => {
                // A function that is known by name is not a label.
                let call = self.d.kind() == Kind::CallLocal;
                if call && (self.symbols.helper(name).is_some() || self.symbols.kfunc(name).is_some()) {
                    return self.fail("a label");
                }
                self.label = Some((in_imm, name, self.column()));
                self.pos += 1;
                return Ok(());
            }
            Some(Token::Punct('+' | '-')) => {}
            _ => return self.fail("`pc+N`, `pc-N` or a label"),
        }
        if in_imm {
            self.d.imm = self.in_range(i32::MIN.into(), i32::MAX.into())?.0 as i32;
        } else {
            self.d.off = self.in_range(i16::MIN.into(), i16::MAX.into())?.0 as i16;
        }
        Ok(())
    }

    /// `name#7`, `name`, `#0`, `unknown#212` (helper) or `kfunc#5`.
    fn function(&mut self, kfunc: bool) -> Result<(), Mismatch> {
        let start = self.pos;
        let wanted = if kfunc { "a kfunc" } else { "a helper" };
        let name = match self.peek() {
            Some(Token::Ident("pc")) => return self.fail(wanted),
            Some(Token::Ident(name)) => {
                self.pos += 1;
                name
            }
            _ => "",
        };
        let known = if kfunc { self.symbols.kfunc(name) } else { self.symbols.helper(name) };
        if self.peek() != Some(Token::Punct('#')) {
            let Some(n) = known else {
                self.pos = start;
                return self.fail(format_args!("{wanted} that exists, or `NAME#NUMBER`"));
            };
            self.d.imm = n;
            return Ok(());
        }
        self.pos += 1;
        let (n, _) = self.in_range(i32::MIN.into(), i32::MAX.into())?;
        let is_kfunc = match name {
            "unknown" => false,
            "kfunc" | "" => true,
            _ if self.symbols.helper(name) == Some(n as i32) => false,
            _ if self.symbols.kfunc(name) == Some(n as i32) => true,
            _ => n >= FIRST_KFUNC.into(),
        };
        if is_kfunc != kfunc {
            self.pos = start;
            return self.fail(wanted);
        }
        self.d.imm = n as i32;
        Ok(())
    }
}
