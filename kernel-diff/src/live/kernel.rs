//! The engine: a program becomes a `BPF_PROG_LOAD` on this machine, a run becomes a `BPF_PROG_TEST_RUN`.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use program::Program;
use runtime::Input;
use runtime::input::{MapPreset, Trigger};
use spec::ProgType;

use super::maps::{MapSet, Session, dump, kernel_name, put, put_fd};
use super::{attach, events, sys, trigger};
use crate::engine::{Engine, Error, Load, LoadOptions, Loaded};
use crate::input::{MapDump, Output};
use crate::judgement::Judgement;
use crate::{raw, shape};

/// Room for what a program may grow a packet by.
const DATA_OUT: usize = 1 << 16;
const CTX_OUT: usize = 1 << 12;

/// The kernel of this machine.
pub struct HostKernel {
    session: Rc<RefCell<Session>>,
    /// Reused between loads: fresh pages for each would cost more than small loads do.
    log: Vec<u8>,
    release: String,
}

impl HostKernel {
    /// Checks that this process may ask the kernel.
    pub fn new() -> Result<Self, Error> {
        sys::raise_memlock();
        let probe = sys::MapCreate { map_type: 2, key_size: 4, value_size: 4, max_entries: 1, ..Default::default() };
        sys::map_create(probe)
            .map_err(|e| Error::Environment(format!("bpf(2) does not work here: {e} (needs root or CAP_BPF)")))?;
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        Ok(Self { session: Rc::default(), log: Vec::new(), release })
    }

    /// Attaches programs when an input says what triggers them.
    pub fn attaching(self) -> Self {
        self.session.borrow_mut().attachable = Some(Vec::new());
        self
    }

    /// `uname -r`.
    pub fn release(&self) -> &str {
        &self.release
    }
}

impl Engine for HostKernel {
    fn name(&self) -> &str {
        "kernel"
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Load, Error> {
        let mut session = self.session.borrow_mut();
        let maps = session.maps_of(program)?;
        let btf = match &program.btf {
            Some(b) => {
                Some(session.btfs.fd(b).map_err(|e| Error::unsupported(format!("the kernel refuses the BTF: {e}")))?)
            }
            None => None,
        };
        let insns = encode(program, &maps);
        let args = sys::LoadArgs {
            prog_type: program.prog_type,
            insns: &insns,
            license: &program.license,
            log_level: options.log_level,
            kern_version: program.kern_version,
            flags: program.flags,
            name: kernel_name(&program.name),
            expected_attach_type: program.expected_attach_type,
            btf,
            func_info: &program.func_info,
            line_info: &program.line_info,
            attach_btf_id: program.attach_btf_id,
        };
        let size = options.log_size.max(4096) as usize;
        if options.log_level != 0 && self.log.len() < size {
            self.log = vec![0; size];
        }
        let log: &mut [u8] = if options.log_level == 0 { &mut [] } else { &mut self.log[..size] };
        let answer = sys::prog_load(&args, log);
        let errno = answer.as_ref().map_or_else(|e| -e.0, |_| 0);
        let judgement = Judgement::from_log(answer.is_ok(), errno, log);
        let program = answer.ok().map(|fd| -> Box<dyn Loaded> {
            let fd = Rc::new(fd);
            session.programs.insert(program.name.clone(), Rc::clone(&fd));
            if let Some(all) = session.attachable.as_mut() {
                all.push((program.clone(), Rc::clone(&fd)));
            }
            Box::new(LoadedProgram { fd, maps, program: program.clone(), session: Rc::clone(&self.session) })
        });
        Ok(Load { judgement, program })
    }

    fn forget_maps(&mut self) {
        self.session.borrow_mut().forget();
    }
}

/// The slots as bytes, map indices replaced by descriptors.
fn encode(program: &Program, maps: &MapSet) -> Vec<u8> {
    use std::os::fd::AsRawFd;
    let mut out = Vec::with_capacity(program.insns.len() * isa::Insn::SIZE);
    let mut second_half = false;
    for (slot, insn) in program.insns.iter().enumerate() {
        let mut insn = *insn;
        let wide = !second_half && insn.code == isa::consts::LDIMM64;
        if wide && matches!(insn.src, 1 | 2) && !program.raw_fd_insns.contains(&(slot as u32)) {
            let map = usize::try_from(insn.imm).ok().and_then(|i| maps.get(&i));
            insn.imm = map.map_or(-1, |m| m.fd.as_raw_fd());
        }
        second_half = wide;
        out.extend_from_slice(&insn.to_bytes());
    }
    out
}

/// A program in the kernel.
struct LoadedProgram {
    fd: Rc<OwnedFd>,
    maps: MapSet,
    program: Program,
    session: Rc<RefCell<Session>>,
}

impl LoadedProgram {
    /// The program or map that a slot names.
    fn named(&self, name: &str) -> Result<Rc<OwnedFd>, Error> {
        let mut session = self.session.borrow_mut();
        if let Some(program) = session.programs.get(name) {
            return Ok(Rc::clone(program));
        }
        let index = raw::map_index(&self.program, name)
            .map_err(|_| Error::unsupported(format!("no program or map `{name}` is loaded")))?;
        Ok(session.map(&self.program.maps[index])?.fd)
    }

    /// Puts a preset's elements into its map.
    fn preset(&self, preset: &MapPreset) -> Result<(), Error> {
        let index = raw::map_index(&self.program, &preset.map)?;
        // A map that no instruction names was not created, and nothing can show its contents.
        let Some(map) = self.maps.get(&index) else { return Ok(()) };
        for e in &preset.entries {
            match &e.slot {
                None => put(map, &e.key.0, &e.value.0)?,
                Some(name) => put_fd(map, &e.key.0, self.named(name)?.as_ref())?,
            }
        }
        if preset.readers || !preset.samples.is_empty() {
            return Err(Error::unsupported(format!("map `{}`: readers and samples in a kernel", preset.map)));
        }
        Ok(())
    }
}

impl LoadedProgram {
    /// Attaches every program that is loaded beside this one, does what triggers them, and detaches them.
    fn triggered(&self, input: &Input, trigger: &Trigger) -> Result<Output, Error> {
        let mut output = Output { silent: true, ..Output::default() };
        if trigger.call != "none" {
            let waiting = trigger::prepared(trigger, &input.world.task)?;
            let session = self.session.borrow();
            let programs = session.attachable.iter().flatten();
            let links: Result<Vec<_>, _> = programs.map(|(program, fd)| attach::attach(program, fd)).collect();
            let errno = waiting.go()?;
            // What could not be attached is told when the child is gone.
            drop(links?);
            match ProgType::from_raw(self.program.prog_type) {
                Some(ProgType::Lsm) => (output.silent, output.retval) = (false, denial(errno)),
                Some(ProgType::CgroupSock | ProgType::CgroupSockAddr | ProgType::CgroupDevice) => {
                    (output.silent, output.retval) = (false, u32::from(errno != libc::EPERM));
                }
                _ => {}
            }
        }
        output.events = events::drain(&self.maps)?;
        Ok(output)
    }
}

/// What a security hook returned whose call ended so: other errors are those of the call itself.
fn denial(errno: i32) -> u32 {
    if matches!(errno, libc::EPERM | libc::EACCES) { (-errno).cast_unsigned() } else { 0 }
}

impl Loaded for LoadedProgram {
    fn run(&mut self, input: &Input, repeat: u32) -> Result<Output, Error> {
        let attaches = self.session.borrow().attachable.is_some();
        if let Some(trigger) = input.trigger.as_ref().filter(|_| attaches) {
            for preset in &input.maps {
                self.preset(preset)?;
            }
            return self.triggered(input, trigger);
        }
        let Some(shape) = shape::of(self.program.prog_type) else {
            return Err(Error::unsupported("the kernel has no test run for this program type"));
        };
        for preset in &input.maps {
            self.preset(preset)?;
        }
        let raw = raw::input(&self.program, &shape, input)?;
        let mut data_out = vec![0; if raw.data.is_some() { DATA_OUT } else { 0 }];
        let mut ctx_out = vec![0; if shape.ctx_out && raw.ctx.is_some() { CTX_OUT } else { 0 }];
        let mut in_place = Vec::new();
        if shape.name == "syscall" {
            // This type's context comes back in the buffer that it went in by.
            ctx_out.clear();
            in_place = raw.ctx.clone().unwrap_or_default();
        }
        let ctx = if in_place.is_empty() { raw.ctx.as_deref() } else { Some(in_place.as_slice()) };
        let repeat = if shape.repeat { repeat.max(1) } else { 0 };
        let result = sys::test_run(&self.fd, raw.data.as_deref(), &mut data_out, ctx, &mut ctx_out, repeat)
            .map_err(|e| Error::unsupported(format!("the kernel refuses the test run: {e}")))?;
        data_out.truncate(result.data_len);
        ctx_out.truncate(result.ctx_len);
        let ctx = if in_place.is_empty() { ctx_out } else { in_place };
        Ok(Output {
            retval: result.retval,
            silent: false,
            data: raw.data.is_some().then_some(data_out),
            ctx: (!ctx.is_empty()).then_some(ctx),
            events: events::drain(&self.maps)?,
            trace: Vec::new(),
            duration_ns: u64::from(result.duration_ns),
        })
    }

    fn maps(&mut self) -> Result<Vec<MapDump>, Error> {
        (0..self.program.maps.len()).map(|i| self.maps.get(&i).map_or_else(|| Ok(MapDump::default()), dump)).collect()
    }
}
