//! The engine: a program becomes a `BPF_PROG_LOAD` on this machine, a run becomes a `BPF_PROG_TEST_RUN`.

use std::os::fd::OwnedFd;

use program::Program;

use super::maps::{BtfCache, MapSet, create_all, dump, kernel_name, put};
use super::{events, sys};
use crate::engine::{Engine, Error, Load, LoadOptions, Loaded};
use crate::input::{Input, MapDump, Output};
use crate::judgement::Judgement;
use crate::shape::{self, Shape};

/// Room for what a program may grow a packet by.
const DATA_OUT: usize = 1 << 16;
const CTX_OUT: usize = 1 << 12;
/// `BPF_PROG_TYPE_SYSCALL`'s context may be as long as this.
const MAX_DEFAULT_CTX: usize = 96;

/// The kernel of this machine.
pub struct HostKernel {
    btfs: BtfCache,
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
        Ok(Self { btfs: BtfCache::default(), log: Vec::new(), release })
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
        let maps = create_all(program, &mut self.btfs)?;
        let btf = match &program.btf {
            Some(b) => {
                Some(self.btfs.fd(b).map_err(|e| Error::unsupported(format!("the kernel refuses the BTF: {e}")))?)
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
            Box::new(LoadedProgram { fd, maps, count: program.maps.len(), shape: shape::of(program.prog_type) })
        });
        Ok(Load { judgement, program })
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
    fd: OwnedFd,
    maps: MapSet,
    /// Length of `Program::maps`.
    count: usize,
    shape: Option<Shape>,
}

impl Loaded for LoadedProgram {
    fn run(&mut self, input: &Input) -> Result<Output, Error> {
        let Some(shape) = self.shape else {
            return Err(Error::unsupported("the kernel has no test run for this program type"));
        };
        for e in &input.maps {
            let Some(map) = self.maps.get(&e.map) else {
                return Err(Error::unsupported(format!("the program does not use map {}", e.map)));
            };
            put(map, &e.key, &e.value)?;
        }
        let zero_data;
        let data = match (&input.data, shape.data) {
            (Some(d), true) if d.len() < shape.min_data => {
                let (name, min) = (shape.name, shape.min_data);
                return Err(Error::unsupported(format!("test runs of {name} want at least {min} bytes of data")));
            }
            (Some(d), true) => Some(d.as_slice()),
            (None, true) => {
                zero_data = vec![0; shape.min_data.max(64)];
                Some(zero_data.as_slice())
            }
            (_, false) => None,
        };
        let zero_ctx = [0; MAX_DEFAULT_CTX];
        let ctx = match (&input.ctx, shape.ctx_in) {
            (Some(c), true) => Some(c.as_slice()),
            (None, true) if shape.name == "raw_tracepoint" => Some(&zero_ctx[..]),
            (None, true) if shape.name == "sk_lookup" => Some(&zero_ctx[..shape.ctx_size]),
            _ => None,
        };
        let mut data_out = vec![0; if shape.data { DATA_OUT } else { 0 }];
        let mut ctx_out = vec![0; if shape.ctx_out && ctx.is_some() { CTX_OUT } else { 0 }];
        if shape.name == "syscall" {
            // Comes back in place and must be of the length that went in.
            ctx_out.truncate(0);
        }
        let repeat = if shape.repeat { input.repeat.max(1) } else { 0 };
        let result = sys::test_run(&self.fd, data, &mut data_out, ctx, &mut ctx_out, repeat)
            .map_err(|e| Error::unsupported(format!("the kernel refuses the test run: {e}")))?;
        data_out.truncate(result.data_len);
        ctx_out.truncate(result.ctx_len);
        Ok(Output {
            retval: result.retval,
            data: shape.data.then_some(data_out),
            ctx: (!ctx_out.is_empty()).then_some(ctx_out),
            events: events::drain(&self.maps)?,
            duration_ns: u64::from(result.duration_ns),
        })
    }

    fn maps(&mut self) -> Result<Vec<MapDump>, Error> {
        (0..self.count).map(|i| self.maps.get(&i).map_or_else(|| Ok(MapDump::default()), dump)).collect()
    }
}
