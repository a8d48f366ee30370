//! Bytes as people write them in a manifest: `"ip:10.0.0.1 be16:53 u32:7 text16:bash 00ff"`. Used for packets, keys, values and events.
//! Knows nothing of what the bytes mean.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet;
use crate::step::UserMemory;

/// Bytes from a literal. Items are separated by white space:
///
/// - plain hex digits in pairs: `0a0000ff`
/// - `u8: u16: u32: u64:` and `i8: ... i64:`: little-endian numbers, decimal or `0x`
/// - `be16: be32: be64:`: big-endian numbers
/// - `ip:10.0.0.1`, `ip6:fe80::1`, `mac:02:00:00:00:00:01`
/// - `text:abc` (no NUL added), `text16:abc` (padded with NULs to 16 bytes; too long is an error)
/// - `zero:12`: that many zero bytes
/// - `eth/ip(src=10.0.0.1)/udp(dport=53)/text:hello`: a packet of layers, see `packet`
pub fn parse(literal: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for item in literal.split_ascii_whitespace() {
        if packet::is_layers(item) {
            bytes.extend(packet::build(item)?);
        } else {
            push(item, &mut bytes).ok_or_else(|| complaint(item, literal))?;
        }
    }
    Ok(bytes)
}

/// The same with one more item, `user:/etc/passwd`: the address of that text in user memory.
pub fn parse_with_user(literal: &str, memory: &mut UserMemory) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for item in literal.split_ascii_whitespace() {
        match item.strip_prefix("user:") {
            Some(text) => bytes.extend(memory.put(text).to_le_bytes()),
            None => bytes.extend(parse(item)?),
        }
    }
    Ok(bytes)
}

fn complaint(item: &str, literal: &str) -> String {
    format!("bad byte literal `{item}` in `{literal}`")
}

/// Bytes as plain hex digits, which `parse` reads back.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn push(item: &str, out: &mut Vec<u8>) -> Option<()> {
    let Some((kind, value)) = item.split_once(':') else { return push_hex(item, out) };
    match kind {
        "u8" => out.push(number(value)?.try_into().ok()?),
        "u16" => out.extend(u16::try_from(number(value)?).ok()?.to_le_bytes()),
        "u32" => out.extend(u32::try_from(number(value)?).ok()?.to_le_bytes()),
        "u64" => out.extend(u64::try_from(number(value)?).ok()?.to_le_bytes()),
        "i8" => out.extend(i8::try_from(number(value)?).ok()?.to_le_bytes()),
        "i16" => out.extend(i16::try_from(number(value)?).ok()?.to_le_bytes()),
        "i32" => out.extend(i32::try_from(number(value)?).ok()?.to_le_bytes()),
        "i64" => out.extend(i64::try_from(number(value)?).ok()?.to_le_bytes()),
        "be16" => out.extend(u16::try_from(number(value)?).ok()?.to_be_bytes()),
        "be32" => out.extend(u32::try_from(number(value)?).ok()?.to_be_bytes()),
        "be64" => out.extend(u64::try_from(number(value)?).ok()?.to_be_bytes()),
        "ip" => out.extend(value.parse::<Ipv4Addr>().ok()?.octets()),
        "ip6" => out.extend(value.parse::<Ipv6Addr>().ok()?.octets()),
        "mac" => {
            for part in value.split(':') {
                out.push(u8::from_str_radix(part, 16).ok()?);
            }
        }
        "zero" => {
            let n = usize::try_from(number(value)?).ok().filter(|n| *n <= 1 << 20)?;
            out.resize(out.len() + n, 0);
        }
        _ => {
            let width = kind.strip_prefix("text")?;
            let end = out.len() + value.len();
            out.extend(value.as_bytes());
            if !width.is_empty() {
                let width: usize = width.parse().ok().filter(|w| *w >= value.len() && *w <= 1 << 16)?;
                out.resize(end - value.len() + width, 0);
            }
        }
    }
    Some(())
}

fn push_hex(digits: &str, out: &mut Vec<u8>) -> Option<()> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    for i in (0..digits.len()).step_by(2) {
        out.push(u8::from_str_radix(&digits[i..i + 2], 16).ok()?);
    }
    Some(())
}

fn number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(hex) => i128::from(u64::from_str_radix(hex, 16).ok()?).into(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_every_kind() {
        let bytes =
            parse("0aff u16:0x102 be16:53 ip:10.0.0.1 i32:-1 text4:ab zero:2 mac:02:00:00:00:00:01 u64:1").unwrap();
        assert_eq!(hex(&bytes), "0aff020100350a000001ffffffff616200000000020000000001".to_owned() + "0100000000000000");
    }

    #[test]
    fn texts_in_user_memory_become_addresses() {
        let mut memory = UserMemory::default();
        let bytes = parse_with_user("u8:1 user:/a user:/b", &mut memory).unwrap();
        assert_eq!(bytes.len(), 17);
        let [(first, text), (second, _)] = &memory.0[..] else { panic!("two texts") };
        assert_eq!(text, b"/a\0");
        assert_eq!(bytes[1..], [first.to_le_bytes(), second.to_le_bytes()].concat());
        assert!(parse("user:/a").is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in ["abc", "u8:256", "u16:-1", "ip:1.2.3", "text2:abc", "what:1", "zz", "be16:65536", "zero:99999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
