//! From an input to a context in memory, the way BPF_PROG_TEST_RUN does it where it knows the type, and by the same rules where it does not. Not
//! here: what programs may access (`spec::ctx`), kernel objects (`object`).

use std::collections::BTreeMap;

use spec::ctx::Layout;
use spec::{Errno, ProgContext, ProgType};

use super::{Context, Family, Packet};
use crate::image::Image;
use crate::input::{Argument, FieldValue, Input};
use crate::memory::Block;
use crate::object::{ObjectError, Objects};
use crate::region::Kind;

pub const ETH_HLEN: usize = 14;
/// XDP: room in front of the packet, and the largest packet in one page.
pub const XDP_HEADROOM: usize = 256;
pub const XDP_MAX: usize = 3520;
/// The page behind an XDP or skb test packet, less the kernel's trailer.
const PAGE_ROOM: usize = 4096 - 320;
/// sk_buff: room in front of the Ethernet header.
pub const SKB_HEADROOM: usize = 64;
pub const SKB_MAX: usize = PAGE_ROOM - SKB_HEADROOM;

/// Why an input does not fit a program.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// BPF_PROG_TEST_RUN refuses it too.
    #[error("{errno}: {why}")]
    Refused { errno: Errno, why: &'static str },
    #[error("{0} has no field {1}")]
    NoSuchField(&'static str, String),
    #[error("field {0}: value does not fit")]
    BadValue(String),
    #[error("unsupported: {0}")]
    Unsupported(String),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("out of memory")]
    Memory,
}

/// Builds the context that this program gets for this input.
pub fn build(image: &Image, input: &Input) -> Result<Context, BuildError> {
    let prog_type = ProgType::from_raw(image.prog_type)
        .ok_or_else(|| BuildError::Unsupported(format!("program type {}", image.prog_type)))?;
    let layout = spec::ctx::layout(&ProgContext { attach_type: image.attach_type, ..ProgContext::of(prog_type) });
    match Context::family_of(prog_type) {
        Family::Xdp => xdp(prog_type, layout, input),
        Family::Skb => skb(prog_type, layout, input),
        Family::Plain => plain(prog_type, layout, image, input),
    }
}

fn xdp(prog_type: ProgType, layout: Option<Layout>, input: &Input) -> Result<Context, BuildError> {
    let (packet, meta) = (&input.packet.0, &input.meta.0);
    if packet.len() < ETH_HLEN {
        return Err(BuildError::Refused { errno: Errno::EINVAL, why: "a packet has at least an Ethernet header" });
    }
    if packet.len() > XDP_MAX {
        return Err(BuildError::Unsupported(format!("XDP packets of more than {XDP_MAX} bytes (fragments)")));
    }
    if meta.len() % 4 != 0 || meta.len() > 216 {
        return Err(BuildError::Refused {
            errno: Errno::EINVAL,
            why: "metadata is a multiple of 4 and at most 216 bytes",
        });
    }
    let mut ctx = Context::new(prog_type, Family::Xdp, layout, 24, true).ok_or(BuildError::Memory)?;
    let mut p = Packet::new(XDP_HEADROOM, packet, XDP_MAX - packet.len()).ok_or(BuildError::Memory)?;
    p.meta = p.data - meta.len();
    p.write_raw(p.meta, meta);
    ctx.packet = Some(p);
    ctx.set_u32(12, 1);
    set_fields(&ctx, layout, input, 0)?;
    Ok(ctx)
}

/// Whether programs of this type see the Ethernet header.
pub fn sees_ethernet(prog_type: ProgType) -> bool {
    matches!(prog_type, ProgType::SchedCls | ProgType::SchedAct)
}

fn skb(prog_type: ProgType, layout: Option<Layout>, input: &Input) -> Result<Context, BuildError> {
    let bytes = &input.packet.0;
    if bytes.len() < ETH_HLEN {
        return Err(BuildError::Refused { errno: Errno::EINVAL, why: "a packet has at least an Ethernet header" });
    }
    if bytes.len() > SKB_MAX {
        return Err(BuildError::Unsupported(format!("packets of more than {SKB_MAX} bytes (not linear)")));
    }
    let mut ctx = Context::new(prog_type, Family::Skb, layout, 192, true).ok_or(BuildError::Memory)?;
    let mut p = Packet::new(SKB_HEADROOM, bytes, SKB_MAX - bytes.len()).ok_or(BuildError::Memory)?;
    let ethernet = sees_ethernet(prog_type) || prog_type == ProgType::FlowDissector;
    if ethernet {
        ctx.skb.network = ETH_HLEN as i32;
    } else {
        p.data += ETH_HLEN;
        p.meta = p.data;
        ctx.skb.mac = -(ETH_HLEN as i32);
    }
    let len = p.len() as u32;
    ctx.packet = Some(p);
    ctx.set_u32(0, len);
    ctx.set_u32(4, packet_type(bytes));
    ctx.set_u32(16, protocol(bytes));
    ctx.set_u32(40, 1);
    if prog_type == ProgType::FlowDissector {
        flow_keys(&mut ctx, bytes)?;
    } else {
        socket(&mut ctx, bytes)?;
    }
    set_fields(&ctx, layout, input, 0)?;
    if !input.ctx.is_empty() && ctx.u32_at(160) == 0 {
        ctx.set_u32(160, len);
    }
    Ok(ctx)
}

/// `pkt_type` as seen from the loopback device, whose addresses are all zero: host, multicast or other host.
fn packet_type(eth: &[u8]) -> u32 {
    match eth[..6] {
        [0, 0, 0, 0, 0, 0] => 0,
        [first, ..] if first & 1 != 0 => 2,
        _ => 3,
    }
}

/// `protocol` in network order, read as a little-endian number. A length in place of a type means 802.2 (or raw 802.3 for the old IPX form).
fn protocol(eth: &[u8]) -> u32 {
    let ty = u16::from_be_bytes([eth[12], eth[13]]);
    let protocol: u16 = match ty {
        0x600.. => ty,
        _ if eth.get(14..16) == Some(&[0xff, 0xff]) => 0x0001,
        _ => 0x0004,
    };
    u32::from(protocol.swap_bytes())
}

/// The socket that a test packet belongs to, in the layout that programs see (`struct bpf_sock`).
fn socket(ctx: &mut Context, eth: &[u8]) -> Result<(), BuildError> {
    let block = Block::zeroed(80).ok_or(BuildError::Memory)?;
    let set = |off: usize, bytes: &[u8]| block.write(off, bytes);
    let l3 = &eth[ETH_HLEN..];
    let mut family = 0u32;
    match (u16::from_be_bytes([eth[12], eth[13]]), l3.len()) {
        (0x0800, 20..) => {
            family = 2;
            set(24, &l3[12..16]);
            set(52, &l3[16..20]);
            ctx.set_bytes(96, &l3[12..16]);
            ctx.set_bytes(92, &l3[16..20]);
        }
        (0x86dd, 40..) => {
            family = 10;
            set(28, &l3[8..24]);
            set(56, &l3[24..40]);
            ctx.set_bytes(116, &l3[8..24]);
            ctx.set_bytes(100, &l3[24..40]);
        }
        _ => {}
    }
    set(4, &family.to_le_bytes());
    set(72, &7u32.to_le_bytes());
    set(76, &(-1i32).to_le_bytes());
    ctx.set_u32(88, family);
    ctx.set_bytes(168, &block.addr().to_le_bytes());
    ctx.attached.push((block, Kind::Mem, false));
    Ok(())
}

/// `struct bpf_flow_keys` as the kernel hands it to a flow dissector.
fn flow_keys(ctx: &mut Context, eth: &[u8]) -> Result<(), BuildError> {
    let block = Block::zeroed(56).ok_or(BuildError::Memory)?;
    block.write(0, &(ETH_HLEN as u16).to_le_bytes());
    block.write(2, &(ETH_HLEN as u16).to_le_bytes());
    block.write(10, &eth[12..14]);
    ctx.set_bytes(144, &block.addr().to_le_bytes());
    ctx.attached.push((block, Kind::Mem, true));
    Ok(())
}

/// Everything whose struct is plain memory.
fn plain(prog_type: ProgType, layout: Option<Layout>, image: &Image, input: &Input) -> Result<Context, BuildError> {
    use ProgType as T;
    let by_arguments = matches!(
        prog_type,
        T::RawTracepoint | T::RawTracepointWritable | T::Tracing | T::Lsm | T::StructOps | T::Ext | T::Netfilter
    );
    if by_arguments {
        return arguments(prog_type, layout, image, input);
    }
    let size = match prog_type {
        T::Tracepoint | T::Syscall => input.record.0.len().max(8) as u32,
        _ => layout.map_or(64, |l| l.size.min(4096)),
    };
    // A tracepoint's record and a syscall's argument are as long as they are: the type's own limits do not describe them.
    let named = if matches!(prog_type, T::Tracepoint | T::Syscall) { None } else { layout };
    let mut ctx =
        Context::new(prog_type, Family::Plain, named, size, prog_type == T::Syscall).ok_or(BuildError::Memory)?;
    ctx.set_bytes(0, &input.record.0);
    set_fields(&ctx, layout, input, 0)?;
    window(&mut ctx, layout, input)?;
    registers(&mut ctx, image, input)?;
    Ok(ctx)
}

/// `struct pt_regs` of x86-64, in order, 8 bytes each.
const PT_REGS: [&str; 21] = [
    "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax", "ip",
    "cs", "flags", "sp", "ss",
];

/// Registers of kprobes and perf events, whose context starts with them.
fn registers(ctx: &mut Context, image: &Image, input: &Input) -> Result<(), BuildError> {
    let mut objects = Objects::new(image.vmlinux.clone());
    for (name, value) in &input.regs {
        let index = PT_REGS.iter().position(|n| n == name);
        let index = index.filter(|_| matches!(ctx.prog_type, ProgType::Kprobe | ProgType::PerfEvent));
        let index = index.ok_or_else(|| BuildError::NoSuchField("pt_regs", name.clone()))?;
        ctx.set_bytes(index as u32 * 8, &argument(&mut objects, value)?.to_le_bytes());
    }
    ctx.attached.extend(objects.into_blocks().into_iter().map(|b| (b, Kind::Kernel, false)));
    Ok(())
}

/// The hook's state and the packet as kernel objects: IPv4 on its way out, as in a test run.
fn netfilter(ctx: &mut Context, objects: &mut Objects, input: &Input) -> Result<(), BuildError> {
    let number = |n: u64| FieldValue::UInt(n);
    let packet = Packet::new(SKB_HEADROOM, &input.packet.0, 0).ok_or(BuildError::Memory)?;
    let state = BTreeMap::from([("hook".to_string(), number(3)), ("pf".to_string(), number(2))]);
    let skb = BTreeMap::from([
        ("len".to_string(), number(packet.len() as u64)),
        ("head".to_string(), number(packet.address(0))),
        ("data".to_string(), number(packet.address(packet.data))),
        ("network_header".to_string(), number(packet.data as u64)),
    ]);
    let (state, skb) = (objects.make("nf_hook_state", &state)?, objects.make("sk_buff", &skb)?);
    ctx.set_bytes(0, &state.to_le_bytes());
    ctx.set_bytes(8, &skb.to_le_bytes());
    ctx.skb_object = Some(skb);
    ctx.packet = Some(packet);
    Ok(())
}

fn argument(objects: &mut Objects, value: &Argument) -> Result<u64, ObjectError> {
    match value {
        Argument::Number(n) => Ok(*n as u64),
        Argument::Text(text) => objects.string(text),
        Argument::Memory { bytes } => objects.bytes(&bytes.0),
        // A step that has become an input has an address in its place.
        Argument::User { user } => Err(ObjectError::UserText(user.clone())),
        Argument::Object { struct_name, fields } => objects.make(struct_name, fields),
    }
}

/// Packet bytes behind two 8-byte pointer fields: sk_msg, sk_reuseport, sock_ops, cgroup sockopt.
fn window(ctx: &mut Context, layout: Option<Layout>, input: &Input) -> Result<(), BuildError> {
    let names = [("data", "data_end"), ("skb_data", "skb_data_end"), ("optval", "optval_end")];
    let Some(layout) = layout else { return Ok(()) };
    let find = |name: &str| layout.fields().find(|f| f.name == name && f.width == 8);
    let Some((start, end)) = names.iter().find_map(|(s, e)| Some((find(s)?, find(e)?))) else { return Ok(()) };
    let block = Block::zeroed(input.packet.0.len()).ok_or(BuildError::Memory)?;
    block.write(0, &input.packet.0);
    ctx.set_bytes(start.off, &block.addr().to_le_bytes());
    ctx.set_bytes(end.off, &(block.addr() + block.len() as u64).to_le_bytes());
    let writable = spec::prog::packet_rules(ctx.prog_type).write;
    ctx.attached.push((block, Kind::Packet, writable));
    Ok(())
}

/// An array of 8-byte arguments: numbers, or pointers to kernel objects.
fn arguments(prog_type: ProgType, layout: Option<Layout>, image: &Image, input: &Input) -> Result<Context, BuildError> {
    let count = input.args.len().max(12);
    let named = if prog_type == ProgType::Netfilter { layout } else { None };
    let mut ctx = Context::new(prog_type, Family::Plain, named, count as u32 * 8, false).ok_or(BuildError::Memory)?;
    let mut objects = Objects::new(image.vmlinux.clone());
    if prog_type == ProgType::Netfilter && input.args.is_empty() {
        netfilter(&mut ctx, &mut objects, input)?;
    }
    for (i, arg) in input.args.iter().enumerate() {
        let value = argument(&mut objects, arg)?;
        ctx.set_bytes(i as u32 * 8, &value.to_le_bytes());
    }
    ctx.attached.extend(objects.into_blocks().into_iter().map(|b| (b, Kind::Kernel, false)));
    Ok(ctx)
}

/// Puts the input's named fields in. Fields that programs cannot even read are refused.
fn set_fields(ctx: &Context, layout: Option<Layout>, input: &Input, base: u32) -> Result<(), BuildError> {
    let Some(layout) = layout else {
        return match input.ctx.keys().next() {
            None => Ok(()),
            Some(name) => Err(BuildError::NoSuchField("context", name.clone())),
        };
    };
    for (name, value) in &input.ctx {
        let field = layout
            .fields()
            .find(|f| f.name == name || f.name.split('/').any(|part| part == name))
            .ok_or_else(|| BuildError::NoSuchField(layout.struct_name, name.clone()))?;
        let bytes = field_bytes(value, field.width).ok_or_else(|| BuildError::BadValue(name.clone()))?;
        ctx.set_bytes(base + field.off, &bytes);
    }
    Ok(())
}

fn field_bytes(value: &FieldValue, width: u32) -> Option<Vec<u8>> {
    let width = width as usize;
    match value {
        FieldValue::List(words) => {
            let each = if width > 8 || words.len() > 1 { width / words.len().max(1) } else { width };
            let each = if matches!(each, 1 | 2 | 4 | 8) { each } else { 4 };
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()[..each].to_vec()).collect();
            (bytes.len() <= width).then_some(bytes)
        }
        FieldValue::Text(hex) => crate::input::Blob::from_hex(hex).map(|b| b.0).filter(|b| b.len() <= width),
        other => {
            let n = other.number()?;
            let keep = width.min(8);
            let fits = keep == 8 || n >> (keep * 8) == 0 || (n as i64) >= -(1 << (keep * 8 - 1)) && (n as i64) < 0;
            fits.then(|| n.to_le_bytes()[..keep].to_vec())
        }
    }
}
