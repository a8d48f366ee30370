//! Helpers of tracing and cgroup programs about their attachment: arguments, return values, cookies, sysctl buffers.

use spec::{Errno, ProgType};

use super::{Family, ctx_arg, errno};
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family = &[
    (58, override_return),
    (173, func_ip),
    (174, attach_cookie),
    (183, func_arg),
    (186, get_retval),
    (187, set_retval),
];

fn attach_cookie(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "get_attach_cookie", ctx)?;
    Ok(run.world.values.attach_cookie)
}

fn func_ip(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "get_func_ip", ctx)?;
    Ok(run.world.values.func_ip)
}

/// The result of the probed function, and the instruction pointer moved to where it returns.
fn override_return(run: &mut Run<'_>, [ctx, value, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "override_return", ctx)?;
    run.world.out.overridden = Some(value);
    Ok(0)
}

fn func_arg(run: &mut Run<'_>, [ctx, n, to, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "get_func_arg", ctx)?;
    if run.ctx.prog_type != ProgType::Tracing {
        return Err(Fault::unsupported("helper bpf_get_func_arg outside of TRACING"));
    }
    let n = n as u32;
    if n >= run.ctx.size() / 8 {
        return Ok(errno(Errno::EINVAL));
    }
    let value = run.load(ctx + u64::from(n) * 8, 8)?;
    run.write(to, &value.to_le_bytes())?;
    Ok(0)
}

fn get_retval(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(i64::from(run.retval) as u64)
}

fn set_retval(run: &mut Run<'_>, [value, ..]: [u64; 5]) -> Result<u64, Fault> {
    run.retval = value as i32;
    Ok(0)
}
