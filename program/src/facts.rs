//! What a verifier has proven about a program, per slot, as plain data below both sides: the verifier writes it, engines use it
//! without knowing the prover. No proof and no use of one is here.

/// What is known about the memory access of one slot.
///
/// Every kind but `Unknown` and `Mixed` is a **proof** with this meaning: whenever control reaches the slot in a run that
/// started as the verifier assumed, the access (all of its bytes, base register plus offset) lies within one object of that kind
/// that is live at that moment and that may be read or written as the instruction does. An engine may then leave out its own
/// check. A slot that the verifier never reached, or that it reached only speculatively, stays `Unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fact {
    /// Nothing: check.
    #[default]
    Unknown,
    /// A frame of this call chain.
    Stack,
    /// The context; the load or store is still a conversion, not plain memory.
    Ctx,
    /// Packet data or metadata between its verified ends.
    Packet,
    /// The value of a map element.
    MapValue,
    /// Memory of known size from elsewhere: ring buffer records, dynptr slices, arguments of global functions.
    Mem,
    /// A kernel object by its BTF type. With `probe` the pointer may be stale or NULL: a load that faults reads 0.
    Btf { probe: bool },
    /// An arena: any 32-bit offset is allowed, unbacked pages read as 0 and swallow writes.
    Arena,
    /// Different kinds on different paths, each proven: plain memory only if none of them is `Ctx`, `Btf` or `Arena`, which is
    /// why `merge` loses the proof when one is.
    Mixed,
}

impl Fact {
    /// Whether the access is proven to touch plain memory, so that it may be done without a check.
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Stack | Self::Packet | Self::MapValue | Self::Mem | Self::Mixed)
    }

    /// The fact for a slot reached on two paths.
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            (Self::Btf { .. }, Self::Btf { .. }) => Self::Btf { probe: true },
            _ if self.is_plain() && other.is_plain() => Self::Mixed,
            _ => Self::Unknown,
        }
    }
}

/// Facts of a whole program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// One per slot; `None` where no path has been yet, which counts as `Unknown`.
    slots: Vec<Option<Fact>>,
}

impl Facts {
    /// Nothing known about a program of `slots` slots.
    pub fn new(slots: usize) -> Self {
        Self { slots: vec![None; slots] }
    }

    /// What is proven about the access at `slot`.
    pub fn at(&self, slot: usize) -> Fact {
        self.slots.get(slot).copied().flatten().unwrap_or_default()
    }

    /// Records what one path proves about the access at `slot`. `Unknown` sticks.
    pub fn record(&mut self, slot: usize, fact: Fact) {
        if let Some(known) = self.slots.get_mut(slot) {
            *known = Some(known.map_or(fact, |k| k.merge(fact)));
        }
    }

    /// Number of slots with a proof.
    pub fn proven(&self) -> usize {
        self.slots.iter().filter(|f| !matches!(f, None | Some(Fact::Unknown))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Fact; 10] = [
        Fact::Unknown,
        Fact::Stack,
        Fact::Ctx,
        Fact::Packet,
        Fact::MapValue,
        Fact::Mem,
        Fact::Btf { probe: false },
        Fact::Btf { probe: true },
        Fact::Arena,
        Fact::Mixed,
    ];

    #[test]
    fn merging_never_gains_a_proof() {
        for a in ALL {
            for b in ALL {
                let m = a.merge(b);
                assert_eq!(m, b.merge(a), "{a:?} {b:?}");
                assert!(!m.is_plain() || (a.is_plain() && b.is_plain()), "{a:?} {b:?}");
                for c in ALL {
                    assert_eq!(m.merge(c).is_plain(), a.merge(b.merge(c)).is_plain(), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }

    #[test]
    fn unknown_sticks() {
        let mut f = Facts::new(2);
        assert_eq!(f.at(0), Fact::Unknown);
        f.record(0, Fact::Stack);
        assert_eq!((f.at(0), f.proven()), (Fact::Stack, 1));
        f.record(0, Fact::Unknown);
        f.record(0, Fact::Stack);
        assert_eq!((f.at(0), f.proven()), (Fact::Unknown, 0));
        f.record(9, Fact::Stack);
        assert_eq!(f.at(9), Fact::Unknown);
    }
}
