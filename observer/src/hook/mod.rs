//! From an [`Invocation`](crate::dialect::invocation::Invocation) to a process, and what became of it.
//!
//! ```text
//!                             ┌──▶ exec: Command ────────▶ worker thread ──▶ process
//! Call ──▶ Schedule ──▶ lane ─┼──▶ batch: Batches ───────▶ worker thread ──▶ process, lines on stdin
//!          (pure)             └──▶ stream: Stream ──▶ pipe of a long-lived process ──▶ acknowledgements
//!                  ◀── handle_* ◀── report (tokio mpsc), lines
//! ```
//!
//! * [`spec`] is one hook as it is configured.
//! * [`schedule`] decides which call's turn it is, in which hook, and when a process of one call has hung. `batch` and
//!   `stream` do that for the other two modes. They are pure: no clock, no process, no failure.
//! * [`program`] looks at the script before anything is run and says what is wrong with it.
//! * [`spawn`] starts one process with exactly the environment it was given, as whom and how it is to run.
//! * `worker` is the thread that waits for it, so that the capture loop never does; `foreman` makes workers and sends signals,
//!   with the privileges that the capture loop has given up by then.
//! * [`runner`] is the facade for the event loop: [`Hooks`].
//!
//! One task owns all of it; there is no lock. A process stays a zombie until that task has heard of its end,
//! so a process id that a signal is sent to can never have become somebody else's.

mod batch;
pub mod credentials;
mod crew;
mod feed;
mod foreman;
pub mod isolation;
pub mod program;
pub mod runner;
pub mod schedule;
#[cfg(test)]
mod scratch;
pub mod spawn;
pub mod spawner;
pub mod spec;
mod staff;
mod stream;
mod watch;
mod worker;

pub use credentials::{Credentials, CredentialsError};
pub use program::exposed::Exposure;
pub use program::{Program, ProgramError, ProgramWarning, resolve_program};
pub use runner::{Call, Hooks, Progress, Refused};
pub use schedule::{Counters, Ended, LaneLimits, Limits, Refusal, Step, Tried};
pub use spawn::{Output, seal_descriptors};
pub use spec::{Attributes, Mode, POLITE, Scheduling, Spec};
