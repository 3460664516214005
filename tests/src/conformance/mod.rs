//! Is the observer's story Kea's? Scenarios that run the real server and the observer on one interface, and compare
//! the calls of their hooks variable by variable.
//!
//! ```text
//!  scenario ──▶ stage ──▶ run ──▶ judge (with reasons) ──▶ report
//!  traffic      Kea, observer,   calls of    differences      what people read
//!               clients          both hooks
//! ```
//!
//! `cargo xtask conformance` runs them all, `cargo xtask record` makes one of them a recording in `tests/golden`.

pub mod fleet;
pub mod judge;
pub mod reasons;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod scenarios;
pub mod shows;
pub mod stage;
