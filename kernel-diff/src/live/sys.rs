//! The few commands of `bpf(2)` that the engine needs, one safe function each. The attributes are passed exactly as given: libbpf's
//! wrappers retry and patch behind one's back, which a comparison must not.
#![allow(unsafe_code, reason = "the only file that makes the system call")]

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP: u32 = 1;
const MAP_UPDATE: u32 = 2;
const MAP_NEXT_KEY: u32 = 4;
const PROG_LOAD: u32 = 5;
const PROG_TEST_RUN: u32 = 10;
const BTF_LOAD: u32 = 18;
const MAP_LOOKUP_AND_DELETE: u32 = 21;
const PROG_ATTACH: u32 = 8;
const PROG_DETACH: u32 = 9;
const RAW_TRACEPOINT_OPEN: u32 = 17;
const MAP_FREEZE: u32 = 22;

/// A kernel's refusal: the positive errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}

/// `union bpf_attr` of `BPF_MAP_CREATE`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct MapCreate {
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub inner_map_fd: u32,
    pub numa_node: u32,
    pub map_name: [u8; 16],
    pub map_ifindex: u32,
    pub btf_fd: u32,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
    pub btf_vmlinux_value_type_id: u32,
    pub map_extra: u64,
}

/// `union bpf_attr` of the `BPF_MAP_*_ELEM` commands.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct MapElem {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr` of `BPF_PROG_LOAD`; the pointers are filled in by [`prog_load`].
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    attach_fd: u32,
    core_relo_cnt: u32,
    fd_array: u64,
    core_relos: u64,
    core_relo_rec_size: u32,
    log_true_size: u32,
}

/// What [`prog_load`] passes on.
pub struct LoadArgs<'a> {
    pub prog_type: u32,
    pub insns: &'a [u8],
    pub license: &'a str,
    pub log_level: u32,
    pub kern_version: u32,
    pub flags: u32,
    pub name: [u8; 16],
    pub expected_attach_type: u32,
    pub btf: Option<RawFd>,
    pub func_info: &'a program::InfoTable,
    pub line_info: &'a program::InfoTable,
    pub attach_btf_id: u32,
}

/// `union bpf_attr` of `BPF_PROG_TEST_RUN`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    pad: u32,
}

/// What a test run gives back.
pub struct TestRunResult {
    pub retval: u32,
    pub duration_ns: u32,
    /// Bytes that the kernel wrote to the output buffers.
    pub data_len: usize,
    pub ctx_len: usize,
}

fn call<T>(command: u32, attr: &mut T) -> Result<i32, Errno> {
    // SAFETY: `attr` is a live, exclusively borrowed `repr(C)` prefix of `union bpf_attr` and its size is passed along; every
    // pointer field was made from a slice that outlives this call, with its true length beside it.
    let r = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    match i32::try_from(r) {
        Ok(r) if r >= 0 => Ok(r),
        _ => Err(Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))),
    }
}

fn call_fd<T>(command: u32, attr: &mut T) -> Result<OwnedFd, Errno> {
    let fd = call(command, attr)?;
    // SAFETY: the command was one that returns a new descriptor, and it succeeded: nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The address as the kernel takes it; 0 for nothing.
fn address(bytes: &[u8]) -> u64 {
    if bytes.is_empty() { 0 } else { bytes.as_ptr() as u64 }
}

fn fd(f: &OwnedFd) -> u32 {
    f.as_raw_fd().cast_unsigned()
}

/// Lifts the limit that kernels before 5.11 charge maps to. Failing is fine: newer kernels do not look at it.
pub fn raise_memlock() {
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the pointer is to a live, initialised struct.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &unlimited) };
}

pub fn map_create(mut attr: MapCreate) -> Result<OwnedFd, Errno> {
    call_fd(MAP_CREATE, &mut attr)
}

pub fn map_freeze(map: &OwnedFd) -> Result<(), Errno> {
    call(MAP_FREEZE, &mut MapElem { map_fd: fd(map), ..Default::default() }).map(drop)
}

/// Looks `key` up. `value` must be as long as the kernel's value: checked by the caller, who knows the map's definition.
pub fn map_lookup(map: &OwnedFd, key: &[u8], value: &mut [u8]) -> Result<(), Errno> {
    let mut attr =
        MapElem { map_fd: fd(map), key: address(key), value: value.as_mut_ptr() as u64, ..Default::default() };
    call(MAP_LOOKUP, &mut attr).map(drop)
}

/// Pops from a queue or stack.
pub fn map_pop(map: &OwnedFd, value: &mut [u8]) -> Result<(), Errno> {
    let mut attr = MapElem { map_fd: fd(map), value: value.as_mut_ptr() as u64, ..Default::default() };
    call(MAP_LOOKUP_AND_DELETE, &mut attr).map(drop)
}

pub fn map_update(map: &OwnedFd, key: &[u8], value: &[u8]) -> Result<(), Errno> {
    let mut attr = MapElem { map_fd: fd(map), key: address(key), value: address(value), ..Default::default() };
    call(MAP_UPDATE, &mut attr).map(drop)
}

/// The key after `key`, or the first.
pub fn map_next_key(map: &OwnedFd, key: Option<&[u8]>, next: &mut [u8]) -> Result<(), Errno> {
    let key = key.map_or(0, address);
    let mut attr = MapElem { map_fd: fd(map), key, value: next.as_mut_ptr() as u64, ..Default::default() };
    call(MAP_NEXT_KEY, &mut attr).map(drop)
}

pub fn btf_load(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct BtfLoad {
        btf: u64,
        log_buf: u64,
        btf_size: u32,
        log_size: u32,
        log_level: u32,
        log_true_size: u32,
    }
    let btf_size = u32::try_from(bytes.len()).map_err(|_| Errno(libc::E2BIG))?;
    let mut attr = BtfLoad { btf: address(bytes), log_buf: 0, btf_size, log_size: 0, log_level: 0, log_true_size: 0 };
    call_fd(BTF_LOAD, &mut attr)
}

/// Loads a program; the log goes to `log`, NUL-terminated by the kernel. Without a log level no log is asked for.
pub fn prog_load(args: &LoadArgs<'_>, log: &mut [u8]) -> Result<OwnedFd, Errno> {
    let license = CString::new(args.license).map_err(|_| Errno(libc::EINVAL))?;
    let count = |t: &program::InfoTable| (t.bytes.len() / (t.rec_size.max(1) as usize)) as u32;
    let mut attr = ProgLoad {
        prog_type: args.prog_type,
        insn_cnt: (args.insns.len() / isa::Insn::SIZE) as u32,
        insns: address(args.insns),
        license: license.as_ptr() as u64,
        log_level: args.log_level,
        kern_version: args.kern_version,
        prog_flags: args.flags,
        prog_name: args.name,
        expected_attach_type: args.expected_attach_type,
        prog_btf_fd: args.btf.unwrap_or(0).cast_unsigned(),
        func_info_rec_size: args.func_info.rec_size,
        func_info: address(&args.func_info.bytes),
        func_info_cnt: count(args.func_info),
        line_info_rec_size: args.line_info.rec_size,
        line_info: address(&args.line_info.bytes),
        line_info_cnt: count(args.line_info),
        attach_btf_id: args.attach_btf_id,
        ..Default::default()
    };
    if args.log_level != 0 {
        if let Some(first) = log.first_mut() {
            *first = 0;
        }
        attr.log_size = log.len() as u32;
        attr.log_buf = log.as_mut_ptr() as u64;
    }
    call_fd(PROG_LOAD, &mut attr)
}

/// Attaches to a raw tracepoint, or, without a name, where a typed program was loaded for.
pub fn raw_tracepoint(program: &OwnedFd, name: Option<&str>) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Open {
        name: u64,
        prog_fd: u32,
        pad: u32,
    }
    let name = name.map(CString::new).transpose().map_err(|_| Errno(libc::EINVAL))?;
    let mut attr = Open { name: name.as_ref().map_or(0, |n| n.as_ptr() as u64), prog_fd: fd(program), pad: 0 };
    call_fd(RAW_TRACEPOINT_OPEN, &mut attr)
}

/// `union bpf_attr` of the `BPF_PROG_ATTACH` and `BPF_PROG_DETACH` commands.
#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

fn cgroup(command: u32, group: &std::fs::File, program: &OwnedFd, attach_type: u32) -> Result<(), Errno> {
    let target_fd = group.as_raw_fd().cast_unsigned();
    call(command, &mut Attach { target_fd, attach_bpf_fd: fd(program), attach_type, attach_flags: 0 }).map(drop)
}

pub fn cgroup_attach(group: &std::fs::File, program: &OwnedFd, attach_type: u32) -> Result<(), Errno> {
    cgroup(PROG_ATTACH, group, program, attach_type)
}

pub fn cgroup_detach(group: &std::fs::File, program: &OwnedFd, attach_type: u32) -> Result<(), Errno> {
    cgroup(PROG_DETACH, group, program, attach_type)
}

/// Keeps this thread on one CPU while it lives: per-CPU maps of several runs must not spread over CPUs.
struct Pinned(libc::cpu_set_t);

impl Pinned {
    /// `None` where the kernel will not pin: then runs go where they go.
    fn to_first_cpu() -> Option<Self> {
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: all-zero bytes are a valid, empty `cpu_set_t`.
        let (mut before, mut one): (libc::cpu_set_t, libc::cpu_set_t) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        // SAFETY: `before` is live and writable for `size` bytes, `one` is a live set; CPU_SET stays within it for CPU 0.
        let pinned = unsafe {
            let known = libc::sched_getaffinity(0, size, &mut before) == 0;
            libc::CPU_SET(0, &mut one);
            known && libc::sched_setaffinity(0, size, &one) == 0
        };
        pinned.then_some(Self(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: the set is the live one that `sched_getaffinity` filled. Failing leaves the thread pinned, which harms no result.
        let _ = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &self.0) };
    }
}

/// Runs a program; `data_out` and `ctx_out` are passed with their lengths.
pub fn test_run(
    program: &OwnedFd,
    data: Option<&[u8]>,
    data_out: &mut [u8],
    ctx: Option<&[u8]>,
    ctx_out: &mut [u8],
    repeat: u32,
) -> Result<TestRunResult, Errno> {
    let out = |b: &mut [u8]| if b.is_empty() { 0 } else { b.as_mut_ptr() as u64 };
    let mut attr = TestRun {
        prog_fd: fd(program),
        data_size_in: data.map_or(0, <[u8]>::len) as u32,
        data_in: data.map_or(0, address),
        data_size_out: data_out.len() as u32,
        data_out: out(data_out),
        ctx_size_in: ctx.map_or(0, <[u8]>::len) as u32,
        ctx_in: ctx.map_or(0, address),
        ctx_size_out: ctx_out.len() as u32,
        ctx_out: out(ctx_out),
        repeat,
        ..Default::default()
    };
    let pinned = Pinned::to_first_cpu();
    let answer = call(PROG_TEST_RUN, &mut attr);
    drop(pinned);
    answer?;
    Ok(TestRunResult {
        retval: attr.retval,
        duration_ns: attr.duration,
        data_len: (attr.data_size_out as usize).min(data_out.len()),
        ctx_len: (attr.ctx_size_out as usize).min(ctx_out.len()),
    })
}
