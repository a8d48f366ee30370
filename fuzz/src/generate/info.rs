//! BTF and function records for generated programs: callbacks are refused without them.

use std::sync::Arc;

use btf::{Btf, Editor, Kind};
use program::InfoTable;

/// BTF with one `static int f<n>(void)` for each start, and the records that tie them together.
pub(crate) fn for_functions(starts: &[usize]) -> Option<(Arc<Btf>, InfoTable)> {
    const SIGNED_32: u32 = 1 << 24 | 32;
    let mut e = Editor::empty();
    let int_name = e.add_string("int");
    let int = e.add_type(int_name, Kind::Int, 0, 4, &[SIGNED_32]);
    let proto = e.add_type(0, Kind::FuncProto, 0, int, &[]);
    let mut bytes = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let name = e.add_string(&format!("f{n}"));
        let func = e.add_type(name, Kind::Func, 0, proto, &[]);
        bytes.extend_from_slice(&(*start as u32).to_le_bytes());
        bytes.extend_from_slice(&func.to_le_bytes());
    }
    Some((Arc::new(e.finish().ok()?), InfoTable { rec_size: 8, bytes }))
}
