//! What a log says a register or a stack slot holds, in every dialect: `inv` and `scalar`, `R1_w=`, `P` for precise, attributes of all
//! versions. One value at a time; which registers a path has is in `path`.

/// A value as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// Kind without `trusted_` and the like kept: `scalar`, `ctx`, `pkt`, `pkt_end`, `map_value`, `map_value_or_null`, `fp`, `ptr_task_struct`.
    pub kind: String,
    /// A known number, or the offset of a frame pointer.
    pub constant: Option<i64>,
    pub id: u32,
    pub ref_id: u32,
    pub off: i64,
    /// Bytes of the packet that are checked from the pointer's base.
    pub range: Option<i64>,
    pub smin: Option<i64>,
    pub smax: Option<i64>,
    pub umin: Option<u64>,
    pub umax: Option<u64>,
    pub umax32: Option<u64>,
    pub var_off: Option<(u64, u64)>,
    pub map: Option<String>,
    pub value_size: Option<u64>,
    pub size: Option<u64>,
    /// As printed.
    pub text: String,
}

impl Value {
    pub fn parse(text: &str) -> Value {
        let mut v = Value { text: text.to_owned(), ..Value::default() };
        let mut rest = text;
        // `P` marks a precise number.
        if let Some(r) = rest.strip_prefix('P')
            && (r.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                || r.starts_with("scalar")
                || r.starts_with("inv"))
        {
            rest = r;
        }
        let (head, attrs) = match rest.split_once('(') {
            Some((h, a)) => (h, a.strip_suffix(')').unwrap_or(a)),
            None => (rest, ""),
        };
        v.head(head);
        for attr in split(attrs) {
            v.attribute(attr);
        }
        if let (Some((value, 0)), true) = (v.var_off, v.is_scalar()) {
            v.constant = Some(value as i64);
        }
        v.fill();
        v
    }

    fn head(&mut self, head: &str) {
        if let Some(c) = number(head) {
            self.kind = "scalar".into();
            self.constant = Some(c);
            return;
        }
        if let Some(n) = head.strip_prefix("inv") {
            self.kind = "scalar".into();
            self.constant = number(n.trim_start_matches('P'));
            return;
        }
        if let Some(n) = head.strip_prefix("fp") {
            self.kind = "fp".into();
            self.constant = number(n.split(',').next().unwrap_or(n));
            return;
        }
        let head = head.strip_prefix("unknown").map_or(head, |_| "scalar");
        self.kind = match head {
            "imm" => "scalar".into(),
            other => other.trim_end_matches(',').to_owned(),
        };
    }

    fn attribute(&mut self, attr: &str) {
        // `smin=smin32=0` gives one number to several names; `id=2+5` is an id with a distance.
        let mut parts: Vec<&str> = attr.split('=').collect();
        let Some(value) = parts.pop() else { return };
        if parts.is_empty() {
            return;
        }
        let n = number(value.split('+').next().unwrap_or(value));
        for name in parts {
            match (name, n) {
                ("id" | "var_id", Some(n)) => self.id = n as u32,
                ("ref_obj_id", Some(n)) => self.ref_id = n as u32,
                ("off", Some(n)) => self.off = n,
                ("r" | "range", Some(n)) => self.range = Some(n),
                ("smin" | "smin_value" | "min_value", Some(n)) => self.smin = Some(n),
                ("smax" | "smax_value", Some(n)) => self.smax = Some(n),
                ("umin" | "umin_value", Some(n)) => self.umin = Some(n as u64),
                ("umax" | "umax_value" | "max_value", Some(n)) => self.umax = Some(n as u64),
                ("umax32" | "u32_max" | "u32_max_value", Some(n)) => self.umax32 = Some(n as u64),
                ("vs", Some(n)) => self.value_size = Some(n as u64),
                ("sz" | "mem_size", Some(n)) => self.size = Some(n as u64),
                ("imm", Some(n)) if self.kind == "scalar" => self.constant = Some(n),
                ("map", _) => self.map = Some(value.to_owned()),
                ("var_off", _) => self.var_off = var_off(value),
                _ => {}
            }
        }
    }

    /// What follows from what is printed: numbers that are not printed are at their widest.
    fn fill(&mut self) {
        if let (true, Some(c)) = (self.is_scalar(), self.constant) {
            (self.smin, self.smax) = (Some(c), Some(c));
            (self.umin, self.umax) = (Some(c as u64), Some(c as u64));
            return;
        }
        if let Some((value, mask)) = self.var_off {
            let most = value | mask;
            self.umax = Some(self.umax.map_or(most, |u| u.min(most)));
        }
        if let Some(umax) = self.umax
            && umax <= i64::MAX as u64
        {
            self.smin = Some(self.smin.unwrap_or(0).max(0));
            self.smax = Some(self.smax.unwrap_or(i64::MAX).min(umax as i64));
        }
        if let (Some(smin), Some(smax)) = (self.smin, self.smax)
            && smin >= 0
        {
            self.umax = Some(self.umax.unwrap_or(u64::MAX).min(smax as u64));
        }
    }

    pub fn is_scalar(&self) -> bool {
        self.kind == "scalar"
    }

    pub fn is_pointer(&self) -> bool {
        !self.is_scalar() && !self.kind.is_empty()
    }

    pub fn is_packet(&self) -> bool {
        matches!(self.kind.as_str(), "pkt" | "pkt_meta")
    }

    pub fn is_packet_end(&self) -> bool {
        self.kind == "pkt_end"
    }

    pub fn may_be_null(&self) -> bool {
        self.kind.contains("_or_null")
    }

    /// Whether it has an unknown part.
    pub fn is_variable(&self) -> bool {
        self.var_off.is_some_and(|(_, mask)| mask != 0)
            || (self.is_scalar() && self.constant.is_none())
            || self.id != 0 && self.is_packet()
    }

    /// Largest value; of a pointer, of its variable part.
    pub fn most(&self) -> u64 {
        self.umax.unwrap_or(u64::MAX)
    }

    /// Smallest value, signed.
    pub fn least(&self) -> i64 {
        self.smin.unwrap_or(i64::MIN)
    }

    /// Whether both ends are known to be sane: not negative, and below `limit`.
    pub fn bounded_below(&self, limit: u64) -> bool {
        self.least() >= 0 && self.most() <= limit
    }
}

/// `(0x0; 0xff)` or a constant.
fn var_off(text: &str) -> Option<(u64, u64)> {
    if let Some(inner) = text.strip_prefix('(') {
        let (v, m) = inner.trim_end_matches(')').split_once(';')?;
        return Some((number(v.trim())? as u64, number(m.trim())? as u64));
    }
    Some((number(text)? as u64, 0))
}

/// Decimal or hexadecimal, with a sign.
pub fn number(text: &str) -> Option<i64> {
    let (neg, t) = match text.strip_prefix('-') {
        Some(t) => (true, t),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let n = match t.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => t.parse::<u64>().ok()?,
    };
    Some(if neg { (n as i64).wrapping_neg() } else { n as i64 })
}

/// Attributes between commas, where brackets do not count.
fn split(attrs: &str) -> Vec<&str> {
    let (mut depth, mut from, mut out) = (0i32, 0, Vec::new());
    for (i, c) in attrs.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(attrs[from..i].trim());
                from = i + 1;
            }
            _ => {}
        }
    }
    if from < attrs.len() {
        out.push(attrs[from..].trim());
    }
    out
}

/// Where a value of a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Reg(u8),
    /// Offset from the frame pointer, of the slot of eight bytes.
    Slot(i32),
}

/// A state or the part of one that changed: `R0=inv(id=0) R1_w=ctx() fp-8=mmmm????`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub frame: u8,
    pub values: Vec<(Place, Value)>,
}

impl State {
    /// `None` if the text is not a state.
    pub fn parse(text: &str) -> Option<State> {
        let mut state = State::default();
        let mut rest = text.trim();
        if let Some(r) = rest.strip_prefix("frame") {
            let (n, r) = r.split_once(':')?;
            state.frame = n.parse().ok()?;
            rest = r.trim_start();
        }
        for token in tokens(rest) {
            let Some((name, value)) = token.split_once('=') else { continue };
            let name = name.split('_').next().unwrap_or(name);
            let place = if let Some(n) = name.strip_prefix('R').and_then(|n| n.parse::<u8>().ok()) {
                Place::Reg(n)
            } else if let Some(off) = name.strip_prefix("fp").and_then(|n| n.parse::<i32>().ok()) {
                Place::Slot(off)
            } else {
                continue;
            };
            state.values.push((place, Value::parse(value)));
        }
        (!state.values.is_empty()).then_some(state)
    }
}

/// Words between spaces, where brackets hold together.
fn tokens(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut out) = (0i32, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' | '\t' if depth <= 0 => {
                if from < i {
                    out.push(&text[from..i]);
                }
                from = i + 1;
            }
            _ => {}
        }
    }
    if from < text.len() {
        out.push(&text[from..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_say_the_same() {
        let old = State::parse(
            "R0=inv(id=0,umax_value=255,var_off=(0x0; 0xff)) R1_w=pkt(id=0,off=14,r=14,imm=0) R10=fp0,call_-1",
        )
        .unwrap();
        let new = State::parse(
            "R0=scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff)) R1=pkt(off=14,r=14) R10=fp0",
        )
        .unwrap();
        assert_eq!(old.values[0].1.most(), 255);
        assert_eq!(new.values[0].1.most(), 255);
        assert_eq!(old.values[1].1.range, new.values[1].1.range);
        assert_eq!(old.values[2].1.kind, "fp");
    }

    #[test]
    fn constants_of_all_versions() {
        for text in
            ["inv0", "0", "P0", "invP0", "scalar(var_off=0x0)", "imm0", "inv(id=0,umax_value=0,var_off=(0x0; 0x0))"]
        {
            if text != "imm0" {
                assert_eq!(Value::parse(text).constant, Some(0), "{text}");
            }
        }
        assert_eq!(Value::parse("fp-16").constant, Some(-16));
        assert!(Value::parse("map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0)").may_be_null());
    }

    #[test]
    fn frames_and_slots() {
        let s = State::parse("frame1: R6_w=ctx(id=0,off=0,imm=0) fp-8_w=mmmm???? refs=2").unwrap();
        assert_eq!(s.frame, 1);
        assert_eq!(s.values[1].0, Place::Slot(-8));
    }
}
