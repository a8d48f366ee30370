//! Helpers of tracing and cgroup programs about their attachment: arguments, return values, cookies, call stacks.

use spec::{AttachType, Errno};

use super::{Family, ctx_arg, errno, map_arg};
use crate::fault::Fault;
use crate::map::Store;
use crate::run::Run;

pub const FAMILY: Family = &[
    (27, stackid),
    (58, override_return),
    (67, stack),
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

/// BPF_F_USER_STACK, and BPF_F_USER_BUILD_ID of bpf_get_stack.
const USER_STACK: u64 = 1 << 8;
const USER_BUILD_ID: u64 = 1 << 11;

fn world_stack(run: &Run<'_>, flags: u64) -> Vec<u64> {
    let values = &run.world.values;
    if flags & USER_STACK != 0 { values.user_stack.clone() } else { values.kernel_stack.clone() }
}

/// Flags: frames to skip in the low byte, user stack, fast comparison, reuse of an id.
fn stackid(run: &mut Run<'_>, [ctx, map, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "get_stackid", ctx)?;
    let map = map_arg(run, "get_stackid", 2, map)?.clone();
    let Store::StackTraces(stacks) = &map.store else { return Err(map.unmodelled("bpf_get_stackid")) };
    if stacks.has_build_ids() {
        return Err(Fault::unsupported("stack traces with build ids"));
    }
    if flags & !0x7ff != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let stack = world_stack(run, flags);
    Ok(stacks.store(&stack, flags).map_or_else(errno, u64::from))
}

/// Copies the stack and zeroes the rest of the buffer; the result is the number of bytes.
fn stack(run: &mut Run<'_>, [ctx, to, size, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    ctx_arg(run, "get_stack", ctx)?;
    let size = size as u32 as usize;
    if size > 0 {
        run.check(to, size as u64, true)?;
    }
    if flags & USER_BUILD_ID != 0 {
        return Err(Fault::unsupported("stack traces with build ids"));
    }
    if flags & !(0xff | USER_STACK) != 0 || !size.is_multiple_of(8) {
        run.write(to, &vec![0; size])?;
        return Ok(errno(Errno::EINVAL));
    }
    let stack = world_stack(run, flags);
    let skipped = stack.get((flags & 0xff) as usize..).unwrap_or_default();
    if skipped.is_empty() {
        run.write(to, &vec![0; size])?;
        return Ok(errno(Errno::EFAULT));
    }
    let mut out: Vec<u8> = skipped.iter().flat_map(|ip| ip.to_le_bytes()).collect();
    out.truncate(size);
    let used = out.len();
    out.resize(size, 0);
    run.write(to, &out)?;
    Ok(used as u64)
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
