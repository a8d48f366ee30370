//! Internet checksums: arithmetic in ones' complement on little-endian words, exactly as the kernel folds it (0 and 0xffff stay apart).

use spec::Errno;

use super::{Family, ctx_arg, errno};
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family = &[(10, l3_replace), (11, l4_replace), (28, diff), (40, update), (135, level)];

fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u32::from(carry)
}

fn add16(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

fn to16(sum: u32) -> u16 {
    !fold(sum)
}

/// Sum of the bytes on top of `seed`, in words of 64 bits: only a sum of nothing but zeros is 0.
fn partial(bytes: &[u8], seed: u32) -> u32 {
    let total = bytes.chunks(8).fold(u64::from(seed), |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let (sum, carry) = sum.overflowing_add(u64::from_le_bytes(word));
        sum + u64::from(carry)
    });
    (total.wrapping_add(total.rotate_right(32)) >> 32) as u32
}

/// A checksum field after `diff` was added to what it covers.
fn by_diff(field: u16, diff: u32) -> u16 {
    fold(add(diff, !u32::from(field)))
}

/// A checksum field after a word of 2 or 4 bytes changed. `None` for other sizes.
fn replaced(field: u16, from: u32, to: u32, size: u64) -> Option<u16> {
    match size {
        2 => Some(!add16(add16(!field, !(from as u16)), to as u16)),
        4 => Some(by_diff(field, add(!from, to))),
        _ => None,
    }
}

fn field_at(run: &Run<'_>, off: u64) -> Option<(usize, u16)> {
    let off = usize::try_from(off as u32).ok().filter(|o| o % 2 == 0 && *o <= 0xffff)?;
    let bytes = run.ctx.packet.as_ref()?.bytes(off, 2)?;
    Some((off, u16::from_le_bytes([bytes[0], bytes[1]])))
}

fn put(run: &Run<'_>, off: usize, value: u16) {
    if let Some(p) = &run.ctx.packet {
        p.write(off, &value.to_le_bytes());
    }
}

/// Flags: the low 4 bits are the size of the changed word, 0 meaning that `to` is a difference.
fn l3_replace(run: &mut Run<'_>, [ctx, off, from, to, flags]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "l3_csum_replace", ctx)?;
    if flags & !0xf != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let Some((off, field)) = field_at(run, off) else { return Ok(errno(Errno::EFAULT)) };
    let new = match flags {
        0 if from != 0 => None,
        0 => Some(by_diff(field, to as u32)),
        size => replaced(field, from as u32, to as u32, size),
    };
    let Some(new) = new else { return Ok(errno(Errno::EINVAL)) };
    put(run, off, new);
    Ok(0)
}

/// The same for a transport checksum, where 0 can mean "none" (MARK_MANGLED_0) and is then kept and avoided.
fn l4_replace(run: &mut Run<'_>, [ctx, off, from, to, flags]: [u64; 5]) -> Result<u64, Fault> {
    const PSEUDO_HDR: u64 = 0x10;
    const MARK_MANGLED_0: u64 = 0x20;
    const MARK_ENFORCE: u64 = 0x40;
    const IPV6: u64 = 0x80;
    ctx_arg(run, "l4_csum_replace", ctx)?;
    if flags & !(0xf | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6) != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let Some((off, field)) = field_at(run, off) else { return Ok(errno(Errno::EFAULT)) };
    if flags & MARK_MANGLED_0 != 0 && flags & MARK_ENFORCE == 0 && field == 0 {
        return Ok(0);
    }
    let new = match flags & 0xf {
        0 if from != 0 => None,
        0 => Some(by_diff(field, to as u32)),
        size => replaced(field, from as u32, to as u32, size),
    };
    let Some(new) = new else { return Ok(errno(Errno::EINVAL)) };
    put(run, off, if new == 0 && flags & MARK_MANGLED_0 != 0 { 0xffff } else { new });
    Ok(0)
}

fn diff(run: &mut Run<'_>, [from, from_size, to, to_size, seed]: [u64; 5]) -> Result<u64, Fault> {
    let from = run.bytes(from, (from_size as u32).into())?;
    let to = run.bytes(to, (to_size as u32).into())?;
    Ok(difference(&from, &to, seed as u32).into())
}

/// Of any sizes.
fn difference(from: &[u8], to: &[u8], seed: u32) -> u16 {
    to16(match (from.is_empty(), to.is_empty()) {
        (false, false) => add(partial(to, seed), !partial(from, 0)),
        (true, false) => partial(to, seed),
        (false, true) => !partial(from, !seed),
        (true, true) => seed,
    })
}

/// No packet here carries a complete checksum from a device.
fn update(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "csum_update", ctx)?;
    Ok(errno(Errno::ENOTSUPP))
}

/// No packet here has a verified checksum: there is no level to ask for, and changing it does nothing.
fn level(run: &mut Run<'_>, [ctx, what, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "csum_level", ctx)?;
    Ok(match what {
        0 => errno(Errno::EACCES),
        1..=3 => 0,
        _ => errno(Errno::EINVAL),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Words from BPF_PROG_TEST_RUN on 6.18.44.
    #[test]
    fn replacing_words_gives_the_kernels_checksum() {
        let field = u16::from_le_bytes([0x66, 0xbd]);
        assert_eq!(replaced(field, 0x1234, 0x5678, 2).map(u16::to_le_bytes), Some([0x22, 0x79]));
        assert_eq!(by_diff(field, 0x5678).to_le_bytes(), [0xee, 0x66]);
        assert_eq!(replaced(field, 1, 2, 4).map(u16::to_le_bytes), Some([0x65, 0xbd]));
    }

    #[test]
    fn sums_of_memory_match_the_kernels() {
        let bytes = [0x04, 0x03, 0x02, 0x01, 0x34, 0x12, 0xff, 0x7f];
        assert_eq!(to16(partial(&bytes, 0)), 0x9639);
        assert_eq!(to16(!partial(&bytes, !0)), 0x69c6);
        assert_eq!(to16(partial(&bytes, 0x7fff_ffff)), 0x1639);
        assert_eq!(to16(add(partial(&bytes[4..], 0x12345), !partial(&bytes, 0))), 0x1f40);
        assert_eq!(to16(0x1234_5678), 0x68ac);
        assert_eq!(to16(!partial(&bytes[..4], !5)), 0xfbfe);
    }

    #[test]
    fn differences_of_any_size_and_of_nothing_match_the_kernels() {
        let (a, b): (Vec<u8>, Vec<u8>) = ((1..33).collect(), [0xf3, 0x17, 0xff, 0x80].repeat(8));
        let (ones, zeros) = ([0xff; 32], [0; 32]);
        let sizes = [(4, 0), (0, 4), (4, 4), (8, 4), (3, 0), (0, 3), (30, 28), (0, 0)];
        let of = |from: &[u8], to: &[u8], seed| sizes.map(|(f, t)| difference(&from[..f], &to[..t], seed));
        assert_eq!(of(&a, &b, 0), [0xf9fb, 0x98f2, 0x92ee, 0x84e2, 0xfdfb, 0x18f2, 0x3dc0, 0]);
        assert_eq!(of(&ones, &ones, 0), [0, 0xffff, 0xffff, 0xffff, 0xff00, 0x00ff, 0xffff, 0]);
        assert_eq!(of(&zeros, &zeros, 0), [0, 0, 0xffff, 0xffff, 0, 0, 0xffff, 0]);
        assert_eq!(of(&a, &b, 0x1234_5678), [0x62a8, 0x019f, 0xfb9a, 0xed8e, 0x66a8, 0x819e, 0xa66c, 0x68ac]);
        assert_eq!(of(&zeros, &zeros, u32::MAX), [0xffff; 8]);
        assert_eq!(of(&ones, &zeros, 0), [0, 0, 0, 0, 0xff00, 0, 0xffff, 0]);
    }
}
