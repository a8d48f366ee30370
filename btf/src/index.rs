//! Lookup by name and of declaration tags: tables built when first asked for. Walking along references is in `resolve`.

use crate::Btf;
use crate::types::{DeclTag, Kind};

/// Tables over the types of one blob (its base has its own). A kernel's has more than a hundred thousand names, and most programs ask for a
/// handful: building it is most of what they wait for, so names are put into buckets in one pass instead of being sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Where each bucket of `names` begins, and after the last one where all end. A power of two of buckets.
    buckets: Vec<u32>,
    /// Ids by the bucket of their essential name, ascending in each.
    names: Vec<u32>,
    /// Sorted by target, component, id.
    tags: Vec<DeclTag>,
}

/// A name without its flavour: what stands before the last `___`, if something does and something follows.
pub fn essential_name(name: &str) -> &str {
    &name[..essential_len(name.as_bytes())]
}

fn essential_len(name: &[u8]) -> usize {
    // A separator is three underscores with a different character on each side.
    let separates = |w: &[u8]| w[0] != b'_' && &w[1..4] == b"___" && w[4] != b'_';
    if memchr::memmem::find(name, b"___").is_none() {
        return name.len();
    }
    name.windows(5).rposition(separates).map_or(name.len(), |at| at + 1)
}

/// FNV-1a of eight bytes at a time: names tell themselves apart early, and look-ups compare them anyway.
fn hash(name: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut step = |word: u64| hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = name.as_chunks::<8>();
    words.iter().for_each(|w| step(u64::from_le_bytes(*w)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    step(u64::from_le_bytes(last));
    hash ^ hash >> 32
}

impl Index {
    fn build(btf: &Btf) -> Self {
        let mut tags = Vec::new();
        let mut hashes: Vec<(u32, u32)> = Vec::with_capacity(btf.len() as usize);
        for (id, ty) in btf.own_types() {
            if ty.kind() == Kind::DeclTag {
                tags.extend(btf.decl_tag(id));
            } else if ty.name_off != 0 {
                let name = btf.string_bytes(ty.name_off);
                if !name.is_empty() {
                    hashes.push((hash(&name[..essential_len(name)]) as u32, id));
                }
            }
        }
        tags.sort_unstable_by_key(|t: &DeclTag| (t.target, t.component, t.tag_id));
        let count = hashes.len().next_power_of_two();
        let mut buckets = vec![0u32; count + 1];
        let of = |hash: u32| hash as usize & (count - 1);
        hashes.iter().for_each(|&(hash, _)| buckets[of(hash)] += 1);
        // From counts to ends; filling from behind moves each end to its beginning.
        let mut end = 0;
        for bucket in &mut buckets {
            end += *bucket;
            *bucket = end;
        }
        let mut names = vec![0; hashes.len()];
        for &(hash, id) in hashes.iter().rev() {
            let at = &mut buckets[of(hash)];
            *at -= 1;
            names[*at as usize] = id;
        }
        Self { buckets, names, tags }
    }

    /// The ids whose essential name may be this one.
    fn named(&self, essential: &[u8]) -> &[u32] {
        let bucket = hash(essential) as u32 as usize & self.buckets.len().saturating_sub(2);
        let range = |at: usize| self.buckets.get(at).map_or(0, |&n| n as usize);
        &self.names[range(bucket)..range(bucket + 1)]
    }
}

impl Btf {
    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::build(self))
    }

    /// Own types (not the base's) whose name without flavour is `essential`, by ascending id.
    pub(crate) fn own_with_essential_name<'a>(&'a self, essential: &'a str) -> impl Iterator<Item = u32> + 'a {
        let ids = self.index().named(essential.as_bytes());
        ids.iter().copied().filter(move |&id| essential_name(self.name(id)) == essential)
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
