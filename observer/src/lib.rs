//! dhcp-observer: DHCP lease events from the wire, beside any server.
//!
//! The crate is a journey. A stage's output is the next stage's argument:
//!
//! ```text
//! Frame ──▶ Datagram ──▶ Message ──▶ Exchange ──▶ Lease ──▶ LeaseEvent ──▶ Invocation ──▶ process
//! capture   dissect      dhcpv4/6    tracker      tracker   tracker        dialect        hook runner
//! (effect)  (pure)       (pure)      (pure)       (pure)    (pure)         (pure)         (effect)
//! ```
//!
//! Everything from [`dissect`] to [`dialect`], and the hook scheduler, is pure: it reads no clock, opens no file,
//! starts nothing and cannot fail. [`drive`] is the one contract by which live capture and replay feed it, so both
//! tell the same story.

pub mod domain_name;
pub mod identity;
pub mod octets;
pub mod tally;
pub mod time;

pub mod clock;
pub mod frame;

pub mod capture;
pub mod dissect;

pub mod dhcpv4;
pub mod dhcpv6;

pub mod tracker;

pub mod dialect;

pub mod dispatch;

pub mod hook;

pub mod capabilities;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod deliver;
pub mod drive;
pub mod events;
pub mod logging;
pub mod render;
pub mod replay;
pub mod seal;
pub mod seed;
pub mod status;
pub mod store;
pub mod supervise;
pub mod user;
