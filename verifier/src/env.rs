//! The verifier of one program: what every part shares. Registers of the current path, ids, marks, the queue of waiting branches, log helpers.
//! Rules about instructions are elsewhere (`alu`, `branch`, `mem`, `call`), the order in which they are applied is in `walk`.
//!
//! Conventions for the parts:
//! - A check is a method on [`Verifier`] in the file of its concept and returns [`R`]. The text of the returned [`Reject`] is printed where it is caught
//!   (the walk). A check that prints an earlier line, or swallows an inner refusal but keeps its text, calls [`Verifier::note`].
//! - `self.cur` is the path being walked. [`Reg`] is `Copy`: read a register by value, change it through `reg_mut`.
//! - Order matters: reading an operand marks it for the log, `new_id` consumes numbers, `mark_precise` prints. Keep the kernel's order.

use crate::Options;
use crate::log::{Log, Mark};
use crate::prune::{Explored, LiveStacks, Liveness};
use crate::reg::{BtfId, Kind, MapId, Reg, RegType};
use crate::reject::{self, R, Reject};
use crate::state::{FP, Frame, HistEntry, HistFlags, Linked, REGS, State};
use crate::subprog::Subprog;
use crate::value::Rules;
use btf::Btf;
use isa::Insn;
use program::Program;
use spec::Profile;
use std::sync::Arc;

/// Waiting branches the kernel allows.
pub const MAX_QUEUE: usize = 8192;

/// What the loader's capabilities allow, computed once.
#[derive(Clone, Copy, Debug)]
pub struct Privileges {
    /// CAP_BPF: loops, subprograms, precision tracking, scalars through the stack.
    pub bpf: bool,
    /// CAP_PERFMON: pointers may leak.
    pub ptr_leaks: bool,
    /// CAP_PERFMON: uninitialised stack may be read.
    pub uninit_stack: bool,
    /// No Spectre v1 sanitisation of pointer arithmetic.
    pub bypass_v1: bool,
    /// No Spectre v4 barriers after stack stores.
    pub bypass_v4: bool,
}

/// How a `bpf_loop` call was seen so far: inlined only when every visit had flags 0 and the same callback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopInline {
    pub seen: bool,
    pub fit: bool,
    pub callback: u32,
}

/// What an ldimm64 loads, decided by the pre-pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadImm {
    /// A plain constant.
    #[default]
    Const,
    MapPtr(MapId),
    MapValue {
        map: MapId,
        off: u32,
    },
    Func {
        subprog_start: u32,
    },
    /// A kernel symbol: type of the resulting register and its data.
    Ksym(Reg),
}

/// What the passes and the walk know about one instruction slot.
#[derive(Clone, Debug, Default)]
pub struct InsnAux {
    pub prune_point: bool,
    pub jump_point: bool,
    pub force_checkpoint: bool,
    pub calls_callback: bool,
    /// Iterator-next kfunc call; known from its first check on.
    pub iter_next: bool,
    /// Walked on a real (not speculative) path.
    pub seen: bool,
    /// Speculative paths end here.
    pub nospec: bool,
    /// Speculative paths end behind it.
    pub nospec_result: bool,
    /// Registers live before the instruction.
    pub live_regs: u16,
    /// Loop component, 0 for none.
    pub scc: u32,
    /// Base type at the first successful memory access ("same insn" rule).
    pub ptr_type: Option<RegType>,
    pub load: LoadImm,
    /// Map seen by a helper call; `map_poison` when different paths used different ones, `map_unpriv` when somebody without
    /// CAP_PERFMON made one of them.
    pub map: Option<MapId>,
    pub map_poison: bool,
    pub map_unpriv: bool,
    /// Constant index of a tail call; -2 unset, -1 poisoned.
    pub map_key: i64,
    /// Spectre sanitisation recorded for pointer arithmetic: state bits and limit.
    pub alu_state: u32,
    pub alu_limit: u32,
    pub loop_inline: LoopInline,
    /// Member of a bpf_fastcall pattern; on the call itself the number of spill/fill pairs.
    pub fastcall_pattern: bool,
    pub fastcall_pairs: u8,
}

/// What the passes need to know about a kfunc.
#[derive(Clone, Copy, Debug)]
pub struct KfuncFacts {
    pub flags: spec::kfunc::Flags,
    /// All parameters of its BTF prototype.
    pub params: u32,
    pub returns_void: bool,
}

/// A forked path that waits.
#[derive(Debug)]
pub struct Queued {
    pub state: State,
    /// Where it goes on, and the instruction executed before.
    pub insn: i32,
    pub prev: i32,
    pub log: Mark,
}

/// The queue of waiting branches is full; the caller knows which errno that is.
#[derive(Debug)]
pub struct QueueFull {
    pub pending: usize,
    /// The kernel returns the same errno at every place.
    pub e2big: bool,
}

impl QueueFull {
    /// `errno`: what most kernels return at this place.
    pub fn reject(self, errno: i32) -> Reject {
        let errno = if self.e2big { crate::reject::errno::E2BIG } else { errno };
        Reject::TooManyBranches { pending: self.pending, errno }
    }
}

/// Counters that the statistics line shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub insns: u32,
    pub jumps: u32,
    /// insns and jumps when a state was last stored.
    pub last_store: (u32, u32),
    /// Bytes that the kernel keeps for the references of stored states.
    pub reference_bytes: u64,
    pub total_states: u32,
    pub peak_states: u32,
    pub max_states_per_insn: u32,
    pub max_stack_depth: i32,
}

pub struct Verifier<'a> {
    pub prog: &'a Program,
    pub profile: &'a Profile,
    pub privs: Privileges,
    /// Switches between patch levels.
    pub rules: Rules,
    pub strict_alignment: bool,
    pub test_state_freq: bool,
    pub test_reg_invariants: bool,
    /// The program's type and attach type, those of the target for EXT.
    pub prog_type: spec::ProgType,
    pub attach_type: u32,

    pub insns: Vec<Insn>,
    pub aux: Vec<InsnAux>,
    pub subprogs: Vec<Subprog>,
    /// Maps of the program by index, then templates of map-in-maps.
    pub maps: Vec<crate::maps::Map>,
    /// [`BtfId::KERNEL`], [`BtfId::PROGRAM`], then others (of maps).
    pub btfs: Vec<Option<Arc<Btf>>>,
    /// What the attach target adds (prototype, hook, iterator); made by the attach pass.
    pub target: crate::pass::attach::Target,

    pub cur: State,
    pub insn_idx: i32,
    pub prev_idx: i32,
    pub queue: Vec<Queued>,
    pub explored: Explored,
    pub live: Liveness,
    /// Where paths forget what nobody will read.
    pub live_stacks: LiveStacks,
    pub log: Log,
    pub count: Counters,
    id_gen: u32,
    /// A pointer was moved by an unknown scalar under sanitisation: scalars compare strictly from now on.
    pub deep_alu: bool,
    /// History entry of the instruction now being checked.
    pub cur_hist: Option<usize>,
    pub facts: program::facts::Facts,
    /// An access passed the walk that the kernel fails to convert afterwards.
    pub late_ctx_failure: bool,
    /// An exception is thrown, be it on a speculative path only.
    pub throws: bool,
    /// Some instruction is part of a loop component.
    pub has_loops: bool,
    /// Stack depths after the passes behind the walk.
    pub final_depths: Option<Vec<i32>>,
    /// Where the work goes, when asked for.
    pub cost: Option<Box<crate::cost::Cost>>,
    /// The kernel's BTF, once somebody asked for it.
    kernel_btf: std::cell::OnceCell<Option<Arc<Btf>>>,
}

impl<'a> Verifier<'a> {
    pub fn new(prog: &'a Program, profile: &'a Profile, opts: &'a Options) -> Verifier<'a> {
        let perfmon = profile.caps.has_perfmon();
        let privs = Privileges {
            bpf: profile.caps.has_bpf(),
            ptr_leaks: perfmon,
            uninit_stack: perfmon && profile.changes.uninit_stack_readable,
            bypass_v1: perfmon || !profile.config.mitigations,
            bypass_v4: perfmon || !profile.config.mitigations,
        };
        let n = prog.insns.len();
        let flags = prog.flags;
        // `pass::load` has refused numbers that are no type.
        let prog_type = spec::ProgType::from_raw(prog.prog_type).unwrap_or(spec::ProgType::SocketFilter);
        Verifier {
            prog,
            profile,
            privs,
            rules: Rules::of(profile),
            strict_alignment: flags & spec::prog::flags::STRICT_ALIGNMENT != 0
                && flags & spec::prog::flags::ANY_ALIGNMENT == 0,
            test_state_freq: flags & spec::prog::flags::TEST_STATE_FREQ != 0 && privs.bpf,
            test_reg_invariants: flags & spec::prog::flags::TEST_REG_INVARIANTS != 0,
            prog_type,
            attach_type: spec::prog::fixup_attach_type(prog_type, prog.expected_attach_type),
            insns: prog.insns.clone(),
            aux: vec![InsnAux { map_key: -2, ..InsnAux::default() }; n],
            subprogs: Vec::new(),
            maps: Vec::new(),
            btfs: vec![None, prog.btf.clone()],
            target: Default::default(),
            cur: State::new(Frame::new(-1, 0, 0)),
            insn_idx: 0,
            prev_idx: -1,
            queue: Vec::new(),
            explored: Explored::new(n),
            live: Liveness::default(),
            live_stacks: LiveStacks::default(),
            log: Log::new(opts.log_level),
            count: Counters::default(),
            id_gen: 0,
            deep_alu: false,
            cur_hist: None,
            facts: program::facts::Facts::new(n),
            late_ctx_failure: false,
            throws: false,
            has_loops: false,
            final_depths: None,
            cost: None,
            kernel_btf: std::cell::OnceCell::new(),
        }
    }

    // ---- registers of the current frame --------------------------------------------------------------------------------

    pub fn reg(&self, r: u8) -> Reg {
        self.cur.frame().regs[r as usize]
    }
    pub fn reg_mut(&mut self, r: u8) -> &mut Reg {
        &mut self.cur.frame_mut().regs[r as usize]
    }
    /// A scalar about which nothing is known; precise from birth without CAP_BPF.
    pub fn unknown(&self) -> Reg {
        Reg::unknown(!self.privs.bpf)
    }
    pub fn mark_unknown(&mut self, r: u8) {
        *self.reg_mut(r) = self.unknown();
    }
    pub fn mark_not_init(&mut self, r: u8) {
        *self.reg_mut(r) = Reg { precise: !self.privs.bpf, ..Reg::NOT_INIT };
    }
    /// After a call: R0 to R5 hold nothing any more.
    pub fn clear_caller_saved(&mut self) {
        for r in 0..=5 {
            self.mark_not_init(r);
            self.note_reg_written(r);
            self.log.scratch_reg(r as usize);
        }
    }
    /// The constant `c`, as after `r = imm`.
    pub fn mark_known(&mut self, r: u8, c: u64) {
        let mut reg = self.unknown();
        reg.set_known(c);
        *self.reg_mut(r) = reg;
    }
    /// A pointer with zero offsets and nothing else.
    pub fn mark_pointer(&mut self, r: u8, ty: RegType) {
        *self.reg_mut(r) = Reg { precise: !self.privs.bpf, ..Reg::pointer(ty) };
    }

    /// The register exists, is initialised, and now counts as read for the log.
    pub fn check_reg_read(&mut self, r: u8) -> R {
        if r as usize >= REGS {
            return Err(Reject::RegInvalid { reg: r });
        }
        self.log.scratch_reg(r as usize);
        if !self.reg(r).is_init() {
            return Err(Reject::RegNotReadable { reg: r });
        }
        self.note_reg_read(r);
        Ok(())
    }

    /// The register exists and may be written. Does not change it ("destination, no mark").
    pub fn check_reg_write(&mut self, r: u8) -> R {
        if r as usize >= REGS {
            return Err(Reject::RegInvalid { reg: r });
        }
        self.log.scratch_reg(r as usize);
        if r as usize == FP {
            return Err(Reject::FramePointerReadOnly);
        }
        self.note_reg_written(r);
        Ok(())
    }

    pub fn is_pointer(&self, r: u8) -> bool {
        self.reg(r).ty.is_pointer()
    }

    // ---- ids -----------------------------------------------------------------------------------------------------------

    pub fn new_id(&mut self) -> u32 {
        self.id_gen += 1;
        self.id_gen
    }
    /// The last id given out.
    pub fn last_id(&self) -> u32 {
        self.id_gen
    }

    // ---- BTF and maps --------------------------------------------------------------------------------------------------

    pub fn map(&self, id: MapId) -> &crate::maps::Map {
        &self.maps[id.0 as usize]
    }
    /// The BTF behind an id; the kernel's is parsed on first use.
    pub fn btf(&self, id: BtfId) -> Option<&Arc<Btf>> {
        if id == BtfId::KERNEL {
            return self.kernel_btf.get_or_init(|| Some(self.profile.btf().clone())).as_ref();
        }
        self.btfs.get(id.0 as usize)?.as_ref()
    }
    /// Id for a BTF object, the same for the same object.
    pub fn btf_id(&mut self, b: &Arc<Btf>) -> BtfId {
        let known = self.btfs.iter().position(|x| x.as_ref().is_some_and(|x| Arc::ptr_eq(x, b)));
        let i = known.unwrap_or_else(|| {
            self.btfs.push(Some(b.clone()));
            self.btfs.len() - 1
        });
        BtfId(i as u16)
    }
    /// Name of the struct a BTF pointer points to.
    pub fn btf_type_name(&self, btf: BtfId, id: u32) -> &str {
        self.btf(btf).map(|b| b.name(id)).unwrap_or_default()
    }
    /// What the tables of `spec` are asked with.
    pub fn prog_context(&self) -> spec::ProgContext<'_> {
        spec::ProgContext {
            prog_type: self.prog_type,
            attach_type: self.attach_type,
            sleepable: self.is_sleepable(),
            target: &self.target.name,
        }
    }
    /// Prototype of a helper that this program may call.
    pub fn helper_proto(&self, id: i32) -> Option<&'static spec::helper::Proto> {
        match self.profile.helper(self.prog_context(), u32::try_from(id).ok()?) {
            spec::helper::HelperAvail::Yes { proto, need } if need.met_by(self.profile.caps) => Some(proto),
            _ => None,
        }
    }
    /// A kfunc of the kernel's BTF that this program may call.
    pub fn kfunc_allowed(&self, insn: Insn) -> Option<KfuncFacts> {
        self.kfunc_name(insn.imm, insn.off)?;
        let row = self.profile.kfunc(insn.imm as u32, &self.prog_context())?;
        let btf = self.btf(BtfId::KERNEL)?;
        let proto = btf.func_proto(insn.imm as u32)?;
        let returns_void = btf.ty(proto).and_then(|t| t.type_id()).is_none_or(|r| r == 0);
        Some(KfuncFacts { flags: row.flags, params: btf.params(proto).count() as u32, returns_void })
    }
    /// Subprogram that starts at an instruction.
    pub fn subprog_at(&self, insn: i32) -> Option<usize> {
        self.subprogs.binary_search_by_key(&insn, |s| s.start as i32).ok()
    }
    /// Subprogram that contains an instruction.
    pub fn subprog_of(&self, insn: i32) -> usize {
        self.subprogs.partition_point(|s| s.start as i32 <= insn).saturating_sub(1)
    }
    /// Name of a kfunc by BTF id; `off` other than 0 is a module's, which no profile has.
    pub fn kfunc_name(&self, id: i32, off: i16) -> Option<&str> {
        if id == 0 || off != 0 {
            return None;
        }
        let btf = self.btf(BtfId::KERNEL)?;
        Some(btf.name(u32::try_from(id).ok()?))
    }

    // ---- text ----------------------------------------------------------------------------------------------------------

    /// Prints a refusal that does not end the verification here, or is not its last line.
    pub fn note(&mut self, r: &Reject) {
        match r {
            Reject::InfiniteLoop { .. } => self.log.a_pieces(&reject::text(r, self.profile.version)),
            _ if self.profile.other().is_none() => self.log.a(format_args!("{r}")),
            _ => self.log.a(format_args!("{}", reject::text(r, self.profile.version))),
        }
    }

    // ---- forks and history ---------------------------------------------------------------------------------------------

    /// Queues a copy of the current path that goes on at `insn`, as if coming from `prev`. Returns its place in `self.queue`.
    pub fn push_branch(&mut self, insn: i32, prev: i32, speculative: bool) -> Result<usize, QueueFull> {
        let mut state = self.cur.clone();
        state.speculative |= speculative;
        if self.queue.len() + 1 > MAX_QUEUE {
            return Err(QueueFull { pending: self.queue.len() + 1, e2big: self.profile.changes.full_queue_e2big });
        }
        self.explored.add_branch(state.parent);
        let log = self.log.mark();
        self.queue.push(Queued { state, insn, prev, log });
        self.spend_branch();
        Ok(self.queue.len() - 1)
    }

    /// Remembers the current instruction for backtracking; a second request for the same instruction is merged.
    pub fn push_history(&mut self, flags: HistFlags, linked: Option<Linked>) {
        if let Some(i) = self.cur_hist {
            let e = &mut self.cur.history[i];
            e.flags.stack = flags.stack.or(e.flags.stack);
            e.flags.dst_is_stack |= flags.dst_is_stack;
            e.flags.src_is_stack |= flags.src_is_stack;
            if let Some(l) = linked {
                e.linked = l;
            }
            return;
        }
        self.cur.history.push(HistEntry {
            idx: self.insn_idx as u32,
            prev: self.prev_idx as u32,
            flags,
            linked: linked.unwrap_or_default(),
        });
        self.cur_hist = Some(self.cur.history.len() - 1);
    }

    /// The register must be exact from here back: all that it was computed from is marked (and printed at level 2).
    pub fn mark_precise(&mut self, r: u8) -> R {
        crate::prune::precision::mark_reg(self, r)
    }

    /// The same for a spilled scalar in slot `slot` of frame `frame`.
    pub fn mark_slot_precise(&mut self, frame: usize, slot: usize) -> R {
        crate::prune::precision::mark_slot(self, frame, slot)
    }

    /// A register that becomes unusable when what it pointed to goes away: unknown for privileged programs, else unreadable.
    pub fn invalidated(&self) -> Reg {
        if self.privs.ptr_leaks { self.unknown() } else { Reg { precise: !self.privs.bpf, ..Reg::NOT_INIT } }
    }

    /// Map of a register that has one.
    pub fn reg_map(&self, reg: &Reg) -> Option<MapId> {
        match reg.ty.kind {
            Kind::MapPtr | Kind::MapValue | Kind::MapKey => reg.map(),
            _ => None,
        }
    }
}
