//! Where subprograms begin and end: bpf-to-bpf calls, callback references, the exception callback, kfunc registration; then the boundaries
//! that jumps may not cross.

use crate::env::Verifier;
use crate::reg::BtfId;
use crate::reject::errno::*;
use crate::reject::{R, Reject};
use crate::subprog::Subprog;
use btf::Kind;
use isa::consts::*;
use std::collections::BTreeSet;

pub const MAX_SUBPROGS: usize = 256;
const MAX_KFUNCS: usize = 256;
const MAX_KFUNC_ARGS: usize = 12;

/// Kfuncs that a device driver answers: only for programs that are loaded for that device.
const DEVICE_KFUNCS: [&str; 3] =
    ["bpf_xdp_metadata_rx_timestamp", "bpf_xdp_metadata_rx_hash", "bpf_xdp_metadata_rx_vlan_tag"];

fn add_subprog(starts: &mut BTreeSet<u32>, start: u32) -> R {
    if !starts.contains(&start) && starts.len() >= MAX_SUBPROGS {
        return Err(Reject::TooManySubprogs);
    }
    starts.insert(start);
    Ok(())
}

impl Verifier<'_> {
    pub fn find_subprogs(&mut self) -> R {
        let mut starts = BTreeSet::from([0u32]);
        let exception = match self.find_starts(&mut starts) {
            Ok(exception) => exception,
            Err(r) => {
                // The statistics list the subprograms found so far.
                self.subprogs.resize_with(starts.len(), Subprog::default);
                return Err(r);
            }
        };
        let list: Vec<u32> = starts.into_iter().collect();
        for (k, &start) in list.iter().enumerate() {
            let end = list.get(k + 1).copied().unwrap_or(self.insns.len() as u32);
            let mut s = Subprog { start, end, ..Subprog::default() };
            if exception == Some(start) {
                s.is_callback = true;
                s.is_async_callback = true;
                s.is_exception_callback = true;
            }
            self.subprogs.push(s);
            self.log.l2(format_args!("func#{k} @{start}\n"));
        }
        Ok(())
    }

    /// Adds every start that something in the program names; the exception callback's is the answer.
    fn find_starts(&mut self, starts: &mut BTreeSet<u32>) -> R<Option<u32>> {
        let n = self.insns.len() as i64;
        let mut kfuncs = Vec::new();
        let changes = self.profile.changes;
        for i in 0..self.insns.len() {
            let insn = self.insns[i];
            let func_ref = changes.function_addresses && insn.code == LDIMM64 && insn.src == BPF_PSEUDO_FUNC;
            let call = insn.code == BPF_JMP | BPF_CALL && insn.src == BPF_PSEUDO_CALL;
            let kfunc = changes.kfunc_calls && insn.code == BPF_JMP | BPF_CALL && insn.src == BPF_PSEUDO_KFUNC_CALL;
            if !func_ref && !call && !kfunc {
                continue;
            }
            if !self.privs.bpf {
                return Err(Reject::CallsNeedCapBpf);
            }
            if kfunc {
                self.register_kfunc(insn.imm, insn.off, &mut kfuncs)?;
                continue;
            }
            let target = i64::from((i as i32).wrapping_add(insn.imm).wrapping_add(1));
            if target < 0 || target >= n {
                return Err(Reject::CallOutOfProgram);
            }
            add_subprog(starts, target as u32)?;
        }
        let exception = match self.profile.changes.exception_callbacks {
            true => self.find_exception_callback()?,
            false => None,
        };
        if let Some(start) = exception {
            add_subprog(starts, start)?;
        }
        Ok(exception)
    }

    fn register_kfunc(&mut self, id: i32, off: i16, known: &mut Vec<(i32, i16)>) -> R {
        if known.is_empty() && !spec::prog::is_gpl_compatible(&self.prog.license) {
            return Err(Reject::KfuncNeedsGpl);
        }
        if id == 0 && off == 0 {
            return Ok(());
        }
        if off < 0 {
            self.note(&Reject::KfuncNegativeOffset);
            return Err(Reject::KfuncNoBtf { errno: EINVAL });
        }
        if off > 0 {
            return Err(Reject::unsupported("kfunc of a kernel module (module BTF through fd_array)"));
        }
        if known.contains(&(id, off)) {
            return Ok(());
        }
        if known.len() >= MAX_KFUNCS {
            return Err(Reject::TooManyKfuncs);
        }
        self.check_kfunc_type(id as u32)?;
        known.push((id, off));
        Ok(())
    }

    fn check_kfunc_type(&mut self, id: u32) -> R {
        let Some(btf) = self.btf(BtfId::KERNEL).cloned() else {
            return Err(Reject::unsupported("kernel BTF is missing"));
        };
        if btf.kind(id) != Some(Kind::Func) {
            return Err(Reject::KfuncNotFunction { id });
        }
        let Some(proto) = btf.func_proto(id) else { return Err(Reject::KfuncNoProto { id }) };
        if self.profile.kfunc_is_prototype(btf.name(id)) {
            let text = format!("cannot find address for kernel function {}", btf.name(id));
            return Err(Reject::KernelRefuses { text, errno: EINVAL });
        }
        if DEVICE_KFUNCS.contains(&btf.name(id)) {
            return if self.prog.flags & spec::prog::flags::XDP_DEV_BOUND_ONLY == 0 {
                Err(Reject::KfuncNeedsDevice)
            } else {
                Err(Reject::unsupported("programs bound to a device"))
            };
        }
        crate::pass::attach::check_prototype(
            &btf,
            btf.name(id),
            proto,
            MAX_KFUNC_ARGS,
            self.profile.changes.struct_arguments,
        )
    }

    /// Start of the function that the main program's BTF names as its exception callback.
    fn find_exception_callback(&mut self) -> R<Option<u32>> {
        let (Some(btf), Some(main)) = (self.prog.btf.clone(), self.prog.func_info.rows().next()) else {
            return Ok(None);
        };
        let main_id = main[1];
        let mut names = btf.decl_tags_of(main_id, -1).filter_map(|t| t.strip_prefix("exception_callback:"));
        let Some(name) = names.next() else { return Ok(None) };
        if names.next().is_some() {
            return Err(Reject::ExceptionCallbackTwice);
        }
        let Some(id) = btf.find_by_name_kind(name, Kind::Func) else {
            return Err(Reject::ExceptionCallbackUnknown { name: name.to_owned() });
        };
        if btf.ty(id).and_then(|t| t.func_linkage()) != Some(btf::FuncLinkage::Global) {
            return Err(Reject::ExceptionCallbackLinkage { name: name.to_owned() });
        }
        let mut found = None;
        for row in self.prog.func_info.rows().filter(|r| r[1] == id) {
            if row[0] == 0 {
                self.note(&Reject::ExceptionCallbackAtZero);
                found = Some(None);
            } else {
                found = Some(Some(row[0]));
            }
        }
        match found {
            None => Err(Reject::ExceptionCallbackNoInfo),
            Some(None) => Err(Reject::Silent { errno: EINVAL }),
            Some(start) => Ok(start),
        }
    }

    /// Jumps stay in their subprogram and subprograms end in an exit or jump.
    pub fn check_boundaries(&mut self) -> R {
        let mut s = 0;
        for i in 0..self.insns.len() {
            if i as u32 >= self.subprogs[s].end {
                s += 1;
            }
            let insn = self.insns[i];
            if insn.code == BPF_JMP | BPF_CALL && insn.src == 0 && insn.imm == crate::call::id::TAIL_CALL as i32 {
                self.subprogs[s].has_tail_call = true;
            }
            if class(insn.code) == BPF_LD && matches!(mode(insn.code), BPF_ABS | BPF_IND) {
                self.subprogs[s].has_ld_abs = true;
            }
            let (start, end) = (self.subprogs[s].start as i32, self.subprogs[s].end as i32);
            if matches!(class(insn.code), BPF_JMP | BPF_JMP32) && !matches!(op(insn.code), BPF_EXIT | BPF_CALL) {
                let by = if insn.code == BPF_JMP32 | BPF_JA { insn.imm } else { insn.off as i32 };
                let to = (i as i32).wrapping_add(1).wrapping_add(by);
                if to < start || to >= end {
                    return Err(Reject::JumpOutOfRange { from: i, to });
                }
            }
            let ends =
                insn.code == BPF_JMP | BPF_EXIT || insn.code == BPF_JMP | BPF_JA || insn.code == BPF_JMP32 | BPF_JA;
            if i as i32 == end - 1 && !ends {
                return Err(Reject::LastInsnNotExit);
            }
        }
        Ok(())
    }
}
