//! The context that r1 points to: a UAPI struct laid out in memory, with the packet behind it. Not here: where field values come from (`build`),
//! and what helpers do to packets (`helper::skb`, `helper::xdp`).
//!
//! A UAPI struct is its own memory: a load of a plain field is a plain load. Four kinds of field are more:
//! - packet pointers in 4-byte fields (`data`, `data_end`, `data_meta`): the real 64-bit pointers lie at `HIDDEN..` behind the struct, and a 4-byte
//!   load of the field yields 64 bits from there (`pointer_field`), as the kernel's rewritten instruction does;
//! - fields that keep fewer bits than they show (`__sk_buff.tc_index` has 16): `store` cuts them;
//! - the same fields where a part of them is loaded that is not narrower than what is kept: it is all of it, at any offset (`place`);
//! - everything that the program's type may not touch: refused.

mod build;
mod packet;

pub use build::{BuildError, ETH_HLEN, build, sees_ethernet};
pub use packet::Packet;

use spec::ctx::{AccessKind, CtxReg, Layout};
use spec::{Caps, ProgType};

use crate::memory::{self, Block};
use crate::region::{Kind, Region, Regions};

/// Offset of the hidden pointers `data`, `data_end`, `data_meta` behind any context struct.
pub const HIDDEN: u32 = 256;

/// Which family of contexts this is: decides what packet helpers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Xdp,
    Skb,
    /// Everything without a packet, or with 64-bit packet pointers in plain sight.
    Plain,
}

/// What an sk_buff has that `__sk_buff` does not show. Offsets count from the packet's first byte and may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkbState {
    pub mac: i32,
    pub network: i32,
    /// skb->ip_summed == CHECKSUM_COMPLETE never holds here; vlan acceleration does.
    pub vlan_proto: u16,
    pub vlan_tci: u16,
    pub vlan_present: bool,
}

/// The context of a run.
#[derive(Debug)]
pub struct Context {
    pub prog_type: ProgType,
    pub family: Family,
    /// `None`: an array of 8-byte arguments, or bytes without named fields; then everything in it may be read.
    layout: Option<Layout>,
    block: Block,
    size: u32,
    writable: bool,
    pub packet: Option<Packet>,
    pub skb: SkbState,
    /// The packet's kernel object, where the program sees that instead of `__sk_buff`.
    pub skb_object: Option<u64>,
    /// Memory that fields point to: (block, kind, writable).
    pub attached: Vec<(Block, Kind, bool)>,
}

impl Context {
    /// A zeroed context of `size` bytes. `None` when memory is out.
    pub fn new(prog_type: ProgType, family: Family, layout: Option<Layout>, size: u32, writable: bool) -> Option<Self> {
        let block = Block::zeroed(size.max(HIDDEN) as usize + 32)?;
        Some(Self {
            prog_type,
            family,
            layout,
            block,
            size,
            writable,
            packet: None,
            skb: SkbState::default(),
            skb_object: None,
            attached: Vec::new(),
        })
    }

    /// What r1 holds at the start.
    pub fn addr(&self) -> u64 {
        self.block.addr()
    }

    pub fn size(&self) -> u32 {
        self.size
    }

    pub fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// The struct's bytes (pointer fields excluded: they are hidden or real addresses).
    pub fn bytes(&self) -> Vec<u8> {
        self.block.bytes(0, self.size as usize).to_vec()
    }

    /// The struct's bytes with every field zeroed that holds a pointer, so that two runs can be compared.
    pub fn plain_bytes(&self) -> Vec<u8> {
        let mut bytes = self.bytes();
        let Some(layout) = self.layout else { return bytes };
        for field in layout.fields().filter(|f| f.access.reg != CtxReg::Scalar) {
            if let Some(range) = bytes.get_mut(field.off as usize..(field.off + field.width) as usize) {
                range.fill(0);
            }
        }
        bytes
    }

    pub fn set_bytes(&self, off: u32, data: &[u8]) {
        if u64::from(off) + data.len() as u64 <= u64::from(self.size) {
            self.block.write(off as usize, data);
        }
    }

    /// Bytes of the memory that an 8-byte pointer field at `off` leads to (flow keys).
    pub fn pointee(&self, off: u32) -> Option<Vec<u8>> {
        let addr = self.block.u64(off as usize);
        self.attached.iter().find(|(b, ..)| b.addr() == addr).map(|(b, ..)| b.bytes(0, b.len()).to_vec())
    }

    pub fn u32_at(&self, off: u32) -> u32 {
        self.block.u32(off as usize)
    }

    pub fn u64_at(&self, off: u32) -> u64 {
        self.block.u64(off as usize)
    }

    pub fn set_u32(&self, off: u32, value: u32) {
        self.set_bytes(off, &value.to_le_bytes());
    }

    /// Where the real pointer of a 4-byte packet pointer field lies: its offset from the context. The lowering of context loads for engines that
    /// know that an access is one.
    pub fn pointer_field(family: Family, off: u32) -> Option<u32> {
        Some(match (family, off) {
            (Family::Xdp, 0) | (Family::Skb, 76) => HIDDEN,
            (Family::Xdp, 4) | (Family::Skb, 80) => HIDDEN + 8,
            (Family::Xdp, 8) | (Family::Skb, 140) => HIDDEN + 16,
            _ => return None,
        })
    }

    /// Where a load of `size` bytes at `off` reads. A field of 4 bytes may have fewer behind it in the kernel; a load of a part of it that is
    /// not narrower than those reads them, wherever in the field the part lies. (Measured; see `context_fields` of the fuzz crate.)
    pub fn place(prog_type: ProgType, off: u32, size: u32) -> u32 {
        let field = off & !3;
        let kept = match (prog_type, field) {
            (ProgType::SkLookup, 8 | 12 | 60) => 2,
            (ProgType::SkLookup, _) => 4,
            _ if Self::family_of(prog_type) != Family::Skb => 4,
            // pkt_type
            (_, 4) => 1,
            // queue_mapping, protocol, vlan_tci, vlan_proto, tc_index, tc_classid, family, ports, gso_segs, gso_size
            (_, 12 | 16 | 24 | 28 | 44 | 72 | 88 | 132 | 136 | 164 | 176) => 2,
            _ => 4,
        };
        if (kept..4).contains(&size) { field } else { off }
    }

    /// The family of a program type's contexts.
    pub fn family_of(prog_type: ProgType) -> Family {
        use ProgType::*;
        match prog_type {
            Xdp => Family::Xdp,
            SocketFilter | SchedCls | SchedAct | CgroupSkb | LwtIn | LwtOut | LwtXmit | LwtSeg6local | SkSkb
            | FlowDissector => Family::Skb,
            _ => Family::Plain,
        }
    }

    fn allowed(&self, off: u32, size: u8, kind: AccessKind) -> bool {
        match self.layout {
            Some(layout) => layout.access(Caps::ALL, off as i32, u32::from(size), kind).is_some(),
            None => off + u32::from(size) <= self.size && (kind != AccessKind::Write || self.writable),
        }
    }

    /// A program's load. `None`: not a field that this program may read.
    pub fn load(&self, off: u32, size: u8) -> Option<u64> {
        if !self.allowed(off, size, AccessKind::Read) {
            return None;
        }
        if size == 4
            && let Some(hidden) = Self::pointer_field(self.family, off)
        {
            return Some(self.block.u64(hidden as usize));
        }
        // SAFETY: `allowed` keeps `off + size` within the struct (a 4-byte load of a port may reach 2 bytes past its field), which the block holds.
        Some(unsafe {
            memory::load(self.block.addr() + u64::from(Self::place(self.prog_type, off, size.into())), size)
        })
    }

    /// A program's store. False: not a field that this program may write.
    pub fn store(&self, off: u32, size: u8, value: u64) -> bool {
        if !self.allowed(off, size, AccessKind::Write) {
            return false;
        }
        let value = match (self.family, off) {
            // A queue number that does not fit is not stored at all; the other two are 16 bits wide.
            (Family::Skb, 12) if value as u32 >= 0xffff => return true,
            (Family::Skb, 12 | 44 | 72) => value & 0xffff,
            _ => value,
        };
        // SAFETY: as in `load`.
        unsafe { memory::store(self.block.addr() + u64::from(off), size, value) }
        true
    }

    /// Whether programs of this type may write to the packet directly.
    fn packet_writable(&self) -> bool {
        spec::prog::packet_rules(self.prog_type).write
    }

    fn packet_region(&self) -> Option<Region> {
        let p = self.packet.as_ref()?;
        let region = Region::new(Kind::Packet, p.address(p.meta), (p.end - p.meta) as u64);
        Some(if self.packet_writable() { region } else { region.read_only() })
    }

    /// Registers all memory of the context.
    pub fn regions(&self, regions: &mut Regions) {
        regions.insert(Region::new(Kind::Ctx, self.block.addr(), u64::from(self.size)));
        for (block, kind, writable) in &self.attached {
            let region = Region::new(*kind, block.addr(), block.len() as u64);
            regions.insert(if *writable { region } else { region.read_only() });
        }
        if let Some(region) = self.packet_region() {
            regions.insert(region);
        }
        self.publish_packet();
    }

    /// Changes the packet, then tells the new place to the region table and to the context's pointer and length fields.
    pub fn change_packet<T>(&mut self, regions: &mut Regions, change: impl FnOnce(&mut Packet) -> T) -> Option<T> {
        let old = self.packet_region()?;
        let result = change(self.packet.as_mut()?);
        regions.remove(old.start);
        if let Some(region) = self.packet_region() {
            regions.insert(region);
        }
        self.publish_packet();
        Some(result)
    }

    fn publish_packet(&self) {
        let Some(p) = &self.packet else { return };
        let places = [p.data, p.end, p.meta].map(|off| p.address(off));
        for (i, addr) in places.iter().enumerate() {
            self.block.write(HIDDEN as usize + i * 8, &addr.to_le_bytes());
        }
        if self.family == Family::Skb {
            self.set_u32(0, p.len() as u32);
        }
    }
}
