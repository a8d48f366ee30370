//! BPF maps with the kernel's semantics, one file per kind. Here: the common shell (`Map`), creation, and dispatch. Values live in blocks with
//! stable addresses, because programs hold pointers to them.
//!
//! A map belongs to one thread, as the session does that it is part of: runs on it come one after the other, so that neither locks nor locked
//! instructions are needed.

mod arena;
mod array;
mod bloom;
mod devmap;
mod fields;
mod hash;
mod local_storage;
mod lpm;
mod map_in_map;
mod perf_event;
mod prog_array;
mod queue;
mod ringbuf;
mod slab;
mod stack_trace;
mod table;
mod user_ringbuf;

use std::sync::Arc;

use program::MapDef;
use spec::{Errno, MapType};

pub use arena::Arena;
pub use array::Array;
pub use bloom::Bloom;
pub use devmap::DevMap;
pub use fields::Fields;
pub use hash::Hash;
pub use local_storage::LocalStorage;
pub use lpm::Lpm;
pub use map_in_map::{ArrayOfMaps, HashOfMaps};
pub use perf_event::PerfEvents;
pub use prog_array::ProgArray;
pub use queue::Queue;
pub use ringbuf::RingBuf;
pub use stack_trace::StackTraces;
pub use user_ringbuf::UserRingBuf;

use crate::fault::Fault;
use crate::region::{Kind, Region};

/// `BPF_ANY`, `BPF_NOEXIST`, `BPF_EXIST`, `BPF_F_LOCK`.
pub const ANY: u64 = 0;
pub const NOEXIST: u64 = 1;
pub const EXIST: u64 = 2;
pub const F_LOCK: u64 = 4;

/// Map flags that matter at run time.
pub(crate) const F_NO_PREALLOC: u32 = 1;
pub(crate) const F_RDONLY_PROG: u32 = 1 << 7;
pub(crate) const F_WRONLY_PROG: u32 = 1 << 8;

/// Result of a map operation, as the kernel answers it.
pub type MapResult<T = ()> = Result<T, Errno>;

/// Why a map could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The kernel refuses it too.
    #[error("{0}")]
    Errno(Errno),
    #[error("map type {0} does not exist")]
    UnknownType(u32),
}

impl From<Errno> for CreateError {
    fn from(e: Errno) -> Self {
        Self::Errno(e)
    }
}

/// The kinds of storage behind the map types.
#[derive(Debug)]
pub enum Store {
    /// ARRAY, PERCPU_ARRAY, CGROUP_STORAGE (one element), CGROUP_ARRAY.
    Array(Array),
    /// HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH.
    Hash(Hash),
    Lpm(Lpm),
    RingBuf(RingBuf),
    UserRingBuf(UserRingBuf),
    PerfEvents(PerfEvents),
    Programs(ProgArray),
    ArrayOfMaps(ArrayOfMaps),
    HashOfMaps(HashOfMaps),
    /// DEVMAP, DEVMAP_HASH, CPUMAP, XSKMAP.
    Devices(DevMap),
    Queue(Queue),
    Bloom(Bloom),
    /// SK_, INODE_, TASK_, CGRP_STORAGE, CGROUP_STORAGE.
    Local(LocalStorage),
    Arena(Arena),
    StackTraces(StackTraces),
    /// A type whose behaviour is not modelled. The map exists, every use of it is a fault that names the type.
    Unmodelled,
}

/// One map.
#[derive(Debug)]
pub struct Map {
    pub def: Arc<MapDef>,
    pub map_type: MapType,
    pub store: Store,
    /// Special fields of the value (locks, timers, kptrs), which copies leave alone.
    pub fields: Fields,
    pub nr_cpus: u32,
}

/// Sizes round up to 8 as in the kernel, so that element addresses are aligned.
pub(crate) fn round8(n: u32) -> usize {
    (n as usize).div_ceil(8) * 8
}

impl Map {
    /// Creates the map and puts its initial contents in. Static slots are linked by `image::Maps`.
    pub fn create(def: &Arc<MapDef>, nr_cpus: u32) -> Result<Arc<Self>, CreateError> {
        let map_type = MapType::from_raw(def.map_type).ok_or(CreateError::UnknownType(def.map_type))?;
        let nr_cpus = nr_cpus.max(1);
        let fields = Fields::of(def);
        let store = Self::store(def, map_type, nr_cpus, &fields)?;
        #[expect(clippy::arc_with_non_send_sync, reason = "shared within one thread; see the module")]
        let map = Arc::new(Self { def: def.clone(), map_type, store, fields, nr_cpus });
        if let (Some(bytes), Store::Array(array)) = (&def.value0, &map.store) {
            array.preset(bytes);
        }
        Ok(map)
    }

    fn store(def: &MapDef, map_type: MapType, nr_cpus: u32, fields: &Fields) -> Result<Store, CreateError> {
        use MapType as T;
        Ok(match map_type {
            T::Array => Store::Array(Array::new(def, 1, fields)?),
            T::PercpuArray => Store::Array(Array::new(def, nr_cpus, fields)?),
            T::Hash => Store::Hash(Hash::new(def, 1, false, fields)?),
            T::PercpuHash => Store::Hash(Hash::new(def, nr_cpus, false, fields)?),
            T::LruHash => Store::Hash(Hash::new(def, 1, true, fields)?),
            T::LruPercpuHash => Store::Hash(Hash::new(def, nr_cpus, true, fields)?),
            T::LpmTrie => Store::Lpm(Lpm::new(def)?),
            T::Ringbuf => Store::RingBuf(RingBuf::new(def)?),
            T::UserRingbuf => Store::UserRingBuf(UserRingBuf::new(def)?),
            T::PerfEventArray => Store::PerfEvents(PerfEvents::new(def)?),
            T::ProgArray => Store::Programs(ProgArray::new(def)?),
            T::ArrayOfMaps => Store::ArrayOfMaps(ArrayOfMaps::new(def)?),
            T::HashOfMaps => Store::HashOfMaps(HashOfMaps::new(def)?),
            T::Devmap | T::DevmapHash | T::Cpumap | T::Xskmap => Store::Devices(DevMap::new(def, map_type)?),
            T::Queue | T::Stack => Store::Queue(Queue::new(def, map_type == T::Stack)?),
            T::BloomFilter => Store::Bloom(Bloom::new(def)?),
            T::SkStorage | T::InodeStorage | T::TaskStorage | T::CgrpStorage | T::CgroupStorage => {
                Store::Local(LocalStorage::new(def, 1)?)
            }
            T::PercpuCgroupStorage => Store::Local(LocalStorage::new(def, nr_cpus)?),
            T::Arena => Store::Arena(Arena::new(def)?),
            T::CgroupArray => Store::Array(Array::new(def, 1, fields)?),
            T::StackTrace => Store::StackTraces(StackTraces::new(def)?),
            T::Sockmap | T::Sockhash | T::ReuseportSockarray | T::StructOps => Store::Unmodelled,
        })
    }

    /// What a register holds that points to this map.
    pub fn handle(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }

    pub fn name(&self) -> &str {
        &self.def.name
    }

    /// The fault of an operation that this map type does not model.
    #[cold]
    pub fn unmodelled(&self, operation: &str) -> Fault {
        Fault::unsupported(format!("{operation} on map type {} (map {})", self.map_type, self.def.name))
    }

    /// Address of byte `off` of the value of element 0, for `lddw` with a map value.
    pub fn value_address(&self, off: u32) -> Option<u64> {
        match &self.store {
            Store::Array(a) if self.map_type == MapType::Array => a.address_of(0, 0).map(|base| base + u64::from(off)),
            Store::Arena(a) => Some(a.user_start() + u64::from(off)),
            _ => None,
        }
    }

    /// Tells the memory that programs may reach through this map. It can grow; it never moves or shrinks while the map lives.
    pub fn regions(&self, add: &mut dyn FnMut(Region)) {
        let permit = |r: Region| Region {
            write: r.write && self.def.map_flags & F_RDONLY_PROG == 0,
            read: r.read && self.def.map_flags & F_WRONLY_PROG == 0,
            ..r
        };
        let mut add = |r: Region| add(if r.kind == Kind::MapValue { permit(r) } else { r });
        match &self.store {
            Store::Array(s) => s.regions(&mut add),
            Store::Hash(s) => s.regions(&mut add),
            Store::Lpm(s) => s.regions(&mut add),
            Store::Local(s) => s.regions(&mut add),
            Store::Devices(s) => s.regions(&mut add),
            _ => {}
        }
    }

    // --- the program's side -----------------------------------------------------------------------------------------------------------

    /// bpf_map_lookup_elem on `cpu`: the value's address.
    #[inline]
    pub fn lookup(&self, key: &[u8], cpu: u32) -> Result<Option<u64>, Fault> {
        Ok(match &self.store {
            Store::Array(s) => s.lookup(key, cpu),
            Store::Hash(s) => s.lookup(key, cpu),
            Store::Lpm(s) => s.lookup(key),
            Store::Devices(s) => s.lookup(key),
            _ => return Err(self.unmodelled("bpf_map_lookup_elem")),
        })
    }

    /// bpf_map_update_elem on `cpu`.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> Result<MapResult, Fault> {
        Ok(match &self.store {
            Store::Array(s) => s.update(key, value, flags, cpu),
            Store::Hash(s) => s.update(key, value, flags, cpu),
            Store::Lpm(s) => s.update(key, value, flags),
            _ => return Err(self.unmodelled("bpf_map_update_elem")),
        })
    }

    /// bpf_map_delete_elem.
    pub fn delete(&self, key: &[u8]) -> Result<MapResult, Fault> {
        Ok(match &self.store {
            Store::Array(_) => Err(Errno::EINVAL),
            Store::Hash(s) => s.delete(key),
            Store::Lpm(s) => s.delete(key),
            _ => return Err(self.unmodelled("bpf_map_delete_elem")),
        })
    }

    // --- the user's side: as the bpf() commands ---------------------------------------------------------------------------------------

    /// Bytes of a value as BPF_MAP_LOOKUP_ELEM copies it: all CPUs for per-cpu maps.
    pub fn user_value_size(&self) -> usize {
        match &self.store {
            Store::Array(s) => s.user_value_size(),
            Store::Hash(s) => s.user_value_size(),
            Store::Local(s) => s.user_value_size(),
            Store::ArrayOfMaps(_) | Store::HashOfMaps(_) | Store::Programs(_) | Store::PerfEvents(_) => 4,
            _ => self.def.value_size as usize,
        }
    }

    fn check_key(&self, key: &[u8]) -> MapResult {
        if key.len() == self.def.key_size as usize { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// BPF_MAP_LOOKUP_ELEM.
    pub fn get(&self, key: &[u8]) -> MapResult<Vec<u8>> {
        self.check_key(key)?;
        let found = match &self.store {
            Store::Array(s) => s.get(key),
            Store::Hash(s) => s.get(key),
            Store::Lpm(s) => s.get(key),
            Store::Devices(s) => s.get(key),
            Store::Local(s) => s.get(key),
            Store::Programs(s) => s.get(key),
            Store::StackTraces(s) => s.get(key),
            Store::Queue(s) => return s.peek().ok_or(Errno::ENOENT),
            Store::ArrayOfMaps(s) => s.get(key).map(|m| m.handle().to_le_bytes()[..4].to_vec()),
            Store::HashOfMaps(s) => s.get(key).map(|m| m.handle().to_le_bytes()[..4].to_vec()),
            _ => return Err(Errno::ENOTSUPP),
        };
        let mut value = found.ok_or(Errno::ENOENT)?;
        self.fields.hide(&mut value, round8(self.def.value_size));
        Ok(value)
    }

    /// BPF_MAP_UPDATE_ELEM.
    pub fn put(&self, key: &[u8], value: &[u8], flags: u64) -> MapResult {
        self.check_key(key)?;
        if value.len() != self.user_value_size() {
            return Err(Errno::EINVAL);
        }
        match &self.store {
            Store::Array(s) => s.put(key, value, flags),
            Store::Hash(s) => s.put(key, value, flags),
            Store::Lpm(s) => s.update(key, value, flags),
            Store::Devices(s) => s.put(key, value, flags),
            Store::Local(s) => s.put(key, value, flags),
            Store::Queue(s) => s.push(value, flags),
            Store::Bloom(s) => s.push(value, flags),
            Store::PerfEvents(s) => s.put(key),
            _ => Err(Errno::ENOTSUPP),
        }
    }

    /// BPF_MAP_DELETE_ELEM.
    pub fn remove(&self, key: &[u8]) -> MapResult {
        self.check_key(key)?;
        match &self.store {
            Store::Array(_) => Err(Errno::EINVAL),
            Store::Hash(s) => s.delete(key),
            Store::Lpm(s) => s.delete(key),
            Store::Devices(s) => s.delete(key),
            Store::Local(s) => s.delete(key),
            Store::PerfEvents(s) => s.remove(key),
            Store::Programs(s) => s.remove(key),
            Store::StackTraces(s) => s.remove(key),
            Store::ArrayOfMaps(s) => s.remove(key),
            Store::HashOfMaps(s) => s.remove(key),
            _ => Err(Errno::ENOTSUPP),
        }
    }

    /// Every key, in an order that depends on the map's history only.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        match &self.store {
            Store::Array(s) => s.keys(),
            Store::Hash(s) => s.keys(),
            Store::Lpm(s) => s.keys(),
            Store::Devices(s) => s.keys(),
            Store::Local(s) => s.keys(),
            Store::Programs(s) => s.keys(),
            Store::StackTraces(s) => s.keys(),
            Store::ArrayOfMaps(s) => s.keys(),
            Store::HashOfMaps(s) => s.keys(),
            _ => Vec::new(),
        }
    }

    /// All contents sorted by key: what comparing two maps looks at. Queues: values from the next to be popped on, without keys.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        if let Store::Queue(q) = &self.store {
            return q.values().into_iter().map(|v| (Vec::new(), v)).collect();
        }
        let mut all: Vec<_> = self.keys().into_iter().filter_map(|k| self.get(&k).ok().map(|v| (k, v))).collect();
        all.sort();
        all
    }
}
