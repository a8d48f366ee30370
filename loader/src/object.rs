//! An opened object: the order in which its sections are read, and what callers see of it.

use crate::elf::Elf;
use crate::externs::{self, Externs};
use crate::functions::{self, Functions};
use crate::info::Info;
use crate::link::Linker;
use crate::maps::{self, Maps};
use crate::section_name::{self, Target};
use crate::{Error, btf_fixup, presets, sanitize};
use btf::ext::{BtfExt, CoreRelo};
use btf::{Btf, Editor};
use program::{MapDef, Program};
use spec::Profile;
use spec::profile::{Takes, Version};
use std::collections::HashMap;
use std::sync::Arc;

/// What opening an object depends on besides its bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Prefix of the names of data maps. libbpf takes the file name up to its first dot.
    pub object_name: String,
    /// `LINUX_KERNEL_VERSION`, and `kern_version` of objects that state none: major << 16 | minor << 8 | patch.
    pub kernel_version: u32,
    /// Text of a kernel configuration (`CONFIG_X=y` lines) for `.kconfig` externs.
    pub kconfig: Option<String>,
    /// Addresses of kernel symbols for `.ksyms` externs declared as `void`. Without it they all get one made-up address.
    pub kallsyms: Option<Arc<HashMap<String, u64>>>,
    /// Type of programs whose section names none; without it they cannot be linked.
    pub prog_type: Option<u32>,
    /// `name=value`: initial values of global variables.
    pub presets: Vec<String>,
    /// Size of perf event arrays that state none.
    pub cpus: u32,
    /// What the kernel takes; the rest is replaced or left out.
    pub takes: Takes,
    /// The kernel that the object is loaded into. Its BTF decides what special fields types may have.
    pub profile: Option<Profile>,
}

impl Default for Options {
    /// For Linux 6.18.44.
    fn default() -> Self {
        Self::for_kernel(Version { major: 6, minor: 18, patch: 44 })
    }
}

impl Options {
    /// For the kernel of this version, with nothing more to say.
    pub fn for_kernel(version: Version) -> Self {
        let Version { major, minor, patch } = version;
        Self {
            object_name: String::new(),
            // A patch level above 255 does not fit, and counts as 255.
            kernel_version: u32::from(major) << 16 | u32::from(minor) << 8 | u32::from(patch.min(255)),
            kconfig: None,
            kallsyms: None,
            prog_type: None,
            presets: Vec::new(),
            cpus: 1,
            takes: Takes::of(version),
            profile: None,
        }
    }

    /// For this kernel, BTF and capabilities of the loader included.
    pub fn for_profile(profile: &Profile) -> Self {
        Self { profile: Some(profile.clone()), ..Self::for_kernel(profile.version) }
    }

    /// Asks something that depends on the kernel's types.
    pub(crate) fn with_kernel<T>(&self, ask: impl FnOnce(spec::map::Kernel<'_>) -> T) -> T {
        let version = self.profile.as_ref().map_or(Version::REFERENCE, |p| p.version);
        let kernel_type = |name: &str| self.profile.as_ref()?.btf().find_by_name_kind(name, btf::Kind::Struct);
        ask(spec::map::Kernel { version, kernel_type: &kernel_type })
    }

    /// The object name that libbpf derives from a path.
    pub fn name_from_path(path: &std::path::Path) -> String {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        maps::kernel_name(name.split('.').next().unwrap_or_default())
    }
}

/// An entry-point program of an object.
#[derive(Clone, Debug)]
pub struct ObjProgram {
    pub name: String,
    /// Without a leading `?`.
    pub section: String,
    /// False for `SEC("?...")`: loaded only on request.
    pub autoload: bool,
    /// 0 when the section name tells none.
    pub prog_type: u32,
    pub expected_attach_type: u32,
    pub flags: u32,
    /// What the section name says behind its first `/`.
    pub attach_to: String,
    pub(crate) target: Target,
    pub(crate) function: usize,
}

/// An opened object.
#[derive(Clone, Debug)]
pub struct Object {
    pub programs: Vec<ObjProgram>,
    /// All maps, as far as they are known without a kernel (struct_ops are completed when linking).
    pub maps: Vec<Arc<MapDef>>,
    pub license: String,
    pub kern_version: u32,
    /// As it would be given to the kernel; `None` also when the kernel would refuse it.
    pub btf: Option<Arc<Btf>>,
    /// Why the kernel would refuse the object's BTF. Programs then load without it, as libbpf has it.
    pub btf_refused: Option<btf::Refusal>,
    pub(crate) parts: Arc<Parts>,
}

/// What linking needs.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The object's BTF, whether or not the kernel takes it.
    pub btf: Option<Arc<Btf>>,
    pub functions: Functions,
    pub maps: Maps,
    pub externs: Externs,
    pub info: Option<Info>,
    /// By section, by instruction.
    pub core: HashMap<usize, Vec<CoreRelo>>,
    pub options: Options,
}

/// Longest license that libbpf keeps.
const MAX_LICENSE: usize = 63;

/// Opens an ELF object.
pub fn open(bytes: &[u8], options: &Options) -> Result<Object, Error> {
    let elf = Elf::parse(bytes)?;
    let mut functions = Functions::collect(&elf)?;
    let (btf, ext, externs) = read_btf(&elf, &functions)?;
    let mut maps = Maps::collect(&elf, btf.as_ref(), &externs, options)?;
    functions::relocate(&elf, &mut functions, &maps, &externs)?;
    maps.relocate(&elf, &functions)?;
    presets::apply(&options.presets, btf.as_deref(), &mut maps)?;
    let info = match (&btf, &ext) {
        (Some(btf), Some(ext)) => Some(Info::collect(btf, ext, &functions)?),
        _ => None,
    };
    let core = match (&btf, &ext) {
        (Some(btf), Some(ext)) => core_relos(btf, ext, &functions)?,
        _ => HashMap::new(),
    };
    let programs = programs(&functions, options);
    let given = btf.as_ref().map(|b| given(b, options.takes)).transpose()?;
    let btf_refused = given.as_ref().and_then(|b| refusal(b, options));
    let known = given.filter(|_| btf_refused.is_none());
    let finish = |m: &maps::ObjMap| Arc::new(maps::finish(m.def.clone(), options, known.as_ref()));
    let finished = maps.list.iter().map(finish).collect();
    let parts = Parts { btf, functions, maps, externs, info, core, options: options.clone() };
    Ok(Object {
        programs,
        maps: finished,
        license: license(&elf),
        kern_version: version(&elf)?.unwrap_or(options.kernel_version),
        btf: known,
        btf_refused,
        parts: Arc::new(parts),
    })
}

/// Why the kernel would not take this BTF.
fn refusal(btf: &Btf, options: &Options) -> Option<btf::Refusal> {
    if let Err(refusal) = btf.check_as_kernel() {
        return Some(refusal);
    }
    let profile = options.profile.as_ref()?;
    // Before, structs were looked at with maps only.
    if !profile.changes.trusted_pointers {
        return None;
    }
    let (id, errno) = options.with_kernel(|kernel| spec::map::check_structs(btf, kernel)).err()?;
    let name = btf.name(id);
    Some(btf::Refusal {
        errno: errno.negative(),
        message: format!("[{id}] STRUCT {name} has fields that it may not have ({errno})"),
    })
}

type BtfParts = (Option<Arc<Btf>>, Option<BtfExt>, Externs);

/// Reads `.BTF` and `.BTF.ext`, and makes of the former what the kernel takes.
fn read_btf(elf: &Elf, functions: &Functions) -> Result<BtfParts, Error> {
    let bad = |section| move |source| Error::Btf { section, source };
    let raw = elf.section(".BTF").map(|(_, s)| s.data).filter(|d| !d.is_empty());
    let btf = raw.map(Btf::parse).transpose().map_err(bad(".BTF"))?;
    let mut edit = btf.as_ref().map(Editor::new);
    let externs = externs::collect(elf, btf.as_ref(), &mut edit)?;
    let (Some(original), Some(edit)) = (btf, edit) else { return Ok((None, None, externs)) };
    // Externs have changed what DATASECs say; read on from there.
    let mut edited = edit.finish().map_err(bad(".BTF"))?;
    let mut edit = Editor::new(&edited);
    btf_fixup::datasecs(elf, &edited, &mut edit)?;
    let hidden = functions.list.iter().filter(|f| f.hidden && f.is_sub).map(|f| f.name.as_str());
    btf_fixup::hidden_functions(&edited, &mut edit, hidden);
    let bytes = edit.to_bytes();
    if bytes != original.raw() {
        edited = Btf::parse_vec(bytes, None).map_err(bad(".BTF"))?;
    }
    let ext = elf.section(".BTF.ext").map(|(_, s)| s.data).filter(|d| !d.is_empty());
    let ext = ext.map(BtfExt::parse).transpose().map_err(bad(".BTF.ext"))?;
    Ok((Some(Arc::new(edited)), ext, externs))
}

/// An object's BTF as the kernel is given it.
pub(crate) fn given(btf: &Arc<Btf>, takes: Takes) -> Result<Arc<Btf>, Error> {
    let changed = sanitize::for_kernel(btf, takes).map_err(|source| Error::Btf { section: ".BTF", source })?;
    Ok(changed.map_or_else(|| Arc::clone(btf), Arc::new))
}

/// Relocations that one instruction may have; compilers make one.
const MAX_CORE_PER_INSN: usize = 16;

fn core_relos(btf: &Btf, ext: &BtfExt, functions: &Functions) -> Result<HashMap<usize, Vec<CoreRelo>>, Error> {
    let by_name: HashMap<&str, usize> = functions.code.iter().map(|(i, c)| (c.name.as_str(), *i)).collect();
    let mut all: HashMap<usize, Vec<CoreRelo>> = HashMap::new();
    for section in &ext.core_relo.sections {
        if let Some(&index) = by_name.get(btf.string(section.sec_name_off)) {
            all.entry(index).or_default().extend(ext.core_relos(section));
        }
    }
    for relos in all.values_mut() {
        relos.sort_by_key(|r| r.insn_off);
        if relos.windows(MAX_CORE_PER_INSN + 1).any(|w| w[0].insn_off == w[MAX_CORE_PER_INSN].insn_off) {
            return Err(Error::section(".BTF.ext", "has too many CO-RE relocations for one instruction"));
        }
    }
    Ok(all)
}

fn programs(functions: &Functions, options: &Options) -> Vec<ObjProgram> {
    let entry = |(index, f): (usize, &functions::Function)| {
        let full = functions.section_name(f);
        let section = full.strip_prefix('?').unwrap_or(full);
        let mut program = ObjProgram {
            name: f.name.clone(),
            section: section.to_owned(),
            autoload: section.len() == full.len(),
            prog_type: options.prog_type.unwrap_or(0),
            expected_attach_type: 0,
            flags: 0,
            attach_to: String::new(),
            target: Target::None,
            function: index,
        };
        let loosely = || section_name::read_loosely(section).filter(|_| options.prog_type.is_none());
        if let Some(name) = section_name::read(section).or_else(loosely) {
            program.prog_type = name.def.prog_type.raw();
            program.expected_attach_type = name.def.attach_type(options.takes);
            program.flags = name.def.flags;
            program.attach_to = name.rest.to_owned();
            program.target = name.def.target;
        }
        program
    };
    functions.list.iter().enumerate().filter(|(_, f)| !f.is_sub).map(entry).collect()
}

fn license(elf: &Elf) -> String {
    let data = elf.section("license").map_or(&[][..], |(_, s)| s.data);
    let end = data.iter().position(|&b| b == 0).unwrap_or(data.len()).min(MAX_LICENSE);
    String::from_utf8_lossy(&data[..end]).into_owned()
}

fn version(elf: &Elf) -> Result<Option<u32>, Error> {
    let Some((_, section)) = elf.section("version") else { return Ok(None) };
    match <[u8; 4]>::try_from(section.data) {
        Ok(bytes) => Ok(Some(u32::from_le_bytes(bytes))),
        Err(_) => Err(Error::section("version", format!("has {} bytes, expected 4", section.data.len()))),
    }
}

impl Object {
    /// The program of an index into `programs`, relocated for a kernel. To link several programs, [`Object::linker`] is cheaper.
    pub fn program(&self, index: usize, target: Option<&Btf>) -> Result<Program, Error> {
        self.linker(target).program(index)
    }

    /// A linker for all programs of the object.
    pub fn linker<'a>(&'a self, target: Option<&'a Btf>) -> Linker<'a> {
        Linker::new(self, target)
    }

    /// The object's BTF, also when the kernel would refuse it.
    pub fn local_btf(&self) -> Option<&Arc<Btf>> {
        self.parts.btf.as_ref()
    }

    /// Whether linking for a kernel needs its BTF: CO-RE relocations, kernel symbols, BTF attach targets.
    pub fn needs_target(&self) -> bool {
        let symbol = |e: &externs::Extern| matches!(e.what, externs::What::Symbol { .. });
        let target = |p: &ObjProgram| matches!(p.target, Target::Btf { .. } | Target::StructOps);
        !self.parts.core.is_empty() || self.parts.externs.list.iter().any(symbol) || self.programs.iter().any(target)
    }
}
