//! The guest's side: this binary as the first process of a kernel. It mounts what questions need, finds the shared memory and answers until
//! the machine is turned off. What a guest is asked is in `wire`, how the kernel is asked in `kernel_diff::live`.
#![allow(
    unsafe_code,
    reason = "the first process of a guest mounts file systems and powers off, which are system calls"
)]

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use kernel_diff::live::sys;
use kernel_diff::{Engine, Error, Input, Loaded, live};

use crate::channel::{Channel, Side};
use crate::wire::{Received, Reply, Request};

/// On the kernel's command line, and so in the environment of the first process: containers have a process 1, too.
pub const MARK: &str = "bpfverdict_guest";
/// What is mounted: type and place. Older kernels lack some; then what needs them says so.
const MOUNTS: [(&str, &str); 8] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("tracefs", "/sys/kernel/tracing"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("securityfs", "/sys/kernel/security"),
];

/// Whether this process is a guest's first.
pub fn is_guest() -> bool {
    std::process::id() == 1 && std::env::var_os(MARK).is_some()
}

/// Serves if this process is a guest's first that was booted to serve, and never comes back then.
pub fn serve_if_guest() {
    if is_guest() && std::env::var(MARK).is_ok_and(|how| how == "serve") {
        prepare();
        if let Err(e) = serve() {
            println!("guest: {e}");
        }
        power_off();
    }
}

/// Mounts what questions need of a fresh system, and lifts the limit on locked memory.
pub fn prepare() {
    for (kind, at) in MOUNTS {
        let (Ok(kind), Ok(place)) = (CString::new(kind), CString::new(at)) else { continue };
        // A place that the kernel has not made is made where that is possible.
        let _ = fs::create_dir_all(at);
        // SAFETY: both strings are NUL-terminated and live through the call; data may be null.
        let _ = unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    }
    sys::raise_memlock();
    network();
}

/// Gives the loopback device its own address and one that packets of the outside have, so that connections lead somewhere.
fn network() {
    for (name, address) in [(c"lo", [127, 0, 0, 1]), (c"lo:1", [10, 0, 0, 2])] {
        // SAFETY: a zeroed request is valid; the name and the address fit into it; the calls read it and nothing else.
        unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
            let mut request: libc::ifreq = std::mem::zeroed();
            for (slot, byte) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
                *slot = *byte as libc::c_char;
            }
            let mut own: libc::sockaddr_in = std::mem::zeroed();
            own.sin_family = libc::AF_INET as libc::sa_family_t;
            own.sin_addr.s_addr = u32::from_ne_bytes(address);
            request.ifr_ifru.ifru_addr = *std::ptr::from_ref(&own).cast::<libc::sockaddr>();
            libc::ioctl(socket, libc::SIOCSIFADDR, &request);
            request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
            libc::ioctl(socket, libc::SIOCSIFFLAGS, &request);
            libc::close(socket);
        }
    }
}

/// Ends the guest.
pub fn power_off() -> ! {
    // SAFETY: no memory is involved; the guest has nothing to save.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    // Not reached where powering off works; init must not return.
    loop {
        std::thread::park();
    }
}

/// The shared memory: the second region of the PCI device that QEMU calls ivshmem.
fn memory() -> std::io::Result<File> {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    for device in fs::read_dir("/sys/bus/pci/devices")? {
        let path = device?.path();
        if read(path.join("vendor")) == "0x1af4" && read(path.join("device")) == "0x1110" {
            fs::write(path.join("enable"), "1")?;
            let open = |name| OpenOptions::new().read(true).write(true).open(path.join(name));
            // Combined writes are many times faster where there are such.
            return open("resource2_wc").or_else(|_| open("resource2"));
        }
    }
    Err(std::io::Error::other("no shared memory: PCI 1af4:1110 is not there"))
}

fn serve() -> std::io::Result<()> {
    let channel = Channel::open(&memory()?, Side::Guest)?;
    let release = live::release();
    let mut kernel = match live::guest() {
        Ok(kernel) => {
            say(&channel, &Reply::Ready { release, refused: None })?;
            kernel
        }
        Err(e) => return say(&channel, &Reply::Ready { release, refused: Some(e.to_string()) }),
    };
    let mut state = State::default();
    loop {
        // The host ends the machine; until then there is nothing else to do than to wait.
        let Some(message) = channel.receive(Duration::MAX, &mut || false)? else { continue };
        let request = postcard::from_bytes(&message).map_err(std::io::Error::other)?;
        if let Some(reply) = state.answer(kernel.as_mut(), request) {
            say(&channel, &reply)?;
        }
    }
}

fn say(channel: &Channel, reply: &Reply) -> std::io::Result<()> {
    let bytes = postcard::to_allocvec(reply).map_err(std::io::Error::other)?;
    let mut turns = 0;
    while !channel.try_send(&bytes)? {
        crate::channel::nap(turns);
        turns += 1;
    }
    Ok(())
}

/// What was sent and loaded so far.
#[derive(Default)]
struct State {
    received: Received,
    /// The first thing that went wrong with what is not answered; it is the answer to the next load.
    wrong: Option<Error>,
    loaded: HashMap<u32, Box<dyn Loaded>>,
}

impl State {
    fn answer(&mut self, kernel: &mut dyn Engine, request: Request) -> Option<Reply> {
        match request {
            Request::Btf { id, bytes } => {
                self.wrong = self.received.btf(id, &bytes).err().or(self.wrong.take());
                None
            }
            Request::Map { id, map } => {
                self.received.map(id, map);
                None
            }
            Request::Forget => {
                *self = Self::default();
                kernel.forget_maps();
                None
            }
            Request::Load { program, options, keep } => {
                let loaded = match self.wrong.take() {
                    Some(e) => Err(e),
                    None => self.received.program(*program).and_then(|p| kernel.load(&p, &options)),
                };
                Some(Reply::Loaded(loaded.map(|load| {
                    if let (Some(handle), Some(program)) = (keep, load.program) {
                        self.loaded.insert(handle, program);
                    }
                    load.judgement
                })))
            }
            Request::Run { handle, input, repeat } => {
                let input = serde_json::from_str(&input).map_err(|e| Error::unsupported(e.to_string()));
                Some(Reply::Ran(input.and_then(|i: Input| self.program(handle)?.run(&i, repeat))))
            }
            Request::Maps { handle } => Some(Reply::Maps(self.program(handle).and_then(|p| p.maps()))),
            Request::Read { path } => Some(Reply::File(fs::read(path).map_err(|e| e.to_string()))),
        }
    }

    fn program(&mut self, handle: u32) -> Result<&mut Box<dyn Loaded>, Error> {
        self.loaded.get_mut(&handle).ok_or_else(|| Error::Environment("a program that is not loaded".to_owned()))
    }
}
