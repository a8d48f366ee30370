//! One capture: what goes by is turned into records. How the calls are come by is `trace`'s, what is in a program `program`'s.

use std::fs;
use std::io;
use std::process::ExitStatus;

use libc::pid_t;

use super::attr::{self, Attr, prog_load};
use super::known::{Knowledge, Known};
use super::objects::{self, Object};
use super::record::{Answer, Record, Store};
use super::trace::Calls;
use super::{Error, Options, Summary, memory, program};

/// Of a longer log, this much of its end is kept.
const MAX_LOG: usize = 8 << 20;

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
    Load { record: Box<Record>, attr: Attr, addr: u64 },
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

    fn loaded(&mut self, tid: pid_t, mut record: Record, attr: &Attr, addr: u64, result: i64) {
        let verified = i32::try_from(result).ok().and_then(|fd| match objects::identify(tid, fd) {
            Ok(Object::Program { verified_insns }) => verified_insns,
            _ => None,
        });
        let log = log(tid, attr, addr);
        record.answer = Answer::new(result, attr.u32(prog_load::LOG_LEVEL), log.as_deref(), verified);
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
        Some(Call::Load { record, attr, addr })
    }

    fn leave(&mut self, tid: pid_t, call: Call, result: i64) {
        match call {
            Call::CreateMap(map) => {
                if let Ok(fd) = i32::try_from(result) {
                    self.knowledge.created(tid, fd, *map);
                }
            }
            Call::Load { record, attr, addr } => self.loaded(tid, *record, &attr, addr, result),
        }
    }
}

/// The log that the loader got, without what its buffer held behind the log's end.
fn log(tid: pid_t, attr: &Attr, addr: u64) -> Option<Vec<u8>> {
    use prog_load::*;
    let (level, size, buffer) = (attr.u32(LOG_LEVEL), attr.u32(LOG_SIZE) as usize, attr.u64(LOG_BUF));
    if level == 0 || size == 0 || buffer == 0 {
        return None;
    }
    // Newer kernels say how long the log is, which can be more than there was room for; others leave the field at zero.
    let told = attr.has(LOG_TRUE_SIZE, 4).then(|| memory::read(tid, addr.wrapping_add(LOG_TRUE_SIZE as u64), 4));
    let length = match told {
        Some(Ok(b)) => (u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize).min(size),
        _ => 0,
    };
    let start = length.saturating_sub(MAX_LOG);
    memory::read_text(tid, buffer.wrapping_add(start as u64), MAX_LOG.min(size - start)).ok()
}
