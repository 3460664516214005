//! The eBPF programs in a real kernel: single frames by `BPF_PROG_TEST_RUN`, and traffic on veth pairs.
//!
//! Run as root: `cargo test -p dhcp-observer --test kernel_filter`. Without the privilege each test says that it was
//! skipped, and fails if the environment variable CI is set. `DHCP_OBSERVER_EBPF_OBJECT=PATH` tests another object
//! than the committed one (see `cargo xtask ebpf --fresh`).
//!
//! The test binary needs nothing but `ip`, `tc` and the modules veth, tun, sch_ingress, cls_bpf and cls_u32, so it can be
//! put into an initramfs and run on an older kernel in a virtual machine: `cargo xtask vm` does that with Linux 6.1,
//! which has no TCX and is the oldest that it was run on.

mod frames;
mod namespace;
mod privilege;
mod single_frames;
mod traffic;
