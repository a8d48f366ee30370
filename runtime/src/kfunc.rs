//! Kernel functions that are modelled, by name. Not here: which programs may call them (verifier).

mod strings;

use std::sync::Arc;

use spec::Errno;

use crate::fault::Fault;
use crate::helper::HelperFn;
use crate::helper::dynptr::{self, Dynptr, Sort};
use crate::image::Meaning;
use crate::map::Store;
use crate::run::Run;

/// What a kfunc call in a program means. `insn.imm` is a BTF id of the kernel, `insn.off` 0 for vmlinux.
pub fn resolve(insn: isa::Insn, vmlinux: Option<&btf::Btf>) -> Meaning {
    if insn.off != 0 {
        return Meaning::Missing(format!("kfunc #{} of a module", insn.imm).into());
    }
    let Some(btf) = vmlinux else {
        return Meaning::Missing(format!("kfunc #{}: the kernel's BTF is needed to know its name", insn.imm).into());
    };
    let name: Arc<str> = btf.name(insn.imm as u32).into();
    match by_name(&name) {
        Some(function) => Meaning::Kfunc { name, function },
        None => Meaning::Missing(format!("kfunc {name}").into()),
    }
}

/// Every kfunc that is modelled here; strings have their own file.
const MODELLED: &[(&str, HelperFn)] = &[
    ("bpf_arena_alloc_pages", arena_alloc),
    ("bpf_arena_free_pages", arena_free),
    ("bpf_dynptr_adjust", dynptr_adjust),
    ("bpf_dynptr_clone", dynptr_clone),
    ("bpf_dynptr_from_skb", dynptr_from_packet),
    ("bpf_dynptr_from_xdp", dynptr_from_packet),
    ("bpf_dynptr_is_null", dynptr_is_null),
    ("bpf_dynptr_is_rdonly", dynptr_is_rdonly),
    ("bpf_dynptr_size", dynptr_size),
    ("bpf_dynptr_slice", dynptr_slice),
    ("bpf_dynptr_slice_rdwr", dynptr_slice_rdwr),
    ("bpf_cgroup_acquire", first_argument),
    ("bpf_cgroup_release", nothing),
    ("bpf_iter_num_destroy", iter_num_destroy),
    ("bpf_iter_num_new", iter_num_new),
    ("bpf_iter_num_next", iter_num_next),
    ("bpf_local_irq_restore", nothing),
    ("bpf_local_irq_save", nothing),
    ("bpf_preempt_disable", nothing),
    ("bpf_preempt_enable", nothing),
    ("bpf_rcu_read_lock", nothing),
    ("bpf_rcu_read_unlock", nothing),
    ("bpf_rdonly_cast", first_argument),
    ("bpf_task_acquire", first_argument),
    ("bpf_task_release", nothing),
    ("bpf_throw", throw),
];

/// The function behind a kfunc's name.
pub fn by_name(name: &str) -> Option<HelperFn> {
    modelled().find(|(n, _)| *n == name).map(|(_, f)| f)
}

/// Every kfunc that is modelled.
pub fn modelled() -> impl Iterator<Item = (&'static str, HelperFn)> {
    MODELLED.iter().chain(strings::FAMILY).copied()
}

/// What a kfunc that returns `int` leaves in r0: 32 bits.
fn int(value: i32) -> u64 {
    u64::from(value as u32)
}

fn errno(e: Errno) -> u64 {
    u64::from(crate::helper::errno(e) as u32)
}

/// Critical sections and references: there is one thread, nothing interrupts it, and objects live as long as the run.
fn nothing(_: &mut Run<'_>, _: [u64; 5]) -> Result<u64, Fault> {
    Ok(0)
}

fn first_argument(_: &mut Run<'_>, [value, ..]: [u64; 5]) -> Result<u64, Fault> {
    Ok(value)
}

/// The engine sees `thrown` and unwinds; `Run::settle` has the rest.
fn throw(run: &mut Run<'_>, [cookie, ..]: [u64; 5]) -> Result<u64, Fault> {
    run.thrown = Some(cookie);
    Ok(0)
}

// --- bpf_iter_num: two ints, the current number and the end ---------------------------------------------------------------------------

fn iter_bytes(current: i32, end: i32) -> [u8; 8] {
    let mut out = [0; 8];
    out[..4].copy_from_slice(&current.to_le_bytes());
    out[4..].copy_from_slice(&end.to_le_bytes());
    out
}

fn iter_num_new(run: &mut Run<'_>, [iter, start, end, ..]: [u64; 5]) -> Result<u64, Fault> {
    const MAX_LOOPS: i64 = 8 << 20;
    let (start, end) = (start as i32, end as i32);
    let refused = if start > end {
        Some(Errno::EINVAL)
    } else {
        (i64::from(end) - i64::from(start) > MAX_LOOPS).then_some(Errno::E2BIG)
    };
    let state = if refused.is_some() { iter_bytes(0, 0) } else { iter_bytes(start.wrapping_sub(1), end) };
    run.write(iter, &state)?;
    Ok(refused.map_or(0, errno))
}

/// The address of the current number, which is the iterator's own.
fn iter_num_next(run: &mut Run<'_>, [iter, ..]: [u64; 5]) -> Result<u64, Fault> {
    let state = run.bytes(iter, 8)?;
    let word = |at: usize| i32::from_le_bytes([state[at], state[at + 1], state[at + 2], state[at + 3]]);
    let (next, end) = (word(0).wrapping_add(1), word(4));
    if next >= end {
        run.write(iter, &iter_bytes(0, 0))?;
        return Ok(0);
    }
    run.write(iter, &iter_bytes(next, end))?;
    Ok(iter)
}

fn iter_num_destroy(run: &mut Run<'_>, [iter, ..]: [u64; 5]) -> Result<u64, Fault> {
    run.write(iter, &iter_bytes(0, 0))?;
    Ok(0)
}

// --- arena ----------------------------------------------------------------------------------------------------------------------------

fn arena_alloc(run: &mut Run<'_>, [map, hint, pages, _, flags]: [u64; 5]) -> Result<u64, Fault> {
    let map = run.map(map).ok_or_else(|| Fault::arg("arena_alloc_pages", 1, "not a map"))?;
    let Store::Arena(arena) = &map.store else { return Err(map.unmodelled("bpf_arena_alloc_pages")) };
    if flags != 0 {
        return Ok(0);
    }
    Ok(arena.allocate(hint, pages as u32).unwrap_or(0))
}

fn arena_free(run: &mut Run<'_>, [map, addr, pages, ..]: [u64; 5]) -> Result<u64, Fault> {
    let map = run.map(map).ok_or_else(|| Fault::arg("arena_free_pages", 1, "not a map"))?;
    let Store::Arena(arena) = &map.store else { return Err(map.unmodelled("bpf_arena_free_pages")) };
    arena.free(addr, pages as u32);
    Ok(0)
}

// --- dynptrs --------------------------------------------------------------------------------------------------------------------------

fn dynptr_from_packet(run: &mut Run<'_>, [ctx, flags, to, ..]: [u64; 5]) -> Result<u64, Fault> {
    if ctx != run.ctx.addr() && Some(ctx) != run.ctx.skb_object {
        return Err(Fault::arg("dynptr_from_packet", 1, "not the context"));
    }
    match dynptr::of_packet(run) {
        Some(d) if flags == 0 => {
            run.write(to, &d.bytes())?;
            Ok(0)
        }
        _ => {
            run.write(to, &dynptr::NULL)?;
            Ok(errno(Errno::EINVAL))
        }
    }
}

/// Cuts to `start..end` of what it describes now.
fn dynptr_adjust(run: &mut Run<'_>, [addr, start, end, ..]: [u64; 5]) -> Result<u64, Fault> {
    let d = Dynptr::read(run, addr)?;
    let (start, end) = (start as u32, end as u32);
    if d.data == 0 || start > end {
        return Ok(errno(Errno::EINVAL));
    }
    if start > d.size || end > d.size {
        return Ok(errno(Errno::ERANGE));
    }
    run.write(addr, &Dynptr { offset: d.offset + start, size: end - start, ..d }.bytes())?;
    Ok(0)
}

fn dynptr_clone(run: &mut Run<'_>, [from, to, ..]: [u64; 5]) -> Result<u64, Fault> {
    let d = Dynptr::read(run, from)?;
    let (bytes, answer) = if d.data == 0 { (dynptr::NULL, errno(Errno::EINVAL)) } else { (d.bytes(), 0) };
    run.write(to, &bytes)?;
    Ok(answer)
}

fn dynptr_is_null(run: &mut Run<'_>, [addr, ..]: [u64; 5]) -> Result<u64, Fault> {
    Ok((Dynptr::read(run, addr)?.data == 0).into())
}

fn dynptr_is_rdonly(run: &mut Run<'_>, [addr, ..]: [u64; 5]) -> Result<u64, Fault> {
    let d = Dynptr::read(run, addr)?;
    Ok((d.data != 0 && d.read_only).into())
}

fn dynptr_size(run: &mut Run<'_>, [addr, ..]: [u64; 5]) -> Result<u64, Fault> {
    let d = Dynptr::read(run, addr)?;
    Ok(if d.data == 0 { errno(Errno::EINVAL) } else { d.size.into() })
}

/// A pointer to `len` bytes at `off`. Packets are linear here, so that the program's buffer is never needed.
fn slice(run: &mut Run<'_>, [addr, off, _, len, _]: [u64; 5], write: bool) -> Result<u64, Fault> {
    let d = Dynptr::read(run, addr)?;
    let (off, len) = (u64::from(off as u32), u64::from(len as u32));
    if d.data == 0 || (write && d.read_only) || !d.holds(off, len) {
        return Ok(0);
    }
    let at = u64::from(d.offset) + off;
    if matches!(d.sort, Sort::Skb | Sort::Xdp) {
        let place = run.ctx.packet.as_ref().filter(|p| at + len <= p.len() as u64).map(|p| p.address(p.data) + at);
        return Ok(place.unwrap_or(0));
    }
    Ok(d.data + at)
}

fn dynptr_slice(run: &mut Run<'_>, args: [u64; 5]) -> Result<u64, Fault> {
    slice(run, args, false)
}

fn dynptr_slice_rdwr(run: &mut Run<'_>, args: [u64; 5]) -> Result<u64, Fault> {
    slice(run, args, true)
}
