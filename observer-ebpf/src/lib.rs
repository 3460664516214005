//! The contract between the eBPF programs and user space. No dependencies; the only place that knows the ring-buffer layout.
#![no_std]
