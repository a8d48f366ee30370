//! A program as a load record: one line of JSON that `bpfverdict verify` and `fuzz --replay` read. Reading it back is `loader`'s.

use std::fmt::Write;

use program::{MapDef, Program};
use serde_json::{Map, Value, json};

/// The line, without a newline. BTF is named in it and goes beside it, see [`attachments`].
pub fn line(id: &str, program: &Program) -> String {
    let insns: String = program.insns.iter().flat_map(|i| i.to_bytes()).fold(String::new(), hex_byte);
    let maps: Vec<Value> = program.maps.iter().map(|m| map(m)).collect();
    let mut load = json!({
        "prog_name": program.name,
        "prog_type": program.prog_type,
        "expected_attach_type": program.expected_attach_type,
        "prog_flags": program.flags,
        "license": program.license,
        "kern_version": program.kern_version,
        "attach_btf_id": program.attach_btf_id,
        "insn_cnt": program.insns.len(),
        "insns": insns,
        "maps": maps,
    });
    if !program.raw_fd_insns.is_empty() {
        load["raw_fd_insns"] = json!(program.raw_fd_insns);
    }
    if let Some(b) = &program.btf {
        load["btf"] = json!(btf_name(b.raw()));
    }
    for (name, table) in [("func_info", &program.func_info), ("line_info", &program.line_info)] {
        if !table.bytes.is_empty() {
            load[name] = json!(table.bytes.iter().copied().fold(String::new(), hex_byte));
            load[format!("{name}_rec_size")] = json!(table.rec_size);
        }
    }
    json!({ "id": id, "load": load }).to_string()
}

/// Files that belong in the folder `btf/` beside the record.
pub fn attachments(program: &Program) -> Vec<(String, Vec<u8>)> {
    program.btf.iter().map(|b| (btf_name(b.raw()), b.raw().to_vec())).collect()
}

/// A name by content (FNV-1a), so that equal blobs are one file.
fn btf_name(bytes: &[u8]) -> String {
    let h = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    format!("{h:016x}.btf")
}

fn hex_byte(mut s: String, b: u8) -> String {
    // Writing to a String cannot fail.
    let _ = write!(s, "{b:02x}");
    s
}

fn map(m: &MapDef) -> Value {
    let mut out = Map::new();
    let mut put = |k: &str, v: Value| out.insert(k.to_owned(), v);
    put("type", json!(m.map_type));
    put("key_size", json!(m.key_size));
    put("value_size", json!(m.value_size));
    put("max_entries", json!(m.max_entries));
    put("map_flags", json!(m.map_flags));
    put("map_extra", json!(m.map_extra));
    put("name", json!(m.name));
    if m.frozen {
        put("frozen", json!(true));
    }
    if let Some(v) = &m.value0 {
        put("value0", json!(v.iter().copied().fold(String::new(), hex_byte)));
    }
    if let Some(i) = &m.inner {
        put("inner", map(i));
    }
    Value::Object(out)
}
