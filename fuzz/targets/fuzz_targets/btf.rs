//! Any bytes as BTF: what parses can be asked about every type without a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(btf) = btf::Btf::parse(bytes) else { return };
    for id in 0..btf.len() {
        let _ = (btf.name(id), btf.resolve_size(id), btf.skip_mods(id), btf.members(id).count());
    }
});
