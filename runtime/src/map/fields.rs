//! Special fields of map values (locks, timers, kptrs, ...): copies of a value leave them alone. Found in the map's BTF. Not here: what the
//! fields do.

use btf::{Btf, Kind};
use program::MapDef;

/// Size of a struct whose memory is the kernel's, by its name.
fn special_size(name: &str) -> Option<u32> {
    Some(match name {
        "bpf_spin_lock" | "bpf_res_spin_lock" | "bpf_refcount" => 4,
        "bpf_timer" | "bpf_wq" | "bpf_list_head" | "bpf_rb_root" => 16,
        "bpf_task_work" => 8,
        "bpf_list_node" => 24,
        "bpf_rb_node" => 32,
        _ => return None,
    })
}

/// Byte ranges of the value that are not data, sorted by offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// (offset, length).
    pub ranges: Vec<(u32, u32)>,
    /// Offset of the bpf_spin_lock, if there is one.
    pub spin_lock: Option<u32>,
}

impl Fields {
    /// The fields of a map's value type; none without BTF.
    pub fn of(def: &MapDef) -> Self {
        let mut found = Self::default();
        if let Some(btf) = def.btf.as_deref()
            && def.btf_value_type_id != 0
        {
            found.collect(btf, def.btf_value_type_id, 0, 0);
            found.ranges.sort_unstable();
        }
        found
    }

    /// Adds the special fields of a type that lies at `base`. `depth` bounds nesting, which hostile BTF could make endless.
    fn collect(&mut self, btf: &Btf, id: u32, base: u32, depth: u32) {
        const MAX_DEPTH: u32 = 16;
        const MAX_FIELDS: usize = 256;
        if depth > MAX_DEPTH || self.ranges.len() > MAX_FIELDS {
            return;
        }
        let Some((id, ty)) = btf.resolve(id) else { return };
        match ty.kind() {
            Kind::Struct => {
                if let Some(len) = special_size(btf.name(id)) {
                    if btf.name(id) == "bpf_spin_lock" {
                        self.spin_lock = Some(base);
                    }
                    self.ranges.push((base, len));
                    return;
                }
                for member in btf.members(id) {
                    self.collect(btf, member.type_id, base.saturating_add(member.bit_offset / 8), depth + 1);
                }
            }
            Kind::Union => {}
            Kind::Datasec => {
                for var in btf.vars(id) {
                    let Some(of) = btf.ty(var.type_id).and_then(|v| v.type_id()) else { continue };
                    self.collect(btf, of, base.saturating_add(var.offset), depth + 1);
                }
            }
            Kind::Array => {
                let Some(array) = btf.array(id) else { return };
                let each = btf.resolve_size(array.elem).unwrap_or(0);
                for i in 0..array.nelems.min(MAX_FIELDS as u32) {
                    let before = self.ranges.len();
                    self.collect(btf, array.elem, base.saturating_add(i.saturating_mul(each)), depth + 1);
                    if self.ranges.len() == before {
                        break;
                    }
                }
            }
            Kind::Ptr => {
                let target = ty.type_id().unwrap_or(0);
                if ["kptr", "kptr_untrusted", "percpu_kptr", "uptr"].iter().any(|tag| btf.has_type_tag(target, tag)) {
                    self.ranges.push((base, 8));
                }
            }
            _ => {}
        }
    }

    /// The pieces of a value of `len` bytes that are data: (offset, length).
    pub fn data(&self, len: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        let ends = self.ranges.iter().map(|&(o, n)| (o as usize, n as usize)).chain([(len, 0)]);
        ends.filter_map(move |(off, n)| {
            let (from, to) = (at, off.min(len));
            at = off + n;
            (to > from).then_some((from, to - from))
        })
    }

    /// Zeroes the special fields in a copy for the user; `stride` separates the CPUs' values.
    pub fn hide(&self, value: &mut [u8], stride: usize) {
        for part in value.chunks_mut(stride.max(1)) {
            for &(off, n) in &self.ranges {
                if let Some(bytes) = part.get_mut(off as usize..(off + n) as usize) {
                    bytes.fill(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_what_lies_between_fields() {
        let fields = Fields { ranges: vec![(0, 4), (8, 16)], spin_lock: Some(0) };
        assert_eq!(fields.data(32).collect::<Vec<_>>(), [(4, 4), (24, 8)]);
        assert_eq!(Fields::default().data(5).collect::<Vec<_>>(), [(0, 5)]);
        let mut v = [1u8; 32];
        fields.hide(&mut v, 32);
        assert_eq!(v.iter().filter(|b| **b == 0).count(), 20);
    }
}
