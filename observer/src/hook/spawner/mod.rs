//! A process that keeps the privileges which hooks need, beside an observer that has a user of its own.
//!
//! ```text
//!   observer, its own user, no capability          spawner, whoever started us
//!   frames ─▶ … ─▶ Hooks ─▶ Link ── orders ──────▶ serve ─▶ Crew ─▶ worker ─▶ process
//!                        ◀── reports ◀─────────────────────────┘
//! ```
//!
//! The spawner never sees a frame. It knows the hooks because it has read the command line and the configuration file
//! itself, and it starts nothing else: an order names a hook by its place in that file, and what comes with it are
//! arguments, and variables whose names are words of the hook's dialect. So whoever takes over the observer can tell hooks
//! wrong things, and no more than that: not which program runs, as whom, or with `LD_PRELOAD`.
//!
//! The two speak postcard over a socket pair, messages behind their length; the ends of a stream's pipes travel with
//! them. The observer waits for the answers to the few questions that have one, and never for a process.

mod channel;
mod link;
mod message;
mod serve;
mod start;
#[cfg(test)]
mod tests;

pub use link::Link;
pub use serve::{Rules, serve};
pub use start::{Gone, Lost, Spawner, Steward, start, take_over};
