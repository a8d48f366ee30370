//! Helpers of tracing and cgroup programs about their attachment: arguments, return values, cookies, sysctl buffers.

use spec::{AttachType, Errno};

use super::{Family, ctx_arg, errno};
use crate::fault::Fault;
use crate::run::Run;

pub const FAMILY: Family = &[
    (58, override_return),
    (173, func_ip),
    (174, attach_cookie),
    (183, func_arg),
    (184, func_ret),
    (185, func_arg_cnt),
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

/// Arguments of the attached function; the context has them in order, then the result.
fn attached(run: &Run<'_>, helper: &'static str, ctx: u64) -> Result<u32, Fault> {
    ctx_arg(run, helper, ctx)?;
    run.image
        .attach_args
        .ok_or_else(|| Fault::unsupported(format!("helper bpf_{helper} without a known attach target")))
}

fn func_arg(run: &mut Run<'_>, [ctx, n, to, ..]: [u64; 5]) -> Result<u64, Fault> {
    let count = attached(run, "get_func_arg", ctx)?;
    let n = n as u32;
    if n >= count {
        return Ok(errno(Errno::EINVAL));
    }
    let value = run.load(ctx + u64::from(n) * 8, 8)?;
    run.write(to, &value.to_le_bytes())?;
    Ok(0)
}

fn func_arg_cnt(run: &mut Run<'_>, [ctx, ..]: [u64; 5]) -> Result<u64, Fault> {
    attached(run, "get_func_arg_cnt", ctx).map(u64::from)
}

/// Only an exit or a modifying program has a result to ask for.
fn func_ret(run: &mut Run<'_>, [ctx, to, ..]: [u64; 5]) -> Result<u64, Fault> {
    let count = attached(run, "get_func_ret", ctx)?;
    if !matches!(AttachType::from_raw(run.image.attach_type), Some(AttachType::TraceFexit | AttachType::ModifyReturn)) {
        return Ok(errno(Errno::EOPNOTSUPP));
    }
    let value = run.load(ctx + u64::from(count) * 8, 8)?;
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
