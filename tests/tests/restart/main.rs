//! What an observer keeps in its state directory, and what the next one makes of it.

mod away;
mod bench;
mod held;
mod killed;
mod letters;
mod retries;
