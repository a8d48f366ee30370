//! Kernel objects laid out from the kernel's BTF: memory that BTF pointers of tracing programs lead to. Described by paths
//! (`f_path.dentry.d_name.name = "secret"`); pointers on the way are followed, and their targets made when first needed. Everything not
//! mentioned is zero. Not here: which argument gets which object (`ctx::build`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use btf::{Btf, Kind};

use crate::input::{Blob, FieldValue};
use crate::memory::Block;

/// Why an object could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("kernel objects need the kernel's BTF")]
    NoBtf,
    #[error("the kernel has no struct {0}")]
    NoStruct(String),
    #[error("{path}: {why}")]
    Path { path: String, why: String },
    #[error("the text {0:?} for user memory has no address")]
    UserText(String),
    #[error("out of memory for kernel objects")]
    Memory,
}

/// Objects under construction.
pub struct Objects {
    btf: Option<Arc<Btf>>,
    blocks: Vec<Block>,
    /// Start of each object to its block.
    by_addr: HashMap<u64, usize>,
}

/// A place in an object: where, and of what type.
struct Place {
    block: usize,
    off: usize,
    ty: u32,
    /// Bit position and width, for bitfields.
    bits: Option<(u32, u32)>,
}

impl Objects {
    pub fn new(btf: Option<Arc<Btf>>) -> Self {
        Self { btf, blocks: Vec::new(), by_addr: HashMap::new() }
    }

    pub fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }

    fn allocate(&mut self, len: usize) -> Result<usize, ObjectError> {
        let block = Block::zeroed(len).ok_or(ObjectError::Memory)?;
        self.by_addr.insert(block.addr(), self.blocks.len());
        self.blocks.push(block);
        Ok(self.blocks.len() - 1)
    }

    /// A NUL-terminated string.
    pub fn string(&mut self, text: &str) -> Result<u64, ObjectError> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(&bytes)
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<u64, ObjectError> {
        let at = self.allocate(bytes.len())?;
        self.blocks[at].write(0, bytes);
        Ok(self.blocks[at].addr())
    }

    /// A new object with these members set; its address.
    pub fn make(&mut self, struct_name: &str, fields: &BTreeMap<String, FieldValue>) -> Result<u64, ObjectError> {
        let btf = self.btf.clone().ok_or(ObjectError::NoBtf)?;
        let id = btf
            .find(Kind::Struct, struct_name)
            .or_else(|| btf.find(Kind::Union, struct_name))
            .ok_or_else(|| ObjectError::NoStruct(struct_name.into()))?;
        let at = self.allocate(btf.resolve_size(id).unwrap_or(0) as usize)?;
        for (path, value) in fields {
            let place = self.walk(&btf, at, id, path)?;
            self.set(&btf, &place, value, path)?;
        }
        Ok(self.blocks[at].addr())
    }

    fn walk(&mut self, btf: &Btf, block: usize, id: u32, path: &str) -> Result<Place, ObjectError> {
        let fail = |why: String| ObjectError::Path { path: path.into(), why };
        let mut place = Place { block, off: 0, ty: id, bits: None };
        for part in path.split(['.', '[']) {
            self.follow(btf, &mut place).map_err(&fail)?;
            let part = part.trim_end_matches(']');
            let (ty, record) = btf.resolve(place.ty).ok_or_else(|| fail("broken type".into()))?;
            if record.kind() == Kind::Array {
                let array = btf.array(ty).ok_or_else(|| fail("broken array".into()))?;
                let index: u32 = part.parse().map_err(|_| fail(format!("{part} is not an index")))?;
                if index >= array.nelems {
                    return Err(fail(format!("index {index} is beyond {} elements", array.nelems)));
                }
                place.off += index as usize * btf.resolve_size(array.elem).unwrap_or(0) as usize;
                place.ty = array.elem;
                continue;
            }
            let member =
                btf.find_member(ty, part).ok_or_else(|| fail(format!("{} has no member {part}", btf.name(ty))))?;
            place.ty = member.type_id;
            place.bits = None;
            if member.bitfield_size == 0 {
                place.off += member.bit_offset as usize / 8;
            } else {
                // The 8 bytes around a bitfield stay inside the object because structs end aligned.
                place.bits = Some((member.bit_offset % 8, u32::from(member.bitfield_size)));
                place.off += member.bit_offset as usize / 8;
            }
        }
        Ok(place)
    }

    /// If the place is a pointer, goes to what it points to, making it first if it is NULL.
    fn follow(&mut self, btf: &Btf, place: &mut Place) -> Result<(), String> {
        let Some((ty, record)) = btf.resolve(place.ty) else { return Err("broken type".into()) };
        if record.kind() != Kind::Ptr {
            return Ok(());
        }
        let target = btf.ty(ty).and_then(|t| t.type_id()).unwrap_or(0);
        let current = self.blocks[place.block].u64(place.off);
        let block = match self.by_addr.get(&current) {
            Some(&b) => b,
            None => {
                let size = btf.resolve_size(target).filter(|&n| n > 0).ok_or("pointer to an incomplete type")?;
                let b = self.allocate(size as usize).map_err(|e| e.to_string())?;
                let addr = self.blocks[b].addr();
                self.blocks[place.block].write(place.off, &addr.to_le_bytes());
                b
            }
        };
        *place = Place { block, off: 0, ty: target, bits: None };
        Ok(())
    }

    fn set(&mut self, btf: &Btf, place: &Place, value: &FieldValue, path: &str) -> Result<(), ObjectError> {
        let fail = |why: &str| ObjectError::Path { path: path.into(), why: why.into() };
        let (ty, record) = btf.resolve(place.ty).ok_or_else(|| fail("broken type"))?;
        let size = btf.resolve_size(ty).unwrap_or(0) as usize;
        let bytes: Vec<u8> = match (value, record.kind()) {
            (FieldValue::Text(text), Kind::Ptr) => self.string(text)?.to_le_bytes().to_vec(),
            (FieldValue::Text(text), Kind::Array) => {
                let mut b = text.as_bytes().to_vec();
                b.truncate(size.saturating_sub(1));
                b.push(0);
                b
            }
            (FieldValue::Text(hex), _) => Blob::from_hex(hex).ok_or_else(|| fail("neither a string nor hex digits"))?.0,
            (FieldValue::List(words), Kind::Array) => {
                let elem = btf.array(ty).and_then(|a| btf.resolve_size(a.elem)).unwrap_or(1).clamp(1, 8) as usize;
                words.iter().flat_map(|w| w.to_le_bytes()[..elem].to_vec()).collect()
            }
            (FieldValue::List(_), _) => return Err(fail("a list needs an array")),
            (number, _) => {
                let n = number.number().ok_or_else(|| fail("not a number"))?;
                if let Some((shift, width)) = place.bits {
                    return self.set_bits(place, shift, width, n).ok_or_else(|| fail("bitfield outside of the object"));
                }
                n.to_le_bytes()[..size.min(8)].to_vec()
            }
        };
        if bytes.len() > size.max(8) || place.off + bytes.len() > self.blocks[place.block].len() {
            return Err(fail("value does not fit"));
        }
        self.blocks[place.block].write(place.off, &bytes);
        Ok(())
    }

    fn set_bits(&self, place: &Place, shift: u32, width: u32, n: u64) -> Option<()> {
        let block = &self.blocks[place.block];
        let bytes = (shift + width).div_ceil(8) as usize;
        if bytes > 8 || place.off + bytes > block.len() {
            return None;
        }
        let mut word = [0; 8];
        block.read(place.off, &mut word[..bytes]);
        let mask = (u64::MAX >> (64 - width.clamp(1, 64))) << shift;
        let new = u64::from_le_bytes(word) & !mask | (n << shift) & mask;
        block.write(place.off, &new.to_le_bytes()[..bytes]);
        Some(())
    }
}
