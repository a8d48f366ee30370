//! String kfuncs on NUL-terminated strings in kernel memory. An address that is not readable answers EFAULT (ERANGE where the kernel never reads),
//! a string of more than 65,536 bytes E2BIG, a search without result ENOENT.

use spec::Errno;

use super::{errno, int};
use crate::fault::Fault;
use crate::helper::HelperFn;
use crate::run::Run;

pub const FAMILY: &[(&str, HelperFn)] = &[
    ("bpf_strchr", strchr),
    ("bpf_strchrnul", strchrnul),
    ("bpf_strcmp", strcmp),
    ("bpf_strcspn", strcspn),
    ("bpf_strlen", strlen),
    ("bpf_strnchr", strnchr),
    ("bpf_strnlen", strnlen),
    ("bpf_strnstr", strnstr),
    ("bpf_strrchr", strrchr),
    ("bpf_strspn", strspn),
    ("bpf_strstr", strstr),
];

const LIMIT: usize = 65_536;

/// Bytes of a string, without its NUL, and whether the NUL was found within `most` bytes.
fn read(run: &mut Run<'_>, addr: u64, most: usize) -> Result<(Vec<u8>, bool), Errno> {
    let mut text = Vec::new();
    while text.len() < most.min(LIMIT) {
        match run.load(addr.wrapping_add(text.len() as u64), 1) {
            Ok(0) => return Ok((text, true)),
            Ok(byte) => text.push(byte as u8),
            Err(_) if addr < 0xffff_8000_0000_0000 && run.regions.at(addr).is_none() => return Err(Errno::ERANGE),
            Err(_) => return Err(Errno::EFAULT),
        }
    }
    if most > LIMIT { Err(Errno::E2BIG) } else { Ok((text, false)) }
}

fn whole(run: &mut Run<'_>, addr: u64) -> Result<Vec<u8>, Errno> {
    read(run, addr, usize::MAX).map(|(text, _)| text)
}

fn answer(result: Result<usize, Errno>) -> Result<u64, Fault> {
    Ok(result.map_or_else(errno, |n| n as u64))
}

fn strlen(run: &mut Run<'_>, [s, ..]: [u64; 5]) -> Result<u64, Fault> {
    answer(whole(run, s).map(|t| t.len()))
}

fn strnlen(run: &mut Run<'_>, [s, most, ..]: [u64; 5]) -> Result<u64, Fault> {
    answer(read(run, s, most as usize).map(|(t, _)| t.len()))
}

fn strcmp(run: &mut Run<'_>, [a, b, ..]: [u64; 5]) -> Result<u64, Fault> {
    let both = whole(run, a).and_then(|a| Ok((a, whole(run, b)?)));
    Ok(match both {
        Ok((a, b)) => int(a.cmp(&b) as i32),
        Err(e) => errno(e),
    })
}

fn strchr(run: &mut Run<'_>, [s, c, ..]: [u64; 5]) -> Result<u64, Fault> {
    answer(whole(run, s).and_then(|t| find(&t, c as u8, true)))
}

/// Place of a byte; the NUL counts as one if the string ended within the bytes looked at.
fn find(text: &[u8], c: u8, ended: bool) -> Result<usize, Errno> {
    match text.iter().position(|b| *b == c) {
        Some(at) => Ok(at),
        None if c == 0 && ended => Ok(text.len()),
        None => Err(Errno::ENOENT),
    }
}

fn strnchr(run: &mut Run<'_>, [s, most, c, ..]: [u64; 5]) -> Result<u64, Fault> {
    answer(read(run, s, most as usize).and_then(|(t, ended)| find(&t, c as u8, ended)))
}

/// The NUL's place when the byte is not there.
fn strchrnul(run: &mut Run<'_>, [s, c, ..]: [u64; 5]) -> Result<u64, Fault> {
    answer(whole(run, s).map(|t| find(&t, c as u8, true).unwrap_or(t.len())))
}

fn strrchr(run: &mut Run<'_>, [s, c, ..]: [u64; 5]) -> Result<u64, Fault> {
    answer(whole(run, s).and_then(|t| match c as u8 {
        0 => Ok(t.len()),
        c => t.iter().rposition(|b| *b == c).ok_or(Errno::ENOENT),
    }))
}

fn span(run: &mut Run<'_>, s: u64, set: u64, inside: bool) -> Result<u64, Fault> {
    let both = whole(run, s).and_then(|s| Ok((s, whole(run, set)?)));
    answer(both.map(|(s, set)| s.iter().take_while(|b| set.contains(b) == inside).count()))
}

fn strspn(run: &mut Run<'_>, [s, set, ..]: [u64; 5]) -> Result<u64, Fault> {
    span(run, s, set, true)
}

fn strcspn(run: &mut Run<'_>, [s, set, ..]: [u64; 5]) -> Result<u64, Fault> {
    span(run, s, set, false)
}

fn search(run: &mut Run<'_>, s: u64, needle: u64, most: usize) -> Result<u64, Fault> {
    let both = read(run, s, most).and_then(|(s, _)| Ok((s, whole(run, needle)?)));
    answer(both.and_then(|(s, needle)| match needle.len() {
        0 => Ok(0),
        n => s.windows(n).position(|w| w == needle).ok_or(Errno::ENOENT),
    }))
}

fn strstr(run: &mut Run<'_>, [s, needle, ..]: [u64; 5]) -> Result<u64, Fault> {
    search(run, s, needle, usize::MAX)
}

fn strnstr(run: &mut Run<'_>, [s, needle, most, ..]: [u64; 5]) -> Result<u64, Fault> {
    search(run, s, needle, most as usize)
}
