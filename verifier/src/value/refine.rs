//! Comparisons of abstract numbers: is the outcome certain, and what each outcome teaches. Pointers are not compared here.

use std::cell::Cell;

use super::{Rules, Scalar, Tnum, Width, early};

/// A condition between two numbers. `NotSet` has no instruction: it is what a failed `Set` means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cmp {
    Eq,
    Ne,
    /// Some bit of the right operand is set in the left one (`if a & b`).
    Set,
    NotSet,
    Gt,
    Ge,
    Lt,
    Le,
    Sgt,
    Sge,
    Slt,
    Sle,
}

impl Cmp {
    pub const fn of(op: isa::JumpOp) -> Cmp {
        match op {
            isa::JumpOp::Eq => Cmp::Eq,
            isa::JumpOp::Ne => Cmp::Ne,
            isa::JumpOp::Set => Cmp::Set,
            isa::JumpOp::Gt => Cmp::Gt,
            isa::JumpOp::Ge => Cmp::Ge,
            isa::JumpOp::Lt => Cmp::Lt,
            isa::JumpOp::Le => Cmp::Le,
            isa::JumpOp::Sgt => Cmp::Sgt,
            isa::JumpOp::Sge => Cmp::Sge,
            isa::JumpOp::Slt => Cmp::Slt,
            isa::JumpOp::Sle => Cmp::Sle,
        }
    }

    /// The condition that holds when this one does not.
    pub const fn negate(self) -> Cmp {
        match self {
            Cmp::Eq => Cmp::Ne,
            Cmp::Ne => Cmp::Eq,
            Cmp::Set => Cmp::NotSet,
            Cmp::NotSet => Cmp::Set,
            Cmp::Gt => Cmp::Le,
            Cmp::Ge => Cmp::Lt,
            Cmp::Lt => Cmp::Ge,
            Cmp::Le => Cmp::Gt,
            Cmp::Sgt => Cmp::Sle,
            Cmp::Sge => Cmp::Slt,
            Cmp::Slt => Cmp::Sge,
            Cmp::Sle => Cmp::Sgt,
        }
    }

    /// The same condition with its operands exchanged.
    pub const fn mirror(self) -> Cmp {
        match self {
            Cmp::Gt => Cmp::Lt,
            Cmp::Ge => Cmp::Le,
            Cmp::Lt => Cmp::Gt,
            Cmp::Le => Cmp::Ge,
            Cmp::Sgt => Cmp::Slt,
            Cmp::Sge => Cmp::Sle,
            Cmp::Slt => Cmp::Sgt,
            Cmp::Sle => Cmp::Sge,
            same => same,
        }
    }
}

/// The number `x` is in this width, by its bits.
#[inline]
pub fn const_in(x: &Scalar, width: Width) -> Option<u64> {
    match width {
        Width::W64 => x.const_value(),
        Width::W32 if x.var_off.is_subreg_const() => Some(x.var_off.value as u32 as u64),
        Width::W32 => None,
    }
}

/// Bounds of one width, widened to 64 bits so that one set of comparisons serves both widths.
struct View {
    t: Tnum,
    umin: u64,
    umax: u64,
    smin: i64,
    smax: i64,
}

impl View {
    #[inline]
    fn of(x: &Scalar, width: Width) -> View {
        match width {
            Width::W64 => View { t: x.var_off, umin: x.umin, umax: x.umax, smin: x.smin, smax: x.smax },
            Width::W32 => View {
                t: x.var_off.subreg(),
                umin: x.u32_min as u64,
                umax: x.u32_max as u64,
                smin: x.s32_min as i64,
                smax: x.s32_max as i64,
            },
        }
    }

    fn ranges_apart(&self, b: &View) -> bool {
        self.umin > b.umax || self.umax < b.umin || self.smin > b.smax || self.smax < b.smin
    }
}

/// Whether `a cmp b` always holds, never holds, or may do either (`None`).
pub fn decide(cmp: Cmp, width: Width, a: &Scalar, b: &Scalar, rules: &Rules) -> Option<bool> {
    let (va, vb) = (View::of(a, width), View::of(b, width));
    match cmp {
        Cmp::Eq => decide_eq(width, (a, b), &va, &vb, rules),
        Cmp::Ne => decide_eq(width, (a, b), &va, &vb, rules).map(|eq| !eq),
        Cmp::Set => {
            let (t, c) = if vb.t.is_const() {
                (va.t, vb.t.value)
            } else if va.t.is_const() {
                (vb.t, va.t.value)
            } else {
                return None;
            };
            certain(t.value & c != 0, t.max() & c == 0)
        }
        Cmp::NotSet => decide(Cmp::Set, width, a, b, rules).map(|set| !set),
        Cmp::Gt => certain(va.umin > vb.umax, va.umax <= vb.umin),
        Cmp::Ge => certain(va.umin >= vb.umax, va.umax < vb.umin),
        Cmp::Lt => certain(va.umax < vb.umin, va.umin >= vb.umax),
        Cmp::Le => certain(va.umax <= vb.umin, va.umin > vb.umax),
        Cmp::Sgt => certain(va.smin > vb.smax, va.smax <= vb.smin),
        Cmp::Sge => certain(va.smin >= vb.smax, va.smax < vb.smin),
        Cmp::Slt => certain(va.smax < vb.smin, va.smin >= vb.smax),
        Cmp::Sle => certain(va.smax <= vb.smin, va.smin > vb.smax),
    }
}

/// "Always" is asked before "never": with contradictory bounds both may seem true.
#[inline]
fn certain(always: bool, never: bool) -> Option<bool> {
    if always {
        Some(true)
    } else if never {
        Some(false)
    } else {
        None
    }
}

fn decide_eq(width: Width, (a, b): (&Scalar, &Scalar), va: &View, vb: &View, rules: &Rules) -> Option<bool> {
    if va.t.is_const() && vb.t.is_const() {
        return Some(va.t.value == vb.t.value);
    }
    let low_apart = || View::of(a, Width::W32).ranges_apart(&View::of(b, Width::W32));
    let never = rules.eq_by_bits && !va.t.overlaps(vb.t) || va.ranges_apart(vb) || width == Width::W64 && low_apart();
    never.then_some(false)
}

/// Narrows both operands to values for which `a cmp b` holds, then synchronises them. With the same cell on both sides
/// both roles are that one number: each step sees the effect of the one before.
pub fn refine(cmp: Cmp, width: Width, a: &Cell<Scalar>, b: &Cell<Scalar>, rules: &Rules) {
    if rules.widths_apart {
        return early::refine(cmp, width, a, b, rules);
    }
    match cmp {
        Cmp::Eq => equal(width, a, b),
        Cmp::Ne => with_const(width, a, b, |x, c| exclude(width, x, c)),
        Cmp::Set => with_const(width, a, b, |x, c| {
            if c.is_power_of_two() {
                set_bits(width, x, |t| t.or(Tnum::constant(c)));
            }
        }),
        Cmp::NotSet => with_const(width, a, b, |x, c| {
            x.unbound();
            set_bits(width, x, |t| t.and(Tnum::constant(!c)));
        }),
        Cmp::Le => below(width, a, b, 0),
        Cmp::Lt => below(width, a, b, 1),
        Cmp::Sle => signed_below(width, a, b, 0),
        Cmp::Slt => signed_below(width, a, b, 1),
        Cmp::Gt => below(width, b, a, 1),
        Cmp::Ge => below(width, b, a, 0),
        Cmp::Sgt => signed_below(width, b, a, 1),
        Cmp::Sge => signed_below(width, b, a, 0),
    }
    for x in [a, b] {
        update(x, |s| s.sync(rules));
    }
}

#[inline]
fn update(x: &Cell<Scalar>, f: impl FnOnce(&mut Scalar)) {
    let mut s = x.get();
    f(&mut s);
    x.set(s);
}

/// Runs `f` on the operand opposite to one that is a constant in this width (the right one first).
fn with_const(width: Width, a: &Cell<Scalar>, b: &Cell<Scalar>, f: impl FnOnce(&mut Scalar, u64)) {
    if let Some(c) = const_in(&b.get(), width) {
        update(a, |x| f(x, c));
    } else if let Some(c) = const_in(&a.get(), width) {
        update(b, |x| f(x, c));
    }
}

fn set_bits(width: Width, x: &mut Scalar, f: impl FnOnce(Tnum) -> Tnum) {
    x.var_off = match width {
        Width::W64 => f(x.var_off),
        Width::W32 => x.var_off.with_subreg(f(x.var_off.subreg())),
    };
}

fn equal(width: Width, a: &Cell<Scalar>, b: &Cell<Scalar>) {
    let (mut x, mut y) = (a.get(), b.get());
    match width {
        Width::W64 => {
            x.umin = x.umin.max(y.umin);
            x.umax = x.umax.min(y.umax);
            x.smin = x.smin.max(y.smin);
            x.smax = x.smax.min(y.smax);
            x.var_off = x.var_off.intersect(y.var_off);
            (y.umin, y.umax, y.smin, y.smax, y.var_off) = (x.umin, x.umax, x.smin, x.smax, x.var_off);
        }
        Width::W32 => {
            x.u32_min = x.u32_min.max(y.u32_min);
            x.u32_max = x.u32_max.min(y.u32_max);
            x.s32_min = x.s32_min.max(y.s32_min);
            x.s32_max = x.s32_max.min(y.s32_max);
            let low = x.var_off.subreg().intersect(y.var_off.subreg());
            x.var_off = x.var_off.with_subreg(low);
            y.var_off = y.var_off.with_subreg(low);
            (y.u32_min, y.u32_max, y.s32_min, y.s32_max) = (x.u32_min, x.u32_max, x.s32_min, x.s32_max);
        }
    }
    a.set(x);
    b.set(y);
}

/// Moves each bound off `c` that lies on it.
fn exclude(width: Width, x: &mut Scalar, c: u64) {
    macro_rules! shrink {
        ($($min:ident, $max:ident, $c:expr;)*) => {{$(
            if x.$min == $c { x.$min = x.$min.wrapping_add(1); }
            if x.$max == $c { x.$max = x.$max.wrapping_sub(1); }
        )*}};
    }
    match width {
        Width::W64 => shrink! { umin, umax, c; smin, smax, c as i64; },
        Width::W32 => shrink! { u32_min, u32_max, c as u32; s32_min, s32_max, c as i32; },
    }
}

/// `a <= b` (strict = 0) or `a < b` (strict = 1), unsigned.
fn below(width: Width, a: &Cell<Scalar>, b: &Cell<Scalar>, strict: u32) {
    match width {
        Width::W64 => {
            let hi = b.get().umax.wrapping_sub(strict as u64);
            update(a, |x| x.umax = x.umax.min(hi));
            let lo = a.get().umin.wrapping_add(strict as u64);
            update(b, |y| y.umin = y.umin.max(lo));
        }
        Width::W32 => {
            let hi = b.get().u32_max.wrapping_sub(strict);
            update(a, |x| x.u32_max = x.u32_max.min(hi));
            let lo = a.get().u32_min.wrapping_add(strict);
            update(b, |y| y.u32_min = y.u32_min.max(lo));
        }
    }
}

fn signed_below(width: Width, a: &Cell<Scalar>, b: &Cell<Scalar>, strict: i32) {
    match width {
        Width::W64 => {
            let hi = b.get().smax.wrapping_sub(strict as i64);
            update(a, |x| x.smax = x.smax.min(hi));
            let lo = a.get().smin.wrapping_add(strict as i64);
            update(b, |y| y.smin = y.smin.max(lo));
        }
        Width::W32 => {
            let hi = b.get().s32_max.wrapping_sub(strict);
            update(a, |x| x.s32_max = x.s32_max.min(hi));
            let lo = a.get().s32_min.wrapping_add(strict);
            update(b, |y| y.s32_min = y.s32_min.max(lo));
        }
    }
}

#[cfg(test)]
mod tests;
