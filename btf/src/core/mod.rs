//! CO-RE: what a relocation recorded against the program's BTF is worth in a target's (kernel's) BTF. Patching instructions with
//! the answer is the loader's matter.
//!
//! `spec` turns an access string into a path of named steps, `compat` says when types are alike, `find` looks a path up in the
//! target, `value` turns it into the number asked for.

mod compat;
mod find;
mod spec;
mod value;

pub use value::{MemAccess, Value};

use crate::ext::CoreRelo;
use crate::{Btf, Kind, essential_name};
use spec::Spec;
use std::cell::Cell;
use std::collections::HashMap;

/// BPF_CORE_*: what a relocation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelocKind {
    FieldByteOffset,
    FieldByteSize,
    FieldExists,
    FieldSigned,
    FieldLshift,
    FieldRshift,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumExists,
    EnumValue,
    TypeMatches,
}

impl RelocKind {
    pub const fn from_raw(raw: u32) -> Option<Self> {
        Some(match raw {
            0 => Self::FieldByteOffset,
            1 => Self::FieldByteSize,
            2 => Self::FieldExists,
            3 => Self::FieldSigned,
            4 => Self::FieldLshift,
            5 => Self::FieldRshift,
            6 => Self::TypeIdLocal,
            7 => Self::TypeIdTarget,
            8 => Self::TypeExists,
            9 => Self::TypeSize,
            10 => Self::EnumExists,
            11 => Self::EnumValue,
            12 => Self::TypeMatches,
            _ => return None,
        })
    }

    pub(crate) const fn is_type_based(self) -> bool {
        matches!(self, Self::TypeIdLocal | Self::TypeIdTarget | Self::TypeExists | Self::TypeSize | Self::TypeMatches)
    }

    pub(crate) const fn is_enum_based(self) -> bool {
        matches!(self, Self::EnumExists | Self::EnumValue)
    }

    /// libbpf's name of the kind in its messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FieldByteOffset => "byte_off",
            Self::FieldByteSize => "byte_sz",
            Self::FieldExists => "field_exists",
            Self::FieldSigned => "signed",
            Self::FieldLshift => "lshift_u64",
            Self::FieldRshift => "rshift_u64",
            Self::TypeIdLocal => "local_type_id",
            Self::TypeIdTarget => "target_type_id",
            Self::TypeExists => "type_exists",
            Self::TypeSize => "type_size",
            Self::EnumExists => "enumval_exists",
            Self::EnumValue => "enumval_value",
            Self::TypeMatches => "type_matches",
        }
    }
}

/// Why a relocation has no answer (a missing field has one: poison).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("unknown CO-RE relocation kind {0}")]
    Kind(u32),
    #[error("type id {0} is not in the program's BTF")]
    TypeId(u32),
    #[error("cannot parse access string `{0}`")]
    Access(String),
    #[error("access string `{access}` does not fit type [{id}] {name}: {problem}")]
    Spec { access: String, id: u32, name: String, problem: &'static str },
    #[error("[{0}] is anonymous: relocations against anonymous types are not supported")]
    Anonymous(u32),
    #[error("`{name}` is ambiguous in the target: [{first}] and [{second}] give different answers")]
    Ambiguous { name: String, first: u32, second: u32 },
    #[error("types of [{0}] nest too deep to be compared")]
    TooDeep(u32),
    #[error("{0} does not apply to this access")]
    NotApplicable(&'static str),
    #[error("bitfield straddles more than 8 bytes")]
    Bitfield,
    #[error("needs the target kernel's BTF")]
    NoTarget,
}

/// The answer to a relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What the compiler put in, so that a patch can check what it replaces.
    pub orig: u64,
    pub new: u64,
    /// Nothing in the target corresponds: the instruction must not be reached.
    pub poison: bool,
    /// Whether the instruction has to hold `orig`.
    pub validate: bool,
    /// Loads and stores: sizes of the field here and there, when both are known.
    pub resize: Option<Resize>,
}

/// A field whose size may differ between program and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    pub orig: u32,
    pub new: u32,
    /// Whether a load or store may change its width (pointers, unsigned integers); else it is poisoned.
    pub allowed: bool,
}

/// Resolves relocations of one program BTF against one target, remembering answers and candidates.
///
/// A candidate that did not fit one relocation of a type is out for the type's later ones, as long as another one did: a program's
/// relocations are about one and the same type of the kernel.
pub struct Resolver<'a> {
    local: &'a Btf,
    target: Option<&'a Btf>,
    candidates: HashMap<u32, Candidates>,
    answers: HashMap<(u32, u32, u32), Result<Resolution, Error>>,
    left: Cell<u32>,
}

struct Candidates {
    ids: Vec<u32>,
    /// Whether some were ruled out.
    pruned: bool,
}

impl<'a> Resolver<'a> {
    pub fn new(local: &'a Btf, target: Option<&'a Btf>) -> Self {
        Self {
            local,
            target,
            candidates: HashMap::new(),
            answers: HashMap::new(),
            left: Cell::new(compat::TOTAL_BUDGET),
        }
    }

    /// Forgets which of several candidates earlier relocations decided for: to be called before each program.
    pub fn start_program(&mut self) {
        self.candidates.retain(|_, c| !c.pruned);
    }

    /// The answer to a relocation. Equal questions are worked out once.
    pub fn resolve(&mut self, relo: &CoreRelo) -> Result<Resolution, Error> {
        let key = (relo.type_id, relo.access_off, relo.kind);
        if let Some(known) = self.answers.get(&key) {
            return known.clone();
        }
        let answer = self.work_out(relo);
        // With several candidates the answer depends on what was asked before.
        if self.candidates.get(&relo.type_id).is_none_or(|c| c.ids.len() <= 1 && !c.pruned) {
            self.answers.insert(key, answer.clone());
        }
        answer
    }

    fn work_out(&mut self, relo: &CoreRelo) -> Result<Resolution, Error> {
        let kind = RelocKind::from_raw(relo.kind).ok_or(Error::Kind(relo.kind))?;
        let local = self.local;
        if local.ty(relo.type_id).is_none() {
            return Err(Error::TypeId(relo.type_id));
        }
        let access = local.string(relo.access_off);
        let spec = Spec::parse(local, relo.type_id, access, kind)?;
        if kind == RelocKind::TypeIdLocal {
            let id = u64::from(spec.root);
            return Ok(Resolution { orig: id, new: id, poison: false, validate: false, resize: None });
        }
        let name = local.name(spec.root);
        if name.is_empty() {
            return Err(Error::Anonymous(spec.root));
        }
        let target = self.target.ok_or(Error::NoTarget)?;
        let mut found: Option<(Spec, Resolution)> = None;
        let candidates = self
            .candidates
            .entry(spec.root)
            .or_insert_with(|| Candidates { ids: find_candidates(local, target, spec.root), pruned: false });
        let mut fitting = Vec::new();
        for &candidate in &candidates.ids {
            let Some(there) = find::find(local, &spec, target, candidate, kind, &self.left)? else { continue };
            let answer = value::resolution(local, &spec, Some((target, &there)), kind)?;
            fitting.push(candidate);
            match &found {
                None => found = Some((there, answer)),
                // Candidates may differ as long as the answer does not.
                Some((first, agreed)) => {
                    let same = first.bit_offset == there.bit_offset
                        && agreed.poison == answer.poison
                        && agreed.new == answer.new;
                    if !same {
                        let name = name.to_owned();
                        return Err(Error::Ambiguous { name, first: first.root, second: there.root });
                    }
                }
            }
        }
        if !fitting.is_empty() && fitting.len() < candidates.ids.len() {
            *candidates = Candidates { ids: fitting, pruned: true };
        }
        match found {
            Some((_, answer)) => Ok(answer),
            None => value::resolution(local, &spec, None, kind),
        }
    }
}

/// Types of the target that may correspond: same essential name, same sort of kind. A module's own types count only when the
/// kernel proper has none, as libbpf has it.
fn find_candidates(local: &Btf, target: &Btf, root: u32) -> Vec<u32> {
    let essential = essential_name(local.name(root));
    let Some(kind) = local.kind(root) else { return Vec::new() };
    let of = |btf: &Btf| -> Vec<u32> {
        btf.own_with_essential_name(essential)
            .filter(|&id| target.kind(id).is_some_and(|k| compat::kinds_alike(kind, k)))
            .collect()
    };
    let in_base = target.base().map(|base| of(base)).unwrap_or_default();
    if in_base.is_empty() { of(target) } else { in_base }
}

/// The first type of the target that a local type corresponds to by name and kind, for loaders that need an id.
pub fn kinds_compatible(a: Kind, b: Kind) -> bool {
    compat::kinds_alike(a, b)
}

/// Whether a local type exists in the target as that type, as far as CO-RE looks (`bpf_core_type_exists`). For kernel functions
/// and variables, whose names were compared by the caller.
pub fn types_compatible(local: &Btf, local_id: u32, target: &Btf, target_id: u32) -> bool {
    let left = Cell::new(compat::TOTAL_BUDGET);
    compat::Comparison::new(local, target, local_id, &left).types(local_id, target_id).unwrap_or(false)
}
