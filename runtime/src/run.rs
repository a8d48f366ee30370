//! One execution: the state that helpers and engines share while a program runs. Not here: the program (`image`), its surroundings (`world`), or
//! how instructions are executed (interpreter, jit).

use std::sync::Arc;

use isa::{AtomicOp, Size, semantics};

use crate::ctx::Context;
use crate::fault::{Access, Fault, FaultKind};
use crate::image::Image;
use crate::map::Map;
use crate::memory::{self, Block, Bytes};
use crate::region::{Kind, Region, Regions};
use crate::world::World;

/// Most frames of one call chain, the program's own included.
pub const MAX_FRAMES: usize = 8;
/// Bytes of a frame that a program may use: `r10 - FRAME_SIZE .. r10`.
pub const FRAME_SIZE: u64 = 512;
/// Distance between the frames of caller and callee; the gap makes an overrun a fault instead of a write into the neighbour.
pub const FRAME_STRIDE: u64 = 1024;
/// Most tail calls of one run.
pub const MAX_TAIL_CALLS: u32 = 33;
/// `r1` of a callback is `CALLBACK_BASE + entry slot` where the kernel has a code address.
pub const CALLBACK_BASE: u64 = 0xffff_c0de_0000_0000;

/// How helpers call back into the program (bpf_loop, bpf_for_each_map_elem, ...). Engines keep their state in the run and in the image's cache, so
/// that an engine is a constant.
pub trait Engine: Sync {
    /// Runs the function that starts at `entry` of `run.image` in a new frame, and returns its r0.
    fn call_subprog(&self, run: &mut Run<'_>, entry: u32, args: [u64; 5]) -> Result<u64, Fault>;
}

/// An engine for runs that never call back.
#[derive(Debug)]
pub struct NoEngine;

impl Engine for NoEngine {
    fn call_subprog(&self, _: &mut Run<'_>, _: u32, _: [u64; 5]) -> Result<u64, Fault> {
        Err(Fault::unsupported("callbacks in an engine without them"))
    }
}

/// Something that a program has taken and must give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Record of a ring buffer: address of its data.
    Record(u64),
    /// bpf_spin_lock at this address.
    Lock(u64),
}

/// The state of one execution.
pub struct Run<'w> {
    /// The program that executes now; a tail call replaces it.
    pub image: Arc<Image>,
    pub world: &'w mut World,
    pub ctx: Context,
    pub regions: Regions,
    pub engine: &'static dyn Engine,
    /// Instructions left; every engine counts at least back edges and calls.
    pub budget: u64,
    /// What `budget` was at the start, for the fault's text.
    pub budget_limit: u64,
    /// Tail calls made so far.
    pub tail_calls: u32,
    /// Set by bpf_tail_call when it succeeds: the engine continues at slot 0 of this program with r1 = context.
    pub tail_target: Option<Arc<Image>>,
    /// Set by bpf_throw: the engine unwinds all frames and ends (or calls the exception callback).
    pub thrown: Option<u64>,
    /// bpf_set_retval / bpf_get_retval.
    pub retval: i32,
    /// Maps that a handle in a register can mean: the program's, and inner maps once looked up.
    pub maps: Vec<Arc<Map>>,
    pub resources: Vec<Resource>,
    /// Memory that lives as long as the run: sockets, callback arguments, kernel objects.
    pub blocks: Vec<Block>,
    /// Address of the current task's object, once asked for.
    pub current_task: Option<u64>,
    stack: Block,
    depth: usize,
}

impl<'w> Run<'w> {
    pub fn new(image: &Arc<Image>, world: &'w mut World, ctx: Context) -> Result<Self, Fault> {
        let stack = Block::zeroed((MAX_FRAMES as u64 * FRAME_STRIDE) as usize)
            .ok_or_else(|| Fault::unsupported("out of memory for the stack"))?;
        let mut run = Self {
            image: image.clone(),
            world,
            ctx,
            regions: Regions::default(),
            engine: &NoEngine,
            budget: 1 << 32,
            budget_limit: 1 << 32,
            tail_calls: 0,
            tail_target: None,
            thrown: None,
            retval: 0,
            maps: Vec::new(),
            resources: Vec::new(),
            blocks: Vec::new(),
            current_task: None,
            stack,
            depth: 0,
        };
        // Per-CPU maps have as many values as the image was made for: the world has no more CPUs than that.
        run.world.values.nr_cpus = run.world.values.nr_cpus.min(image.nr_cpus);
        run.attach();
        Ok(run)
    }

    /// Starts over with another context, keeping maps and their contents.
    pub fn restart(&mut self, image: &Arc<Image>, ctx: Context) {
        self.ctx = ctx;
        self.rerun(image);
    }

    /// Starts over with the context as it stands: what a run in a row of runs begins with.
    pub fn rerun(&mut self, image: &Arc<Image>) {
        self.image = image.clone();
        self.stack.fill(0, self.stack.len(), 0);
        self.budget = self.budget_limit;
        self.tail_calls = 0;
        self.tail_target = None;
        self.thrown = None;
        self.retval = 0;
        self.resources.clear();
        self.blocks.clear();
        self.current_task = None;
        self.depth = 0;
        self.attach();
    }

    pub fn set_budget(&mut self, insns: u64) {
        self.budget = insns;
        self.budget_limit = insns;
    }

    /// Builds the region table from scratch.
    fn attach(&mut self) {
        self.regions.clear();
        self.maps.clear();
        self.ctx.regions(&mut self.regions);
        let image = self.image.clone();
        self.adopt_maps(&image);
    }

    /// Makes the maps of an image reachable (at the start, and after a tail call).
    pub fn adopt_maps(&mut self, image: &Image) {
        for map in &image.maps {
            self.adopt_map(map);
        }
    }

    /// Makes one map's handle and memory valid in this run.
    pub fn adopt_map(&mut self, map: &Arc<Map>) {
        if self.maps.iter().any(|m| Arc::ptr_eq(m, map)) {
            return;
        }
        map.regions(&mut |r| self.regions.insert(r));
        self.maps.push(map.clone());
    }

    // --- frames -----------------------------------------------------------------------------------------------------------------------

    /// Enters a frame and returns its r10.
    pub fn push_frame(&mut self) -> Result<u64, Fault> {
        if self.depth == MAX_FRAMES {
            return Err(Fault::new(FaultKind::CallDepth));
        }
        self.depth += 1;
        let base = self.stack.addr();
        let end = base + self.depth as u64 * FRAME_STRIDE;
        if self.depth == 1 {
            self.regions
                .insert(Region::new(Kind::Stack, base, FRAME_STRIDE).row(FRAME_STRIDE as u32, FRAME_SIZE as u32));
        } else {
            self.regions.resize(base, end);
        }
        Ok(end - FRAME_STRIDE + FRAME_SIZE)
    }

    pub fn pop_frame(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        let base = self.stack.addr();
        if self.depth == 0 {
            self.regions.remove(base);
        } else {
            self.regions.resize(base, base + self.depth as u64 * FRAME_STRIDE);
        }
    }

    /// Frames in use.
    pub fn depth(&self) -> usize {
        self.depth
    }

    // --- checked memory ---------------------------------------------------------------------------------------------------------------

    #[cold]
    pub fn memory_fault(&self, addr: u64, len: u64, write: bool) -> Fault {
        let access = if write { Access::Write } else { Access::Read };
        Fault::new(FaultKind::Memory { access, addr, len, near: self.regions.describe(addr) })
    }

    /// The region check behind every access: `Ok(region)` means that `addr..addr+len` is live and may be read (written).
    #[inline(always)]
    pub fn check(&mut self, addr: u64, len: u64, write: bool) -> Result<Region, Fault> {
        match self.regions.check(addr, len, write) {
            Some(r) => Ok(r),
            None => self.check_slow(addr, len, write),
        }
    }

    /// A map may have grown since its regions were listed.
    #[cold]
    fn check_slow(&mut self, addr: u64, len: u64, write: bool) -> Result<Region, Fault> {
        for map in &self.maps {
            map.regions(&mut |r| {
                if addr >= r.start && addr < r.end {
                    self.regions.insert(r);
                }
            });
        }
        self.regions.check(addr, len, write).ok_or_else(|| self.memory_fault(addr, len, write))
    }

    /// A checked load of 1, 2, 4 or 8 bytes as an instruction does it: context pointers and arena offsets included.
    #[inline(always)]
    pub fn load(&mut self, addr: u64, size: u8) -> Result<u64, Fault> {
        match self.regions.check(addr, u64::from(size), false) {
            // SAFETY: the region check found `addr..addr+size` in live memory.
            Some(r) if r.kind != Kind::Ctx => Ok(unsafe { memory::load(addr, size) }),
            _ => self.load_slow(addr, size),
        }
    }

    #[cold]
    fn load_slow(&mut self, addr: u64, size: u8) -> Result<u64, Fault> {
        let len = u64::from(size);
        if let Some(place) = self.arena_place(addr, len) {
            // An arena page that does not exist reads as 0.
            // SAFETY: `translate` found all bytes in allocated pages of the arena's block, which the image's maps keep alive.
            return Ok(place.map_or(0, |p| unsafe { memory::load(p, size) }));
        }
        let region = self.check(addr, len, false)?;
        if region.kind == Kind::Ctx {
            return self
                .ctx
                .load((addr - region.start) as u32, size)
                .ok_or_else(|| self.memory_fault(addr, len, false));
        }
        // SAFETY: the region check found the range in live memory.
        Ok(unsafe { memory::load(addr, size) })
    }

    /// A load through a BTF pointer that may be stale or NULL: what cannot be read is 0.
    pub fn load_probe(&mut self, addr: u64, size: u8) -> u64 {
        self.load(addr, size).unwrap_or(0)
    }

    /// A checked store of 1, 2, 4 or 8 bytes as an instruction does it.
    #[inline(always)]
    pub fn store(&mut self, addr: u64, size: u8, value: u64) -> Result<(), Fault> {
        match self.regions.check(addr, u64::from(size), true) {
            Some(r) if r.kind != Kind::Ctx => {
                // SAFETY: the region check found `addr..addr+size` in live writable memory.
                unsafe { memory::store(addr, size, value) }
                Ok(())
            }
            _ => self.store_slow(addr, size, value),
        }
    }

    #[cold]
    fn store_slow(&mut self, addr: u64, size: u8, value: u64) -> Result<(), Fault> {
        let len = u64::from(size);
        if let Some(place) = self.arena_place(addr, len) {
            if let Some(p) = place {
                // SAFETY: as in `load_slow`.
                unsafe { memory::store(p, size, value) }
            }
            return Ok(());
        }
        let region = self.check(addr, len, true)?;
        if region.kind == Kind::Ctx {
            return match self.ctx.store((addr - region.start) as u32, size, value) {
                true => Ok(()),
                false => Err(self.memory_fault(addr, len, true)),
            };
        }
        // SAFETY: the region check found the range in live writable memory.
        unsafe { memory::store(addr, size, value) }
        Ok(())
    }

    /// In a program with an arena a register below 4 GiB (no region lies there) is an arena offset. `Some(None)`: a page that does not exist,
    /// or the gap in front of and behind the arena, as far as an instruction's offset reaches.
    fn arena_place(&self, addr: u64, len: u64) -> Option<Option<u64>> {
        const GAP: u64 = 1 << 15;
        const END: u64 = 1 << 32;
        match addr {
            0..END => Some(self.image.arena()?.translate(addr as u32, len)),
            _ if addr - END < GAP || addr.wrapping_neg() <= GAP => self.image.arena().map(|_| None),
            _ => None,
        }
    }

    /// A checked atomic instruction; the value for the register that it writes, if it writes one.
    pub fn atomic(&mut self, op: AtomicOp, size: Size, addr: u64, src: u64, r0: u64) -> Result<Option<u64>, Fault> {
        let bytes = size.bytes() as u8;
        let write = op != AtomicOp::LoadAcquire;
        let place = match self.arena_place(addr, u64::from(bytes)) {
            // An access to a page that does not exist: loads read 0, anything else is lost.
            Some(None) => return Ok(semantics::atomic(op, size, 0, src, r0).register),
            Some(Some(p)) => p,
            None => {
                let region = self.check(addr, u64::from(bytes), write)?;
                if region.kind == Kind::Ctx {
                    return Err(self.memory_fault(addr, u64::from(bytes), write));
                }
                addr
            }
        };
        // One run has one thread, and a map is shared between runs only one after the other, so that load and store need not be one step.
        // SAFETY: the region check (or the arena's page check) found the range in live memory, writable unless it is only read.
        unsafe {
            let old = memory::load(place, bytes);
            let result = semantics::atomic(op, size, old, src, r0);
            if let Some(new) = result.memory {
                memory::store(place, bytes, new);
            }
            Ok(result.register)
        }
    }

    /// Copies an argument of a helper out of the program's memory.
    pub fn bytes(&mut self, addr: u64, len: u64) -> Result<Bytes, Fault> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        self.check(addr, len, false)?;
        let mut out = Bytes::from_elem(0, len as usize);
        // SAFETY: the region check found the range readable.
        unsafe { memory::copy_out(addr, &mut out) }
        Ok(out)
    }

    /// Copies a helper's result into the program's memory.
    pub fn write(&mut self, addr: u64, data: &[u8]) -> Result<(), Fault> {
        if data.is_empty() {
            return Ok(());
        }
        self.check(addr, data.len() as u64, true)?;
        // SAFETY: the region check found the range writable.
        unsafe { memory::copy_in(addr, data) }
        Ok(())
    }

    /// Memory that lives until the run ends, reachable by the program.
    pub fn allocate(&mut self, kind: Kind, data: &[u8], writable: bool) -> Result<u64, Fault> {
        let block = Block::zeroed(data.len()).ok_or_else(|| Fault::unsupported("out of memory"))?;
        block.write(0, data);
        let addr = block.addr();
        let region = Region::new(kind, addr, data.len() as u64);
        self.regions.insert(if writable { region } else { region.read_only() });
        self.blocks.push(block);
        Ok(addr)
    }

    /// Gives memory from `allocate` back before the run ends.
    pub fn release(&mut self, addr: u64) {
        self.regions.remove(addr);
        self.blocks.retain(|b| b.addr() != addr);
    }

    // --- handles ----------------------------------------------------------------------------------------------------------------------

    /// The map that a register means.
    pub fn map(&self, handle: u64) -> Option<&Arc<Map>> {
        self.maps.iter().find(|m| m.handle() == handle)
    }

    /// The entry slot that a callback register means.
    pub fn callback(&self, value: u64) -> Option<u32> {
        let slot = value.checked_sub(CALLBACK_BASE)?;
        (slot < self.image.insns.len() as u64).then_some(slot as u32)
    }

    /// Calls back into the program.
    pub fn call_back(&mut self, entry: u32, args: [u64; 5]) -> Result<u64, Fault> {
        let engine = self.engine;
        engine.call_subprog(self, entry, args)
    }

    /// The end of a run, for every engine: an exception that has unwound all frames goes to the exception callback, or its cookie is the result;
    /// everything taken must have been given back (an exception releases it).
    pub fn settle(&mut self, r0: u64) -> Result<u64, Fault> {
        let Some(cookie) = self.thrown.take() else {
            self.finish()?;
            return Ok(r0);
        };
        self.resources.clear();
        match self.image.exception_callback {
            Some(entry) => self.call_back(entry, [cookie, 0, 0, 0, 0]),
            None => Ok(cookie),
        }
    }

    /// After the program's exit: everything taken must have been given back.
    pub fn finish(&self) -> Result<(), Fault> {
        match self.resources.first() {
            None => Ok(()),
            Some(Resource::Record(_)) => {
                Err(Fault::new(FaultKind::Resource("ring buffer record neither submitted nor discarded".into())))
            }
            Some(Resource::Lock(_)) => Err(Fault::new(FaultKind::Resource("bpf_spin_lock still held at exit".into()))),
        }
    }
}
