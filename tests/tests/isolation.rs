//! Debian's own dhclient-script beside a server: refused, unless it is isolated; then the server's machine stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::clients::RunningClient;
use observer_tests::clients::dhclient::{Dhclient, Wants};
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::{Observer, binary};
use observer_tests::require;
use observer_tests::scratch::Scratch;
use serde_json::json;

const STOCK: &str = "/sbin/dhclient-script";
/// A client that renews after a few seconds, a script that waits for its link, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn write(directory: &Path, hooks: &str) -> PathBuf {
    let path = directory.join("c.toml");
    fs::write(&path, format!("[[interface]]\nname = \"s0\"\n{hooks}")).unwrap();
    path
}

fn stock(command: &str, more: &str) -> String {
    format!("[[hook]]\nname = \"stock\"\ncommand = {command}\ndialect = \"dhclient\"\n{more}")
}

fn run(arguments: &[&str]) -> Output {
    Command::new(binary().unwrap()).args(arguments).output().unwrap()
}

fn refused(output: &Output, place: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    for word in [place, STOCK, "the server's own", "scripts/dhclient-hooks", "isolated = true"] {
        assert!(told.contains(word), "{word:?} in {told}");
    }
}

#[test]
fn a_stock_script_is_refused_at_the_start_and_by_check() {
    require!(Need::Program("dhclient-script"));
    let scratch = Scratch::new().unwrap();
    for command in [format!("{STOCK:?}"), format!("[\"/bin/sh\", {STOCK:?}]")] {
        let file = write(scratch.path(), &stock(&command, ""));
        let file = file.to_str().unwrap();
        refused(&run(&["check", "--config", file]), "c.toml:5:11: ");
        refused(&run(&["--config", file]), "c.toml:5:11: ");
    }
    refused(&run(&["--iface", "s0", "--script", STOCK, "--dialect", "dhclient"]), "hook program");
    // Whatever it is told in.
    refused(&run(&["--iface", "s0", "--script", STOCK]), "hook program");
    let file = write(scratch.path(), &stock(&format!("{STOCK:?}"), "isolated = true\n"));
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.lines().any(|line| line.contains(STOCK) && line.contains("isolated")), "{told}");
}

/// What a dhclient-script would change beside the server.
fn state(namespace: &Namespace) -> String {
    let ip = |arguments: &[&str]| namespace.ip(arguments).unwrap();
    // The lifetimes of what the kernel learns by itself run down; the server's own are for ever.
    let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let listed = ["etc", "run", "var/lib/dhcp"].map(|path| {
        let entries = fs::read_dir(Path::new("/").join(path)).into_iter().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.retain(|name| {
            name.to_string_lossy().contains("resolv") || name.to_string_lossy().contains("dhc")
        });
        names.sort();
        names
    });
    format!(
        "{}{}{}{}{resolver}{host:?}{listed:?}",
        ip(&["-o", "address"]),
        ip(&["-o", "link"]),
        ip(&["route"]),
        ip(&["-6", "route"]),
    )
}

/// The thread that starts the isolated processes.
fn isolated_thread(observer: &Observer) -> PathBuf {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", observer.pid())).unwrap();
    // Of the spawner, where there is one.
    let processes =
        std::iter::once(observer.pid().to_string()).chain(children.split_whitespace().map(str::to_owned));
    let tasks =
        processes.flat_map(|process| fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten());
    let is_isolated = |path: &PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "hook-isolated")
    };
    tasks.map(|task| task.unwrap().path()).find(is_isolated).expect("an isolated thread")
}

/// What the isolated script sees.
fn inside(thread: &Path, command: &str) -> String {
    let namespaces = ["net", "mnt", "uts"].map(|kind| format!("--{kind}={}/ns/{kind}", thread.display()));
    let namespaces = namespaces.map(|option| option.replace("--mnt=", "--mount="));
    let output = Command::new("nsenter").args(namespaces).args(["sh", "-c", command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_servers_machine_survives_an_isolated_stock_script() {
    require!(
        Need::Root,
        Need::Program("dhclient-script"),
        Need::Program("kea-dhcp4"),
        Need::Program("kea-dhcp6"),
        Need::Program("dhclient"),
        Need::Program("nsenter")
    );
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let (server, client) = (&cable.server, &cable.client);
    client.namespace.ip(&["link", "set", client.name, "addrgenmode", "eui64"]).unwrap();
    client.namespace.ip(&["link", "set", client.name, "down"]).unwrap();
    client.namespace.ip(&["link", "set", client.name, "up"]).unwrap();
    server.namespace.ip(&["route", "add", "default", "via", "192.0.2.254"]).unwrap();
    server.namespace.ip(&["route", "add", "default", "via", "2001:db8:1::fe"]).unwrap();

    let always = |name: &str, data: &str| json!({ "name": name, "data": data, "always-send": true });
    let options = [
        (
            Family::V4,
            json!([
                always("routers", "192.0.2.9"),
                always("domain-name-servers", "192.0.2.53"),
                always("domain-name", "elsewhere.example"),
                always("host-name", "elsewhere"),
            ]),
        ),
        (
            Family::V6,
            json!([
                always("dns-servers", "2001:db8:1::53"),
                always("domain-search", "six.elsewhere.example"),
            ]),
        ),
    ];
    let mut servers = Vec::new();
    for (family, options) in options {
        let config = Config::plain(family).unwrap().without_script();
        let config = config.set("renew-timer", 3).set("rebind-timer", 40).set("option-data", options);
        let directory = scratch.directory(family.program()).unwrap();
        servers.push(Kea::start(&server.namespace, &directory, config, Path::new("/bin/true")).unwrap());
    }
    let before = state(&server.namespace);
    for own in ["192.0.2.1/24", "2001:db8:1::1/64", "via 192.0.2.254", "via 2001:db8:1::fe"] {
        assert!(before.contains(own), "{own} in {before}");
    }

    // The second is told of an event when the first has ended it.
    let dump = DumpHook::install(&scratch.directory("dump").unwrap()).unwrap();
    let hooks = stock(&format!("{STOCK:?}"), "isolated = true\n")
        + &format!("[[hook]]\nname = \"dump\"\ncommand = {:?}\ndialect = \"dhclient\"\n", dump.script());
    let file = write(scratch.path(), &hooks);
    let more = ["--config", file.to_str().unwrap()];
    let observer = Observer::start_with(&server.namespace, scratch.path(), "s0", &more).unwrap();
    let thread = isolated_thread(&observer);
    let told = |reason: &str| {
        let wanted = |call: &observer_tests::call::Call| call.get("reason") == Some(reason);
        let call = dump.wait_for_call(reason, PATIENCE, wanted).unwrap();
        assert_eq!(state(&server.namespace), before, "after {reason}");
        call
    };
    let addresses = || inside(&thread, "ip -o address show dev s0");

    let directory = scratch.directory("client4").unwrap();
    let mut four = Dhclient::start(&client.namespace, &directory, Wants::V4, "far").unwrap();
    told("PREINIT");
    let bound = told("BOUND");
    let address = bound.get("new_ip_address").unwrap();
    let here = format!("inet {address}/24 ");
    assert!(addresses().contains(&here), "{address} in {}", addresses());
    let routes = inside(&thread, "ip route");
    assert!(routes.contains("default via 192.0.2.9 dev s0"), "{routes}");
    let resolver = inside(&thread, "cat /etc/resolv.conf");
    assert!(resolver.contains("192.0.2.53") && resolver.contains("elsewhere.example"), "{resolver}");
    told("RENEW");
    assert!(addresses().contains(&here), "{address} in {}", addresses());
    four.release().unwrap();
    told("RELEASE");
    assert!(!addresses().contains("inet "), "{}", addresses());

    let directory = scratch.directory("client6").unwrap();
    let mut six = Dhclient::start(&client.namespace, &directory, Wants::Address6, "far").unwrap();
    told("PREINIT6");
    let bound = told("BOUND6");
    let address = bound.get("new_ip6_address").unwrap();
    let here = format!("inet6 {address}/");
    assert!(addresses().contains(&here), "{address} in {}", addresses());
    told("RENEW6");
    six.release().unwrap();
    told("RELEASE6");
    assert!(!addresses().contains(&here), "{address} in {}", addresses());

    let ended = observer.stop().unwrap();
    assert_eq!(state(&server.namespace), before);
    assert_eq!(ended.count("hooks", "dropped"), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("could not start"), "{}", ended.stderr);
    assert!(!thread.exists());
}

#[test]
fn a_reload_with_a_stock_script_is_refused_and_the_old_hooks_go_on() {
    require!(Need::Root, Need::Program("dhclient-script"), Need::Program("kea-dhcp4"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let server = &cable.server;
    let config = Config::plain(Family::V4).unwrap().without_script();
    let directory = scratch.directory("server").unwrap();
    let _kea = Kea::start(&server.namespace, &directory, config, Path::new("/bin/true")).unwrap();
    let dump = DumpHook::install(&scratch.directory("dump").unwrap()).unwrap();
    let dumping = format!("[[hook]]\nname = \"dump\"\ncommand = {:?}\n", dump.script());
    let file = write(scratch.path(), &dumping);
    let more = ["--config", file.to_str().unwrap()];
    let mut observer = Observer::start_with(&server.namespace, scratch.path(), "s0", &more).unwrap();
    let before = state(&server.namespace);
    let bind = |count: usize, last: u8| {
        observer_tests::client::v4::Client4::new(&cable, last).unwrap().bind().unwrap();
        dump.wait_for(count, PATIENCE).unwrap();
    };
    bind(1, 1);
    write(scratch.path(), &(dumping.clone() + &stock(&format!("{STOCK:?}"), "")));
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("not reloaded", 1).unwrap();
    observer.wait_for_log("it is named dhclient-script", 1).unwrap();
    bind(2, 2);
    assert_eq!(state(&server.namespace), before);
    write(scratch.path(), &(dumping.clone() + &stock(&format!("{STOCK:?}"), "isolated = true\n")));
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("reloaded: ", 1).unwrap();
    let thread = isolated_thread(&observer);
    bind(3, 3);
    // It is no hook any more, and its namespaces are gone.
    write(scratch.path(), &dumping);
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("reloaded: ", 2).unwrap();
    observer_tests::wait::until("end of the isolated thread", PATIENCE, || {
        Ok((!thread.exists()).then_some(()))
    })
    .unwrap();
    assert_eq!(state(&server.namespace), before);
    observer.stop().unwrap();
}
