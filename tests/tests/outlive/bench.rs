//! An observer that can be ended and started again beside a server that goes on.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message4::{Kind, Message4};
use observer_tests::client::v4::Client4;
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::{Ended, Observer, binary, programs_by_links};
use observer_tests::scratch::Scratch;
use observer_tests::wait;

/// How long a hook may take to be started.
pub const SOON: Duration = Duration::from_secs(20);
/// What the tests need of the machine.
pub const NEEDS: [Need; 3] = [Need::Root, Need::Program("kea-dhcp4"), Need::Program("tc")];
/// The ways to attach.
pub const EVERY_ROAD: [&str; 3] = ["tc", "clsact", "xdp"];

/// Kea on the observed side of a cable, and a hook.
pub struct Bench {
    pub cable: Cable,
    pub hook: DumpHook,
    pub scratch: Scratch,
    _kea: Kea,
    lives: usize,
}

impl Bench {
    pub fn new() -> Self {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let hook = DumpHook::install(&scratch.directory("hook").unwrap()).unwrap();
        let config = Config::plain(Family::V4).unwrap();
        let directory = scratch.directory("kea").unwrap();
        let kea = Kea::start(&cable.server.namespace, &directory, config, Path::new("/bin/true")).unwrap();
        Self { cable, hook, scratch, _kea: kea, lives: 0 }
    }

    /// Starts an observer with a log of its own.
    pub fn observe(&mut self, options: &[&str]) -> Observer {
        self.lives += 1;
        let directory = self.scratch.directory(&format!("life{}", self.lives)).unwrap();
        let server = &self.cable.server;
        Observer::start(&server.namespace, &directory, server.name, self.hook.script(), options).unwrap()
    }

    pub fn client(&self, number: u8) -> Client4 {
        Client4::new(&self.cable, number).unwrap()
    }

    /// Waits for the hook point of this address.
    #[track_caller]
    pub fn call(&self, hook_point: &str, address: &str) -> Call {
        let wanted = |call: &Call| call.hook() == hook_point && address_of(call) == Some(address);
        self.hook.wait_for_call(&format!("{hook_point} of {address}"), SOON, wanted).unwrap()
    }

    /// All calls with their addresses, in order.
    pub fn story(&self) -> Vec<(String, String)> {
        let calls = self.hook.calls().unwrap();
        let told = |call: &Call| (call.hook().to_owned(), address_of(call).unwrap_or("none").to_owned());
        calls.iter().map(told).collect()
    }

    /// Where this observer's pins are, and those of no other.
    pub fn pins(&self) -> Vec<PathBuf> {
        pins(&self.cable.server.namespace, self.cable.server.name)
    }

    /// Neither pins nor programs nor a qdisc of ours are there.
    #[track_caller]
    pub fn assert_nothing_is_left(&self) {
        assert_eq!(self.pins(), [""; 0].map(PathBuf::from), "pins were left behind");
        // The kernel lets go of a link that nobody has any more a moment later.
        wait::until("an end of the programs", SOON, || Ok((self.programs() == 0).then_some(()))).unwrap();
        let qdiscs = self.tc(&["qdisc", "show", "dev", self.cable.server.name]);
        assert!(!qdiscs.contains("clsact"), "a qdisc was left behind: {qdiscs}");
    }

    /// How many of our programs are attached to the observed interface.
    pub fn programs(&self) -> usize {
        let server = &self.cable.server;
        let tcx = programs_by_links(server).unwrap();
        let filters = ["ingress", "egress"]
            .map(|direction| self.tc(&["filter", "show", "dev", server.name, direction]))
            .map(|filters| filters.matches("direct-action").count());
        let xdp = server.namespace.ip(&["link", "show", server.name]).unwrap().matches("prog/xdp").count();
        tcx + filters.iter().sum::<usize>() + xdp
    }

    fn tc(&self, arguments: &[&str]) -> String {
        let output = self.cable.server.namespace.command("tc").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `dhcp-observer detach` where the observer was.
    pub fn detach(&self, more: &[&str]) -> Output {
        let binary = binary().unwrap();
        let mut command = self.cable.server.namespace.command(binary.to_str().unwrap());
        command.args(["detach", "--iface", self.cable.server.name]).args(more).output().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that fails must not fill the kernel's memory for good.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.detach(&[])));
    }
}

fn address_of(call: &Call) -> Option<&str> {
    call.any(&["LEASE4_ADDRESS", "LEASES4_AT0_ADDRESS", "DELETED_LEASES4_AT0_ADDRESS"])
}

/// The files below the directory of the observer of this interface in this namespace.
fn pins(namespace: &Namespace, interface: &str) -> Vec<PathBuf> {
    let cookie = namespace.run(|| Ok(dhcp_observer_cookie())).unwrap();
    let mut found = Vec::new();
    let mut directories =
        vec![PathBuf::from(format!("/sys/fs/bpf/dhcp-observer/net{cookie}_if_{interface}"))];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// What the kernel calls this thread's network namespace.
fn dhcp_observer_cookie() -> u64 {
    use std::os::fd::AsRawFd;

    use nix::libc;

    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut cookie, mut length) = (0u64, 8 as libc::socklen_t);
    // SAFETY: the pointers are to eight octets and to their number.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    cookie
}

/// A renewal, which the server must grant.
#[track_caller]
pub fn renew(client: &mut Client4) -> Message4 {
    let answer = client.renew().unwrap();
    assert!(answer.is(Kind::Ack), "{answer:?}");
    answer
}

/// The frames that were handed to this observer, all of which it must have accounted for.
#[track_caller]
pub fn frames(ended: &Ended) -> u64 {
    observer_tests::observer::Totals::parse(&ended.stderr).unwrap().check().unwrap();
    ended.count("totals", "frames")
}
