//! Reads of arbitrary memory: probe_read and its kin. Kernel memory is what the run's regions make readable; user memory is what the world says
//! the process has. A read that cannot be done answers an error and zeroes the buffer.

use spec::Errno;

use super::{Family, errno};
use crate::fault::Fault;
use crate::memory::Bytes;
use crate::run::Run;

pub const FAMILY: Family = &[
    (4, read_any),
    (36, write_user),
    (45, read_any_str),
    (112, read_user),
    (113, read_kernel),
    (114, read_user_str),
    (115, read_kernel_str),
    (148, copy_from_user),
];

/// Which memory an address may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Kernel,
    User,
    Either,
}

/// Up to `len` readable bytes at `addr`.
fn peek(run: &mut Run<'_>, space: Space, addr: u64, len: u64) -> Bytes {
    if space != Space::User {
        // Maps may have grown since the table was made.
        let _ = run.check(addr, 1, false);
        let n = run.regions.readable(addr).min(len);
        if n > 0 {
            return run.bytes(addr, n).unwrap_or_default();
        }
    }
    if space == Space::Kernel {
        return Bytes::new();
    }
    let found = run.world.values.user_memory.iter().find_map(|(start, bytes)| {
        let off = usize::try_from(addr.checked_sub(*start)?).ok()?;
        let rest = bytes.get(off..)?;
        (!rest.is_empty()).then(|| Bytes::from_slice(&rest[..rest.len().min(len as usize)]))
    });
    found.unwrap_or_default()
}

/// End of user addresses on x86-64.
const TASK_SIZE: u64 = 0x7fff_ffff_f000;
/// First canonical address of the upper half.
const KERNEL_START: u64 = 0xffff_8000_0000_0000;

/// How a read fails that finds nothing at `addr`: the kernel distinguishes addresses that it never reads (ERANGE) from those that fault. `None`:
/// an empty read there succeeds.
fn failure(run: &Run<'_>, space: Space, addr: u64, len: u64) -> Option<Errno> {
    let user = space == Space::User || (space == Space::Either && addr < TASK_SIZE);
    let refused = if user {
        addr.checked_add(len).is_none_or(|end| end > TASK_SIZE).then_some(Errno::EFAULT)
    } else {
        (addr < KERNEL_START && run.regions.at(addr).is_none()).then_some(Errno::ERANGE)
    };
    refused.or((len > 0).then_some(Errno::EFAULT))
}

fn fail(run: &mut Run<'_>, space: Space, to: u64, len: u64, from: u64) -> Result<u64, Fault> {
    run.write(to, &Bytes::from_elem(0, len as usize))?;
    Ok(failure(run, space, from, len).map_or(0, errno))
}

fn read(run: &mut Run<'_>, space: Space, to: u64, len: u64, from: u64) -> Result<u64, Fault> {
    let len = u64::from(len as u32);
    if len == 0 {
        return Ok(failure(run, space, from, 0).map_or(0, errno));
    }
    run.check(to, len, true)?;
    let got = peek(run, space, from, len);
    if got.len() as u64 != len {
        return fail(run, space, to, len, from);
    }
    run.write(to, &got)?;
    Ok(0)
}

/// Copies a string with its NUL; the result is its length with the NUL. One that does not fit is cut and ended with NUL.
fn read_str(run: &mut Run<'_>, space: Space, to: u64, len: u64, from: u64) -> Result<u64, Fault> {
    let len = u64::from(len as u32);
    if len == 0 {
        return Ok(0);
    }
    run.check(to, len, true)?;
    let mut got = peek(run, space, from, len);
    match got.iter().position(|b| *b == 0) {
        Some(nul) => got.truncate(nul + 1),
        None if got.len() as u64 == len => got[len as usize - 1] = 0,
        None => return fail(run, space, to, len, from),
    }
    run.write(to, &got)?;
    Ok(got.len() as u64)
}

fn read_any(run: &mut Run<'_>, [to, len, from, ..]: [u64; 5]) -> Result<u64, Fault> {
    read(run, Space::Either, to, len, from)
}

fn read_kernel(run: &mut Run<'_>, [to, len, from, ..]: [u64; 5]) -> Result<u64, Fault> {
    read(run, Space::Kernel, to, len, from)
}

fn read_user(run: &mut Run<'_>, [to, len, from, ..]: [u64; 5]) -> Result<u64, Fault> {
    read(run, Space::User, to, len, from)
}

fn read_any_str(run: &mut Run<'_>, [to, len, from, ..]: [u64; 5]) -> Result<u64, Fault> {
    read_str(run, Space::Either, to, len, from)
}

fn read_kernel_str(run: &mut Run<'_>, [to, len, from, ..]: [u64; 5]) -> Result<u64, Fault> {
    read_str(run, Space::Kernel, to, len, from)
}

fn read_user_str(run: &mut Run<'_>, [to, len, from, ..]: [u64; 5]) -> Result<u64, Fault> {
    read_str(run, Space::User, to, len, from)
}

fn copy_from_user(run: &mut Run<'_>, [to, len, from, ..]: [u64; 5]) -> Result<u64, Fault> {
    read(run, Space::User, to, len, from)
}

/// Writes into the process' memory, which is also an output.
fn write_user(run: &mut Run<'_>, [to, from, len, ..]: [u64; 5]) -> Result<u64, Fault> {
    let data = run.bytes(from, u64::from(len as u32))?.to_vec();
    let place = run.world.values.user_memory.iter_mut().find_map(|(start, bytes)| {
        let off = usize::try_from(to.checked_sub(*start)?).ok()?;
        bytes.get_mut(off..off.checked_add(data.len())?)
    });
    let Some(place) = place else { return Ok(errno(Errno::EFAULT)) };
    place.copy_from_slice(&data);
    run.world.out.user_writes.push((to, data));
    Ok(0)
}
