//! Values of `.kconfig` externs: from a kernel configuration's text, and the few that the loader makes up itself.

use crate::externs::{ConfigType, Extern, Externs, What};
use crate::{Error, Options};
use std::collections::HashMap;

/// The contents of the `.kconfig` map.
pub(crate) fn contents(externs: &Externs, options: &Options) -> Result<Vec<u8>, Error> {
    let mut data = vec![0u8; externs.config_size as usize];
    let config = options.kconfig.as_deref().map(parse);
    for ext in &externs.list {
        let What::Config { ty, size, offset, .. } = ext.what else { continue };
        let place = &mut data[offset as usize..(offset + size) as usize];
        let set = match made_up(&ext.name, options) {
            Some(value) => store_number(ext, ty, place, value).map(|()| true)?,
            None if ext.name.starts_with("CONFIG_") => match config.as_ref().and_then(|c| c.get(ext.name.as_str())) {
                Some(value) => store(ext, ty, place, value).map(|()| true)?,
                None => false,
            },
            None if ext.name.starts_with("LINUX_") && ext.weak => false,
            None => {
                return Err(Error::external(
                    &ext.name,
                    "only CONFIG_* and known LINUX_* names are kernel configuration",
                ));
            }
        };
        if !set && !ext.weak {
            let why = if config.is_some() { "not set in" } else { "needs" };
            return Err(Error::external(&ext.name, format!("(strong) {why} the kernel configuration")));
        }
    }
    Ok(data)
}

/// Names that describe the kernel without being in its configuration.
fn made_up(name: &str, options: &Options) -> Option<u64> {
    match name {
        "LINUX_KERNEL_VERSION" => Some(u64::from(options.kernel_version)),
        "LINUX_HAS_BPF_COOKIE" => Some(u64::from(options.takes.bpf_cookie)),
        // Of x86-64.
        "LINUX_HAS_SYSCALL_WRAPPER" => Some(1),
        _ => None,
    }
}

/// `CONFIG_X=value` lines; the first of a name counts.
fn parse(text: &str) -> HashMap<&str, &str> {
    let mut map = HashMap::new();
    for line in text.lines().filter(|l| l.starts_with("CONFIG_")) {
        if let Some((name, value)) = line.split_once('=') {
            map.entry(name).or_insert(value.trim_end());
        }
    }
    map
}

fn store(ext: &Extern, ty: ConfigType, place: &mut [u8], value: &str) -> Result<(), Error> {
    let bad = |problem: String| Err(Error::external(&ext.name, problem));
    match value {
        "y" | "n" | "m" => {
            let byte = match (ty, value) {
                (ConfigType::Bool, "m") => return bad("is `m`, but declared bool".into()),
                (ConfigType::Bool | ConfigType::Tristate, "y") => 1,
                (ConfigType::Bool | ConfigType::Tristate, "n") => 0,
                (ConfigType::Tristate, _) => 2,
                (ConfigType::Char { .. }, v) => v.as_bytes()[0],
                _ => return bad(format!("is `{value}`, but declared neither bool, tristate nor char")),
            };
            place[0] = byte;
            Ok(())
        }
        _ if value.starts_with('"') => {
            if ty != ConfigType::CharArray {
                return bad("is a string, but not declared as a char array".into());
            }
            let Some(text) = value[1..].strip_suffix('"') else { return bad("is a string without an end".into()) };
            let len = text.len().min(place.len().saturating_sub(1));
            place[..len].copy_from_slice(&text.as_bytes()[..len]);
            Ok(())
        }
        _ => {
            let digits = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
            let parsed = match digits {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => value.parse::<i64>().map(|v| v as u64).or_else(|_| value.parse()).ok(),
            };
            match parsed {
                Some(number) => store_number(ext, ty, place, number),
                None => bad(format!("has a value that is no number: `{value}`")),
            }
        }
    }
}

fn store_number(ext: &Extern, ty: ConfigType, place: &mut [u8], value: u64) -> Result<(), Error> {
    let bits = place.len() as u32 * 8;
    let (ConfigType::Int { signed } | ConfigType::Char { signed }) = ty else {
        let is_flag = ty == ConfigType::Bool && ext.name.starts_with("LINUX_") && value <= 1;
        if is_flag {
            place[0] = value as u8;
            return Ok(());
        }
        return Err(Error::external(&ext.name, "is a number, but not declared as an integer"));
    };
    let fits = match (bits, signed) {
        (64, _) => true,
        (_, true) => {
            let limit = 1i64 << (bits - 1);
            (-limit..limit).contains(&(value as i64))
        }
        (_, false) => value < 1 << bits,
    };
    if !fits {
        return Err(Error::external(&ext.name, format!("value {value} does not fit {} bytes", place.len())));
    }
    place.copy_from_slice(&value.to_le_bytes()[..place.len()]);
    Ok(())
}
