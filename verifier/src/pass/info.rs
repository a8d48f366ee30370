//! func_info and line_info: well-formed, and in step with the subprograms.

use crate::env::Verifier;
use crate::reject::errno::*;
use crate::reject::{R, Reject};
use crate::subprog::Linkage;
use btf::{Btf, FuncLinkage, Kind};
use program::InfoTable;

const MIN_FUNC_REC: u32 = 8;
const MIN_LINE_REC: u32 = 16;
const MAX_REC: u32 = 252;

fn count(t: &InfoTable) -> usize {
    if t.bytes.is_empty() { 0 } else { t.bytes.len() / t.rec_size.max(1) as usize }
}

/// A record's bytes beyond what this kernel knows must be zero.
fn tail_is_zero(t: &InfoTable, i: usize, known: u32) -> bool {
    let at = i * t.rec_size as usize;
    t.bytes.get(at + known as usize..at + t.rec_size as usize).is_none_or(|b| b.iter().all(|x| *x == 0))
}

impl Verifier<'_> {
    /// Before subprograms are known: the records of func_info by themselves.
    pub fn check_func_info_records(&mut self) -> R {
        let t = &self.prog.func_info;
        if count(t) == 0 && count(&self.prog.line_info) == 0 {
            return Ok(());
        }
        let Some(btf) = self.prog.btf.clone() else { return Err(Reject::Silent { errno: EINVAL }) };
        if count(t) == 0 {
            return Ok(());
        }
        let size = t.rec_size;
        if !(MIN_FUNC_REC..=MAX_REC).contains(&size) || !size.is_multiple_of(4) {
            return Err(Reject::FuncInfoRecordSize { size });
        }
        let mut last = 0;
        for (i, row) in t.rows().enumerate() {
            if !tail_is_zero(t, i, MIN_FUNC_REC) {
                return Err(Reject::FuncInfoTail);
            }
            let (off, id) = (row[0], row[1]);
            if i == 0 && off != 0 {
                return Err(Reject::FuncInfoFirstOffset { off });
            }
            if i > 0 && off <= last {
                return Err(Reject::FuncInfoOrder { off, last });
            }
            if btf.kind(id) != Some(Kind::Func) {
                return Err(Reject::FuncInfoType { id });
            }
            if btf.func_proto(id).is_none() {
                return Err(Reject::Silent { errno: EINVAL });
            }
            last = off;
        }
        Ok(())
    }

    /// func_info against the subprograms, then line_info.
    pub fn check_btf_info(&mut self) -> R {
        let btf = self.prog.btf.clone();
        match (count(&self.prog.func_info), btf) {
            (0, _) | (_, None) => self.check_subprogs_without_btf()?,
            (n, Some(btf)) => self.match_func_info(n, &btf)?,
        }
        if count(&self.prog.line_info) > 0
            && let Some(btf) = self.prog.btf.clone()
        {
            self.check_line_info(&btf)?;
        }
        Ok(())
    }

    fn check_subprogs_without_btf(&self) -> R {
        for s in &self.subprogs[1..] {
            if s.has_ld_abs {
                return Err(Reject::NoBtfForLdAbs);
            }
            if s.has_tail_call {
                return Err(Reject::NoBtfForTailCall);
            }
        }
        Ok(())
    }

    fn match_func_info(&mut self, n: usize, btf: &Btf) -> R {
        if n != self.subprogs.len() {
            return Err(Reject::FuncInfoCount);
        }
        let rows: Vec<Vec<u32>> = self.prog.func_info.rows().collect();
        for (i, row) in rows.iter().enumerate() {
            let s = &mut self.subprogs[i];
            if s.start != row[0] {
                return Err(Reject::FuncInfoLayout);
            }
            s.func_id = row[1];
            s.name = btf.name(row[1]).to_owned();
            s.linkage = match btf.ty(row[1]).and_then(|t| t.func_linkage()) {
                Some(FuncLinkage::Global) => Some(Linkage::Global),
                Some(FuncLinkage::Extern) => Some(Linkage::Extern),
                _ => Some(Linkage::Static),
            };
            if i > 0 && !returns_int(btf, row[1]) {
                if s.has_ld_abs {
                    return Err(Reject::LdAbsReturnsInt);
                }
                if s.has_tail_call {
                    return Err(Reject::TailCallReturnsInt);
                }
            }
        }
        Ok(())
    }

    fn check_line_info(&mut self, btf: &Btf) -> R {
        let t = &self.prog.line_info;
        let size = t.rec_size;
        if !(MIN_LINE_REC..=MAX_REC).contains(&size) || !size.is_multiple_of(4) {
            return Err(Reject::Silent { errno: EINVAL });
        }
        let len = self.insns.len() as u32;
        let (mut s, mut prev) = (0, 0);
        for (i, row) in t.rows().enumerate() {
            if !tail_is_zero(t, i, MIN_LINE_REC) {
                return Err(Reject::LineInfoTail);
            }
            let off = row[0];
            if (i > 0 && off <= prev) || off >= len {
                return Err(Reject::LineInfoOffset { index: i, off, prev, len });
            }
            if self.insns[off as usize].code == 0 {
                return Err(Reject::LineInfoInsn { index: i });
            }
            if btf.try_string(row[2]).is_none() || btf.try_string(row[1]).is_none() {
                return Err(Reject::LineInfoStrings { index: i });
            }
            if let Some(sub) = self.subprogs.get(s) {
                if off == sub.start {
                    s += 1;
                } else if off > sub.start {
                    return Err(Reject::LineInfoMissing { func: s });
                }
            }
            prev = off;
        }
        if s < self.subprogs.len() {
            return Err(Reject::LineInfoMissingFrom { count: self.subprogs.len() - s, func: s });
        }
        Ok(())
    }
}

fn returns_int(btf: &Btf, func: u32) -> bool {
    let ret = btf
        .func_proto(func)
        .and_then(|p| btf.ty(p))
        .and_then(|t| t.type_id())
        .and_then(|r| btf.skip_mods_and_typedefs(r));
    match ret.and_then(|r| Some((r, btf.kind(r)?))) {
        Some((r, Kind::Int)) => btf.resolve_size(r).is_some_and(|s| s <= 8),
        Some((_, Kind::Enum | Kind::Enum64)) => true,
        _ => false,
    }
}
