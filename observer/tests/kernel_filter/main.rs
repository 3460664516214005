//! The eBPF programs in a real kernel: single frames by `BPF_PROG_TEST_RUN`, and traffic on veth pairs.
//!
//! Run as root: `cargo test -p dhcp-observer --test kernel_filter`. Without the privilege each test says that it was
//! skipped, and fails if the environment variable CI is set. `DHCP_OBSERVER_EBPF_OBJECT=PATH` tests another object
//! than the committed one (see `cargo xtask ebpf --fresh`).

mod frames;
mod namespace;
mod privilege;
mod single_frames;
mod traffic;
