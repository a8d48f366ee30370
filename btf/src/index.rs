//! Lookup by name and of declaration tags: tables built when first asked for. Walking along references is in `resolve`.

use crate::Btf;
use crate::types::{DeclTag, Kind};
use std::hash::{DefaultHasher, Hasher};

/// Sorted tables over the types of one blob (its base has its own).
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// (hash of the essential name, id), sorted.
    names: Vec<(u32, u32)>,
    /// Sorted by target, component, id.
    tags: Vec<DeclTag>,
}

/// A name without its flavour: what stands before the last `___`, if something does and something follows.
pub fn essential_name(name: &str) -> &str {
    let bytes = name.as_bytes();
    let n = bytes.len();
    for i in (0..n.saturating_sub(4)).rev() {
        // A separator is three underscores with a different character on each side.
        let separated = bytes[i] != b'_' && &bytes[i + 1..i + 4] == b"___" && bytes[i + 4] != b'_';
        if separated {
            return &name[..i + 1];
        }
    }
    name
}

fn hash(name: &str) -> u32 {
    let mut h = DefaultHasher::new();
    h.write(name.as_bytes());
    h.finish() as u32
}

impl Index {
    fn build(btf: &Btf) -> Self {
        let mut index = Self { names: Vec::with_capacity(btf.len() as usize), tags: Vec::new() };
        for (id, ty) in btf.own_types() {
            if ty.kind() == Kind::DeclTag {
                index.tags.extend(btf.decl_tag(id));
                continue;
            }
            if ty.name_off != 0 {
                let name = btf.string(ty.name_off);
                if !name.is_empty() {
                    index.names.push((hash(essential_name(name)), id));
                }
            }
        }
        index.names.sort_unstable();
        index.tags.sort_unstable_by_key(|t| (t.target, t.component, t.tag_id));
        index
    }
}

impl Btf {
    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::build(self))
    }

    /// Own types (not the base's) whose name without flavour is `essential`, by ascending id.
    pub(crate) fn own_with_essential_name<'a>(&'a self, essential: &'a str) -> impl Iterator<Item = u32> + 'a {
        let names = &self.index().names;
        let wanted = hash(essential);
        let first = names.partition_point(|&(h, _)| h < wanted);
        names[first..]
            .iter()
            .take_while(move |&&(h, _)| h == wanted)
            .map(|&(_, id)| id)
            .filter(move |&id| essential_name(self.name(id)) == essential)
    }

    /// All types with exactly this name, the base's first, by ascending id. Declaration tags have a value, not a name.
    pub fn find_by_name<'a>(&'a self, name: &'a str) -> Box<dyn Iterator<Item = u32> + 'a> {
        let own = self.own_with_essential_name(essential_name(name)).filter(move |&id| self.name(id) == name);
        match self.base() {
            Some(base) => Box::new(base.find_by_name(name).chain(own)),
            None => Box::new(own),
        }
    }

    /// The first type of that name and kind.
    pub fn find_by_name_kind(&self, name: &str, kind: Kind) -> Option<u32> {
        self.find_by_name(name).find(|&id| self.kind(id) == Some(kind))
    }

    /// The first type of that kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        self.find_by_name_kind(name, kind)
    }

    /// Values of the declaration tags on a type (`component` -1) or on one of its members or parameters.
    pub fn decl_tags_of(&self, target: u32, component: i32) -> impl Iterator<Item = &str> {
        self.decl_tags(target).filter(move |t| t.component == component).map(|t| self.name(t.tag_id))
    }

    /// All declaration tags on a type and on its parts.
    pub fn decl_tags(&self, target: u32) -> impl Iterator<Item = DeclTag> + '_ {
        let in_base = self.base().into_iter().flat_map(move |base| base.decl_tags_boxed(target));
        let tags = &self.index().tags;
        let from = tags.partition_point(|t| t.target < target);
        let to = tags.partition_point(|t| t.target <= target);
        in_base.chain(tags[from..to].iter().copied())
    }

    /// Breaks the recursion of the opaque type above.
    fn decl_tags_boxed(&self, target: u32) -> Box<dyn Iterator<Item = DeclTag> + '_> {
        Box::new(self.decl_tags(target))
    }

    pub fn has_decl_tag(&self, target: u32, component: i32, value: &str) -> bool {
        self.decl_tags_of(target, component).any(|v| v == value)
    }
}
