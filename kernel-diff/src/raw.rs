//! A typed input as the bytes that `BPF_PROG_TEST_RUN` takes. How engines in user space lay an input out is `runtime`'s matter.

use program::Program;
use runtime::Input;
use runtime::input::{Argument, FieldValue};
use spec::{ProgContext, ProgType};

use crate::engine::Error;
use crate::shape::Shape;

/// Bytes in and context in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    pub data: Option<Vec<u8>>,
    pub ctx: Option<Vec<u8>>,
}

/// The map that an input means: by its name in the object or in the kernel.
pub fn map_index(program: &Program, name: &str) -> Result<usize, Error> {
    let named = |m: &std::sync::Arc<program::MapDef>| m.full_name == name || m.name == name;
    program.maps.iter().position(named).ok_or_else(|| Error::unsupported(format!("the program has no map `{name}`")))
}

/// The bytes for a program of this shape.
pub fn input(program: &Program, shape: &Shape, input: &Input) -> Result<Raw, Error> {
    let data = shape.data.then(|| [&input.meta.0[..], &input.packet.0[..]].concat());
    if let Some(d) = &data
        && d.len() < shape.min_data
    {
        let (name, min) = (shape.name, shape.min_data);
        return Err(Error::unsupported(format!("test runs of {name} want a packet of at least {min} bytes")));
    }
    let ctx = match shape.name {
        "raw_tracepoint" => Some(arguments(input)?),
        "syscall" => Some(input.record.0.clone()).filter(|r| !r.is_empty()),
        "xdp" if !input.meta.0.is_empty() || !input.ctx.is_empty() => Some(xdp(program, shape, input)?),
        "sk_lookup" => Some(fields(program, shape, input)?),
        _ if shape.ctx_in && !input.ctx.is_empty() => Some(fields(program, shape, input)?),
        _ => None,
    };
    Ok(Raw { data, ctx })
}

/// `xdp_md`: `data` and `data_end` say where in the bytes the packet lies.
fn xdp(program: &Program, shape: &Shape, input: &Input) -> Result<Vec<u8>, Error> {
    let mut bytes = fields(program, shape, input)?;
    let meta = input.meta.0.len() as u32;
    let end = meta + input.packet.0.len() as u32;
    bytes[0..4].copy_from_slice(&meta.to_le_bytes());
    bytes[4..8].copy_from_slice(&end.to_le_bytes());
    Ok(bytes)
}

fn arguments(input: &Input) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for arg in &input.args {
        let Argument::Number(n) = arg else {
            return Err(Error::unsupported("kernel objects as arguments of a test run in a real kernel"));
        };
        bytes.extend_from_slice(&n.to_le_bytes());
    }
    // The kernel takes at most twelve arguments; those not given are zero.
    bytes.resize(bytes.len().max(12 * 8), 0);
    Ok(bytes)
}

/// Named fields at their places in the UAPI struct, the rest zero.
fn fields(program: &Program, shape: &Shape, input: &Input) -> Result<Vec<u8>, Error> {
    let prog_type = ProgType::from_raw(program.prog_type);
    let layout = prog_type.and_then(|t| {
        spec::ctx::layout(&ProgContext { attach_type: program.expected_attach_type, ..ProgContext::of(t) })
    });
    let layout = layout.ok_or_else(|| Error::unsupported("context fields for this program type"))?;
    let mut bytes = vec![0; shape.ctx_size.max(layout.size as usize)];
    for (name, value) in &input.ctx {
        let field = layout.fields().find(|f| f.name == name || f.name.split('/').any(|part| part == name));
        let field = field.ok_or_else(|| Error::unsupported(format!("{} has no field `{name}`", layout.struct_name)))?;
        let value = field_bytes(value, field.width as usize)
            .ok_or_else(|| Error::unsupported(format!("field `{name}`: the value does not fit")))?;
        let at = field.off as usize;
        match bytes.get_mut(at..at + value.len()) {
            Some(place) => place.copy_from_slice(&value),
            None => return Err(Error::unsupported(format!("field `{name}` lies outside of the context"))),
        }
    }
    Ok(bytes)
}

fn field_bytes(value: &FieldValue, width: usize) -> Option<Vec<u8>> {
    match value {
        FieldValue::List(words) => {
            let each = (width / words.len().max(1)).clamp(1, 8);
            Some(words.iter().flat_map(|w| w.to_le_bytes()[..each].to_vec()).collect())
        }
        other => Some(other.number()?.to_le_bytes()[..width.min(8)].to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::input::Blob;

    #[test]
    fn xdp_metadata_moves_the_packet() {
        let program = Program { prog_type: ProgType::Xdp.raw(), ..Program::default() };
        let given = Input { packet: Blob(vec![0; 20]), meta: Blob(vec![1; 4]), ..Input::default() };
        let shape = crate::shape::of(program.prog_type).unwrap();
        let raw = input(&program, &shape, &given).unwrap();
        assert_eq!(raw.data.unwrap().len(), 24);
        assert_eq!(raw.ctx.unwrap()[..8], [4, 0, 0, 0, 24, 0, 0, 0]);
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let program = Program { prog_type: ProgType::SchedCls.raw(), ..Program::default() };
        let mut given = Input { packet: Blob(vec![0; 20]), ..Input::default() };
        let shape = crate::shape::of(program.prog_type).unwrap();
        given.ctx.insert("mark".into(), FieldValue::Int(7));
        assert_eq!(input(&program, &shape, &given).unwrap().ctx.unwrap()[8..12], [7, 0, 0, 0]);
        given.ctx.insert("nonsense".into(), FieldValue::Int(7));
        assert!(input(&program, &shape, &given).unwrap_err().to_string().contains("nonsense"));
    }

    #[test]
    fn raw_tracepoints_get_twelve_arguments() {
        let program = Program { prog_type: ProgType::RawTracepoint.raw(), ..Program::default() };
        let given = Input { args: vec![Argument::Number(-1)], ..Input::default() };
        let shape = crate::shape::of(program.prog_type).unwrap();
        let ctx = input(&program, &shape, &given).unwrap().ctx.unwrap();
        assert_eq!((ctx.len(), &ctx[..9]), (96, &[255, 255, 255, 255, 255, 255, 255, 255, 0][..]));
    }
}
