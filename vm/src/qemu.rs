//! A machine that QEMU makes: its kernel, its memory that is shared with us, its console. No root and no KVM is needed. What the guest does
//! is in `guest`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::initramfs::LIBRARIES;
use crate::{Error, channel, guest};

/// The program that is looked for.
const QEMU: &str = "qemu-system-x86_64";
/// Lines of the console that are kept for who asks what went wrong.
const TAIL: usize = 40;
/// Console words that tell of a kernel that is broken, and after which its answers count for nothing.
const BROKEN: [&str; 5] = ["Kernel panic", "Oops:", "BUG:", "general protection fault", "double fault"];

/// How to make the machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// `tcg` emulates and works everywhere; `kvm` is fast where the device does what it promises.
    pub accel: String,
    pub cpus: u32,
    pub memory_mb: u32,
    /// How long a kernel may take to its first word.
    pub boot_patience: Duration,
    /// How long one question may take.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accel: "tcg".to_owned(),
            cpus: 2,
            memory_mb: 1024,
            boot_patience: Duration::from_secs(90),
            patience: Duration::from_secs(90),
        }
    }
}

/// What to boot.
pub struct Boot<'a> {
    pub kernel: &'a Path,
    pub initramfs: &'a [u8],
    /// How the first process is marked: `serve`, or another word that its program knows.
    pub mode: &'a str,
    /// Arguments of the first process.
    pub args: &'a [String],
    /// Whether to share memory.
    pub channel: bool,
}

/// A running machine; it ends when this is dropped.
pub struct Machine {
    child: Child,
    console: Arc<Mutex<VecDeque<String>>>,
    lines: mpsc::Receiver<String>,
    pub memory: Option<File>,
    _folder: tempfile::TempDir,
}

impl Machine {
    pub fn start(boot: &Boot<'_>, options: &Options) -> Result<Self, Error> {
        let folder = folder()?;
        let initrd = folder.path().join("initramfs");
        std::fs::write(&initrd, boot.initramfs).map_err(Error::file(&initrd))?;
        let mut command = Command::new(QEMU);
        command
            .args(["-M", "q35", "-accel", &options.accel, "-cpu", "max", "-nographic", "-no-reboot", "-nic", "none"])
            .args(["-smp", &options.cpus.to_string(), "-m", &format!("{}M", options.memory_mb)])
            .arg("-kernel")
            .arg(boot.kernel)
            .arg("-initrd")
            .arg(&initrd);
        let memory = boot.channel.then(|| shared(&folder.path().join("memory"))).transpose()?;
        if memory.is_some() {
            let file = format!(
                "memory-backend-file,id=shared,share=on,mem-path={},size={}M",
                folder.path().join("memory").display(),
                channel::SIZE >> 20
            );
            command.args(["-object", &file, "-device", "ivshmem-plain,memdev=shared"]);
        }
        // A word with `=` that the kernel does not know becomes the environment of the first process.
        let mut line = format!(
            "console=ttyS0 quiet panic=-1 oops=panic no_timer_check lsm=lockdown,capability,landlock,bpf rdinit=/init \
             LD_LIBRARY_PATH={LIBRARIES} {}={}",
            guest::MARK,
            boot.mode
        );
        if !boot.args.is_empty() {
            line.push_str(" -- ");
            line.push_str(&boot.args.join(" "));
        }
        command.arg("-append").arg(line).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|e| Error::Tool(format!("{QEMU}: {e} (Debian has it in the package qemu-system-x86)")))?;
        let console = Arc::new(Mutex::new(VecDeque::new()));
        let (send, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            follow(out, Arc::clone(&console), send.clone());
        }
        if let Some(err) = child.stderr.take() {
            follow(err, Arc::clone(&console), send);
        }
        Ok(Self { child, console, lines, memory, _folder: folder })
    }

    /// Whether the machine has ended.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The next line of the console; `None` when there is none within `patience`, and then whether there will be one.
    pub fn line(&mut self, patience: Duration) -> Result<String, bool> {
        self.lines.recv_timeout(patience).map_err(|e| e == mpsc::RecvTimeoutError::Timeout)
    }

    /// The last lines of the console.
    pub fn console(&self) -> Vec<String> {
        let lines = self.console.lock().map(|l| l.iter().cloned().collect()).unwrap_or_default();
        skip_firmware(lines)
    }

    /// The line in which the kernel says that it is broken.
    pub fn broken(&self) -> Option<String> {
        self.console().into_iter().find(|l| BROKEN.iter().any(|w| l.contains(w)))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A machine that has ended already cannot be ended; there is nothing to be done about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the machine's files are: in memory where there is such a place.
fn folder() -> Result<tempfile::TempDir, Error> {
    let shm = PathBuf::from("/dev/shm");
    let base = if shm.is_dir() { shm } else { std::env::temp_dir() };
    let made = tempfile::Builder::new().prefix("bpfverdict-vm-").tempdir_in(&base);
    made.or_else(|_| tempfile::tempdir()).map_err(Error::file(&base))
}

fn shared(path: &Path) -> Result<File, Error> {
    let open = || {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(channel::SIZE as u64)?;
        Ok(file)
    };
    open().map_err(Error::file(path))
}

/// Keeps the last lines and passes every one on.
fn follow(from: impl std::io::Read + Send + 'static, tail: Arc<Mutex<VecDeque<String>>>, to: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut bytes = Vec::new();
        while from.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if let Ok(mut tail) = tail.lock() {
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(line.clone());
            }
            // Nobody listens any more: go on, for the tail.
            let _ = to.send(line);
        }
    });
}

/// The firmware speaks before the kernel does, with escapes that no terminal should see.
fn skip_firmware(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|l| !l.contains('\u{1b}') && !l.is_empty()).collect()
}
