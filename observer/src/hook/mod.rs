//! From an [`Invocation`](crate::dialect::invocation::Invocation) to a process, and what became of it.
//!
//! ```text
//! Invocation ──▶ Schedule ──▶ Command ──▶ worker thread ──▶ process
//!                (pure)  ◀── handle_* ◀── report (tokio mpsc) ◀┘
//! ```
//!
//! * [`schedule`] decides which hook runs when, and when one has hung. It is pure: no clock, no process, no failure.
//! * [`program`] looks at the script before anything is run and says what is wrong with it.
//! * [`spawn`] starts one process with exactly the environment it was given.
//! * `worker` is the thread that waits for it, so that the capture loop never does.
//! * [`runner`] is the facade for the event loop: [`Hooks`].
//!
//! One task owns all of it; there is no lock. A process stays a zombie until that task has heard of its end,
//! so a process id that a signal is sent to can never have become somebody else's.

pub mod isolation;
pub mod program;
pub mod runner;
pub mod schedule;
#[cfg(test)]
mod scratch;
pub mod spawn;
mod worker;

pub use program::{Program, ProgramError, ProgramWarning, resolve_program};
pub use runner::{Hooks, Progress, Refused};
pub use schedule::{Command, Counters, Ended, Finished, JobId, Limits, Schedule, Verdict};
pub use spawn::{Output, seal_descriptors};
