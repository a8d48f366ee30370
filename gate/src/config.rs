//! `bpfverdict.toml`: what is judged, for which kernels, within which limits, and what is put up with. Reading and checking it; its JSON
//! schema. What the settings do is in `evaluate` and `matrix`.

use std::collections::BTreeMap;

use globset::{Glob, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name that is looked for.
pub const FILE: &str = "bpfverdict.toml";

/// The whole file. Paths are relative to its folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Objects and folders of them; patterns such as `build/**/*.bpf.o`.
    pub objects: Vec<String>,
    /// Kernels to judge for, e.g. `6.1`, `6.12`.
    pub kernels: Vec<String>,
    /// Where the baseline is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Kernel configuration for `.kconfig` externs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kconfig: Option<String>,
    /// What to do about programs that the baseline does not know and that are not accepted.
    pub new: Policy,
    /// What to do about programs that need something that is not modelled.
    pub unsupported: Policy,
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    #[serde(rename = "object", skip_serializing_if = "Vec::is_empty")]
    pub per_object: Vec<ObjectSettings>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppress: Vec<Suppress>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    Fail,
    #[default]
    Warn,
    Ignore,
}

/// `insns = 500000`, `insns = "+10%"`, or both as a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Limit {
    Number(u64),
    Text(String),
    Both(Vec<Limit>),
}

/// Upper limits; `"+10%"` is one against the baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Instructions that the verifier processes (Linux allows 1,000,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insns: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_states: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_states: Option<Limit>,
    /// Bytes of stack of the largest function (Linux allows 512).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Limit>,
    /// Instructions of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Limit>,
}

impl Limits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The measures by name.
    pub fn all(&self) -> [(&'static str, Option<&Limit>); 5] {
        [
            ("insns", self.insns.as_ref()),
            ("total_states", self.total_states.as_ref()),
            ("peak_states", self.peak_states.as_ref()),
            ("stack", self.stack.as_ref()),
            ("size", self.size.as_ref()),
        ]
    }
}

/// A limit, read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Most(u64),
    /// Per cent over the baseline.
    Growth(f64),
}

impl Limit {
    pub fn bounds(&self) -> Result<Vec<Bound>, String> {
        match self {
            Limit::Number(n) => Ok(vec![Bound::Most(*n)]),
            Limit::Text(text) => {
                let percent = text.trim().strip_prefix('+').and_then(|t| t.strip_suffix('%'));
                let growth = percent.and_then(|t| t.trim().parse::<f64>().ok()).filter(|g| *g >= 0.0);
                let bound = growth.map(Bound::Growth).or_else(|| text.trim().parse().ok().map(Bound::Most));
                bound.map(|b| vec![b]).ok_or_else(|| format!("`{text}` is no limit: expected a number or \"+10%\""))
            }
            Limit::Both(all) => {
                all.iter().map(Limit::bounds).collect::<Result<Vec<_>, _>>().map(|b| b.into_iter().flatten().collect())
            }
        }
    }
}

/// Settings for the objects that a pattern fits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ObjectSettings {
    /// Pattern of the path; later settings win over earlier ones.
    pub path: String,
    /// Only these of the kernels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<String>,
    /// Program type where section names tell none: `xdp`, `sched_cls`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub prog_type: Option<String>,
    /// Named sets of values of global variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub configurations: BTreeMap<String, BTreeMap<String, Value>>,
    /// Values to go through in all combinations: `DEBUG = [0, 1]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub permute: BTreeMap<String, Vec<Value>>,
}

/// A value of a global variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    Bool(bool),
    Number(i64),
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bool(b) => write!(f, "{b}"),
            Value::Number(n) => write!(f, "{n}"),
            Value::Text(t) => f.write_str(t),
        }
    }
}

/// A finding that is put up with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Suppress {
    /// Id of the rule: `BV0202`.
    pub rule: String,
    /// Pattern of the object's path; every object without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Pattern of the program's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The last day on which it counts: `2027-01-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Config {
    /// Reads and checks a file's text.
    pub fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        for (name, limit) in config.limits.all() {
            limit.map(Limit::bounds).transpose().map_err(|e| format!("limits.{name}: {e}"))?;
        }
        for o in &config.per_object {
            if o.path.is_empty() {
                return Err("an [[object]] has no `path`: expected a pattern such as \"build/*.bpf.o\"".to_owned());
            }
            pattern(&o.path)?;
        }
        for s in &config.suppress {
            if s.rule.is_empty() || s.reason.trim().is_empty() {
                return Err("a [[suppress]] needs `rule` and `reason`".to_owned());
            }
            s.object.iter().chain(&s.program).try_for_each(|p| pattern(p).map(drop))?;
            if let Some(day) = s.until.as_deref().filter(|d| !is_day(d)) {
                return Err(format!("suppress {}: `until = \"{day}\"`: expected a day such as \"2027-01-31\"", s.rule));
            }
        }
        Ok(config)
    }

    /// The settings that a path meets, later ones last.
    pub fn settings<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a ObjectSettings> {
        self.per_object.iter().filter(move |o| fits(&o.path, path))
    }

    /// What `--init` writes.
    pub fn starter(objects: &[String], kernels: &[String]) -> String {
        let list = |all: &[String]| all.iter().map(|o| format!("{o:?}")).collect::<Vec<_>>().join(", ");
        format!(
            "# What `bpfverdict gate` judges, and what it lets pass; docs/gate.md tells every key.\n\
             objects = [{}]\nkernels = [{}]\nbaseline = \"bpfverdict.baseline\"\n\n\
             # What the baseline does not know: \"fail\", \"warn\" or \"ignore\".\nnew = \"warn\"\n\n\
             [limits]\n# A number, or growth against the baseline.\ninsns = [700000, \"+10%\"]\nstack = 448\n",
            list(objects),
            list(kernels)
        )
    }

    /// The published JSON schema.
    pub fn schema() -> String {
        let mut out = serde_json::to_string_pretty(&schemars::schema_for!(Config)).unwrap_or_default();
        out.push('\n');
        out
    }
}

fn is_day(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() == 10 && b.iter().enumerate().all(|(i, c)| if i == 4 || i == 7 { *c == b'-' } else { c.is_ascii_digit() })
}

/// A pattern; `**` goes over folders, `*` does not.
pub fn pattern(text: &str) -> Result<GlobMatcher, String> {
    let glob = globset::GlobBuilder::new(text).literal_separator(true).build();
    glob.map(|g: Glob| g.compile_matcher()).map_err(|e| format!("`{text}` is no pattern: {}", e.kind()))
}

/// Whether a path, or its last component where the pattern has no folder, fits.
pub fn fits(glob: &str, path: &str) -> bool {
    let name = if glob.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
    pattern(glob).is_ok_and(|p| p.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_init_writes_is_read_back() {
        let text = Config::starter(&["build/**/*.o".into()], &["6.1".into(), "6.18".into()]);
        let config = Config::parse(&text).expect("a good file");
        assert_eq!(config.kernels, ["6.1", "6.18"]);
        let insns = config.limits.insns.expect("a limit").bounds();
        assert_eq!(insns, Ok(vec![Bound::Most(700_000), Bound::Growth(10.0)]));
    }

    #[test]
    fn mistakes_are_named() {
        let why = |text: &str| Config::parse(text).expect_err("a mistake");
        assert!(why("kernel = []").contains("kernel"));
        assert!(why("[limits]\ninsns = \"ten\"").contains("limits.insns: `ten` is no limit"));
        assert!(why("[[suppress]]\nrule = \"BV0202\"").contains("needs `rule` and `reason`"));
        assert!(why("[[suppress]]\nrule = \"x\"\nreason = \"y\"\nuntil = \"soon\"").contains("expected a day"));
        assert!(why("[[object]]\npath = \"[\"").contains("is no pattern"));
    }

    #[test]
    fn the_schema_names_every_setting() {
        let schema: serde_json::Value = serde_json::from_str(&Config::schema()).expect("JSON");
        let properties = schema["properties"].as_object().expect("an object");
        for name in ["objects", "kernels", "baseline", "limits", "object", "suppress", "new", "unsupported"] {
            assert!(properties.contains_key(name), "{name}");
        }
    }
}
