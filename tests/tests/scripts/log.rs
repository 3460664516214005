//! `log.sh`: one line a call, on standard output or through logger(1).

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use observer_tests::golden::Recording;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;

#[test]
fn every_call_is_one_line() {
    require!(Need::Root);
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let script = Script::install(&namespace, scratch.path(), "log", "").unwrap();
    for name in ["kea-v4-renew", "kea-v4-decline", "kea-v6-relay"] {
        let recording = Recording::named(name);
        let kea = recording.kea_config();
        let output = script
            .replay(&recording.capture(), &["--settle", "90000", "--kea-config", kea.to_str().unwrap()]);
        let text = String::from_utf8(output.unwrap()).unwrap();
        let calls = recording.calls().unwrap();
        for call in &calls {
            let begin = format!("{}: ", call.hook());
            let address =
                call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS", "LEASES4_AT0_ADDRESS", "LEASES6_AT0_ADDRESS"]);
            let of_this =
                |line: &&str| line.starts_with(&begin) && line.contains(address.unwrap_or_default());
            assert!(text.lines().any(|line| of_this(&line)), "{begin} {address:?}: {text}");
        }
        assert!(text.lines().count() >= calls.len(), "{text}");
    }
}

#[test]
fn lines_say_what_happened() {
    require!(Need::Root);
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let script = Script::install(&namespace, scratch.path(), "log", "").unwrap();
    let committed = [
        ("DELETED_LEASES4_SIZE", "1"),
        ("DELETED_LEASES4_AT0_ADDRESS", "192.0.2.1"),
        ("DELETED_LEASES4_AT0_HWADDR", "02:00:00:00:00:01"),
        ("LEASES4_SIZE", "1"),
        ("LEASES4_AT0_ADDRESS", "192.0.2.2"),
        ("LEASES4_AT0_HWADDR", "02:00:00:00:00:01"),
        ("LEASES4_AT0_HOSTNAME", "a\n\"b\u{1b}"),
        ("LEASES4_AT0_STATE", "default"),
    ];
    assert_eq!(
        script.succeed("leases4_committed", &committed).unwrap(),
        "leases4_committed: 192.0.2.1 taken back from 02:00:00:00:00:01; \
         192.0.2.2 given to 02:00:00:00:00:01 \"a\\012\\042b\\033\"\n"
    );
    let expire = [
        ("LEASE6_ADDRESS", "2001:db8::"),
        ("LEASE6_PREFIX_LEN", "56"),
        ("LEASE6_TYPE", "IA_PD"),
        ("LEASE6_DUID", "00:03:00"),
        ("LEASE6_STATE", "default"),
    ];
    assert_eq!(
        script.succeed("lease6_expire", &expire).unwrap(),
        "lease6_expire: 2001:db8::/56 of 00:03:00, state default\n"
    );
    let nothing = [("LEASES4_SIZE", "0"), ("DELETED_LEASES4_SIZE", "0")];
    assert_eq!(script.succeed("leases4_committed", &nothing).unwrap(), "leases4_committed: no lease\n");
}

#[test]
fn the_system_log_gets_the_line() {
    require!(Need::Root, Need::Program("logger"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let socket = scratch.path().join("socket");
    let log = UnixDatagram::bind(&socket).unwrap();
    log.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let configuration =
        format!("LOG_TO=syslog\nLOG_TAG=dhcp\nLOG_PRIORITY=local0.notice\nLOG_SOCKET={}\n", socket.display());
    let script = Script::install(&namespace, scratch.path(), "log", &configuration).unwrap();
    // A line that begins like an option is a line.
    for (hook_point, name) in [("lease4_expire", "one"), ("lease4_release", "two\nthree")] {
        let lease = [("LEASE4_ADDRESS", "192.0.2.1"), ("LEASE4_HOSTNAME", name)];
        script.succeed(hook_point, &lease).unwrap();
        let mut buffer = [0; 2048];
        let length = log.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        // local0 is 16, notice 5: 16 * 8 + 5.
        assert!(text.starts_with("<133>") && text.contains(" dhcp: "), "{text}");
        let line = format!("{hook_point}: 192.0.2.1 of nobody \"{}\"", name.replace('\n', "\\012"));
        assert!(text.trim_end().ends_with(&line), "{text}");
    }
    let other = Script::install(&namespace, &scratch.directory("other").unwrap(), "log", "LOG_TO=pigeon\n");
    let output = other.unwrap().call("lease4_expire", &[] as &[(&str, &str)]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pigeon"));
}
