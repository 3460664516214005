//! What the observer reads in lease files is what the real servers leased.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message4::Kind;
use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::golden::Recording;
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{Cable, mac_text};
use observer_tests::need::Need;
use observer_tests::observer::{Observer, binary, replay, replay_invocations};
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;
use serde_json::json;

/// How long a server may take to start, or to write a file.
const PATIENCE: Duration = Duration::from_secs(20);
/// The lifetime that all servers here give.
const LIFETIME: u32 = 600;

/// A capture file without frames, on whose time nothing but the passing of time happens.
fn no_frames(scratch: &Scratch) -> PathBuf {
    let file = scratch.path().join("empty.pcap");
    let magic = 0xa1b2_c3d4_u32.to_le_bytes();
    std::fs::write(
        &file,
        [&magic[..], &[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0]].concat(),
    )
    .unwrap();
    file
}

/// Every lease in a file, told by its end.
fn leases_in(scratch: &Scratch, file: &Path) -> Vec<Call> {
    // From 1970 to the next century.
    let options = ["--seed", file.to_str().unwrap(), "--settle", "6000000000"];
    replay_invocations(&no_frames(scratch), &options).unwrap()
}

/// The call about this address, with these variables among others, and an end that is `LIFETIME` from now.
#[track_caller]
fn check(calls: &[Call], address: &str, expected: &[(&str, &str)]) {
    let about = |call: &&Call| call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS"]) == Some(address);
    let call = calls.iter().find(about).unwrap_or_else(|| panic!("no lease of {address} in {calls:#?}"));
    for (name, value) in expected {
        assert_eq!(call.get(name), Some(*value), "{name} of {address}");
    }
    let number = |names: &[&str]| call.any(names).unwrap().parse::<f64>().unwrap();
    let end =
        number(&["LEASE4_CLTT", "LEASE6_CLTT"]) + number(&["LEASE4_VALID_LIFETIME", "LEASE6_VALID_LIFETIME"]);
    let off = end - wait::unix_now() - f64::from(LIFETIME);
    assert!((-15.0..=1.0).contains(&off), "{address} ends {off} s from where it should");
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}

fn start(cable: &Cable, scratch: &Scratch, program: &str, arguments: &[&str], started: &str) -> Process {
    let mut command = cable.server.namespace.command(program);
    command.args(arguments);
    let mut process = Process::start(program, command, scratch.path()).unwrap();
    process.wait_for_log(started, PATIENCE).unwrap();
    process
}

fn isc_dhcpd(cable: &Cable, scratch: &Scratch, family: &str, config: &str) -> (Process, PathBuf) {
    let (file, leases) = (scratch.path().join("dhcpd.conf"), scratch.path().join("dhcpd.leases"));
    let pid = scratch.path().join("dhcpd.pid");
    std::fs::write(&file, config).unwrap();
    std::fs::write(&leases, "").unwrap();
    let [file, leases_path, pid] = [&file, &leases, &pid].map(|path| path.to_str().unwrap());
    let arguments = [family, "-d", "-cf", file, "-lf", leases_path, "-pf", pid, "s0"];
    (start(cable, scratch, "dhcpd", &arguments, "Server starting service"), leases)
}

const DHCPD4: &str = "authoritative; ping-check false; default-lease-time 600; max-lease-time 600;
    subnet 192.0.2.0 netmask 255.255.255.0 { range 192.0.2.100 192.0.2.199; }";
const DHCPD6: &str = "authoritative; default-lease-time 600; preferred-lifetime 300;
    subnet6 2001:db8:1::/64 { range6 2001:db8:1::1000 2001:db8:1::1fff; prefix6 2001:db8:8000:: 2001:db8:8000:ff00:: /56; }";

/// Sends a renewal and a release past an observer that was started with the server's file for a seed.
fn goes_on_4(cable: &Cable, scratch: &Scratch, leases: &Path, renewer: &mut Client4, leaver: &mut Client4) {
    let hook = DumpHook::install(scratch.path()).unwrap();
    let (namespace, seed) = (&cable.server.namespace, leases.to_str().unwrap());
    let observer =
        Observer::start(namespace, scratch.path(), "s0", hook.script(), &["--seed", seed]).unwrap();
    // The scripted client has no kernel that would answer an ARP question.
    let address = renewer.binding.unwrap().address.to_string();
    cable.server.neighbour(&address, renewer.mac()).unwrap();
    assert!(renewer.renew().unwrap().is(Kind::Ack));
    leaver.release().unwrap();
    let calls = hook.wait_for(4, PATIENCE).unwrap();
    observer.stop().unwrap();
    let mut hooks: Vec<&str> = calls.iter().map(Call::hook).collect();
    hooks.sort_unstable();
    assert_eq!(hooks, ["lease4_release", "lease4_renew", "leases4_committed", "leases4_committed"]);
}

#[test]
fn isc_dhcpd_v4() {
    require!(Need::Root, Need::Program("dhcpd"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let (_dhcpd, leases) = isc_dhcpd(&cable, &scratch, "-4", DHCPD4);
    let mut named = Client4::new(&cable, 1).unwrap().host_name("named-1");
    named.client_id = Some([&[1][..], &named.mac(), b"\"\\;}\n\xff"].concat());
    let mut plain = Client4::new(&cable, 2).unwrap();
    let mut decliner = Client4::new(&cable, 3).unwrap();
    let mut gone = Client4::new(&cable, 4).unwrap();
    let [first, second, third, _] = [&mut named, &mut plain, &mut decliner, &mut gone]
        .map(|client| client.bind().unwrap().yiaddr.to_string());
    gone.release().unwrap();
    decliner.decline().unwrap();
    wait::until("abandoned lease", PATIENCE, || {
        Ok(std::fs::read_to_string(&leases)?.contains("binding state abandoned;").then_some(()))
    })
    .unwrap();

    let calls = leases_in(&scratch, &leases);
    let client_id = hex(named.client_id.as_deref().unwrap());
    let (mac1, mac2) = (mac_text(named.mac()), mac_text(plain.mac()));
    check(
        &calls,
        &first,
        &[
            ("LEASE4_HWADDR", &mac1),
            ("LEASE4_CLIENT_ID", &client_id),
            ("LEASE4_HOSTNAME", "named-1"),
            ("LEASE4_VALID_LIFETIME", "600"),
            ("LEASE4_STATE", "default"),
        ],
    );
    check(&calls, &second, &[("LEASE4_HWADDR", &mac2), ("LEASE4_CLIENT_ID", ""), ("LEASE4_HOSTNAME", "")]);
    let story: Vec<(&str, Option<&str>)> =
        calls.iter().map(|call| (call.hook(), call.get("LEASE4_STATE"))).collect();
    let (default, declined) = (Some("default"), Some("declined"));
    let expire = "lease4_expire";
    assert_eq!(
        story,
        [(expire, default), (expire, default), (expire, declined), ("lease4_recover", declined)],
        "{}",
        std::fs::read_to_string(&leases).unwrap()
    );
    assert_eq!(calls.last().unwrap().get("LEASE4_ADDRESS"), Some(third.as_str()));
    goes_on_4(&cable, &scratch, &leases, &mut named, &mut plain);
}

#[test]
fn isc_dhcpd_v6() {
    require!(Need::Root, Need::Program("dhcpd"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let (_dhcpd, leases) = isc_dhcpd(&cable, &scratch, "-6", DHCPD6);
    let client = |number: u8| {
        let associations = vec![Ia::addresses(0x0102_0304), Ia::prefixes(u32::from(number))];
        let mut client = Client6::new(&cable, number, associations).unwrap();
        client.bind().unwrap();
        client
    };
    let (mut stayer, mut leaver) = (client(b'"'), client(b'\\'));
    let held: Vec<String> = stayer.associations.iter().map(|ia| ia.items[0].address.to_string()).collect();
    let gone = leaver.associations[0].items[0].address.to_string();
    check_all_6(&leases_in(&scratch, &leases), &stayer, &held);
    leaver.release().unwrap();

    let calls = leases_in(&scratch, &leases);
    check_all_6(&calls, &stayer, &held);
    assert!(calls.iter().all(|call| call.get("LEASE6_ADDRESS") != Some(&gone)), "{calls:#?}");
    assert_eq!(calls.len(), 2);

    let hook = DumpHook::install(scratch.path()).unwrap();
    let options = ["--seed", leases.to_str().unwrap()];
    let namespace = &cable.server.namespace;
    let observer = Observer::start(namespace, scratch.path(), "s0", hook.script(), &options).unwrap();
    stayer.renew().unwrap();
    stayer.release().unwrap();
    let calls = hook.wait_for(6, PATIENCE).unwrap();
    observer.stop().unwrap();
    let mut hooks: Vec<&str> = calls.iter().map(Call::hook).collect();
    hooks.sort_unstable();
    let (renew, release) = ("lease6_renew", "lease6_release");
    assert_eq!(hooks, [release, release, renew, renew, "leases6_committed", "leases6_committed"]);
}

fn check_all_6(calls: &[Call], client: &Client6, held: &[String]) {
    let duid = hex(&client.duid);
    let iaid = client.associations[1].iaid.to_string();
    let common = [("LEASE6_DUID", &*duid), ("LEASE6_VALID_LIFETIME", "600"), ("LEASE6_STATE", "default")];
    let address =
        [("LEASE6_IAID", "16909060"), ("LEASE6_TYPE", "IA_NA"), ("LEASE6_PREFERRED_LIFETIME", "300")];
    check(calls, &held[0], &[&common[..], &address].concat());
    let prefix = [("LEASE6_IAID", &*iaid), ("LEASE6_TYPE", "IA_PD"), ("LEASE6_PREFIX_LEN", "56")];
    check(calls, &held[1], &[&common[..], &prefix].concat());
}

#[test]
fn dnsmasq() {
    require!(Need::Root, Need::Program("dnsmasq"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let leases = scratch.path().join("dnsmasq.leases");
    let file = format!("--dhcp-leasefile={}", leases.display());
    let arguments = [
        "--keep-in-foreground",
        "--log-facility=-",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--port=0",
        "--no-ping",
        "--dhcp-authoritative",
        "--interface=s0",
        "--bind-interfaces",
        "--dhcp-range=192.0.2.100,192.0.2.199,600",
        "--dhcp-range=2001:db8:1::1000,2001:db8:1::1fff,64,600",
        &file,
    ];
    let _dnsmasq = start(&cable, &scratch, "dnsmasq", &arguments, "DHCPv6, IP range");
    let mut named = Client4::new(&cable, 1).unwrap().host_name("named");
    named.client_id = Some(vec![0, 1, 2, 0xff]);
    let mut plain = Client4::new(&cable, 2).unwrap();
    let [first, second] = [&mut named, &mut plain].map(|client| client.bind().unwrap().yiaddr.to_string());
    let mut six = Client6::new(&cable, 3, vec![Ia::addresses(0x0102_0304)]).unwrap();
    six.bind().unwrap();
    let third = six.associations[0].items[0].address.to_string();
    wait::until("DHCPv6 lease in the file", PATIENCE, || {
        Ok(std::fs::read_to_string(&leases)?.contains(&third).then_some(()))
    })
    .unwrap();

    let calls = leases_in(&scratch, &leases);
    assert_eq!(calls.len(), 3);
    let (mac1, mac2, duid) = (mac_text(named.mac()), mac_text(plain.mac()), hex(&six.duid));
    check(
        &calls,
        &first,
        &[("LEASE4_HWADDR", &mac1), ("LEASE4_CLIENT_ID", "00:01:02:ff"), ("LEASE4_HOSTNAME", "named")],
    );
    check(&calls, &second, &[("LEASE4_HWADDR", &mac2), ("LEASE4_CLIENT_ID", ""), ("LEASE4_HOSTNAME", "")]);
    check(&calls, &third, &[("LEASE6_DUID", &duid), ("LEASE6_IAID", "16909060"), ("LEASE6_TYPE", "IA_NA")]);
    goes_on_4(&cable, &scratch, &leases, &mut named, &mut plain);
}

#[test]
fn kea_after_its_cleanup() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let leases = scratch.path().join("leases.csv");
    let database = json!({ "type": "memfile", "persist": true, "name": leases, "lfc-interval": 2 });
    let config = Config::plain(Family::V4).unwrap().set("lease-database", database);
    // Kea would leave out the comma, which its file has to escape.
    let config = config.set("hostname-char-set", "");
    let hook = DumpHook::install(scratch.path()).unwrap();
    let _kea = Kea::start(&cable.server.namespace, scratch.path(), config, hook.script()).unwrap();
    let first = Client4::new(&cable, 1).unwrap().host_name("na,med").bind().unwrap().yiaddr.to_string();
    // After a cleanup the lease is beside the file only.
    wait::until("cleanup", PATIENCE, || {
        let cleaned = std::fs::read_to_string(scratch.path().join("leases.csv.2")).unwrap_or_default();
        Ok((cleaned.contains(&first) && !std::fs::read_to_string(&leases)?.contains(&first)).then_some(()))
    })
    .unwrap();
    let calls = leases_in(&scratch, &leases);
    check(
        &calls,
        &first,
        &[("LEASE4_HOSTNAME", "na,med"), ("LEASE4_SUBNET_ID", "7"), ("LEASE4_VALID_LIFETIME", "600")],
    );
}

#[test]
fn kea_with_a_lease_without_end() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let leases = scratch.path().join("leases.csv");
    let database = json!({ "type": "memfile", "persist": true, "name": leases });
    let config = Config::plain(Family::V4).unwrap().set("lease-database", database);
    let config = config.set("valid-lifetime", u32::MAX).set("max-valid-lifetime", u32::MAX);
    let hook = DumpHook::install(scratch.path()).unwrap();
    let _kea = Kea::start(&cable.server.namespace, scratch.path(), config, hook.script()).unwrap();
    Client4::new(&cable, 1).unwrap().bind().unwrap();
    let output = replay(
        &no_frames(&scratch),
        &["--seed", leases.to_str().unwrap(), "--invocations", "--settle", "9000000000"],
    );
    let output = output.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.stdout.is_empty() && stderr.contains("leases4=1"), "{stderr}");
}

#[test]
fn in_a_replay_now_is_the_first_frame() {
    let scratch = Scratch::new().unwrap();
    let recording = Recording::named("kea-v4-dora");
    let first = recording.start().unwrap();
    // A file of dnsmasq, with one lease that is over before the first frame and one that is not.
    let (over, later) = (first as u64 - 10, first as u64 + 3_600);
    let seed = scratch.path().join("leases");
    let line = |end: u64, last: u8| format!("{end} 02:00:00:00:00:0{last} 192.0.2.24{last} * *\n");
    std::fs::write(&seed, format!("{}nonsense\n{}", line(over, 1), line(later, 2))).unwrap();
    let output = replay(&recording.capture(), &["--seed", seed.to_str().unwrap(), "--invocations"]).unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(stderr.contains(&format!("{}:2: found 1 words, expected 5", seed.display())), "{stderr}");
    let calls = observer_tests::call::parse_calls(&stdout).unwrap();
    assert_eq!(calls[0].hook(), "lease4_expire");
    assert_eq!(calls[0].get("LEASE4_ADDRESS"), Some("192.0.2.241"));
    assert_eq!(calls[0].at, over as f64);
    assert_eq!(calls.iter().filter(|call| call.hook() == "lease4_expire").count(), 1);
}

#[test]
fn a_file_that_is_no_lease_file_is_one_error() {
    let scratch = Scratch::new().unwrap();
    let file = scratch.path().join("notes.txt");
    std::fs::write(&file, "hello\n").unwrap();
    let seed = ["--invocations", "--seed", file.to_str().unwrap()];
    let replayed = replay(&no_frames(&scratch), &seed).unwrap();
    let live = Command::new(binary().unwrap()).args(["--iface", "lo"]).args(seed).output().unwrap();
    for output in [replayed, live] {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.contains("notes.txt:1: found \"hello\""), "{stderr}");
    }
}
