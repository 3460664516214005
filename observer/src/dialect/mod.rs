//! Lease events become calls of a hook program, in the words that its author already knows.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod call;
pub mod dhclient;
pub mod dnsmasq;
pub mod eventhook;
mod followed;
mod granted;
mod happening;
pub mod invocation;
pub mod json;
pub mod kea;
mod lease;
mod name;
mod observer;
mod packed;
pub mod reference;
mod step;
mod text;
pub mod variable;
pub mod vocabulary;

pub use call::{Call, Cause, Dialect, Loss, Memory};
pub use followed::DEFAULT_LIMIT;
pub use name::{DialectName, Options, make};
