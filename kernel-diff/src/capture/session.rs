//! One capture: what goes by is turned into records. How the calls are come by is `trace`'s, what is in a program `program`'s.

use std::fs;
use std::io;
use std::process::ExitStatus;

use libc::pid_t;

use super::attr::{self, Attr, prog_load};
use super::known::{Knowledge, Known};
use super::log::Buffer;
use super::objects::{self, Object};
use super::record::{Answer, Record, Store};
use super::trace::Calls;
use super::{Error, Options, Summary, program};

/// The state of a capture.
pub struct Session {
    knowledge: Knowledge,
    kernel: String,
    named: bool,
    summary: Counts,
    /// The first failure to write; the command runs on without being recorded.
    failed: Option<io::Error>,
}

#[derive(Default)]
struct Counts {
    accepted: usize,
    refused: usize,
    incomplete: usize,
    unnamed: usize,
}

/// A call whose result is waited for.
pub enum Call {
    CreateMap(Box<Known>),
    Load { record: Box<Record>, log_level: u32, log: Option<Buffer> },
}

impl Session {
    pub fn new(options: &Options) -> Result<Self, Error> {
        let store =
            Store::create(&options.output).map_err(|why| Error::Output { path: options.output.clone(), why })?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            knowledge: Knowledge::new(store),
            kernel: kernel.trim().to_owned(),
            named: options.named,
            summary: Counts::default(),
            failed: None,
        })
    }

    pub fn finish(self, ended: ExitStatus) -> Result<Summary, Error> {
        if let Some(why) = self.failed {
            return Err(Error::Output { path: self.knowledge.store.path().to_owned(), why });
        }
        let Counts { accepted, refused, incomplete, unnamed } = self.summary;
        Ok(Summary { accepted, refused, incomplete, unnamed, ended })
    }

    fn loaded(&mut self, tid: pid_t, mut record: Record, log_level: u32, log: Option<&[u8]>, result: i64) {
        let verified = i32::try_from(result).ok().and_then(|fd| match objects::identify(tid, fd) {
            Ok(Object::Program { verified_insns }) => verified_insns,
            _ => None,
        });
        record.answer = Answer::new(result, log_level, log, verified);
        let counts = &mut self.summary;
        let number = counts.accepted + counts.refused + 1;
        let name = if record.load.prog_name.is_empty() { "-" } else { &record.load.prog_name };
        record.id = format!("{number}:{}:{name}", record.comm);
        record.kernel.clone_from(&self.kernel);
        *if result < 0 { &mut counts.refused } else { &mut counts.accepted } += 1;
        counts.incomplete += usize::from(record.incomplete.is_some());
        if let Err(why) = self.knowledge.store.write(&record) {
            self.failed = Some(why);
        }
    }
}

impl Calls for Session {
    type Call = Call;

    fn enter(&mut self, tid: pid_t, command: u64, addr: u64, size: u64) -> Option<Call> {
        if self.failed.is_some() || !matches!(command, attr::MAP_CREATE | attr::PROG_LOAD) {
            return None;
        }
        // An attribute that we cannot read is one that the kernel cannot read: EFAULT, and nothing to record.
        let attr = Attr::read(tid, addr, size).ok()?;
        if command == attr::MAP_CREATE {
            return Some(Call::CreateMap(Box::new(self.knowledge.creation(tid, &attr))));
        }
        if self.named && attr.name(prog_load::PROG_NAME).is_empty() {
            self.summary.unnamed += 1;
            return None;
        }
        let record = Box::new(program::read(&mut self.knowledge, tid, &attr));
        Some(Call::Load { record, log_level: attr.u32(prog_load::LOG_LEVEL), log: Buffer::new(tid, &attr, addr) })
    }

    fn leave(&mut self, tid: pid_t, call: Call, result: i64) {
        match call {
            Call::CreateMap(map) => {
                if let Ok(fd) = i32::try_from(result) {
                    self.knowledge.created(tid, fd, *map);
                }
            }
            Call::Load { record, log_level, log } => {
                let log = log.and_then(|buffer| buffer.read());
                self.loaded(tid, *record, log_level, log.as_deref(), result);
            }
        }
    }
}
