//! One BTF record and its parts, as plain data. How they are found in the blob is in `read`.

/// BTF_KIND_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

impl Kind {
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::Void,
            1 => Self::Int,
            2 => Self::Ptr,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Fwd,
            8 => Self::Typedef,
            9 => Self::Volatile,
            10 => Self::Const,
            11 => Self::Restrict,
            12 => Self::Func,
            13 => Self::FuncProto,
            14 => Self::Var,
            15 => Self::Datasec,
            16 => Self::Float,
            17 => Self::DeclTag,
            18 => Self::TypeTag,
            19 => Self::Enum64,
            _ => return None,
        })
    }

    /// Bytes of one of the `vlen` trailing entries, and of the fixed trailer.
    pub(crate) const fn trailer(self) -> (usize, usize) {
        match self {
            Self::Int | Self::Var | Self::DeclTag => (0, 4),
            Self::Array => (0, 12),
            Self::Struct | Self::Union | Self::Datasec | Self::Enum64 => (12, 0),
            Self::Enum | Self::FuncProto => (8, 0),
            _ => (0, 0),
        }
    }

    /// The kernel's word for it in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Void => "UNKNOWN",
            Self::Int => "INT",
            Self::Ptr => "PTR",
            Self::Array => "ARRAY",
            Self::Struct => "STRUCT",
            Self::Union => "UNION",
            Self::Enum => "ENUM",
            Self::Fwd => "FWD",
            Self::Typedef => "TYPEDEF",
            Self::Volatile => "VOLATILE",
            Self::Const => "CONST",
            Self::Restrict => "RESTRICT",
            Self::Func => "FUNC",
            Self::FuncProto => "FUNC_PROTO",
            Self::Var => "VAR",
            Self::Datasec => "DATASEC",
            Self::Float => "FLOAT",
            Self::DeclTag => "DECL_TAG",
            Self::TypeTag => "TYPE_TAG",
            Self::Enum64 => "ENUM64",
        }
    }

    pub const fn is_struct_or_union(self) -> bool {
        matches!(self, Self::Struct | Self::Union)
    }

    /// `enum` of 32 or of 64 bits.
    pub const fn is_enum(self) -> bool {
        matches!(self, Self::Enum | Self::Enum64)
    }

    /// Qualifiers: `const`, `volatile`, `restrict`, type tags.
    pub const fn is_modifier(self) -> bool {
        matches!(self, Self::Const | Self::Volatile | Self::Restrict | Self::TypeTag)
    }

    /// Whether the third word of the record is a type id (else a size, or nothing).
    pub const fn refers(self) -> bool {
        matches!(self, Self::Ptr | Self::Typedef | Self::Func | Self::FuncProto | Self::Var | Self::DeclTag)
            || self.is_modifier()
    }
}

/// The fixed part of a record. Parts that vary by kind are asked of [`crate::Btf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    pub name_off: u32,
    /// vlen, kind and kind flag.
    pub info: u32,
    /// Size in bytes, or type id.
    pub size_or_type: u32,
    /// Where the record starts in the raw bytes.
    pub(crate) at: u32,
}

impl Type {
    pub(crate) const VOID: Self = Self { name_off: 0, info: 0, size_or_type: 0, at: 0 };

    pub fn kind(&self) -> Kind {
        // Unknown kinds do not get through parsing.
        Kind::from_raw(((self.info >> 24) & 0x1f) as u8).unwrap_or(Kind::Void)
    }

    pub fn vlen(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// The kind flag: bitfield members, signed enum, `fwd` of a union, attribute tags.
    pub fn kflag(&self) -> bool {
        self.info >> 31 != 0
    }

    /// Declared size of a type that has one in its record.
    pub fn size(&self) -> Option<u32> {
        match self.kind() {
            Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float | Kind::Datasec => {
                Some(self.size_or_type)
            }
            _ => None,
        }
    }

    /// Type id that a reference kind refers to (0 = void).
    pub fn type_id(&self) -> Option<u32> {
        self.kind().refers().then_some(self.size_or_type)
    }

    pub fn func_linkage(&self) -> Option<FuncLinkage> {
        (self.kind() == Kind::Func).then(|| match self.vlen() {
            0 => FuncLinkage::Static,
            1 => FuncLinkage::Global,
            2 => FuncLinkage::Extern,
            other => FuncLinkage::Unknown(other as u16),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuncLinkage {
    Static,
    Global,
    Extern,
    Unknown(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarLinkage {
    Static,
    /// `BTF_VAR_GLOBAL_ALLOCATED`.
    Global,
    Extern,
    Unknown(u32),
}

impl VarLinkage {
    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Static,
            1 => Self::Global,
            2 => Self::Extern,
            other => Self::Unknown(other),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntInfo {
    pub signed: bool,
    pub is_char: bool,
    pub is_bool: bool,
    /// Bit offset inside the storage; non-zero only in deprecated bitfield integers.
    pub offset: u8,
    pub bits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    pub elem: u32,
    pub index: u32,
    pub nelems: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub name_off: u32,
    pub type_id: u32,
    pub bit_offset: u32,
    /// Non-zero for bitfields.
    pub bitfield_size: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    pub name_off: u32,
    pub type_id: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator {
    pub name_off: u32,
    /// Sign-extended for signed enums, zero-extended else.
    pub value: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecVar {
    pub type_id: u32,
    pub offset: u32,
    pub size: u32,
}

/// A declaration tag: `component` -1 tags the type itself, else the member or parameter of that index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclTag {
    pub tag_id: u32,
    pub target: u32,
    pub component: i32,
}
