//! Words of assembler text. Templates of the table are split by the same rules, so that spacing never matters. What the words
//! mean is in `asm`.

/// A word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Ident(&'a str),
    /// Magnitude (the sign is a word of its own) and whether it was written in hexadecimal.
    Number(u64, bool),
    /// `(bf)`: the opcode that the log puts before an instruction.
    Opcode(u8),
    Punct(char),
}

/// A word with the column (from 0) at which it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'a> {
    pub token: Token<'a>,
    pub column: usize,
}

/// Splits a line up to its comment (`;` or `//`). Fails with a column and a reason.
pub(crate) fn split(line: &str) -> Result<Vec<Word<'_>>, (usize, &'static str)> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut i = 0;
    while let Some(&c) = bytes.get(i) {
        let start = i;
        if let Some(code) = opcode(&bytes[i..]) {
            i += 4;
            words.push(Word { token: Token::Opcode(code), column: start });
            continue;
        }
        let token = match c {
            b';' => break,
            b'/' if bytes.get(i + 1) == Some(&b'/') => break,
            _ if c.is_ascii_whitespace() => {
                i += 1;
                continue;
            }
            _ if is_ident_start(c) => {
                i = end_of(bytes, i, |c| is_ident_start(c) || c.is_ascii_digit());
                Token::Ident(&line[start..i])
            }
            _ if c.is_ascii_digit() => {
                i = end_of(bytes, i, |c| c.is_ascii_alphanumeric());
                number(&line[start..i]).ok_or((start, "not a number, or one beyond 64 bits"))?
            }
            _ if c.is_ascii() => {
                i += 1;
                Token::Punct(c as char)
            }
            _ => return Err((start, "a character that is not ASCII")),
        };
        words.push(Word { token, column: start });
    }
    Ok(words)
}

fn opcode(bytes: &[u8]) -> Option<u8> {
    let digit = |b: u8| (b as char).to_digit(16).filter(|_| !b.is_ascii_uppercase());
    match bytes {
        [b'(', hi, lo, b')', ..] => Some((digit(*hi)? * 16 + digit(*lo)?) as u8),
        _ => None,
    }
}

fn is_ident_start(c: u8) -> bool {
    c.is_ascii_alphabetic() || matches!(c, b'_' | b'.' | b'$')
}

fn end_of(bytes: &[u8], start: usize, more: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|c| !more(*c)).map_or(bytes.len(), |n| start + n)
}

fn number(s: &str) -> Option<Token<'_>> {
    let hex = s.strip_prefix("0x").or_else(|| s.strip_prefix("0X"));
    let value = match hex {
        Some(h) => u64::from_str_radix(h, 16),
        None => s.parse(),
    };
    value.ok().map(|v| Token::Number(v, hex.is_some()))
}
