//! The pre-pass: form of loads and 64-bit immediates, maps and kernel symbols they name, opcodes that exist.

use crate::env::{LoadImm, Verifier};
use crate::maps::{Map, Record};
use crate::pass::form;
use crate::reg::{BtfId, Ext, Flags, Kind, MapId, Reg, RegType};
use crate::reject::errno::*;
use crate::reject::{R, Reject};
use btf::Kind as BtfKind;
use isa::Insn;
use isa::consts::*;
use program::MapDef;
use spec::MapType;
use spec::map::FieldKind;
use std::sync::Arc;

/// `goto rX`.
const GOTOX: u8 = BPF_JMP | BPF_JA | BPF_X;
const MAX_MAPS: usize = 64;
/// Largest offset into a map value that an ldimm64 may name.
const MAX_DIRECT_OFF: u32 = 1 << 29;

impl Verifier<'_> {
    pub fn resolve_insns(&mut self) -> R {
        self.collect_maps();
        let mut used = Vec::new();
        let mut i = 0;
        while i < self.insns.len() {
            let insn = self.insns[i];
            if self.profile.changes.form_before_walk {
                form::registers(insn)?;
            } else if class(insn.code) == BPF_LDX {
                form::fields(insn)?;
            }
            if insn.code == LDIMM64 {
                let Some(second) = self.insns.get(i + 1).copied() else { return Err(Reject::LdImm64Form) };
                if second.code != 0 || second.dst != 0 || second.src != 0 || second.off != 0 {
                    return Err(Reject::LdImm64Form);
                }
                if self.profile.changes.form_before_walk {
                    form::fields(insn)?;
                }
                self.aux[i].load = self.resolve_imm64(i, insn, second.imm, &mut used)?;
                i += 2;
                continue;
            }
            let indirect = insn.code == GOTOX && self.profile.changes.indirect_jumps;
            if !(is_known_opcode(insn.code) || indirect) || self.lacks_opcode(insn.code) {
                return Err(Reject::UnknownOpcode { code: insn.code });
            }
            if self.profile.changes.form_before_walk {
                form::fields(insn)?;
            }
            if indirect {
                self.refuse_indirect_jump(i, insn)?;
            }
            i += 1;
        }
        Ok(())
    }

    /// Opcodes that older kernels have not.
    fn lacks_opcode(&self, code: u8) -> bool {
        let narrow = matches!(code & 0x18, BPF_B | BPF_H);
        class(code) == BPF_STX && mode(code) == BPF_ATOMIC && narrow && !self.profile.changes.narrow_atomics
    }

    /// `goto rX`: without maps of targets there is nowhere to go.
    fn refuse_indirect_jump(&self, i: usize, insn: Insn) -> R {
        let plain = insn.src == 0 && insn.off == 0 && insn.imm == 0;
        if !plain || !self.prog.maps.is_empty() {
            return Err(Reject::unsupported("indirect jump"));
        }
        Err(Reject::NoJumpTables { start: self.subprogs[self.subprog_of(i as i32)].start })
    }

    fn resolve_imm64(&mut self, i: usize, insn: Insn, second: i32, used: &mut Vec<MapId>) -> R<LoadImm> {
        let value = match insn.src {
            0 => return Ok(LoadImm::Const),
            BPF_PSEUDO_BTF_ID => return self.resolve_ksym(insn.imm as u32, second),
            BPF_PSEUDO_FUNC | BPF_PSEUDO_MAP_IDX | BPF_PSEUDO_MAP_IDX_VALUE
                if !self.profile.changes.function_addresses =>
            {
                return Err(Reject::LdImm64Unrecognized);
            }
            BPF_PSEUDO_FUNC => {
                return Ok(LoadImm::Func { subprog_start: (i as i32 + insn.imm + 1) as u32 });
            }
            BPF_PSEUDO_MAP_VALUE | BPF_PSEUDO_MAP_IDX_VALUE => true,
            BPF_PSEUDO_MAP_FD | BPF_PSEUDO_MAP_IDX if second == 0 => false,
            _ => return Err(Reject::LdImm64Unrecognized),
        };
        if matches!(insn.src, BPF_PSEUDO_MAP_IDX | BPF_PSEUDO_MAP_IDX_VALUE) {
            return Err(Reject::FdIdxWithoutArray);
        }
        let known = !self.prog.raw_fd_insns.contains(&(i as u32));
        let index = usize::try_from(insn.imm).ok().filter(|m| known && *m < self.prog.maps.len());
        let Some(index) = index else {
            // The standard streams are open files, just no maps.
            let errno = if (0..=2).contains(&insn.imm) { EINVAL } else { EBADF };
            return Err(Reject::BadMapFd { fd: insn.imm, errno });
        };
        let map = MapId(index as u16);
        if !used.contains(&map) {
            self.admit_map(map, used)?;
            used.push(map);
        }
        if !value {
            return Ok(LoadImm::MapPtr(map));
        }
        let off = second as u32;
        self.check_direct_value(map, off)?;
        Ok(LoadImm::MapValue { map, off })
    }

    fn check_direct_value(&self, map: MapId, off: u32) -> R {
        if off >= MAX_DIRECT_OFF {
            return Err(Reject::DirectValueOffset { off });
        }
        let m = self.map(map);
        if !m.ty.is_some_and(spec::map::supports_direct_value) {
            return Err(Reject::NoDirectValue);
        }
        let def = &m.def;
        let bad = |errno| Err(Reject::DirectValueRange { size: def.value_size, off, errno });
        if m.ty == Some(MapType::Arena) {
            // Offsets into an arena are bounded by its size in pages.
            let bytes = u64::from(def.max_entries) * u64::from(self.profile.config.page_size);
            return if u64::from(off) >= bytes { bad(ERANGE) } else { Ok(()) };
        }
        if def.max_entries != 1 {
            return bad(ENOTSUPP);
        }
        if off >= def.value_size { bad(EINVAL) } else { Ok(()) }
    }

    /// First use of a map: may this program use it at all?
    fn admit_map(&self, map: MapId, used: &[MapId]) -> R {
        if used.len() >= MAX_MAPS {
            return Err(Reject::TooManyMaps);
        }
        let m = self.map(map);
        let Some(ty) = m.ty else {
            return Err(Reject::unsupported(format!("map type {}", m.def.map_type)));
        };
        let mut kinds = m.record.kinds();
        if self.profile.changes.timers_when_tracing {
            kinds.retain(|k| *k != spec::map::FieldKind::Timer);
        }
        if let Some(text) = spec::map::program_refuses(self.prog_type, &kinds) {
            return Err(Reject::MapRefused { text });
        }
        if self.is_sleepable() && m.has_lock() && !self.profile.changes.sleepable_locks {
            return Err(Reject::MapRefused { text: "sleepable progs cannot use bpf_spin_lock yet" });
        }
        if ty == MapType::StructOps {
            return Err(Reject::StructOpsMap);
        }
        if self.is_sleepable() && !spec::map::sleepable_may_use(ty, self.profile.version) {
            return Err(Reject::SleepableMap);
        }
        let same_type = |t: MapType| used.iter().any(|u| self.map(*u).ty == Some(t));
        if matches!(ty, MapType::CgroupStorage | MapType::PercpuCgroupStorage) && same_type(ty) {
            return Err(Reject::OneCgroupStorage);
        }
        if ty == MapType::Arena {
            if same_type(ty) {
                return Err(Reject::OneArena);
            }
            if !self.privs.bpf || !self.privs.ptr_leaks {
                return Err(Reject::ArenaNeedsCaps);
            }
        }
        Ok(())
    }

    /// Every map of the program, then the templates of map-in-maps.
    fn collect_maps(&mut self) {
        for def in &self.prog.maps {
            let m = self.describe_map(def.clone());
            self.maps.push(m);
        }
        for i in 0..self.maps.len() {
            if let Some(inner) = self.maps[i].def.inner.clone() {
                // A template is not the map it was made from: it has no name.
                let inner = Arc::new(MapDef { name: String::new(), ..(*inner).clone() });
                let m = self.describe_map(inner);
                self.maps.push(m);
                self.maps[i].inner = Some(MapId(self.maps.len() as u16 - 1));
            }
        }
    }

    fn describe_map(&mut self, def: Arc<MapDef>) -> Map {
        let ty = MapType::from_raw(def.map_type);
        let mut btf_id = None;
        let mut record = Record::default();
        if let Some(b) = def.btf.clone().filter(|_| def.btf_value_type_id != 0) {
            btf_id = Some(self.btf_id(&b));
            let kernel = |name: &str| self.btf(BtfId::KERNEL).and_then(|k| k.find_by_name_kind(name, BtfKind::Struct));
            let kernel = spec::map::Kernel { version: self.profile.version, kernel_type: &kernel };
            record = spec::map::value_record(&b, def.btf_value_type_id, kernel);
            let changes = &self.profile.changes;
            if changes.fields_beyond_locks && !changes.user_pointers && record.find(FieldKind::Uptr).is_some() {
                // The kernel does not take these types; loaders then make the map without them.
                (btf_id, record) = (None, Record::default());
            }
        }
        Map { def, ty, btf: btf_id, record, inner: None }
    }

    /// ldimm64 with a kernel symbol.
    fn resolve_ksym(&mut self, id: u32, module: i32) -> R<LoadImm> {
        if module != 0 {
            return Err(Reject::unsupported("kernel symbol of a module (module BTF fd in ldimm64)"));
        }
        let Some(btf) = self.btf(BtfId::KERNEL).cloned() else {
            return Err(Reject::unsupported("kernel BTF is missing"));
        };
        let Some(ty) = btf.ty(id) else { return Err(Reject::KsymBadId { id }) };
        let mem = |size| Reg {
            ext: Ext::Mem { size, dynptr_id: 0 },
            ..Reg::pointer(RegType::of(Kind::Mem).with(Flags::RDONLY))
        };
        match ty.kind() {
            BtfKind::Func if self.profile.changes.function_symbols => return Ok(LoadImm::Ksym(mem(0))),
            BtfKind::Var => {}
            _ => return Err(Reject::KsymNotVarOrFunc { id }),
        }
        if !self.profile.config.kallsyms_all {
            return Err(Reject::KsymNoAddress { name: btf.name(id).to_owned() });
        }
        let target = ty.type_id().unwrap_or(0);
        let object = |flags, id| {
            LoadImm::Ksym(Reg {
                ext: Ext::Btf { btf: BtfId::KERNEL, id },
                ..Reg::pointer(RegType::of(Kind::Btf).with(flags))
            })
        };
        if is_percpu(&btf, id) {
            return Ok(object(Flags::PERCPU, target));
        }
        let plain = btf.skip_mods_and_typedefs(target).unwrap_or(target);
        if btf.kind(plain).is_some_and(|k| k.is_struct_or_union()) {
            return Ok(object(Flags::NONE, target));
        }
        match btf.resolve_size(plain) {
            Some(size) => Ok(LoadImm::Ksym(mem(size))),
            None => Err(Reject::KsymSize { name: btf.name(plain).to_owned(), error: -i64::from(EINVAL) }),
        }
    }

    pub fn is_sleepable(&self) -> bool {
        self.prog.flags & spec::prog::flags::SLEEPABLE != 0
    }
}

/// The variable is in the kernel's per-cpu section.
fn is_percpu(btf: &btf::Btf, var: u32) -> bool {
    btf.find_by_name_kind(".data..percpu", BtfKind::Datasec).is_some_and(|sec| btf.vars(sec).any(|v| v.type_id == var))
}

/// Opcodes that exist, whatever their operands.
fn is_known_opcode(code: u8) -> bool {
    match class(code) {
        BPF_LD => matches!(code, 0x18 | 0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50),
        BPF_LDX => matches!(code, 0x61 | 0x69 | 0x71 | 0x79 | 0x81 | 0x89 | 0x91),
        BPF_ST => mode(code) == BPF_MEM,
        BPF_STX => matches!(mode(code), BPF_MEM | BPF_ATOMIC),
        BPF_ALU => op(code) <= BPF_END && !(op(code) == BPF_NEG && is_src_x(code)),
        BPF_ALU64 => op(code) <= BPF_END && !(matches!(op(code), BPF_NEG | BPF_END) && is_src_x(code)),
        BPF_JMP => match op(code) {
            BPF_JA | BPF_CALL | BPF_EXIT | BPF_JCOND => !is_src_x(code),
            o => o <= BPF_JSLE,
        },
        _ => match op(code) {
            BPF_JA => !is_src_x(code),
            BPF_CALL | BPF_EXIT => false,
            o => o <= BPF_JSLE,
        },
    }
}
