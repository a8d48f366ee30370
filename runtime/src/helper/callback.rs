//! Helpers that call back into the program, tail calls, and timers (which are recorded, not fired).

use spec::Errno;

use super::{Family, callback_arg, errno, map_arg};
use crate::fault::Fault;
use crate::helper::dynptr;
use crate::map::Store;
use crate::region::Kind;
use crate::run::{MAX_TAIL_CALLS, Run};
use crate::world::Timer;

pub const FAMILY: Family = &[
    (12, tail_call),
    (164, for_each_map_elem),
    (169, timer_init),
    (170, timer_set_callback),
    (171, timer_start),
    (172, timer_cancel),
    (181, repeat),
    (209, user_ringbuf_drain),
];

/// Most iterations of bpf_loop.
pub const MAX_LOOPS: u32 = 8 << 20;

/// On success the engine finds the target in `run.tail_target`.
fn tail_call(run: &mut Run<'_>, [ctx, map, index, ..]: [u64; 5]) -> Result<u64, Fault> {
    super::ctx_arg(run, "tail_call", ctx)?;
    let map = map_arg(run, "tail_call", 2, map)?.clone();
    let Store::Programs(programs) = &map.store else { return Err(map.unmodelled("bpf_tail_call")) };
    if run.tail_calls >= MAX_TAIL_CALLS {
        return Ok(0);
    }
    if let Some(target) = programs.target(index as u32) {
        run.tail_calls += 1;
        run.adopt_maps(&target);
        run.tail_target = Some(target);
    }
    Ok(0)
}

fn repeat(run: &mut Run<'_>, [count, callback, ctx, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    let entry = callback_arg(run, "loop", 2, callback)?;
    if flags != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let count = count as u32;
    if count > MAX_LOOPS {
        return Ok(errno(Errno::E2BIG));
    }
    for i in 0..count {
        let stop = run.call_back(entry, [i.into(), ctx, 0, 0, 0])?;
        if stop != 0 || run.thrown.is_some() {
            return Ok(u64::from(i) + 1);
        }
    }
    Ok(count.into())
}

fn for_each_map_elem(run: &mut Run<'_>, [handle, callback, ctx, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "for_each_map_elem", 1, handle)?.clone();
    let entry = callback_arg(run, "for_each_map_elem", 2, callback)?;
    if flags != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let cpu = run.world.cpu();
    let mut done = 0;
    match &map.store {
        Store::Array(array) => {
            for index in 0..array.entries() {
                let key = index.to_le_bytes();
                let Some(value) = array.lookup(&key, cpu) else { break };
                let key = run.allocate(Kind::MapKey, &key, false)?;
                let stop = run.call_back(entry, [handle, key, value, ctx, 0]);
                run.release(key);
                done += 1;
                if stop? != 0 || run.thrown.is_some() {
                    break;
                }
            }
        }
        Store::Hash(hash) => {
            for (slot, key, value) in hash.elements(cpu) {
                if !hash.is_live(slot) {
                    continue;
                }
                done += 1;
                if run.call_back(entry, [handle, key, value, ctx, 0])? != 0 || run.thrown.is_some() {
                    break;
                }
            }
        }
        _ => return Err(map.unmodelled("bpf_for_each_map_elem")),
    }
    Ok(done)
}

/// Flags: BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP, without effect here.
fn user_ringbuf_drain(run: &mut Run<'_>, [map, callback, ctx, flags, _]: [u64; 5]) -> Result<u64, Fault> {
    let map = map_arg(run, "user_ringbuf_drain", 1, map)?.clone();
    let entry = callback_arg(run, "user_ringbuf_drain", 2, callback)?;
    let Store::UserRingBuf(ring) = &map.store else { return Err(map.unmodelled("bpf_user_ringbuf_drain")) };
    if flags & !3 != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let mut done = 0;
    // The kernel stops after this many samples of one call.
    const MAX_SAMPLES: u64 = 128 * 1024;
    while done < MAX_SAMPLES {
        let Some(sample) = ring.take() else { break };
        let data = run.allocate(Kind::Mem, &sample, false)?;
        let dynptr = run.allocate(Kind::Mem, &dynptr::local(data, sample.len() as u32, true), false)?;
        let stop = run.call_back(entry, [dynptr, ctx, 0, 0, 0]);
        run.release(dynptr);
        run.release(data);
        done += 1;
        if stop? != 0 || run.thrown.is_some() {
            break;
        }
    }
    Ok(done)
}

/// A timer's 16 bytes in the map value: its number (0: not initialised), then the entry slot of its callback plus one.
struct Slot {
    number: u64,
    callback: u64,
}

fn timer_slot(run: &mut Run<'_>, addr: u64) -> Result<Slot, Fault> {
    let bytes = run.bytes(addr, 16)?;
    let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    Ok(Slot { number: word(0), callback: word(8) })
}

fn timer_init(run: &mut Run<'_>, [timer, map, clock, ..]: [u64; 5]) -> Result<u64, Fault> {
    let name = map_arg(run, "timer_init", 2, map)?.name().to_string();
    // CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME.
    if !matches!(clock, 0 | 1 | 7) {
        return Ok(errno(Errno::EINVAL));
    }
    if timer_slot(run, timer)?.number != 0 {
        return Ok(errno(Errno::EBUSY));
    }
    let number = run.world.add_timer(name);
    run.write(timer, &number.to_le_bytes())?;
    Ok(0)
}

fn timer_set_callback(run: &mut Run<'_>, [timer, callback, ..]: [u64; 5]) -> Result<u64, Fault> {
    let entry = callback_arg(run, "timer_set_callback", 2, callback)?;
    if timer_slot(run, timer)?.number == 0 {
        return Ok(errno(Errno::EINVAL));
    }
    run.write(timer + 8, &(u64::from(entry) + 1).to_le_bytes())?;
    Ok(0)
}

/// Flags: BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN.
fn timer_start(run: &mut Run<'_>, [timer, nsecs, flags, ..]: [u64; 5]) -> Result<u64, Fault> {
    let slot = timer_slot(run, timer)?;
    if flags & !3 != 0 || slot.number == 0 || slot.callback == 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let map = run.world.arm_timer(slot.number);
    let callback = Some(slot.callback as u32 - 1);
    run.world.out.timers.push(Timer { map, nsecs, flags, callback });
    Ok(0)
}

/// 1 if the timer was armed.
fn timer_cancel(run: &mut Run<'_>, [timer, ..]: [u64; 5]) -> Result<u64, Fault> {
    let slot = timer_slot(run, timer)?;
    if slot.number == 0 {
        return Ok(errno(Errno::EINVAL));
    }
    run.write(timer + 8, &0u64.to_le_bytes())?;
    Ok(run.world.disarm_timer(slot.number).into())
}
