//! A private network with a veth pair, and frames sent on it octet by octet.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// A network namespace that only this thread and its children are in. It has no name, so it cannot be left behind: it
/// ends with the last thread and descriptor in it.
pub struct Namespace {
    before: File,
    _alone: MutexGuard<'static, ()>,
}

/// One namespace at a time. A thread that starts `ip` forks, and until the child becomes `ip` it holds a copy of every
/// descriptor, also of links that another test believes to have closed.
static ALONE: Mutex<()> = Mutex::new(());

impl Namespace {
    /// Enters a new one with the pair `left` and `right`, both up.
    pub fn with_pair() -> Self {
        let namespace = Self::empty();
        make_pair();
        namespace
    }

    /// Enters a new one that has a loopback interface, which is down, and nothing else.
    pub fn empty() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = File::open("/proc/thread-self/ns/net").expect("a thread has a network namespace");
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace can be made");
        // Neighbour discovery would add frames that no test sent. The setting is of this namespace, and of the
        // interfaces made in it from now on.
        let disable = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        disable.expect("IPv6 can be disabled");
        Self { before, _alone: alone }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // With one test thread, libtest runs the next test on this same thread.
        let _ = setns(&self.before, CloneFlags::CLONE_NEWNET);
    }
}

/// Makes the pair `left` and `right`.
pub fn make_pair() {
    ip("link add name left mtu 65535 type veth peer name right mtu 65535");
    ip("link set left up");
    ip("link set right up");
}

/// Runs `ip` with the arguments, which are separated by spaces.
pub fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// Runs `tc` with the arguments, which are separated by spaces.
pub fn tc(arguments: &str) -> String {
    run("tc", arguments)
}

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split(' ')).output().expect(program);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The index of an interface.
pub fn index(interface: &str) -> u32 {
    if_nametoindex(interface).expect(interface)
}

/// Sends a frame from an interface as it is.
pub fn send(interface: &str, frame: &[u8]) {
    let socket = packet_socket();
    // SAFETY: every field of the structure is a number, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = i32::try_from(index(interface)).expect("an index is small");
    // SAFETY: both pointers are to memory of the lengths that go with them.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    assert_eq!(usize::try_from(sent), Ok(frame.len()), "{interface}: {}", io::Error::last_os_error());
}

fn packet_socket() -> OwnedFd {
    socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).expect("a packet socket")
}

/// Opens the tun interface `tunnel`, whose packets are what is written to the file.
pub fn tun() -> File {
    let file = File::options().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
    // SAFETY: every field of the structure is a number or an array of numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, octet) in request.ifr_name.iter_mut().zip(b"tunnel") {
        *place = *octet as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request is what this ioctl takes.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    ip("link set tunnel up");
    file
}
