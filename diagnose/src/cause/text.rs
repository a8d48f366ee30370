//! What can be read off a line of C without parsing C: the name that a value is given, the name of a pointer, a number in a check.

/// `x` of `int *x = f();`, `x = f();`, `if ((x = f()))`, `, *x = f()`.
pub fn assigned(line: &str) -> Option<String> {
    let bytes = line.as_bytes();
    for (i, _) in line.match_indices('=') {
        let before = i.checked_sub(1).map(|b| bytes[b]);
        if bytes.get(i + 1) == Some(&b'=')
            || matches!(before, Some(b'=' | b'!' | b'<' | b'>' | b'+' | b'-' | b'|' | b'&' | b'*' | b'^'))
        {
            continue;
        }
        let left = line[..i].trim_end();
        let start = left.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |p| p + 1);
        let name = &left[start..];
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Some(name.to_owned());
        }
        return None;
    }
    None
}

/// The last name assigned before a call of `func` on the line: `value` of `key = x, *value = lookup(..)`.
pub fn assigned_from(line: &str, func: &str) -> Option<String> {
    let at = line.find(func)?;
    let left = line[..at].trim_end();
    let left = left.strip_suffix('=').or_else(|| left.rfind('=').map(|i| &left[..i]))?;
    let left = left.trim_end();
    let start = left.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |p| p + 1);
    let name = &left[start..];
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then(|| name.to_owned())
}

/// The line with the last number `old` in it as `new`.
pub fn with_number(line: &str, old: i64, new: i64) -> Option<String> {
    let old = old.to_string();
    let bytes = line.as_bytes();
    let at = line.rmatch_indices(&old).map(|(i, _)| i).find(|i| {
        let ok = |c: Option<&u8>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && *c != b'_');
        ok(i.checked_sub(1).and_then(|b| bytes.get(b))) && ok(bytes.get(i + old.len()))
    })?;
    Some(format!("{}{}{}", &line[..at], new, &line[at + old.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        assert_eq!(assigned("void *data_end = (void *)(long)ctx->data_end;").unwrap(), "data_end");
        assert_eq!(
            assigned_from("__u32 key = 0, *value = bpf_map_lookup_elem(&m, &key);", "bpf_map_lookup_elem").unwrap(),
            "value"
        );
        assert_eq!(assigned("if (a == b)"), None);
        assert_eq!(with_number("if (data + 13 > end)", 13, 14).unwrap(), "if (data + 14 > end)");
        assert_eq!(with_number("if (data13 + 1 > end)", 13, 14), None);
    }
}
