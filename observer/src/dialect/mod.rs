//! Lease events become calls of a hook program, in the words that its author already knows.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod call;
pub mod dnsmasq;
pub mod eventhook;
mod followed;
mod granted;
mod happening;
pub mod invocation;
pub mod kea;
mod lease;
mod observer;
mod packed;
pub mod reference;
mod text;
pub mod variable;

pub use call::{Call, Dialect, Memory};
pub use followed::DEFAULT_LIMIT;
