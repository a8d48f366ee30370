//! BTF as a kernel is given that lacks some of its kinds: each record that the kernel does not know becomes one that it does, of the same
//! length, so that ids stay what they are. What the kernel takes is `spec`'s.

use btf::{Btf, Editor, Error, Kind};
use spec::profile::Takes;

/// Words of a record's fixed part.
const NAME: usize = 0;
const INFO: usize = 1;
const SIZE: usize = 2;
const TRAILER: usize = 3;
/// An unsigned integer of eight bits, in the word that integers have.
const EIGHT_BITS: u32 = 8;

/// The BTF as the kernel gets it; `None` if that is the BTF as it is.
pub(crate) fn for_kernel(btf: &Btf, takes: Takes) -> Result<Option<Btf>, Error> {
    let mut edit = Editor::new(btf);
    let mut changed = false;
    let mut placeholder = None;
    for id in 1..btf.len() {
        let Some(ty) = btf.ty(id) else { continue };
        let vlen = ty.vlen() as u32;
        let as_kind = |kind: Kind, vlen: u32| (kind as u32) << 24 | vlen;
        match ty.kind() {
            Kind::Float if !takes.btf_float => {
                // The size stays: members of this type keep their place.
                edit.set_word(id, NAME, 0);
                edit.set_word(id, INFO, as_kind(Kind::Struct, 0));
            }
            Kind::DeclTag if !takes.btf_decl_tag => {
                edit.set_word(id, INFO, as_kind(Kind::Int, 0));
                edit.set_word(id, SIZE, 1);
                edit.set_word(id, TRAILER, EIGHT_BITS);
            }
            Kind::TypeTag if !takes.btf_type_tag => {
                edit.set_word(id, NAME, 0);
                edit.set_word(id, INFO, as_kind(Kind::Const, 0));
            }
            Kind::Enum if !takes.btf_enum64 && ty.kflag() => edit.set_word(id, INFO, as_kind(Kind::Enum, vlen)),
            Kind::Enum64 if !takes.btf_enum64 => {
                let member = match placeholder {
                    Some(id) => id,
                    None => {
                        let name = edit.add_string("enum64_placeholder");
                        *placeholder.insert(edit.add_type(name, Kind::Int, 0, 1, &[EIGHT_BITS]))
                    }
                };
                edit.set_word(id, INFO, as_kind(Kind::Union, vlen));
                for entry in 0..vlen as usize {
                    edit.set_word(id, TRAILER + entry * 3 + 1, member);
                    edit.set_word(id, TRAILER + entry * 3 + 2, 0);
                }
            }
            Kind::Datasec if !takes.btf_optional_sections && btf.string(ty.name_off).starts_with('?') => {
                let name = format!("_{}", &btf.string(ty.name_off)[1..]);
                let name = edit.add_string(&name);
                edit.set_word(id, NAME, name);
            }
            _ => continue,
        }
        changed = true;
    }
    if changed { edit.finish().map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::profile::Version;

    fn sample() -> Btf {
        let mut e = Editor::empty();
        let name = e.add_string("x");
        let int = e.add_type(name, Kind::Int, 0, 4, &[1 << 24 | 32]);
        let float = e.add_type(name, Kind::Float, 0, 8, &[]);
        e.add_type(name, Kind::DeclTag, 0, int, &[u32::MAX]);
        e.add_type(name, Kind::TypeTag, 0, int, &[]);
        let big = e.add_type(name, Kind::Enum64, 1, 8, &[name, 1, 2]);
        e.add_type(name, Kind::Struct, 2, 16, &[name, float, 0, name, big, 64]);
        let var = e.add_type(name, Kind::Var, 0, int, &[1]);
        let section = e.add_string("?.x");
        e.add_type(section, Kind::Datasec, 1, 4, &[var, 0, 4]);
        e.finish().expect("well formed")
    }

    fn kinds(of: &Btf) -> Vec<Kind> {
        (1..of.len()).filter_map(|id| of.kind(id)).collect()
    }

    #[test]
    fn a_kernel_gets_what_it_knows() {
        use Kind::*;
        let original = sample();
        let made = |v: &str| for_kernel(&original, Takes::of(Version::parse(v))).expect("no error");
        assert!(made("6.18.44").is_none());
        let old = made("5.10.262").expect("changed");
        assert_eq!(kinds(&old), [Int, Struct, Int, Const, Union, Struct, Var, Datasec, Int]);
        assert_eq!((old.ty(2).and_then(btf::Type::size), old.name(8)), (Some(8), "_.x"));
        assert_eq!(old.member(5, 0).map(|m| (m.type_id, m.bit_offset)), Some((9, 0)));
        let newer = made("6.1.192").expect("changed");
        assert_eq!(kinds(&newer), kinds(&original));
        assert_eq!(newer.name(8), "_.x");
    }
}
