//! Programs of one object with their maps, ready for inputs: links static slots, puts presets in, starts runs, reads results. Not here: executing.

use std::collections::BTreeMap;
use std::sync::Arc;

use program::{Program, SlotInit};
use serde::{Deserialize, Serialize};
use spec::{Errno, ProgType};

use crate::ctx::{self, BuildError};
use crate::fault::Fault;
use crate::image::{Image, ImageError, Maps, Options};
use crate::input::{Blob, Input, MapPreset};
use crate::map::{Map, Store};
use crate::run::Run;
use crate::world::{Outputs, World};

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Context(#[from] BuildError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why presets could not be put in.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    #[error("no map {0}")]
    NoMap(String),
    #[error("no program {0}")]
    NoProgram(String),
    #[error("map {map}, key {key}: {errno}")]
    Refused { map: String, key: String, errno: Errno },
}

/// The programs and maps of an object.
#[derive(Debug, Default)]
pub struct Session {
    pub maps: Maps,
    pub images: Vec<Arc<Image>>,
}

impl Session {
    /// Lowers all programs; they share the maps that they name by the same definition.
    pub fn new(programs: &[Program], options: &Options) -> Result<Self, ImageError> {
        let mut session = Self::default();
        for program in programs {
            session.add(program, options)?;
        }
        session.link();
        Ok(session)
    }

    /// Adds a program (with its own facts in `options`). Call `link` after the last.
    pub fn add(&mut self, program: &Program, options: &Options) -> Result<Arc<Image>, ImageError> {
        let image = Image::new(program, &mut self.maps, options)?;
        self.images.push(image.clone());
        Ok(image)
    }

    pub fn image(&self, name: &str) -> Option<&Arc<Image>> {
        self.images.iter().find(|i| i.name == name)
    }

    /// Fills the statically initialised slots of prog arrays and maps of maps, as a loader does. Slots that name something that is not there stay
    /// empty, as they do where a loader was told not to load it.
    pub fn link(&self) {
        for map in self.maps.iter() {
            for (index, init) in &map.def.slots {
                let _ = match init {
                    SlotInit::Program(name) => self.image(name).map(|i| set_program(map, *index, i)),
                    SlotInit::Map(name) => self.maps.by_name(name).map(|m| set_map(map, &index.to_le_bytes(), m)),
                    // Only instruction arrays hold these, and none of those gets as far as to be run.
                    SlotInit::Insn(_) => None,
                };
            }
        }
    }

    /// Puts an input's map contents in.
    pub fn preset(&self, presets: &[MapPreset]) -> Result<(), PresetError> {
        for preset in presets {
            let map = self.maps.by_name(&preset.map).ok_or_else(|| PresetError::NoMap(preset.map.clone()))?;
            if let (true, Store::PerfEvents(events)) = (preset.readers, &map.store) {
                events.open_all(map.nr_cpus);
            }
            for sample in &preset.samples {
                if let Store::UserRingBuf(ring) = &map.store {
                    ring.produce(&sample.0).map_err(|e| refused(map, sample, e))?;
                }
            }
            for entry in &preset.entries {
                let done = match &entry.slot {
                    Some(name) => self.fill_slot(map, &entry.key.0, name)?,
                    None => map.put(&entry.key.0, &widen(map, &entry.value.0), 0),
                };
                done.map_err(|e| refused(map, &entry.key, e))?;
            }
        }
        Ok(())
    }

    fn fill_slot(&self, map: &Map, key: &[u8], name: &str) -> Result<Result<(), Errno>, PresetError> {
        if let Store::Programs(_) = &map.store {
            let image = self.image(name).ok_or_else(|| PresetError::NoProgram(name.into()))?;
            let index = key.try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX);
            return Ok(set_program(map, index, image));
        }
        let inner = self.maps.by_name(name).ok_or_else(|| PresetError::NoMap(name.into()))?;
        Ok(set_map(map, key, inner))
    }

    /// A run of `image` on `input`; its map presets must be in already.
    pub fn start<'w>(image: &Arc<Image>, input: &Input, world: &'w mut World) -> Result<Run<'w>, StartError> {
        world.values = input.world.clone();
        world.rewind();
        let context = ctx::build(image, input)?;
        Ok(Run::new(image, world, context)?)
    }

    /// Contents of all maps by name, ring buffers' records as values.
    pub fn contents(&self) -> BTreeMap<String, Vec<(Blob, Blob)>> {
        self.maps.iter().map(|m| (m.name().to_string(), contents(m))).collect()
    }
}

fn contents(map: &Map) -> Vec<(Blob, Blob)> {
    match &map.store {
        Store::RingBuf(ring) => ring.records().into_iter().map(|r| (Blob::default(), Blob(r))).collect(),
        _ => map.entries().into_iter().map(|(k, v)| (Blob(k), Blob(v))).collect(),
    }
}

fn refused(map: &Map, key: &Blob, errno: Errno) -> PresetError {
    PresetError::Refused { map: map.name().into(), key: key.to_hex(), errno }
}

/// One CPU's value stands for all of a per-cpu map's.
fn widen(map: &Map, value: &[u8]) -> Vec<u8> {
    let (one, all) = (map.def.value_size as usize, map.user_value_size());
    if value.len() == one && all > one {
        let mut each = value.to_vec();
        each.resize(one.div_ceil(8) * 8, 0);
        return each.repeat(map.nr_cpus as usize);
    }
    value.to_vec()
}

fn set_program(map: &Map, index: u32, image: &Arc<Image>) -> Result<(), Errno> {
    match &map.store {
        Store::Programs(programs) => programs.set(index, image),
        _ => Err(Errno::EINVAL),
    }
}

fn set_map(map: &Map, key: &[u8], inner: &Arc<Map>) -> Result<(), Errno> {
    match &map.store {
        Store::ArrayOfMaps(outer) => outer.set(key.try_into().map(u32::from_le_bytes).unwrap_or(u32::MAX), inner),
        Store::HashOfMaps(outer) => outer.set(key, inner),
        _ => Err(Errno::EINVAL),
    }
}

/// What a run left behind, for showing and comparing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The program's r0, as BPF_PROG_TEST_RUN shows it: 32 bits.
    pub retval: u32,
    /// The packet from the Ethernet header on (where the kernel puts a zeroed header in front for types that do not see it), of XDP from the
    /// metadata on.
    pub packet: Blob,
    /// The context struct, pointer fields zeroed.
    pub ctx: Blob,
    pub outputs: Outputs,
}

impl Report {
    pub fn of(run: &Run<'_>, r0: u64) -> Self {
        let packet = match (&run.ctx.packet, run.ctx.family) {
            // A test run of a flow dissector answers the keys.
            _ if run.ctx.prog_type == ProgType::FlowDissector => run.ctx.pointee(144).unwrap_or_default(),
            (Some(p), ctx::Family::Skb) if !ctx::sees_ethernet(run.ctx.prog_type) => {
                [vec![0; ctx::ETH_HLEN], p.contents()].concat()
            }
            (Some(p), ctx::Family::Xdp) => p.contents_with_meta(),
            (Some(p), ctx::Family::Skb) => p.contents(),
            _ => Vec::new(),
        };
        Self {
            retval: r0 as u32,
            packet: Blob(packet),
            ctx: Blob(run.ctx.plain_bytes()),
            outputs: run.world.out.clone(),
        }
    }
}
