//! Load records: programs as they reached `bpf(BPF_PROG_LOAD)`, one JSON object a line. Objects are `object`'s matter.

use crate::Error;
use btf::Btf;
use isa::Insn;
use program::{InfoTable, MapDef, Program};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A record read.
#[derive(Clone, Debug)]
pub struct Record {
    pub id: Option<String>,
    /// The kernel BTF that type ids refer to, when the record names one.
    pub vmlinux: Option<Arc<Btf>>,
    pub program: Program,
    /// Capabilities of who loads, `None` = all.
    pub caps: Option<Vec<String>>,
    /// Why `program` is not all that the kernel was told; whoever judges it judges another program.
    pub incomplete: Option<String>,
}

/// Reads records whose file names are relative to a folder; each BTF file is parsed once.
#[derive(Debug, Default)]
pub struct Reader {
    base: PathBuf,
    btf: HashMap<PathBuf, Arc<Btf>>,
    /// The loader of the record being read lacks CAP_PERFMON.
    loader_unprivileged: bool,
}

#[derive(Deserialize)]
struct RawRecord {
    id: Option<serde_json::Value>,
    vmlinux: Option<String>,
    caps: Option<Vec<String>>,
    incomplete: Option<String>,
    /// Where the program came from, in recorded sets.
    prog: Option<String>,
    section: Option<String>,
    load: RawLoad,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct RawLoad {
    prog_name: String,
    prog_type: u32,
    expected_attach_type: u32,
    prog_flags: u32,
    license: String,
    kern_version: u32,
    attach_btf_id: u32,
    insn_cnt: Option<usize>,
    insns: String,
    raw_fd_insns: Vec<u32>,
    maps: Vec<RawMap>,
    btf: Option<String>,
    func_info: String,
    func_info_rec_size: u32,
    line_info: String,
    line_info_rec_size: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawMap {
    #[serde(rename = "type")]
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    map_extra: u64,
    numa_node: u32,
    name: String,
    btf: Option<String>,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
    btf_vmlinux_value_type_id: u32,
    frozen: bool,
    value0: Option<String>,
    /// Made by somebody without CAP_PERFMON; unless said, by whoever loads the program.
    unprivileged: Option<bool>,
    inner: Option<Box<RawMap>>,
}

fn bad(problem: impl Into<String>) -> Error {
    Error::Record(problem.into())
}

fn hex(what: &str, text: &str) -> Result<Vec<u8>, Error> {
    if !text.len().is_multiple_of(2) {
        return Err(bad(format!("{what}: odd number of hexadecimal digits")));
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks_exact(2).map(byte).collect();
    bytes.ok_or_else(|| bad(format!("{what}: not hexadecimal")))
}

/// Whether a line looks like a load record rather than an object or assembly text.
pub fn looks_like_record(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

/// Reads one record; see [`Reader`] for many.
pub fn parse_line(line: &str, base_dir: &Path) -> Result<Record, Error> {
    Reader::new(base_dir).parse_line(line)
}

impl Reader {
    pub fn new(base_dir: &Path) -> Self {
        Self { base: base_dir.to_owned(), ..Self::default() }
    }

    pub fn parse_line(&mut self, line: &str) -> Result<Record, Error> {
        let raw: RawRecord = serde_json::from_str(line).map_err(|e| bad(e.to_string()))?;
        let vmlinux = raw.vmlinux.as_deref().map(|path| self.vmlinux(path)).transpose()?;
        let id = raw.id.map(|id| match id {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        });
        let perfmon = |c: &String| matches!(c.to_ascii_lowercase().trim_start_matches("cap_"), "perfmon" | "sys_admin");
        self.loader_unprivileged = raw.caps.as_ref().is_some_and(|caps| !caps.iter().any(perfmon));
        let program = self.program(raw.load, raw.prog, raw.section)?;
        Ok(Record { id, vmlinux, program, caps: raw.caps, incomplete: raw.incomplete })
    }

    fn vmlinux(&mut self, path: &str) -> Result<Arc<Btf>, Error> {
        self.read(self.base.join(path))
    }

    /// Program BTF lies under `btf/` beside the records.
    fn own_btf(&mut self, name: &str) -> Result<Arc<Btf>, Error> {
        let under = self.base.join("btf").join(name);
        let path = if under.exists() { under } else { self.base.join(name) };
        self.read(path)
    }

    fn read(&mut self, path: PathBuf) -> Result<Arc<Btf>, Error> {
        if let Some(known) = self.btf.get(&path) {
            return Ok(Arc::clone(known));
        }
        let bytes = std::fs::read(&path).map_err(|e| bad(format!("{}: {e}", path.display())))?;
        let parsed = Btf::parse_vec(bytes, None).map_err(|e| bad(format!("{}: {e}", path.display())))?;
        let parsed = Arc::new(parsed);
        self.btf.insert(path, Arc::clone(&parsed));
        Ok(parsed)
    }

    fn program(&mut self, load: RawLoad, name: Option<String>, section: Option<String>) -> Result<Program, Error> {
        let bytes = hex("insns", &load.insns)?;
        let (slots, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(bad(format!("insns: {} bytes are no whole number of instructions", bytes.len())));
        }
        if load.insn_cnt.is_some_and(|count| count != slots.len()) {
            return Err(bad(format!("insn_cnt is {:?}, insns has {}", load.insn_cnt, slots.len())));
        }
        let table = |what, text: &str, rec_size| Ok(InfoTable { rec_size, bytes: hex(what, text)? });
        let func_info = table("func_info", &load.func_info, load.func_info_rec_size)?;
        let line_info = table("line_info", &load.line_info, load.line_info_rec_size)?;
        let maps = load.maps.into_iter().map(|m| self.map(m, 0).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Program {
            object_maps: Arc::default(),
            name: name.unwrap_or(load.prog_name),
            section: section.unwrap_or_default(),
            prog_type: load.prog_type,
            expected_attach_type: load.expected_attach_type,
            flags: load.prog_flags,
            license: load.license,
            kern_version: load.kern_version,
            attach_btf_id: load.attach_btf_id,
            attach_to: String::new(),
            insns: slots.iter().map(|b| Insn::from_bytes(*b)).collect(),
            raw_fd_insns: load.raw_fd_insns,
            maps,
            btf: load.btf.as_deref().map(|name| self.own_btf(name)).transpose()?,
            func_info,
            line_info,
        })
    }

    fn map(&mut self, raw: RawMap, depth: usize) -> Result<MapDef, Error> {
        if depth > 1 {
            return Err(bad("maps: an inner map has an inner map"));
        }
        Ok(MapDef {
            full_name: raw.name.clone(),
            name: raw.name,
            map_type: raw.map_type,
            key_size: raw.key_size,
            value_size: raw.value_size,
            max_entries: raw.max_entries,
            map_flags: raw.map_flags,
            map_extra: raw.map_extra,
            numa_node: raw.numa_node,
            btf: raw.btf.as_deref().map(|name| self.own_btf(name)).transpose()?,
            btf_key_type_id: raw.btf_key_type_id,
            btf_value_type_id: raw.btf_value_type_id,
            btf_vmlinux_value_type_id: raw.btf_vmlinux_value_type_id,
            frozen: raw.frozen,
            value0: raw.value0.as_deref().map(|text| hex("value0", text)).transpose()?,
            inner: raw.inner.map(|inner| self.map(*inner, depth + 1).map(Arc::new)).transpose()?,
            slots: Vec::new(),
            pin_by_name: false,
            unprivileged: raw.unprivileged.unwrap_or(self.loader_unprivileged),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_unprivileged(caps: &str, map: &str) -> bool {
        let line = format!(
            r#"{{"id":"1",{caps}"load":{{"prog_type":1,"license":"GPL","insns":"9500000000000000","maps":[{{"type":2{map}}}]}}}}"#
        );
        parse_line(&line, Path::new(".")).expect("a record").program.maps[0].unprivileged
    }

    #[test]
    fn maps_are_made_by_the_loader_unless_said() {
        assert!(!made_unprivileged("", ""));
        assert!(!made_unprivileged(r#""caps":["CAP_BPF","cap_perfmon"],"#, ""));
        assert!(made_unprivileged(r#""caps":["CAP_BPF"],"#, ""));
        assert!(!made_unprivileged(r#""caps":["bpf"],"#, r#","unprivileged":false"#));
        assert!(made_unprivileged("", r#","unprivileged":true"#));
    }
}
