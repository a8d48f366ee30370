//! Which addresses a run may touch: a sorted table of regions with permissions. Not here: the memory itself (`memory`).

/// What a region is. Shown in faults; `Ctx` also has loads that are not plain (see `ctx`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Stack,
    Ctx,
    Packet,
    MapKey,
    MapValue,
    /// Ring buffer records, dynptr slices, sockets, global function memory.
    Mem,
    /// Kernel objects laid out from BTF.
    Kernel,
    /// Memory of the simulated user process: only for probe_read_user and friends.
    User,
    Arena,
}

/// An address range. With `stride` it is a row of equal objects of which only the first `size` bytes may be touched, and no access may cross
/// from one object to the next: array elements, stack frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// 0: a single object from `start` to `end`.
    pub stride: u32,
    pub size: u32,
    pub kind: Kind,
    pub read: bool,
    pub write: bool,
}

impl Region {
    pub fn new(kind: Kind, start: u64, len: u64) -> Self {
        Self { start, end: start + len, stride: 0, size: 0, kind, read: true, write: true }
    }

    pub fn read_only(self) -> Self {
        Self { write: false, ..self }
    }

    pub fn write_only(self) -> Self {
        Self { read: false, ..self }
    }

    /// A row of objects, each `size` bytes wide, every `stride` bytes.
    pub fn row(self, stride: u32, size: u32) -> Self {
        Self { stride, size, ..self }
    }

    #[inline(always)]
    fn holds(&self, addr: u64, len: u64) -> bool {
        // An address near the top of the address space must not wrap into validity.
        if addr < self.start || addr >= self.end || len > self.end - addr {
            return false;
        }
        self.stride == 0 || (addr - self.start) % u64::from(self.stride) + len <= u64::from(self.size)
    }

    #[inline(always)]
    fn allows(&self, write: bool) -> bool {
        if write { self.write } else { self.read }
    }
}

/// The regions of one run, sorted by start, never overlapping.
#[derive(Debug, Default)]
pub struct Regions {
    list: Vec<Region>,
    hint: usize,
}

impl Regions {
    pub fn clear(&mut self) {
        self.list.clear();
        self.hint = 0;
    }

    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.list.iter()
    }

    /// Adds a region, replacing one with the same start. Empty regions are not kept.
    pub fn insert(&mut self, region: Region) {
        let at = self.list.partition_point(|r| r.start < region.start);
        if self.list.get(at).is_some_and(|r| r.start == region.start) {
            self.list.remove(at);
        }
        if region.end > region.start {
            self.list.insert(at, region);
        }
        self.hint = 0;
    }

    /// Removes the region that starts at `start`.
    pub fn remove(&mut self, start: u64) -> Option<Region> {
        let at = self.list.iter().position(|r| r.start == start)?;
        self.hint = 0;
        Some(self.list.remove(at))
    }

    /// Moves the end of the region at `start` (stack depth, packet tail).
    pub fn resize(&mut self, start: u64, end: u64) {
        if let Some(r) = self.list.iter_mut().find(|r| r.start == start) {
            r.end = end;
        }
    }

    /// The region that allows this access.
    #[inline(always)]
    pub fn check(&mut self, addr: u64, len: u64, write: bool) -> Option<Region> {
        if let Some(r) = self.list.get(self.hint)
            && r.holds(addr, len)
            && r.allows(write)
        {
            return Some(*r);
        }
        self.search(addr, len, write)
    }

    fn search(&mut self, addr: u64, len: u64, write: bool) -> Option<Region> {
        let at = self.list.partition_point(|r| r.start <= addr).checked_sub(1)?;
        let r = self.list[at];
        self.hint = at;
        (r.holds(addr, len) && r.allows(write)).then_some(r)
    }

    /// The region that contains `addr`, whatever the permissions.
    pub fn at(&self, addr: u64) -> Option<&Region> {
        let at = self.list.partition_point(|r| r.start <= addr).checked_sub(1)?;
        self.list.get(at).filter(|r| addr < r.end)
    }

    /// How many bytes from `addr` on can be read without a fault.
    pub fn readable(&self, addr: u64) -> u64 {
        match self.at(addr) {
            Some(r) if r.read && r.stride == 0 => r.end - addr,
            Some(r) if r.read => {
                let into = (addr - r.start) % u64::from(r.stride);
                u64::from(r.size).saturating_sub(into)
            }
            _ => 0,
        }
    }

    /// Words for a fault: the region around or nearest below `addr`.
    pub fn describe(&self, addr: u64) -> String {
        let Some(at) = self.list.partition_point(|r| r.start <= addr).checked_sub(1) else {
            return if addr < 4096 { "null pointer".into() } else { "no region below".into() };
        };
        let r = &self.list[at];
        let off = addr - r.start;
        let len = r.end - r.start;
        match r.kind {
            _ if addr >= r.end && addr - r.end > 1 << 20 => "in no region".into(),
            kind if r.stride != 0 && addr < r.end => format!(
                "{kind:?} object {}, offset {}, size {}",
                off / u64::from(r.stride),
                off % u64::from(r.stride),
                r.size
            ),
            kind => format!("{kind:?} offset {off}, size {len}, {}", if r.write { "rw" } else { "ro" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Regions {
        let mut t = Regions::default();
        t.insert(Region::new(Kind::MapValue, 0x1000, 64).row(16, 12));
        t.insert(Region::new(Kind::Packet, 0x2000, 10).read_only());
        t
    }

    #[test]
    fn accesses_stay_inside_one_object() {
        let mut t = table();
        assert!(t.check(0x1010, 8, true).is_some());
        assert!(t.check(0x1018, 4, true).is_some());
        assert!(t.check(0x101a, 4, true).is_none(), "crosses the end of element 1");
        assert!(t.check(0x101c, 1, false).is_none(), "padding");
        assert!(t.check(0x1038, 4, false).is_some());
        assert!(t.check(0x1040, 1, false).is_none());
    }

    #[test]
    fn permissions_and_ends_hold() {
        let mut t = table();
        assert!(t.check(0x2000, 10, false).is_some());
        assert!(t.check(0x2000, 1, true).is_none());
        assert!(t.check(0x2008, 4, false).is_none());
        assert!(t.check(u64::MAX, 8, false).is_none());
        assert!(t.check(0, 1, false).is_none());
        assert_eq!(t.readable(0x2003), 7);
        assert_eq!(t.readable(0x1013), 9);
    }
}
