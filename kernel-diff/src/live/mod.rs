//! The running kernel, asked by `bpf(2)` itself: in every build for Linux, without any library. What a program is and how answers are
//! compared is not here; the independent second opinion on loading is `libbpf`.

#[cfg(target_os = "linux")]
mod attach;
#[cfg(target_os = "linux")]
mod events;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod maps;
#[cfg(target_os = "linux")]
pub mod privilege;
#[cfg(target_os = "linux")]
pub mod sys;
#[cfg(target_os = "linux")]
mod trigger;

#[cfg(target_os = "linux")]
pub use kernel::HostKernel;

use program::Program;
use spec::Caps;

use crate::engine::{Engine, Error, LoadOptions};
use crate::judgement::Judgement;

/// The kernel of this machine, if this process may ask it.
#[cfg(target_os = "linux")]
pub fn host() -> Result<Box<dyn Engine>, Error> {
    Ok(Box::new(HostKernel::new()?))
}

/// The kernel of this machine, if this process may ask it.
#[cfg(not(target_os = "linux"))]
pub fn host() -> Result<Box<dyn Engine>, Error> {
    Err(Error::Environment("only Linux has bpf(2)".to_owned()))
}

/// The same in a guest of its own: programs are attached where an input says what triggers them, which nobody else is there to notice.
#[cfg(target_os = "linux")]
pub fn guest() -> Result<Box<dyn Engine>, Error> {
    Ok(Box::new(HostKernel::new()?.attaching()))
}

/// The same if it is of the series (`6.18`) that the caller's expectations are of.
pub fn host_of(series: &str) -> Result<Box<dyn Engine>, Error> {
    let release = release();
    let mut numbers = release.split(['.', '-']);
    let own = [numbers.next(), numbers.next()].map(Option::unwrap_or_default).join(".");
    match own == series {
        true => host(),
        false => Err(Error::Environment(format!("this machine runs Linux {release}, not {series}"))),
    }
}

/// `uname -r`; empty where there is no such file.
pub fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// What the kernel of this machine says to a program when the process has these capabilities only (as far as it has them).
#[cfg(target_os = "linux")]
pub fn judge_with(caps: Caps, program: &Program, options: &LoadOptions) -> Result<Judgement, Error> {
    let ask = || {
        privilege::limit_thread(caps)?;
        HostKernel::new()?.load(program, options).map(|l| l.judgement)
    };
    let asked = std::thread::scope(|s| s.spawn(ask).join());
    asked.unwrap_or_else(|_| Err(Error::Environment("the thread that asked panicked".to_owned())))
}

/// What the kernel of this machine says to a program when the process has these capabilities only (as far as it has them).
#[cfg(not(target_os = "linux"))]
pub fn judge_with(_: Caps, _: &Program, _: &LoadOptions) -> Result<Judgement, Error> {
    Err(Error::Environment("only Linux has bpf(2)".to_owned()))
}
