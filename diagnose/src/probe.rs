//! What a path says about the inputs that lead down it: packet bytes that it compares, sizes that it asks for, context fields that it reads.
//! Running anything on such an input is not done here.

use crate::log::insn::{Op, Rhs};
use crate::log::state::Place;
use crate::path::Path;

/// Hints for inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Bytes at an offset of the packet that the path needs.
    pub bytes: Vec<(usize, Vec<u8>)>,
    /// Offsets at which the packet may have to end.
    pub sizes: Vec<usize>,
    /// Offsets of context fields that are read.
    pub ctx: Vec<i32>,
}

/// Steps that are looked at.
const MOST: usize = 4096;

pub fn probe(path: &Path<'_>) -> Probe {
    let mut found = Probe::default();
    let end = path.steps.len().min(MOST);
    for (i, step) in path.steps.iter().enumerate().take(end) {
        let Op::Load { base, off, size, .. } = step.op else { continue };
        let Some(v) = path.value(i, Place::Reg(base)) else { continue };
        if v.kind == "ctx" {
            push(&mut found.ctx, off + v.off as i32);
        } else if v.is_packet() {
            push(&mut found.sizes, (v.off + i64::from(off) + i64::from(size)).clamp(0, 4096) as usize);
        }
    }
    for check in path.checks(end) {
        match check.right {
            Rhs::Reg(_) => {
                let pointer = path.value(check.step, Place::Reg(check.left)).filter(|v| v.is_packet());
                if let Some(v) = pointer {
                    push(&mut found.sizes, v.off.clamp(0, 4096) as usize);
                }
            }
            Rhs::Imm(n) => {
                let equal = matches!((check.op.as_str(), check.taken), ("==", true) | ("!=", false));
                let at_least = matches!((check.op.as_str(), check.taken), ("<" | "s<", false) | (">=" | "s>=", true));
                if equal || at_least {
                    bytes(path, check.step, check.left, n, &mut found.bytes);
                }
            }
        }
    }
    found
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) && list.len() < 32 {
        list.push(item);
    }
}

/// Where in the packet a compared number was read, and what has to be there.
fn bytes(path: &Path<'_>, step: usize, reg: u8, value: i64, out: &mut Vec<(usize, Vec<u8>)>) {
    let (mut at, mut reg) = (step, reg);
    for _ in 0..16 {
        let Some(def) = path.definition(at, reg) else { return };
        match path.steps[def].op {
            Op::Mov { src: Rhs::Reg(r), .. } => (at, reg) = (def, r),
            Op::Alu { ref op, src: Rhs::Imm(_), .. } if op == "&" => at = def,
            Op::Load { base, off, size, .. } => {
                let Some(v) = path.value(def, Place::Reg(base)).filter(|v| v.is_packet() && v.id == 0) else { return };
                let Ok(offset) = usize::try_from(v.off + i64::from(off)) else { return };
                let new = value.to_le_bytes()[..usize::from(size.min(8))].to_vec();
                match out.iter_mut().find(|(o, b)| *o == offset && b.len() == new.len()) {
                    Some((_, old)) => old.iter_mut().zip(&new).for_each(|(o, n)| *o |= n),
                    None => out.push((offset, new)),
                }
                return;
            }
            _ => return,
        }
    }
}
