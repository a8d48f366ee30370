//! Time, randomness, the current task, CPUs and cgroups: everything that the world answers.

use std::collections::BTreeMap;

use spec::Errno;

use super::{Family, errno, map_arg};
use crate::fault::Fault;
use crate::input::FieldValue;
use crate::map::Store;
use crate::object::Objects;
use crate::region::{Kind, Region};
use crate::run::Run;

pub const FAMILY: Family = &[
    (5, ktime),
    (7, prandom),
    (8, cpu),
    (14, pid_tgid),
    (15, uid_gid),
    (16, comm),
    (17, classid),
    (35, current_task),
    (37, under_cgroup),
    (42, numa_node),
    (80, cgroup_id),
    (109, send_signal),
    (117, send_signal_thread),
    (118, jiffies),
    (120, ns_pid_tgid),
    (123, ancestor_cgroup_id),
    (125, ktime_boot),
    (158, current_task),
    (160, ktime),
    (208, ktime_tai),
];

fn ktime(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.ktime())
}

fn ktime_boot(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.ktime().wrapping_add(run.world.values.boot_offset_ns))
}

fn ktime_tai(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.ktime().wrapping_add(run.world.values.tai_offset_ns))
}

fn jiffies(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.values.jiffies)
}

fn prandom(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.random().into())
}

fn cpu(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.cpu().into())
}

fn numa_node(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.values.numa_node.into())
}

fn pid_tgid(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    let task = &run.world.values.task;
    Ok(u64::from(task.tgid) << 32 | u64::from(task.pid))
}

fn uid_gid(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    let task = &run.world.values.task;
    Ok(u64::from(task.gid) << 32 | u64::from(task.uid))
}

/// The name cut to 15 bytes as in the kernel, the rest of the buffer zeroed.
fn comm(run: &mut Run<'_>, [to, size, ..]: [u64; 5]) -> Result<u64, Fault> {
    let size = size as u32 as usize;
    run.check(to, size as u64, true)?;
    let mut out = vec![0; size];
    let name = run.world.values.task.comm.as_bytes();
    let n = name.len().min(15).min(size.saturating_sub(1));
    out[..n].copy_from_slice(&name[..n]);
    run.write(to, &out)?;
    Ok(0)
}

fn classid(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.values.task.cgroup_classid.into())
}

fn cgroup_id(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(run.world.values.task.cgroup_id)
}

fn ancestor_cgroup_id(run: &mut Run<'_>, [level, ..]: [u64; 5]) -> Result<u64, Fault> {
    let path = &run.world.values.task.cgroup_path;
    Ok(usize::try_from(level as i32).ok().and_then(|l| path.get(l)).copied().unwrap_or(0))
}

/// Slots of a CGROUP_ARRAY hold cgroup ids here.
fn under_cgroup(run: &mut Run<'_>, [map, index, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "current_task_under_cgroup", 1, map)?.clone();
    let Store::Array(array) = &map.store else { return Err(map.unmodelled("bpf_current_task_under_cgroup")) };
    if index as u32 >= array.entries() {
        return Ok(errno(Errno::E2BIG));
    }
    let id =
        array.get(&(index as u32).to_le_bytes()).map_or(0, |v| u64::from(u32::from_le_bytes([v[0], v[1], v[2], v[3]])));
    if id == 0 {
        return Ok(errno(Errno::EAGAIN));
    }
    Ok(run.world.values.task.cgroup_path.contains(&id).into())
}

fn ns_pid_tgid(run: &mut Run<'_>, [dev, ino, to, size, _]: [u64; 5]) -> Result<u64, Fault> {
    let task = &run.world.values.task;
    let (pid, tgid, known) = (task.pid, task.tgid, dev == task.pidns_dev && ino == task.pidns_ino);
    run.check(to, u64::from(size as u32), true)?;
    if size as u32 != 8 || !known {
        run.write(to, &vec![0; size as u32 as usize])?;
        return Ok(errno(Errno::EINVAL));
    }
    run.write(to, &(u64::from(tgid) << 32 | u64::from(pid)).to_le_bytes())?;
    Ok(0)
}

fn send_signal(run: &mut Run<'_>, [signal, ..]: [u64; 5]) -> Result<u64, Fault> {
    signalled(run, signal, false)
}

fn send_signal_thread(run: &mut Run<'_>, [signal, ..]: [u64; 5]) -> Result<u64, Fault> {
    signalled(run, signal, true)
}

fn signalled(run: &mut Run<'_>, signal: u64, thread: bool) -> Result<u64, Fault> {
    if signal as u32 > 64 {
        return Ok(errno(Errno::EINVAL));
    }
    run.world.out.signals.push((signal as u32, thread));
    Ok(0)
}

/// The current task as a kernel object, made from the world's values on first use.
fn current_task(run: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    if let Some(addr) = run.current_task {
        return Ok(addr);
    }
    let task = &run.world.values.task;
    let number = |n: u32| FieldValue::UInt(n.into());
    let fields = BTreeMap::from([
        ("pid".to_string(), number(task.pid)),
        ("tgid".to_string(), number(task.tgid)),
        ("comm".to_string(), FieldValue::Text(task.comm.clone())),
        ("cred.uid.val".to_string(), number(task.uid)),
        ("cred.gid.val".to_string(), number(task.gid)),
        ("real_parent.pid".to_string(), number(1)),
        ("real_parent.tgid".to_string(), number(1)),
        ("group_leader.pid".to_string(), number(task.tgid)),
        ("group_leader.tgid".to_string(), number(task.tgid)),
    ]);
    let mut objects = Objects::new(run.image.vmlinux.clone());
    let addr = objects.make("task_struct", &fields).map_err(|e| Fault::unsupported(format!("current task: {e}")))?;
    for block in objects.into_blocks() {
        run.regions.insert(Region::new(Kind::Kernel, block.addr(), block.len() as u64).read_only());
        run.blocks.push(block);
    }
    run.current_task = Some(addr);
    Ok(addr)
}
