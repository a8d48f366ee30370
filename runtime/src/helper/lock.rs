//! bpf_spin_lock and kptr exchange. There is one thread: a lock only has to be given back, once.

use super::Family;
use crate::fault::{Fault, FaultKind};
use crate::run::{Resource, Run};

pub const FAMILY: Family = &[(93, lock), (94, unlock), (194, kptr_xchg)];

fn lock(run: &mut Run<'_>, [addr, ..]: [u64; 5]) -> Result<u64, Fault> {
    run.check(addr, 4, true)?;
    if run.resources.contains(&Resource::Lock(addr)) {
        return Err(Fault::new(FaultKind::Resource("bpf_spin_lock taken twice: a deadlock".into())));
    }
    run.resources.push(Resource::Lock(addr));
    Ok(0)
}

fn unlock(run: &mut Run<'_>, [addr, ..]: [u64; 5]) -> Result<u64, Fault> {
    match run.resources.iter().position(|r| *r == Resource::Lock(addr)) {
        Some(at) => {
            run.resources.remove(at);
            Ok(0)
        }
        None => Err(Fault::new(FaultKind::Resource("bpf_spin_unlock of a lock that is not held".into()))),
    }
}

fn kptr_xchg(run: &mut Run<'_>, [place, new, ..]: [u64; 5]) -> Result<u64, Fault> {
    let old = run.load(place, 8)?;
    run.store(place, 8, new)?;
    Ok(old)
}
