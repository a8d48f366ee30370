//! A booted kernel as an engine. A guest that falls silent or breaks is a finding about the program that it was asked about last: it is
//! named, the guest is booted again, and the rest goes on. How answers are compared is `kernel_diff`'s matter.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use kernel_diff::{Engine, Input, Judgement, Load, LoadOptions, Loaded, MapDump, Output};
use program::Program;

use crate::channel::{Channel, Side, nap};
use crate::initramfs::Archive;
use crate::qemu::{Boot, Machine, Options};
use crate::wire::{Reply, Request, Sent};
use crate::{Cached, Error};

/// Boots that may fail before a kernel counts as one that does not boot.
const ATTEMPTS: u32 = 3;
/// Programs that are under way at once: more would only grow the queues.
const AHEAD: usize = 64;

/// A kernel in a guest that can be asked, and is booted again when it breaks.
pub struct Vm {
    kernel: Cached,
    options: Options,
    initramfs: Vec<u8>,
    guest: Option<Guest>,
    /// `uname -r` of the guest.
    pub release: String,
    /// Boots that did not come up, and guests that were lost at a program.
    pub flakes: u32,
    pub lost: Vec<Lost>,
}

/// A guest that did not come back from a program.
#[derive(Clone, Debug)]
pub struct Lost {
    pub program: String,
    pub what: String,
    pub console: Vec<String>,
}

/// A running guest and what it knows.
struct Guest {
    // Before the machine: the memory is unmapped, then the machine ends.
    channel: Channel,
    machine: Machine,
    sent: Sent,
    /// Counts handles; a handle of an earlier guest is none of this one's.
    next_handle: u32,
    number: u32,
}

impl Vm {
    /// Boots the kernel; its first words are awaited.
    pub fn boot(kernel: &Cached, options: Options) -> Result<Self, Error> {
        let archive = Archive::of_this_program()?;
        let mut vm = Self {
            kernel: kernel.clone(),
            options,
            initramfs: archive.finish(),
            guest: None,
            release: String::new(),
            flakes: 0,
            lost: Vec::new(),
        };
        vm.guest()?;
        Ok(vm)
    }

    /// The guest, booted if there is none.
    fn guest(&mut self) -> Result<&mut Guest, Error> {
        let mut attempt = 1;
        while self.guest.is_none() {
            match self.start() {
                Ok(guest) => self.guest = Some(guest),
                Err(e) if attempt == ATTEMPTS => return Err(e),
                Err(Error::Guest { .. }) => {
                    self.flakes += 1;
                    attempt += 1;
                }
                Err(e) => return Err(e),
            }
        }
        self.guest.as_mut().ok_or_else(|| Error::Unknown("no guest".to_owned()))
    }

    fn start(&mut self) -> Result<Guest, Error> {
        let boot =
            Boot { kernel: &self.kernel.vmlinuz, initramfs: &self.initramfs, mode: "serve", args: &[], channel: true };
        let mut machine = Machine::start(&boot, &self.options)?;
        let memory = machine.memory.as_ref().ok_or_else(|| Error::Unknown("no shared memory".to_owned()))?;
        let channel = Channel::open(memory, Side::Host).map_err(Error::file(std::path::Path::new("shared memory")))?;
        let said = channel.receive(self.options.boot_patience, &mut || machine.ended());
        let reply = said.ok().flatten().and_then(|m| postcard::from_bytes(&m).ok());
        match reply {
            Some(Reply::Ready { release, refused: None }) => {
                self.release = release;
                Ok(Guest {
                    channel,
                    machine,
                    sent: Sent::default(),
                    next_handle: 0,
                    number: self.flakes + self.lost.len() as u32,
                })
            }
            Some(Reply::Ready { refused: Some(why), .. }) => Err(Error::Tool(format!("the guest's kernel: {why}"))),
            _ => {
                let seconds = self.options.boot_patience.as_secs();
                let what = if machine.ended() {
                    "ended while it booted".to_owned()
                } else {
                    format!("did not come up within {seconds} s")
                };
                Err(Error::Guest { what, console: machine.console() })
            }
        }
    }

    /// A file of the guest, such as its kernel's BTF.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        let patience = self.options.patience;
        let guest = self.guest()?;
        let said = guest.send(&Request::Read { path: path.to_owned() }).and_then(|()| guest.receive(patience));
        match said {
            Ok(Reply::File(file)) => file.map_err(|what| Error::Form { path: path.to_owned(), what }),
            Ok(other) => Err(Error::Unknown(unexpected(&other).to_string())),
            Err(what) => Err(self.lose(path, what)),
        }
    }

    /// The guest is gone: says of what, keeps it, and leaves the place empty.
    fn lose(&mut self, program: &str, what: String) -> Error {
        let console = self.guest.take().map(|g| g.machine.console()).unwrap_or_default();
        self.lost.push(Lost { program: program.to_owned(), what: what.clone(), console: console.clone() });
        Error::Guest { what: format!("{what} at `{program}`"), console }
    }

    /// Judges programs, each with fresh maps, many at a time: `each` gets every answer, in the order of the programs.
    pub fn judge_all(
        &mut self,
        programs: &[&Program],
        options: &LoadOptions,
        each: &mut dyn FnMut(usize, Result<Judgement, kernel_diff::Error>),
    ) -> Result<(), Error> {
        let patience = self.options.patience;
        let (mut next, mut answered) = (0, 0);
        while answered < programs.len() {
            let guest = self.guest()?;
            let mut stuck = None;
            while next < programs.len() && next - answered < AHEAD && stuck.is_none() {
                match guest.judge(programs[next], options) {
                    Ok(()) => next += 1,
                    Err(what) => stuck = Some(what),
                }
            }
            let said = match stuck {
                // What does not go through the channel is no fault of a guest that is there.
                Some(what) if next == answered && !guest.machine.ended() => {
                    each(answered, Err(kernel_diff::Error::unsupported(what)));
                    (next, answered) = (next + 1, answered + 1);
                    continue;
                }
                Some(what) if next == answered => Err(what),
                _ => guest.receive(patience),
            };
            match said {
                Ok(Reply::Loaded(judgement)) => each(answered, judgement),
                Ok(other) => each(answered, Err(unexpected(&other))),
                Err(what) => {
                    let e = self.lose(&programs[answered].name, what);
                    each(answered, Err(kernel_diff::Error::Fault(e.to_string())));
                    // What was under way behind it went with the guest, and is asked again.
                    next = answered + 1;
                }
            }
            answered += 1;
        }
        Ok(())
    }
}

/// An answer to something else: host and guest are one binary, so this is a defect.
fn unexpected(reply: &Reply) -> kernel_diff::Error {
    kernel_diff::Error::Environment(format!("the guest answers something else: {reply:?}"))
}

impl Guest {
    /// Sends; answers that come meanwhile wait in their ring.
    fn send(&mut self, request: &Request) -> Result<(), String> {
        let bytes = postcard::to_allocvec(request).map_err(|e| e.to_string())?;
        let start = Instant::now();
        let mut turns = 0;
        while !self.channel.try_send(&bytes).map_err(|e| e.to_string())? {
            if self.machine.ended() || start.elapsed().as_secs() > 60 {
                return Err("takes no more messages".to_owned());
            }
            nap(turns);
            turns += 1;
        }
        Ok(())
    }

    fn judge(&mut self, program: &Program, options: &LoadOptions) -> Result<(), String> {
        self.sent = Sent::default();
        let requests = self.sent.load(program, options, None);
        self.send(&Request::Forget)?;
        requests.iter().try_for_each(|r| self.send(r))
    }

    fn receive(&mut self, patience: std::time::Duration) -> Result<Reply, String> {
        let machine = &mut self.machine;
        match self.channel.receive(patience, &mut || machine.ended()) {
            Ok(Some(bytes)) => postcard::from_bytes(&bytes).map_err(|e| format!("answers what cannot be read: {e}")),
            Ok(None) => Err(match (self.machine.broken(), self.machine.ended()) {
                (Some(line), _) => format!("broke ({line})"),
                (None, true) => "ended".to_owned(),
                (None, false) => format!("was silent for {} s", patience.as_secs()),
            }),
            Err(e) => Err(e.to_string()),
        }
    }
}

/// [`Vm`] behind the trait that all engines have.
#[derive(Clone)]
pub struct VmEngine(pub Rc<RefCell<Vm>>);

fn environment(e: &Error) -> kernel_diff::Error {
    match e {
        Error::Guest { .. } => kernel_diff::Error::Fault(e.to_string()),
        e => kernel_diff::Error::Environment(e.to_string()),
    }
}

impl VmEngine {
    pub fn new(vm: Vm) -> Self {
        Self(Rc::new(RefCell::new(vm)))
    }

    /// Asks something that is answered.
    fn ask(
        &self,
        program: &str,
        requests: impl FnOnce(&mut Guest) -> Vec<Request>,
    ) -> Result<Reply, kernel_diff::Error> {
        let mut vm = self.0.borrow_mut();
        let patience = vm.options.patience;
        let guest = vm.guest().map_err(|e| environment(&e))?;
        let requests = requests(guest);
        let sent = requests.iter().try_for_each(|r| guest.send(r));
        let said = sent.and_then(|()| guest.receive(patience));
        said.map_err(|what| environment(&vm.lose(program, what)))
    }
}

impl Engine for VmEngine {
    fn name(&self) -> &str {
        "vm"
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Load, kernel_diff::Error> {
        let mut kept = (0, 0);
        let reply = self.ask(&program.name, |guest| {
            kept = (guest.number, guest.next_handle);
            guest.next_handle += 1;
            guest.sent.load(program, options, Some(kept.1))
        })?;
        match reply {
            Reply::Loaded(judgement) => {
                let judgement = judgement?;
                let loaded = Remote { vm: self.clone(), guest: kept.0, handle: kept.1, name: program.name.clone() };
                let program = judgement.accepted.then(|| -> Box<dyn Loaded> { Box::new(loaded) });
                Ok(Load { judgement, program })
            }
            other => Err(unexpected(&other)),
        }
    }

    fn forget_maps(&mut self) {
        let mut vm = self.0.borrow_mut();
        if let Some(guest) = vm.guest.as_mut() {
            guest.sent = Sent::default();
            // A guest that takes no message is noticed at the next question.
            let _ = guest.send(&Request::Forget);
        }
    }
}

/// A program in the guest.
struct Remote {
    vm: VmEngine,
    guest: u32,
    handle: u32,
    name: String,
}

impl Remote {
    fn ask(&self, request: Request) -> Result<Reply, kernel_diff::Error> {
        let current = self.vm.0.borrow().guest.as_ref().map(|g| g.number);
        if current != Some(self.guest) {
            return Err(kernel_diff::Error::Fault("the guest that had it loaded is lost".to_owned()));
        }
        self.vm.ask(&self.name, |_| vec![request])
    }
}

impl Loaded for Remote {
    fn run(&mut self, input: &Input, repeat: u32) -> Result<Output, kernel_diff::Error> {
        let input = serde_json::to_string(input).map_err(|e| kernel_diff::Error::unsupported(e.to_string()))?;
        match self.ask(Request::Run { handle: self.handle, input, repeat })? {
            Reply::Ran(output) => output,
            other => Err(unexpected(&other)),
        }
    }

    fn maps(&mut self) -> Result<Vec<MapDump>, kernel_diff::Error> {
        match self.ask(Request::Maps { handle: self.handle })? {
            Reply::Maps(maps) => maps,
            other => Err(unexpected(&other)),
        }
    }
}
