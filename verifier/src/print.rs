//! Registers, slots and states as the kernel's log prints them, and the lines of the trace. Which log gets what is in `log`.

use crate::env::Verifier;
use crate::reg::{ADD_CONST, Ext, Flags, IterState, Kind, Reg};
use crate::stack::{Byte, Slot};
use crate::state::{Frame, State};
use crate::value::Scalar;
use std::fmt::Write;

/// Signed number: decimal when it fits 16 bits, else the 64-bit pattern in hex.
fn snum(out: &mut String, v: i64) {
    let _ = if (-32768..=32767).contains(&v) { write!(out, "{v}") } else { write!(out, "{v:#x}") };
}

/// Unsigned number: decimal when it fits 16 bits, else hex.
fn unum(out: &mut String, v: u64) {
    let _ = if v <= 65535 { write!(out, "{v}") } else { write!(out, "{v:#x}") };
}

/// The bounds that say something, equal ones grouped: `smin=0,smax=umax=255`.
fn bounds(out: &mut String, v: &Scalar, sep: &mut &'static str) {
    // A 32-bit signed bound is compared and printed as the kernel holds it: sign extended when small, else zero extended.
    let s32 = |x: i32| if (-32768..=32767).contains(&x) { x as i64 as u64 } else { x as u32 as u64 };
    let rows: [(&str, u64, bool); 8] = [
        ("smin=", v.smin as u64, v.smin == i64::MIN),
        ("smax=", v.smax as u64, v.smax == i64::MAX),
        ("umin=", v.umin, v.umin == 0),
        ("umax=", v.umax, v.umax == u64::MAX),
        ("smin32=", s32(v.s32_min), v.s32_min == i32::MIN),
        ("smax32=", s32(v.s32_max), v.s32_max == i32::MAX),
        ("umin32=", v.u32_min as u64, v.u32_min == 0),
        ("umax32=", v.u32_max as u64, v.u32_max == u32::MAX),
    ];
    let negative = |i: usize| rows[i].0.starts_with('s') && (rows[i].1 as i64) < 0;
    let mut done = [false; 8];
    for i in 0..8 {
        if rows[i].2 || done[i] {
            continue;
        }
        out.push_str(sep);
        *sep = ",";
        out.push_str(rows[i].0);
        for j in (i + 2..8).step_by(2) {
            if !rows[j].2 && rows[j].1 == rows[i].1 && negative(i) == negative(j) {
                out.push_str(rows[j].0);
                done[j] = true;
            }
        }
        if rows[i].0.starts_with('s') { snum(out, rows[i].1 as i64) } else { unum(out, rows[i].1) }
    }
    if !v.var_off.is_unknown() {
        let _ = write!(out, "{sep}var_off=({:#x}; {:#x})", v.var_off.value, v.var_off.mask);
        *sep = ",";
    }
}

impl Verifier<'_> {
    /// One register as in a state line, for a frame numbered `frameno`.
    pub fn reg_text(&self, out: &mut String, reg: &Reg, frameno: u32) {
        if reg.is_scalar() {
            if reg.precise {
                out.push('P');
            }
            if reg.val.var_off.is_const() {
                return snum(out, reg.val.var_off.value as i64);
            }
        }
        let _ = write!(out, "{}", reg.ty);
        match reg.ty.kind {
            Kind::Arena => return,
            Kind::Stack => {
                if frameno != reg.frameno as u32 {
                    let _ = write!(out, "[{}]", reg.frameno);
                }
                if reg.val.var_off.is_const() {
                    return snum(out, (reg.val.var_off.value as i64).wrapping_add(reg.off as i64));
                }
            }
            Kind::Btf => {
                if let Some((btf, id)) = reg.btf() {
                    out.push_str(self.btf_type_name(btf, id));
                }
            }
            _ => {}
        }
        out.push('(');
        let mut sep = "";
        self.reg_attributes(out, reg, &mut sep);
        out.push(')');
    }

    fn reg_attributes(&self, out: &mut String, reg: &Reg, sep: &mut &'static str) {
        let scalar = reg.is_scalar();
        let mut attr = |out: &mut String, text: std::fmt::Arguments<'_>| {
            let _ = write!(out, "{sep}{text}");
            *sep = ",";
        };
        let id = if scalar { reg.base_id() } else { reg.id };
        if id != 0 {
            attr(out, format_args!("id={id}"));
            if scalar && reg.id & ADD_CONST != 0 {
                let _ = write!(out, "{:+}", reg.off);
            }
        }
        let one_id = self.profile.changes.null_check_keeps_id && reg.ref_obj_id == reg.id;
        if reg.ref_obj_id != 0 && !one_id {
            attr(out, format_args!("ref_obj_id={}", reg.ref_obj_id));
        }
        if !scalar {
            if reg.ty.flags.has(Flags::NON_OWNING) {
                attr(out, format_args!("non_own_ref"));
            }
            if let Some(map) = self.reg_map(reg) {
                let def = &self.map(map).def;
                if !def.name.is_empty() {
                    attr(out, format_args!("map={}", def.name));
                }
                attr(out, format_args!("ks={},vs={}", def.key_size, def.value_size));
            }
            if reg.off != 0 {
                attr(out, format_args!("off="));
                snum(out, reg.off as i64);
            }
            match reg.ty.kind {
                Kind::Packet | Kind::PacketMeta => {
                    attr(out, format_args!("r="));
                    unum(out, reg.range() as i64 as u64);
                }
                Kind::Mem => {
                    attr(out, format_args!("sz="));
                    unum(out, reg.mem_size() as u64);
                }
                Kind::DynptrPtr => {
                    if let Ext::Dynptr { ty, .. } = reg.ext {
                        attr(out, format_args!("type={}", ty.name()));
                    }
                }
                _ => {}
            }
            if reg.val.var_off.is_const() {
                if reg.val.var_off.value != 0 {
                    attr(out, format_args!("imm="));
                    snum(out, reg.val.var_off.value as i64);
                }
                return;
            }
        }
        bounds(out, &reg.val, sep);
    }

    /// The state of one frame: everything (`all`), or what was scratched. Starts with a space, has no newline.
    pub fn state_text(&self, st: &State, frame: usize, all: bool) -> String {
        let f = &st.frames[frame];
        let mut out = String::with_capacity(128);
        if f.frameno != 0 {
            let _ = write!(out, " frame{}:", f.frameno);
        }
        for (i, reg) in f.regs.iter().enumerate() {
            if reg.is_init() && (all || self.log.scratched_regs & (1 << i) != 0) {
                let _ = write!(out, " R{i}{}=", f.marks.reg(i).suffix());
                self.reg_text(&mut out, reg, f.frameno);
            }
        }
        self.stack_text(&mut out, f, all);
        let mut refs = st.refs.iter();
        if let Some(first) = refs.next().filter(|first| first.id != 0) {
            let _ = write!(out, " refs={}", first.id);
            for r in refs.filter(|r| r.id != 0) {
                let _ = write!(out, ",{}", r.id);
            }
        }
        if f.in_callback {
            out.push_str(" cb");
        }
        if f.in_async {
            out.push_str(" async_cb");
        }
        out
    }

    fn stack_text(&self, out: &mut String, f: &Frame, all: bool) {
        let mut k = 0;
        while k < f.stack.len() {
            let slot = &f.stack[k];
            let shown =
                (all || self.log.scratched_slots & (1 << (k & 63)) != 0) && slot.bytes.iter().any(|b| b.is_stored());
            if shown {
                match slot.kind() {
                    // A dynptr is one item for two slots, shown at the lower one.
                    Byte::Dynptr => {
                        k += 1;
                        if let Some(low) = f.stack.get(k) {
                            dynptr_text(out, k, low);
                        }
                    }
                    Byte::Iter => self.iter_text(out, k, slot),
                    Byte::Spill => {
                        let _ = write!(out, " fp{}{}=", -8 * (k as i32 + 1), f.marks.slot(k).suffix());
                        out.extend(slot.bytes.iter().take_while(|b| **b != Byte::Spill).map(|b| b.as_char()));
                        self.reg_text(out, &slot.reg, f.frameno);
                    }
                    _ => {
                        let _ = write!(out, " fp{}{}=", -8 * (k as i32 + 1), f.marks.slot(k).suffix());
                        out.extend(slot.bytes.iter().map(|b| b.as_char()));
                    }
                }
            }
            k += 1;
        }
    }

    fn iter_text(&self, out: &mut String, k: usize, slot: &Slot) {
        // Only the slot that holds the reference stands for the iterator.
        let Ext::Iter { btf, id, state, depth } = slot.reg.ext else { return };
        if slot.reg.ref_obj_id == 0 {
            return;
        }
        let name = self.btf_type_name(btf, id);
        let name = name.strip_prefix("bpf_iter_").unwrap_or(name);
        let state = match state {
            IterState::Active => "active",
            IterState::Drained => "drained",
        };
        let at = -8 * (k as i32 + 1);
        let _ = write!(out, " fp{at}=iter_{name}(ref_id={},state={state},depth={depth})", slot.reg.ref_obj_id);
    }

    // ---- lines of the trace --------------------------------------------------------------------------------------------

    /// The instruction as the log shows it, without index.
    pub fn insn_text(&self, idx: usize) -> String {
        isa::disasm(&self.insns, idx, &Names(self))
    }

    /// The state after an instruction: on the instruction's line when nothing came between, else on a line `N:` of its own.
    pub fn print_insn_state(&mut self) {
        if !self.log.level.trace() {
            return;
        }
        let text = self.state_text(&self.cur, self.cur.cur(), false);
        match self.log.insn_line {
            Some((len, end)) if end == self.log.end() => {
                self.log.unwrite_newline();
                let column = (len + 5).max(40).next_multiple_of(8) - 2;
                self.log.l(format_args!("{:pad$};", "", pad = column - len));
            }
            _ => self.log.l(format_args!("{}:", self.insn_idx)),
        }
        self.log.l_pieces(&text);
        self.log.l_pieces("\n");
        self.log.clear_scratched();
    }

    /// Everything that comes with an instruction before it is checked: the state so far, the source line, the instruction.
    pub fn print_insn(&mut self) {
        if !self.log.level.trace() {
            return;
        }
        if self.log.level.level2() && self.log.header_due {
            let state = self.state_text(&self.cur, self.cur.cur(), true);
            self.log.l(format_args!("\nfrom {} to {}{}:", self.prev_idx, self.insn_idx, self.speculative_suffix()));
            self.log.l_pieces(&state);
            self.log.l_pieces("\n");
            self.log.header_due = false;
        }
        if self.log.anything_scratched() {
            self.print_insn_state();
        }
        self.print_source_line(self.insn_idx as u32, "; ", false);
        let text = self.insn_text(self.insn_idx as usize);
        let from = self.log.end();
        self.log.l(format_args!("{}: ", self.insn_idx));
        self.log.l(format_args!("{text}\n"));
        self.log.insn_line = Some((self.log.end() - from - 1, self.log.end()));
    }

    pub fn speculative_suffix(&self) -> &'static str {
        if self.cur.speculative { " (speculative execution)" } else { "" }
    }

    /// The source line of an instruction, in each log unless it was the last one printed there. Errors that show it themselves
    /// want it in the message too.
    pub fn print_source_line(&mut self, idx: u32, prefix: &str, in_message: bool) {
        let Some((record, row)) = self.line_record(idx) else { return };
        let shown = |last: Option<usize>| {
            last.is_some_and(|last| {
                last == record
                    || self.profile.changes.source_named
                        && self.line_row(last).is_some_and(|o| o[1] == row[1] && o[3] >> 10 == row[3] >> 10)
            })
        };
        let trace = self.log.level.trace() && !shown(self.log.last_line);
        let message = in_message && !shown(self.log.message_last_line);
        if !trace && !message {
            return;
        }
        let Some(btf) = self.prog.btf.clone() else { return };
        let text = btf.string(row[2]);
        let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
        let file = btf.string(row[1]);
        let file = file.rsplit('/').next().unwrap_or_default();
        let line = row[3] >> 10;
        let place = if self.profile.changes.source_named { format!(" @ {file}:{line}") } else { String::new() };
        // Three pieces, each cut at the kernel's longest.
        if trace {
            self.log.l(format_args!("{prefix}"));
            self.log.l(format_args!("{text}"));
            self.log.l(format_args!("{place}\n"));
            self.log.last_line = Some(record);
        }
        if message {
            self.log.message_only(format_args!("{prefix}"));
            self.log.message_only(format_args!("{text}"));
            self.log.message_only(format_args!("{place}\n"));
            self.log.message_last_line = Some(record);
        }
    }

    /// The last line_info record at or before an instruction: insn_off, file, line text, line and column.
    fn line_record(&self, idx: u32) -> Option<(usize, [u32; 4])> {
        let n = self.line_count();
        let mut lo = 0;
        let mut hi = n;
        while lo < hi {
            let mid = (lo + hi) / 2;
            if self.line_row(mid)?[0] <= idx {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        let record = lo.checked_sub(1)?;
        Some((record, self.line_row(record)?))
    }

    fn line_count(&self) -> usize {
        let t = &self.prog.line_info;
        if t.rec_size < 16 { 0 } else { t.bytes.len() / t.rec_size as usize }
    }

    fn line_row(&self, record: usize) -> Option<[u32; 4]> {
        let t = &self.prog.line_info;
        let at = record * t.rec_size as usize;
        let b = t.bytes.get(at..at + 16)?;
        let w = |i: usize| u32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        Some([w(0), w(4), w(8), w(12)])
    }

    /// File and line of an instruction's source, for reports.
    pub fn source_of(&self, idx: u32) -> Option<String> {
        let (_, row) = self.line_record(idx)?;
        let btf = self.prog.btf.as_ref()?;
        let file = btf.string(row[1]);
        (!file.is_empty()).then(|| format!("{file}:{}", row[3] >> 10))
    }
}

fn dynptr_text(out: &mut String, k: usize, low: &Slot) {
    let Ext::Dynptr { ty, .. } = low.reg.ext else { return };
    let _ = write!(out, " fp{}=dynptr_{}(", -8 * (k as i32 + 1), ty.name());
    let mut sep = "";
    if low.reg.id != 0 {
        let _ = write!(out, "id={}", low.reg.id);
        sep = ",";
    }
    if low.reg.ref_obj_id != 0 {
        let _ = write!(out, "{sep}ref_id={}", low.reg.ref_obj_id);
        sep = ",";
    }
    // The first slot's mark reads as its dynptr id in the kernel, so it is always 1.
    let _ = write!(out, "{sep}dynptr_id=1)");
}

/// Names of helpers and kfuncs, and hidden or resolved addresses, for the disassembler.
struct Names<'v, 'p>(&'v Verifier<'p>);

impl isa::Names for Names<'_, '_> {
    fn helper(&self, id: i32) -> Option<&str> {
        spec::helper::full_name(u32::try_from(id).ok()?)
    }
    fn kfunc(&self, id: i32, off: i16) -> Option<&str> {
        Some(self.0.kfunc_name(id, off).unwrap_or(""))
    }
    fn imm64(&self, idx: usize, _pseudo: isa::Pseudo, imm: i32, imm2: i32) -> Option<u64> {
        Some(self.0.displayed_imm64(idx, imm, imm2))
    }
}

/// Where the pretended kernel addresses of maps begin: no map has one here, logs are compared with addresses masked.
const MAP_ADDRESS: u64 = 0xffff_8880_0000_0000;
const KSYM_ADDRESS: u64 = 0xffff_ffff_8100_0000;

impl Verifier<'_> {
    /// What the log prints as the value of an ldimm64 that is not a plain constant.
    fn displayed_imm64(&self, idx: usize, imm: i32, imm2: i32) -> u64 {
        use crate::env::LoadImm;
        let map = |m: crate::reg::MapId| MAP_ADDRESS + 0x1000 * (m.0 as u64 + 1);
        match self.aux[idx].load {
            LoadImm::MapPtr(_) | LoadImm::MapValue { .. } if !self.privs.ptr_leaks => 0,
            LoadImm::MapPtr(m) => map(m),
            // An arena's memory is where the user chose to see it.
            LoadImm::MapValue { map: m, off } if self.map(m).ty == Some(spec::MapType::Arena) => {
                self.map(m).def.map_extra.wrapping_add(off.into())
            }
            LoadImm::MapValue { map: m, off } => map(m) + 0x100 + off as u64,
            LoadImm::Ksym(_) => KSYM_ADDRESS + 0x10 * imm as u32 as u64,
            LoadImm::Const | LoadImm::Func { .. } => (imm as u32 as u64) | (imm2 as u32 as u64) << 32,
        }
    }
}
