//! Maps as the verifier sees them: definition, special fields of the value, template of a map-in-map. What maps may be created is in
//! `spec::map`; which program may use which map is checked in `pass::resolve`.

pub use spec::map::{Field, Graph, Owner, Record};

use crate::reg::{BtfId, MapId};
use program::MapDef;
use spec::MapType;
use spec::map::{FieldKind, flags};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Map {
    pub def: Arc<MapDef>,
    /// None for a number this kernel does not know (the load fails before).
    pub ty: Option<MapType>,
    /// BTF of the value, when it has one.
    pub btf: Option<BtfId>,
    pub record: Record,
    /// Template of a map-in-map.
    pub inner: Option<MapId>,
}

impl Map {
    /// Programs may not write values. Device maps are that by themselves.
    pub fn rdonly_prog(&self) -> bool {
        self.def.map_flags & flags::RDONLY_PROG != 0 || matches!(self.ty, Some(MapType::Devmap | MapType::DevmapHash))
    }
    pub fn wronly_prog(&self) -> bool {
        self.def.map_flags & flags::WRONLY_PROG != 0
    }
    /// Contents never change: loads at constant offsets have known values.
    pub fn is_constant(&self) -> bool {
        self.rdonly_prog() && self.def.frozen
    }
    /// What a load finds in the only element of a constant map; bytes that nobody wrote are 0.
    pub fn constant(&self, at: u64, size: u32, sign_extend: bool) -> u64 {
        let n = size as usize;
        let mut bytes = [0u8; 8];
        if let Some(b) = self.def.value0.as_deref().and_then(|v| v.get(at as usize..at as usize + n)) {
            bytes[..n].copy_from_slice(b);
        }
        let v = u64::from_le_bytes(bytes);
        let shift = 64 - 8 * size;
        if sign_extend { (((v << shift) as i64) >> shift) as u64 } else { v }
    }
    pub fn has(&self, kind: FieldKind) -> bool {
        self.record.find(kind).is_some()
    }
    /// A lock makes two lookups of one element distinguishable.
    pub fn has_lock(&self) -> bool {
        self.has(FieldKind::SpinLock) || self.has(FieldKind::ResSpinLock)
    }
}
