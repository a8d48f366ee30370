//! Load records as they are written: the mirror image of what `loader::records` reads, plus who loaded and what the kernel answered.
//! How the numbers are come by is not here.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::Judgement;

/// One line of the file.
#[derive(Debug, Default, Serialize)]
pub struct Record {
    pub id: String,
    /// The process's name and number.
    pub comm: String,
    pub pid: i32,
    /// Release of the kernel that answered.
    pub kernel: String,
    /// The kernel BTF that ids in the program refer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vmlinux: Option<String>,
    /// Capabilities of who loads; left out: all that matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<&'static str>>,
    /// What keeps the record from saying all that the kernel was told; readers refuse such a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    pub load: Load,
    pub answer: Answer,
}

#[derive(Debug, Default, Serialize)]
pub struct Load {
    pub prog_name: String,
    pub prog_type: u32,
    pub expected_attach_type: u32,
    pub prog_flags: u32,
    pub license: String,
    pub kern_version: u32,
    pub attach_btf_id: u32,
    pub insn_cnt: u32,
    pub insns: Hex,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub raw_fd_insns: Vec<u32>,
    pub maps: Vec<Map>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf: Option<String>,
    #[serde(flatten)]
    pub func_info: Option<FuncInfo>,
    #[serde(flatten)]
    pub line_info: Option<LineInfo>,
}

#[derive(Debug, Serialize)]
pub struct FuncInfo {
    #[serde(rename = "func_info_rec_size")]
    pub rec_size: u32,
    #[serde(rename = "func_info")]
    pub bytes: Hex,
}

#[derive(Debug, Serialize)]
pub struct LineInfo {
    #[serde(rename = "line_info_rec_size")]
    pub rec_size: u32,
    #[serde(rename = "line_info")]
    pub bytes: Hex,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Map {
    #[serde(rename = "type")]
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub map_extra: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub numa_node: u32,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub btf_key_type_id: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub btf_value_type_id: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub btf_vmlinux_value_type_id: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub frozen: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value0: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Box<Map>>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What the kernel said.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    pub verdict: &'static str,
    pub errno: i32,
    /// The bits that the loader asked for.
    pub log_level: u32,
    /// The log as the loader got it; a very long one without its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The log's lines without its statistics, where it holds nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insns_processed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_states: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_states: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_states_per_insn: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_depth: Option<String>,
}

/// Bits of `log_level` that fill the log with more than the message.
const LOG_STEPS: u32 = 1 | 2;

impl Answer {
    /// From the call's result, the log that came with it, and what the program's descriptor says of its verification.
    pub fn new(result: i64, log_level: u32, log: Option<&[u8]>, verified_insns: Option<u64>) -> Self {
        let errno = result.min(0) as i32;
        let verdict = if errno == 0 { "accept" } else { "reject" };
        let mut answer = Self { verdict, errno, log_level, insns_processed: verified_insns, ..Self::default() };
        let Some(log) = log else { return answer };
        let judgement = Judgement::from_log(errno == 0, errno, log);
        let stats = &judgement.stats;
        answer.insns_processed = stats.insns_processed.or(verified_insns);
        answer.total_states = stats.total_states;
        answer.peak_states = stats.peak_states;
        answer.max_states_per_insn = stats.max_states_per_insn;
        answer.stack_depth.clone_from(&stats.stack_depth);
        if log_level & LOG_STEPS == 0 {
            answer.message = Some(judgement.message().lines().map(str::to_owned).collect());
        }
        answer.log = Some(String::from_utf8_lossy(log).into_owned());
        answer
    }
}

/// Bytes that are written as hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        to.serialize_str(&text)
    }
}

/// The record file and the folder `btf` beside it.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    lines: BufWriter<File>,
    btf: PathBuf,
    /// Files that hold what they should.
    written: HashSet<String>,
}

impl Store {
    pub fn create(path: &Path) -> io::Result<Self> {
        let lines = BufWriter::new(File::create(path)?);
        let btf = path.parent().unwrap_or(Path::new("")).join("btf");
        Ok(Self { path: path.to_owned(), lines, btf, written: HashSet::new() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record; it is in the file when this returns, so that an end by force costs at most one.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        serde_json::to_writer(&mut self.lines, record)?;
        self.lines.write_all(b"\n")?;
        self.lines.flush()
    }

    /// Keeps BTF under a name made of its content, and returns the name within the folder.
    pub fn btf(&mut self, bytes: &[u8]) -> io::Result<String> {
        let hash = corpus::recorded::hash(bytes);
        // Two blobs with one hash are two files.
        for n in 0.. {
            let name = if n == 0 { format!("{hash}.btf") } else { format!("{hash}-{n}.btf") };
            let path = self.btf.join(&name);
            match fs::read(&path) {
                Ok(found) if found == bytes => {}
                Ok(_) => continue,
                Err(e) if e.kind() == io::ErrorKind::NotFound && !self.written.contains(&name) => {
                    fs::create_dir_all(&self.btf)?;
                    fs::write(&path, bytes)?;
                    self.written.insert(name.clone());
                }
                Err(e) => return Err(e),
            }
            return Ok(name);
        }
        Err(io::Error::other("no free name for BTF"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_btf_is_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::create(&dir.path().join("out.jsonl")).unwrap();
        let name = store.btf(b"one").unwrap();
        assert_eq!(store.btf(b"one").unwrap(), name);
        assert_ne!(store.btf(b"two").unwrap(), name);
        assert_eq!(fs::read_dir(dir.path().join("btf")).unwrap().count(), 2);
        assert_eq!(fs::read(dir.path().join("btf").join(name)).unwrap(), b"one");
    }

    #[test]
    fn another_blob_of_that_name_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::create(&dir.path().join("out.jsonl")).unwrap();
        let name = format!("{}.btf", corpus::recorded::hash(b"one"));
        fs::create_dir(dir.path().join("btf")).unwrap();
        fs::write(dir.path().join("btf").join(&name), b"other").unwrap();
        let given = store.btf(b"one").unwrap();
        assert_ne!(given, name);
        assert_eq!(fs::read(dir.path().join("btf").join(name)).unwrap(), b"other");
        assert_eq!(fs::read(dir.path().join("btf").join(given)).unwrap(), b"one");
    }

    #[test]
    fn answers_hold_a_message_only_where_the_log_is_one() {
        let log = b"R0 !read_ok\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";
        let plain = Answer::new(-13, 4, Some(log), None);
        assert_eq!((plain.verdict, plain.errno, plain.insns_processed), ("reject", -13, Some(1)));
        assert_eq!(plain.message.as_deref(), Some(&["R0 !read_ok".to_owned()][..]));
        assert_eq!(Answer::new(-13, 1, Some(log), None).message, None);
        let quiet = Answer::new(5, 0, None, Some(42));
        assert_eq!((quiet.verdict, quiet.errno, quiet.insns_processed, quiet.log), ("accept", 0, Some(42), None));
    }
}
