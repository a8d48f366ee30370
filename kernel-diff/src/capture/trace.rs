//! Following processes with `ptrace(2)`: starts the command, goes along with every process and thread that comes of it, and stops each
//! at `bpf(2)` only, thanks to a seccomp filter that it inherits. What the calls mean is not here.
#![allow(unsafe_code, reason = "ptrace, wait and seccomp have no safe interface")]

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use libc::{c_int, c_long, c_uint, pid_t};

use super::Error;

/// Who looks at the calls.
pub trait Calls {
    /// What is kept of a call until it returns.
    type Call;

    /// A call about to be made, with its arguments. `None`: its result is not of interest.
    fn enter(&mut self, tid: pid_t, command: u64, attr: u64, size: u64) -> Option<Self::Call>;

    /// It has returned: a descriptor or a negative errno.
    fn leave(&mut self, tid: pid_t, call: Self::Call, result: i64);
}

/// Errnos from here on say that the new process may not be traced: the one number is all that comes back from it.
const NOT_TRACEABLE: i32 = 100_000;

const OPTIONS: c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_EXITKILL;

/// Runs the command until it and all its descendants have ended.
pub fn follow<C: Calls>(command: &[OsString], calls: &mut C) -> Result<ExitStatus, Error> {
    let (name, args) = command.split_first().ok_or(Error::NoCommand)?;
    // ^C is for the command; what it loads before it ends still counts.
    let signals = Ignored::new(&[libc::SIGINT, libc::SIGQUIT]);
    let handlers = signals.handlers.clone();
    let mut start = Command::new(name);
    start.args(args);
    // SAFETY: `prepare` makes system calls only and allocates nothing.
    unsafe { start.pre_exec(move || prepare(&handlers)) };
    let child = start.spawn().map_err(|why| match why.raw_os_error() {
        Some(code) if code >= NOT_TRACEABLE => Error::Refused(io::Error::from_raw_os_error(code - NOT_TRACEABLE)),
        _ => Error::Command { command: name.clone(), why },
    })?;
    let root = child.id() as pid_t;
    let mut tracer = Tracer { calls, pending: HashMap::new(), started: HashSet::from([root]) };
    tracer.begin(root).map_err(Error::Refused)?;
    let mut signals = Some(signals);
    let mut ended = None;
    while let Some((tid, status)) = wait(-1).map_err(Error::Refused)? {
        if libc::WIFSTOPPED(status) {
            tracer.stopped(tid, status);
            continue;
        }
        tracer.gone(tid);
        if tid == root {
            ended = Some(ExitStatus::from_raw(status));
            signals = None;
        }
    }
    drop(signals);
    ended.ok_or_else(|| Error::Refused(io::Error::other("the command's end was not seen")))
}

struct Tracer<'a, C: Calls> {
    calls: &'a mut C,
    /// Threads inside of a call whose result is of interest.
    pending: HashMap<pid_t, C::Call>,
    /// Threads whose first stop is over.
    started: HashSet<pid_t>,
}

impl<C: Calls> Tracer<'_, C> {
    /// The command stops at its first instruction.
    fn begin(&mut self, root: pid_t) -> io::Result<()> {
        match wait(root)? {
            Some((_, status)) if libc::WIFSTOPPED(status) => {
                ptrace(libc::PTRACE_SETOPTIONS, root, OPTIONS as usize)?;
                self.go_on(root, 0);
                Ok(())
            }
            _ => Err(io::Error::other("the command ended before it began")),
        }
    }

    fn stopped(&mut self, tid: pid_t, status: c_int) {
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            libc::PTRACE_EVENT_SECCOMP => {
                if let Some((command, attr, size)) = arguments(tid)
                    && let Some(call) = self.calls.enter(tid, command, attr, size)
                {
                    self.pending.insert(tid, call);
                }
                self.go_on(tid, 0);
            }
            // The thread that calls exec goes on as the process's first one, and a call of that one ended with it.
            libc::PTRACE_EVENT_EXEC => {
                self.pending.remove(&tid);
                self.go_on(tid, 0);
            }
            0 if signal == libc::SIGTRAP | 0x80 => {
                if let Some(call) = self.pending.remove(&tid)
                    && let Ok(regs) = registers(tid)
                {
                    self.calls.leave(tid, call, regs.rax as i64);
                }
                self.go_on(tid, 0);
            }
            // Every new thread begins with a stop that is ptrace's own.
            0 if signal == libc::SIGSTOP && self.started.insert(tid) => self.go_on(tid, 0),
            0 if is_delivery(tid) => self.go_on(tid, signal),
            // New processes, and stops by job control, which are not kept up.
            _ => self.go_on(tid, 0),
        }
    }

    /// Lets a stopped thread run, to the end of its call if that is of interest. One that was killed meanwhile shows up in `wait`.
    fn go_on(&self, tid: pid_t, signal: c_int) {
        let request = if self.pending.contains_key(&tid) { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
        let _ = ptrace(request, tid, signal as usize);
    }

    fn gone(&mut self, tid: pid_t) {
        self.pending.remove(&tid);
        self.started.remove(&tid);
    }
}

/// The arguments of the `bpf` call that a thread is stopped before.
fn arguments(tid: pid_t) -> Option<(u64, u64, u64)> {
    let regs = registers(tid).ok()?;
    match event_message(tid).ok()? {
        u64::MAX => None,
        data if data == u64::from(NATIVE) => Some((regs.rdi & 0xffff_ffff, regs.rsi, regs.rdx & 0xffff_ffff)),
        _ => Some((regs.rbx & 0xffff_ffff, regs.rcx & 0xffff_ffff, regs.rdx & 0xffff_ffff)),
    }
}

fn ptrace(request: c_uint, tid: pid_t, data: usize) -> io::Result<c_long> {
    // SAFETY: the requests used with numbers as data (SETOPTIONS, CONT, SYSCALL, TRACEME) touch no memory of ours.
    let answer = unsafe { libc::ptrace(request, tid, 0usize, data) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

fn registers(tid: pid_t) -> io::Result<libc::user_regs_struct> {
    let mut regs = std::mem::MaybeUninit::<libc::user_regs_struct>::uninit();
    // SAFETY: the kernel writes one whole `user_regs_struct` when it answers with 0, and it is read only then.
    unsafe {
        match libc::ptrace(libc::PTRACE_GETREGS, tid, 0usize, regs.as_mut_ptr()) {
            0 => Ok(regs.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn event_message(tid: pid_t) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one `unsigned long`.
    let answer = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, tid, 0usize, &raw mut message) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(message) }
}

/// Whether a thread stopped because a signal is about to be delivered: a stop by job control has no `siginfo`.
fn is_delivery(tid: pid_t) -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
    // SAFETY: the kernel writes one `siginfo_t`, which is not read.
    unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, tid, 0usize, info.as_mut_ptr()) == 0 }
}

/// The next change of a traced process; `None` when there is none left. Children of other threads of ours are none of our business.
fn wait(pid: pid_t) -> io::Result<Option<(pid_t, c_int)>> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the answer.
        let tid = unsafe { libc::waitpid(pid, &mut status, libc::__WALL | libc::__WNOTHREAD) };
        if tid > 0 {
            return Ok(Some((tid, status)));
        }
        match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::EINTR) => {}
            e if e.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
            e => return Err(e),
        }
    }
}

/// Runs in the new process before it becomes the command.
fn prepare(handlers: &[(c_int, libc::sighandler_t)]) -> io::Result<()> {
    for (signal, handler) in handlers {
        // SAFETY: the handler is what this process had before it ignored the signal.
        unsafe { libc::signal(*signal, *handler) };
    }
    let code = |e: io::Error| io::Error::from_raw_os_error(NOT_TRACEABLE + e.raw_os_error().unwrap_or(libc::EPERM));
    ptrace(libc::PTRACE_TRACEME, 0, 0).map_err(code)?;
    if install_filter().is_err() {
        // Without CAP_SYS_ADMIN, filters are for processes that can gain no privileges; a traced one cannot anyway.
        // SAFETY: takes numbers only.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        install_filter().map_err(code)?;
    }
    Ok(())
}

/// What the filter says to the tracer: the call's calling convention.
const NATIVE: u32 = 1;
const I386: u32 = 2;

const ARCH_X86_64: u32 = 0xc000_003e;
const ARCH_I386: u32 = 0x4000_0003;
const NR_BPF_I386: u32 = 357;
/// Set in the numbers of x32's calls.
const X32_BIT: u32 = 0x4000_0000;

/// Stops at `bpf`, in either calling convention; everything else passes.
static FILTER: [libc::sock_filter; 11] = {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const fn insn(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt, jf, k }
    }
    [
        insn(LOAD, 4, 0, 0), // seccomp_data.arch
        insn(EQUAL, ARCH_X86_64, 0, 3),
        insn(LOAD, 0, 0, 0), // seccomp_data.nr
        insn(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, !X32_BIT, 0, 0),
        insn(EQUAL, libc::SYS_bpf as u32, 3, 4),
        insn(EQUAL, ARCH_I386, 0, 3),
        insn(LOAD, 0, 0, 0),
        insn(EQUAL, NR_BPF_I386, 2, 1),
        insn(libc::BPF_RET, libc::SECCOMP_RET_TRACE | NATIVE, 0, 0),
        insn(libc::BPF_RET, libc::SECCOMP_RET_ALLOW, 0, 0),
        insn(libc::BPF_RET, libc::SECCOMP_RET_TRACE | I386, 0, 0),
    ]
};

fn install_filter() -> io::Result<()> {
    let filter = libc::sock_fprog { len: FILTER.len() as u16, filter: FILTER.as_ptr().cast_mut() };
    // SAFETY: `filter` describes `FILTER`, which the kernel copies and does not write to.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Signals that this process ignores as long as this lives.
struct Ignored {
    handlers: Vec<(c_int, libc::sighandler_t)>,
}

impl Ignored {
    fn new(signals: &[c_int]) -> Self {
        // SAFETY: ignoring a signal runs no handler.
        let ignore = |s: &c_int| (*s, unsafe { libc::signal(*s, libc::SIG_IGN) });
        Self { handlers: signals.iter().map(ignore).filter(|(_, h)| *h != libc::SIG_ERR).collect() }
    }
}

impl Drop for Ignored {
    fn drop(&mut self) {
        for (signal, handler) in &self.handlers {
            // SAFETY: the handler is the one that was there before.
            unsafe { libc::signal(*signal, *handler) };
        }
    }
}
