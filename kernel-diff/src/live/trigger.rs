//! Doing what makes attached programs run: a child with the wanted number, name and user makes one system call and says what came of it.
//! It is made before anything is attached and touches nothing else meanwhile, so that what attached programs see is the call.
#![allow(unsafe_code, reason = "a process is made and one system call of it is chosen by number")]

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use runtime::input::{Argument, Trigger};

use crate::engine::Error;

/// What programs that must be there are: the guest's own.
const PROGRAM: &str = "/init";

/// System calls by name; those that take no more than what a step can say.
const CALLS: [(&str, libc::c_long); 16] = [
    ("openat", libc::SYS_openat),
    ("open", libc::SYS_open),
    ("execve", libc::SYS_execve),
    ("unlinkat", libc::SYS_unlinkat),
    ("unlink", libc::SYS_unlink),
    ("mkdirat", libc::SYS_mkdirat),
    ("mkdir", libc::SYS_mkdir),
    ("connect", libc::SYS_connect),
    ("bind", libc::SYS_bind),
    ("socket", libc::SYS_socket),
    ("sendto", libc::SYS_sendto),
    ("getpid", libc::SYS_getpid),
    ("getuid", libc::SYS_getuid),
    ("kill", libc::SYS_kill),
    ("nanosleep", libc::SYS_nanosleep),
    ("sync", libc::SYS_sync),
];

/// A child that waits for its word.
pub struct Waiting {
    pid: libc::pid_t,
    /// To the child: go. From the child: what came of it.
    go: [libc::c_int; 2],
    done: [libc::c_int; 2],
}

fn failed(what: &str) -> Error {
    Error::Environment(format!("{what}: {}", std::io::Error::last_os_error()))
}

fn prepare(trigger: &Trigger) -> Result<(), Error> {
    let file = |path: &str, e: std::io::Error| Error::Environment(format!("{path}: {e}"));
    for path in trigger.files.iter().chain(&trigger.programs) {
        if let Some((folder, _)) = path.rsplit_once('/').filter(|(f, _)| !f.is_empty()) {
            fs::create_dir_all(folder).map_err(|e| file(folder, e))?;
        }
    }
    for path in &trigger.files {
        fs::write(path, "").map_err(|e| file(path, e))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(|e| file(path, e))?;
    }
    for path in &trigger.programs {
        match symlink(PROGRAM, path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(file(path, e)),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the child and whatever it needs; it waits until [`Waiting::go`].
pub fn prepared(trigger: &Trigger, task: &runtime::Task) -> Result<Waiting, Error> {
    let (_, number) = CALLS.iter().find(|(name, _)| *name == trigger.call).ok_or_else(|| {
        let known: Vec<&str> = CALLS.iter().map(|(n, _)| *n).collect();
        Error::unsupported(format!("trigger `{}`: there are {}", trigger.call, known.join(", ")))
    })?;
    prepare(trigger)?;
    let mut memory: Vec<Vec<u8>> = Vec::new();
    let mut args = Vec::new();
    if let Some(kind) = &trigger.socket {
        args.push(i64::from(socket(kind)?));
    }
    for arg in &trigger.args {
        args.push(match arg {
            Argument::Number(n) => *n,
            Argument::Text(text) => {
                memory.push([text.as_bytes(), &[0]].concat());
                memory[memory.len() - 1].as_ptr() as i64
            }
            Argument::Memory { bytes } => {
                memory.push(bytes.0.clone());
                memory[memory.len() - 1].as_ptr() as i64
            }
            _ => return Err(Error::unsupported("a trigger's argument is a number, a text or bytes")),
        });
    }
    args.resize(6, 0);
    let comm = CString::new(task.comm.as_bytes()).map_err(|_| Error::unsupported("a command with a NUL in it"))?;
    let (mut go, mut done) = ([0; 2], [0; 2]);
    // SAFETY: both arrays are live and hold two descriptors each.
    if unsafe {
        libc::pipe2(go.as_mut_ptr(), libc::O_CLOEXEC) != 0 || libc::pipe2(done.as_mut_ptr(), libc::O_CLOEXEC) != 0
    } {
        return Err(failed("pipe"));
    }
    // The next process gets the number after the last one; somebody else may be quicker, and then the numbers differ, visibly.
    fs::write("/proc/sys/kernel/ns_last_pid", task.tgid.saturating_sub(1).to_string())
        .map_err(|e| Error::Environment(format!("ns_last_pid: {e}")))?;
    // SAFETY: the child calls nothing but system calls until it ends, as it must after a fork of a process with threads.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(failed("fork")),
        0 => child(*number, &args, &comm, task, go[0], done[1]),
        pid => Ok(Waiting { pid, go, done }),
    }
}

fn socket(kind: &str) -> Result<libc::c_int, Error> {
    let (kind, protocol) = match kind {
        "tcp" => (libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0),
        "udp" => (libc::SOCK_DGRAM, 0),
        "raw" => (libc::SOCK_RAW, libc::IPPROTO_ICMP),
        other => return Err(Error::unsupported(format!("socket `{other}`: there are tcp, udp, raw"))),
    };
    // SAFETY: no memory is involved.
    match unsafe { libc::socket(libc::AF_INET, kind, protocol) } {
        -1 => Err(failed("socket")),
        fd => Ok(fd),
    }
}

fn child(number: libc::c_long, args: &[i64], comm: &CString, task: &runtime::Task, go: i32, done: i32) -> ! {
    let mut word = [0u8; 1];
    // SAFETY: system calls of a child of our own; every address is that of memory that the fork copied.
    unsafe {
        let mut first: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut first);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &first);
        libc::prctl(libc::PR_SET_NAME, comm.as_ptr());
        libc::syscall(libc::SYS_setresgid, task.gid, task.gid, task.gid);
        libc::syscall(libc::SYS_setresuid, task.uid, task.uid, task.uid);
        libc::read(go, word.as_mut_ptr().cast(), 1);
        let result = libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
        let errno = if result == -1 { *libc::__errno_location() } else { 0 };
        libc::write(done, std::ptr::from_ref(&errno).cast(), size_of::<i32>());
        libc::_exit(0)
    }
}

impl Waiting {
    /// Lets it do its call; the errno, 0 where it succeeded.
    pub fn go(self) -> Result<i32, Error> {
        let mut errno = 0i32;
        let mut status = 0;
        // SAFETY: the descriptors are ours, the buffers live and as long as said, the process our child.
        let read = unsafe {
            libc::close(self.done[1]);
            libc::write(self.go[1], [0u8].as_ptr().cast(), 1);
            // A call that became another program (execve) ends without a word: it succeeded.
            let read = libc::read(self.done[0], std::ptr::from_mut(&mut errno).cast(), size_of::<i32>());
            libc::waitpid(self.pid, &mut status, 0);
            for fd in [self.go[0], self.go[1], self.done[0]] {
                libc::close(fd);
            }
            read
        };
        if read == -1 { Err(failed("the child")) } else { Ok(errno) }
    }
}
