//! Printing: trace pipe, seq files, buffers. The format language is in `format`.

use spec::Errno;

use super::format::format;
use super::{Family, errno};
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family =
    &[(6, trace_printk), (126, seq_printf), (127, seq_write), (165, snprintf), (177, trace_vprintk)];

/// Most argument slots of the v-forms.
const MAX_ARGS: u32 = 12;

fn trace(run: &mut Run<'_>, fmt: u64, size: u64, args: &[u64]) -> Result<u64, Fault> {
    let fmt = run.bytes(fmt, u64::from(size as u32))?;
    if fmt.last() != Some(&0) {
        return Ok(errno(Errno::EINVAL));
    }
    match format(run, &fmt, args) {
        Ok(text) => {
            run.world.out.trace.push(String::from_utf8_lossy(&text).into_owned());
            Ok(text.len() as u64)
        }
        Err(e) => Ok(errno(e)),
    }
}

fn trace_printk(run: &mut Run<'_>, [fmt, size, a, b, c]: [u64; 5]) -> Result<u64, Fault> {
    trace(run, fmt, size, &[a, b, c])
}

/// The argument slots in memory. `Err(errno)` as the kernel refuses them.
fn slots(run: &mut Run<'_>, data: u64, len: u64) -> Result<Result<Vec<u64>, Errno>, Fault> {
    let len = len as u32;
    if !len.is_multiple_of(8) || len > MAX_ARGS * 8 || (len != 0 && data == 0) {
        return Ok(Err(Errno::EINVAL));
    }
    let bytes = run.bytes(data, len.into())?;
    Ok(Ok(bytes.chunks_exact(8).map(|c| c.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))).collect()))
}

fn trace_vprintk(run: &mut Run<'_>, [fmt, size, data, len, _]: [u64; 5]) -> Result<u64, Fault> {
    match slots(run, data, len)? {
        Ok(args) => trace(run, fmt, size, &args),
        Err(e) => Ok(errno(e)),
    }
}

/// Returns the length of the whole text with its NUL, even when the buffer holds less.
fn snprintf(run: &mut Run<'_>, [to, size, fmt, data, len]: [u64; 5]) -> Result<u64, Fault> {
    let args = match slots(run, data, len)? {
        Ok(args) => args,
        Err(e) => return Ok(errno(e)),
    };
    let fmt = constant_string(run, fmt)?;
    match format(run, &fmt, &args) {
        Ok(mut text) => {
            let whole = text.len() as u64 + 1;
            let size = size as u32 as usize;
            if size > 0 {
                text.truncate(size - 1);
                text.push(0);
                run.write(to, &text)?;
            }
            Ok(whole)
        }
        Err(e) => Ok(errno(e)),
    }
}

/// A NUL-terminated string in readable memory, with its NUL.
pub(super) fn constant_string(run: &mut Run<'_>, addr: u64) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    loop {
        let byte = run.load(addr.wrapping_add(text.len() as u64), 1)? as u8;
        text.push(byte);
        if byte == 0 {
            return Ok(text);
        }
    }
}

fn seq_printf(run: &mut Run<'_>, [_, fmt, size, data, len]: [u64; 5]) -> Result<u64, Fault> {
    let args = match slots(run, data, len)? {
        Ok(args) => args,
        Err(e) => return Ok(errno(e)),
    };
    let fmt = run.bytes(fmt, u64::from(size as u32))?;
    if fmt.last() != Some(&0) {
        return Ok(errno(Errno::EINVAL));
    }
    match format(run, &fmt, &args) {
        Ok(text) => {
            run.world.out.seq.extend(text);
            Ok(0)
        }
        Err(e) => Ok(errno(e)),
    }
}

fn seq_write(run: &mut Run<'_>, [_, data, len, ..]: [u64; 5]) -> Result<u64, Fault> {
    let bytes = run.bytes(data, u64::from(len as u32))?;
    run.world.out.seq.extend_from_slice(&bytes);
    Ok(0)
}
