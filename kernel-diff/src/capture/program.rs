//! A program about to be loaded, as a record: instructions with their map references, BTF and its tables, who loads. The kernel's answer
//! comes later, in `session`.

use std::collections::HashMap;
use std::fs;
use std::io;

use isa::Insn;
use isa::consts::{
    BPF_PSEUDO_BTF_ID, BPF_PSEUDO_KFUNC_CALL, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_IDX, BPF_PSEUDO_MAP_IDX_VALUE,
    BPF_PSEUDO_MAP_VALUE, LDIMM64,
};
use libc::pid_t;

use super::attr::{Attr, prog_load};
use super::known::{Knowledge, Reference};
use super::memory;
use super::objects::{self, Object, VMLINUX_BTF};
use super::record::{FuncInfo, Hex, LineInfo, Load, Map, Record};

/// The kernel refuses more.
const MAX_INSNS: u32 = 1_000_000;
/// Bytes of a func_info or line_info table: 16 for each instruction there can be.
const MAX_TABLE: u64 = 16 << 20;
/// Bytes of map contents in one record.
const MAX_CONTENTS: usize = 16 << 20;
const MAX_LICENSE: usize = 128;

const CALL: u8 = 0x85;

/// The program's privileges come with a token.
const F_TOKEN_FD: u32 = 1 << 16;

/// Reads a program at the time of the call. What cannot be found out is said in the record.
pub fn read(knowledge: &mut Knowledge, tid: pid_t, attr: &Attr) -> Record {
    let mut reading = Reading { knowledge, tid, attr, problems: Vec::new(), kernel_ids: false };
    let load = reading.load();
    reading.unsayable();
    let caps = reading.caps();
    let vmlinux = reading.vmlinux();
    let comm = fs::read(format!("/proc/{tid}/comm")).unwrap_or_default();
    let incomplete = (!reading.problems.is_empty()).then(|| reading.problems.join("; "));
    let comm = String::from_utf8_lossy(comm.trim_ascii_end()).into_owned();
    Record { comm, pid: tid, vmlinux, caps, incomplete, load, ..Record::default() }
}

struct Reading<'a> {
    knowledge: &'a mut Knowledge,
    tid: pid_t,
    attr: &'a Attr,
    problems: Vec<String>,
    /// Whether anything in the program is an id of the kernel's BTF.
    kernel_ids: bool,
}

impl Reading<'_> {
    /// The value, or the problem on the list and a default.
    fn take<T: Default>(&mut self, what: &str, result: io::Result<T>) -> T {
        result.unwrap_or_else(|e| {
            self.problems.push(format!("{what}: {e}"));
            T::default()
        })
    }

    fn load(&mut self) -> Load {
        use prog_load::*;
        let attr = self.attr;
        let license = memory::read_text(self.tid, attr.u64(LICENSE), MAX_LICENSE, MAX_LICENSE);
        let license = self.take("the license cannot be read", license);
        let mut load = Load {
            prog_name: attr.name(PROG_NAME),
            prog_type: attr.u32(PROG_TYPE),
            expected_attach_type: attr.u32(EXPECTED_ATTACH_TYPE),
            prog_flags: attr.u32(PROG_FLAGS),
            license: String::from_utf8_lossy(&license).into_owned(),
            kern_version: attr.u32(KERN_VERSION),
            attach_btf_id: attr.u32(ATTACH_BTF_ID),
            ..Load::default()
        };
        self.kernel_ids = load.attach_btf_id != 0;
        let mut insns = self.instructions();
        self.resolve(&mut insns, &mut load);
        load.insn_cnt = insns.len() as u32;
        load.insns = Hex(insns.iter().flat_map(|i| i.to_bytes()).collect());
        self.tables(&mut load);
        load
    }

    fn instructions(&mut self) -> Vec<Insn> {
        let count = self.attr.u32(prog_load::INSN_CNT);
        if count > MAX_INSNS {
            self.problems.push(format!("{count} instructions are more than any kernel takes"));
            return Vec::new();
        }
        let bytes = memory::read(self.tid, self.attr.u64(prog_load::INSNS), count as usize * Insn::SIZE);
        let bytes = self.take("the instructions cannot be read", bytes);
        bytes.as_chunks::<8>().0.iter().map(|b| Insn::from_bytes(*b)).collect()
    }

    /// Turns descriptors into indices of `load.maps`. A reference through the descriptor array becomes a direct one.
    fn resolve(&mut self, insns: &mut [Insn], load: &mut Load) {
        let mut indices = HashMap::new();
        let mut budget = MAX_CONTENTS;
        let mut slot = 0;
        while let Some(insn) = insns.get(slot).copied() {
            if insn.code == CALL && insn.src == BPF_PSEUDO_KFUNC_CALL {
                self.kernel_ids = true;
                if insn.off != 0 {
                    self.problems.push(format!("instruction {slot} calls a function of a module"));
                }
            }
            if insn.code != LDIMM64 {
                slot += 1;
                continue;
            }
            match insn.src {
                BPF_PSEUDO_MAP_FD | BPF_PSEUDO_MAP_VALUE | BPF_PSEUDO_MAP_IDX | BPF_PSEUDO_MAP_IDX_VALUE => {
                    self.map_reference(slot, &mut insns[slot], load, &mut indices, &mut budget);
                }
                BPF_PSEUDO_BTF_ID => {
                    self.kernel_ids = true;
                    let module = insns.get(slot + 1).map_or(0, |second| second.imm);
                    if module != 0 && !self.is_vmlinux(module) {
                        self.problems.push(format!("instruction {slot} refers to a variable of a module"));
                    }
                }
                _ => {}
            }
            slot += 2;
        }
    }

    fn map_reference(
        &mut self,
        slot: usize,
        insn: &mut Insn,
        load: &mut Load,
        indices: &mut HashMap<u32, i32>,
        budget: &mut usize,
    ) {
        let array = self.attr.u64(prog_load::FD_ARRAY);
        if matches!(insn.src, BPF_PSEUDO_MAP_IDX | BPF_PSEUDO_MAP_IDX_VALUE) {
            if array == 0 {
                // The kernel refuses this in words of its own.
                return;
            }
            // Indices are unsigned, as the kernel sees them.
            let at = array.wrapping_add(u64::from(insn.imm as u32) * 4);
            let fd = memory::read(self.tid, at, 4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            insn.imm = self.take("the descriptor array cannot be read", fd.map(Some)).unwrap_or(-1);
            insn.src = if insn.src == BPF_PSEUDO_MAP_IDX { BPF_PSEUDO_MAP_FD } else { BPF_PSEUDO_MAP_VALUE };
        }
        match self.knowledge.reference(self.tid, insn.imm, budget) {
            Ok(Reference::Map(id, known)) => {
                insn.imm = *indices.entry(id).or_insert_with(|| {
                    let name = &known.map.name;
                    self.problems.extend(known.problems.iter().map(|p| format!("map `{name}`: {p}")));
                    self.kernel_ids |= known.map.btf_vmlinux_value_type_id != 0;
                    push(&mut load.maps, known.map)
                });
            }
            Ok(Reference::Bad) => load.raw_fd_insns.push(slot as u32),
            Err(e) => {
                self.problems.push(format!("instruction {slot}: the map of descriptor {} is unknown: {e}", insn.imm));
                load.raw_fd_insns.push(slot as u32);
            }
        }
    }

    /// BTF and its tables. The kernel looks at them only when one of the tables has rows.
    fn tables(&mut self, load: &mut Load) {
        use prog_load::*;
        let attr = self.attr;
        let (funcs, lines) = (attr.u32(FUNC_INFO_CNT), attr.u32(LINE_INFO_CNT));
        if funcs == 0 && lines == 0 {
            return;
        }
        let btf = self.knowledge.own_btf(self.tid, attr.fd(PROG_BTF_FD));
        load.btf = self.take("the program's BTF is unknown", btf.map(Some));
        if funcs != 0 {
            let rec_size = attr.u32(FUNC_INFO_REC_SIZE);
            let bytes = self.table("func_info", attr.u64(FUNC_INFO), funcs, rec_size);
            load.func_info = Some(FuncInfo { rec_size, bytes });
        }
        if lines != 0 {
            let rec_size = attr.u32(LINE_INFO_REC_SIZE);
            let bytes = self.table("line_info", attr.u64(LINE_INFO), lines, rec_size);
            load.line_info = Some(LineInfo { rec_size, bytes });
        }
    }

    fn table(&mut self, what: &str, addr: u64, rows: u32, rec_size: u32) -> Hex {
        let size = u64::from(rows) * u64::from(rec_size);
        let bytes = if size > MAX_TABLE {
            Err(io::Error::other(format!("{size} bytes are too much")))
        } else {
            memory::read(self.tid, addr, size as usize)
        };
        Hex(self.take(what, bytes))
    }

    fn is_vmlinux(&self, fd: i32) -> bool {
        matches!(objects::identify(self.tid, fd), Ok(Object::Btf { id: VMLINUX_BTF }))
    }

    /// What a load says that a record has no words for.
    fn unsayable(&mut self) {
        use prog_load::*;
        let attr = self.attr;
        let attach = attr.fd(ATTACH_FD);
        if attach != 0 && !self.is_vmlinux(attach) {
            self.problems.push("it attaches to a program or to a module".to_owned());
        }
        if attr.u32(PROG_IFINDEX) != 0 {
            self.problems.push("it is for one network device".to_owned());
        }
        if attr.u32(CORE_RELO_CNT) != 0 {
            self.problems.push("it leaves CO-RE relocations to the kernel".to_owned());
        }
        if attr.says_more(END) {
            self.problems.push(format!("its attribute says something behind byte {END}, which is not known here"));
        }
        if attr.u32(SIGNATURE_SIZE) != 0 {
            self.problems.push("it is signed".to_owned());
        }
        if attr.u32(PROG_FLAGS) & F_TOKEN_FD != 0 {
            self.problems.push("its privileges come with a token".to_owned());
        }
    }

    /// Capabilities that matter; `None` for all, which CAP_SYS_ADMIN comes to.
    fn caps(&mut self) -> Option<Vec<&'static str>> {
        const SYS_ADMIN: u64 = 1 << 21;
        const OTHERS: [(u64, &str); 3] = [(1 << 39, "bpf"), (1 << 38, "perfmon"), (1 << 12, "net_admin")];
        /// Inode of the first user namespace; what one may in others does not count.
        const FIRST_NAMESPACE: &str = "user:[4026531837]";
        let status = fs::read_to_string(format!("/proc/{}/status", self.tid));
        let status = self.take("privileges are unknown", status);
        let held = status.lines().find_map(|l| l.strip_prefix("CapEff:")).unwrap_or_default();
        let held = u64::from_str_radix(held.trim(), 16).unwrap_or(0);
        let first =
            fs::read_link(format!("/proc/{}/ns/user", self.tid)).is_ok_and(|l| l.as_os_str() == FIRST_NAMESPACE);
        if !first {
            return Some(Vec::new());
        }
        (held & SYS_ADMIN == 0).then(|| OTHERS.iter().filter(|(bit, _)| held & bit != 0).map(|(_, n)| *n).collect())
    }

    /// The kernel's BTF, for programs with ids of it.
    fn vmlinux(&mut self) -> Option<String> {
        if !self.kernel_ids {
            return None;
        }
        let name = self.knowledge.vmlinux();
        self.take("the kernel's BTF cannot be read", name.map(Some))
    }
}

fn push(maps: &mut Vec<Map>, map: Map) -> i32 {
    maps.push(map);
    maps.len() as i32 - 1
}
