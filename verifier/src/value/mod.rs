//! The numeric domain: sets of 64-bit values as known bits plus signed and unsigned bounds, and what instructions do to
//! them. Pure functions over `Copy` values: registers, links between them, logs and errors live elsewhere.
//!
//! The order of the domain: `a.is_within(&b)` means every concrete value of `a` is one of `b`. Transfers are sound with
//! respect to `isa::semantics`: the result holds every concrete result. They are deliberately not the most precise ones:
//! they give the kernel's numbers.

pub mod alu;
pub mod early;
pub mod refine;
mod scalar;
mod tnum;

#[cfg(test)]
mod samples;

pub use isa::Width;
pub use scalar::{Scalar, Violation};
pub use tnum::Tnum;

#[cfg(test)]
use scalar::tests as scalar_tests;

/// Points where kernels of one series compute differently. The default is 6.18.44; see [`Rules::V6_18_15`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Products of known bits are built up bit by bit of one operand, not from known and unknown bits apart.
    pub mul_bitwise: bool,
    /// Signed products have bounds of their own.
    pub mul_signed: bool,
    /// Unsigned sums and differences keep bounds that both wrap.
    pub add_wraps: bool,
    /// Negation is followed (otherwise its result is unknown).
    pub neg_tracked: bool,
    /// The unsigned range narrows a signed one that crosses zero.
    pub cross_sign64: bool,
    /// Bounds are deduced from each other three times, not twice.
    pub three_rounds: bool,
    /// Bits that differ decide equality.
    pub eq_by_bits: bool,
    /// A tnum with one member inside the unsigned range makes the value known.
    pub single_member: bool,
    /// The unsigned 32-bit range narrows a signed one that crosses zero.
    pub cross_sign32: bool,
    /// `<<= 32` keeps the signed bounds of negative values.
    pub lsh32_signed: bool,
    /// Byte swaps are followed bit by bit (otherwise the result is unknown).
    pub end_tracked: bool,
    /// `&=` and `|=` with a constant on a value in [-1, 0] walk both values apart.
    pub fork: bool,
    /// Links `base + constant` also by subtraction, by negative constants and in 32 bits, never for `r += r`.
    pub wide_links: bool,
    /// After a linked register followed its base, its numbers are synchronised.
    pub link_sync: bool,
    /// The constant of a link is forgotten together with the link.
    pub clear_delta: bool,
    /// Only registers that are still read count as linked at a jump.
    pub live_links: bool,
    /// The widths hardly teach each other, and only comparisons with constants teach anything: see [`early`].
    pub widths_apart: bool,
    /// Bounds of 64 bits teach all bits (otherwise, with the widths apart, only the upper half).
    pub low_bits: bool,
    /// Division and modulo by a known number are followed (otherwise the result is unknown).
    pub divide: bool,
}

impl Rules {
    pub const V6_18_44: Rules = Rules {
        mul_bitwise: true,
        mul_signed: true,
        add_wraps: true,
        neg_tracked: true,
        cross_sign64: true,
        three_rounds: true,
        eq_by_bits: true,
        single_member: true,
        cross_sign32: true,
        lsh32_signed: true,
        end_tracked: true,
        fork: true,
        wide_links: true,
        link_sync: true,
        clear_delta: true,
        live_links: true,
        widths_apart: false,
        low_bits: true,
        divide: false,
    };
    pub const V6_1: Rules = Rules { widths_apart: true, ..Rules::V6_12_117 };
    pub const V6_18_15: Rules = Rules {
        single_member: false,
        cross_sign32: false,
        lsh32_signed: false,
        end_tracked: false,
        fork: false,
        wide_links: false,
        link_sync: false,
        clear_delta: false,
        live_links: false,
        ..Rules::V6_18_44
    };
    pub const V6_12_117: Rules = Rules {
        mul_bitwise: false,
        mul_signed: false,
        add_wraps: false,
        neg_tracked: false,
        three_rounds: false,
        cross_sign32: true,
        ..Rules::V6_18_15
    };
}

impl Default for Rules {
    fn default() -> Self {
        Self::V6_18_44
    }
}
