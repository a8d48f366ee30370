//! The log buffers: who gets which text, and what is forgotten when. What a state looks like as text is in `print`.
//!
//! Text classes: **A** goes to every log (errors and a few notes), **L** to levels 1 and 2, **L2** to level 2. Two logs are kept: the message
//! (what level 4 would show: always, it is the answer's `message`) and, when asked for, the trace at level 1 or 2.

use std::fmt::{self, Write};

/// Levels as in `log_level`: bit 1 and 2 select the trace, 4 the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level(pub u32);

impl Level {
    pub const fn trace(self) -> bool {
        self.0 & 3 != 0
    }
    pub const fn level2(self) -> bool {
        self.0 & 2 != 0
    }
}

/// Position in both logs, recorded when a branch is queued.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    message: usize,
    trace: usize,
}

/// Longest piece the kernel prints at once.
const PIECE: usize = 1023;

#[derive(Debug, Default)]
pub struct Log {
    pub level: Level,
    message: String,
    trace: String,
    /// Length of the last instruction line and the trace position behind it: a state right after it goes on the same line.
    pub insn_line: Option<(usize, usize)>,
    /// Registers (bit n = Rn) and slots (bit k = slot k) that changed since a state was printed.
    pub scratched_regs: u32,
    pub scratched_slots: u64,
    /// A `from X to Y` header is due.
    pub header_due: bool,
    /// Last line_info record printed, in the trace and in the message.
    pub last_line: Option<usize>,
    pub message_last_line: Option<usize>,
}

impl Log {
    pub fn new(level: u32) -> Log {
        Log { level: Level(level), ..Log::default() }
    }

    /// Class A text.
    pub fn a(&mut self, text: fmt::Arguments<'_>) {
        let from = self.message.len();
        // Writing to a String cannot fail.
        let _ = self.message.write_fmt(text);
        cut(&mut self.message, from);
        if self.level.trace() {
            let piece = self.message[from..].to_owned();
            self.trace.push_str(&piece);
        }
    }

    /// Text for the message only: the trace had it before.
    pub fn message_only(&mut self, text: fmt::Arguments<'_>) {
        let from = self.message.len();
        let _ = self.message.write_fmt(text);
        cut(&mut self.message, from);
    }

    /// Class L text (levels 1 and 2). Callers test `level.trace()` first when the arguments cost anything.
    pub fn l(&mut self, text: fmt::Arguments<'_>) {
        if self.level.trace() {
            let from = self.trace.len();
            let _ = self.trace.write_fmt(text);
            cut(&mut self.trace, from);
        }
    }

    /// Class L text that the kernel prints in many pieces, such as a state: no limit applies to the whole.
    pub fn l_pieces(&mut self, text: &str) {
        if self.level.trace() {
            self.trace.push_str(text);
        }
    }

    /// The same for class A.
    pub fn a_pieces(&mut self, text: &str) {
        self.message.push_str(text);
        self.l_pieces(text);
    }

    /// Class L2 text (level 2).
    pub fn l2(&mut self, text: fmt::Arguments<'_>) {
        if self.level.level2() {
            self.l(text);
        }
    }

    pub fn mark(&self) -> Mark {
        Mark { message: self.message.len(), trace: self.trace.len() }
    }

    /// A queued branch is taken up: all but level 2 forget what came since it was queued.
    pub fn rewind(&mut self, m: Mark) {
        self.message.truncate(m.message);
        if !self.level.level2() {
            self.trace.truncate(m.trace);
        }
    }

    /// A function was verified: all but level 2 start afresh.
    pub fn function_done(&mut self) {
        self.message.clear();
        if !self.level.level2() {
            self.trace.clear();
        }
    }

    pub fn end(&self) -> usize {
        self.trace.len()
    }

    /// Takes back the new line of an instruction line so that its state follows on the same line.
    pub fn unwrite_newline(&mut self) {
        if self.trace.ends_with('\n') {
            self.trace.pop();
        }
    }

    pub fn scratch_reg(&mut self, r: usize) {
        self.scratched_regs |= 1 << r;
    }
    pub fn scratch_slot(&mut self, slot: usize) {
        if slot < 64 {
            self.scratched_slots |= 1 << slot;
        }
    }
    pub fn scratch_all(&mut self) {
        self.scratched_regs = u32::MAX;
        self.scratched_slots = u64::MAX;
    }
    pub fn clear_scratched(&mut self) {
        self.scratched_regs = 0;
        self.scratched_slots = 0;
    }
    pub fn anything_scratched(&self) -> bool {
        self.scratched_regs != 0 || self.scratched_slots != 0
    }

    /// The two logs: message and trace.
    pub fn into_parts(self) -> (String, String) {
        (self.message, self.trace)
    }
}

/// Cuts what was written since `from` to the longest piece the kernel prints at once.
fn cut(s: &mut String, from: usize) {
    if s.len() - from > PIECE {
        let mut end = from + PIECE;
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        s.truncate(end);
    }
}
