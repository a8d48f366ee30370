//! Any bytes as BTF and as BTF.ext: what parses can be asked about every type, and checked as a kernel does, without a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = btf::ext::BtfExt::parse(bytes);
    let Ok(btf) = btf::Btf::parse(bytes) else { return };
    let _ = btf.check_as_kernel();
    for id in 0..btf.len() {
        let _ = (btf.name(id), btf.resolve_size(id), btf.skip_mods(id), btf.members(id).count());
        let _ = (btf.resolve(id), btf.array(id), btf.func_proto(id), btf.params(id).count());
    }
});
