//! What stands in the way of a live capture, found before anything is loaded and said in one line that a person can
//! act upon.

use std::path::PathBuf;
use std::{fs, io};

use aya::maps::MapType;
use aya::programs::{ProgramError, ProgramType};
use aya::sys::{BpfHelper, SyscallError, is_helper_supported, is_map_supported, is_program_supported};
use aya::util::KernelVersion;
use nix::libc;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use thiserror::Error;

use super::live::Attach;

/// Why a live capture cannot start, or an interface cannot be joined to one.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The options name no interface.
    #[error("no interface to observe: name at least one")]
    NoInterface,
    /// The kernel has no interface of this name.
    #[error("no interface {interface}: `ip link` lists those that exist")]
    NoSuchInterface {
        /// The name that was asked for.
        interface: String,
    },
    /// The frames of this interface have a header that the programs cannot read.
    #[error(
        "interface {interface} carries neither Ethernet nor bare IP (hardware type {hardware_type}): DHCP on it cannot \
         be observed"
    )]
    LinkLayer {
        /// The interface.
        interface: String,
        /// Its ARPHRD_ number.
        hardware_type: u16,
    },
    /// The process may not do what a capture needs.
    #[error("missing {}: run as root, or give the program these capabilities (setcap, AmbientCapabilities=)", .0.join(" and "))]
    Capability(Vec<&'static str>),
    /// The kernel cannot do what a capture needs.
    #[error("this kernel lacks {0}")]
    Kernel(&'static str),
    /// The kernel refuses although the capabilities are there.
    #[error(
        "the kernel refuses eBPF ({0}): look at seccomp (container runtime, SystemCallFilter=) and kernel lockdown"
    )]
    Refused(io::Error),
    /// The object file cannot be read as what it should be.
    #[error("the eBPF object is damaged or of another version: {0}")]
    Object(String),
    /// The kernel did not accept a program.
    #[error("the kernel does not accept the eBPF program {program}: {}", one_line(.source.as_ref()))]
    Program {
        /// Its name in the object.
        program: &'static str,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// A program could not be attached.
    #[error("cannot attach to {interface} ({road}): {}", one_line(.source.as_ref()))]
    Attach {
        /// The interface.
        interface: String,
        /// Which hook it was: `TCX ingress`, `clsact egress`, `XDP`.
        road: &'static str,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// Another program has the interface's only XDP place.
    #[error("{interface} already has an XDP program of someone else: attach by TC instead")]
    XdpBusy {
        /// The interface.
        interface: String,
    },
    /// Promiscuous mode was asked for and refused.
    #[error("cannot make {interface} promiscuous: {source}")]
    Promiscuous {
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Interfaces cannot be listed or watched.
    #[error("cannot ask the kernel about its interfaces (netlink): {0}")]
    Netlink(#[source] io::Error),
    /// A link cannot be pinned although maps could be.
    #[error("cannot pin {}: {message}; --no-pin does without", path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        message: String,
    },
    /// A map of the programs cannot be used.
    #[error("cannot use the map {map} of the eBPF programs: {message}")]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// What the kernel or aya said.
        message: String,
    },
}

/// The whole chain of causes on one line, without the verifier's log, which is thousands of lines and goes to the
/// debug log instead.
fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        let line = text.lines().next().unwrap_or_default();
        let line = line.split(" Verifier output").next().unwrap_or(line).to_owned();
        if !parts.contains(&line) {
            parts.push(line);
        }
        next = cause.source();
    }
    parts.join(": ")
}

/// One of the kernel's capabilities, by its number in `linux/capability.h`.
pub(super) struct Capability {
    pub(super) number: u32,
    name: &'static str,
}

pub(super) const DAC_OVERRIDE: Capability = Capability { number: 1, name: "CAP_DAC_OVERRIDE" };
pub(super) const NET_ADMIN: Capability = Capability { number: 12, name: "CAP_NET_ADMIN" };
pub(super) const NET_RAW: Capability = Capability { number: 13, name: "CAP_NET_RAW" };
const SYS_ADMIN: Capability = Capability { number: 21, name: "CAP_SYS_ADMIN" };
const PERFMON: Capability = Capability { number: 38, name: "CAP_PERFMON" };
pub(super) const BPF: Capability = Capability { number: 39, name: "CAP_BPF" };

/// Says whether this thread has the capabilities to load and attach the programs.
///
/// # Errors
///
/// [`CaptureError::Capability`] names those that are missing.
pub fn privilege() -> Result<(), CaptureError> {
    require(effective_capabilities(), false)
}

/// Everything that can be known before loading.
pub(super) fn prerequisites(attach: Attach, promiscuous: bool) -> Result<(), CaptureError> {
    require(effective_capabilities(), promiscuous)?;
    raise_locked_memory_limit();
    match is_map_supported(MapType::RingBuf) {
        Ok(true) => {}
        Ok(false) => return Err(CaptureError::Kernel("the eBPF ring buffer (since 5.8)")),
        Err(error) => return Err(refusal(error)),
    }
    feature(
        is_program_supported(ProgramType::SchedClassifier),
        "eBPF programs in traffic control (CONFIG_NET_CLS_ACT, CONFIG_BPF_SYSCALL)",
    )?;
    if attach == Attach::Xdp {
        feature(
            is_helper_supported(ProgramType::Xdp, BpfHelper::BPF_FUNC_xdp_load_bytes),
            "XDP over several buffers (since 5.18): attach by TC instead",
        )?;
    }
    Ok(())
}

fn require(effective: u64, promiscuous: bool) -> Result<(), CaptureError> {
    let has = |capability: &Capability| effective >> capability.number & 1 == 1;
    let mut missing = Vec::new();
    if !has(&SYS_ADMIN) {
        // CAP_SYS_ADMIN contains both, and was the only way before Linux 5.8.
        missing.extend([&BPF, &PERFMON].into_iter().filter(|capability| !has(capability)));
    }
    if !has(&NET_ADMIN) {
        missing.push(&NET_ADMIN);
    }
    if promiscuous && !has(&NET_RAW) {
        missing.push(&NET_RAW);
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(CaptureError::Capability(missing.iter().map(|capability| capability.name).collect()))
}

/// The bit set of this thread's effective capabilities. Where `/proc` cannot be read, nothing is held against the
/// process: the kernel will say itself what it refuses.
fn effective_capabilities() -> u64 {
    fs::read_to_string("/proc/thread-self/status")
        .ok()
        .and_then(|status| parse_effective(&status))
        .unwrap_or(u64::MAX)
}

fn parse_effective(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

fn feature(supported: Result<bool, ProgramError>, what: &'static str) -> Result<(), CaptureError> {
    match supported {
        Ok(true) => Ok(()),
        Ok(false) => Err(CaptureError::Kernel(what)),
        Err(ProgramError::SyscallError(error)) => Err(refusal(error)),
        // A probe that fails for a reason of its own says nothing about the feature; loading will.
        Err(_) => Ok(()),
    }
}

fn refusal(error: SyscallError) -> CaptureError {
    if error.io_error.raw_os_error() == Some(libc::ENOSYS) {
        CaptureError::Kernel("the bpf system call (CONFIG_BPF_SYSCALL)")
    } else {
        CaptureError::Refused(error.io_error)
    }
}

/// Before Linux 5.11, maps counted against the limit of locked memory, whose usual 64 KiB hold no ring buffer.
fn raise_locked_memory_limit() {
    if KernelVersion::current().is_ok_and(|version| version.code() < (5 << 16 | 11 << 8)) {
        // Where this is refused, creating the map fails with a message of its own.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bit(capability: &Capability) -> u64 {
        1 << capability.number
    }

    #[test]
    fn the_missing_capabilities_are_named() {
        let modern = bit(&BPF) | bit(&PERFMON) | bit(&NET_ADMIN);
        for (effective, promiscuous, expected) in [
            (modern, false, vec![]),
            (bit(&SYS_ADMIN) | bit(&NET_ADMIN), false, vec![]),
            (modern, true, vec!["CAP_NET_RAW"]),
            (bit(&SYS_ADMIN), false, vec!["CAP_NET_ADMIN"]),
            (bit(&NET_ADMIN) | bit(&BPF), false, vec!["CAP_PERFMON"]),
            (0, false, vec!["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]),
        ] {
            let missing = match require(effective, promiscuous) {
                Ok(()) => vec![],
                Err(CaptureError::Capability(missing)) => missing,
                Err(other) => panic!("{other}"),
            };
            assert_eq!(missing, expected, "{effective:x}");
        }
    }

    #[test]
    fn the_effective_set_is_found_in_the_status_file() {
        let status =
            "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\nCapBnd:\t0000000000000001\n";
        assert_eq!(parse_effective(status), Some(0x1ff_ffff_ffff));
        assert_eq!(parse_effective("Name:\tx\n"), None);
    }

    #[test]
    fn an_error_is_one_line_with_each_cause_once() {
        let cause = io::Error::other("a cause\nand a long log");
        let error = CaptureError::Netlink(cause);
        let line = one_line(&error);
        assert_eq!(line, "cannot ask the kernel about its interfaces (netlink): a cause: a cause");
    }
}
