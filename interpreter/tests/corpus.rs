//! Every run of the corpus on the interpreter: return values, packets, maps and events must be what the corpus' authors expect (which the
//! recordings hold against the real kernel).

use std::sync::Arc;

use corpus::Entry;
use runtime::map::Store;
use runtime::{Options, Report, Session, World};

fn session(entry: &Entry, vmlinux: &Arc<btf::Btf>) -> Result<Session, String> {
    let options = loader::Options { object_name: entry.object.name.clone(), ..loader::Options::default() };
    let object = loader::open(&entry.elf, &options).map_err(|e| e.to_string())?;
    let programs: Vec<_> = (0..object.programs.len())
        .map(|i| object.program(i, Some(vmlinux)))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    let options = Options { vmlinux: Some(vmlinux.clone()), ..Options::default() };
    Session::new(&programs, &options).map_err(|e| e.to_string())
}

/// What differs from the expectation, if anything.
fn scenario(entry: &Entry, run: &corpus::Run, vmlinux: &Arc<btf::Btf>) -> Result<(), String> {
    let session = session(entry, vmlinux)?;
    for map in session.maps.iter() {
        if let Store::PerfEvents(events) = &map.store {
            events.open_all(map.nr_cpus);
        }
    }
    session.preset(&run.maps).map_err(|e| e.to_string())?;
    let mut perf = Vec::new();
    for (n, step) in run.steps.iter().enumerate() {
        let image = session.image(step.program.as_deref().unwrap_or_default()).ok_or("no such program")?;
        let mut world = World::default();
        let mut r = Session::start(image, &step.input(), &mut world).map_err(|e| format!("step {n}: {e}"))?;
        r.set_budget(1 << 24);
        let r0 = interpreter::run(image, &mut r).map_err(|e| format!("step {n}: {e}"))?;
        let report = Report::of(&r, r0);
        let returns = step.returns.ok_or("a step expects nothing")?;
        if report.retval != returns as u32 {
            return Err(format!("step {n}: returned {}, expected {returns}", report.retval as i32));
        }
        if let Some(packet) = &step.packet_out
            && packet.bytes() != report.packet.0
        {
            return Err(format!("step {n}: packet is {}", report.packet.to_hex()));
        }
        if let Some(record) = &step.record_out {
            let bytes = r.ctx.bytes();
            if bytes[..record.0.len().min(bytes.len())] != record.0[..] {
                return Err(format!("step {n}: record is {}", corpus::literal::hex(&bytes)));
            }
        }
        perf.extend(report.outputs.perf.into_iter().map(|s| (s.map, s.data)));
    }
    after(&session, run)?;
    for map in session.maps.iter() {
        if let Store::RingBuf(ring) = &map.store {
            perf.extend(ring.consume().into_iter().map(|data| (map.name().to_string(), data)));
        }
    }
    let expected: Vec<_> = run.events.iter().map(|e| (e.map.clone(), e.data.0.clone())).collect();
    if !expected.is_empty() && perf != expected {
        return Err(format!("events are {perf:?}"));
    }
    Ok(())
}

fn after(session: &Session, run: &corpus::Run) -> Result<(), String> {
    for element in &run.after {
        let map = session.maps.by_name(&element.map).ok_or_else(|| format!("no map {}", element.map))?;
        let found = map.get(&element.key.0).ok();
        let found = found.map(|v| v[..map.def.value_size as usize].to_vec());
        let expected = element.value.as_ref().map(|v| v.0.clone());
        if found != expected {
            return Err(format!("{} is {found:?}, expected {expected:?}", element.map));
        }
    }
    Ok(())
}

#[test]
fn all_runs_do_what_they_should() {
    // Kernel objects need a kernel's BTF; where there is none, runs that use them are left out.
    let Ok(raw) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
    let vmlinux = Arc::new(btf::Btf::parse(&raw).expect("the kernel's BTF"));
    let corpus = corpus::Corpus::embedded().expect("corpus");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in &corpus.entries {
        for run in &entry.object.runs {
            count += 1;
            if let Err(why) = scenario(entry, run, &vmlinux) {
                wrong.push(format!("{} / {}: {why}", entry.id(), run.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} runs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 50, "only {count} runs");
}
