//! What loaders find out about a kernel before they pass an object on to it: kinds of BTF, attach types, links. What libbpf 1.7 does about
//! what is lacking is the loader crate's matter.

use super::switches::switches;

switches! {
    /// What a kernel takes of what a loader might give it. Held against libbpf in 5.10, 6.1 and 6.18; releases in between are general
    /// knowledge.
    Takes {
        /// BTF_KIND_FLOAT.
        btf_float "5.13";
        /// BTF_KIND_DECL_TAG.
        btf_decl_tag "5.16";
        /// BTF_KIND_TYPE_TAG.
        btf_type_tag "5.17";
        /// BTF_KIND_ENUM64, and signed enums.
        btf_enum64 "6.0";
        /// DATASECs whose name begins with a question mark.
        btf_optional_sections "6.9";
        /// Arguments of global functions that are tagged as contexts.
        arg_ctx_tag "6.8";
        /// BPF_TRACE_UPROBE_MULTI.
        uprobe_multi "6.6";
        /// Cookies of perf event links.
        bpf_cookie "5.15";
    }
}
