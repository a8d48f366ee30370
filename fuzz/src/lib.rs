//! Programs made up at random and oracles that judge what happens to them: generators, mutation, shrinking, campaigns. The targets
//! that call this are a few lines each. Engines are not here (see `engines`).

pub mod campaign;
pub mod emit;
pub mod generate;
pub mod mutate;
pub mod oracle;
pub mod record;
pub mod rng;
pub mod shrink;
