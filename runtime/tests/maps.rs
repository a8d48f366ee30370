//! Maps against models from the standard library: random operation sequences must give the same answers and the same contents.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use program::MapDef;
use proptest::prelude::*;
use runtime::Map;
use runtime::map::{EXIST, NOEXIST, Store};
use spec::Errno;

const NO_PREALLOC: u32 = 1;

fn make(map_type: u32, key: u32, value: u32, entries: u32, flags: u32) -> Arc<Map> {
    let def = MapDef {
        name: "m".into(),
        map_type,
        key_size: key,
        value_size: value,
        max_entries: entries,
        map_flags: flags,
        ..MapDef::default()
    };
    Map::create(&Arc::new(def), 2).expect("a map")
}

#[derive(Clone, Debug)]
enum Op {
    Update(u8, u8, u64),
    Delete(u8),
    Lookup(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u8..12, any::<u8>(), 0u64..4).prop_map(|(k, v, f)| Op::Update(k, v, f)),
        (0u8..12).prop_map(Op::Delete),
        (0u8..12).prop_map(Op::Lookup),
    ]
}

/// What a hash map of 8 entries answers.
fn model_update(model: &mut BTreeMap<u8, u8>, key: u8, value: u8, flags: u64) -> Result<(), Errno> {
    match (model.contains_key(&key), flags) {
        (_, 3..) => Err(Errno::EINVAL),
        (true, NOEXIST) => Err(Errno::EEXIST),
        (false, EXIST) => Err(Errno::ENOENT),
        (false, _) if model.len() == 8 => Err(Errno::E2BIG),
        _ => {
            model.insert(key, value);
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn hash_is_a_map_with_a_limit(ops in prop::collection::vec(op(), 0..80), no_prealloc: bool) {
        let map = make(1, 1, 1, 8, if no_prealloc { NO_PREALLOC } else { 0 });
        let mut model = BTreeMap::new();
        for op in ops {
            match op {
                Op::Update(k, v, f) => {
                    prop_assert_eq!(map.update(&[k], &[v], f, 0).expect("modelled"), model_update(&mut model, k, v, f));
                }
                Op::Delete(k) => {
                    let expected = model.remove(&k).map(|_| ()).ok_or(Errno::ENOENT);
                    prop_assert_eq!(map.delete(&[k]).expect("modelled"), expected);
                }
                Op::Lookup(k) => {
                    prop_assert_eq!(map.lookup(&[k], 0).expect("modelled").is_some(), model.contains_key(&k));
                    prop_assert_eq!(map.get(&[k]).ok(), model.get(&k).map(|v| vec![*v]));
                }
            }
            let expected: Vec<_> = model.iter().map(|(k, v)| (vec![*k], vec![*v])).collect();
            prop_assert_eq!(map.entries(), expected);
        }
    }

    #[test]
    fn lru_never_refuses_and_keeps_the_newest(keys in prop::collection::vec(any::<u8>(), 1..200)) {
        let map = make(9, 1, 1, 4, 0);
        for (i, k) in keys.iter().enumerate() {
            prop_assert_eq!(map.update(&[*k], &[i as u8], 0, 0).expect("modelled"), Ok(()));
            prop_assert_eq!(map.get(&[*k]), Ok(vec![i as u8]));
            prop_assert!(map.keys().len() <= 4);
        }
    }

    #[test]
    fn lpm_finds_the_longest_prefix(
        prefixes in prop::collection::vec((0u32..=16, any::<[u8; 2]>(), any::<u8>()), 0..30),
        probes in prop::collection::vec(any::<[u8; 2]>(), 1..20),
    ) {
        let map = make(11, 6, 1, 100, NO_PREALLOC);
        let mut model: BTreeMap<(u32, u16), u8> = BTreeMap::new();
        let mask = |n: u32| (!(0xffffu32 >> n)) as u16;
        let key = |n: u32, a: [u8; 2]| [n.to_le_bytes().to_vec(), a.to_vec()].concat();
        for (n, addr, value) in prefixes {
            prop_assert_eq!(map.update(&key(n, addr), &[value], 0, 0).expect("modelled"), Ok(()));
            model.insert((n, u16::from_be_bytes(addr) & mask(n)), value);
        }
        for addr in probes {
            let a = u16::from_be_bytes(addr);
            let expected = model.iter().filter(|((n, p), _)| a & mask(*n) == *p).max_by_key(|((n, _), _)| *n);
            prop_assert_eq!(map.get(&key(16, addr)).ok(), expected.map(|(_, v)| vec![*v]));
        }
    }

    #[test]
    fn queues_and_stacks_are_bounded(ops in prop::collection::vec(prop::option::of((any::<u8>(), any::<bool>())), 0..60), stack: bool) {
        let map = make(if stack { 23 } else { 22 }, 0, 1, 5, 0);
        let Store::Queue(queue) = &map.store else { panic!("a queue") };
        let mut model: VecDeque<u8> = VecDeque::new();
        for op in ops {
            match op {
                Some((v, force)) => {
                    let full = model.len() == 5;
                    let expected = if full && !force { Err(Errno::E2BIG) } else { Ok(()) };
                    prop_assert_eq!(queue.push(&[v], if force { EXIST } else { 0 }), expected);
                    if expected.is_ok() {
                        if full {
                            model.pop_front();
                        }
                        model.push_back(v);
                    }
                }
                None => {
                    let expected = if stack { model.pop_back() } else { model.pop_front() };
                    prop_assert_eq!(queue.pop(), expected.map(|v| vec![v]));
                }
            }
        }
    }

    #[test]
    fn ring_buffers_hand_over_what_fits(lens in prop::collection::vec((0usize..1500, any::<bool>()), 1..40)) {
        let map = make(27, 0, 0, 4096, 0);
        let Store::RingBuf(ring) = &map.store else { panic!("a ring buffer") };
        let (mut used, mut expected) = (0, Vec::new());
        for (n, (len, drain)) in lens.into_iter().enumerate() {
            let data = vec![n as u8; len];
            let total = (len + 8 + 7) & !7;
            let fits = used + total < 4096;
            prop_assert_eq!(ring.output(&data).is_ok(), fits);
            if fits {
                used += total;
                expected.push(data);
            }
            prop_assert_eq!(ring.query(0), used as u64);
            if drain {
                prop_assert_eq!(ring.consume(), std::mem::take(&mut expected));
                used = 0;
            }
        }
        prop_assert_eq!(ring.consume(), expected);
    }

    #[test]
    fn a_bloom_filter_never_forgets(values in prop::collection::vec(any::<u32>(), 0..60), others in prop::collection::vec(any::<u32>(), 200)) {
        let map = make(30, 0, 4, 64, 0);
        let Store::Bloom(bloom) = &map.store else { panic!("a bloom filter") };
        for v in &values {
            prop_assert_eq!(bloom.push(&v.to_le_bytes(), 0), Ok(()));
        }
        prop_assert!(values.iter().all(|v| bloom.holds(&v.to_le_bytes())));
        let false_positives = others.iter().filter(|v| !values.contains(v) && bloom.holds(&v.to_le_bytes())).count();
        prop_assert!(false_positives < 30, "{} of 200", false_positives);
    }
}

#[test]
fn per_cpu_values_are_separate() {
    for map_type in [5, 6] {
        let map = make(map_type, 4, 4, 4, 0);
        let key = 1u32.to_le_bytes();
        assert_eq!(map.update(&key, &[1, 1, 1, 1], 0, 0), Ok(Ok(())));
        assert_eq!(map.update(&key, &[2, 2, 2, 2], 0, 1), Ok(Ok(())));
        assert_eq!(map.get(&key), Ok(vec![1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2, 0, 0, 0, 0]));
        assert_ne!(map.lookup(&key, 0), map.lookup(&key, 1));
        assert_eq!(map.put(&key, &[9; 15], 0), Err(Errno::EINVAL));
        assert_eq!(map.put(&key, &[9; 16], 0), Ok(()));
    }
}

#[test]
fn an_update_leaves_the_old_element_where_it_was() {
    let map = make(1, 1, 8, 8, 0);
    map.put(&[1], &[1; 8], 0).expect("put");
    let old = map.lookup(&[1], 0).expect("modelled").expect("there");
    map.put(&[1], &[2; 8], 0).expect("put");
    let new = map.lookup(&[1], 0).expect("modelled").expect("there");
    assert_ne!(old, new, "the kernel replaces the element");
}

#[test]
fn lru_gives_looked_up_elements_a_second_chance() {
    let map = make(9, 1, 1, 3, 0);
    for k in 0..3 {
        map.put(&[k], &[k], 0).expect("put");
    }
    assert!(map.lookup(&[0], 0).expect("modelled").is_some());
    map.put(&[3], &[3], 0).expect("put");
    assert_eq!(map.keys().into_iter().flatten().collect::<std::collections::BTreeSet<_>>(), [0, 2, 3].into());
}

#[test]
fn sizes_that_the_kernel_refuses_are_refused() {
    let refused = |map_type, key, value, entries, flags| {
        let def = MapDef {
            map_type,
            key_size: key,
            value_size: value,
            max_entries: entries,
            map_flags: flags,
            ..MapDef::default()
        };
        Map::create(&Arc::new(def), 2).err().map(|e| e.to_string())
    };
    let einval = Some("EINVAL".to_string());
    assert_eq!(refused(2, 8, 4, 1, 0), einval);
    assert_eq!(refused(2, 4, 4, 0, 0), einval);
    assert_eq!(refused(1, 0, 4, 1, 0), einval);
    assert_eq!(refused(11, 8, 4, 1, 0), einval, "LPM without NO_PREALLOC");
    assert_eq!(refused(27, 0, 0, 5000, 0), einval);
    assert_eq!(refused(6, 4, 32769, 1, 0), Some("E2BIG".into()));
    assert_eq!(refused(99, 4, 4, 1, 0), Some("map type 99 does not exist".into()));
    assert_eq!(refused(2, 4, i32::MAX as u32, u32::MAX, 0), Some("ENOMEM".into()));
}

#[test]
fn flags_are_answered_as_by_the_kernel() {
    // Updates (key, flags) one after the other, then deletes of keys 1 and 9, on maps of 2 entries: answers of Linux 6.18.44.
    let updates = [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (2, 0), (5, 0), (0, 3), (0, 4), (0, 8)];
    for (map_type, answers, deletes) in [
        (1, [0, -17, 0, -2, 0, -7, -7, -22, -22, -22], [0, -2]),
        (2, [0, -17, 0, 0, -17, -7, -7, -22, -22, -22], [-22, -22]),
        (9, [0, -17, 0, -2, 0, 0, 0, -22, -22, -22], [-2, -2]),
        (11, [0, -17, 0, -2, 0, -28, -28, -22, -22, -22], [0, -2]),
        (5, [0, -17, 0, -2, 0, -7, -7, -22, -22, -22], [0, -2]),
        (6, [0, -17, 0, 0, -17, -7, -7, -22, -22, -22], [-22, -22]),
    ] {
        let trie = map_type == 11;
        let map = make(map_type, if trie { 8 } else { 4 }, 8, 2, if trie { NO_PREALLOC } else { 0 });
        let key =
            |k: u32| if trie { [32u32.to_le_bytes(), k.to_le_bytes()].concat() } else { k.to_le_bytes().to_vec() };
        let answer = |r: Result<(), Errno>| r.map_or_else(Errno::negative, |()| 0);
        for ((k, flags), expected) in updates.into_iter().zip(answers) {
            let got = map.update(&key(k), &[7; 8], flags, 0).expect("modelled");
            assert_eq!(answer(got), expected, "type {map_type}, key {k}, flags {flags}");
        }
        for (k, expected) in [1, 9].into_iter().zip(deletes) {
            assert_eq!(answer(map.delete(&key(k)).expect("modelled")), expected, "type {map_type}, delete {k}");
        }
    }
}
