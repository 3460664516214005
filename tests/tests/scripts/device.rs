//! `new-device.sh`: what is new, what has changed, and what is remembered.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::traffic::{Options4, Station, Traffic};

fn lease(address: &str, hwaddr: &str) -> Vec<(&'static str, String)> {
    vec![
        ("LEASES4_SIZE", "1".to_owned()),
        ("LEASES4_AT0_ADDRESS", address.to_owned()),
        ("LEASES4_AT0_HWADDR", hwaddr.to_owned()),
        ("LEASES4_AT0_HOSTNAME", "a b\n".to_owned()),
    ]
}

#[test]
fn devices_are_told_once_and_so_are_their_moves() {
    require!(Need::Root, Need::Program("flock"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let file = scratch.path().join("devices");
    // A program that writes down what it is given, and one that takes mail.
    let (command, mail) = (scratch.path().join("commands"), scratch.path().join("mail"));
    let configuration = format!(
        "DEVICE_FILE={}\nDEVICE_LIMIT=3\nDEVICE_IGNORE='02:ee:*'\nDEVICE_COMMAND=own_command\nDEVICE_MAIL=root\nDEVICE_SENDMAIL=own_mailer\n\
         own_command() {{ printf '%s,' \"$@\" >>{}; }}\nown_mailer() {{ cat >>{}; }}\n",
        file.display(),
        command.display(),
        mail.display()
    );
    let script = Script::install(&namespace, scratch.path(), "new-device", &configuration).unwrap();
    let (a, b) = ("02:00:00:00:00:01", "02:00:00:00:00:02");
    for (address, hwaddr, said) in [
        ("192.0.2.1", a, "new device 02:00:00:00:00:01: 192.0.2.1, calls itself \"a b\\012\"\n"),
        ("192.0.2.1", a, ""),
        (
            "192.0.2.2",
            a,
            "changed device 02:00:00:00:00:01: 192.0.2.2, before 192.0.2.1, calls itself \"a b\\012\"\n",
        ),
        (
            "192.0.2.1",
            a,
            "flip-flop device 02:00:00:00:00:01: 192.0.2.1, before 192.0.2.2, calls itself \"a b\\012\"\n",
        ),
        ("192.0.2.1", a, ""),
        ("192.0.2.5", b, "new device 02:00:00:00:00:02: 192.0.2.5, calls itself \"a b\\012\"\n"),
        ("192.0.2.6", "02:ee:00:00:00:01", ""),
    ] {
        assert_eq!(script.succeed("leases4_committed", &lease(address, hwaddr)).unwrap(), said);
    }
    // The same device in the other family is no new one.
    let six = [
        ("LEASES6_SIZE", "1"),
        ("LEASES6_AT0_ADDRESS", "2001:db8::1"),
        ("LEASES6_AT0_HWADDR", a),
        ("LEASES6_AT0_DUID", "00:01"),
        ("LEASES6_AT0_IAID", "1"),
        ("LEASES6_AT0_TYPE", "IA_NA"),
        ("LEASES6_AT0_PREFIX_LEN", "128"),
    ];
    assert_eq!(script.succeed("leases6_committed", &six).unwrap(), "");
    let told = std::fs::read_to_string(command).unwrap();
    assert_eq!(
        told,
        format!(
            "new,{a},192.0.2.1,,changed,{a},192.0.2.2,192.0.2.1,flip-flop,{a},192.0.2.1,192.0.2.2,new,{b},192.0.2.5,,"
        )
    );
    let mail = std::fs::read_to_string(mail).unwrap();
    assert_eq!(mail.lines().filter(|line| line.starts_with("Subject: ")).count(), 4);
    assert_eq!(mail.matches("To: root\n").count(), 4);
    // The limit is three lines; the one not seen for longest goes.
    script.succeed("leases4_committed", &lease("192.0.2.7", "02:00:00:00:00:03")).unwrap();
    let lines = std::fs::read_to_string(&file).unwrap();
    let devices: Vec<&str> = lines.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(devices, [b, a, "02:00:00:00:00:03"]);
}

#[test]
fn many_at_once_are_all_remembered() {
    require!(Need::Root, Need::Program("flock"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let file = scratch.path().join("devices");
    let configuration = format!("DEVICE_FILE={}\n", file.display());
    let script = Script::install(&namespace, scratch.path(), "new-device", &configuration).unwrap();
    let (none, capture) = (Options4::new(), scratch.path().join("many.pcap"));
    let mut traffic = Traffic::starting(1_800_000_000.0);
    for number in 0..200 {
        traffic.bind4(Station(number), Ipv4Addr::new(10, 0, 0, number as u8), &none, &none).unwrap();
    }
    traffic.write(&capture).unwrap();
    let said = String::from_utf8(script.replay(&capture, &[]).unwrap()).unwrap();
    let distinct: BTreeSet<&str> = said.lines().collect();
    assert_eq!((said.lines().count(), distinct.len()), (200, 200));
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 200);
    assert!(script.replay(&capture, &[]).unwrap().is_empty(), "nothing is new the second time");
}
