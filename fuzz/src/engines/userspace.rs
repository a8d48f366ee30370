//! The interpreter and the JIT as engines: programs become images, inputs become contexts, maps are shared as in a kernel. What an
//! instruction does is theirs; whether a program may run is the verifier's, which these ask only for its facts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use kernel_diff::{Engine, Error, Event, Input, Judgement, Load, LoadOptions, Loaded, MapDump, Output};
use program::{MapDef, Program, SlotInit};
use runtime::input::{Entry, MapPreset};
use runtime::map::Store;
use runtime::{Fault, FaultKind, Image, Map, Maps, Run, World};
use spec::Profile;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Interpreter,
    Jit,
}

/// Steps after which a run counts as endless.
const BUDGET: u64 = 1 << 28;

/// An engine of this repository.
pub struct Userspace {
    backend: Backend,
    options: runtime::Options,
    /// With a profile, the JIT leaves out the checks that the verifier has proven unnecessary.
    facts: Option<Profile>,
    shared: Rc<RefCell<Shared>>,
}

/// What programs of one object share.
#[derive(Default)]
struct Shared {
    maps: Maps,
    images: HashMap<String, Arc<Image>>,
}

impl Userspace {
    pub fn new(backend: Backend, vmlinux: Option<Arc<btf::Btf>>) -> Self {
        let options = runtime::Options { vmlinux, ..runtime::Options::default() };
        Self { backend, options, facts: None, shared: Rc::default() }
    }

    /// Uses what our verifier proves under this profile.
    pub fn with_facts(mut self, profile: Profile) -> Self {
        self.facts = Some(profile);
        self
    }
}

impl Engine for Userspace {
    fn name(&self) -> &str {
        match self.backend {
            Backend::Interpreter => "interp",
            Backend::Jit => "jit",
        }
    }

    fn load(&mut self, program: &Program, _: &LoadOptions) -> Result<Load, Error> {
        let mut shared = self.shared.borrow_mut();
        let options = runtime::Options {
            facts: self.facts.as_ref().and_then(|p| verifier::verify(program, p, &verifier::Options::default()).facts),
            ..self.options.clone()
        };
        let image = Image::new(program, &mut shared.maps, &options).map_err(|e| Error::unsupported(e.to_string()))?;
        if self.backend == Backend::Jit {
            jit::compile(&image).map_err(|e| Error::unsupported(format!("JIT: {e}")))?;
        }
        for def in &program.maps {
            let map = shared.maps.get(def, options.nr_cpus).map_err(|e| Error::unsupported(e.to_string()))?;
            static_slots(program, def, &map, &mut shared, options.nr_cpus)?;
        }
        shared.images.insert(program.name.clone(), Arc::clone(&image));
        let loaded = LoadedImage {
            image,
            backend: self.backend,
            shared: Rc::clone(&self.shared),
            world: World::default(),
            defs: program.maps.clone(),
            nr_cpus: options.nr_cpus,
        };
        Ok(Load { judgement: Judgement { accepted: true, ..Judgement::default() }, program: Some(Box::new(loaded)) })
    }

    fn forget_maps(&mut self) {
        self.shared = Rc::default();
    }
}

/// Maps that the object puts into maps; programs come as presets, once they are loaded.
fn static_slots(program: &Program, def: &MapDef, map: &Map, shared: &mut Shared, nr_cpus: u32) -> Result<(), Error> {
    for (slot, init) in &def.slots {
        let SlotInit::Map(name) = init else { continue };
        let inner = program.maps.iter().find(|m| m.full_name == *name);
        let inner = inner.ok_or_else(|| Error::unsupported(format!("map `{}` holds unknown `{name}`", def.name)))?;
        let inner = shared.maps.get(inner, nr_cpus).map_err(|e| Error::unsupported(e.to_string()))?;
        put_map(map, &slot.to_le_bytes(), &inner)?;
    }
    Ok(())
}

fn put_map(outer: &Map, key: &[u8], inner: &Arc<Map>) -> Result<(), Error> {
    let result = match &outer.store {
        Store::ArrayOfMaps(s) => s.set(index(key)?, inner),
        Store::HashOfMaps(s) => s.set(key, inner),
        _ => return Err(Error::unsupported(format!("map `{}` holds no maps", outer.name()))),
    };
    result.map_err(|e| Error::unsupported(format!("map `{}`: slot: {e}", outer.name())))
}

fn index(key: &[u8]) -> Result<u32, Error> {
    key.try_into().map(u32::from_le_bytes).map_err(|_| Error::unsupported("a slot's key has 4 bytes"))
}

/// An image with what it needs to run.
struct LoadedImage {
    image: Arc<Image>,
    backend: Backend,
    shared: Rc<RefCell<Shared>>,
    world: World,
    defs: Vec<Arc<MapDef>>,
    nr_cpus: u32,
}

impl LoadedImage {
    /// The map that an input means, by its name in the object or in the kernel.
    fn map(&self, name: &str) -> Result<Arc<Map>, Error> {
        let def = self.defs.iter().find(|d| d.full_name == name || d.name == name);
        let def = def.ok_or_else(|| Error::unsupported(format!("the program has no map `{name}`")))?;
        self.shared.borrow_mut().maps.get(def, self.nr_cpus).map_err(|e| Error::unsupported(e.to_string()))
    }

    fn preset(&self, preset: &MapPreset) -> Result<(), Error> {
        let map = self.map(&preset.map)?;
        for entry in &preset.entries {
            self.put(&map, entry)?;
        }
        match &map.store {
            Store::PerfEvents(s) if preset.readers => s.open_all(self.nr_cpus),
            _ if preset.readers => return Err(Error::unsupported(format!("map `{}` has no readers", preset.map))),
            Store::UserRingBuf(s) => {
                for sample in &preset.samples {
                    s.produce(&sample.0)
                        .map_err(|e| Error::unsupported(format!("map `{}`: sample: {e}", preset.map)))?;
                }
            }
            _ if !preset.samples.is_empty() => {
                return Err(Error::unsupported(format!("map `{}` takes no samples", preset.map)));
            }
            _ => {}
        }
        Ok(())
    }

    fn put(&self, map: &Map, entry: &Entry) -> Result<(), Error> {
        let refused = |e: &dyn std::fmt::Display| Error::unsupported(format!("map `{}`: update: {e}", map.name()));
        let Some(name) = &entry.slot else {
            let (value, whole) = (&entry.value.0, map.user_value_size());
            let one = map.def.value_size as usize;
            let mut padded = value.clone();
            padded.resize(one.next_multiple_of(8), 0);
            // One CPU's value stands for all.
            let value =
                if value.len() == one && whole > one { padded.repeat(whole / padded.len()) } else { value.clone() };
            return map.put(&entry.key.0, &value, 0).map_err(|e| refused(&e));
        };
        let image = self.shared.borrow().images.get(name).cloned();
        match (&map.store, image) {
            (Store::Programs(s), Some(image)) => s.set(index(&entry.key.0)?, &image).map_err(|e| refused(&e)),
            (Store::Programs(_), None) => Err(refused(&format!("no program `{name}` is loaded"))),
            _ => put_map(map, &entry.key.0, &self.map(name)?),
        }
    }

    fn events(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        for map in &self.image.maps {
            if let Store::RingBuf(s) = &map.store {
                out.extend(s.consume().into_iter().map(|data| Event { map: map.name().to_owned(), data }));
            }
        }
        let samples = std::mem::take(&mut self.world.out.perf);
        out.extend(samples.into_iter().map(|s| Event { map: s.map, data: s.data }));
        out
    }
}

fn fault(f: &Fault) -> Error {
    match *f.kind {
        FaultKind::Unsupported(_) => Error::Unsupported(f.to_string()),
        _ => Error::Fault(f.to_string()),
    }
}

impl Loaded for LoadedImage {
    fn run(&mut self, input: &Input, repeat: u32) -> Result<Output, Error> {
        for preset in &input.maps {
            self.preset(preset)?;
        }
        let context = || runtime::ctx::build(&self.image, input).map_err(|e| Error::unsupported(e.to_string()));
        self.world = World::new(input.world.clone());
        let mut run = Run::new(&self.image, &mut self.world, context()?).map_err(|e| fault(&e))?;
        run.set_budget(BUDGET);
        let mut retval = 0;
        let start = std::time::Instant::now();
        let rounds = repeat.max(1);
        for round in 0..rounds {
            if round > 0 {
                run.restart(&self.image, context()?);
            }
            let result = match self.backend {
                Backend::Interpreter => interpreter::run(&self.image, &mut run),
                Backend::Jit => jit::run(&self.image, &mut run),
            };
            retval = result.map_err(|e| fault(&e))? as u32;
        }
        let duration_ns = u64::try_from(start.elapsed().as_nanos() / u128::from(rounds)).unwrap_or(u64::MAX);
        let data = run.ctx.packet.as_ref().map(|p| p.contents());
        let ctx = Some(run.ctx.bytes()).filter(|_| self.image.prog_type == crate::generate::SYSCALL);
        drop(run);
        Ok(Output { retval, data, ctx, events: self.events(), duration_ns })
    }

    fn maps(&mut self) -> Result<Vec<MapDump>, Error> {
        let dump = |map: &Arc<Map>| {
            let readable = matches!(map.store, Store::Array(_) | Store::Hash(_) | Store::Lpm(_) | Store::Queue(_));
            MapDump {
                name: map.name().to_owned(),
                entries: readable.then(|| map.entries()),
                per_cpu: map.user_value_size() > map.def.value_size as usize,
            }
        };
        Ok(self.image.maps.iter().map(dump).collect())
    }
}
