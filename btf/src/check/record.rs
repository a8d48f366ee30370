//! Each record by itself: flags, names, sizes, ids in range.

use super::{ENOTSUPP, MAX_TYPES, Problem, invalid};
use crate::{Btf, Kind, Type, VarLinkage};

/// Names are shorter than this.
const MAX_NAME: usize = 512;
const MAX_INT_BITS: u32 = 128;

type Check = Result<(), Problem>;

fn ensure(holds: bool, message: &str) -> Check {
    if holds { Ok(()) } else { Err(invalid(message)) }
}

pub(super) fn is_identifier(name: &str) -> bool {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'.';
    let bytes = name.as_bytes();
    bytes.len() < MAX_NAME
        && bytes.first().is_some_and(|&b| first(b))
        && bytes.iter().all(|&b| first(b) || b.is_ascii_digit())
}

struct Record<'a> {
    btf: &'a Btf,
    id: u32,
    ty: Type,
}

pub(super) fn check(btf: &Btf, id: u32) -> Check {
    let Some(&ty) = btf.ty(id) else { return Ok(()) };
    ensure(ty.info & !0x9f00_ffff == 0, "Invalid btf_info")?;
    ensure(btf.has_string(ty.name_off), "Invalid name_offset")?;
    let r = Record { btf, id, ty };
    match ty.kind() {
        Kind::Int => r.int(),
        Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::Typedef | Kind::TypeTag => r.reference(),
        Kind::Fwd => {
            r.no_entries()?;
            ensure(ty.size_or_type == 0, "type != 0")?;
            r.identifier()
        }
        Kind::Array => r.array(),
        Kind::Struct | Kind::Union => r.members(),
        Kind::Enum | Kind::Enum64 => r.enumerators(),
        Kind::FuncProto => {
            ensure(ty.name_off == 0, "Invalid name")?;
            r.no_flag()
        }
        Kind::Func => {
            r.identifier()?;
            ensure(ty.vlen() <= 1, "Invalid func linkage")?;
            r.no_flag()
        }
        Kind::Var => {
            r.no_entries()?;
            r.no_flag()?;
            r.identifier()?;
            ensure(ty.size_or_type != 0 && ty.size_or_type <= MAX_TYPES, "Invalid type_id")?;
            let linkage = btf.var_linkage(id);
            ensure(matches!(linkage, Some(VarLinkage::Static | VarLinkage::Global)), "Linkage not supported")
        }
        Kind::Datasec => r.datasec(),
        Kind::Float => {
            r.no_entries()?;
            r.no_flag()?;
            ensure(matches!(ty.size_or_type, 2 | 4 | 8 | 12 | 16), "Invalid type_size")
        }
        Kind::DeclTag => {
            ensure(!btf.string(ty.name_off).is_empty(), "Invalid value")?;
            r.no_entries()?;
            let component = btf.decl_tag(id).map_or(-1, |t| t.component);
            ensure(component >= -1, "Invalid component_idx")
        }
        Kind::Void => Ok(()),
    }
}

impl Record<'_> {
    fn no_entries(&self) -> Check {
        ensure(self.ty.vlen() == 0, "vlen != 0")
    }

    fn no_flag(&self) -> Check {
        ensure(!self.ty.kflag(), "Invalid btf_info kind_flag")
    }

    fn name_fits(&self, off: u32) -> bool {
        is_identifier(self.btf.string(off))
    }

    fn identifier(&self) -> Check {
        ensure(self.ty.name_off != 0 && self.name_fits(self.ty.name_off), "Invalid name")
    }

    fn identifier_or_none(&self) -> Check {
        ensure(self.ty.name_off == 0 || self.name_fits(self.ty.name_off), "Invalid name")
    }

    fn int(&self) -> Check {
        self.no_entries()?;
        self.no_flag()?;
        let data = self.btf.int_word(self.id).unwrap_or(0);
        ensure(data & !0x0fff_ffff == 0, "Invalid int_data")?;
        let bits = (data & 0xff) + (data >> 16 & 0xff);
        ensure(bits <= MAX_INT_BITS, "nr_bits exceeds 128")?;
        ensure(bits.div_ceil(8) <= self.ty.size_or_type, "nr_bits exceeds type_size")?;
        match data >> 24 {
            0 | 1 | 2 | 4 => Ok(()),
            _ => Err((ENOTSUPP, "Unsupported encoding".into())),
        }
    }

    fn reference(&self) -> Check {
        let kind = self.ty.kind();
        self.no_entries()?;
        ensure(kind == Kind::TypeTag || !self.ty.kflag(), "Invalid btf_info kind_flag")?;
        ensure(self.ty.size_or_type <= MAX_TYPES, "Invalid type_id")?;
        match kind {
            Kind::Typedef => self.identifier(),
            Kind::TypeTag => ensure(!self.btf.string(self.ty.name_off).is_empty(), "Invalid name"),
            _ => ensure(self.ty.name_off == 0, "Invalid name"),
        }
    }

    fn array(&self) -> Check {
        ensure(self.ty.name_off == 0, "Invalid name")?;
        self.no_entries()?;
        self.no_flag()?;
        ensure(self.ty.size_or_type == 0, "size != 0")?;
        let in_range = |id: u32| id != 0 && id <= MAX_TYPES;
        let Some(array) = self.btf.array(self.id) else { return Ok(()) };
        ensure(in_range(array.elem), "Invalid elem")?;
        ensure(in_range(array.index), "Invalid index")
    }

    fn members(&self) -> Check {
        self.identifier_or_none()?;
        let union = self.ty.kind() == Kind::Union;
        let mut last = 0;
        for m in self.btf.members(self.id) {
            ensure(self.btf.has_string(m.name_off), "Invalid member name_offset")?;
            ensure(m.name_off == 0 || self.name_fits(m.name_off), "Invalid name")?;
            ensure(m.type_id != 0 && m.type_id <= MAX_TYPES, "Invalid type_id")?;
            ensure(!(union && m.bit_offset != 0) && last <= m.bit_offset, "Invalid member bits_offset")?;
            let exceeds = "Member bits_offset exceeds its struct size";
            ensure(m.bit_offset.div_ceil(8) <= self.ty.size_or_type, exceeds)?;
            last = m.bit_offset;
        }
        Ok(())
    }

    fn enumerators(&self) -> Check {
        ensure(matches!(self.ty.size_or_type, 1 | 2 | 4 | 8), "Unexpected size")?;
        self.identifier_or_none()?;
        for e in self.btf.enumerators(self.id) {
            ensure(self.btf.has_string(e.name_off), "Invalid name_offset")?;
            ensure(e.name_off != 0 && self.name_fits(e.name_off), "Invalid name")?;
        }
        Ok(())
    }

    fn datasec(&self) -> Check {
        let size = self.ty.size_or_type;
        ensure(size != 0, "size == 0")?;
        self.no_flag()?;
        let name = self.btf.string(self.ty.name_off);
        let printable = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        ensure(self.ty.name_off != 0 && printable && name.len() < MAX_NAME, "Invalid name")?;
        let (mut end, mut sum) = (0u64, 0u64);
        for var in self.btf.vars(self.id) {
            ensure(var.type_id != 0 && var.type_id <= MAX_TYPES, "Invalid type_id")?;
            ensure(u64::from(var.offset) >= end && var.offset < size, "Invalid offset")?;
            ensure(var.size != 0 && var.size <= size, "Invalid size")?;
            end = u64::from(var.offset) + u64::from(var.size);
            ensure(end <= u64::from(size), "Invalid offset+size")?;
            sum += u64::from(var.size);
        }
        ensure(sum <= u64::from(size), "Invalid btf_info size")
    }
}
