//! What is captured while no observer runs: frames wait in the pinned ring, the server is not disturbed, and what does not
//! fit is counted.

mod bench;
mod detached;
mod gaps;
mod killed;
mod others;
mod unstored;
mod upgrade;
