//! The parsed blob: header, type records, strings, and access to the parts of a record. Name lookup is in `index`, walking along
//! references in `resolve`.

use crate::Error;
use crate::index::Index;
use crate::types::{Array, DeclTag, Enumerator, IntInfo, Kind, Member, Param, SecVar, Type, VarLinkage};
use std::sync::{Arc, OnceLock};

/// First two bytes of little-endian BTF and BTF.ext, as a number.
pub const MAGIC: u16 = 0xeb9f;
/// Longest string taken. Longer ones occur in no compiler's output and would make name lookups a way to burn time.
const MAX_STRING: usize = 16 * 1024;
/// The kernel's own limit (BTF_MAX_TYPE) is lower; this one only bounds memory.
const MAX_TYPES: u32 = 1 << 24;

/// Parsed BTF (of a program, of the kernel, or of a module on top of the kernel's).
#[derive(Clone, Default)]
pub struct Btf {
    raw: Vec<u8>,
    types: Vec<Type>,
    types_at: usize,
    types_len: usize,
    strs_at: usize,
    strs_len: usize,
    base: Option<Arc<Btf>>,
    /// First own type id: 1, or the number of types of the base (void included).
    start_id: u32,
    start_str: u32,
    pub(crate) index: OnceLock<Index>,
}

impl std::fmt::Debug for Btf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Btf {{ {} types, {} bytes }}", self.len(), self.raw.len())
    }
}

impl PartialEq for Btf {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw && self.start_id == other.start_id
    }
}

impl Eq for Btf {}

/// Offsets of the sections inside the raw bytes.
pub(crate) struct Header {
    pub types_at: usize,
    pub types_len: usize,
    pub strs_at: usize,
    pub strs_len: usize,
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_le_bytes(*b))
}

/// Checks magic and version, which BTF and BTF.ext have in common, and gives the header's length.
pub(crate) fn check_preamble(bytes: &[u8], need: usize) -> Result<usize, Error> {
    let truncated = Error::Truncated { len: bytes.len(), need };
    let &[m0, m1, version, _flags] = bytes.first_chunk::<4>().ok_or(truncated.clone())?;
    match u16::from_le_bytes([m0, m1]) {
        MAGIC => {}
        0x9feb => return Err(Error::BigEndian),
        other => return Err(Error::Magic(other)),
    }
    if version != 1 {
        return Err(Error::Version(version));
    }
    let hdr_len = u32_at(bytes, 4).ok_or(truncated.clone())? as usize;
    if hdr_len < need || hdr_len > bytes.len() {
        return Err(truncated);
    }
    Ok(hdr_len)
}

impl Header {
    const LEN: usize = 24;

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let hdr_len = check_preamble(bytes, Self::LEN)?;
        let word = |at| u32_at(bytes, at).unwrap_or(0);
        let available = bytes.len() - hdr_len;
        let section = |what, off: u32, len: u32| {
            let end = off as usize + len as usize;
            if end > available { Err(Error::Section { what, off, len, available }) } else { Ok(hdr_len + off as usize) }
        };
        let (type_off, types_len, str_off, strs_len) = (word(8), word(12), word(16), word(20));
        let types_at = section("type", type_off, types_len)?;
        let strs_at = section("string", str_off, strs_len)?;
        Ok(Self { types_at, types_len: types_len as usize, strs_at, strs_len: strs_len as usize })
    }
}

impl Btf {
    /// Parses a self-contained blob.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_vec(bytes.to_vec(), None)
    }

    /// Parses split BTF (a kernel module's) whose ids and strings continue those of `base`.
    pub fn parse_split(bytes: &[u8], base: Arc<Btf>) -> Result<Self, Error> {
        Self::parse_vec(bytes.to_vec(), Some(base))
    }

    /// As [`Self::parse`] and [`Self::parse_split`], without the copy.
    pub fn parse_vec(raw: Vec<u8>, base: Option<Arc<Btf>>) -> Result<Self, Error> {
        let header = Header::parse(&raw)?;
        let start_id = base.as_ref().map_or(1, |b| b.len());
        let start_str = base.as_ref().map_or(0, |b| b.start_str + b.strs_len as u32);
        check_strings(&raw[header.strs_at..header.strs_at + header.strs_len], base.is_some())?;
        let types = scan_types(&raw, &header, start_id)?;
        let Header { types_at, types_len, strs_at, strs_len } = header;
        let index = OnceLock::new();
        Ok(Self { raw, types, types_at, types_len, strs_at, strs_len, base, start_id, start_str, index })
    }

    /// The bytes that were parsed.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(crate) fn type_section(&self) -> &[u8] {
        self.raw.get(self.types_at..self.types_at + self.types_len).unwrap_or_default()
    }

    pub(crate) fn string_section(&self) -> &[u8] {
        self.raw.get(self.strs_at..self.strs_at + self.strs_len).unwrap_or_default()
    }

    /// Length of the header beyond the part known here, when it is empty.
    pub(crate) fn header_tail(&self) -> usize {
        let hdr_len = u32_at(&self.raw, 4).unwrap_or(0) as usize;
        let empty = |tail: &&[u8]| tail.iter().all(|&b| b == 0);
        self.raw.get(24..hdr_len).filter(empty).map_or(0, <[u8]>::len)
    }

    /// Offset of a type's record within the type section, for editing.
    pub(crate) fn record_offset(&self, id: u32) -> Option<usize> {
        let ty = self.types.get(id.checked_sub(self.start_id.max(1))? as usize)?;
        (ty.at as usize).checked_sub(self.types_at)
    }

    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// Number of type ids, void and the base's included: ids are `0..len()`.
    pub fn len(&self) -> u32 {
        self.start_id.max(1) + self.types.len() as u32
    }

    /// Whether there is no type but void.
    pub fn is_empty(&self) -> bool {
        self.len() == 1
    }

    /// First id that is this blob's own rather than its base's.
    pub fn first_own_id(&self) -> u32 {
        self.start_id.max(1)
    }

    pub(crate) fn own_types(&self) -> impl Iterator<Item = (u32, &Type)> {
        (self.first_own_id()..).zip(self.types.iter())
    }

    /// The type of an id; id 0 is void.
    pub fn ty(&self, id: u32) -> Option<&Type> {
        if id == 0 {
            return Some(&Type::VOID);
        }
        match id.checked_sub(self.first_own_id()) {
            Some(own) => self.types.get(own as usize),
            None => self.base.as_deref()?.ty(id),
        }
    }

    pub fn kind(&self, id: u32) -> Option<Kind> {
        self.ty(id).map(Type::kind)
    }

    /// The string at an offset; empty when out of range or not UTF-8.
    pub fn string(&self, off: u32) -> &str {
        self.try_string(off).unwrap_or("")
    }

    /// The string at an offset, `None` when out of range or not UTF-8.
    pub fn try_string(&self, off: u32) -> Option<&str> {
        std::str::from_utf8(self.bytes_at(off)?).ok()
    }

    /// The bytes of the string at an offset, UTF-8 or not; empty when out of range.
    pub(crate) fn string_bytes(&self, off: u32) -> &[u8] {
        self.bytes_at(off).unwrap_or_default()
    }

    fn bytes_at(&self, off: u32) -> Option<&[u8]> {
        let Some(own) = off.checked_sub(self.start_str) else { return self.base.as_deref()?.bytes_at(off) };
        let tail = self.string_section().get(own as usize..)?;
        Some(&tail[..memchr::memchr(0, tail)?])
    }

    /// The name of a type; empty for anonymous types and bad ids.
    pub fn name(&self, id: u32) -> &str {
        self.ty(id).map_or("", |t| self.string(t.name_off))
    }

    /// Bytes behind the fixed 12 of a record. Parsing made sure that they are there.
    fn trailer(&self, ty: &Type, len: usize) -> &[u8] {
        let at = ty.at as usize + 12;
        let own = self.raw.get(at..at + len).unwrap_or_default();
        debug_assert_eq!(own.len(), len);
        own
    }

    /// The blob that holds the record of `id`: this one or its base.
    fn owner(&self, id: u32) -> &Btf {
        match &self.base {
            Some(base) if id < self.first_own_id() => base.owner(id),
            _ => self,
        }
    }

    /// Trailing entries as words, if `id` is of one of `kinds`.
    fn entries<const N: usize>(&self, id: u32, want: impl Fn(Kind) -> bool) -> impl Iterator<Item = [u32; N]> {
        let bytes = match self.ty(id) {
            Some(ty) if want(ty.kind()) => self.owner(id).trailer(ty, ty.vlen() * N * 4),
            _ => &[],
        };
        bytes.chunks_exact(N * 4).map(|e| std::array::from_fn(|i| u32_at(e, i * 4).unwrap_or(0)))
    }

    /// One trailing entry, without walking those before it.
    fn entry<const N: usize>(&self, id: u32, idx: usize, want: impl Fn(Kind) -> bool) -> Option<[u32; N]> {
        let ty = self.ty(id).filter(|t| want(t.kind()) && idx < t.vlen())?;
        let bytes = self.owner(id).trailer(ty, ty.vlen() * N * 4);
        Some(std::array::from_fn(|i| u32_at(bytes, (idx * N + i) * 4).unwrap_or(0)))
    }

    fn fixed(&self, id: u32, kind: Kind, word: usize) -> Option<u32> {
        let ty = self.ty(id).filter(|t| t.kind() == kind)?;
        u32_at(self.owner(id).trailer(ty, kind.trailer().1), word * 4)
    }

    /// Members of a struct or union; nothing for other kinds.
    pub fn members(&self, id: u32) -> impl Iterator<Item = Member> + '_ {
        let kflag = self.ty(id).is_some_and(Type::kflag);
        self.entries::<3>(id, Kind::is_struct_or_union).map(move |words| member_of(words, kflag))
    }

    pub fn member(&self, id: u32, idx: usize) -> Option<Member> {
        let kflag = self.ty(id).is_some_and(Type::kflag);
        self.entry::<3>(id, idx, Kind::is_struct_or_union).map(|words| member_of(words, kflag))
    }

    /// Parameters of a function prototype. A last one of type 0 without a name is `...`.
    pub fn params(&self, proto: u32) -> impl Iterator<Item = Param> + '_ {
        self.entries::<2>(proto, |k| k == Kind::FuncProto).map(|[name_off, type_id]| Param { name_off, type_id })
    }

    /// Enumerators of a 32-bit or 64-bit enum.
    pub fn enumerators(&self, id: u32) -> impl Iterator<Item = Enumerator> + '_ {
        let signed = self.ty(id).is_some_and(Type::kflag);
        let narrow = self.entries::<2>(id, |k| k == Kind::Enum).map(move |words| narrow_enumerator(words, signed));
        narrow.chain(self.entries::<3>(id, |k| k == Kind::Enum64).map(wide_enumerator))
    }

    pub fn enumerator(&self, id: u32, idx: usize) -> Option<Enumerator> {
        let signed = self.ty(id).is_some_and(Type::kflag);
        let narrow = self.entry::<2>(id, idx, |k| k == Kind::Enum).map(|words| narrow_enumerator(words, signed));
        narrow.or_else(|| self.entry::<3>(id, idx, |k| k == Kind::Enum64).map(wide_enumerator))
    }

    /// Variables of a DATASEC.
    pub fn vars(&self, id: u32) -> impl Iterator<Item = SecVar> + '_ {
        self.entries::<3>(id, |k| k == Kind::Datasec).map(|[type_id, offset, size]| SecVar { type_id, offset, size })
    }

    pub fn array(&self, id: u32) -> Option<Array> {
        let word = |i| self.fixed(id, Kind::Array, i);
        Some(Array { elem: word(0)?, index: word(1)?, nelems: word(2)? })
    }

    pub fn int(&self, id: u32) -> Option<IntInfo> {
        let w = self.fixed(id, Kind::Int, 0)?;
        let enc = w >> 24 & 0xf;
        Some(IntInfo {
            signed: enc & 1 != 0,
            is_char: enc & 2 != 0,
            is_bool: enc & 4 != 0,
            offset: (w >> 16 & 0xff) as u8,
            bits: (w & 0xff) as u8,
        })
    }

    /// The undivided word behind an INT's record.
    pub(crate) fn int_word(&self, id: u32) -> Option<u32> {
        self.fixed(id, Kind::Int, 0)
    }

    /// Whether a string starts at or runs over this offset.
    pub(crate) fn has_string(&self, off: u32) -> bool {
        match off.checked_sub(self.start_str) {
            Some(own) => (own as usize) < self.strs_len,
            None => self.base.as_deref().is_some_and(|b| b.has_string(off)),
        }
    }

    pub fn var_linkage(&self, id: u32) -> Option<VarLinkage> {
        self.fixed(id, Kind::Var, 0).map(VarLinkage::from_raw)
    }

    pub fn decl_tag(&self, id: u32) -> Option<DeclTag> {
        let component = self.fixed(id, Kind::DeclTag, 0)? as i32;
        Some(DeclTag { tag_id: id, target: self.ty(id)?.size_or_type, component })
    }

    /// The prototype of a FUNC.
    pub fn func_proto(&self, func: u32) -> Option<u32> {
        let proto = self.ty(func).filter(|t| t.kind() == Kind::Func)?.size_or_type;
        (self.kind(proto)? == Kind::FuncProto).then_some(proto)
    }
}

fn member_of([name_off, type_id, off]: [u32; 3], kflag: bool) -> Member {
    match kflag {
        true => Member { name_off, type_id, bit_offset: off & 0xff_ffff, bitfield_size: (off >> 24) as u8 },
        false => Member { name_off, type_id, bit_offset: off, bitfield_size: 0 },
    }
}

fn narrow_enumerator([name_off, v]: [u32; 2], signed: bool) -> Enumerator {
    Enumerator { name_off, value: if signed { i64::from(v as i32) } else { i64::from(v) } }
}

fn wide_enumerator([name_off, lo, hi]: [u32; 3]) -> Enumerator {
    Enumerator { name_off, value: (u64::from(lo) | u64::from(hi) << 32) as i64 }
}

/// Empty is allowed for split BTF, and for types without any name.
fn check_strings(strs: &[u8], split: bool) -> Result<(), Error> {
    let (Some(&first), Some(&last)) = (strs.first(), strs.last()) else {
        return if split { Ok(()) } else { Err(Error::Strings) };
    };
    if last != 0 || (!split && first != 0) {
        return Err(Error::Strings);
    }
    let mut start = 0;
    for nul in memchr::memchr_iter(0, strs) {
        if nul - start > MAX_STRING {
            return Err(Error::LongString(nul - start, MAX_STRING));
        }
        start = nul + 1;
    }
    Ok(())
}

fn scan_types(raw: &[u8], header: &Header, start_id: u32) -> Result<Vec<Type>, Error> {
    let end = header.types_at + header.types_len;
    // 40 bytes a type is what the kernel's BTF has.
    let mut types = Vec::with_capacity(header.types_len / 32);
    let mut at = header.types_at;
    let mut id = start_id;
    while at < end {
        let off = at - header.types_at;
        let truncated = Error::TypeTruncated { id, off };
        let record = raw.get(at..end).and_then(|r| r.first_chunk::<12>()).ok_or(truncated.clone())?;
        let word = |i: usize| u32::from_le_bytes([record[i], record[i + 1], record[i + 2], record[i + 3]]);
        let ty = Type { name_off: word(0), info: word(4), size_or_type: word(8), at: at as u32 };
        let raw_kind = (ty.info >> 24 & 0x1f) as u8;
        let kind = match Kind::from_raw(raw_kind) {
            Some(kind) if kind != Kind::Void => kind,
            _ => return Err(Error::Kind { id, off, kind: raw_kind }),
        };
        let (each, fixed) = kind.trailer();
        at += 12 + fixed + each * ty.vlen();
        if at > end {
            return Err(truncated);
        }
        types.push(ty);
        id += 1;
        if id > MAX_TYPES {
            return Err(Error::TooManyTypes(MAX_TYPES));
        }
    }
    Ok(types)
}
