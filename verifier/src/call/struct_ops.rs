//! Members of kernel operation structs: what their prototype says about the start and the end of the program.

use crate::env::Verifier;
use crate::reg::{BtfId, Reg};
use crate::state::{LockObj, Ref, RefKind};
use btf::Kind;
use spec::ProgType;

impl Verifier<'_> {
    /// Return type of the member, with its kind.
    fn member_return(&self) -> Option<(u32, Kind)> {
        let btf = self.btf(BtfId::KERNEL)?;
        let ret = btf.ty(self.target.proto?)?.type_id()?;
        let (id, ty) = btf.resolve(ret)?;
        Some((id, ty.kind()))
    }

    pub(super) fn struct_ops_returns_void(&self) -> bool {
        self.member_return().is_some_and(|(_, kind)| kind == Kind::Void)
    }

    pub(super) fn struct_ops_returns_pointer(&self) -> bool {
        self.member_return().is_some_and(|(_, kind)| kind == Kind::Ptr)
    }

    /// The register is a pointer of exactly the type that the member returns.
    pub(super) fn is_struct_ops_result(&self, reg: &Reg) -> bool {
        let target = || {
            let btf = self.btf(BtfId::KERNEL)?;
            let (ptr, _) = self.member_return()?;
            btf.skip_mods_and_typedefs(btf.ty(ptr)?.type_id()?)
        };
        reg.btf().is_some_and(|(btf, id)| btf == BtfId::KERNEL && target() == Some(id))
    }

    /// Arguments that the member owns (`__ref` in the kernel's stub of it) are held from the start.
    pub(super) fn acquire_context_references(&mut self) {
        if self.prog_type != ProgType::StructOps {
            return;
        }
        let owned = || {
            let btf = self.btf(BtfId::KERNEL)?;
            let (ops, member) = self.target.name.split_once('.')?;
            let stub = btf.find_by_name_kind(&format!("{ops}__{member}"), Kind::Func)?;
            Some(btf.params(btf.func_proto(stub)?).filter(|p| btf.string(p.name_off).ends_with("__ref")).count())
        };
        for _ in 0..owned().unwrap_or(0) {
            let id = self.new_id();
            self.cur.refs.push(Ref { kind: RefKind::Ptr, id, insn: 0, lock: LockObj::None, callback: 0 });
        }
    }
}
