//! What verifiers of different kernels do differently: one named switch a row, and the kernels that have it (`switches` says how to read
//! a row). Differences that are facts of their own (who is offered what, fields of contexts, prototypes) stand in their tables; other
//! words for the same refusal in the verifier's `reject/wording.rs`.

use super::switches::switches;

switches! {
/// How one kernel does what others do differently.
Changes {
    /// Addresses of functions may be loaded, to be called back.
    function_addresses "6.1.192";
    /// kfuncs may be called.
    kfunc_calls "6.1.192";
    /// Global functions may take pointers to memory.
    memory_arguments "6.1.192";
    /// Values of maps may have timers, kptrs and the like; before, locks only.
    fields_beyond_locks "6.1.192";
    /// Stack below everything that was stored may be read as other uninitialised stack is.
    unallocated_readable "6.1.192";
    /// Pointers to flow keys move by constants only.
    flow_keys_fixed "6.1.192";
    /// A released argument is looked at before the helper's other rules.
    release_before_helper "6.1.192";
    /// A record of a ring buffer is passed with the address that it was reserved at.
    records_unmoved "6.1.192";
    /// A jump reads its first operand before its second.
    jumps_read_in_order "6.1.192";
    /// Pointers to numbers are numbers as arguments of traced functions; before, pointers to `char` only.
    int_pointers_are_numbers "6.1.192";
    /// Pointers to kernel objects on the stack are unknown once a helper read them; before, they stay.
    read_objects_unknown "6.1.192";
    /// Registers that are the same are the same also by the pairs of ids that were found; before, whatever these are.
    same_registers_by_ids "6.1.192";
    /// Bounds of 64 bits teach all bits; before, the upper half only.
    bounds_teach_low_bits "6.1.192";
    /// Helpers write as many bytes of a map's value as a number says that is not known; before, that counts as reading.
    unknown_sizes_write "6.1.192";
    /// Immediates may be stored into contexts.
    ctx_takes_immediates "6.12.117";
    /// Known bits of a product are built up bit by bit of one operand; before, from known and unknown bits apart.
    mul_bitwise "6.18.15";
    /// Products have signed bounds also of negative factors; before, only of factors below 2^32 (2^16 in 32 bits).
    mul_signed_bounds "6.16.12";
    /// Sums and differences keep unsigned bounds that both wrap; before, none when either wraps.
    add_keeps_wrapped "6.17.13";
    /// Negation is followed; before, its result is unknown.
    neg_tracked "6.17.13";
    /// s64/u64 refinement also when the signed range crosses the sign.
    refine_across_sign64 "6.12.117 6.17.13";
    /// Bounds are deduced from each other in three rounds; before, in two.
    deduce_thrice "6.17.13";
    /// Known bits that differ decide an equality; before, only between constants and by ranges.
    equality_by_bits "6.12.117 6.17.13";
    /// Bounds of both widths and bits teach each other, comparisons teach both operands, results of two unknown operands are tracked, and
    /// `w1 = w2` keeps a link that it can keep.
    widths_joined "6.12.117";
    /// func_info is looked at before anything else, the attach target after the control flow; before, func_info once functions are known,
    /// then the attach target.
    info_first "6.12.117";
    /// Without loops in the way of it any instruction may lead back; before, only jumps.
    any_back_edge "6.12.117";
    /// What a function's C prototype says is worked out once, tags of parameters included; before, C types are compared with registers at
    /// each call.
    prototypes_read_once "6.12.117";
    /// The main function is walked first and global functions when they are called; before, all global functions, then main.
    main_first "6.12.117";
    /// A global function that changes packets makes packet pointers of its caller unusable.
    global_calls_change_packets "6.12.117";
    /// Functions of the program may be called under a lock.
    calls_under_lock "6.12.117";
    /// Callbacks are walked as often as it takes; before, once, as if called.
    callbacks_unrolled "6.12.117";
    /// What is still held where a program ends is named with the place, and locks of outer frames do not matter in inner ones.
    resources_named "6.12.117";
    /// The address of a map's value is one lock however often it is loaded.
    direct_value_one_lock "6.12.117";
    /// A lock, timer or kptr argument is refused with an errno of its own.
    fields_by_errno "6.12.117";
    /// Results are judged by signed bounds and become precise; before, by their bits.
    return_by_bounds "6.12.117";
    /// Pointers to kernel objects are trusted, protected or untrusted; before, all of one type are alike.
    trusted_pointers "6.12.117";
    /// Sleepable programs may use maps with locks.
    sleepable_locks "6.12.117";
    /// The address of a kernel function may be loaded.
    function_symbols "6.12.117";
    /// A dynptr has an id besides its reference.
    dynptr_ids "6.12.117";
    /// Comparing a pointer that may be null with one that is not teaches that it is not.
    non_null_pairs "6.12.117";
    /// Uninitialised stack may be read with CAP_PERFMON.
    uninit_stack_readable "5.10.262 6.1.192";
    /// Parts of spilled numbers are known, numbers without bounds are spilled, too, and spilling gives an id.
    partial_spills "6.12.117";
    /// `*(u64 *)(r10 - 8) = imm` leaves the number on the stack.
    st_imm_tracked "5.10.262 6.1.192";
    /// A size that may be 0 is refused before the memory is looked at.
    zero_size_first "6.12.117";
    /// Source lines in messages name their file.
    source_named "6.12.117";
    /// Frames count in steps of 16 bytes; before, 32 and at least one step.
    stack_rounded_16 "6.12.117";
    /// Bits and bounds that contradict each other are reported.
    invariants_checked "6.12.117";
    /// A tnum that leaves exactly one member inside the u64 range makes the register constant.
    tnum_single_member "6.18.44";
    /// s32/u32 refinement also when the signed range crosses the sign.
    refine_across_sign32 "6.12.117 6.18.44";
    /// The element of an array that a constant key names is never NULL.
    known_key_never_null "6.16.12";
    /// What a call only reads on the stack stays as it is; before, as if it were written.
    reading_keeps_stack "6.16.12";
    /// may_goto may jump to the next instruction.
    may_goto_nowhere "6.16.12";
    /// Arguments of global functions may be tagged as untrusted.
    untrusted_arguments "6.17.13";
    /// Tracing programs may have stacks of their own.
    private_stack "6.16.12";
    /// Atomics of one and two bytes are opcodes.
    narrow_atomics "6.16.12";
    /// Numbers may be iterated over while a lock is held.
    loops_under_lock "6.16.12";
    /// Sign-extending loads from an arena.
    arena_ldsx "6.18.15";
    /// `<<= 32` keeps signed bounds for negative values too.
    lsh32_keeps_signed "6.18.44";
    /// Byte swaps are followed bit by bit; otherwise their result is unknown.
    bswap_tracked "6.18.44";
    /// AND/OR of a value in [-1, 0] with a constant forks the path.
    and_or_fork "6.12.117 6.18.44";
    /// Linked registers: also for SUB, negative deltas and 32-bit additions; never for `r += r`.
    links_extended "6.18.44 7.0.13";
    /// Propagating a delta: 64-bit difference, zero extension for 32-bit additions, bounds synchronised after it.
    link_delta64 "6.18.44 7.0.13";
    /// A link's offset is cleared together with its id.
    link_off_cleared "6.18.44";
    /// Only registers that are live join a linked set.
    links_only_live "6.18.44";
    /// ALU with an arena pointer as source makes the destination an arena pointer.
    arena_alu_source "6.18.44";
    /// A variable-offset store that may hit a special slot turns the whole slot into misc, not only the bytes in range.
    var_store_clears_slot "6.18.44";
    /// What of the stack may still be read is worked out per call chain; otherwise read marks of registers and slots climb from state to
    /// state.
    static_live_slots "6.18.15";
    /// Registers that no instruction can read any more are not compared.
    static_live_regs "6.16.12";
    /// Loops are known as components of the control-flow graph; otherwise by the stored states that paths came back to.
    loop_components "6.17.13";
    /// A store that is forced happens; otherwise a loop that is still young prevents that, too.
    forced_stores_stay "6.12.117";
    /// What must be exact is followed into and out of called functions and through any pointer to the stack; otherwise through R10 only,
    /// and at a call or return every scalar before it must be exact.
    precision_across_calls "6.12.117";
    /// A loop is infinite when a state comes back exactly; otherwise when what was read of it so far does, beside the registers.
    loops_proven_exactly "6.12.117";
    /// Copies of a known number are not linked; otherwise as those of any number.
    known_numbers_unlinked "6.12.117";
    /// Scalars that are linked in a stored state have to be linked in a state that it covers.
    scalar_ids_compared "6.12.117";
    /// `peak_states` is the most states there were at a time; otherwise how many there were at the end.
    peak_is_maximum "6.16.12";
    /// Evicted states are freed when their last path ends; otherwise only at once, when they were finished and cleaned.
    evicted_freed "6.16.12";
    /// References are the path's; otherwise each frame's, and a callee changes its copy.
    refs_per_path "6.16.12";
    /// bpf_throw's leak messages begin with `bpf_throw` and locks are looked at in every frame.
    throw_own_prefix "6.12.117 6.18.44";
    /// A tail call in a subprogram that runs another program is modelled as the subprogram returning.
    tail_call_returns "6.18.15";
    /// Too many waiting paths are E2BIG; before, EFAULT or ENOMEM by what would have waited.
    full_queue_e2big "6.12.117 6.19.14";
    /// Kfuncs under RCU protection are refused outside of it; before, only the next step of an iterator is.
    rcu_kfuncs_need_section "6.18.15";
    /// Following a pointer to what is no struct gives memory to read; before, a number.
    walk_gives_memory "6.17.13";
    /// Global functions may be called while preemption is disabled.
    global_calls_unpreempted "6.16.12";
    /// Nodes that the program owns may be removed from a tree.
    removes_owned_nodes "6.16.12";
    /// Map values may hold pointers to memory of the user.
    user_pointers "6.16.12";
    /// How often bpf_loop goes round must be a number.
    loop_rounds_are_numbers "6.12.117 7.2.13";
    /// bpf_rdonly_cast also makes memory without a type.
    cast_to_void "6.17.13";
    /// Programs may call functions of the kernel.
    kernel_calls "6.1.192";
    /// Whether a kfunc that sleeps may be called is asked before its arguments are looked at.
    kfunc_sleep_first "6.12.117";
    /// Every kfunc takes only pointers that are known to be good, not NULL; before, those that are registered so.
    kfuncs_trust_nobody "6.18.44 7.0.13";
    /// A struct that a kfunc takes as plain memory, without a size beside it, must be a trusted pointer, too.
    memory_is_trusted "6.18.44 7.0.13";
    /// A kernel object as memory that a function may write to counts as written; before, as read only.
    object_args_written "6.18.44";
    /// Such a struct need not be trusted (once more).
    structs_are_memory "7.0.13";
    /// The system calls of loaders count as helpers that sleep.
    loader_helpers_sleep "6.12.117 6.18.44";
    /// Reading a task's stack sleeps in programs that may sleep.
    stack_helpers_sleep "6.12.117 6.18.44";
    /// Open regions are named after what is still held where a program ends; before, first.
    held_before_regions "6.16.12";
    /// A cgroup program's bpf_set_retval takes numbers only, and of most hooks errors only.
    set_retval_checked "7.2.13";
    /// bpf_kptr_xchg takes fields of kernel objects.
    kptrs_in_kernel_objects "7.2.13";
    /// An array made as a template of inner maps is not known to have an element, as inner maps may be shorter.
    inner_arrays_vary "6.18.44";
    /// Division and modulo by a known number keep bounds.
    division_tracked "7.0.13";
    /// A pointer has one offset, not a fixed and a variable part: it is compared, checked and printed as one.
    offset_in_one "7.1.13";
    /// Fields that an opcode does not use and register numbers are checked before the walk, not when a path gets there.
    form_before_walk "7.1.13";
    /// That a global function is validated or assumed valid is part of the trace, not of every log.
    globals_traced "6.19.14";
    /// Functions that return nothing may be global.
    void_globals "7.1.13";
    /// The statistics say how deep the deepest call chain is and what each function walked on its own cost.
    more_statistics "7.2.13";
    /// An instruction that calls a callback is a loop of its own.
    callbacks_are_loops "6.19.14";
    /// A kfunc that acquires a kernel object returns a trusted pointer.
    acquired_is_trusted "7.0.13";
    /// NULL given where NULL is allowed is precise.
    null_args_precise "6.12.117 7.1.13";
    /// A path forgets dead registers and stack slots whenever it comes to a prune point, and ids that only one scalar has when its state is
    /// stored; otherwise only stored states that are finished forget.
    forgets_at_once "7.1.13";
    /// Filling a register from a slot gives both an id, if they had none.
    fills_give_ids "7.2.13";
    /// Recursion is refused before the walk.
    recursion_refused "7.1.13";
    /// The context is memory for helpers, in programs that run as system calls only.
    ctx_as_memory "7.1.13";
    /// Pointers keep their id when they are found not to be NULL.
    null_check_keeps_id "7.2.13";
    /// A referenced socket that is cast walks apart for NULL and not NULL, instead of giving a pointer that may be NULL.
    casts_fork "7.2.13";
    /// A call that releases looks for the reference before it looks at the type of the argument.
    release_first "7.2.13";
    /// A dynptr that holds a reference gets that before its own id.
    dynptr_reference_first "7.2.13";
    /// Conditional jumps on registers that surely hold constants are decided before the walk.
    constant_jumps "7.1.13";
    /// A path may have 16 frames instead of 8.
    deep_calls "7.2.13";
    /// RCU sections nest.
    rcu_nests "7.1.13";
    /// A chain of calls in which functions are global may be as long as the stack lets it.
    long_chains "7.1.13";
    /// There is a jump to an address in a register.
    indirect_jumps "6.19.14";
    /// Tracing programs may use maps with timers.
    timers_when_tracing "7.0.13";
    /// A global function that returns neither a number nor nothing is EOPNOTSUPP, not EINVAL.
    bad_return_unsupported "7.2.13";
    /// Tracing programs may not free objects whose fields cannot be freed in an NMI.
    nmi_unsafe_drop "7.2.13";
    /// A failing LD_ABS/LD_IND in a subprogram is modelled as the subprogram returning 0.
    ld_abs_returns "6.1.192 6.12.117 6.18.44";
    /// Arguments of tracing programs are trusted pointers where the kernel vouches for them; before, there were none.
    trusted_arguments "6.12.117";
    /// Callbacks may be called for the elements of one map here and of another there at the same call.
    callback_maps_vary "6.12.117";
    /// The main program may name a function that catches exceptions.
    exception_callbacks "6.12.117";
    /// Fields of kernel structs may be crossed where a union was entered.
    unions_cross_fields "6.12.117";
    /// Only GPL compatible programs look into kernel structs.
    kernel_structs_need_gpl "6.12.117";
    /// Congestion control may write `app_limited`.
    app_limited_writable "6.12.117";
    /// The context of kprobes is also known by its typedef and by the kernel's struct.
    kprobe_context_names "6.1.192";
    /// Structs may be passed to functions that programs trace.
    struct_arguments "6.1.192";
    /// An accepted access to a context that the rewrite has no code for is reported as a bug of the verifier.
    conversion_reported "6.16.12";
    /// Programs may sleep in tracepoints of system calls, and only there.
    tracepoints_fault "7.2.13";
    /// Any native system call may be modified and slept in; before, only with CONFIG_FUNCTION_ERROR_INJECTION.
    syscalls_modifiable "7.2.13";
}
}
