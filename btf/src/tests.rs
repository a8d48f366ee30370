//! Parsing, lookup and laws on hand-made and mutated blobs. CO-RE is tested in the loader, against libbpf.

use crate::{Btf, Editor, Error, Kind, VarLinkage, essential_name};
use proptest::prelude::*;
use std::sync::Arc;

/// int; struct s { int a; int b[4]; }; const s; ptr -> const s; typedef s_t; var v; datasec; decl tags.
fn sample() -> Btf {
    let mut e = Editor::empty();
    let n = e.add_string("int");
    let int = e.add_type(n, Kind::Int, 0, 4, &[1 << 24 | 32]);
    let array = e.add_type(0, Kind::Array, 0, 0, &[int, int, 4]);
    let (s, a, b) = (e.add_string("s___old"), e.add_string("a"), e.add_string("b"));
    let st = e.add_type(s, Kind::Struct, 2, 20, &[a, int, 0, b, array, 32]);
    let cst = e.add_type(0, Kind::Const, 0, st, &[]);
    e.add_type(0, Kind::Ptr, 0, cst, &[]);
    let t = e.add_string("s_t");
    let td = e.add_type(t, Kind::Typedef, 0, cst, &[]);
    let v = e.add_string("v");
    let var = e.add_type(v, Kind::Var, 0, td, &[1]);
    let d = e.add_string(".data");
    e.add_type(d, Kind::Datasec, 1, 20, &[var, 0, 20]);
    let tag = e.add_string("tagged");
    e.add_type(tag, Kind::DeclTag, 0, st, &[1]);
    e.add_type(tag, Kind::DeclTag, 0, st, &[u32::MAX]);
    e.finish().unwrap()
}

#[test]
fn reads_what_the_editor_wrote() {
    let btf = sample();
    assert_eq!(btf.len(), 11);
    let st = btf.find(Kind::Struct, "s___old").unwrap();
    assert_eq!(btf.find(Kind::Struct, "s"), None);
    assert_eq!(btf.own_with_essential_name("s").collect::<Vec<_>>(), [st]);
    let members: Vec<_> = btf.members(st).map(|m| (btf.string(m.name_off), m.bit_offset)).collect();
    assert_eq!(members, [("a", 0), ("b", 32)]);
    let td = btf.find(Kind::Typedef, "s_t").unwrap();
    assert_eq!(btf.resolve_size(td), Some(20));
    assert_eq!(btf.skip_mods_and_typedefs(td), Some(st));
    assert_eq!(btf.skip_mods(td), Some(td));
    assert_eq!(btf.var_linkage(7), Some(VarLinkage::Global));
    assert_eq!(btf.vars(8).next().map(|v| v.size), Some(20));
    assert_eq!(btf.resolve_size(5), Some(8));
    assert_eq!(btf.resolve_size(2), Some(16));
    assert_eq!(btf.align_of(st), Some(4));
    assert!(btf.has_decl_tag(st, 1, "tagged") && btf.has_decl_tag(st, -1, "tagged"));
    assert!(!btf.has_decl_tag(st, 0, "tagged") && !btf.has_decl_tag(1, -1, "tagged"));
    assert_eq!(Btf::parse(btf.raw()).unwrap(), btf);
    assert_eq!(Editor::new(&btf).to_bytes(), btf.raw());
}

#[test]
fn split_continues_its_base() {
    let base = Arc::new(sample());
    let mut e = Editor::empty();
    // Names of split BTF start behind the base's strings.
    e.add_string("own");
    let strs = base.string_section().len() as u32;
    e.add_type(strs + 1, Kind::Typedef, 0, 3, &[]);
    e.add_type(base.ty(1).unwrap().name_off, Kind::Typedef, 0, 11, &[]);
    let split = Btf::parse_split(&e.to_bytes(), base).unwrap();
    assert_eq!(split.len(), 13);
    assert_eq!(split.name(11), "own");
    assert_eq!(split.name(12), "int");
    assert_eq!(split.members(3).count(), 2);
    assert_eq!(split.resolve_size(12), Some(20));
    assert_eq!(split.find_by_name("int").collect::<Vec<_>>(), [1, 12]);
    assert_eq!(split.find(Kind::Typedef, "own"), Some(11));
    assert!(split.has_decl_tag(3, 1, "tagged"));
}

#[test]
fn cycles_end() {
    let mut e = Editor::empty();
    let n = e.add_string("t");
    e.add_type(n, Kind::Typedef, 0, 2, &[]);
    e.add_type(n, Kind::Typedef, 0, 1, &[]);
    e.add_type(0, Kind::Array, 0, 0, &[3, 3, 1]);
    e.add_type(0, Kind::Struct, 2, 8, &[0, 4, 0, 0, 4, 0]);
    let btf = e.finish().unwrap();
    assert_eq!(btf.skip_mods_and_typedefs(1), None);
    assert_eq!(btf.resolve_size(1), None);
    assert_eq!(btf.resolve_size(3), None);
    assert_eq!(btf.align_of(3), None);
    assert!(btf.find_member(4, "x").is_none());
}

#[test]
fn flavours_are_dropped() {
    for (name, want) in [
        ("task_struct___old", "task_struct"),
        ("a___b___c", "a___b"),
        ("___x", "___x"),
        ("a____b", "a____b"),
        ("a___", "a___"),
        ("", ""),
    ] {
        assert_eq!(essential_name(name), want);
    }
}

#[test]
fn header_errors_are_named() {
    let good = sample().raw().to_vec();
    let with = |at: usize, value: u8| {
        let mut b = good.clone();
        b[at] = value;
        Btf::parse(&b).unwrap_err()
    };
    assert_eq!(Btf::parse(&[]).unwrap_err(), Error::Truncated { len: 0, need: 24 });
    assert_eq!(with(0, 1), Error::Magic(0xeb01));
    assert_eq!(with(2, 9), Error::Version(9));
    assert!(matches!(with(15, 9), Error::Section { what: "type", .. }));
    let mut swapped = good.clone();
    swapped.swap(0, 1);
    assert_eq!(Btf::parse(&swapped).unwrap_err(), Error::BigEndian);
    assert_eq!(with(24 + 7, 31), Error::Kind { id: 1, off: 0, kind: 31 });
}

/// Touches everything reachable of every id.
fn walk(btf: &Btf) {
    for id in 0..btf.len() + 2 {
        let _ = (btf.name(id), btf.resolve_size(id), btf.align_of(id), btf.skip_mods(id), btf.resolve(id));
        let _ = (btf.array(id), btf.int(id), btf.var_linkage(id), btf.decl_tag(id), btf.func_proto(id));
        let _ = (btf.members(id).count(), btf.params(id).count(), btf.enumerators(id).count(), btf.vars(id).count());
        let _ = (btf.find_member(id, "a"), btf.has_type_tag(id, "a"), btf.has_decl_tag(id, -1, "a"));
    }
    let _ = btf.find(Kind::Struct, "s").is_some();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_blobs_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = sample().raw().to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(btf) = Btf::parse(&bytes) {
            walk(&btf);
        }
        let cut = cut.index(bytes.len());
        if let Ok(btf) = Btf::parse(&bytes[..cut]) {
            walk(&btf);
        }
        let _ = crate::ext::BtfExt::parse(&bytes).is_ok();
    }
}
