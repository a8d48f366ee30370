//! Programs in C at random: what compilers make of ordinary code is not what a generator of instructions thinks of. Straight lines, branches,
//! copies of a value of which one is checked and another used, spills, loops, maps, packets, functions. A seed always gives the same
//! text. Compiling is the caller's matter; the other generators make instructions.

mod preamble;

use std::fmt::Write;

use crate::rng::Rng;

/// Functions that are programs, in each file.
const PROGRAMS: usize = 8;

/// One file and how it is to be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub text: String,
    /// `-O0` to `-O2`
    pub optimise: &'static str,
    /// `-mcpu=v2` to `-mcpu=v4`
    pub cpu: &'static str,
}

/// The file of this seed.
pub fn source(seed: u64) -> Source {
    let mut rng = Rng::new(seed ^ 0xc0de);
    let optimise = ["-O2", "-O1", "-O0"][rng.weighted(&[6, 3, 1])];
    let cpu = ["-mcpu=v3", "-mcpu=v2", "-mcpu=v4"][rng.weighted(&[5, 2, 3])];
    let mut text = format!("/* seed {seed}, {optimise} {cpu} */\n{}", preamble::TEXT);
    for number in 0..PROGRAMS {
        let program = Writer::new(&mut rng, number).program();
        text.push_str(&program);
    }
    text.push_str("char _license[] SEC(\"license\") = \"GPL\";\n");
    Source { text, optimise, cpu }
}

/// Types of numbers; a check of a signed one from above alone does not make an index.
const TYPES: [&str; 14] =
    ["u8", "u16", "u32", "u32", "u32", "u32", "u64", "u64", "u64", "u16", "s8", "s16", "s32", "s64"];
/// Elements of the array in a map's value.
const ELEMENTS: i64 = 8;
/// Bytes of the buffer on the stack.
const BUFFER: i64 = 16;

/// What kind of program a function is, and what its context has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tc,
    Socket,
    Xdp,
}

impl Kind {
    fn section(self) -> &'static str {
        match self {
            Kind::Tc => "tc",
            Kind::Socket => "socket",
            Kind::Xdp => "xdp",
        }
    }
    fn context(self) -> &'static str {
        if self == Kind::Xdp { "struct xdp_md" } else { "struct __sk_buff" }
    }
    fn fields(self) -> &'static [&'static str] {
        match self {
            Kind::Tc => &["len", "mark", "priority", "hash", "protocol", "ifindex", "cb[1]", "tc_index"],
            Kind::Socket => &["len", "mark", "priority", "hash", "protocol", "ifindex", "cb[1]", "pkt_type"],
            Kind::Xdp => &["ingress_ifindex", "rx_queue_index"],
        }
    }
    fn has_packet(self) -> bool {
        self != Kind::Socket
    }
}

/// Writes one program and the functions that it calls.
struct Writer<'r> {
    rng: &'r mut Rng,
    number: usize,
    kind: Kind,
    /// Functions, which stand in front of the program.
    before: String,
    out: String,
    indent: usize,
    /// Numbers that may be used here, all of them initialised.
    numbers: Vec<String>,
    /// Of these, what a loop counts with: read only.
    counters: usize,
    has_value: bool,
    has_packet: bool,
    has_buffer: bool,
    /// In a function of its own, which has no context.
    inner: bool,
    next: usize,
    /// Statements that may still be written.
    budget: usize,
}

impl<'r> Writer<'r> {
    fn new(rng: &'r mut Rng, number: usize) -> Self {
        let kind = [Kind::Tc, Kind::Socket, Kind::Xdp][rng.weighted(&[5, 2, 2])];
        Self {
            rng,
            number,
            kind,
            before: String::new(),
            out: String::new(),
            indent: 1,
            numbers: Vec::new(),
            counters: 0,
            has_value: false,
            has_packet: false,
            has_buffer: false,
            inner: false,
            next: 0,
            budget: 0,
        }
    }

    fn line(&mut self, text: impl AsRef<str>) {
        self.out.extend(std::iter::repeat_n('\t', self.indent));
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    // ---- the program ---------------------------------------------------------------------------------------------------

    fn program(mut self) -> String {
        self.budget = self.rng.between(3, 14) as usize;
        let (n, kind) = (self.number, self.kind);
        for name in ["a", "b", "c", "d"] {
            let ty = self.rng.pick(&TYPES);
            let start = self.start();
            self.line(format!("{ty} {name} = {start};"));
            self.numbers.push(name.to_owned());
        }
        if self.rng.chance(75) {
            let map = self.rng.pick(&["hash", "array", "array", "lru"]);
            let key = self.rng.pick(&["0", "a", "b & 3"]);
            self.line(format!("u32 k = {key};"));
            self.line(format!("struct v *p = map_lookup(&{map}, &k);"));
            if self.rng.chance(15) {
                // A number is worked out between look-up and test.
                self.statement();
            }
            self.line("if (!p) return 0;");
            self.has_value = true;
        }
        if kind.has_packet() && self.rng.chance(40) {
            self.line("u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;");
            self.has_packet = true;
        }
        if self.rng.chance(25) {
            self.line(format!("u8 buf[{BUFFER}] = {{}};"));
            self.has_buffer = true;
        }
        while self.budget > 0 {
            self.statement();
        }
        let sum = self.expression(2);
        match kind {
            Kind::Xdp => self.line(format!("return ({sum}) & 3;")),
            _ => self.line(format!("return {sum};")),
        }
        let (before, body) = (&self.before, &self.out);
        format!("{before}SEC(\"{}\") int f{n}({} *ctx)\n{{\n{body}}}\n", kind.section(), kind.context())
    }

    /// Where a number comes from.
    fn start(&mut self) -> String {
        match self.rng.below(8) {
            0 => self.constant(),
            1 | 2 => "random32()".to_owned(),
            3 => "now()".to_owned(),
            4 => format!("random32() {}", self.rng.pick(&["& 7", "& 0xff", "% 10", ">> 28", "& 1"])),
            _ if self.inner => "random32()".to_owned(),
            _ => format!("ctx->{}", self.rng.pick(self.kind.fields())),
        }
    }

    fn block(&mut self) {
        let known = self.numbers.len();
        self.indent += 1;
        for _ in 0..=self.rng.below(3) {
            if self.budget == 0 {
                break;
            }
            self.statement();
        }
        self.indent -= 1;
        self.numbers.truncate(known);
    }

    fn statement(&mut self) {
        self.budget = self.budget.saturating_sub(1);
        let deep = self.indent > 4;
        let inner = self.inner;
        let value = u32::from(self.has_value);
        let packet = u32::from(self.has_packet);
        let buffer = u32::from(self.has_buffer);
        match self.rng.weighted(&[
            8,
            if deep { 0 } else { 8 },
            8 * value,
            6 * value,
            4,
            3,
            if deep { 0 } else { 3 },
            5 * packet,
            4 * buffer,
            2,
            if inner || deep { 0 } else { 3 },
            if deep { 0 } else { 2 },
            u32::from(!inner && !deep),
            2 * value,
            2,
        ]) {
            0 => self.assign(),
            1 => self.branch(),
            2 => self.checked_store(),
            3 => self.copy_and_store(),
            4 => self.spill(),
            5 => self.barrier(),
            6 => self.loop_(),
            7 => self.packet(),
            8 => self.buffer(),
            9 => self.call_helper(),
            10 => self.call_function(),
            11 => self.switch(),
            12 => self.record(),
            13 => self.value_pointer(),
            _ => self.declare(),
        }
    }

    // ---- numbers -------------------------------------------------------------------------------------------------------

    fn number(&mut self) -> String {
        let n = self.rng.below(self.numbers.len() as u64) as usize;
        self.numbers[n].clone()
    }

    /// A number that may be written.
    fn target(&mut self) -> String {
        loop {
            let name = self.number();
            if !name.starts_with('i') {
                return name;
            }
        }
    }

    fn constant(&mut self) -> String {
        const COMMON: [&str; 14] =
            ["0", "1", "2", "3", "4", "7", "8", "15", "16", "63", "255", "0xffff", "0xffffffff", "-1"];
        match self.rng.below(4) {
            0 => self.rng.interesting().to_string(),
            _ => self.rng.pick(&COMMON).to_owned(),
        }
    }

    fn expression(&mut self, depth: u32) -> String {
        if depth == 0 || self.rng.chance(35) {
            return match self.rng.below(10) {
                0 | 1 => self.constant(),
                2 if self.has_value => {
                    let field = self.rng.pick(&["p->a", "p->b", "p->c", "p->d[2]"]);
                    field.to_owned()
                }
                3 if !self.inner => format!("ctx->{}", self.rng.pick(self.kind.fields())),
                _ => self.number(),
            };
        }
        let a = self.expression(depth - 1);
        match self.rng.below(16) {
            0 => format!("({})({a})", self.rng.pick(&TYPES)),
            1 => format!("-({a})"),
            2 => format!("({a} {} {})", self.rng.pick(&["<<", ">>"]), self.rng.between(0, 31)),
            3 => {
                let by = self.number();
                format!("((u64)({a}) {} ({by} & 31))", self.rng.pick(&["<<", ">>"]))
            }
            4 => {
                // Signed division needs a newer instruction set than most.
                let by = self.rng.between(1, 20);
                format!("((u32)({a}) {} {by}u)", self.rng.pick(&["/", "%"]))
            }
            5 => {
                let condition = self.condition();
                let b = self.expression(depth - 1);
                format!("({condition} ? {a} : {b})")
            }
            6 => format!("((s32)({a}) >> {})", self.rng.between(1, 31)),
            7 => format!("({a} & {})", self.rng.pick(&["7", "0xff", "0xfff0", "1", "0x7fffffff", "-8"])),
            8 if self.rng.chance(30) => format!("__builtin_bswap32({a})"),
            _ => {
                let b = self.expression(depth - 1);
                let op = self.rng.pick(&["+", "+", "+", "-", "-", "*", "&", "|", "^"]);
                format!("({a} {op} {b})")
            }
        }
    }

    fn condition(&mut self) -> String {
        let a = self.number();
        let op = self.rng.pick(&["<", "<=", ">", ">=", "==", "!="]);
        match self.rng.below(8) {
            0 => format!("({a} & {})", self.rng.pick(&["1", "7", "0x80", "0xf0"])),
            1 => {
                let b = self.number();
                format!("({a} {op} {b})")
            }
            2 => format!("((s32){a} {op} {})", self.rng.pick(&["0", "1", "-1", "8"])),
            3 => format!("((u64){a} {op} {})", self.rng.pick(&["8ull", "0xffffffffull", "1ull"])),
            4 => {
                let b = self.constant();
                format!("({a} + {} {op} {b})", self.rng.between(-9, 9))
            }
            5 if self.rng.chance(40) => {
                let (b, c) = (self.number(), self.constant());
                format!("({a} {op} {c} && {b} < 16)")
            }
            _ => {
                let b = self.constant();
                format!("({a} {op} {b})")
            }
        }
    }

    fn assign(&mut self) {
        let to = self.target();
        let value = self.expression(2);
        match self.rng.below(4) {
            0 => {
                let op = self.rng.pick(&["+=", "-=", "*=", "&=", "|=", "^="]);
                self.line(format!("{to} {op} {value};"));
            }
            _ => self.line(format!("{to} = {value};")),
        }
    }

    fn declare(&mut self) {
        let name = self.fresh("n");
        let ty = self.rng.pick(&TYPES);
        let value = if self.rng.chance(50) { self.start() } else { self.expression(1) };
        self.line(format!("{ty} {name} = {value};"));
        self.numbers.push(name);
    }

    fn barrier(&mut self) {
        let name = self.target();
        match self.rng.below(3) {
            0 => self.line(format!("asm volatile(\"\" :: \"r\"({name}));")),
            1 => self.line(format!("asm volatile(\"\" : \"+r\"({name}));")),
            _ => self.line("asm volatile(\"\" ::: \"memory\");"),
        }
    }

    // ---- control flow --------------------------------------------------------------------------------------------------

    fn branch(&mut self) {
        let condition = self.condition();
        self.line(format!("if {condition} {{"));
        self.block();
        if self.rng.chance(45) {
            self.line("} else {");
            self.block();
        }
        self.line("}");
    }

    fn switch(&mut self) {
        let name = self.number();
        self.line(format!("switch ({name} & 7) {{"));
        for case in 0..=self.rng.between(1, 3) {
            self.line(format!("case {case}:"));
            let to = self.target();
            let value = self.expression(1);
            self.line(format!("\t{to} = {value};"));
            if self.rng.chance(80) {
                self.line("\tbreak;");
            }
        }
        self.line("}");
    }

    fn loop_(&mut self) {
        let i = self.fresh("i");
        let bound = match self.rng.below(4) {
            0 => format!("({} & {})", self.number(), self.rng.pick(&["3", "7", "15"])),
            1 => format!("(u32){} && {i} < {}", self.number(), self.rng.between(2, 10)),
            _ => self.rng.between(2, 12).to_string(),
        };
        if self.rng.chance(70) {
            self.line("#pragma clang loop unroll(disable)");
        }
        let ty = self.rng.pick(&["int", "u32", "u64", "u16"]);
        self.line(format!("for ({ty} {i} = 0; {i} < {bound}; {i}++) {{"));
        let known = self.numbers.len();
        self.numbers.push(i.clone());
        self.counters += 1;
        self.budget += 1;
        self.block();
        if self.rng.chance(40) {
            self.indent += 1;
            let condition = self.condition();
            let leave = self.rng.pick(&["break", "continue"]);
            self.line(format!("if {condition} {leave};"));
            self.indent -= 1;
        }
        if self.has_value && self.rng.chance(50) {
            let other = self.number();
            self.line(format!("\tif ({i} < {ELEMENTS}) p->d[{i}] += {other};"));
        }
        self.line("}");
        self.counters -= 1;
        self.numbers.truncate(known);
    }

    // ---- map values ----------------------------------------------------------------------------------------------------

    /// A test of an index; mostly one that suffices.
    fn bound(&mut self, name: &str) -> String {
        match self.rng.below(12) {
            0 => format!("{name} <= {ELEMENTS}"),
            1 => format!("(s32){name} >= 0 && (s32){name} < {ELEMENTS}"),
            2 => format!("(u32){name} < {ELEMENTS}"),
            3 => format!("{name} > 0 && {name} < {ELEMENTS}"),
            4 => format!("{name} == {}", self.rng.between(0, 9)),
            5 => format!("{name} + 1 < {ELEMENTS}"),
            6 => format!("(u64){name} < {ELEMENTS}"),
            7 => format!("(u8){name} < {ELEMENTS}"),
            _ => format!("{name} < {ELEMENTS}"),
        }
    }

    fn checked_store(&mut self) {
        let (index, value) = (self.number(), self.number());
        let bound = self.bound(&index);
        match self.rng.below(5) {
            0 => self
                .line(format!("if ({bound}) {} = p->d[{index}];", if value.starts_with('i') { "a" } else { &value })),
            1 => self.line(format!("p->d[{index} & 7] = {value};")),
            2 => {
                let field = self.rng.pick(&["a", "b", "c"]);
                self.line(format!("p->{field} = {value};"));
            }
            _ => self.line(format!("if ({bound}) p->d[{index}] = {value};")),
        }
    }

    /// One copy is checked, another is used.
    fn copy_and_store(&mut self) {
        let from = self.number();
        let copy = self.fresh("q");
        let ty = self.rng.pick(&["u32", "u64", "u32", "u64", "u64", "s32", "u8", "s64"]);
        let offset = self.rng.pick(&["", "", "", "", " + 1", " - 1", " - 4", " + 3"]);
        let volatile = if self.rng.chance(25) { "volatile " } else { "" };
        self.line(format!("{volatile}{ty} {copy} = {from}{offset};"));
        if self.rng.chance(30) && !from.starts_with('i') {
            self.line(format!("asm volatile(\"\" : \"+r\"({from}));"));
        }
        if self.rng.chance(40) && self.budget > 0 {
            self.statement();
        }
        let (checked, used) = match self.rng.below(3) {
            0 => (copy.clone(), copy.clone()),
            1 => (copy.clone(), from),
            _ => (from, copy.clone()),
        };
        let bound = self.bound(&checked);
        let value = self.number();
        self.line(format!("if ({bound}) p->d[{used}] = {value};"));
        if volatile.is_empty() {
            self.numbers.push(copy);
        }
    }

    /// A pointer into a value, moved by a number and then tested.
    fn value_pointer(&mut self) {
        let index = self.number();
        let name = self.fresh("e");
        let value = self.number();
        let mask = self.rng.pick(&["7", "3", "15", "8"]);
        self.line(format!("u64 *{name} = &p->d[{index} & {mask}];"));
        self.line(format!("asm volatile(\"\" : \"+r\"({name}));"));
        if self.rng.chance(40) && self.budget > 0 {
            self.statement();
        }
        self.line(format!("*{name} = {value};"));
    }

    // ---- the stack -----------------------------------------------------------------------------------------------------

    fn spill(&mut self) {
        let name = self.fresh("s");
        let ty = self.rng.pick(&["u8", "u16", "u32", "u64", "s32", "u64", "u32"]);
        let from = if self.rng.chance(50) { self.number() } else { self.start() };
        self.line(format!("volatile {ty} {name} = {from};"));
        for _ in 0..self.rng.below(3) {
            if self.budget > 0 {
                self.statement();
            }
        }
        match self.rng.below(4) {
            0 if self.has_value => {
                let value = self.number();
                self.line(format!("if ({name} < {ELEMENTS}) p->d[{name}] = {value};"));
            }
            1 => {
                let to = self.target();
                let condition = self.constant();
                self.line(format!("if ({name} == {condition}) {to} = {name};"));
            }
            2 => {
                let value = self.expression(1);
                self.line(format!("{name} = {value};"));
            }
            _ => {
                let to = self.target();
                self.line(format!("{to} = {name};"));
            }
        }
    }

    fn buffer(&mut self) {
        let (index, value) = (self.number(), self.number());
        let to = self.target();
        let mask = BUFFER - 1;
        match self.rng.below(6) {
            0 => self.line(format!("buf[{index} & {mask}] = {value};")),
            1 => self.line(format!("{to} = buf[{index} & {mask}];")),
            2 => self.line(format!("if ({index} < {BUFFER}) buf[{index}] = {value};")),
            3 => {
                let at = self.rng.between(0, 3) * 4;
                self.line(format!("*(u32 *)(buf + {at}) = {value};"));
            }
            4 => self.line(format!("{to} = *(u64 *)(buf + 8);")),
            _ => self.line(format!("if ({index} < {BUFFER}) {to} = buf[{index}];")),
        }
    }

    // ---- packets -------------------------------------------------------------------------------------------------------

    fn packet(&mut self) {
        let to = self.target();
        let size = self.rng.pick(&["u8", "u16", "u32", "u64"]);
        if self.rng.chance(50) {
            let at = self.rng.between(0, 30);
            let checked = at + self.rng.pick(&[8, 8, 8, 1, 4]);
            self.line(format!("if (data + {checked} <= end) {{"));
            self.line(format!("\t{to} = *({size} *)(data + {at});"));
            self.block();
            self.line("}");
            return;
        }
        let index = self.number();
        let pointer = self.fresh("h");
        let mask = self.rng.pick(&["15", "63", "255", "0x3c", "0xffff"]);
        self.line(format!("u8 *{pointer} = data + ({index} & {mask});"));
        let need = self.rng.pick(&[8, 8, 4, 2]);
        self.line(format!("if ({pointer} + {need} <= end) {{"));
        if self.rng.chance(30) && self.kind != Kind::Socket {
            let value = self.number();
            self.line(format!("\t*{pointer} = {value};"));
        }
        self.line(format!("\t{to} = *({size} *){pointer};"));
        self.block();
        self.line("}");
    }

    // ---- calls ---------------------------------------------------------------------------------------------------------

    fn call_helper(&mut self) {
        let to = self.target();
        let name = self.number();
        match self.rng.below(7) {
            0 => self.line(format!("{to} = random32();")),
            1 => self.line(format!("{to} = processor();")),
            2 => {
                let key = self.fresh("k");
                self.line(format!("u32 {key} = {name};"));
                self.line(format!("{to} = map_delete(&hash, &{key});"));
            }
            3 => {
                let (key, value) = (self.fresh("k"), self.fresh("v"));
                self.line(format!("u32 {key} = {name};"));
                self.line(format!("struct v {value} = {{ .a = {name} }};"));
                self.line(format!("{to} = map_update(&hash, &{key}, &{value}, 0);"));
            }
            4 if self.has_buffer && self.kind != Kind::Xdp && !self.inner => {
                let size = match self.rng.below(3) {
                    0 => "8".to_owned(),
                    1 => format!("({name} & 7) + 1"),
                    _ => format!("{name} & 15"),
                };
                self.line(format!("{to} = load_bytes(ctx, 0, buf, {size});"));
            }
            5 => {
                let (key, other) = (self.fresh("k"), self.fresh("o"));
                self.line(format!("u32 {key} = {name};"));
                self.line(format!("struct v *{other} = map_lookup(&array, &{key});"));
                self.line(format!("if ({other}) {to} = {other}->d[1];"));
            }
            _ => self.line(format!("{to} = now();")),
        }
    }

    /// A function of the program's own: takes numbers, or a number by its address.
    fn call_function(&mut self) {
        let name = format!("g{}_{}", self.number, self.next);
        self.next += 1;
        let to = self.target();
        let by_address = self.rng.chance(30);
        let global = !by_address && self.rng.chance(30);
        let (a, b) = (self.number(), self.number());
        // The function is written with a state of its own; the program's is put back afterwards.
        let (out, numbers) = (std::mem::take(&mut self.out), std::mem::take(&mut self.numbers));
        let state = (self.has_value, self.has_packet, self.has_buffer, self.indent, self.budget, self.counters);
        (self.has_value, self.has_packet, self.has_buffer, self.inner) = (false, false, false, true);
        (self.indent, self.budget) = (1, self.rng.between(1, 4) as usize);
        let (ty, other) = (self.rng.pick(&TYPES[1..]), self.rng.pick(&TYPES[1..]));
        self.numbers = vec!["x".to_owned(), "y".to_owned()];
        if by_address {
            self.line("u64 x = *at;");
        }
        while self.budget > 0 {
            self.statement();
        }
        let result = self.expression(1);
        if by_address {
            self.line(format!("*at = {result};"));
        }
        self.line(format!("return {result};"));
        let body = std::mem::replace(&mut self.out, out);
        let linkage = if global { "" } else { "static " };
        let parameters = if by_address { format!("u64 *at, {other} y") } else { format!("{ty} x, {other} y") };
        let returns = if by_address { "u64" } else { "int" };
        let _ =
            write!(self.before, "{linkage}__attribute__((noinline)) {returns} {name}({parameters})\n{{\n{body}}}\n");
        self.numbers = numbers;
        (self.has_value, self.has_packet, self.has_buffer, self.indent, self.budget, self.counters) = state;
        self.inner = false;
        if by_address {
            let at = self.fresh("t");
            self.line(format!("u64 {at} = {a};"));
            self.line(format!("{to} = {name}(&{at}, {b});"));
            self.numbers.push(at);
        } else {
            self.line(format!("{to} = {name}({a}, {b});"));
        }
    }

    /// A record of the ring buffer.
    fn record(&mut self) {
        let name = self.fresh("r");
        let value = self.number();
        self.line(format!("u32 *{name} = reserve(&ring, 8, 0);"));
        if self.rng.chance(40) && self.budget > 0 {
            self.statement();
        }
        self.line(format!("if ({name}) {{"));
        let (place, end) = (self.rng.pick(&["0", "1"]), self.rng.pick(&["submit", "discard"]));
        self.line(format!("\t{name}[{place}] = {value};"));
        self.block();
        self.line(format!("\t{end}({name}, 0);"));
        self.line("}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_text_and_others_give_others() {
        assert_eq!(source(7), source(7));
        assert_ne!(source(7).text, source(8).text);
    }

    #[test]
    fn every_way_of_compiling_and_kind_of_statement_comes_up() {
        let all: Vec<Source> = (0..200).map(source).collect();
        let has = |what: &str| all.iter().any(|s| s.text.contains(what));
        for what in
            ["volatile u64", "for (", "switch (", "data + ", "buf[", "reserve(", "map_update(", "static __attribute__"]
        {
            assert!(has(what), "no {what}");
        }
        for (flag, of) in [("-O0", 0), ("-O1", 0), ("-O2", 0), ("-mcpu=v2", 1), ("-mcpu=v3", 1), ("-mcpu=v4", 1)] {
            assert!(all.iter().any(|s| [s.optimise, s.cpu][of] == flag), "no {flag}");
        }
    }
}
