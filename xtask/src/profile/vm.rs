//! The same questions to another kernel: this program, linked statically, is the only process of a QEMU guest. Kernels come from
//! elsewhere (a distribution's `vmlinuz`); what is asked is not here.
#![allow(unsafe_code, reason = "the first process of a guest mounts file systems and powers off, which are syscalls")]

use std::ffi::CString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// The guest's last line: whether the questions were answered as the profile says.
const DONE: &str = "guest: done";
/// What a guest says while it is busy, so that nobody takes it for one that hangs.
pub const ASKING: &str = "guest: asking";
/// A guest that is silent for so long will not come back: the longest question takes seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A file of the guest: where it is there, and its contents.
pub type GuestFile = (String, Vec<u8>);

/// Boots `vmlinuz` with this program as init, these arguments and files, and passes on what it prints.
pub fn run(vmlinuz: &Path, args: &[String], files: &[GuestFile]) -> Result<()> {
    run_with(vmlinuz, args, files, &mut |line| println!("{line}"))
}

/// The same, line by line.
pub fn run_with(vmlinuz: &Path, args: &[String], files: &[GuestFile], on_line: &mut dyn FnMut(&str)) -> Result<()> {
    let own = std::env::current_exe()?;
    let program = fs::read(&own)?;
    ensure!(
        !program.windows(12).any(|w| w == b"/lib64/ld-li"),
        "a guest has no libraries: build with RUSTFLAGS=\"-C target-feature=+crt-static\" --target x86_64-unknown-linux-gnu"
    );
    let image = Initramfs(std::env::temp_dir().join(format!("xtask-profile-{}.cpio", std::process::id())));
    fs::write(&image.0, archive(&program, files))?;
    let mut guest = Command::new("qemu-system-x86_64")
        .args([
            "-M",
            "q35",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "2G",
            "-nographic",
            "-no-reboot",
            "-kernel",
        ])
        .arg(vmlinuz)
        .arg("-initrd")
        .arg(&image.0)
        .arg("-append")
        .arg(format!(
            "console=ttyS0 quiet panic=-1 no_timer_check lsm=lockdown,capability,landlock,bpf rdinit=/init -- {}",
            args.join(" ")
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("qemu-system-x86_64")?;
    let console = BufReader::new(guest.stdout.take().context("the guest's console")?);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        console.lines().take_while(|l| l.as_ref().is_ok_and(|l| send.send(l.clone()).is_ok())).count()
    });
    let mut done = false;
    let silent = loop {
        match receive.recv_timeout(PATIENCE) {
            Ok(line) => {
                let line = line.trim_end_matches('\r');
                done |= line.starts_with(DONE);
                if !line.ends_with(ASKING) {
                    on_line(line);
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break false,
            Err(mpsc::RecvTimeoutError::Timeout) => break true,
        }
    };
    if silent {
        guest.kill()?;
    }
    guest.wait()?;
    match done {
        true => Ok(()),
        false if silent => bail!("the guest said nothing for {} s", PATIENCE.as_secs()),
        false => bail!("the guest ended before its questions did"),
    }
}

/// Whether this process is a guest's first.
pub fn is_guest() -> bool {
    std::process::id() == 1
}

/// What questions need of a fresh system.
pub fn prepare() -> Result<()> {
    for (kind, at) in [("sysfs", "/sys"), ("proc", "/proc"), ("tmpfs", "/tmp")] {
        let (kind, at) = (CString::new(kind)?, CString::new(at)?);
        // SAFETY: both strings are NUL-terminated and live through the call; data may be null.
        let result = unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
        ensure!(result == 0, "mount {at:?}: {}", std::io::Error::last_os_error());
    }
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: setrlimit reads one rlimit. Kernels before 5.11 account maps and programs to it.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &unlimited) };
    ensure!(result == 0, "setrlimit: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Ends the guest.
pub fn finish(result: Result<()>) -> ! {
    match result {
        Ok(()) => println!("{DONE}"),
        Err(error) => println!("{DONE}: {error:#}"),
    }
    // SAFETY: no memory is involved; the guest has nothing to save.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    // Not reached where powering off works; init must not return.
    loop {
        std::thread::park();
    }
}

/// The archive's file, removed when no longer needed.
struct Initramfs(PathBuf);

impl Drop for Initramfs {
    fn drop(&mut self) {
        // A file in the temporary folder that stays is no harm.
        let _ = fs::remove_file(&self.0);
    }
}

/// The files of a folder, as a guest has them below `at`; none if there is no such folder.
pub fn folder(from: &Path, at: &str) -> Result<Vec<GuestFile>> {
    let mut files = Vec::new();
    if !from.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).with_context(|| path.display().to_string())?;
        if path.is_file() {
            files.push((format!("{at}/{name}"), fs::read(&path)?));
        }
    }
    Ok(files)
}

/// A cpio archive ("newc") with the program as /init.
fn archive(program: &[u8], files: &[GuestFile]) -> Vec<u8> {
    const DIRECTORY: u32 = 0o040_755;
    const CONSOLE: u32 = 0o020_600;
    const EXECUTABLE: u32 = 0o100_755;
    const REGULAR: u32 = 0o100_644;
    let mut out = Vec::new();
    let mut entry = |name: &str, mode: u32, device: (u32, u32), data: &[u8]| {
        let fields = [0, mode, 0, 0, 1, 0, data.len() as u32, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
        out.extend_from_slice(b"070701");
        for field in fields {
            out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(4), 0);
    };
    for folder in ["dev", "sys", "proc", "tmp"] {
        entry(folder, DIRECTORY, (0, 0), &[]);
    }
    entry("dev/console", CONSOLE, (5, 1), &[]);
    entry("init", EXECUTABLE, (0, 0), program);
    let mut folders = std::collections::BTreeSet::new();
    for (name, data) in files {
        for (slash, _) in name.match_indices('/') {
            if folders.insert(&name[..slash]) {
                entry(&name[..slash], DIRECTORY, (0, 0), &[]);
            }
        }
        entry(name, REGULAR, (0, 0), data);
    }
    entry("TRAILER!!!", 0, (0, 0), &[]);
    out
}
