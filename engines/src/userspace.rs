//! The interpreter and the JIT as engines. What an instruction does is theirs, maps and contexts are the runtime's; whether a program may
//! run is the verifier's, which this asks only for its facts.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use kernel_diff::{Engine, Error, Event, Input, Judgement, Load, LoadOptions, Loaded, MapDump, Output};
use program::Program;
use runtime::map::Store;
use runtime::session::{Report, Session, StartError};
use runtime::{Fault, FaultKind, Image, Map, World};
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
    /// Programs of one object share their maps.
    session: Rc<RefCell<Session>>,
}

impl Userspace {
    pub fn new(backend: Backend, vmlinux: Option<Arc<btf::Btf>>) -> Self {
        let options = runtime::Options { vmlinux, ..runtime::Options::default() };
        Self { backend, options, facts: None, session: Rc::default() }
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

    /// Takes every program: these engines check accesses themselves and run rejected programs too.
    fn load(&mut self, program: &Program, _: &LoadOptions) -> Result<Load, Error> {
        let facts = self.facts.as_ref().and_then(|p| verifier::verify(program, p, &verifier::Options::default()).facts);
        let options = runtime::Options { facts, ..self.options.clone() };
        let image = self.session.borrow_mut().add(program, &options).map_err(|e| Error::unsupported(e.to_string()))?;
        if self.backend == Backend::Jit {
            jit::compile(&image).map_err(|e| Error::unsupported(format!("JIT: {e}")))?;
        }
        let loaded = LoadedImage {
            image,
            backend: self.backend,
            session: Rc::clone(&self.session),
            world: World::default(),
            linked: false,
        };
        Ok(Load { judgement: Judgement { accepted: true, ..Judgement::default() }, program: Some(Box::new(loaded)) })
    }

    fn forget_maps(&mut self) {
        self.session = Rc::default();
    }
}

/// An image with what it needs to run.
struct LoadedImage {
    image: Arc<Image>,
    backend: Backend,
    session: Rc<RefCell<Session>>,
    world: World,
    /// Static slots are filled when the first run begins, because then all programs are there.
    linked: bool,
}

impl LoadedImage {
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

    /// Runs and reports; the time of one round.
    fn execute(&mut self, input: &Input, rounds: u32) -> Result<(Report, u64), Error> {
        let mut run = Session::start(&self.image, input, &mut self.world).map_err(|e| match e {
            StartError::Fault(f) => fault(&f),
            StartError::Context(e) => Error::unsupported(e.to_string()),
        })?;
        run.set_budget(BUDGET);
        let mut r0 = 0;
        let start = Instant::now();
        for round in 0..rounds {
            if round > 0 {
                let context = runtime::ctx::build(&self.image, input).map_err(|e| Error::unsupported(e.to_string()))?;
                run.restart(&self.image, context);
            }
            let result = match self.backend {
                Backend::Interpreter => interpreter::run(&self.image, &mut run),
                Backend::Jit => jit::run(&self.image, &mut run),
            };
            r0 = result.map_err(|e| fault(&e))?;
        }
        let nanos = u64::try_from(start.elapsed().as_nanos() / u128::from(rounds)).unwrap_or(u64::MAX);
        Ok((Report::of(&run, r0), nanos))
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
        if !std::mem::replace(&mut self.linked, true) {
            self.session.borrow().link();
        }
        self.session.borrow().preset(&input.maps).map_err(|e| Error::unsupported(e.to_string()))?;
        let (report, duration_ns) = self.execute(input, repeat.max(1))?;
        let ctx = Some(report.ctx.0).filter(|_| self.image.prog_type == spec::ProgType::Syscall.raw());
        let data = Some(report.packet.0).filter(|p| !p.is_empty());
        Ok(Output {
            retval: report.retval,
            silent: false,
            data,
            ctx,
            events: self.events(),
            trace: report.outputs.trace,
            duration_ns,
        })
    }

    fn maps(&mut self) -> Result<Vec<MapDump>, Error> {
        let dump = |map: &Arc<Map>| {
            let readable = matches!(map.store, Store::Array(_) | Store::Hash(_) | Store::Lpm(_) | Store::Queue(_));
            MapDump {
                name: map.name().to_owned(),
                entries: readable.then(|| map.entries()),
                per_cpu: map.user_value_size() > map.def.value_size.next_multiple_of(8) as usize,
            }
        };
        Ok(self.image.maps.iter().map(dump).collect())
    }
}
