//! Backtracking: which earlier values a decision rested on. Marks are set in stored states only, by walking the executed instructions
//! of the path and of its ancestors backwards. Who asks for it is spread over the checks (`Verifier::mark_precise`).

use crate::env::Verifier;
use crate::reject::{R, Reject};
use crate::state::{FP, HistEntry, MAX_FRAMES, State, StateId};
use isa::Insn;
use isa::consts::*;

/// Registers and slots still wanted, per frame.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    frame: usize,
    regs: [u16; MAX_FRAMES],
    slots: [u64; MAX_FRAMES],
}

/// R1..R5.
const ARGS: u16 = 0b11_1110;

impl Wanted {
    fn in_frame(frame: usize) -> Wanted {
        Wanted { frame, ..Wanted::default() }
    }
    fn is_empty(&self) -> bool {
        self.regs == [0; MAX_FRAMES] && self.slots == [0; MAX_FRAMES]
    }
    fn has(&self, r: u8) -> bool {
        self.regs[self.frame] & (1 << r) != 0
    }
    fn add(&mut self, r: u8) {
        self.regs[self.frame] |= 1 << r;
    }
    fn drop(&mut self, r: u8) {
        self.regs[self.frame] &= !(1 << r);
    }
    fn args(&self) -> u16 {
        self.regs[self.frame] & ARGS
    }
    /// Linked registers stand and fall together.
    fn sync_linked(&mut self, e: &HistEntry) {
        let bit = |l: &crate::state::LinkedReg| (l.frame as usize % MAX_FRAMES, 1u64 << (l.index & 63), l.is_slot);
        let any = e.linked.as_slice().iter().any(|l| {
            let (f, b, slot) = bit(l);
            if slot { self.slots[f] & b != 0 } else { self.regs[f] as u64 & b != 0 }
        });
        if any {
            for l in e.linked.as_slice() {
                let (f, b, slot) = bit(l);
                if slot { self.slots[f] |= b } else { self.regs[f] |= b as u16 }
            }
        }
    }
}

fn regs_mask(mask: u16) -> String {
    let names: Vec<String> = (0..16).filter(|r| mask & (1 << r) != 0).map(|r| format!("r{r}")).collect();
    names.join(",")
}

/// Slots as the log lists them: `-8,-16`.
pub fn slots_mask(mask: u64) -> String {
    let names: Vec<String> = (0..64).filter(|k| mask & (1u64 << k) != 0).map(|k| format!("-{}", 8 * (k + 1))).collect();
    names.join(",")
}

/// What one instruction does to the wanted set.
enum Back {
    Done,
    /// It cannot be followed.
    Fallback,
}

/// Asks for register `r` of the current frame.
pub fn mark_reg(v: &mut Verifier<'_>, r: u8) -> R {
    let mut w = Wanted::in_frame(v.cur.cur());
    w.add(r);
    run_from_cur(v, w).map(|_| ())
}

/// Asks for the spilled scalar in a slot.
pub fn mark_slot(v: &mut Verifier<'_>, frame: usize, slot: usize) -> R {
    let mut w = Wanted::in_frame(v.cur.cur());
    w.slots[frame] |= 1 << slot;
    run_from_cur(v, w).map(|_| ())
}

/// The current path is covered by `id`: what had to be exact there has to be exact here.
pub fn propagate_to_cur(v: &mut Verifier<'_>, id: StateId) -> R {
    let Some(w) = wanted_by(v, id) else { return Ok(()) };
    run_from_cur(v, w).map(|_| ())
}

/// The same for a recorded back edge. Says whether a mark was new.
pub fn propagate_to(v: &mut Verifier<'_>, id: StateId, edge: &State) -> R<bool> {
    let Some(w) = wanted_by(v, id) else { return Ok(false) };
    let start = Start { depth: edge.frames.len(), idx: edge.insn, first: edge.first_insn, parent: edge.parent };
    run(v, &start, &edge.history, w)
}

/// The precise scalars of a stored state, announced at level 2.
fn wanted_by(v: &mut Verifier<'_>, id: StateId) -> Option<Wanted> {
    let old = &v.explored.get(id)?.state;
    let mut w = Wanted::in_frame(old.cur());
    let mut lines = Vec::new();
    for f in (0..old.frames.len()).rev() {
        let frame = &old.frames[f];
        let mut names = Vec::new();
        for r in 0..FP {
            if frame.regs[r].is_scalar() && frame.regs[r].precise {
                w.regs[f] |= 1 << r;
                names.push(format!("r{r}"));
            }
        }
        for (k, s) in frame.stack.iter().enumerate() {
            if s.is_scalar_spill() && s.reg.precise {
                w.slots[f] |= 1 << k;
                names.push(format!("fp-{}", 8 * (k + 1)));
            }
        }
        if !names.is_empty() {
            lines.push((f, names));
        }
    }
    for (f, names) in lines {
        v.log.l2(format_args!("frame {f}: propagating {}", names.join(",")));
        v.log.a(format_args!("\n"));
    }
    Some(w)
}

/// Where a run starts: the path or a back edge.
struct Start {
    depth: usize,
    idx: i32,
    first: i32,
    parent: Option<StateId>,
}

fn run_from_cur(v: &mut Verifier<'_>, w: Wanted) -> R<bool> {
    let start = Start { depth: v.cur.frames.len(), idx: v.insn_idx, first: v.cur.first_insn, parent: v.cur.parent };
    let history = std::mem::take(&mut v.cur.history);
    let result = run(v, &start, &history, w);
    v.cur.history = history;
    result
}

/// Walks backwards until nothing is wanted. Says whether a mark was new.
fn run(v: &mut Verifier<'_>, start: &Start, history: &[HistEntry], mut w: Wanted) -> R<bool> {
    let mut changed = false;
    // Without CAP_BPF every scalar is precise from birth.
    if w.is_empty() || !v.privs.bpf {
        return Ok(false);
    }
    let (mut last, mut first, mut parent) = (start.idx, start.first, start.parent);
    let mut subseq = -1;
    let mut borrowed: Vec<HistEntry>;
    let mut hist: &[HistEntry] = history;
    let mut skip_first = true;
    let mut state: Option<StateId> = None;
    loop {
        v.log.l2(format_args!(
            "mark_precise: frame{}: last_idx {last} first_idx {first} subseq_idx {subseq} \n",
            w.frame
        ));
        if last < 0 {
            return function_entry(v, state, &mut w, changed);
        }
        match walk_state(v, &mut w, hist, last, first, &mut subseq, skip_first)? {
            Back::Done => {}
            Back::Fallback => {
                let from = if v.profile.changes.precision_across_calls { start.parent } else { parent };
                force_all(v, start.depth, from);
                return Ok(changed);
            }
        }
        skip_first = false;
        if w.is_empty() {
            return Ok(changed);
        }
        let Some(id) = parent else { break };
        changed |= mark_in_parent(v, id, &mut w);
        if w.is_empty() {
            return Ok(changed);
        }
        let Some(s) = v.explored.get(id) else { break };
        subseq = first;
        last = s.state.last_insn;
        first = s.state.first_insn;
        parent = s.state.parent;
        borrowed = s.state.history.clone();
        hist = &borrowed;
        state = Some(id);
    }
    force_all(v, start.depth, start.parent);
    Ok(changed)
}

/// Backwards through the instructions of one state.
fn walk_state(
    v: &mut Verifier<'_>,
    w: &mut Wanted,
    hist: &[HistEntry],
    last: i32,
    first: i32,
    subseq: &mut i32,
    mut skip: bool,
) -> R<Back> {
    let mut left = hist.len();
    let mut i = last;
    loop {
        let newest = left.checked_sub(1).map(|n| &hist[n]).filter(|e| e.idx as i32 == i);
        if skip {
            skip = false;
        } else if let Back::Fallback = step(v, w, i, *subseq, newest)? {
            return Ok(Back::Fallback);
        }
        if w.is_empty() {
            return Ok(Back::Done);
        }
        *subseq = i;
        if i == first && (left == 0 || (left == 1 && hist[0].idx as i32 == i)) {
            return Ok(Back::Done);
        }
        match newest {
            Some(e) => {
                i = e.prev as i32;
                left -= 1;
            }
            None => i -= 1,
        }
        if i < 0 || i as usize >= v.insns.len() {
            return Err(Reject::bug(format!("backtracking idx {i}")));
        }
    }
}

/// Everything wanted is an argument of the function being verified on its own: marked there, done.
fn function_entry(v: &mut Verifier<'_>, state: Option<StateId>, w: &mut Wanted, mut changed: bool) -> R<bool> {
    let subprog;
    if let Some(s) = state.and_then(|id| v.explored.get_mut(id)) {
        let frame = &mut s.state.frames[0];
        subprog = frame.subprog;
        if w.frame == 0 && subprog > 0 && frame.callsite < 0 && w.slots[0] == 0 && w.regs[0] & !ARGS == 0 {
            for r in 1..=5 {
                if w.regs[0] & (1 << r) != 0 && frame.regs[r].is_scalar() {
                    frame.regs[r].precise = true;
                    changed = true;
                }
            }
            return Ok(changed);
        }
    } else {
        subprog = 0;
    }
    Err(Reject::bug(format!(
        "backtracking func entry subprog {subprog} reg_mask {:x} stack_mask {:x}",
        w.regs[0], w.slots[0]
    )))
}

/// Sets the wanted marks in a stored state; what is not a scalar or was marked before is no longer wanted.
fn mark_in_parent(v: &mut Verifier<'_>, id: StateId, w: &mut Wanted) -> bool {
    let mut changed = false;
    let mut f = w.frame as i32;
    while f >= 0 {
        let at = f as usize;
        if let Some(s) = v.explored.get_mut(id) {
            let Some(frame) = s.state.frames.get_mut(at) else { break };
            for r in 0..FP {
                if w.regs[at] & (1 << r) == 0 {
                    continue;
                }
                let reg = &mut frame.regs[r];
                if !reg.is_scalar() || reg.precise {
                    w.regs[at] &= !(1 << r);
                } else {
                    reg.precise = true;
                    changed = true;
                }
            }
            for k in 0..64 {
                if w.slots[at] & (1u64 << k) == 0 {
                    continue;
                }
                match frame.stack.get_mut(k).filter(|s| s.is_scalar_spill() && !s.reg.precise) {
                    Some(slot) => {
                        slot.reg.precise = true;
                        changed = true;
                    }
                    None => w.slots[at] &= !(1u64 << k),
                }
            }
        }
        if v.log.level.level2()
            && let Some(s) = v.explored.get(id)
        {
            let text = v.state_text(&s.state, at, true);
            let (regs, slots) = (regs_mask(w.regs[at]), slots_mask(w.slots[at]));
            v.log.l2(format_args!("mark_precise: frame{at}: parent state regs={regs} stack={slots}: "));
            v.log.l_pieces(&text);
            v.log.l_pieces("\n");
        }
        f -= 1;
    }
    changed
}

/// Backtracking gave up: every scalar of every ancestor must be exact.
fn force_all(v: &mut Verifier<'_>, depth: usize, parent: Option<StateId>) {
    v.log.l2(format_args!("mark_precise: frame{}: falling back to forcing all scalars precise\n", depth - 1));
    force_from(v, parent);
}

/// The same for a back edge whose marks would not settle.
pub fn force_ancestors(v: &mut Verifier<'_>, edge: &State) {
    force_all(v, edge.frames.len(), edge.parent);
}

fn force_from(v: &mut Verifier<'_>, mut at: Option<StateId>) {
    while let Some(id) = at {
        let mut forced = Vec::new();
        let Some(s) = v.explored.get_mut(id) else { break };
        for (f, frame) in s.state.frames.iter_mut().enumerate() {
            for r in 0..FP {
                let reg = &mut frame.regs[r];
                if reg.is_scalar() && !reg.precise {
                    reg.precise = true;
                    forced.push((f, format!("r{r}")));
                }
            }
            for (k, slot) in frame.stack.iter_mut().enumerate() {
                if slot.is_scalar_spill() && !slot.reg.precise {
                    slot.reg.precise = true;
                    forced.push((f, format!("fp-{}", 8 * (k + 1))));
                }
            }
        }
        at = s.state.parent;
        if v.log.level.level2() {
            for (f, name) in forced {
                v.log.l2(format_args!("force_precise: frame{f}: forcing {name} to be precise\n"));
            }
        }
    }
}

/// One instruction backwards.
fn step(v: &mut Verifier<'_>, w: &mut Wanted, i: i32, subseq: i32, e: Option<&HistEntry>) -> R<Back> {
    let insn = v.insns[i as usize];
    if insn.code == 0 {
        return Ok(Back::Done);
    }
    if v.log.level.level2() {
        let (regs, slots) = (regs_mask(w.regs[w.frame]), slots_mask(w.slots[w.frame]));
        v.log.l2(format_args!("mark_precise: frame{}: regs={regs} stack={slots} before {i}: ", w.frame));
        let text = v.insn_text(i as usize);
        v.log.l2(format_args!("{text}\n"));
    }
    if let Some(e) = e {
        w.sync_linked(e);
    }
    let across = v.profile.changes.precision_across_calls;
    let slot = if across { e.and_then(|e| e.flags.stack) } else { own_slot(w, insn) };
    match class(insn.code) {
        BPF_ALU | BPF_ALU64 => {
            if !alu(w, insn) {
                return Ok(Back::Done);
            }
        }
        BPF_LDX => {
            if !load(w, insn.dst, slot) {
                return Ok(Back::Done);
            }
        }
        BPF_STX if mode(insn.code) == BPF_ATOMIC && insn.imm == BPF_LOAD_ACQ => {
            if !load(w, insn.dst, slot) {
                return Ok(Back::Done);
            }
        }
        BPF_ST | BPF_STX => {
            if w.has(insn.dst) {
                return Ok(Back::Fallback);
            }
            let Some((f, k)) = slot else { return Ok(Back::Done) };
            if w.slots[f as usize] & (1 << k) == 0 {
                return Ok(Back::Done);
            }
            w.slots[f as usize] &= !(1 << k);
            if class(insn.code) == BPF_STX {
                w.add(insn.src);
            }
        }
        BPF_JMP | BPF_JMP32 => match op(insn.code) {
            BPF_CALL if !across && (insn.src == BPF_PSEUDO_CALL || runs_callback(insn)) => {
                return Ok(Back::Fallback);
            }
            BPF_EXIT if !across => return Ok(Back::Fallback),
            BPF_CALL => return call(v, w, i, subseq, insn),
            BPF_EXIT => return exit(v, w, subseq),
            BPF_JA => return Ok(Back::Done),
            _ if is_src_x(insn.code) => {
                if !w.has(insn.dst) && !w.has(insn.src) {
                    return Ok(Back::Done);
                }
                let flags = e.map(|e| e.flags).unwrap_or_default();
                if !flags.dst_is_stack {
                    w.add(insn.dst);
                }
                if !flags.src_is_stack {
                    w.add(insn.src);
                }
            }
            _ => {}
        },
        _ => {
            if !w.has(insn.dst) {
                return Ok(Back::Done);
            }
            w.drop(insn.dst);
            if matches!(mode(insn.code), BPF_ABS | BPF_IND) {
                return Ok(Back::Fallback);
            }
        }
    }
    if let Some(e) = e {
        w.sync_linked(e);
    }
    Ok(Back::Done)
}

/// The slot that a load or store relative to R10 names; older kernels know of no other way to the stack.
fn own_slot(w: &Wanted, insn: Insn) -> Option<(u8, u8)> {
    let base = if class(insn.code) == BPF_LDX { insn.src } else { insn.dst };
    let place = (-1 - i32::from(insn.off)) / 8;
    (base as usize == FP && insn.off < 0).then_some((w.frame as u8, place as u8 & 63))
}

/// False when the rule has nothing to do with what is wanted.
fn alu(w: &mut Wanted, insn: Insn) -> bool {
    if !w.has(insn.dst) {
        return false;
    }
    match op(insn.code) {
        // One operand: what went in decides what came out.
        BPF_END | BPF_NEG => {}
        BPF_MOV => {
            w.drop(insn.dst);
            if is_src_x(insn.code) && insn.src as usize != FP {
                w.add(insn.src);
            }
        }
        _ => {
            if is_src_x(insn.code) && insn.src as usize != FP {
                w.add(insn.src);
            }
        }
    }
    true
}

fn load(w: &mut Wanted, dst: u8, slot: Option<(u8, u8)>) -> bool {
    if !w.has(dst) {
        return false;
    }
    w.drop(dst);
    let Some((f, k)) = slot else { return false };
    w.slots[f as usize] |= 1 << k;
    true
}

/// Leaving a callee through its call instruction, or passing a call that opened no frame.
fn call(v: &Verifier<'_>, w: &mut Wanted, i: i32, subseq: i32, insn: Insn) -> R<Back> {
    let frame = w.frame;
    if insn.src == BPF_PSEUDO_CALL {
        let target = i + insn.imm + 1;
        let global = v.subprog_at(target).is_some_and(|s| v.subprogs[s].is_global());
        if global {
            if w.args() != 0 {
                return Err(Reject::bug(format!("global subprog unexpected regs {:x}", w.regs[frame])));
            }
            w.drop(0);
            return Ok(Back::Done);
        }
        if w.regs[frame] & !ARGS != 0 {
            return Err(Reject::bug(format!("static subprog unexpected regs {:x}", w.regs[frame])));
        }
        if w.slots[frame] != 0 {
            return Err(Reject::bug(format!("static subprog leftover stack slots {:x}", w.slots[frame])));
        }
        let Some(outer) = frame.checked_sub(1) else {
            return Err(Reject::bug("backtracking: no outer frame"));
        };
        w.regs[outer] |= w.args();
        w.regs[frame] = 0;
        w.frame = outer;
        return Ok(Back::Done);
    }
    let calls_callback = v.aux[i as usize].calls_callback;
    if calls_callback && subseq != i + 1 {
        if w.regs[frame] & !ARGS != 0 {
            return Err(Reject::bug(format!("callback unexpected regs {:x}", w.regs[frame])));
        }
        if w.slots[frame] != 0 {
            return Err(Reject::bug(format!("callback leftover stack slots {:x}", w.slots[frame])));
        }
        w.regs[frame] = 0;
        let Some(outer) = frame.checked_sub(1) else {
            return Err(Reject::bug("backtracking: no outer frame"));
        };
        w.frame = outer;
        return Ok(Back::Done);
    }
    if insn.src == BPF_PSEUDO_KFUNC_CALL && insn.imm == 0 {
        return Ok(Back::Fallback);
    }
    w.drop(0);
    if w.args() != 0 {
        return Err(Reject::bug(format!("backtracking call unexpected regs {:x}", w.regs[frame])));
    }
    if insn.src == 0 && insn.imm == TAIL_CALL && subseq != i + 1 {
        w.frame = (frame + 1).min(MAX_FRAMES - 1);
    }
    Ok(Back::Done)
}

/// Entering a callee through its exit.
fn exit(v: &Verifier<'_>, w: &mut Wanted, subseq: i32) -> R<Back> {
    let frame = w.frame;
    let to_callback_call = subseq >= 0 && v.aux.get(subseq as usize).is_some_and(|a| a.calls_callback);
    if to_callback_call {
        w.regs[frame] &= !ARGS;
    }
    if w.args() != 0 {
        return Err(Reject::bug(format!("backtracking exit unexpected regs {:x}", w.regs[frame])));
    }
    let r0 = subseq > 0 && is_bpf_call(&v.insns[subseq as usize - 1]) && w.has(0);
    w.drop(0);
    w.frame = (frame + 1).min(MAX_FRAMES - 1);
    if r0 {
        w.add(0);
    }
    Ok(Back::Done)
}

fn is_bpf_call(insn: &Insn) -> bool {
    insn.code == (BPF_JMP | BPF_CALL) && insn.src == BPF_PSEUDO_CALL
}

/// A helper that has the program call one of its functions.
fn runs_callback(insn: Insn) -> bool {
    use crate::call::id;
    let helpers = [id::FOR_EACH_MAP_ELEM, id::TIMER_SET_CALLBACK, id::FIND_VMA, id::LOOP, id::USER_RINGBUF_DRAIN];
    insn.src == 0 && helpers.contains(&(insn.imm as u32))
}

/// `bpf_tail_call`.
const TAIL_CALL: i32 = 12;
