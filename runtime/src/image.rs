//! The lowered program that both engines execute: slots as the kernel got them, and beside each slot what its numbers mean here (a constant, a
//! helper's function, a callee, a map's memory). Not here: execution, or proofs (facts come from outside).

use std::any::Any;
use std::sync::{Arc, OnceLock};

use isa::Insn;
use program::facts::{Fact, Facts};
use program::{MapDef, Program};

use crate::helper::{self, HelperFn};
use crate::map::{Arena, CreateError, Map, Store};
use crate::run::CALLBACK_BASE;

/// What a slot means beyond its own bits.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// Nothing: ALU, loads, stores, jumps.
    Plain,
    /// First slot of a `lddw`: the value that the register gets (constant, map handle, address of a map value, callback).
    Imm64(u64),
    /// Second slot of a `lddw`: never executed.
    SecondHalf,
    /// `call helper`.
    Helper { id: u32, name: &'static str, function: HelperFn },
    /// `call kfunc`.
    Kfunc { name: Arc<str>, function: HelperFn },
    /// `call pc+N`: the callee's entry slot.
    Subprog(u32),
    /// Known not to be executable here; the text names it. Reaching it is `FaultKind::Unsupported`.
    Missing(Arc<str>),
}

/// Why no image could be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("map {map}: {source}")]
    Map { map: String, source: CreateError },
    #[error("slot {0}: map index {1} does not exist")]
    NoSuchMap(usize, i32),
    #[error("the program has no instructions")]
    Empty,
}

/// Options of lowering.
#[derive(Clone, Debug)]
pub struct Options {
    /// Possible CPUs: per-cpu maps have this many values.
    pub nr_cpus: u32,
    /// The kernel's BTF: names of kfuncs, layout of kernel objects.
    pub vmlinux: Option<Arc<btf::Btf>>,
    /// What a verifier has proven about this program, if one ran.
    pub facts: Option<Facts>,
}

impl Default for Options {
    fn default() -> Self {
        Self { nr_cpus: 2, vmlinux: None, facts: None }
    }
}

/// The maps of an object: one `Map` per `MapDef`, so that programs of an object share them.
#[derive(Debug, Default)]
pub struct Maps {
    pairs: Vec<(Arc<MapDef>, Arc<Map>)>,
}

impl Maps {
    /// The map of this definition, created on first use.
    pub fn get(&mut self, def: &Arc<MapDef>, nr_cpus: u32) -> Result<Arc<Map>, ImageError> {
        if let Some((_, map)) = self.pairs.iter().find(|(d, _)| Arc::ptr_eq(d, def)) {
            return Ok(map.clone());
        }
        let map = Map::create(def, nr_cpus).map_err(|source| ImageError::Map { map: def.name.clone(), source })?;
        self.pairs.push((def.clone(), map.clone()));
        Ok(map)
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Map>> {
        self.pairs.iter().find(|(d, _)| d.full_name == name || d.name == name).map(|(_, m)| m)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Map>> {
        self.pairs.iter().map(|(_, m)| m)
    }
}

/// One program, ready to run.
pub struct Image {
    pub name: String,
    pub prog_type: u32,
    pub attach_type: u32,
    /// BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS, ...
    pub flags: u32,
    /// As given, `lddw` still in two slots, so that slot numbers are jump targets.
    pub insns: Vec<Insn>,
    /// One per slot.
    pub meaning: Vec<Meaning>,
    pub maps: Vec<Arc<Map>>,
    /// Possible CPUs, as in `Options`.
    pub nr_cpus: u32,
    /// How many arguments the function has that a TRACING or LSM program is attached to.
    pub attach_args: Option<u32>,
    pub vmlinux: Option<Arc<btf::Btf>>,
    pub facts: Option<Facts>,
    /// Entry slot of the function that the program's BTF marks as its exception callback.
    pub exception_callback: Option<u32>,
    /// The engines' compiled forms of this image, made on first use.
    interpreted: OnceLock<Box<dyn Any + Send + Sync>>,
    compiled: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("name", &self.name).field("slots", &self.insns.len()).finish_non_exhaustive()
    }
}

impl Image {
    pub fn new(program: &Program, maps: &mut Maps, options: &Options) -> Result<Arc<Self>, ImageError> {
        if program.insns.is_empty() {
            return Err(ImageError::Empty);
        }
        let own: Vec<Arc<Map>> = program.maps.iter().map(|d| maps.get(d, options.nr_cpus)).collect::<Result<_, _>>()?;
        let meaning = resolve(program, &own, options)?;
        #[expect(clippy::arc_with_non_send_sync, reason = "an image belongs to the thread of its maps")]
        Ok(Arc::new(Self {
            name: program.name.clone(),
            prog_type: program.prog_type,
            attach_type: program.expected_attach_type,
            flags: program.flags,
            insns: program.insns.clone(),
            meaning,
            maps: own,
            nr_cpus: options.nr_cpus.max(1),
            attach_args: attach_args(program, options.vmlinux.as_deref()),
            vmlinux: options.vmlinux.clone(),
            facts: options.facts.clone(),
            exception_callback: exception_callback(program),
            interpreted: OnceLock::new(),
            compiled: OnceLock::new(),
        }))
    }

    /// What is proven about the access at `slot`.
    pub fn fact(&self, slot: usize) -> Fact {
        self.facts.as_ref().map_or(Fact::Unknown, |f| f.at(slot))
    }

    /// The arena of this program, of which there is at most one.
    pub fn arena(&self) -> Option<&Arena> {
        self.maps.iter().find_map(|m| match &m.store {
            Store::Arena(a) => Some(a),
            _ => None,
        })
    }

    /// The interpreter's form of this program.
    pub fn interpreted<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.interpreted.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// The JIT's form of this program.
    pub fn compiled<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.compiled.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

/// Parameters of the function that the program is attached to. Tracepoints (typedefs in BTF) are not functions.
fn attach_args(program: &Program, vmlinux: Option<&btf::Btf>) -> Option<u32> {
    let btf = vmlinux.filter(|_| program.attach_btf_id != 0)?;
    let proto = btf.func_proto(program.attach_btf_id)?;
    Some(btf.params(proto).count() as u32)
}

/// The function that the declaration tag `exception_callback:NAME` of the main function names.
fn exception_callback(program: &Program) -> Option<u32> {
    let btf = program.btf.as_ref()?;
    let functions: Vec<(u32, u32)> = program.func_info.rows().filter_map(|r| Some((*r.first()?, *r.get(1)?))).collect();
    let (_, main) = functions.iter().find(|(slot, _)| *slot == 0)?;
    let name = btf.decl_tags_of(*main, -1).find_map(|tag| tag.strip_prefix("exception_callback:"))?;
    let (slot, _) = functions.iter().find(|(_, id)| btf.name(*id) == name)?;
    ((*slot as usize) < program.insns.len()).then_some(*slot)
}

const LDDW: u8 = 0x18;
const CALL: u8 = 0x85;

/// What each slot means.
fn resolve(program: &Program, maps: &[Arc<Map>], options: &Options) -> Result<Vec<Meaning>, ImageError> {
    let insns = &program.insns;
    let mut out = Vec::with_capacity(insns.len());
    while out.len() < insns.len() {
        let at = out.len();
        let insn = insns[at];
        match insn.code {
            LDDW => {
                let second = insns.get(at + 1).copied();
                out.push(match second {
                    Some(second) => lddw(program, maps, at, insn, second)?,
                    None => Meaning::Missing("lddw without its second slot".into()),
                });
                if second.is_some() {
                    out.push(Meaning::SecondHalf);
                }
            }
            CALL => out.push(call(insns.len(), at, insn, options)),
            _ => out.push(Meaning::Plain),
        }
    }
    Ok(out)
}

fn lddw(program: &Program, maps: &[Arc<Map>], at: usize, insn: Insn, second: Insn) -> Result<Meaning, ImageError> {
    let map = || -> Result<&Arc<Map>, ImageError> {
        let known = !program.raw_fd_insns.contains(&(at as u32));
        usize::try_from(insn.imm)
            .ok()
            .filter(|_| known)
            .and_then(|i| maps.get(i))
            .ok_or(ImageError::NoSuchMap(at, insn.imm))
    };
    let imm64 = u64::from(insn.imm as u32) | u64::from(second.imm as u32) << 32;
    Ok(match insn.src {
        0 => Meaning::Imm64(imm64),
        1 | 5 => Meaning::Imm64(map()?.handle()),
        2 | 6 => match map()?.value_address(second.imm as u32) {
            Some(addr) => Meaning::Imm64(addr),
            None => Meaning::Missing("address of a map value in a map without direct values".into()),
        },
        3 => Meaning::Missing(format!("address of kernel variable (BTF id {})", insn.imm).into()),
        4 => match target(program.insns.len(), at, insn.imm) {
            Some(entry) => Meaning::Imm64(CALLBACK_BASE + u64::from(entry)),
            None => Meaning::Missing("callback outside of the program".into()),
        },
        other => Meaning::Missing(format!("lddw with source {other}").into()),
    })
}

fn target(len: usize, at: usize, imm: i32) -> Option<u32> {
    let to = at as i64 + 1 + i64::from(imm);
    (0..len as i64).contains(&to).then_some(to as u32)
}

fn call(len: usize, at: usize, insn: Insn, options: &Options) -> Meaning {
    match insn.src {
        0 => match helper::by_id(insn.imm as u32) {
            Some(h) => Meaning::Helper { id: insn.imm as u32, name: h.name, function: h.function },
            None => Meaning::Missing(helper::missing(insn.imm as u32).into()),
        },
        1 => match target(len, at, insn.imm) {
            Some(entry) => Meaning::Subprog(entry),
            None => Meaning::Missing("call outside of the program".into()),
        },
        2 => crate::kfunc::resolve(insn, options.vmlinux.as_deref()),
        other => Meaning::Missing(format!("call with source {other}").into()),
    }
}
