//! Parameters of kfuncs: what their names and C types ask for.

use crate::call::ctx_type;
use crate::reg::{Kind as RegKind, Reg};
use btf::{Btf, Kind};
use spec::ProgType;
use spec::kfunc::Flags;

#[derive(Clone, Debug)]
pub(in crate::call) struct Param {
    pub name: String,
    pub type_id: u32,
}

impl Param {
    /// The name goes on before the suffix.
    pub fn ends(&self, suffix: &str) -> bool {
        self.name.len() > suffix.len() && self.name.ends_with(suffix)
    }
}

pub(super) fn params_of(btf: &Btf, proto: u32) -> Vec<Param> {
    btf.params(proto).map(|p| Param { name: btf.string(p.name_off).to_owned(), type_id: p.type_id }).collect()
}

/// What a pointer argument has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Ctx,
    Null,
    Object,
    Refcounted,
    Dynptr,
    Iter,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Str,
    Map,
    Workqueue,
    TaskWork,
    IrqFlag,
    ResLock,
    Btf,
    Callback,
    MemSize,
    Mem,
}

/// What the classification looks at.
pub(super) struct Question<'a> {
    pub btf: &'a Btf,
    pub kfunc: &'a str,
    pub flags: Flags,
    pub prog: ProgType,
    pub index: usize,
    pub param: &'a Param,
    /// What the pointer points to, qualifiers removed.
    pub pointee: u32,
    pub reg: &'a Reg,
    /// The next parameter with its register.
    pub next: Option<(&'a Param, &'a Reg)>,
}

/// What a `bpf_...` struct makes of a pointer to it.
fn by_struct(name: &str) -> Option<Class> {
    Some(match name {
        "bpf_list_head" => Class::ListHead,
        "bpf_list_node" => Class::ListNode,
        "bpf_rb_root" => Class::RbRoot,
        "bpf_rb_node" => Class::RbNode,
        _ => return None,
    })
}

impl Question<'_> {
    /// The first rule that fits.
    pub fn class(&self) -> Class {
        if self.kfunc == "bpf_cast_to_kern_ctx" || ctx_type::is_context(self.btf, self.pointee, self.prog) {
            return Class::Ctx;
        }
        self.other_class()
    }

    fn other_class(&self) -> Class {
        let p = self.param;
        let kind = self.btf.kind(self.pointee).unwrap_or(Kind::Void);
        let name = if kind == Kind::Struct { self.btf.name(self.pointee) } else { "" };
        let iter_kfunc = self.flags.intersects(Flags::ITER_NEW.and(Flags::ITER_NEXT).and(Flags::ITER_DESTROY));
        let with_size = self.next.is_some_and(|(next, _)| next.ends("__sz") || next.ends("__szk"));
        if p.ends("__nullable") && self.reg.is_null() && !with_size {
            return Class::Null;
        }
        if p.ends("__alloc") {
            return Class::Object;
        }
        if p.ends("__refcounted_kptr") {
            return Class::Refcounted;
        }
        if name == "bpf_dynptr" {
            return Class::Dynptr;
        }
        if (iter_kfunc && self.index == 0) || (!iter_kfunc && p.ends("__iter")) {
            return Class::Iter;
        }
        if let Some(class) = by_struct(name) {
            return class;
        }
        if p.ends("__str") {
            return Class::Str;
        }
        if p.ends("__map") {
            return Class::Map;
        }
        match name {
            "bpf_wq" => return Class::Workqueue,
            "bpf_task_work" => return Class::TaskWork,
            _ => {}
        }
        if p.ends("__irq_flag") {
            return Class::IrqFlag;
        }
        if name == "bpf_res_spin_lock" {
            return Class::ResLock;
        }
        use RegKind::{MapPtr, Sock, SockCommon, TcpSock};
        if matches!(self.reg.ty.kind, RegKind::Btf | Sock | SockCommon | TcpSock | MapPtr) {
            return Class::Btf;
        }
        if kind == Kind::FuncProto {
            return Class::Callback;
        }
        match self.next {
            Some((next, reg))
                if is_scalar(self.btf, next.type_id)
                    && reg.is_scalar()
                    && (next.ends("__sz") || next.ends("__szk")) =>
            {
                Class::MemSize
            }
            _ => Class::Mem,
        }
    }
}

/// An integer or enum. Floating point is not.
pub(super) fn is_scalar(btf: &Btf, id: u32) -> bool {
    btf.resolve(id).is_some_and(|(_, t)| t.kind() == Kind::Int || t.kind().is_enum())
}

/// A struct that holds nothing but numbers. `Err`: nested too deeply to tell.
pub(super) fn is_scalar_struct(btf: &Btf, id: u32, depth: u32) -> Result<bool, ()> {
    const MAX_NESTING: u32 = 4;
    let Some((id, ty)) = btf.resolve(id) else { return Ok(false) };
    if !ty.kind().is_struct_or_union() {
        return Ok(false);
    }
    for m in btf.members(id) {
        let Some((inner, ty)) = btf.resolve(m.type_id) else { return Ok(false) };
        if ty.kind().is_struct_or_union() {
            if depth + 1 >= MAX_NESTING {
                return Err(());
            }
            if !is_scalar_struct(btf, inner, depth + 1)? {
                return Ok(false);
            }
            continue;
        }
        let elem = match btf.array(inner) {
            Some(a) if a.nelems == 0 => return Ok(false),
            Some(a) => a.elem,
            None => inner,
        };
        if !is_scalar(btf, elem) {
            return Ok(false);
        }
    }
    Ok(true)
}
