//! What verifiers of different kernels do differently: one named switch a row, and the kernels that have it (`switches` says how to read
//! a row). Differences that are facts of their own (who is offered what, fields of contexts, prototypes) stand in their tables; other
//! words for the same refusal in the verifier's `reject/wording.rs`.

use super::switches::switches;

switches! {
/// How one kernel does what others do differently.
Changes {
    /// A tnum that leaves exactly one member inside the u64 range makes the register constant.
    tnum_single_member "6.18.44";
    /// s32/u32 refinement also when the signed range crosses the sign.
    refine_across_sign32 "6.18.44";
    /// `<<= 32` keeps signed bounds for negative values too.
    lsh32_keeps_signed "6.18.44";
    /// Byte swaps are followed bit by bit; otherwise their result is unknown.
    bswap_tracked "6.18.44";
    /// AND/OR of a value in [-1, 0] with a constant forks the path.
    and_or_fork "6.18.44";
    /// Linked registers: also for SUB, negative deltas and 32-bit additions; never for `r += r`.
    links_extended "6.18.44";
    /// Propagating a delta: 64-bit difference, zero extension for 32-bit additions, bounds synchronised after it.
    link_delta64 "6.18.44";
    /// A link's offset is cleared together with its id.
    link_off_cleared "6.18.44";
    /// Only registers that are live join a linked set.
    links_only_live "6.18.44";
    /// ALU with an arena pointer as source makes the destination an arena pointer.
    arena_alu_source "6.18.44";
    /// A variable-offset store that may hit a special slot turns the whole slot into misc, not only the bytes in range.
    var_store_clears_slot "6.18.44";
    /// bpf_throw's leak messages begin with `bpf_throw` and locks are looked at in every frame.
    throw_own_prefix "6.18.44";
    /// A failing LD_ABS/LD_IND in a subprogram is modelled as the subprogram returning 0.
    ld_abs_returns "6.18.44";
}
}
