//! Where frames come from: the whole observer attached to every kind of place, and what its hook was told.
//!
//! Each test has namespaces of its own, so they run side by side.

mod fragment;
mod stage;
mod talk;

mod bridge;
mod links;
mod many;
mod mirror;
mod mirrored_relay;
mod overflow;
mod sizes;
mod tags;
