//! What a BPF program meets at run time: memory regions, maps, helpers, contexts, and the world around it. Shared by all engines; knows neither
//! the verifier nor how instructions are executed.
//!
//! A program becomes an [`Image`], an input becomes a [`Context`](ctx::Context), both meet in a [`Run`], which an engine executes:
//!
//! ```text
//! let mut maps = Maps::default();
//! let image = Image::new(&program, &mut maps, &Options::default())?;
//! let mut world = World::default();
//! let mut run = Run::new(&image, &mut world, ctx::build(&image, &input)?)?;
//! let r0 = interpreter::run(&image, &mut run)?;
//! ```
#![allow(unsafe_code)] // Programs hold real addresses; every block's SAFETY names the region check or fact it rests on.

pub mod ctx;
mod fault;
pub mod helper;
mod image;
pub mod kfunc;
pub mod map;
pub mod memory;
pub mod object;
mod region;
mod run;
pub mod session;
mod world;

pub use ctx::Context;
pub use fault::{Access, Fault, FaultKind};
pub use helper::HelperFn;
pub use image::{Image, ImageError, Maps, Meaning, Options};
pub use map::Map;
pub use region::{Kind, Region, Regions};
pub use run::{CALLBACK_BASE, Engine, FRAME_SIZE, FRAME_STRIDE, MAX_FRAMES, MAX_TAIL_CALLS, NoEngine, Resource, Run};
pub use scenario::{Input, input};
pub use session::{Report, Session};
pub use world::{Outputs, PerfSample, Redirect, Sysctl, Task, Timer, Values, World};
