//! The shipped unit under a real systemd: what it promises, and that its sandbox leaves hooks their work.

mod bench;
mod lasting;
mod sandbox;
mod service;
mod words;
