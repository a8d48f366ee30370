//! `run --init`: a commented input for a program, out of its type, its maps and the BTF of both sides. Text for a person to fill in; that
//! it is read back by `scenario` is what the tests hold it to.

use std::fmt::Write;

use btf::{Btf, Kind};
use program::{MapDef, Program};
use spec::{MapType, Profile, ProgContext, ProgType};

/// How deep structures are written out.
const MAX_DEPTH: u32 = 4;
/// More items than this are one `zero:N`.
const MAX_ITEMS: u32 = 16;

/// The text of an input for one of these programs.
pub fn write(programs: &[Program], chosen: &Program, profile: &Profile) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = template(&mut out, programs, chosen, profile);
    out
}

fn template(out: &mut String, programs: &[Program], chosen: &Program, profile: &Profile) -> std::fmt::Result {
    writeln!(
        out,
        "# Input for `{}`. Bytes are written as items: u8: u16: u32: u64: and i8: ... (little-endian), be16: be32:",
        chosen.name
    )?;
    writeln!(out, "# be64:, ip:10.0.0.1, ip6:, mac:, text:abc, text16:abc (padded), zero:12, or plain hex digits.")?;
    writeln!(out)?;
    if programs.len() > 1 {
        writeln!(out, "program = {:?}", chosen.name)?;
    }
    let prog_type = ProgType::from_raw(chosen.prog_type);
    if kernel_diff::shape::of(chosen.prog_type).is_some_and(|s| s.data) {
        writeln!(
            out,
            "# The packet, from the Ethernet header on: layers, items, or a file of packets instead of this one (pcap)."
        )?;
        writeln!(out, "packet = \"eth/ip(src=10.0.0.1,dst=10.0.0.2)/udp(sport=40000,dport=53)/zero:22\"")?;
    }
    if let Some(ty) = prog_type {
        arguments(out, chosen, ty, profile)?;
    }
    writeln!(
        out,
        "\n# What must come of it makes this a test: a value, bytes, elements of maps and records of ring buffers."
    )?;
    writeln!(out, "# returns = 0")?;
    writeln!(out, "\n# The task and the clock that helpers report.")?;
    writeln!(out, "# task = {{ pid = 1000, tgid = 1000, uid = 0, gid = 0, comm = \"bash\" }}")?;
    writeln!(out, "# time_ns = 1000000000")?;
    // Tables come last: what stands behind their heads is theirs.
    if prog_type == Some(ProgType::Kprobe) {
        registers(out, chosen, profile)?;
    }
    if let Some(ty) = prog_type {
        context(out, chosen, ty)?;
    }
    for map in &chosen.maps {
        one_map(out, map)?;
    }
    Ok(())
}

/// The registers of a probed function, by its prototype in the kernel's BTF.
fn registers(out: &mut String, program: &Program, profile: &Profile) -> std::fmt::Result {
    let kernel = profile.btf();
    let function = program.attach_to.split(['+', ':']).next().unwrap_or_default();
    let params = kernel.find(Kind::Func, function).and_then(|f| params(kernel, f)).unwrap_or_default();
    writeln!(out, "\n# Registers of the probed function: arguments in di, si, dx, cx, r8, r9; its result in ax.")?;
    writeln!(out, "[regs]")?;
    for (register, (name, type_id)) in ["di", "si", "dx", "cx", "r8", "r9"].iter().zip(&params) {
        writeln!(out, "{register} = {}  # {name}: {}", value_of(kernel, *type_id), spelled(kernel, *type_id))?;
    }
    if params.is_empty() {
        writeln!(out, "# di = 0")?;
    }
    Ok(())
}

/// Arguments or a record, by what the program attaches to.
fn arguments(out: &mut String, program: &Program, ty: ProgType, profile: &Profile) -> std::fmt::Result {
    let kernel = profile.btf();
    match ty {
        ProgType::Tracepoint => {
            let event = program.attach_to.rsplit('/').next().unwrap_or_default();
            let found = kernel.find(Kind::Struct, &format!("trace_event_raw_{event}"));
            let syscall = event.strip_prefix("sys_enter_").map(|_| "trace_event_raw_sys_enter");
            let syscall = syscall.or(event.strip_prefix("sys_exit_").map(|_| "trace_event_raw_sys_exit"));
            let found = found.or_else(|| kernel.find(Kind::Struct, syscall?));
            match found {
                Some(record) => {
                    writeln!(
                        out,
                        "# The record of {}, field after field (struct {}):",
                        program.attach_to,
                        kernel.name(record)
                    )?;
                    typed(out, "record", kernel, record, "")
                }
                None => {
                    writeln!(
                        out,
                        "# The record of {}, as its `format` file in tracefs lays it out.",
                        program.attach_to
                    )?;
                    writeln!(out, "record = \"zero:64\"")
                }
            }
        }
        ProgType::Syscall => {
            writeln!(out, "# The memory that the program is given.")?;
            writeln!(out, "record = \"zero:64\"")
        }
        ProgType::RawTracepoint | ProgType::Tracing | ProgType::Lsm => {
            let params = traced(program, kernel);
            writeln!(
                out,
                "# Arguments of {}, in order; objects are laid out by the kernel's BTF, what is not named is zero.",
                program.attach_to
            )?;
            writeln!(out, "args = [")?;
            for (name, type_id) in &params {
                writeln!(out, "    {},  # {name}: {}", value_of(kernel, *type_id), spelled(kernel, *type_id))?;
            }
            if params.is_empty() {
                writeln!(out, "    0,")?;
            }
            writeln!(out, "]")
        }
        _ => Ok(()),
    }
}

/// Parameters of what a program of BTF attaches to.
fn traced(program: &Program, kernel: &Btf) -> Vec<(String, u32)> {
    let id = program.attach_btf_id;
    match kernel.kind(id) {
        Some(Kind::Func) => params(kernel, id).unwrap_or_default(),
        // A tracepoint's typedef of a pointer to its prototype, whose first parameter is the tracer's own.
        Some(Kind::Typedef) => tracepoint(kernel, id),
        _ => kernel
            .find(Kind::Typedef, &format!("btf_trace_{}", program.attach_to))
            .map_or_else(Vec::new, |t| tracepoint(kernel, t)),
    }
}

fn tracepoint(kernel: &Btf, typedef: u32) -> Vec<(String, u32)> {
    let proto = kernel.skip_mods_and_typedefs(typedef).and_then(|pointer| kernel.ty(pointer)?.type_id());
    let params = proto.map_or_else(Vec::new, |p| named(kernel, p));
    params.into_iter().skip(1).collect()
}

fn params(btf: &Btf, func: u32) -> Option<Vec<(String, u32)>> {
    Some(named(btf, btf.func_proto(func)?))
}

fn named(btf: &Btf, proto: u32) -> Vec<(String, u32)> {
    let name = |(n, off)| match btf.string(off) {
        "" => format!("argument {}", n + 1),
        name => name.to_owned(),
    };
    btf.params(proto).enumerate().map(|(n, p)| (name((n, p.name_off)), p.type_id)).collect()
}

/// An argument that a person can start from.
fn value_of(btf: &Btf, type_id: u32) -> String {
    let Some((_, ty)) = btf.resolve(type_id) else { return "0".to_owned() };
    let target = match ty.kind() {
        Kind::Ptr => ty.type_id().and_then(|t| btf.resolve(t)),
        _ => return "0".to_owned(),
    };
    match target {
        Some((id, t)) if matches!(t.kind(), Kind::Struct | Kind::Union) && !btf.name(id).is_empty() => {
            format!("{{ struct = {:?}, fields = {{}} }}", btf.name(id))
        }
        Some((id, t)) if t.kind() == Kind::Int && btf.int(id).is_some_and(|i| i.bits == 8) => "\"text\"".to_owned(),
        _ => "0".to_owned(),
    }
}

/// A type as C spells it, roughly: for a comment.
fn spelled(btf: &Btf, type_id: u32) -> String {
    let Some(ty) = btf.ty(type_id).filter(|_| type_id != 0) else { return "void".to_owned() };
    let name = btf.name(type_id);
    let inner = || spelled(btf, ty.type_id().unwrap_or(0));
    match ty.kind() {
        Kind::Ptr => format!("{} *", inner()),
        Kind::Const => format!("const {}", inner()),
        Kind::Struct => format!("struct {name}"),
        Kind::Union => format!("union {name}"),
        Kind::Enum | Kind::Enum64 => format!("enum {name}"),
        Kind::Array => {
            btf.array(type_id).map_or_else(String::new, |a| format!("{}[{}]", spelled(btf, a.elem), a.nelems))
        }
        _ if name.is_empty() => inner(),
        _ => name.to_owned(),
    }
}

/// The fields of the context structure, all commented out: they are zero.
fn context(out: &mut String, program: &Program, ty: ProgType) -> std::fmt::Result {
    let of = ProgContext { attach_type: program.expected_attach_type, ..ProgContext::of(ty) };
    let Some(layout) = spec::ctx::layout(&of) else { return Ok(()) };
    let fields: Vec<_> = layout.fields().filter(|f| !matches!(f.name, "data" | "data_end" | "data_meta")).collect();
    if fields.is_empty() || matches!(ty, ProgType::Kprobe | ProgType::Tracepoint) {
        return Ok(());
    }
    writeln!(out, "\n# Fields of struct {} that are not zero.\n[ctx]", layout.struct_name)?;
    for field in fields {
        let name = field.name.split('/').next().unwrap_or_default();
        if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            writeln!(out, "# {name} = 0  # {} bytes", field.width)?;
        }
    }
    Ok(())
}

fn one_map(out: &mut String, map: &MapDef) -> std::fmt::Result {
    let name = if map.full_name.is_empty() { &map.name } else { &map.full_name };
    let internal = [".rodata", ".kconfig", ".data", ".bss"].iter().any(|s| name.contains(s));
    if name.is_empty() || internal {
        return Ok(());
    }
    let kind = MapType::from_raw(map.map_type).map_or("unknown", |t| t.name());
    let (what, sizes) = (format!("\n# {name}: {kind}"), map.key_size != 0 || map.value_size != 0);
    match MapType::from_raw(map.map_type) {
        Some(MapType::Ringbuf) => {
            return writeln!(
                out,
                "{what}. Records that must come out of it:\n# [[events]]\n# map = {name:?}\n# data = \"\""
            );
        }
        Some(MapType::PerfEventArray) => {
            return writeln!(
                out,
                "{what}. Without a reader nothing comes out of it.\n# [[maps]]\n# map = {name:?}\n# readers = true"
            );
        }
        _ if !sizes => return writeln!(out, "{what}"),
        _ => {}
    }
    writeln!(
        out,
        "{what}, {} bytes by {} bytes. An element before the run; `[[after]]` is what must be there behind it.",
        map.key_size, map.value_size
    )?;
    writeln!(out, "# [[maps]]\n# map = {name:?}")?;
    for (what, id, size) in
        [("key", map.btf_key_type_id, map.key_size), ("value", map.btf_value_type_id, map.value_size)]
    {
        match map.btf.as_deref().filter(|b| id != 0 && b.resolve_size(id) == Some(size)) {
            Some(btf) => typed(out, what, btf, id, "# ")?,
            None => writeln!(out, "# {what} = \"zero:{size}\"")?,
        }
    }
    Ok(())
}

/// `name = "items"` for a type, a member a line where there are several; before each line stands `mark`.
fn typed(out: &mut String, name: &str, btf: &Btf, type_id: u32, mark: &str) -> std::fmt::Result {
    let mut items = Vec::new();
    let size = btf.resolve_size(type_id).unwrap_or(0);
    lay_out(btf, type_id, "", 0, &mut items);
    let laid: u32 = items.iter().map(|i| i.size).sum();
    if laid != size {
        items = vec![Item { text: format!("zero:{size}"), label: spelled(btf, type_id), size }];
    }
    if let [one] = items.as_slice() {
        return writeln!(
            out,
            "{mark}{name} = {:?}  # {}",
            one.text,
            if one.label.is_empty() { spelled(btf, type_id) } else { one.label.clone() }
        );
    }
    for item in items.iter().filter(|i| !i.label.is_empty()) {
        writeln!(out, "{mark}#   {}  is {}", item.text, item.label)?;
    }
    let text: Vec<&str> = items.iter().map(|i| i.text.as_str()).collect();
    writeln!(out, "{mark}{name} = {:?}", text.join(" "))
}

struct Item {
    text: String,
    label: String,
    size: u32,
}

/// The items of a type, padding included, one after the other.
fn lay_out(btf: &Btf, type_id: u32, label: &str, depth: u32, items: &mut Vec<Item>) {
    let Some((id, ty)) = btf.resolve(type_id) else { return };
    let size = btf.resolve_size(id).unwrap_or(0);
    let mut zero = |size: u32, label: &str| {
        if size != 0 {
            items.push(Item { text: format!("zero:{size}"), label: label.to_owned(), size });
        }
    };
    match ty.kind() {
        Kind::Int => {
            let signed = btf.int(id).is_some_and(|i| i.signed);
            match size {
                1 | 2 | 4 | 8 => {
                    let text = format!("{}{}:0", if signed { 'i' } else { 'u' }, size * 8);
                    items.push(Item { text, label: label.to_owned(), size });
                }
                _ => zero(size, label),
            }
        }
        Kind::Enum | Kind::Enum64 | Kind::Ptr if matches!(size, 1 | 2 | 4 | 8) => {
            items.push(Item { text: format!("u{}:0", size * 8), label: label.to_owned(), size });
        }
        Kind::Array => {
            let array = btf.array(id).filter(|a| a.nelems != 0);
            let Some(array) = array else { return };
            let element = btf.resolve_size(array.elem).unwrap_or(0);
            let is_text =
                btf.resolve(array.elem).is_some_and(|(e, t)| t.kind() == Kind::Int && btf.resolve_size(e) == Some(1));
            if is_text {
                items.push(Item { text: format!("text{size}:"), label: label.to_owned(), size });
            } else if array.nelems > MAX_ITEMS || element == 0 {
                zero(size, label);
            } else {
                for n in 0..array.nelems {
                    lay_out(btf, array.elem, &format!("{label}[{n}]"), depth + 1, items);
                }
            }
        }
        Kind::Struct if depth < MAX_DEPTH => {
            let start = items.len();
            let mut at = 0;
            for member in btf.members(id) {
                let (off, bits) = (member.bit_offset / 8, member.bitfield_size);
                if bits != 0 || off < at {
                    // Bit fields have no item of their own.
                    items.truncate(start);
                    items.push(Item { text: format!("zero:{size}"), label: label.to_owned(), size });
                    return;
                }
                if off > at {
                    items.push(Item { text: format!("zero:{}", off - at), label: String::new(), size: off - at });
                }
                let name = btf.string(member.name_off);
                let path = if label.is_empty() { name.to_owned() } else { format!("{label}.{name}") };
                lay_out(btf, member.type_id, &path, depth + 1, items);
                at = off + btf.resolve_size(member.type_id).unwrap_or(0);
            }
            if size > at {
                items.push(Item { text: format!("zero:{}", size - at), label: String::new(), size: size - at });
            }
        }
        _ => zero(size, label),
    }
}
