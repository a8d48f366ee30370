//! Following references: sizes, qualifiers, tags. All walks are bounded, so cyclic BTF ends in `None`.

use crate::Btf;
use crate::types::{Kind, Member, Type};

/// Longest chain of references followed, as in libbpf.
pub const MAX_DEPTH: usize = 32;
const POINTER_SIZE: u32 = 8;

impl Btf {
    /// Follows references while `through` says so.
    fn skip(&self, mut id: u32, through: impl Fn(Kind) -> bool) -> Option<u32> {
        // A chain longer than this does not come out of a compiler; a cycle is longer than anything.
        for _ in 0..64 {
            let ty = self.ty(id)?;
            if !through(ty.kind()) {
                return Some(id);
            }
            id = ty.size_or_type;
        }
        None
    }

    /// The type behind `const`, `volatile`, `restrict` and type tags. `None` for bad ids and cycles.
    pub fn skip_mods(&self, id: u32) -> Option<u32> {
        self.skip(id, Kind::is_modifier)
    }

    /// The type behind qualifiers and typedefs.
    pub fn skip_mods_and_typedefs(&self, id: u32) -> Option<u32> {
        self.skip(id, |k| k.is_modifier() || k == Kind::Typedef)
    }

    /// As [`Self::skip_mods_and_typedefs`], with the type.
    pub fn resolve(&self, id: u32) -> Option<(u32, &Type)> {
        let id = self.skip_mods_and_typedefs(id)?;
        Some((id, self.ty(id)?))
    }

    /// Size in bytes of a value of this type; pointers have 8. `None` for what has no size (void, functions, forward
    /// declarations) and when it does not fit.
    pub fn resolve_size(&self, id: u32) -> Option<u32> {
        let mut id = id;
        let mut elems: u32 = 1;
        for _ in 0..MAX_DEPTH {
            let ty = self.ty(id)?;
            let size = match ty.kind() {
                Kind::Ptr => POINTER_SIZE,
                Kind::Array => {
                    let array = self.array(id)?;
                    elems = elems.checked_mul(array.nelems)?;
                    id = array.elem;
                    continue;
                }
                Kind::Typedef | Kind::Var | Kind::DeclTag => {
                    id = ty.size_or_type;
                    continue;
                }
                kind if kind.is_modifier() => {
                    id = ty.size_or_type;
                    continue;
                }
                _ => ty.size()?,
            };
            return size.checked_mul(elems);
        }
        None
    }

    /// Alignment in bytes as C has it, from the types alone.
    pub fn align_of(&self, id: u32) -> Option<u32> {
        self.align_at(id, 0, &mut (1 << 16))
    }

    fn align_at(&self, id: u32, depth: usize, budget: &mut u32) -> Option<u32> {
        *budget = budget.checked_sub(1)?;
        if depth >= MAX_DEPTH {
            return None;
        }
        let (id, ty) = self.resolve(id)?;
        match ty.kind() {
            Kind::Ptr => Some(POINTER_SIZE),
            Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Float => Some(ty.size_or_type.min(POINTER_SIZE)),
            Kind::Array => self.align_at(self.array(id)?.elem, depth + 1, budget),
            Kind::Var => self.align_at(ty.size_or_type, depth + 1, budget),
            Kind::Struct | Kind::Union => {
                let mut align = 1;
                for m in self.members(id) {
                    let a = self.align_at(m.type_id, depth + 1, budget)?;
                    align = align.max(a);
                    if m.bitfield_size == 0 && (a == 0 || !m.bit_offset.is_multiple_of(8 * a)) {
                        return Some(1);
                    }
                }
                if !ty.size_or_type.is_multiple_of(align.max(1)) { Some(1) } else { Some(align) }
            }
            _ => None,
        }
    }

    /// The member of a struct or union by name, directly or inside anonymous members; its offset is from the outer start.
    pub fn find_member(&self, id: u32, name: &str) -> Option<Member> {
        let mut budget = 1 << 16;
        self.find_member_at(id, name, 0, 0, &mut budget)
    }

    fn find_member_at(&self, id: u32, name: &str, base_bits: u32, depth: usize, budget: &mut u32) -> Option<Member> {
        let (id, ty) = self.resolve(id)?;
        if !ty.kind().is_struct_or_union() || depth > MAX_DEPTH {
            return None;
        }
        for mut m in self.members(id) {
            *budget = budget.checked_sub(1)?;
            m.bit_offset = m.bit_offset.checked_add(base_bits)?;
            let member = self.string(m.name_off);
            if member == name {
                return Some(m);
            }
            if member.is_empty()
                && let Some(found) = self.find_member_at(m.type_id, name, m.bit_offset, depth + 1, budget)
            {
                return Some(found);
            }
        }
        None
    }

    /// Whether a type tag of this value is among the qualifiers and typedefs in front of the type.
    pub fn has_type_tag(&self, mut id: u32, value: &str) -> bool {
        for _ in 0..MAX_DEPTH {
            let Some(ty) = self.ty(id) else { return false };
            match ty.kind() {
                Kind::TypeTag if self.string(ty.name_off) == value => return true,
                kind if kind.is_modifier() || kind == Kind::Typedef => id = ty.size_or_type,
                _ => return false,
            }
        }
        false
    }
}
