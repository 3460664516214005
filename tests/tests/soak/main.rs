//! What must hold for hours: floods, busy neighbours, and an observer that is killed again and again. Each test has a
//! short form, which always runs, and a long one, for which `cargo xtask soak` sets the numbers.

mod crash;
mod fairness;
mod flood;
mod party;
mod traffic;
