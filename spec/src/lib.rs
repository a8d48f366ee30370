//! Kernel facts as data: program types, attach types, map types, helpers, kfuncs, contexts, and the profile that says which
//! kernel they are of. Lookups only: what a program *does* with these facts is the verifier's and the runtime's business.

mod numbered;
mod span;

pub mod ctx;
pub mod errno;
pub mod helper;
pub mod kernels;
pub mod kfunc;
pub mod lsm;
pub mod map;
pub mod offers;
pub mod profile;
pub mod prog;
pub mod since;
pub mod tracing;

pub use errno::Errno;
pub use map::MapType;
pub use profile::{Caps, Profile};
pub use prog::{AttachType, ProgContext, ProgType};
pub use span::Span;
