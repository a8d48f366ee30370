//! Which loop a stored state belongs to, in kernels before 6.17: the topmost stored state that the continuations of a state came back
//! to, its loop's entry. While that entry has unfinished paths, marks of the states in the loop may be missing some. Newer kernels know
//! the loops of the program beforehand (`loops`).

use crate::env::Verifier;
use crate::state::StateId;

/// The current path, or a stored state.
#[derive(Clone, Copy)]
enum Node {
    Path,
    Stored(StateId),
}

impl Verifier<'_> {
    fn recorded_entry(&self, node: Node) -> Option<StateId> {
        match node {
            Node::Path => self.cur.loop_entry,
            Node::Stored(id) => self.explored.get(id)?.state.loop_entry,
        }
    }

    /// The outermost loop entry known for a state: the entry of its entry, and so on.
    fn topmost_entry(&self, node: Node) -> Option<StateId> {
        let mut top = self.recorded_entry(node)?;
        // Chains do not grow back into themselves; the bound is for hostile input only.
        for _ in 0..self.count.total_states {
            match self.recorded_entry(Node::Stored(top)) {
                Some(next) if next != top => top = next,
                _ => break,
            }
        }
        Some(top)
    }

    fn depth_and_branches(&self, node: Node) -> (u32, u32) {
        match node {
            Node::Path => (self.cur.dfs_depth, 1),
            Node::Stored(id) => self.explored.get(id).map_or((0, 0), |s| (s.state.dfs_depth, s.branches)),
        }
    }

    /// `node` came back to `entry`: one loop, unless `entry` is no longer on the way to the current path, or below `node`'s own.
    fn join(&mut self, node: Node, entry: StateId) {
        let outer = self.topmost_entry(Node::Stored(entry)).unwrap_or(entry);
        let own = self.topmost_entry(node).map_or(node, Node::Stored);
        let (depth, branches) = self.depth_and_branches(Node::Stored(outer));
        if branches == 0 || depth > self.depth_and_branches(own).0 {
            return;
        }
        match node {
            Node::Path => self.cur.loop_entry = Some(entry),
            Node::Stored(id) => {
                if let Some(s) = self.explored.get_mut(id) {
                    s.state.loop_entry = Some(entry);
                }
            }
        }
        if let Some(s) = self.explored.get_mut(entry) {
            s.is_entry = true;
        }
    }

    /// The loop of a finished state is still being walked.
    pub(super) fn in_open_loop(&self, id: StateId) -> bool {
        let entry = self.topmost_entry(Node::Stored(id)).and_then(|e| self.explored.get(e));
        entry.is_some_and(|e| e.branches > 0)
    }

    /// The current path is covered by `id`, or by a state of `id`'s loop.
    pub(super) fn join_loop(&mut self, id: StateId) {
        let open = self.explored.get(id).is_some_and(|s| s.branches > 0);
        let entry = if open { Some(id) } else { self.topmost_entry(Node::Stored(id)) };
        if let Some(entry) = entry {
            self.join(Node::Path, entry);
        }
    }

    /// A state is finished: the state before it is in the same loop.
    pub(super) fn pass_entry_on(&mut self, finished: Option<StateId>) {
        let node = finished.map_or(Node::Path, Node::Stored);
        let parent = match finished {
            None => self.cur.parent,
            Some(id) => self.explored.get(id).and_then(|s| s.state.parent),
        };
        if let (Some(parent), Some(entry)) = (parent, self.recorded_entry(node)) {
            self.join(Node::Stored(parent), entry);
        }
    }
}
