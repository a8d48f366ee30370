//! The block that machine code and Rust share during one entry into machine code; r12 points to it. The code that reads it is in
//! `stubs` and `lower`, the Rust side in `host`.

use std::ffi::c_void;
use std::mem::offset_of;

use runtime::{Fault, Region};

/// Memory that accesses through one BPF register may touch without asking, remembered from the last answer.
///
/// An access of `1 << k` bytes at `a` is inside if `a - start < limits[k]` (unsigned): one comparison. The limits are zero while
/// nothing is known.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    start: u64,
    /// By permission (read, write), then by the logarithm of the size.
    limits: [[u64; 4]; 2],
}

/// See the module.
#[repr(C)]
pub(crate) struct State {
    /// The `Run` that this entry belongs to, its lifetime erased.
    pub run: *mut c_void,
    /// Slots that may still be executed; negative: used up.
    pub budget: i64,
    /// Not zero: leave machine code.
    pub status: u64,
    /// r0 at exit, result of a helper.
    pub ret: u64,
    /// Stack pointer to go back to when leaving from anywhere.
    pub host_rsp: u64,
    /// r1 to r5 of a call.
    pub args: [u64; 5],
    /// r10 of the frame that calls.
    pub fp: u64,
    /// What is left of `may_goto`'s counter, in programs whose r10 is not the top of their frame.
    pub loops: u64,
    pub windows: [Window; 11],
    /// Bit N: window N has limits.
    pub dirty: u32,
    pub fault: Option<Fault>,
}

pub(crate) const BUDGET: i32 = offset_of!(State, budget) as i32;
pub(crate) const STATUS: i32 = offset_of!(State, status) as i32;
pub(crate) const RET: i32 = offset_of!(State, ret) as i32;
pub(crate) const HOST_RSP: i32 = offset_of!(State, host_rsp) as i32;
pub(crate) const ARGS: i32 = offset_of!(State, args) as i32;
pub(crate) const LOOPS: i32 = offset_of!(State, loops) as i32;
pub(crate) const FP: i32 = offset_of!(State, fp) as i32;

/// Offset of the start of the window of a BPF register.
pub(crate) fn window_start(base: u8) -> i32 {
    (offset_of!(State, windows) + usize::from(base) * size_of::<Window>()) as i32
}

/// Offset of the limit in that window for an access of `1 << log` bytes.
pub(crate) fn window_limit(base: u8, log: u32, write: bool) -> i32 {
    let limit = offset_of!(Window, limits) + (usize::from(write) * 4 + log as usize) * 8;
    window_start(base) + limit as i32
}

impl State {
    pub(crate) fn new(run: *mut c_void, budget: u64, args: [u64; 5], fp: u64) -> Self {
        Self {
            run,
            budget: i64::try_from(budget).unwrap_or(i64::MAX),
            status: 0,
            ret: 0,
            host_rsp: 0,
            args,
            fp,
            loops: 0,
            windows: [Window::default(); 11],
            dirty: 0,
            fault: None,
        }
    }

    /// Forgets all windows: after anything that may have moved or freed memory.
    pub(crate) fn invalidate(&mut self) {
        while self.dirty != 0 {
            let base = self.dirty.trailing_zeros() as usize;
            self.dirty &= self.dirty - 1;
            if let Some(w) = self.windows.get_mut(base) {
                w.limits = [[0; 4]; 2];
            }
        }
    }

    /// Remembers the object of `region` around `addr` for accesses through the BPF register `base`.
    pub(crate) fn remember(&mut self, base: u8, region: &Region, addr: u64) {
        let Some(w) = self.windows.get_mut(usize::from(base)) else { return };
        let (start, len) = if region.stride == 0 {
            (region.start, region.end - region.start)
        } else {
            let into = (addr - region.start) % u64::from(region.stride);
            (addr - into, u64::from(region.size).min(region.end - (addr - into)))
        };
        let limits = |allowed: bool| [1, 2, 4, 8].map(|n: u64| if allowed && len >= n { len - n + 1 } else { 0 });
        *w = Window { start, limits: [limits(region.read), limits(region.write)] };
        self.dirty |= 1 << base;
    }
}
