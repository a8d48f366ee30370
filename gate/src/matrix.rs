//! The configurations of an object: named sets of values and all combinations of permuted ones.

use crate::config::Config;

/// Combinations of one object; more is a mistake rather than a wish.
const MOST: usize = 4096;

/// A set of values of global variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// `-` for the object as it is.
    pub name: String,
    /// `NAME=VALUE`.
    pub values: Vec<String>,
}

/// The configurations of the object at `path`; the object as it is comes first, unless values are permuted.
pub fn configurations(config: &Config, path: &str) -> Result<Vec<Configuration>, String> {
    let mut all = Vec::new();
    let mut combined = vec![Vec::<String>::new()];
    for settings in config.settings(path) {
        for (name, values) in &settings.configurations {
            let values = values.iter().map(|(n, v)| format!("{n}={v}")).collect();
            all.push(Configuration { name: name.clone(), values });
        }
        for (name, values) in &settings.permute {
            if combined.len().saturating_mul(values.len()) > MOST {
                return Err(format!("{path}: more than {MOST} combinations of values"));
            }
            combined = (combined.iter())
                .flat_map(|c| values.iter().map(move |v| c.iter().cloned().chain([format!("{name}={v}")]).collect()))
                .collect();
        }
    }
    let named = |values: Vec<String>| {
        let name = if values.is_empty() { "-".to_owned() } else { values.join(",") };
        Configuration { name, values }
    };
    let mut out: Vec<Configuration> = combined.into_iter().map(named).collect();
    out.extend(all);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_and_named_sets_make_the_matrix() {
        let text = "[[object]]\npath = \"a.o\"\n[object.permute]\nA = [0, 1]\nB = [true, \"x\"]\n\
                    [object.configurations.big]\nSIZE = 9\n";
        let config = Config::parse(text).expect("a good file");
        let names = |path| configurations(&config, path).map(|c| c.into_iter().map(|c| c.name).collect::<Vec<_>>());
        let expected = ["A=0,B=true", "A=0,B=x", "A=1,B=true", "A=1,B=x", "big"].map(str::to_owned).to_vec();
        assert_eq!(names("dir/a.o"), Ok(expected));
        assert_eq!(names("b.o"), Ok(vec!["-".to_owned()]));
    }
}
