//! Real maps for a program: creation as given, initial contents, and reading them back.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use program::{MapDef, Program, SlotInit};

use super::sys::{self, Errno, MapCreate};
use crate::engine::Error;
use crate::input::MapDump;

const HASH: u32 = 1;
const ARRAY: u32 = 2;
const PERF_EVENT_ARRAY: u32 = 4;
const PERCPU_HASH: u32 = 5;
const PERCPU_ARRAY: u32 = 6;
const LRU_HASH: u32 = 9;
const LRU_PERCPU_HASH: u32 = 10;
const LPM_TRIE: u32 = 11;
const ARRAY_OF_MAPS: u32 = 12;
const HASH_OF_MAPS: u32 = 13;
const PERCPU_CGROUP_STORAGE: u32 = 21;
const QUEUE: u32 = 22;
const STACK: u32 = 23;
pub const RINGBUF: u32 = 27;
const ARENA: u32 = 33;

/// An arena needs an address before a program may use it; libbpf gets one by mapping it, we name one.
const ARENA_ADDRESS: u64 = 1 << 44;
/// Entries read back from one map; more makes the map unreadable rather than the report endless.
const MAX_DUMP: usize = 1 << 16;

/// BTF blobs that are loaded already, by address of the shared parse; the `Arc` is kept so that the address stays taken.
#[derive(Default)]
pub struct BtfCache(HashMap<usize, (Arc<btf::Btf>, Result<OwnedFd, Errno>)>);

impl BtfCache {
    pub fn fd(&mut self, btf: &Arc<btf::Btf>) -> Result<RawFd, Errno> {
        if self.0.len() > 256 {
            self.0.clear();
        }
        let key = Arc::as_ptr(btf) as usize;
        let (_, fd) = self.0.entry(key).or_insert_with(|| (Arc::clone(btf), sys::btf_load(btf.raw())));
        fd.as_ref().map(AsRawFd::as_raw_fd).map_err(|e| *e)
    }
}

/// A map in the kernel; clones share it.
#[derive(Clone)]
pub struct LiveMap {
    pub fd: Rc<OwnedFd>,
    pub def: Arc<MapDef>,
}

/// The maps that a program names, by index into `Program::maps`.
pub type MapSet = HashMap<usize, LiveMap>;

/// What the programs of one object share in a kernel.
#[derive(Default)]
pub struct Session {
    pub btfs: BtfCache,
    /// One map for each definition, told apart by address: programs of an object share definitions.
    maps: Vec<LiveMap>,
    /// Loaded programs by name, for slots of program arrays.
    pub programs: HashMap<String, Rc<OwnedFd>>,
    /// The same with what they are, for attaching them together; only where programs are attached.
    pub attachable: Option<Vec<(Program, Rc<OwnedFd>)>>,
}

impl Session {
    /// Programs loaded from now on get maps of their own.
    pub fn forget(&mut self) {
        self.maps.clear();
        self.programs.clear();
        self.attachable.iter_mut().for_each(Vec::clear);
    }

    /// The map of a definition, created on first use.
    pub fn map(&mut self, def: &Arc<MapDef>) -> Result<LiveMap, Error> {
        if let Some(known) = self.maps.iter().find(|m| Arc::ptr_eq(&m.def, def)) {
            return Ok(known.clone());
        }
        let fd = Rc::new(create(def, &mut self.btfs)?);
        let map = LiveMap { fd, def: Arc::clone(def) };
        self.maps.push(map.clone());
        Ok(map)
    }

    /// Every map that an instruction of the program refers to.
    pub fn maps_of(&mut self, program: &Program) -> Result<MapSet, Error> {
        let mut set = MapSet::new();
        for index in referenced(program) {
            if let Some(def) = program.maps.get(index)
                && !set.contains_key(&index)
            {
                let map = self.map(def)?;
                self.fill_slots(program, &map)?;
                set.insert(index, map);
            }
        }
        Ok(set)
    }

    /// Statically initialised slots of maps in maps. Slots that hold programs are the caller's: the programs must be loaded first.
    fn fill_slots(&mut self, program: &Program, map: &LiveMap) -> Result<(), Error> {
        for (slot, init) in &map.def.slots {
            let SlotInit::Map(name) = init else { continue };
            let inner = program.maps.iter().find(|m| m.full_name == *name);
            let inner =
                inner.ok_or_else(|| Error::unsupported(format!("map `{}` holds unknown `{name}`", map.def.name)))?;
            let inner = self.map(inner)?;
            put_fd(map, &slot.to_ne_bytes(), &inner.fd)?;
        }
        Ok(())
    }
}

/// Map indices in `lddw` instructions, repeats included.
fn referenced(program: &Program) -> Vec<usize> {
    let mut found = Vec::new();
    let mut slot = 0;
    while let Some(insn) = program.insns.get(slot) {
        if insn.code == isa::consts::LDIMM64 {
            let raw = program.raw_fd_insns.contains(&(slot as u32));
            if let (false, 1 | 2, Ok(index)) = (raw, insn.src, usize::try_from(insn.imm)) {
                found.push(index);
            }
            slot += 1;
        }
        slot += 1;
    }
    found
}

fn create(def: &MapDef, btfs: &mut BtfCache) -> Result<OwnedFd, Error> {
    let inner = def.inner.as_ref().map(|i| create(i, btfs)).transpose()?;
    let refused = |e: Errno| Error::unsupported(format!("the kernel refuses to create map `{}`: {e}", def.name));
    let mut attr = MapCreate {
        map_type: def.map_type,
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries: def.max_entries,
        map_flags: def.map_flags,
        inner_map_fd: inner.as_ref().map_or(0, |f| f.as_raw_fd().cast_unsigned()),
        map_name: kernel_name(&def.name),
        btf_vmlinux_value_type_id: def.btf_vmlinux_value_type_id,
        map_extra: def.map_extra,
        numa_node: def.numa_node,
        ..Default::default()
    };
    match def.map_type {
        ARENA if attr.map_extra == 0 => attr.map_extra = ARENA_ADDRESS,
        PERF_EVENT_ARRAY if attr.max_entries == 0 => attr.max_entries = possible_cpus()? as u32,
        _ => {}
    }
    if let Some(b) = &def.btf
        && (def.btf_key_type_id | def.btf_value_type_id) != 0
    {
        attr.btf_fd = btfs.fd(b).map_err(refused)?.cast_unsigned();
        attr.btf_key_type_id = def.btf_key_type_id;
        attr.btf_value_type_id = def.btf_value_type_id;
    }
    let fd = match sys::map_create(attr) {
        // Loaders (libbpf, cilium/ebpf) then try without type information: many map types take none.
        Err(_) if attr.btf_fd != 0 => {
            let plain = MapCreate { btf_fd: 0, btf_key_type_id: 0, btf_value_type_id: 0, ..attr };
            sys::map_create(plain).map_err(refused)?
        }
        other => other.map_err(refused)?,
    };
    if let Some(value) = &def.value0 {
        let size = def.value_size as usize;
        let mut value = value.clone();
        value.resize(size, 0);
        sys::map_update(&fd, &0u32.to_ne_bytes(), &value).map_err(refused)?;
    }
    for (slot, init) in &def.slots {
        // A place in the program: the first field of `struct bpf_insn_array_value`.
        if let SlotInit::Insn(place) = init {
            let mut value = place.to_ne_bytes().to_vec();
            value.resize(def.value_size as usize, 0);
            sys::map_update(&fd, &slot.to_ne_bytes(), &value).map_err(refused)?;
        }
    }
    if def.frozen {
        sys::map_freeze(&fd).map_err(refused)?;
    }
    Ok(fd)
}

/// Name as the kernel takes it: at most 15 bytes of letters, digits, `_` and `.`.
pub fn kernel_name(name: &str) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, b) in out[..15].iter_mut().zip(name.bytes()) {
        *slot = if b.is_ascii_alphanumeric() || b == b'_' || b == b'.' { b } else { b'_' };
    }
    out
}

/// How many CPUs may come: per-CPU values have a part for each. `0-3,8` is nine.
fn possible_cpus() -> Result<usize, Error> {
    const FILE: &str = "/sys/devices/system/cpu/possible";
    let text = std::fs::read_to_string(FILE).map_err(|e| Error::Environment(format!("{FILE}: {e}")))?;
    let highest = text.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<usize>().ok());
    highest.map(|n| n + 1).ok_or_else(|| Error::Environment(format!("{FILE}: expected numbers, found `{text}`")))
}

fn per_cpu(map_type: u32) -> bool {
    matches!(map_type, PERCPU_HASH | PERCPU_ARRAY | LRU_PERCPU_HASH | PERCPU_CGROUP_STORAGE)
}

/// Bytes that the kernel moves for one value.
fn value_len(def: &MapDef) -> Result<usize, Error> {
    let size = def.value_size as usize;
    Ok(if per_cpu(def.map_type) { size.next_multiple_of(8) * possible_cpus()? } else { size })
}

/// Puts one entry in. For per-CPU maps a value of one CPU is given to all.
pub fn put(map: &LiveMap, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let def = &map.def;
    let wrong = |what: &str, is: usize, must: u32| {
        Error::unsupported(format!("map `{}`: {what} of {is} bytes, the map's has {must}", def.name))
    };
    if key.len() != def.key_size as usize {
        return Err(wrong("key", key.len(), def.key_size));
    }
    let value = if per_cpu(def.map_type) && value.len() == def.value_size as usize {
        let mut one = value.to_vec();
        one.resize(value.len().next_multiple_of(8), 0);
        one.repeat(possible_cpus()?)
    } else {
        value.to_vec()
    };
    if value.len() != value_len(def)? {
        return Err(wrong("value", value.len(), def.value_size));
    }
    sys::map_update(&map.fd, key, &value).map_err(|e| Error::unsupported(format!("map `{}`: update: {e}", def.name)))
}

/// Puts a map or a program into a slot.
pub fn put_fd(outer: &LiveMap, key: &[u8], what: &OwnedFd) -> Result<(), Error> {
    let refused = |why: String| Error::unsupported(format!("map `{}`: slot: {why}", outer.def.name));
    if key.len() != outer.def.key_size as usize {
        return Err(refused(format!("key of {} bytes", key.len())));
    }
    sys::map_update(&outer.fd, key, &what.as_raw_fd().to_ne_bytes()).map_err(|e| refused(e.to_string()))
}

/// Reads a map back.
pub fn dump(map: &LiveMap) -> Result<MapDump, Error> {
    let def = &map.def;
    let mut out = MapDump { name: def.name.clone(), entries: None, per_cpu: per_cpu(def.map_type) };
    let mut value = vec![0; value_len(def)?];
    out.entries = match def.map_type {
        QUEUE | STACK => {
            let mut entries = Vec::new();
            while entries.len() < MAX_DUMP && sys::map_pop(&map.fd, &mut value).is_ok() {
                entries.push((Vec::new(), value.clone()));
            }
            Some(entries)
        }
        HASH | ARRAY | PERCPU_HASH | PERCPU_ARRAY | LRU_HASH | LRU_PERCPU_HASH | LPM_TRIE => entries(map, &mut value),
        ARRAY_OF_MAPS | HASH_OF_MAPS => None,
        _ => None,
    };
    Ok(out)
}

fn entries(map: &LiveMap, value: &mut [u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut entries = Vec::new();
    let mut key: Option<Vec<u8>> = None;
    let mut next = vec![0; map.def.key_size as usize];
    while sys::map_next_key(&map.fd, key.as_deref(), &mut next).is_ok() {
        if entries.len() >= MAX_DUMP {
            return None;
        }
        if sys::map_lookup(&map.fd, &next, value).is_ok() {
            entries.push((next.clone(), value.to_vec()));
        }
        key = Some(next.clone());
    }
    entries.sort();
    Some(entries)
}
