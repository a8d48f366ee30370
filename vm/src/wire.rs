//! What host and guest say to each other: programs to load and run, and the answers. Both ends are the same binary, so the form may change
//! at any time. How bytes travel is `channel`'s matter.

use std::collections::HashMap;
use std::sync::Arc;

use isa::Insn;
use kernel_diff::{Error, Judgement, LoadOptions, MapDump, Output};
use program::{InfoTable, MapDef, Program, SlotInit};
use serde::{Deserialize, Serialize};

/// From the host.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// BTF and maps that programs share are sent once and named by number from then on. Neither is answered.
    Btf {
        id: u32,
        bytes: Vec<u8>,
    },
    Map {
        id: u32,
        map: Map,
    },
    /// Answered by [`Reply::Loaded`]. An accepted program is kept under the handle.
    Load {
        program: Box<Load>,
        options: LoadOptions,
        keep: Option<u32>,
    },
    /// Answered by [`Reply::Ran`]; the input as JSON, the form in which users write it.
    Run {
        handle: u32,
        input: String,
        repeat: u32,
    },
    /// Answered by [`Reply::Maps`].
    Maps {
        handle: u32,
    },
    /// Drops every program and map, and what was named by number. Not answered.
    Forget,
    /// A file of the guest, answered by [`Reply::File`].
    Read {
        path: String,
    },
}

/// From the guest, in the order of the requests.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The first message: the kernel is there, or cannot be asked.
    Ready {
        release: String,
        refused: Option<String>,
    },
    Loaded(Result<Judgement, Error>),
    Ran(Result<Output, Error>),
    Maps(Result<Vec<MapDump>, Error>),
    File(Result<Vec<u8>, String>),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Load {
    name: String,
    section: String,
    attach_to: String,
    prog_type: u32,
    expected_attach_type: u32,
    flags: u32,
    license: String,
    kern_version: u32,
    attach_btf_id: u32,
    insns: Vec<u8>,
    raw_fd_insns: Vec<u32>,
    maps: Vec<u32>,
    btf: Option<u32>,
    func_info: (u32, Vec<u8>),
    line_info: (u32, Vec<u8>),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Map {
    name: String,
    full_name: String,
    /// Type, key, value, entries, flags, node, key and value type ids, type id in the kernel's BTF.
    numbers: [u32; 9],
    map_extra: u64,
    btf: Option<u32>,
    frozen: bool,
    value0: Option<Vec<u8>>,
    inner: Option<Box<Map>>,
    slots: Vec<(u32, Slot)>,
    pin_by_name: bool,
    unprivileged: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum Slot {
    Map(String),
    Program(String),
    Insn(u32),
}

/// The host's end of what is sent once: which BTF and which maps the guest has, told apart by address. The `Arc`s are kept so that the
/// addresses stay taken.
#[derive(Default)]
pub struct Sent {
    btfs: HashMap<usize, (u32, Arc<btf::Btf>)>,
    maps: HashMap<usize, (u32, Arc<MapDef>)>,
}

impl Sent {
    /// The requests that make the guest load a program; those for what it has not seen come first.
    pub fn load(&mut self, program: &Program, options: &LoadOptions, keep: Option<u32>) -> Vec<Request> {
        let mut out = Vec::new();
        let maps = program.maps.iter().map(|m| self.map(m, &mut out)).collect();
        let btf = program.btf.as_ref().map(|b| self.btf(b, &mut out));
        let table = |t: &InfoTable| (t.rec_size, t.bytes.clone());
        let load = Load {
            name: program.name.clone(),
            section: program.section.clone(),
            attach_to: program.attach_to.clone(),
            prog_type: program.prog_type,
            expected_attach_type: program.expected_attach_type,
            flags: program.flags,
            license: program.license.clone(),
            kern_version: program.kern_version,
            attach_btf_id: program.attach_btf_id,
            insns: program.insns.iter().flat_map(|i| i.to_bytes()).collect(),
            raw_fd_insns: program.raw_fd_insns.clone(),
            maps,
            btf,
            func_info: table(&program.func_info),
            line_info: table(&program.line_info),
        };
        out.push(Request::Load { program: Box::new(load), options: *options, keep });
        out
    }

    fn btf(&mut self, btf: &Arc<btf::Btf>, out: &mut Vec<Request>) -> u32 {
        let next = self.btfs.len() as u32;
        let (id, _) = self.btfs.entry(Arc::as_ptr(btf) as usize).or_insert_with(|| {
            out.push(Request::Btf { id: next, bytes: btf.raw().to_vec() });
            (next, Arc::clone(btf))
        });
        *id
    }

    fn map(&mut self, map: &Arc<MapDef>, out: &mut Vec<Request>) -> u32 {
        if let Some((id, _)) = self.maps.get(&(Arc::as_ptr(map) as usize)) {
            return *id;
        }
        let id = self.maps.len() as u32;
        let wire = self.wire(map, out);
        out.push(Request::Map { id, map: wire });
        self.maps.insert(Arc::as_ptr(map) as usize, (id, Arc::clone(map)));
        id
    }

    fn wire(&mut self, m: &MapDef, out: &mut Vec<Request>) -> Map {
        let slot = |s: &SlotInit| match s {
            SlotInit::Map(n) => Slot::Map(n.clone()),
            SlotInit::Program(n) => Slot::Program(n.clone()),
            SlotInit::Insn(n) => Slot::Insn(*n),
        };
        Map {
            name: m.name.clone(),
            full_name: m.full_name.clone(),
            numbers: [
                m.map_type,
                m.key_size,
                m.value_size,
                m.max_entries,
                m.map_flags,
                m.numa_node,
                m.btf_key_type_id,
                m.btf_value_type_id,
                m.btf_vmlinux_value_type_id,
            ],
            map_extra: m.map_extra,
            btf: m.btf.as_ref().map(|b| self.btf(b, out)),
            frozen: m.frozen,
            value0: m.value0.clone(),
            inner: m.inner.as_ref().map(|i| Box::new(self.wire(i, out))),
            slots: m.slots.iter().map(|(at, s)| (*at, slot(s))).collect(),
            pin_by_name: m.pin_by_name,
            unprivileged: m.unprivileged,
        }
    }
}

/// The guest's end: what was sent once.
#[derive(Default)]
pub struct Received {
    btfs: HashMap<u32, Arc<btf::Btf>>,
    maps: HashMap<u32, Arc<MapDef>>,
}

impl Received {
    pub fn btf(&mut self, id: u32, bytes: &[u8]) -> Result<(), Error> {
        let btf = btf::Btf::parse(bytes).map_err(|e| Error::unsupported(format!("the program's BTF: {e}")))?;
        self.btfs.insert(id, Arc::new(btf));
        Ok(())
    }

    pub fn map(&mut self, id: u32, map: Map) {
        let map = self.made(map);
        self.maps.insert(id, Arc::new(map));
    }

    fn made(&self, m: Map) -> MapDef {
        let slot = |s: Slot| match s {
            Slot::Map(n) => SlotInit::Map(n),
            Slot::Program(n) => SlotInit::Program(n),
            Slot::Insn(n) => SlotInit::Insn(n),
        };
        let n = m.numbers;
        MapDef {
            name: m.name,
            full_name: m.full_name,
            map_type: n[0],
            key_size: n[1],
            value_size: n[2],
            max_entries: n[3],
            map_flags: n[4],
            numa_node: n[5],
            btf_key_type_id: n[6],
            btf_value_type_id: n[7],
            btf_vmlinux_value_type_id: n[8],
            map_extra: m.map_extra,
            btf: m.btf.and_then(|id| self.btfs.get(&id).cloned()),
            frozen: m.frozen,
            value0: m.value0,
            inner: m.inner.map(|i| Arc::new(self.made(*i))),
            slots: m.slots.into_iter().map(|(at, s)| (at, slot(s))).collect(),
            pin_by_name: m.pin_by_name,
            unprivileged: m.unprivileged,
        }
    }

    /// The program, with the maps and the BTF that were sent before.
    pub fn program(&self, l: Load) -> Result<Program, Error> {
        let map = |id: &u32| self.maps.get(id).cloned();
        let maps: Option<Vec<_>> = l.maps.iter().map(map).collect();
        let (slots, _) = l.insns.as_chunks::<{ Insn::SIZE }>();
        let table = |(rec_size, bytes)| InfoTable { rec_size, bytes };
        Ok(Program {
            // A guest makes only what the program itself needs.
            object_maps: Arc::default(),
            name: l.name,
            section: l.section,
            attach_to: l.attach_to,
            prog_type: l.prog_type,
            expected_attach_type: l.expected_attach_type,
            flags: l.flags,
            license: l.license,
            kern_version: l.kern_version,
            attach_btf_id: l.attach_btf_id,
            insns: slots.iter().map(|b| Insn::from_bytes(*b)).collect(),
            raw_fd_insns: l.raw_fd_insns,
            maps: maps.ok_or_else(|| Error::Environment("a map that was not sent".to_owned()))?,
            btf: l.btf.and_then(|id| self.btfs.get(&id).cloned()),
            func_info: table(l.func_info),
            line_info: table(l.line_info),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_arrives_as_it_was_sent() {
        let inner = Arc::new(MapDef { name: "inner".into(), map_type: 2, max_entries: 1, ..MapDef::default() });
        let outer = MapDef {
            name: "outer".into(),
            inner: Some(inner),
            slots: vec![(3, SlotInit::Program("tail".into()))],
            ..MapDef::default()
        };
        let program = Program {
            name: "p".into(),
            insns: isa::asm::assemble("r1 = map[0]\nr0 = -1\nexit\n").expect("it assembles"),
            maps: vec![Arc::new(outer)],
            license: "GPL".into(),
            ..Program::default()
        };
        let (mut sent, mut received) = (Sent::default(), Received::default());
        let options = LoadOptions::default();
        let first = sent.load(&program, &options, None);
        assert_eq!((first.len(), sent.load(&program, &options, None).len()), (2, 1), "maps are sent once");
        for request in first {
            let bytes = postcard::to_allocvec(&request).expect("it is written");
            match postcard::from_bytes(&bytes).expect("it is read") {
                Request::Map { id, map } => received.map(id, map),
                Request::Load { program: load, .. } => {
                    let got = received.program(*load).expect("its map was sent");
                    assert_eq!(format!("{got:?}"), format!("{program:?}"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
