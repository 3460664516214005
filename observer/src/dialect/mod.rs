//! Lease events become calls of a hook program, in the words that its author already knows.

pub mod invocation;
