//! Maps and BTF by their ids: what was seen at their creation, else what the kernel says of them. What is in a program is not here.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;

use libc::pid_t;

use super::attr::{Attr, map_create};
use super::objects::{self, MapInfo, Object};
use super::record::{Hex, Map, Store};

/// Maps to remember. Of one that was forgotten, the kernel still knows all but the inner map.
const MAX_KNOWN: usize = 1 << 16;

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
const MAP_TYPE_HASH_OF_MAPS: u32 = 13;

/// Programs may only read: together with freezing, the verifier knows the contents.
const F_RDONLY_PROG: u32 = 1 << 7;
/// The map's value type is in a module's BTF.
const F_VTYPE_BTF_OBJ_FD: u32 = 1 << 15;
/// The caller's privileges come with a token; the kernel keeps the bit to itself.
const F_TOKEN_FD: u32 = 1 << 16;

/// A map with what could not be found out about it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub map: Map,
    pub problems: Vec<String>,
}

/// What a descriptor in a program stands for.
#[derive(Debug)]
pub enum Reference {
    Map(u32, Known),
    /// No map: the kernel refuses the program.
    Bad,
}

/// Everything remembered, and where BTF goes.
#[derive(Debug)]
pub struct Knowledge {
    pub store: Store,
    maps: HashMap<u32, Known>,
    /// Ids in `maps`, oldest first.
    order: VecDeque<u32>,
    /// Files by BTF id.
    btf: HashMap<u32, String>,
    /// The file of the kernel's BTF, once a program needed it.
    vmlinux: Option<String>,
}

impl Knowledge {
    pub fn new(store: Store) -> Self {
        Self { store, maps: HashMap::new(), order: VecDeque::new(), btf: HashMap::new(), vmlinux: None }
    }

    /// A map about to be created.
    pub fn creation(&mut self, tid: pid_t, attr: &Attr) -> Known {
        use map_create::*;
        let flags = attr.u32(MAP_FLAGS);
        let mut known = Known {
            map: Map {
                map_type: attr.u32(MAP_TYPE),
                key_size: attr.u32(KEY_SIZE),
                value_size: attr.u32(VALUE_SIZE),
                max_entries: attr.u32(MAX_ENTRIES),
                map_flags: flags & !(F_TOKEN_FD | F_VTYPE_BTF_OBJ_FD),
                map_extra: attr.u64(MAP_EXTRA),
                numa_node: attr.u32(NUMA_NODE),
                name: attr.name(MAP_NAME),
                btf_key_type_id: attr.u32(BTF_KEY_TYPE_ID),
                btf_value_type_id: attr.u32(BTF_VALUE_TYPE_ID),
                btf_vmlinux_value_type_id: attr.u32(BTF_VMLINUX_VALUE_TYPE_ID),
                ..Map::default()
            },
            problems: Vec::new(),
        };
        if known.map.btf_key_type_id != 0 || known.map.btf_value_type_id != 0 {
            match self.own_btf(tid, attr.fd(BTF_FD)) {
                Ok(name) => known.map.btf = Some(name),
                Err(e) => known.problems.push(format!("the BTF is unknown: {e}")),
            }
        }
        if has_inner(known.map.map_type) {
            self.add_inner(tid, attr.fd(INNER_MAP_FD), &mut known);
        }
        if flags & F_VTYPE_BTF_OBJ_FD != 0 {
            known.problems.push("its value type is a module's".to_owned());
        }
        if attr.u32(MAP_IFINDEX) != 0 {
            known.problems.push("it belongs to a network device".to_owned());
        }
        if attr.u32(EXCL_PROG_HASH_SIZE) != 0 {
            known.problems.push("it is for one signed program".to_owned());
        }
        known
    }

    fn add_inner(&mut self, tid: pid_t, fd: i32, outer: &mut Known) {
        match self.definition(tid, fd) {
            Ok(Some((_, inner, _))) => {
                outer.map.inner = Some(Box::new(inner.map));
                outer.problems.extend(inner.problems.into_iter().map(|p| format!("the inner map: {p}")));
            }
            Ok(None) => outer.problems.push("the inner map is none".to_owned()),
            Err(e) => outer.problems.push(format!("the inner map is unknown: {e}")),
        }
    }

    /// The map was created.
    pub fn created(&mut self, tid: pid_t, fd: i32, map: Known) {
        let Ok(Object::Map { id, .. }) = objects::identify(tid, fd) else { return };
        if self.maps.insert(id, map).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.maps.remove(&oldest);
        }
    }

    /// What a descriptor in a program stands for; contents are taken from `budget` bytes.
    pub fn reference(&mut self, tid: pid_t, fd: i32, budget: &mut usize) -> io::Result<Reference> {
        let Some((id, mut known, frozen)) = self.definition(tid, fd)? else { return Ok(Reference::Bad) };
        known.map.frozen = frozen;
        if known.map.map_type == MAP_TYPE_ARRAY && known.map.max_entries == 1 {
            add_contents(tid, fd, id, &mut known, budget);
        }
        Ok(Reference::Map(id, known))
    }

    /// The map behind a descriptor: its id, its definition, and whether it is frozen; `None` when it is no map.
    fn definition(&mut self, tid: pid_t, fd: i32) -> io::Result<Option<(u32, Known, bool)>> {
        let Object::Map { id, frozen } = objects::identify(tid, fd)? else { return Ok(None) };
        let known = match self.maps.get(&id) {
            Some(known) => known.clone(),
            None => {
                let info = objects::map_info(&objects::open_map(tid, fd, id)?)?;
                self.described(tid, info)
            }
        };
        Ok(Some((id, known, frozen)))
    }

    /// A map that was there before, such as a pinned one.
    fn described(&mut self, tid: pid_t, info: MapInfo) -> Known {
        let mut known = Known {
            map: Map {
                map_type: info.map_type,
                key_size: info.key_size,
                value_size: info.value_size,
                max_entries: info.max_entries,
                map_flags: info.map_flags,
                map_extra: info.map_extra,
                name: info.name,
                btf_key_type_id: info.btf_key_type_id,
                btf_value_type_id: info.btf_value_type_id,
                btf_vmlinux_value_type_id: info.btf_vmlinux_value_type_id,
                ..Map::default()
            },
            problems: Vec::new(),
        };
        if info.btf_id != 0 && info.btf_vmlinux_value_type_id == 0 {
            match self.btf_by_id(tid, None, info.btf_id) {
                Ok(name) => known.map.btf = Some(name),
                Err(e) => known.problems.push(format!("the BTF is unknown: {e}")),
            }
        }
        if has_inner(info.map_type) {
            known.problems.push("its inner map is unknown: it was created earlier".to_owned());
        }
        if info.ifindex != 0 {
            known.problems.push("it belongs to a network device".to_owned());
        }
        known
    }

    /// The file of the BTF that a descriptor of a loader refers to.
    pub fn own_btf(&mut self, tid: pid_t, fd: i32) -> io::Result<String> {
        match objects::identify(tid, fd)? {
            Object::Btf { id } => self.btf_by_id(tid, Some(fd), id),
            _ => Err(io::Error::other(format!("descriptor {fd} is no BTF"))),
        }
    }

    fn btf_by_id(&mut self, tid: pid_t, fd: Option<i32>, id: u32) -> io::Result<String> {
        if let Some(name) = self.btf.get(&id) {
            return Ok(name.clone());
        }
        let name = self.store.btf(&objects::btf_bytes(tid, fd, id)?)?;
        if self.btf.len() >= MAX_KNOWN {
            self.btf.clear();
        }
        self.btf.insert(id, name.clone());
        Ok(name)
    }

    /// The kernel's BTF, as records name it.
    pub fn vmlinux(&mut self) -> io::Result<String> {
        if let Some(name) = &self.vmlinux {
            return Ok(name.clone());
        }
        let name = format!("btf/{}", self.store.btf(&fs::read("/sys/kernel/btf/vmlinux")?)?);
        self.vmlinux = Some(name.clone());
        Ok(name)
    }
}

fn has_inner(map_type: u32) -> bool {
    matches!(map_type, MAP_TYPE_ARRAY_OF_MAPS | MAP_TYPE_HASH_OF_MAPS)
}

/// The contents of a map of global variables. Those that the verifier would look into must not be missing; zeros of others go without
/// saying.
fn add_contents(tid: pid_t, fd: i32, id: u32, known: &mut Known, budget: &mut usize) {
    let size = known.map.value_size as usize;
    let constant = known.map.frozen && known.map.map_flags & F_RDONLY_PROG != 0;
    let contents = if size > *budget {
        Err(io::Error::other(format!("{size} bytes are too much")))
    } else {
        objects::open_map(tid, fd, id).and_then(|map| objects::element0(&map, size))
    };
    match contents {
        Ok(bytes) if constant || bytes.iter().any(|b| *b != 0) => {
            *budget -= size;
            known.map.value0 = Some(Hex(bytes));
        }
        Ok(_) => {}
        Err(e) if constant => known.problems.push(format!("its contents are unknown: {e}")),
        Err(_) => {}
    }
}
