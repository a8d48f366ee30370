//! Putting a program together: its function, the functions it calls behind it, references filled in, CO-RE applied, and the
//! tables that describe it moved along.

use crate::core_patch;
use crate::externs::What;
use crate::functions::{Function, RefTo};
use crate::info::Builder;
use crate::ksyms::{self, Symbol};
use crate::maps::Source;
use crate::maps::struct_ops::{self, Place};
use crate::object::{ObjProgram, Object};
use crate::section_name::Target;
use crate::{Error, arg_ctx, attach, object};
use btf::Btf;
use btf::core::Resolver;
use isa::Insn;
use isa::consts::*;
use program::{InfoTable, MapDef, Program, SlotInit};
use std::collections::HashMap;
use std::sync::Arc;

/// Numbers that libbpf leaves in calls that must not be reached, plus the index of the map or extern.
const POISON_KFUNC: i32 = 2_002_000_000;
/// What libbpf names the maps of jump tables.
const JUMP_TABLES: &str = ".jumptables";
/// `BPF_MAP_TYPE_INSN_ARRAY`: known to libbpf 1.7, not yet to 6.18.
const INSN_ARRAY: u32 = 34;
/// A kernel takes a million; more than this is not worth the memory.
const MAX_SLOTS: usize = 4 << 20;

/// Links programs of one object for one kernel, sharing what they have in common.
pub struct Linker<'a> {
    object: &'a Object,
    target: Option<&'a Btf>,
    core: Option<Resolver<'a>>,
    symbols: HashMap<usize, Result<Symbol, Error>>,
    maps: Vec<Arc<MapDef>>,
    places: HashMap<usize, Result<Place, Error>>,
    exceptions: HashMap<usize, usize>,
    map_names: HashMap<&'a str, usize>,
}

/// A program under construction.
struct Build<'a> {
    name: &'a str,
    insns: Vec<Insn>,
    /// Function -> its first slot.
    placed: HashMap<usize, usize>,
    /// Functions in order of their place, with it.
    order: Vec<(usize, usize)>,
    funcs: Builder,
    lines: Builder,
    maps: Vec<PlacedMap>,
    map_index: HashMap<usize, i32>,
    /// Jump table -> the index of its map.
    jump_tables: HashMap<usize, i32>,
}

/// A map of a program.
enum PlacedMap {
    /// One of the object's.
    Object(usize),
    /// Made for this program alone.
    Own(Arc<MapDef>),
}

impl<'a> Linker<'a> {
    pub(crate) fn new(object: &'a Object, target: Option<&'a Btf>) -> Self {
        let mut maps = object.maps.clone();
        let mut places = HashMap::new();
        let has_struct_ops = object.parts.maps.list.iter().any(|m| matches!(m.source, Source::StructOps(_)));
        if let (true, Some(kernel)) = (has_struct_ops, target) {
            let names: Vec<String> = object.parts.functions.list.iter().map(|f| f.name.clone()).collect();
            let (defs, found) = struct_ops::resolve(&object.parts.maps, &names, kernel);
            for (i, def) in defs {
                maps[i] = Arc::new(def);
            }
            places = found;
        }
        let core = object.parts.btf.as_deref().map(|local| Resolver::new(local, target));
        let exceptions = exception_callbacks(object);
        let map_names = object.maps.iter().enumerate().map(|(i, m)| (m.full_name.as_str(), i)).collect();
        Self { object, target, core, symbols: HashMap::new(), maps, places, exceptions, map_names }
    }

    /// All maps of the object, struct_ops as this kernel has them.
    pub fn maps(&self) -> &[Arc<MapDef>] {
        &self.maps
    }

    /// The program of that index, ready to load.
    pub fn program(&mut self, index: usize) -> Result<Program, Error> {
        let object = self.object;
        let Some(entry) = object.programs.get(index) else {
            return Err(Error::Section { section: String::new(), problem: format!("there is no program {index}") });
        };
        self.check_externs()?;
        if let Some(core) = &mut self.core {
            core.start_program();
        }
        let mut build = Build {
            name: &entry.name,
            insns: Vec::new(),
            placed: HashMap::new(),
            order: Vec::new(),
            funcs: Builder::default(),
            lines: Builder::default(),
            maps: Vec::new(),
            map_index: HashMap::new(),
            jump_tables: HashMap::new(),
        };
        self.append(&mut build, entry.function, true)?;
        self.follow_calls(&mut build)?;
        if let Some(&callback) = self.exceptions.get(&entry.function)
            && !build.placed.contains_key(&callback)
        {
            self.append(&mut build, callback, false)?;
            self.follow_from(&mut build, callback)?;
        }
        let mut raw_fd_insns = Vec::new();
        for (function, base) in std::mem::take(&mut build.order) {
            raw_fd_insns.extend(self.unrelocated_maps(&build, function, base));
            self.fill_references(&mut build, function, base)?;
        }
        raw_fd_insns.sort_unstable();
        self.finish(entry, build, raw_fd_insns)
    }

    /// A strong extern that the kernel lacks fails the whole object, whichever program uses it. Without the kernel's BTF only
    /// programs that use one fail.
    fn check_externs(&mut self) -> Result<(), Error> {
        if self.target.is_none() {
            return Ok(());
        }
        for index in 0..self.object.parts.externs.list.len() {
            self.symbol(index)?;
        }
        Ok(())
    }

    fn symbol(&mut self, index: usize) -> Result<Symbol, Error> {
        let object = self.object;
        let (Some(ext), Some(local)) = (object.parts.externs.list.get(index), object.parts.btf.as_deref()) else {
            return Ok(Symbol::Missing);
        };
        let target = self.target;
        self.symbols.entry(index).or_insert_with(|| ksyms::resolve(local, ext, target, &object.parts.options)).clone()
    }

    fn function(&self, index: usize) -> &'a Function {
        let object: &'a Object = self.object;
        &object.parts.functions.list[index]
    }

    fn insn_error(&self, build: &Build, function: usize, insn: usize, problem: impl Into<String>) -> Error {
        let function = self.function(function).name.clone();
        Error::Insn { program: build.name.to_owned(), function, insn, problem: problem.into() }
    }

    /// Copies a function behind what is there, with its CO-RE relocations applied and its records moved along.
    fn append(&mut self, build: &mut Build, index: usize, is_main: bool) -> Result<(), Error> {
        let f = self.function(index);
        let parts = &self.object.parts;
        let base = build.insns.len();
        let insns = parts.functions.insns(f);
        if base + insns.len() > MAX_SLOTS {
            return Err(self.insn_error(
                build,
                index,
                0,
                format!("the program has more than {MAX_SLOTS} instructions"),
            ));
        }
        build.insns.extend_from_slice(insns);
        for &r in &f.refs {
            if matches!(r.to, RefTo::FunctionAddress { .. }) {
                build.insns[base + r.slot].src = BPF_PSEUDO_FUNC;
            }
        }
        if !is_main {
            // The main function has no entry: a call of it appends a copy.
            build.placed.insert(index, base);
        }
        build.order.push((index, base));
        if let Some(relos) = parts.core.get(&f.section) {
            let range = |slot: usize| relos.partition_point(|r| (r.insn_off as usize / 8) < slot);
            for relo in &relos[range(f.start)..range(f.start + f.count)] {
                let slot = relo.insn_off as usize / 8 - f.start;
                self.apply_core(build, index, base, slot, relo)?;
            }
        }
        if let Some(info) = &parts.info {
            let described = build.funcs.add(&info.func, f, base, is_main);
            described
                .and_then(|()| build.lines.add(&info.line, f, base, is_main))
                .map_err(|problem| self.insn_error(build, index, 0, problem))?;
        }
        Ok(())
    }

    fn apply_core(
        &mut self,
        build: &mut Build,
        function: usize,
        base: usize,
        slot: usize,
        relo: &btf::ext::CoreRelo,
    ) -> Result<(), Error> {
        let Some(core) = &mut self.core else { return Ok(()) };
        if !relo.insn_off.is_multiple_of(8) {
            return Err(self.insn_error(build, function, slot, "CO-RE relocation is not at an instruction"));
        }
        let answer = core.resolve(relo).map_err(|source| Error::Core {
            program: build.name.to_owned(),
            function: self.function(function).name.clone(),
            insn: slot,
            source: Box::new(source),
        })?;
        let end = base + self.function(function).count;
        core_patch::apply(&mut build.insns[base..end], slot, &answer)
            .map_err(|problem| self.insn_error(build, function, slot, format!("CO-RE relocation: {problem}")))
    }

    fn follow_calls(&mut self, build: &mut Build) -> Result<(), Error> {
        let Some(&(main, base)) = build.order.first() else { return Ok(()) };
        self.follow(build, main, base)
    }

    fn follow_from(&mut self, build: &mut Build, function: usize) -> Result<(), Error> {
        let base = build.placed.get(&function).copied().unwrap_or(0);
        self.follow(build, function, base)
    }

    /// Appends what a function calls or takes the address of, depth first in order of first mention, and sets calls right.
    fn follow(&mut self, build: &mut Build, function: usize, base: usize) -> Result<(), Error> {
        // (function, its base, next slot, next reference)
        let mut stack = vec![(function, base, 0usize, 0usize)];
        while let Some(&mut (function, base, ref mut next, ref mut next_ref)) = stack.last_mut() {
            let f = self.function(function);
            if *next >= f.count {
                stack.pop();
                continue;
            }
            let slot = *next;
            *next += 1;
            let insn = build.insns[base + slot];
            while f.refs.get(*next_ref).is_some_and(|r| r.slot < slot) {
                *next_ref += 1;
            }
            let to = f.refs.get(*next_ref).filter(|r| r.slot == slot).map(|r| r.to);
            let is_call =
                insn.code == BPF_JMP | BPF_CALL && insn.src == BPF_PSEUDO_CALL && insn.dst == 0 && insn.off == 0;
            let is_address = insn.code == LDIMM64 && insn.src == BPF_PSEUDO_FUNC;
            if !is_call && !is_address {
                continue;
            }
            let (section, there) = match to {
                Some(RefTo::ExternCall(_)) => continue,
                Some(RefTo::Call { section, offset }) => (section, (offset / 8) as i64 + i64::from(insn.imm) + 1),
                Some(RefTo::FunctionAddress { section, offset }) => {
                    (section, (offset as i64).wrapping_add(i64::from(insn.imm)) / 8)
                }
                Some(_) => return Err(self.insn_error(build, function, slot, "call with a relocation against data")),
                None if is_address => {
                    return Err(self.insn_error(build, function, slot, "address of a function without a relocation"));
                }
                // A static function of the same section: the distance is in the instruction.
                None => (f.section, (f.start + slot) as i64 + i64::from(insn.imm) + 1),
            };
            let functions = &self.object.parts.functions;
            let called = usize::try_from(there).ok().and_then(|at| functions.at(section, at));
            let Some(called) = called else {
                let name = functions.code.get(&section).map_or("", |c| &c.name);
                let problem = format!("calls instruction {there} of section `{name}`, where there is no function");
                return Err(self.insn_error(build, function, slot, problem));
            };
            let there = match build.placed.get(&called) {
                Some(&there) => there,
                None => {
                    let there = build.insns.len();
                    self.append(build, called, false)?;
                    stack.push((called, there, 0, 0));
                    there
                }
            };
            build.insns[base + slot].imm = (there as i64 - (base + slot) as i64 - 1) as i32;
        }
        Ok(())
    }

    /// Slots that load a map without a relocation: what stands there is a number that the author wrote.
    fn unrelocated_maps(&self, build: &Build, function: usize, base: usize) -> Vec<u32> {
        let f = self.function(function);
        let is_map = |i: &Insn| i.code == LDIMM64 && matches!(i.src, BPF_PSEUDO_MAP_FD | BPF_PSEUDO_MAP_VALUE);
        let code = build.insns.get(base..base + f.count).unwrap_or_default();
        let slots = code.iter().enumerate().filter(|(_, insn)| is_map(insn)).map(|(slot, _)| slot);
        let plain = slots.filter(|slot| f.refs.binary_search_by_key(slot, |r| r.slot).is_err());
        plain.map(|slot| (base + slot) as u32).collect()
    }

    /// Fills in maps, variables and kernel symbols.
    fn fill_references(&mut self, build: &mut Build, function: usize, base: usize) -> Result<(), Error> {
        let f = self.function(function);
        for r in &f.refs {
            let at = base + r.slot;
            let wide = matches!(r.to, RefTo::Map(_) | RefTo::Data { .. } | RefTo::ExternValue(_) | RefTo::JumpTable(_));
            if wide && (r.slot + 1 >= f.count) {
                return Err(self.insn_error(build, function, r.slot, "64-bit immediate load without its second half"));
            }
            match r.to {
                RefTo::Map(map) => {
                    build.insns[at].src = BPF_PSEUDO_MAP_FD;
                    build.insns[at].imm = build.map(map);
                }
                RefTo::Data { map, offset } => {
                    let within = build.insns[at].imm.wrapping_add(offset.cast_signed());
                    build.insns[at + 1].imm = within;
                    build.insns[at].src = BPF_PSEUDO_MAP_VALUE;
                    build.insns[at].imm = build.map(map);
                }
                RefTo::ExternValue(ext) => self.fill_extern_value(build, at, ext)?,
                RefTo::JumpTable(table) => {
                    build.insns[at].src = BPF_PSEUDO_MAP_VALUE;
                    build.insns[at].imm = match build.jump_tables.get(&table) {
                        Some(&index) => index,
                        None => self.add_jump_table(build, function, base, r.slot, table)?,
                    };
                }
                RefTo::ExternCall(ext) => {
                    let symbol = self.symbol(ext)?;
                    let insn = &mut build.insns[at];
                    match symbol {
                        Symbol::BtfId(id) => {
                            insn.src = BPF_PSEUDO_KFUNC_CALL;
                            insn.imm = id as i32;
                            insn.off = 0;
                        }
                        _ => *insn = core_patch::poisoned(POISON_KFUNC.wrapping_add(ext as i32)),
                    }
                }
                RefTo::Call { .. } | RefTo::FunctionAddress { .. } => {}
            }
        }
        Ok(())
    }

    /// Makes the map of a jump table, with places counted from the program's first instruction.
    fn add_jump_table(
        &self,
        build: &mut Build,
        function: usize,
        base: usize,
        slot: usize,
        table: usize,
    ) -> Result<i32, Error> {
        let f = self.function(function);
        let targets = self.object.parts.functions.jump_tables.get(table).map_or(&[][..], |t| &t.targets);
        let mut slots = Vec::with_capacity(targets.len());
        for (i, &target) in targets.iter().enumerate() {
            let within = usize::try_from(target / 8).ok().and_then(|at| (at + base).checked_sub(f.start));
            let Some(place) = within.and_then(|at| u32::try_from(at).ok()) else {
                let problem = format!("entry {i} of its jump table is {target:#x}, which is in no program");
                return Err(self.insn_error(build, function, slot, problem));
            };
            slots.push((i as u32, SlotInit::Insn(place)));
        }
        let map = MapDef {
            name: JUMP_TABLES.to_owned(),
            full_name: JUMP_TABLES.to_owned(),
            map_type: INSN_ARRAY,
            key_size: 4,
            value_size: 16,
            max_entries: slots.len() as u32,
            frozen: true,
            slots,
            ..MapDef::default()
        };
        let index = build.add(PlacedMap::Own(Arc::new(map)));
        build.jump_tables.insert(table, index);
        Ok(index)
    }

    fn fill_extern_value(&mut self, build: &mut Build, at: usize, ext: usize) -> Result<(), Error> {
        let config = self.object.parts.externs.list.get(ext).and_then(|e| match e.what {
            What::Config { offset, .. } => Some(offset),
            What::Symbol { .. } => None,
        });
        let (src, low, high) = match config.zip(self.object.parts.maps.kconfig) {
            Some((offset, map)) => (Some(BPF_PSEUDO_MAP_VALUE), build.map(map), offset as i32),
            None => match self.symbol(ext)? {
                Symbol::BtfId(id) => (Some(BPF_PSEUDO_BTF_ID), id as i32, 0),
                Symbol::Address(address) => (None, address as i32, (address >> 32) as i32),
                Symbol::Missing => (None, 0, 0),
            },
        };
        build.insns[at].src = src.unwrap_or(build.insns[at].src);
        build.insns[at].imm = low;
        build.insns[at + 1].imm = high;
        Ok(())
    }

    fn finish(&mut self, entry: &ObjProgram, mut build: Build, raw_fd_insns: Vec<u32>) -> Result<Program, Error> {
        let object = self.object;
        let bad =
            |problem: String| Error::Program { program: entry.name.clone(), section: entry.section.clone(), problem };
        if entry.prog_type == 0 {
            return Err(bad("its section name tells no program type".into()));
        }
        if entry.target == Target::Program {
            return Err(bad(format!(
                "attach target `{}` is a function of another program, loaded before; the object does not say of which, and \
                 programs that replace or follow a function of a program are not supported",
                entry.attach_to
            )));
        }
        let mut attach_btf_id =
            attach::btf_id(entry.target, &entry.attach_to, &entry.section, self.target).map_err(bad)?;
        let (mut expected_attach_type, mut attach_to) = (entry.expected_attach_type, entry.attach_to.clone());
        if let (Target::StructOps, Some(refusal)) = (entry.target, &object.btf_refused) {
            return Err(bad(format!("struct_ops needs the object's BTF, which the kernel refuses: {refusal}")));
        }
        if entry.target == Target::StructOps {
            match self.places.get(&entry.function) {
                Some(Ok(place)) => {
                    attach_btf_id = place.struct_id;
                    expected_attach_type = place.member;
                    if let Some(kernel) = self.target {
                        let member = kernel.member(place.struct_id, place.member as usize);
                        let member = member.map_or("", |m| kernel.string(m.name_off));
                        attach_to = format!("{}.{member}", kernel.name(place.struct_id));
                    }
                }
                Some(Err(error)) => return Err(error.clone()),
                None if self.target.is_none() => return Err(bad("struct_ops programs need the kernel's BTF".into())),
                None => {}
            }
        }
        let maps = self.used_maps(&mut build);
        let described = object.btf.is_some();
        let mut func_info = if described { build.funcs.finish() } else { InfoTable::default() };
        let btf = self.btf_for(entry, &mut func_info)?;
        Ok(Program {
            name: entry.name.clone(),
            section: entry.section.clone(),
            prog_type: entry.prog_type,
            expected_attach_type,
            flags: entry.flags,
            license: object.license.clone(),
            kern_version: object.kern_version,
            attach_btf_id,
            attach_to,
            insns: build.insns,
            raw_fd_insns,
            maps,
            object_maps: self.maps.clone().into(),
            btf,
            func_info,
            line_info: if described { build.lines.finish() } else { InfoTable::default() },
        })
    }

    /// The object's BTF; with types of its own for this program where the kernel needs them.
    fn btf_for(&self, entry: &ObjProgram, func_info: &mut InfoTable) -> Result<Option<Arc<Btf>>, Error> {
        let (Some(known), Some(local)) = (&self.object.btf, &self.object.parts.btf) else { return Ok(None) };
        let takes = self.object.parts.options.takes;
        let own = match takes.arg_ctx_tag {
            true => None,
            false => arg_ctx::retype(local, entry.prog_type, func_info),
        };
        let Some(own) = own else { return Ok(Some(Arc::clone(known))) };
        let own = own.finish().map_err(|source| Error::Btf { section: ".BTF", source })?;
        object::given(&Arc::new(own), takes).map(Some)
    }

    /// The maps that instructions refer to, then those that these have in their slots.
    fn used_maps(&self, build: &mut Build) -> Vec<Arc<MapDef>> {
        let mut next = 0;
        while let Some(map) = build.maps.get(next) {
            next += 1;
            let PlacedMap::Object(map) = *map else { continue };
            for (_, init) in &self.maps[map].slots {
                if let SlotInit::Map(name) = init
                    && let Some(&inner) = self.map_names.get(name.as_str())
                {
                    build.map(inner);
                }
            }
        }
        let def = |map: &PlacedMap| match map {
            PlacedMap::Object(i) => Arc::clone(&self.maps[*i]),
            PlacedMap::Own(def) => Arc::clone(def),
        };
        build.maps.iter().map(def).collect()
    }
}

impl Build<'_> {
    /// Index of an object's map among those of the program.
    fn map(&mut self, map: usize) -> i32 {
        if let Some(&index) = self.map_index.get(&map) {
            return index;
        }
        let index = self.add(PlacedMap::Object(map));
        self.map_index.insert(map, index);
        index
    }

    fn add(&mut self, map: PlacedMap) -> i32 {
        self.maps.push(map);
        (self.maps.len() - 1) as i32
    }
}

/// Functions whose BTF names another as their exception callback (`__exception_cb`).
fn exception_callbacks(object: &Object) -> HashMap<usize, usize> {
    const TAG: &str = "exception_callback:";
    let mut callbacks = HashMap::new();
    let Some(btf) = object.parts.btf.as_deref() else { return callbacks };
    let functions = &object.parts.functions;
    let by_name: HashMap<&str, usize> = functions.list.iter().enumerate().map(|(i, f)| (f.name.as_str(), i)).collect();
    let mut ids = HashMap::new();
    for entry in &object.programs {
        let find = || btf.find(btf::Kind::Func, &entry.name);
        let Some(id) = *ids.entry(entry.name.as_str()).or_insert_with(find) else { continue };
        let mut named = btf.decl_tags_of(id, -1).filter_map(|tag| tag.strip_prefix(TAG));
        // With more than one, the kernel refuses the program.
        if let (Some(name), None) = (named.next(), named.next())
            && let Some(&callback) = by_name.get(name)
        {
            callbacks.insert(entry.function, callback);
        }
    }
    callbacks
}
