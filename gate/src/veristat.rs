//! veristat's CSV: the names of its columns, a row an object and program. One kernel at a time, as veristat has it.

use report::{Cell, Verdict};

const COLUMNS: [&str; 15] = [
    "file_name",
    "prog_name",
    "verdict",
    "duration",
    "total_insns",
    "total_states",
    "peak_states",
    "max_states_per_insn",
    "max_mark_read_len",
    "prog_size",
    "prog_size_jited",
    "stack_depth",
    "prog_type",
    "attach_type",
    "mem_peak",
];

/// The cells of one kernel. What only a kernel can know (JIT size, memory) is 0.
pub fn write<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = out.write_record(COLUMNS);
    for c in cells {
        let verdict = if c.verdict == Verdict::Accept { "success" } else { "failure" };
        let stack: u32 = c.stack.iter().sum();
        let _ = out.write_record([
            c.object.rsplit('/').next().unwrap_or(&c.object),
            &c.program,
            verdict,
            &c.duration_us.to_string(),
            &c.insns.to_string(),
            &c.total_states.to_string(),
            &c.peak_states.to_string(),
            &c.max_states_per_insn.to_string(),
            "0",
            &c.size.to_string(),
            "0",
            &stack.to_string(),
            &c.prog_type,
            &c.attach_type,
            "0",
        ]);
    }
    String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
}
