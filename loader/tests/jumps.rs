//! What `objects/jumps.bpf.c` asks of a loader: jump tables, static functions of any section, a target that is another program. Tables are
//! as libbpf 1.7 makes them, on kernels that have instruction arrays.

use loader::{Object, Options};
use program::{MapDef, Program, SlotInit};

const OBJECT: &[u8] = include_bytes!("objects/jumps.bpf.o");
const MAP_VALUE: u8 = 2;
const CALL: u8 = 0x85;
/// `gotox`.
const INDIRECT: u8 = 0x0d;

fn object() -> Object {
    loader::open(OBJECT, &Options { object_name: "jumps".into(), ..Options::default() }).unwrap()
}

fn link(name: &str) -> Result<Program, loader::Error> {
    let object = object();
    let index = object.programs.iter().position(|p| p.name == name).unwrap();
    object.program(index, None)
}

fn table(program: &Program) -> (&MapDef, Vec<u32>) {
    let tables: Vec<_> = program.maps.iter().filter(|m| m.map_type == 34).collect();
    assert_eq!(tables.len(), 1);
    let places = tables[0].slots.iter().enumerate().map(|(i, (slot, init))| match init {
        SlotInit::Insn(place) if *slot as usize == i => *place,
        other => panic!("slot {slot} is {other:?}"),
    });
    (tables[0], places.collect())
}

#[test]
fn jump_tables_become_frozen_instruction_arrays() {
    let program = link("first").unwrap();
    let (map, places) = table(&program);
    assert_eq!((map.name.as_str(), map.key_size, map.value_size, map.max_entries), (".jumptables", 4, 16, 5));
    assert!(map.frozen);
    assert_eq!(places, [8, 22, 15, 20, 10]);
    let load = program.insns.iter().position(|i| i.code == 0x18 && i.src == MAP_VALUE).unwrap();
    assert_eq!(program.maps[program.insns[load].imm as usize].map_type, 34);
    assert_eq!(program.insns[load + 1].imm, 0);
}

#[test]
fn places_are_counted_from_the_programs_start() {
    let program = link("second").unwrap();
    let (_, places) = table(&program);
    // The function with the switch stands behind the 8 slots of its caller, once, though it is called twice.
    assert_eq!(places, [8 + 7, 8 + 21, 8 + 14, 8 + 19, 8 + 9]);
    assert_eq!(program.insns.iter().filter(|i| i.code == INDIRECT).count(), 1);
}

#[test]
fn static_functions_of_any_section_can_be_called() {
    let object = object();
    assert!(object.programs.iter().all(|p| p.name != "helper"));
    let program = link("third").unwrap();
    let calls: Vec<i64> = program
        .insns
        .iter()
        .enumerate()
        .filter(|(_, i)| i.code == CALL && i.src == 1)
        .map(|(at, i)| at as i64 + 1 + i64::from(i.imm))
        .collect();
    assert_eq!(calls, [8, 8]);
    assert_eq!(program.insns.len(), 8 + 6);
    assert_eq!(program.func_info.rows().map(|r| r[0]).collect::<Vec<_>>(), [0, 8]);
}

#[test]
fn static_functions_are_programs_where_the_section_says_of_which_type() {
    let program = link("fourth").unwrap();
    assert_eq!((program.section.as_str(), program.prog_type), ("classifier/fourth", 3));
}

#[test]
fn a_target_that_is_a_program_is_asked_for_by_name() {
    let error = link("replaces").unwrap_err().to_string();
    assert!(error.contains("`function` is a function of another program"), "{error}");
}
