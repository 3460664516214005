//! A place of its own for a program that would configure the machine, such as a stock dhclient-script.
//!
//! dhclient-script(8) does what a DHCP client must: it gives `$interface` an address, sets routes, writes resolv.conf. Beside
//! a server that would be the server's interface, and the leases other machines' leases. So such a program is refused,
//! unless the configuration says `isolated = true`. Then it runs in a network, mount and host name namespace in which an
//! interface of that name exists, and in which what it writes below `/etc`, `/run` and `/var` is seen by nobody else.

use std::ffi::CString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::net::if_::{if_nameindex, if_nametoindex};
use nix::sched::{CloneFlags, unshare};
use thiserror::Error;

use crate::capture::netlink::{Request, request};

/// How much of a program is read to find out what it is.
const LOOKED_AT: u64 = 256 * 1024;
/// The name of the program that every packaging has.
const STOCK_NAME: &str = "dhclient-script";
/// A shell script that configures an interface as dhclient's does: it has to name these three.
const MARKS: [&[u8]; 3] = [b"make_resolv_conf", b"exit_with_hooks", b"PREINIT"];
/// Programs that only such a script calls, one of which is enough.
const TOOLS: [&[u8]; 3] = [b"ip ", b"ifconfig ", b"route "];
/// Directories whose contents the isolated program may change for itself.
const OWN_COPIES: [&str; 3] = ["etc", "run", "var"];

/// The index of `lo` in every network namespace.
const LOOPBACK: u32 = 1;

/// Why a program is refused.
#[derive(Debug, Error)]
#[error(
    "hook program {path}: {why}: a dhclient-script configures the interface that it is told of, and here that is the \
     server's own; run scripts/dhclient-hooks instead, which runs its enter, up, down and exit hooks and nothing else, \
     or set isolated = true for this hook in the configuration file, which gives it a network namespace of its own"
)]
pub struct StockScript {
    /// The program.
    pub path: PathBuf,
    /// By what it was recognised.
    pub why: &'static str,
}

/// Looks whether a program is a stock dhclient-script: by its name, by the name of what it is a link to, or by what is in
/// it, so that copies are found under any name.
///
/// # Errors
///
/// When it is one. A program that cannot be read is taken by its name alone.
pub fn refuse_stock_script(path: &Path) -> Result<(), StockScript> {
    let is_named = |path: &Path| path.file_name().is_some_and(|name| name == STOCK_NAME);
    let refuse = |why| Err(StockScript { path: path.to_owned(), why });
    if is_named(path) {
        return refuse("it is named dhclient-script");
    }
    if path.canonicalize().is_ok_and(|target| is_named(&target)) {
        return refuse("it is a link to dhclient-script");
    }
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut text));
    let code = || text.split(|octet| *octet == b'\n').filter(|line| !is_comment(line));
    let has = |mark: &&[u8]| code().any(|line| contains(line, mark));
    if read.is_ok() && MARKS.iter().all(&has) && TOOLS.iter().any(has) {
        return refuse("what is in it is dhclient-script's");
    }
    Ok(())
}

fn is_comment(line: &[u8]) -> bool {
    line.iter().find(|octet| !octet.is_ascii_whitespace()) == Some(&b'#')
}

fn contains(line: &[u8], mark: &[u8]) -> bool {
    line.windows(mark.len()).any(|window| window == mark)
}

/// Why a thread could not be taken apart.
#[derive(Debug, Error)]
#[error("isolated hook: {what}: {source}")]
pub struct IsolationError {
    /// What was tried.
    pub what: &'static str,
    /// What the kernel said.
    pub source: io::Error,
}

fn failed(what: &'static str) -> impl FnOnce(Errno) -> IsolationError {
    move |errno| IsolationError { what, source: errno.into() }
}

/// The namespaces of an isolated thread. Whatever the thread starts is in them too, and nothing else is.
#[derive(Debug)]
pub struct Isolation(());

impl Isolation {
    /// Takes the calling thread apart from the machine, for good. To be called once, by a thread that does nothing but run
    /// the isolated programs.
    ///
    /// # Errors
    ///
    /// Without CAP_SYS_ADMIN, or where the kernel has no overlay file system.
    pub fn of_this_thread() -> Result<Self, IsolationError> {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)
            .map_err(failed("no namespaces (CAP_SYS_ADMIN is needed)"))?;
        let nothing: Option<&str> = None;
        // Nothing that is mounted from here on is seen outside.
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
            .map_err(failed("mounts cannot be kept apart"))?;
        own_copies()?;
        // Its own mount of sysfs shows the interfaces of the new network namespace; a script can do without it.
        let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), nothing);
        set_up(LOOPBACK)?;
        Ok(Self(()))
    }

    /// Makes sure that there is an interface of this name, with its link up.
    ///
    /// # Errors
    ///
    /// When the name cannot be an interface's, or the kernel makes none.
    pub fn provide_interface(&self, name: &str) -> Result<(), IsolationError> {
        let refused = |what| move |source| IsolationError { what, source };
        let length = name.len();
        if length == 0 || length >= libc::IFNAMSIZ || name.contains(['/', '\0', ' ']) {
            return Err(refused("no interface can have that name")(io::ErrorKind::InvalidInput.into()));
        }
        if if_nametoindex(name).is_err() {
            // A dummy is what it should be; a kernel without it has veth.
            create(name, "dummy").or_else(|_| create(name, "veth")).map_err(refused("no interface"))?;
            // Both ends, where there are two: an interface without carrier has no link-local address.
            for interface in &if_nameindex().map_err(failed("no list of interfaces"))? {
                set_up(interface.index())?;
            }
        }
        Ok(())
    }
}

/// Lays an overlay over the directories that a script may write to, whose changes live in memory of its own.
fn own_copies() -> Result<(), IsolationError> {
    mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), Some("mode=1777,size=16m"))
        .map_err(failed("no tmpfs"))?;
    for directory in OWN_COPIES {
        let (upper, work) = (format!("/tmp/{directory}.upper"), format!("/tmp/{directory}.work"));
        for made in [&upper, &work] {
            fs::create_dir(made)
                .map_err(|source| IsolationError { what: "no directory in a tmpfs", source })?;
        }
        let lower = format!("/{directory}");
        let data = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        mount(Some("overlay"), lower.as_str(), Some("overlay"), MsFlags::empty(), Some(data.as_str()))
            .map_err(failed("no overlay over /etc, /run or /var"))?;
    }
    // The overlays hold on to it; the script finds an empty /tmp that is nobody else's.
    umount2("/tmp", MntFlags::MNT_DETACH).map_err(failed("a tmpfs cannot be put away"))?;
    mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), Some("mode=1777,size=16m"))
        .map_err(failed("no tmpfs"))
}

/// The fixed part of a message about a link: `ifinfomsg`.
fn link_header(index: u32, flags: libc::c_int) -> Vec<u8> {
    let flags = flags.cast_unsigned();
    let mut header = vec![0, 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut attribute = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn create(name: &str, kind: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    let information = attribute(libc::IFLA_INFO_KIND, kind.as_bytes());
    let payload = [
        link_header(0, 0),
        attribute(libc::IFLA_IFNAME, name.as_bytes_with_nul()),
        attribute(libc::IFLA_LINKINFO, &information),
    ]
    .concat();
    request(libc::RTM_NEWLINK, Request::Create, &payload).map(drop)
}

fn set_up(index: u32) -> Result<(), IsolationError> {
    request(libc::RTM_NEWLINK, Request::Change, &link_header(index, libc::IFF_UP))
        .map(drop)
        .map_err(|source| IsolationError { what: "an interface cannot be set up", source })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// As Debian's and Red Hat's begin, and as somebody's own script looks that is called by dhclient.
    const COPY: &str = "#!/bin/sh\nmake_resolv_conf() {\n:\n}\nexit_with_hooks() {\nexit\n}\n\
                        case $reason in\nPREINIT)\nip link set dev $interface up\n;;\nesac\n";

    #[test]
    fn a_stock_script_is_found_under_any_name() {
        let directory = super::super::scratch::Scratch::new();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let why = |path: &Path| refuse_stock_script(path).unwrap_err().why;
        assert_eq!(why(Path::new("/sbin/dhclient-script")), "it is named dhclient-script");
        assert_eq!(why(&write("dhclient-script", "#!/bin/sh\n")), "it is named dhclient-script");
        assert_eq!(why(&write("mine", COPY)), "what is in it is dhclient-script's");
        std::os::unix::fs::symlink("dhclient-script", directory.path().join("linked")).unwrap();
        assert_eq!(why(&directory.path().join("linked")), "it is a link to dhclient-script");
        for harmless in [
            "#!/bin/sh\ncase $reason in BOUND) logger $new_ip_address;; esac\n",
            "#!/bin/sh\n# make_resolv_conf exit_with_hooks PREINIT ip addr\n",
            "#!/bin/sh\nmake_resolv_conf() { :; }\nexit_with_hooks() { exit; }\nPREINIT=1\n",
        ] {
            refuse_stock_script(&write("harmless", harmless)).unwrap();
        }
        refuse_stock_script(&directory.path().join("missing")).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/dhclient-hooks");
        refuse_stock_script(&ours).unwrap();
    }

    fn run(command: &str) -> String {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the stock script would change beside a server.
    fn state() -> String {
        run(
            "ip -o addr show dev eth0 | sed 's/valid_lft.*//'; ip route; ip -6 route; cat /etc/resolv.conf; hostname; ls /etc",
        )
    }

    /// Runs Debian's own script in the isolated thread, with what is in `environment`.
    fn stock(reason: &str, environment: &[(&str, &str)]) -> std::process::Output {
        let mut command = Command::new("/sbin/dhclient-script");
        command.env_clear().env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").env("interface", "eth0");
        command.env("reason", reason).envs(environment.iter().copied()).output().unwrap()
    }

    #[test]
    fn the_stock_script_changes_nothing_of_the_servers() {
        let is_missing = !nix::unistd::geteuid().is_root() || !Path::new("/sbin/dhclient-script").exists();
        if is_missing {
            assert!(std::env::var_os("CI").is_none(), "CI must have root and dhclient-script");
            eprintln!("SKIPPED: needs root and /sbin/dhclient-script");
            return;
        }
        // The server: an interface named as the client's, in a namespace that is the test's own.
        let server = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            run("ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up; \
                 ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad; \
                 ip route add default via 192.0.2.254");
            let before = state();
            assert!(before.contains("192.0.2.1/24") && before.contains("2001:db8::1/64"), "{before}");
            let isolated = std::thread::spawn(|| {
                let isolation = Isolation::of_this_thread().unwrap();
                isolation.provide_interface("eth0").unwrap();
                isolation.provide_interface("eth0").unwrap();
                assert!(isolation.provide_interface("a/b").is_err());
                let lease = [
                    ("new_ip_address", "192.0.2.100"),
                    ("new_subnet_mask", "255.255.255.0"),
                    ("new_broadcast_address", "192.0.2.255"),
                    ("new_routers", "192.0.2.9"),
                    ("new_domain_name", "elsewhere.example"),
                    ("new_domain_name_servers", "192.0.2.53"),
                    ("new_host_name", "elsewhere"),
                ];
                stock("PREINIT", &[]);
                stock("BOUND", &lease);
                let bound = state();
                let old = lease.map(|(name, value)| (name.replacen("new_", "old_", 1), value));
                let old: Vec<_> = old.iter().map(|(name, value)| (name.as_str(), *value)).collect();
                stock("RELEASE", &old);
                stock("PREINIT6", &[]);
                (bound, state())
            });
            let (bound, released) = isolated.join().unwrap();
            // Inside, it has done what it does.
            assert!(bound.contains("192.0.2.100/24") && bound.contains("elsewhere.example"), "{bound}");
            assert!(bound.contains("default via 192.0.2.9"), "{bound}");
            assert!(!released.contains("192.0.2.100"), "{released}");
            assert_eq!(state(), before);
        };
        std::thread::spawn(server).join().unwrap();
        assert!(refuse_stock_script(Path::new("/sbin/dhclient-script")).is_err());
    }
}
