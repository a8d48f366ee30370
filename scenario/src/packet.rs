//! Packets from their layers: `eth/ip(src=10.0.0.1,dst=10.0.0.2)/udp(dport=53)/text:hello`. Lengths, types and checksums follow from what
//! is said; every field that matters to them can be set wrong on purpose with the literals of `literal`.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, Ethernet2Header, Icmpv4Header, Icmpv4Type, IpFragOffset, IpNumber, Ipv4Header, Ipv6FlowLabel,
    Ipv6Header, SingleVlanHeader, TcpHeader, UdpHeader, VlanId, VlanPcp,
};

/// Names of layers, as an error lists them.
const LAYERS: &str = "eth, vlan, ip, ip6, udp, tcp, icmp";

/// One layer with its fields, as written.
struct Layer<'t> {
    name: &'t str,
    fields: Vec<(&'t str, &'t str)>,
}

/// Whether an item of a literal is a packet made of layers.
pub(crate) fn is_layers(item: &str) -> bool {
    let first = item.split(['/', '(']).next().unwrap_or_default();
    matches!(first, "eth" | "ip" | "ip6")
}

/// The bytes of a packet; what follows the last layer is the payload, in items of a literal.
pub fn build(text: &str) -> Result<Vec<u8>, String> {
    let mut layers = Vec::new();
    let mut payload = Vec::new();
    for part in split(text) {
        let (name, fields) = match part.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or(format!("`{part}`: the bracket is not closed"))?),
            None => (part, ""),
        };
        if !matches!(name, "eth" | "vlan" | "ip" | "ip6" | "udp" | "tcp" | "icmp") {
            let bytes = crate::literal::parse(part).map_err(|e| format!("{e}; layers are {LAYERS}"))?;
            payload.extend(bytes);
            continue;
        }
        if !payload.is_empty() {
            return Err(format!("`{name}` stands behind the payload"));
        }
        let fields = fields
            .split(',')
            .filter(|f| !f.is_empty())
            .map(|f| f.split_once('=').ok_or(format!("`{f}` of `{name}`: expected FIELD=VALUE")));
        layers.push(Layer { name, fields: fields.collect::<Result<_, _>>()? });
    }
    let mut out = payload;
    for n in (0..layers.len()).rev() {
        let (outer, inner) = (n.checked_sub(1).map(|o| &layers[o]), layers.get(n + 1).map(|l| l.name));
        out = layers[n].around(out, outer, inner)?;
    }
    Ok(out)
}

/// Parts between slashes outside of brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '/' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

impl Layer<'_> {
    fn field<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.fields.iter().find(|(n, _)| *n == name) {
            Some((_, value)) => value.parse().map_err(|_| format!("`{value}` is no {name} of `{}`", self.name)),
            None => Ok(default),
        }
    }

    fn mac(&self, name: &str, default: [u8; 6]) -> Result<[u8; 6], String> {
        let Some((_, text)) = self.fields.iter().find(|(n, _)| *n == name) else { return Ok(default) };
        let parts: Option<Vec<u8>> = text.split(':').map(|p| u8::from_str_radix(p, 16).ok()).collect();
        parts.and_then(|p| p.try_into().ok()).ok_or(format!("`{text}` is no {name} of `{}`", self.name))
    }

    fn known(&self, names: &[&str]) -> Result<(), String> {
        match self.fields.iter().find(|(n, _)| !names.contains(n)) {
            Some((name, _)) => Err(format!("`{}` has no field `{name}`; it has {}", self.name, names.join(", "))),
            None => Ok(()),
        }
    }

    /// This layer in front of what it carries.
    fn around(&self, payload: Vec<u8>, outer: Option<&Layer<'_>>, inner: Option<&str>) -> Result<Vec<u8>, String> {
        let ether_type = match inner {
            Some("vlan") => EtherType::VLAN_TAGGED_FRAME,
            Some("ip6") => EtherType::IPV6,
            _ => EtherType::IPV4,
        };
        let protocol = match inner {
            Some("udp") => IpNumber::UDP,
            Some("tcp") => IpNumber::TCP,
            Some("icmp") => IpNumber::ICMP,
            Some("ip") => IpNumber::IPV4,
            Some("ip6") => IpNumber::IPV6,
            _ => IpNumber(self.field("proto", 255)?),
        };
        let failed = |e: &dyn std::fmt::Display| format!("`{}`: {e}", self.name);
        let header = match self.name {
            "eth" => {
                self.known(&["src", "dst", "type"])?;
                let header = Ethernet2Header {
                    source: self.mac("src", [2, 0, 0, 0, 0, 1])?,
                    destination: self.mac("dst", [2, 0, 0, 0, 0, 2])?,
                    ether_type: EtherType(self.number("type", ether_type.0)?),
                };
                header.to_bytes().to_vec()
            }
            "vlan" => {
                self.known(&["id", "prio", "type"])?;
                let header = SingleVlanHeader {
                    pcp: VlanPcp::try_new(self.field("prio", 0)?).map_err(|e| failed(&e))?,
                    drop_eligible_indicator: false,
                    vlan_id: VlanId::try_new(self.field("id", 1)?).map_err(|e| failed(&e))?,
                    ether_type: EtherType(self.number("type", ether_type.0)?),
                };
                header.to_bytes().to_vec()
            }
            "ip" => {
                self.known(&["src", "dst", "ttl", "id", "tos", "proto", "frag", "more"])?;
                let mut header = Ipv4Header::new(
                    u16::try_from(payload.len()).map_err(|e| failed(&e))?,
                    self.field("ttl", 64)?,
                    protocol,
                    self.field("src", Ipv4Addr::new(10, 0, 0, 1))?.octets(),
                    self.field("dst", Ipv4Addr::new(10, 0, 0, 2))?.octets(),
                )
                .map_err(|e| failed(&e))?;
                header.identification = self.field("id", 0)?;
                let tos: u8 = self.field("tos", 0)?;
                header.dscp = etherparse::IpDscp::try_new(tos >> 2).map_err(|e| failed(&e))?;
                header.ecn = etherparse::IpEcn::try_new(tos & 3).map_err(|e| failed(&e))?;
                header.fragment_offset = IpFragOffset::try_new(self.field("frag", 0)?).map_err(|e| failed(&e))?;
                header.more_fragments = self.field("more", 0u8)? != 0;
                header.dont_fragment = false;
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            "ip6" => {
                self.known(&["src", "dst", "hop", "proto"])?;
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: u16::try_from(payload.len()).map_err(|e| failed(&e))?,
                    next_header: protocol,
                    hop_limit: self.field("hop", 64)?,
                    source: self.field("src", Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1))?.octets(),
                    destination: self.field("dst", Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2))?.octets(),
                };
                header.to_bytes().to_vec()
            }
            "udp" => {
                self.known(&["sport", "dport"])?;
                let (sport, dport) = (self.field("sport", 40000)?, self.field("dport", 53)?);
                let length = u16::try_from(payload.len() + 8).map_err(|e| failed(&e))?;
                let mut header = UdpHeader { source_port: sport, destination_port: dport, length, checksum: 0 };
                header.checksum = match Addresses::of(outer)? {
                    Addresses::V4(s, d) => header.calc_checksum_ipv4_raw(s, d, &payload).map_err(|e| failed(&e))?,
                    Addresses::V6(s, d) => header.calc_checksum_ipv6_raw(s, d, &payload).map_err(|e| failed(&e))?,
                };
                header.to_bytes().to_vec()
            }
            "tcp" => {
                self.known(&["sport", "dport", "seq", "ack", "flags", "window"])?;
                let mut header = TcpHeader::new(
                    self.field("sport", 40000)?,
                    self.field("dport", 80)?,
                    self.field("seq", 1)?,
                    self.field("window", 65535)?,
                );
                header.acknowledgment_number = self.field("ack", 0)?;
                for flag in self.field("flags", "S".to_owned())?.chars() {
                    match flag {
                        'S' => header.syn = true,
                        'A' => header.ack = true,
                        'F' => header.fin = true,
                        'R' => header.rst = true,
                        'P' => header.psh = true,
                        'U' => header.urg = true,
                        other => return Err(format!("`{other}` is no flag of `tcp`: S, A, F, R, P, U")),
                    }
                }
                header.checksum = match Addresses::of(outer)? {
                    Addresses::V4(s, d) => header.calc_checksum_ipv4_raw(s, d, &payload).map_err(|e| failed(&e))?,
                    Addresses::V6(s, d) => header.calc_checksum_ipv6_raw(s, d, &payload).map_err(|e| failed(&e))?,
                };
                header.to_bytes().to_vec()
            }
            "icmp" => {
                self.known(&["id", "seq"])?;
                let echo = etherparse::IcmpEchoHeader { id: self.field("id", 1)?, seq: self.field("seq", 1)? };
                Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(echo), &payload).to_bytes().to_vec()
            }
            other => return Err(format!("`{other}` is no layer; layers are {LAYERS}")),
        };
        Ok([header, payload].concat())
    }

    /// A number that people write in hex.
    fn number(&self, name: &str, default: u16) -> Result<u16, String> {
        let Some((_, text)) = self.fields.iter().find(|(n, _)| *n == name) else { return Ok(default) };
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        parsed.ok_or(format!("`{text}` is no {name} of `{}`", self.name))
    }
}

/// Of the network layer around a transport layer, for its checksum.
enum Addresses {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

impl Addresses {
    fn of(outer: Option<&Layer<'_>>) -> Result<Self, String> {
        match outer {
            Some(ip) if ip.name == "ip" => Ok(Addresses::V4(
                ip.field("src", Ipv4Addr::new(10, 0, 0, 1))?.octets(),
                ip.field("dst", Ipv4Addr::new(10, 0, 0, 2))?.octets(),
            )),
            Some(ip) if ip.name == "ip6" => Ok(Addresses::V6(
                ip.field("src", Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1))?.octets(),
                ip.field("dst", Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2))?.octets(),
            )),
            _ => Err("`udp` and `tcp` stand behind `ip` or `ip6`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    #[test]
    fn layers_are_what_another_reader_finds() {
        let bytes =
            build("eth/vlan(id=7)/ip(src=10.1.0.1,ttl=3)/udp(sport=1,dport=9090)/text:hi/be16:7").expect("a packet");
        let packet = SlicedPacket::from_ethernet(&bytes).expect("readable");
        assert_eq!(packet.vlan_ids()[0].value(), 7);
        let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("no IPv4") };
        assert_eq!((ip.header().source(), ip.header().ttl()), ([10, 1, 0, 1], 3));
        assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
        let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("no UDP") };
        assert_eq!((udp.destination_port(), udp.payload()), (9090, &b"hi\0\x07"[..]));
        let sum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload());
        assert_eq!(Ok(udp.checksum()), sum);
    }

    #[test]
    fn tcp_over_ipv6_and_icmp() {
        let bytes = build("eth/ip6(dst=fe80::1)/tcp(dport=443,flags=SA)").expect("a packet");
        let packet = SlicedPacket::from_ethernet(&bytes).expect("readable");
        let Some(TransportSlice::Tcp(tcp)) = &packet.transport else { panic!("no TCP") };
        assert!(tcp.syn() && tcp.ack() && !tcp.fin());
        let bytes = build("ip/icmp(seq=9)").expect("a packet");
        assert_eq!((bytes[9], bytes[20]), (1, 8));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("eth/ip(src=10.0.0)/udp", "`10.0.0` is no src of `ip`"),
            ("eth/udp", "behind `ip` or `ip6`"),
            ("eth/ip(port=1)", "`ip` has no field `port`"),
            ("eth/ipx", "layers are eth"),
            ("eth/ip(src=1.2.3.4", "bracket"),
            ("eth/zero:4/ip", "behind the payload"),
        ] {
            let error = build(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
