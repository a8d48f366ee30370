//! Which field of a C struct an access hits, and whether two struct types match. Pure functions over BTF; registers and trust are in
//! `btf`.

use crate::reg::Flags;
use crate::reject::{R, Reject};
use btf::{Btf, Kind, Member};

/// Where a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hit {
    Scalar,
    /// A pointer to a struct, from this member.
    Pointer {
        id: u32,
        flags: Flags,
        member: String,
    },
    /// A pointer to anything else: memory that may be read but says nothing.
    Memory,
    /// The start of a nested struct.
    Nested(u32),
}

/// A walk through nested structs: remembers whether a union was crossed, where that makes a difference.
#[derive(Debug)]
pub struct Walk {
    minds_unions: bool,
    through_union: bool,
}

const POINTER_SIZE: u32 = 8;

fn anon(name: &str) -> String {
    if name.is_empty() { "(anon)".to_owned() } else { name.to_owned() }
}

/// An array (of arrays) taken apart: element type, element size, size of the whole.
fn flatten(btf: &Btf, id: u32) -> Option<(u32, u32, u32, bool)> {
    let (mut id, mut ty) = btf.resolve(id)?;
    let mut elems = 1u32;
    let mut is_array = false;
    for _ in 0..btf::MAX_DEPTH {
        if ty.kind() != Kind::Array {
            break;
        }
        let a = btf.array(id)?;
        elems = elems.checked_mul(a.nelems)?;
        (id, ty) = btf.resolve(a.elem)?;
        is_array = true;
    }
    let size = btf.resolve_size(id)?;
    Some((id, size, size.checked_mul(elems)?, is_array))
}

impl Walk {
    pub fn new(minds_unions: bool) -> Walk {
        Walk { minds_unions, through_union: false }
    }

    /// One struct and, when the access begins inside a member, the structs within. Ends at the start of a nested struct.
    pub fn step(&mut self, btf: &Btf, mut id: u32, mut off: u32, size: u32) -> R<Hit> {
        for _ in 0..64 {
            id = btf.skip_mods_and_typedefs(id).unwrap_or(0);
            let Some(ty) = btf.ty(id).filter(|t| t.kind().is_struct_or_union()) else {
                return Err(Reject::WalkNoStruct { name: btf.name(id).to_owned() });
            };
            self.through_union |= self.minds_unions && ty.kind() == Kind::Union && ty.vlen() != 1;
            let total = ty.size().unwrap_or(0);
            if off.wrapping_add(size) > total {
                match self.flexible(btf, id, off) {
                    Some(Flexible::Scalar) => return Ok(Hit::Scalar),
                    Some(Flexible::Struct(elem, at)) => {
                        (id, off) = (elem, at);
                        continue;
                    }
                    None => return Err(Reject::WalkBeyondStruct { name: anon(btf.name(id)), off, size }),
                }
            }
            match self.member_at(btf, id, off, size)? {
                At::Hit(hit) => return Ok(hit),
                At::Inside(inner, at) => (id, off) = (inner, at),
            }
        }
        Err(Reject::unsupported("BTF types nested too deeply"))
    }

    /// An access behind the end falls into the flexible array at the end.
    fn flexible(&self, btf: &Btf, id: u32, off: u32) -> Option<Flexible> {
        let last = btf.members(id).last()?;
        let (array, ty) = btf.resolve(last.type_id)?;
        let start = last.bit_offset / 8;
        let a = btf.array(array).filter(|a| ty.kind() == Kind::Array && a.nelems == 0 && off >= start)?;
        let (elem, ty) = btf.resolve(a.elem)?;
        match ty.kind() {
            Kind::Int => Some(Flexible::Scalar),
            k if k.is_struct_or_union() => {
                let size = ty.size().filter(|s| *s > 0)?;
                Some(Flexible::Struct(elem, (off - start) % size))
            }
            _ => None,
        }
    }

    fn member_at(&self, btf: &Btf, id: u32, off: u32, size: u32) -> R<At> {
        let no_field = || Reject::WalkNoField { name: anon(btf.name(id)), off };
        for m in btf.members(id) {
            let mut start = m.bit_offset / 8;
            let end = off.wrapping_add(size);
            if end <= start {
                return Err(no_field());
            }
            if m.bitfield_size != 0 {
                let last = (m.bit_offset + u32::from(m.bitfield_size)).div_ceil(8);
                if off <= start && last <= end {
                    return Ok(At::Hit(Hit::Scalar));
                }
                continue;
            }
            if off < start {
                return Err(no_field());
            }
            let Some((elem, elem_size, total, is_array)) = flatten(btf, m.type_id) else {
                return Err(Reject::WalkNoSize { member: anon(btf.string(m.name_off)) });
            };
            let true_end = start.saturating_add(total);
            if off >= true_end {
                continue;
            }
            if is_array {
                if elem_size == 0 {
                    continue;
                }
                start += (off - start) / elem_size * elem_size;
            }
            return self.in_member(btf, id, &m, Place { elem, start, true_end }, off, size);
        }
        Err(no_field())
    }

    fn in_member(&self, btf: &Btf, id: u32, m: &Member, at: Place, off: u32, size: u32) -> R<At> {
        let kind = btf.kind(at.elem).unwrap_or(Kind::Void);
        let name = || anon(btf.string(m.name_off));
        if kind.is_struct_or_union() {
            return Ok(match off == at.start {
                true => At::Hit(Hit::Nested(at.elem)),
                false => At::Inside(at.elem, off - at.start),
            });
        }
        if kind == Kind::Ptr {
            if off != at.start || size != POINTER_SIZE {
                return Err(Reject::WalkPartOfPointer {
                    member: name(),
                    start: at.start,
                    name: anon(btf.name(id)),
                    off,
                    size,
                });
            }
            return Ok(At::Hit(self.pointer(btf, at.elem, btf.string(m.name_off))));
        }
        if off.wrapping_add(size) > at.true_end && !self.through_union {
            return Err(Reject::WalkBeyondMember {
                member: name(),
                end: at.true_end,
                name: anon(btf.name(id)),
                off,
                size,
            });
        }
        Ok(At::Hit(Hit::Scalar))
    }

    fn pointer(&self, btf: &Btf, ptr: u32, member: &str) -> Hit {
        let target = btf.ty(ptr).and_then(|t| t.type_id()).unwrap_or(0);
        let mut flags = pointer_tag(btf, target);
        if self.through_union {
            flags = flags | Flags::UNTRUSTED;
        }
        match btf.resolve(target) {
            Some((id, ty)) if ty.kind().is_struct_or_union() => Hit::Pointer { id, flags, member: member.to_owned() },
            _ => Hit::Memory,
        }
    }
}

/// The flag of a type tag that stands directly behind a pointer.
pub fn pointer_tag(btf: &Btf, target: u32) -> Flags {
    let Some(ty) = btf.ty(target).filter(|t| t.kind() == Kind::TypeTag && !t.kflag()) else { return Flags::NONE };
    match btf.string(ty.name_off) {
        "user" => Flags::USER,
        "percpu" => Flags::PERCPU,
        "rcu" => Flags::RCU,
        _ => Flags::NONE,
    }
}

enum Flexible {
    Scalar,
    Struct(u32, u32),
}

enum At {
    Hit(Hit),
    Inside(u32, u32),
}

/// A member's element: its type, where it starts and where the whole member ends.
struct Place {
    elem: u32,
    start: u32,
    true_end: u32,
}

/// Walks until something other than a nested struct is hit.
pub fn access(btf: &Btf, id: u32, off: u32, size: u32, minds_unions: bool) -> R<Hit> {
    let mut walk = Walk::new(minds_unions);
    let (mut id, mut off) = (id, off);
    for _ in 0..64 {
        match walk.step(btf, id, off, size)? {
            Hit::Nested(inner) => (id, off) = (inner, 0),
            hit => return Ok(hit),
        }
    }
    Err(Reject::unsupported("BTF types nested too deeply"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct of the kernel, and where one of its members lies.
    fn member(btf: &Btf, name: &str, member: &str) -> (u32, u32) {
        let id = btf.find_by_name_kind(name, Kind::Struct).expect("kernel struct");
        (id, btf.find_member(id, member).expect("member").bit_offset / 8)
    }

    #[test]
    fn pointers_are_found_whole_or_not_at_all() {
        let profile = spec::Profile::default();
        let btf = profile.btf();
        let (task, off) = member(btf, "task_struct", "group_leader");
        let hit = access(btf, task, off, 8, true);
        assert!(
            matches!(hit, Ok(Hit::Pointer { id, flags: Flags::NONE, ref member }) if id == task && member == "group_leader")
        );
        assert!(matches!(access(btf, task, off, 4, true), Err(Reject::WalkPartOfPointer { size: 4, .. })));
        let (_, stack) = member(btf, "task_struct", "stack");
        assert_eq!(access(btf, task, stack, 8, true), Ok(Hit::Memory));
    }

    #[test]
    fn arrays_and_structs_end_where_they_end() {
        let profile = spec::Profile::default();
        let btf = profile.btf();
        let (task, comm) = member(btf, "task_struct", "comm");
        assert_eq!(access(btf, task, comm, 16, true), Ok(Hit::Scalar));
        assert!(matches!(access(btf, task, comm, 17, true), Err(Reject::WalkBeyondMember { .. })));
        let size = btf.resolve_size(task).expect("sized");
        assert!(matches!(access(btf, task, size, 1, true), Err(Reject::WalkBeyondStruct { .. })));
    }

    #[test]
    fn a_struct_begins_with_its_first_member() {
        let profile = spec::Profile::default();
        let btf = profile.btf();
        let id = |name| btf.find_by_name_kind(name, Kind::Struct).expect("kernel struct");
        assert_eq!(Walk::new(true).step(btf, id("sock"), 0, 1), Ok(Hit::Nested(id("sock_common"))));
    }

    #[test]
    fn a_union_lets_fields_be_crossed_where_unions_are_minded() {
        let profile = spec::Profile::default();
        let btf = profile.btf();
        let attr = btf.find_by_name_kind("bpf_attr", Kind::Union).expect("kernel union");
        assert_eq!(access(btf, attr, 0, 8, true), Ok(Hit::Scalar));
        assert!(matches!(access(btf, attr, 0, 8, false), Err(Reject::WalkBeyondMember { end: 4, .. })));
    }
}
