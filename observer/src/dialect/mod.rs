//! Lease events become calls of a hook program, in the words that its author already knows.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod call;
pub mod invocation;
pub mod kea;
mod name;
mod observer;
pub mod reference;
mod text;
pub mod variable;

pub use call::{Call, Dialect, Memory};
pub use name::{DialectName, NotBuilt, Options, make};
