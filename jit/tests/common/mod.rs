//! Programs with a plain context: r1 points to 256 bytes that they may read and write.

use std::sync::Arc;

use isa::Insn;
use program::Program;
use runtime::ctx::Family;
use runtime::{Context, Fault, Image, Maps, Options, Run, World};
use spec::ProgType;

pub const CTX_BYTES: u32 = 256;

pub fn image(insns: Vec<Insn>) -> Arc<Image> {
    image_with(insns, Options::default())
}

pub fn image_with(insns: Vec<Insn>, options: Options) -> Arc<Image> {
    let program = Program { insns, prog_type: ProgType::Syscall as u32, ..Program::default() };
    Image::new(&program, &mut Maps::default(), &options).expect("an image")
}

#[allow(dead_code, reason = "not every test file uses it")]
pub fn asm(text: &str) -> Arc<Image> {
    image(isa::asm::assemble(text).expect("valid text"))
}

pub fn context() -> Context {
    Context::new(ProgType::Syscall, Family::Plain, None, CTX_BYTES, true).expect("memory")
}

/// Result and context of a run in the JIT.
#[allow(dead_code, reason = "not every test file uses it")]
pub fn jit(image: &Arc<Image>, bytes: &[u8]) -> (Result<u64, Fault>, Vec<u8>) {
    let mut world = World::default();
    let mut run = Run::new(image, &mut world, context()).expect("memory");
    run.set_budget(100_000);
    run.ctx.set_bytes(0, bytes);
    let result = jit::run(image, &mut run);
    (result, run.ctx.bytes())
}
