//! An object opened by libbpf, behind safe functions. What is compared, and how, is `compare`'s matter.
#![allow(unsafe_code, reason = "talks to libbpf's C interface; nothing else here does")]

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;

use isa::Insn;
use libbpf_rs::PrintLevel;
use libbpf_sys as sys;
use spec::MapType;

/// What libbpf has warned of since it was last asked.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn hear(_: PrintLevel, line: String) {
    if let Ok(mut lines) = WARNINGS.lock() {
        lines.push(line.trim().trim_start_matches("libbpf: ").to_owned());
    }
}

/// Calls libbpf; a failure comes with what it said, or the errno when it said nothing.
fn listen(call: impl FnOnce() -> i32) -> Result<(), String> {
    libbpf_rs::set_print(Some((PrintLevel::Warn, hear)));
    let warnings = || WARNINGS.lock().map(|mut w| std::mem::take(&mut *w)).unwrap_or_default();
    warnings();
    let error = call();
    let said = warnings();
    match error {
        0 => Ok(()),
        _ if said.is_empty() => Err(format!("error {error}")),
        _ => Err(said.join("; ")),
    }
}

fn text(p: *const c_char) -> String {
    if p.is_null() {
        return String::new();
    }
    // SAFETY: libbpf gives NUL-terminated strings that live as long as the object.
    unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned()
}

fn bytes_of<T>(data: *const T, count: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: libbpf says that `count` plain C structs are there.
    unsafe { std::slice::from_raw_parts(data.cast::<u8>(), count * size_of::<T>()) }.to_vec()
}

/// A program of a prepared object.
pub struct PeerProgram {
    pub name: String,
    pub prog_type: u32,
    pub expected_attach_type: u32,
    pub flags: u32,
    pub insns: Vec<Insn>,
    pub func_info: Vec<u8>,
    pub line_info: Vec<u8>,
}

/// A map of a prepared object.
#[derive(Default)]
pub struct PeerMap {
    pub fd: i32,
    pub name: String,
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub map_extra: u64,
    pub numa_node: u32,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
    /// Contents of a data section.
    pub data: Vec<u8>,
}

/// An object opened by libbpf.
pub struct Peer {
    object: *mut sys::bpf_object,
    /// Contents of the data maps, by map: when they are created libbpf lets go of some.
    data: Vec<Vec<u8>>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SAFETY: made by bpf_object__open_mem, closed once.
        unsafe { sys::bpf_object__close(self.object) }
    }
}

impl Peer {
    /// `btf` is a file to take instead of the running kernel's BTF for CO-RE. The error is libbpf's.
    pub fn open(bytes: &[u8], name: &str, btf: Option<&Path>) -> Result<Self, String> {
        let nul = |_| "a name with a NUL".to_owned();
        let name = CString::new(name).map_err(nul)?;
        let btf = btf.map(|p| CString::new(p.as_os_str().as_encoded_bytes())).transpose().map_err(nul)?;
        // SAFETY: all-zero is a valid value of this plain C struct; the strings outlive the call.
        let mut opts: sys::bpf_object_open_opts = unsafe { std::mem::zeroed() };
        opts.sz = size_of::<sys::bpf_object_open_opts>() as _;
        opts.object_name = name.as_ptr();
        opts.btf_custom_path = btf.as_ref().map_or(std::ptr::null(), |p| p.as_ptr());
        let mut object = std::ptr::null_mut();
        listen(|| {
            // SAFETY: the buffer and options live through the call, which copies what it keeps.
            object = unsafe { sys::bpf_object__open_mem(bytes.as_ptr().cast(), bytes.len() as _, &opts) };
            if object.is_null() { -std::io::Error::last_os_error().raw_os_error().unwrap_or(1) } else { 0 }
        })?;
        let mut peer = Self { object, data: Vec::new() };
        for map in peer.map_pointers() {
            // SAFETY: the map belongs to the open object. Pinning and creation of odd maps are not what is compared.
            unsafe {
                sys::bpf_map__set_pin_path(map, std::ptr::null());
                let (value, entries) = (sys::bpf_map__value_size(map), sys::bpf_map__max_entries(map));
                let (new_value, new_entries) = user_sizes(sys::bpf_map__type(map), value, entries);
                if new_value != value {
                    sys::bpf_map__set_value_size(map, new_value);
                }
                if new_entries != entries {
                    sys::bpf_map__set_max_entries(map, new_entries);
                }
            }
        }
        peer.data = peer.map_pointers().into_iter().map(initial_data).collect();
        Ok(peer)
    }

    /// Creates the maps and relocates: every program, or the one of this name as if it alone were loaded.
    pub fn prepare(&self, only: Option<&str>) -> Result<(), String> {
        for program in self.program_pointers() {
            // SAFETY: the program belongs to the open object.
            unsafe {
                let wanted = only.is_none_or(|name| text(sys::bpf_program__name(program)) == name);
                sys::bpf_program__set_autoload(program, wanted);
            }
        }
        // SAFETY: the object is open.
        listen(|| unsafe { sys::bpf_object__prepare(self.object) })
    }

    /// Names of the programs, in libbpf's order.
    pub fn program_names(&self) -> Vec<String> {
        // SAFETY: programs of the open object.
        self.program_pointers().into_iter().map(|p| text(unsafe { sys::bpf_program__name(p) })).collect()
    }

    /// The programs as they are after [`Peer::prepare`].
    pub fn programs(&self) -> Vec<PeerProgram> {
        self.program_pointers().into_iter().map(read_program).collect()
    }

    /// The maps as they are after [`Peer::prepare`].
    pub fn maps(&self) -> Vec<PeerMap> {
        self.map_pointers().into_iter().zip(&self.data).map(|(map, data)| read_map(map, data)).collect()
    }

    /// The object's BTF as the kernel would get it.
    pub fn btf(&self) -> Vec<u8> {
        // SAFETY: the object is open; raw_data gives `len` bytes owned by it.
        unsafe {
            let btf = sys::bpf_object__btf(self.object);
            let mut len = 0;
            let data = if btf.is_null() { std::ptr::null() } else { sys::btf__raw_data(btf, &mut len) };
            bytes_of(data.cast::<u8>(), len as usize)
        }
    }

    /// The BTF that the kernel was given by [`Peer::prepare`]; empty when it got none.
    pub fn loaded_btf(&self) -> Vec<u8> {
        // SAFETY: the object is open.
        let fd = unsafe { sys::bpf_object__btf_fd(self.object) };
        let mut raw = Vec::new();
        // The first round asks how long it must be.
        for _ in 0..if fd < 0 { 0 } else { 2 } {
            // SAFETY: all-zero is a valid value of this plain C struct, whose buffer is as long as it says.
            unsafe {
                let mut info: sys::bpf_btf_info = std::mem::zeroed();
                info.btf = raw.as_mut_ptr() as u64;
                info.btf_size = raw.len() as u32;
                let mut len = size_of::<sys::bpf_btf_info>() as u32;
                if sys::bpf_btf_get_info_by_fd(fd, &mut info, &mut len) != 0 {
                    return Vec::new();
                }
                raw.resize(info.btf_size as usize, 0);
            }
        }
        raw
    }

    fn program_pointers(&self) -> Vec<*mut sys::bpf_program> {
        let mut next = std::ptr::null_mut();
        std::iter::from_fn(|| {
            // SAFETY: the object is open, `next` is null or came from the call before.
            next = unsafe { sys::bpf_object__next_program(self.object, next) };
            (!next.is_null()).then_some(next)
        })
        .collect()
    }

    fn map_pointers(&self) -> Vec<*mut sys::bpf_map> {
        let mut next = std::ptr::null_mut();
        std::iter::from_fn(|| {
            // SAFETY: as for programs.
            next = unsafe { sys::bpf_object__next_map(self.object, next) };
            (!next.is_null()).then_some(next)
        })
        .collect()
    }
}

/// Value size and number of entries with what users fill in before they load the object, where the source leaves it open.
pub(super) fn user_sizes(map_type: u32, value_size: u32, max_entries: u32) -> (u32, u32) {
    use MapType::*;
    let Some(map_type) = MapType::from_raw(map_type) else { return (value_size, max_entries) };
    let by_kernel = matches!(
        map_type,
        PerfEventArray
            | CgroupStorage
            | PercpuCgroupStorage
            | SkStorage
            | InodeStorage
            | TaskStorage
            | StructOps
            | CgrpStorage
            | Arena
    );
    let value_size = if map_type == StackTrace && value_size == 0 { 8 } else { value_size };
    let max_entries = match map_type {
        Ringbuf | UserRingbuf if max_entries == 0 => 4096,
        _ if max_entries == 0 && !by_kernel => 1,
        _ => max_entries,
    };
    (value_size, max_entries)
}

fn read_program(program: *mut sys::bpf_program) -> PeerProgram {
    // SAFETY: the program belongs to an open, prepared object; counts are those of the arrays.
    unsafe {
        let insns = bytes_of(sys::bpf_program__insns(program), sys::bpf_program__insn_cnt(program) as usize);
        PeerProgram {
            name: text(sys::bpf_program__name(program)),
            prog_type: sys::bpf_program__type(program),
            expected_attach_type: sys::bpf_program__expected_attach_type(program),
            flags: sys::bpf_program__flags(program),
            insns: insns.as_chunks::<8>().0.iter().map(|b| Insn::from_bytes(*b)).collect(),
            func_info: bytes_of(
                sys::bpf_program__func_info(program),
                sys::bpf_program__func_info_cnt(program) as usize,
            ),
            line_info: bytes_of(
                sys::bpf_program__line_info(program),
                sys::bpf_program__line_info_cnt(program) as usize,
            ),
        }
    }
}

fn initial_data(map: *mut sys::bpf_map) -> Vec<u8> {
    // SAFETY: the map belongs to an open object; initial_value says how long its data is.
    unsafe {
        let mut len = 0;
        let data = sys::bpf_map__initial_value(map, &mut len);
        if data.is_null() || !sys::bpf_map__is_internal(map) {
            return Vec::new();
        }
        bytes_of(data.cast::<u8>(), len as usize)
    }
}

fn first_element(map: *mut sys::bpf_map) -> Vec<u8> {
    let key = [0u8; 4];
    // SAFETY: an array map of an open, prepared object; the buffer is of its value size rounded up to 8.
    unsafe {
        let mut value = vec![0u8; sys::bpf_map__value_size(map).next_multiple_of(8) as usize];
        sys::bpf_map_lookup_elem(sys::bpf_map__fd(map), key.as_ptr().cast(), value.as_mut_ptr().cast());
        value.truncate(sys::bpf_map__value_size(map) as usize);
        value
    }
}

fn read_map(map: *mut sys::bpf_map, data: &[u8]) -> PeerMap {
    // SAFETY: the map belongs to an open, prepared object.
    unsafe {
        let name = text(sys::bpf_map__name(map));
        PeerMap {
            fd: sys::bpf_map__fd(map),
            map_type: sys::bpf_map__type(map),
            key_size: sys::bpf_map__key_size(map),
            value_size: sys::bpf_map__value_size(map),
            max_entries: sys::bpf_map__max_entries(map),
            map_flags: sys::bpf_map__map_flags(map),
            map_extra: sys::bpf_map__map_extra(map),
            numa_node: sys::bpf_map__numa_node(map),
            btf_key_type_id: sys::bpf_map__btf_key_type_id(map),
            btf_value_type_id: sys::bpf_map__btf_value_type_id(map),
            // Filled while preparing; libbpf keeps no copy.
            data: if name.ends_with(".kconfig") { first_element(map) } else { data.to_vec() },
            name,
        }
    }
}

/// What libbpf makes of a section name: program type and attach type.
pub fn section_kind(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    let (mut kind, mut attach) = (0, 0);
    // SAFETY: the name is NUL-terminated, and there is room for both numbers.
    let found = listen(|| unsafe { sys::libbpf_prog_type_by_name(name.as_ptr(), &mut kind, &mut attach) });
    found.ok().map(|()| (kind, attach))
}

/// What the kernel says to BTF: 0 or a negative errno, and at a log level above 0 the last line of its log.
pub fn load_btf(raw: &[u8], level: u32) -> (i32, String) {
    let mut log = vec![0 as c_char; 1 << 20];
    // SAFETY: all-zero is a valid value of this plain C struct; both buffers live through the call and are as long as stated.
    let fd = unsafe {
        let mut opts: sys::bpf_btf_load_opts = std::mem::zeroed();
        opts.sz = size_of::<sys::bpf_btf_load_opts>() as _;
        if level > 0 {
            opts.log_buf = log.as_mut_ptr();
            opts.log_size = log.len() as u32;
            opts.log_level = level;
        }
        sys::bpf_btf_load(raw.as_ptr().cast(), raw.len() as _, &mut opts)
    };
    if fd >= 0 {
        // SAFETY: made by the call above, owned by nobody else.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    let log = text(log.as_ptr());
    (fd.min(0), log.trim_end().lines().last().unwrap_or_default().to_owned())
}
