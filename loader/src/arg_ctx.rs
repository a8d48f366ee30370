//! Arguments of global functions that are tagged as the program's context (`__arg_ctx`), for kernels that know contexts only by the name
//! of their type: such a function gets a type of its own, with that name.

use btf::{Btf, Editor, Kind};
use program::InfoTable;
use spec::ProgType;

const TAG: &str = "arg:ctx";
/// Where a record of func_info has its type.
const TYPE_ID: std::ops::Range<usize> = 4..8;
/// Words of a prototype's fixed part, and of a parameter.
const FIXED: usize = 3;
const PARAM: usize = 2;

/// The type that kernels take for the context of these programs.
fn context_type(ty: ProgType) -> Option<&'static str> {
    use ProgType as P;
    Some(match ty {
        P::CgroupDevice => "bpf_cgroup_dev_ctx",
        P::CgroupSock => "bpf_sock",
        P::CgroupSockAddr => "bpf_sock_addr",
        P::CgroupSockopt => "bpf_sockopt",
        P::CgroupSysctl => "bpf_sysctl",
        P::Kprobe => "bpf_user_pt_regs_t",
        P::Netfilter => "bpf_nf_ctx",
        P::PerfEvent => "bpf_perf_event_data",
        P::RawTracepoint | P::RawTracepointWritable => "bpf_raw_tracepoint_args",
        P::SkLookup => "bpf_sk_lookup",
        P::SkMsg => "sk_msg_md",
        P::SkReuseport => "sk_reuseport_md",
        P::SockOps => "bpf_sock_ops",
        P::Xdp => "xdp_md",
        P::CgroupSkb
        | P::FlowDissector
        | P::LwtIn
        | P::LwtOut
        | P::LwtXmit
        | P::LwtSeg6local
        | P::SchedAct
        | P::SchedCls
        | P::SkSkb
        | P::SocketFilter => "__sk_buff",
        _ => return None,
    })
}

/// Gives functions behind the first whose tags say so types of their own. `None` if there is none.
pub(crate) fn retype(btf: &Btf, prog_type: u32, funcs: &mut InfoTable) -> Option<Editor> {
    let ty = ProgType::from_raw(prog_type)?;
    let context = context_type(ty)?;
    let size = funcs.rec_size.max(TYPE_ID.end as u32) as usize;
    let mut own = None;
    for record in funcs.bytes.chunks_exact_mut(size).skip(1) {
        let Some(id) = record.get(TYPE_ID).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b)) else {
            continue;
        };
        if let Some(func) = retype_function(btf, (ty, context), id, &mut own) {
            record[TYPE_ID].copy_from_slice(&func.to_le_bytes());
        }
    }
    own.map(|n| n.edit)
}

/// The types made so far.
struct Names {
    edit: Editor,
    /// Pointer to the type that kernels know.
    pointer: Option<u32>,
}

fn retype_function(btf: &Btf, (ty, context): (ProgType, &str), id: u32, own: &mut Option<Names>) -> Option<u32> {
    let func = *btf.ty(id).filter(|t| t.kind() == Kind::Func)?;
    let proto = btf.func_proto(id)?;
    let tagged = |i: &usize| btf.has_decl_tag(id, *i as i32, TAG) && is_other_pointer(btf, proto, *i, ty);
    let params: Vec<usize> = (0..btf.params(proto).count()).filter(tagged).collect();
    if params.is_empty() {
        return None;
    }
    let Names { edit, pointer } = own.get_or_insert_with(|| Names { edit: Editor::new(btf), pointer: None });
    let record = edit.record(proto)?;
    let own_proto = edit.add_type(0, Kind::FuncProto, btf.ty(proto)?.vlen() as u16, record[2], &record[FIXED..]);
    let own_func = edit.add_type(func.name_off, Kind::Func, func.vlen() as u16, own_proto, &[]);
    for param in params {
        let pointer = *pointer.get_or_insert_with(|| {
            let name = edit.add_string(context);
            let named = edit.add_type(name, Kind::Struct, 0, 0, &[]);
            edit.add_type(0, Kind::Ptr, 0, named, &[])
        });
        edit.set_word(own_proto, FIXED + param * PARAM + 1, pointer);
        let tag = edit.add_string(TAG);
        edit.add_type(tag, Kind::DeclTag, 0, own_func, &[param as u32]);
    }
    Some(own_func)
}

/// Whether the parameter is a pointer that is meant as the context, but to something else than the type that kernels know.
fn is_other_pointer(btf: &Btf, proto: u32, index: usize, ty: ProgType) -> bool {
    use ProgType as P;
    let Some(param) = btf.params(proto).nth(index) else { return false };
    let Some(pointer) = btf.skip_mods(param.type_id).and_then(|id| btf.ty(id)).filter(|t| t.kind() == Kind::Ptr) else {
        return false;
    };
    let Some(to) = btf.skip_mods_and_typedefs(pointer.size_or_type) else { return false };
    match btf.ty(to).map(|t| t.kind()) {
        Some(Kind::Void) => true,
        Some(Kind::Struct) => matches!(ty, P::Kprobe | P::PerfEvent) && btf.name(to) == "pt_regs",
        Some(Kind::Int) => matches!(ty, P::RawTracepoint | P::RawTracepointWritable) && btf.resolve_size(to) == Some(8),
        _ => false,
    }
}
