//! What Kea's `run_script` does, told as timed scripts on a virtual clock: frames in, calls of hooks out.
//!
//! The expectations are those of Kea 2.2.0's documentation, source and behaviour, not of the observer's code. Each script is
//! named for the rule that it shows.

mod listener;
mod story;
mod wire4;
mod wire6;

mod cache;
mod config;
mod dhclient;
mod dnsmasq;
mod eventhook;
mod heard;
mod hostile;
mod mirror;
mod network;
mod options;
mod pieces;
mod promise;
mod random;
mod spoofed;
mod time;
mod v4;
mod v4_identity;
mod v4_moves;
mod v6;
mod version;
