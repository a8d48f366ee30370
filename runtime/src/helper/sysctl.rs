//! bpf_sysctl_*: name and values of the sysctl that a CGROUP_SYSCTL program watches. They come from the world.

use spec::Errno;

use super::{Family, ctx_arg, errno};
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family = &[(101, name), (102, current), (103, new), (104, set_new)];

/// Copies text with its NUL; what does not fit is cut and answers E2BIG.
fn give(run: &mut Run<'_>, text: &[u8], to: u64, size: u64) -> Result<u64, Fault> {
    let size = size as u32 as usize;
    if size == 0 {
        return Ok(errno(Errno::EINVAL));
    }
    run.check(to, size as u64, true)?;
    let kept = text.len().min(size - 1);
    let mut out = vec![0; size];
    out[..kept].copy_from_slice(&text[..kept]);
    run.write(to, &out)?;
    Ok(if kept < text.len() { errno(Errno::E2BIG) } else { kept as u64 })
}

/// Flags: BPF_F_SYSCTL_BASE_NAME wants the last component only.
fn name(run: &mut Run<'_>, [ctx, to, size, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "sysctl_get_name", ctx)?;
    if flags & !1 != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let full = run.world.values.sysctl.name.clone();
    let text = if flags == 1 { full.rsplit('/').next().unwrap_or_default() } else { &full };
    give(run, text.as_bytes(), to, size)
}

fn current(run: &mut Run<'_>, [ctx, to, size, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "sysctl_get_current_value", ctx)?;
    let text = run.world.values.sysctl.current.clone();
    give(run, text.as_bytes(), to, size)
}

/// EINVAL when the sysctl is being read.
fn new(run: &mut Run<'_>, [ctx, to, size, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "sysctl_get_new_value", ctx)?;
    match run.world.values.sysctl.new.clone() {
        Some(text) => give(run, text.as_bytes(), to, size),
        None => {
            run.check(to, u64::from(size as u32), true)?;
            run.write(to, &vec![0; size as u32 as usize])?;
            Ok(errno(Errno::EINVAL))
        }
    }
}

fn set_new(run: &mut Run<'_>, [ctx, from, size, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "sysctl_set_new_value", ctx)?;
    let text = run.bytes(from, u64::from(size as u32))?;
    let sysctl = &mut run.world.values.sysctl;
    if sysctl.new.is_none() || text.is_empty() {
        return Ok(errno(Errno::EINVAL));
    }
    if text.len() > 4096 {
        return Ok(errno(Errno::E2BIG));
    }
    sysctl.new = Some(String::from_utf8_lossy(&text).into_owned());
    Ok(0)
}
