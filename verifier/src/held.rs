//! The references that a path holds: a list in the order in which they were taken, of which copies share what is full. A loop that takes
//! references without end leaves a state per round, each with one more of them.

use crate::state::Ref;
use std::sync::Arc;

/// References per shared piece.
const PIECE: usize = 256;

/// See the module. All pieces are full; what is newer is in `rest`.
#[derive(Clone, Debug, Default)]
pub struct Held {
    full: Vec<Arc<[Ref]>>,
    rest: Vec<Ref>,
}

impl Held {
    pub fn len(&self) -> usize {
        self.full.len() * PIECE + self.rest.len()
    }

    pub fn push(&mut self, held: Ref) {
        self.rest.push(held);
        if self.rest.len() == PIECE {
            self.full.push(std::mem::take(&mut self.rest).into());
        }
    }

    /// From the oldest on.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Ref> + Clone {
        self.full.iter().flat_map(|piece| piece.iter()).chain(&self.rest)
    }

    pub fn contains(&self, held: &Ref) -> bool {
        self.iter().any(|r| r == held)
    }

    /// Takes out the newest that fits; false when none does.
    pub fn remove_last(&mut self, fits: impl Fn(&Ref) -> bool) -> bool {
        let newer = self.iter().rev().position(fits);
        newer.map(|n| self.remove(self.len() - 1 - n)).is_some()
    }

    fn remove(&mut self, at: usize) {
        let piece = at / PIECE;
        if piece == self.full.len() {
            self.rest.remove(at % PIECE);
            return;
        }
        // Everything from that piece on moves by one.
        let moved: Vec<Ref> = self.iter().skip(piece * PIECE).copied().collect();
        self.full.truncate(piece);
        self.rest.clear();
        let (before, from) = moved.split_at(at % PIECE);
        before.iter().chain(&from[1..]).for_each(|r| self.push(*r));
    }

    pub fn retain(&mut self, stays: impl FnMut(&&Ref) -> bool) {
        if self.full.is_empty() {
            let mut stays = stays;
            return self.rest.retain(|r| stays(&r));
        }
        *self = self.iter().filter(stays).copied().collect();
    }
}

impl FromIterator<Ref> for Held {
    fn from_iter<I: IntoIterator<Item = Ref>>(items: I) -> Held {
        let mut held = Held::default();
        items.into_iter().for_each(|r| held.push(r));
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{LockObj, RefKind};
    use proptest::prelude::*;

    fn of(id: u32) -> Ref {
        Ref { kind: RefKind::Ptr, id, insn: 0, lock: LockObj::None, callback: 0 }
    }

    proptest! {
        #[test]
        fn it_is_a_list(count in 0..700u32, gone in proptest::collection::vec(0..700u32, 0..20), cut in 0..700u32) {
            let mut held: Held = (0..count).map(of).collect();
            let mut list: Vec<u32> = (0..count).collect();
            for id in gone {
                let there = list.iter().position(|i| *i == id);
                prop_assert_eq!(held.remove_last(|r| r.id == id), there.is_some());
                there.map(|at| list.remove(at));
                held.push(of(id + 1000));
                list.push(id + 1000);
                prop_assert_eq!(held.remove_last(|r| r.id == id + 1000), true);
                list.pop();
            }
            held.retain(|r| r.id != cut);
            list.retain(|id| *id != cut);
            prop_assert_eq!(held.len(), list.len());
            prop_assert_eq!(held.iter().map(|r| r.id).collect::<Vec<_>>(), list);
        }
    }
}
