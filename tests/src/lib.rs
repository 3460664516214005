//! Harness for tests against real programs: the observer beside a real DHCP server in private network namespaces.
//!
//! ```text
//!   namespace "server"                          namespace "client"
//!  ┌──────────────────────────────────┐        ┌───────────────────────────────┐
//!  │ Kea ── hook ─▶ kea/calls.jsonl   │        │ scripted client, or the       │
//!  │  │                               │        │ frames of a recording         │
//!  │ s0 02:00:00:00:00:01 ifindex 2 ──┼─ veth ─┼── c0 02:00:00:00:00:02        │
//!  │  ▲ 192.0.2.1/24 2001:db8:1::1/64 │        │    (no address)               │
//!  │ observer ─ hook ─▶ obs/calls.jsonl        │                               │
//!  └──────────────────────────────────┘        └───────────────────────────────┘
//! ```
//!
//! That is the topology of the recordings in `tests/golden`. Everything is owned: a namespace, a process or a
//! directory goes when its owner is dropped, also when a test panics, and nothing outside the namespaces is touched.
//! Nothing sleeps to wait for something; [`wait::until`] polls a condition with a deadline.
//!
//! A test says first what it needs with [`require!`](crate::require!): what is missing skips it on a laptop, with the
//! reason on stderr, and fails it where the environment variable `CI` is set.
//!
//! `cargo test -p observer-tests` runs everything, as root; the observer is built on the way. `DHCP_OBSERVER_BIN`
//! names another binary to test, `DHCP_OBSERVER_CAPTURES` a directory of captures to replay. A test that fails keeps
//! its directory under `/tmp` and prints the logs of its programs.

pub mod wait;

pub mod need;
pub mod scratch;

pub mod descendants;
pub mod link;
pub mod netns;
pub mod process;

pub mod capture;
pub mod inject;

pub mod call;
pub mod compare;
pub mod dhclient;
pub mod dnsmasq;
pub mod fidelity;
pub mod hook;

pub mod kea;
pub mod observer;
pub mod perfdhcp;

pub mod service;
pub mod systemd;

pub mod clients;
pub mod servers;

pub mod client;

pub mod relay;

pub mod parallel;

pub mod course;
pub mod story;
pub mod watch;

pub mod golden;
pub mod traffic;

pub mod ledger;
pub mod soak;

pub mod scripts;

pub mod conformance;
