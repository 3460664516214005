use std::path::PathBuf;

use super::*;
use crate::dhcpv6::IaKind;
use crate::identity::{ClientId, HardwareAddress};
use crate::seed::Seed;
use crate::time::Lifetime;
use crate::tracker::LeaseState;

fn read(text: &str) -> Seed {
    parse(PathBuf::from("dhcpd.leases").into(), text.as_bytes()).into_seed()
}

fn skipped(seed: &Seed) -> Vec<String> {
    seed.skipped.iter().map(ToString::to_string).collect()
}

const LEASE: &str = "lease 192.0.2.9 {\n  starts 6 2026/11/21 17:00:00;\n  ends 6 2026/11/21 17:10:00;\n  \
                     binding state active;\n  hardware ethernet 02:00:00:00:00:09;\n}\n";

#[test]
fn version_4_leases_are_read_in_all_their_forms() {
    let seed = read(
        r#"# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;
server-duid "\000\001\000\0012\224";
failover peer "foo" state { my state normal at 4 2026/11/19 17:00:00; }
lease 192.0.2.100 {
  starts 6 2026/11/21 17:00:00;
  ends 6 2026/11/21 17:10:00;
  cltt 6 2026/11/21 17:05:00;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:00:00:00:00:01;
  uid "\001\002\000\000\000\000\001";
  set vendor-class-identifier = "a;b}c";
  option agent.circuit-id 0:4:0:1;
  on expiry { if (1 = 1) { log(info, "x"); } }
  client-hostname "host \"one\"";
}
lease 192.0.2.101 { starts epoch 1795280400; # Sat Nov 21 17:00:00 2026
  ends never; binding state active; hardware token-ring 02:00:00:00:00:02; uid 01:02:03; }
lease 192.0.2.102 {
  starts 6 2026/11/21 17:00:00; ends 0 2026/11/22 17:00:00; binding state abandoned;
  hardware ethernet 02:00:00:00:00:03; client-hostname "gone";
}
lease 192.0.2.103 { starts 6 2026/11/21 17:00:00; ends 6 2026/11/21 17:10:00; binding state active; }
lease 192.0.2.103 { starts 6 2026/11/21 17:00:00; ends 6 2026/11/21 17:01:00; binding state free; }
lease 192.0.2.104 { starts 6 2026/11/21 17:00:00; ends 6 2026/11/21 17:10:00; binding state expired; }
lease 192.0.2.105 { binding state backup; }
"#,
    );
    assert_eq!(skipped(&seed), [""; 0]);
    let [first, infinite, abandoned, expired] = seed.leases4.as_slice() else { panic!("{:?}", seed.leases4) };
    assert_eq!((first.cltt.unix_seconds(), first.valid_lifetime), (1_795_280_400, Lifetime::Seconds(600)));
    assert_eq!(first.hwaddr, HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]));
    assert_eq!(first.client_id, Some(ClientId::new(&[1, 2, 0, 0, 0, 0, 1])));
    assert_eq!((&*first.hostname, first.subnet_id), (&b"host \"one\""[..], None));
    assert_eq!((infinite.cltt.unix_seconds(), infinite.valid_lifetime), (1_795_280_400, Lifetime::Infinite));
    assert_eq!((infinite.hwaddr.htype(), infinite.client_id.as_ref()), (6, Some(&ClientId::new(&[1, 2, 3]))));
    assert_eq!(
        (abandoned.state, abandoned.valid_lifetime),
        (LeaseState::Declined, Lifetime::Seconds(86_400))
    );
    assert_eq!((abandoned.hwaddr, &*abandoned.hostname), (HardwareAddress::empty(), &b""[..]));
    assert_eq!(expired.state, LeaseState::ExpiredReclaimed);
}

#[test]
fn version_6_associations_are_read_whole() {
    let seed = read(
        r#"authoring-byte-order little-endian;
ia-na "\001\000\000\000\000\003\000\001\002\000\000\000\000\001" {
  cltt 6 2026/11/21 17:00:00;
  iaaddr 2001:db8:1::1000 { binding state active; preferred-life 300; max-life 600; ends 6 2026/11/21 17:10:00; }
  iaaddr 2001:db8:1::1001 { binding state active; preferred-life 300; max-life 600; ends 6 2026/11/21 17:10:00; }
}
ia-na "\001\000\000\000\000\003\000\001\002\000\000\000\000\001" {
  cltt 6 2026/11/21 17:05:00;
  iaaddr 2001:db8:1::1000 { binding state active; preferred-life 300; max-life 600; ends 6 2026/11/21 17:15:00; set x = "y"; }
  iaaddr 2001:db8:1::100z { binding state active; }
  iaaddr 2001:db8:1::1002 { binding state released; preferred-life 300; max-life 600; ends 6 2026/11/21 17:15:00; }
}
ia-pd 02:00:00:00:00:03:00:01:02:00:00:00:00:02 {
  cltt 6 2026/11/21 17:00:00;
  iaprefix 2001:db8:8000::/56 { binding state active; preferred-life 4294967295; max-life 4294967295; ends never; }
}
ia-ta "\003\000\000\000\000\004a" {
  cltt epoch 1795280400;
  iaaddr 2001:db8:1::2000 { binding state abandoned; preferred-life 300; max-life 600; ends 6 2026/11/21 17:10:00; }
}
"#,
    );
    assert_eq!(
        skipped(&seed),
        [
            r#"dhcpd.leases:10: found "2001:db8:1::100z", expected an IPv6 address, or a prefix with its length"#
        ]
    );
    let [address, declined, prefix] = seed.leases6.as_slice() else { panic!("{:?}", seed.leases6) };
    assert_eq!(
        (address.kind, address.iaid, address.cltt.unix_seconds()),
        (IaKind::NonTemporary, 1, 1_795_280_700)
    );
    assert_eq!(
        (address.preferred_lifetime, address.valid_lifetime),
        (Lifetime::Seconds(300), Lifetime::Seconds(600))
    );
    assert_eq!(address.hwaddr, Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])));
    assert_eq!(
        (declined.kind, declined.state, declined.duid.octets()),
        (IaKind::Temporary, LeaseState::Declined, &[0][..])
    );
    assert_eq!((prefix.kind, prefix.prefix_len, prefix.iaid), (IaKind::PrefixDelegation, 56, 2));
    assert_eq!((prefix.valid_lifetime, prefix.cltt.unix_seconds()), (Lifetime::Infinite, 1_795_280_400));
}

#[test]
fn the_byte_order_of_the_author_counts() {
    let seed = read(
        "authoring-byte-order big-endian;\nia-na 00:00:00:01:00:04:01 { cltt epoch 1795280400; \
         iaaddr 2001:db8::1 { binding state active; preferred-life 1; max-life 2; } }\n",
    );
    assert_eq!(seed.leases6[0].iaid, 1);
    assert_eq!(seed.leases6[0].cltt.unix_seconds(), 1_795_280_400);
}

#[test]
fn an_address_that_moved_stays_with_its_new_holder() {
    let entry = |iaid: u8, addresses: &str| {
        format!("ia-na \"\\00{iaid}\\000\\000\\000\\000\\004a\" {{ cltt epoch 1795280400; {addresses} }}\n")
    };
    let leased = "iaaddr 2001:db8::1 { binding state active; preferred-life 1; max-life 2; }";
    let seed = read(&format!("{}{}{}", entry(1, leased), entry(2, leased), entry(1, "")));
    assert_eq!(seed.leases6.iter().map(|lease| lease.iaid).collect::<Vec<_>>(), [2]);
}

#[test]
fn bad_declarations_are_named_and_the_rest_is_read() {
    for (text, line, why) in [
        ("lease 192.0.2 {\n}\n", 1, "found \"192.0.2\", expected an IPv4 address"),
        (
            "lease 192.0.2.1 {\n starts 6 yesterday;\n}\n",
            2,
            "found \"6 yesterday\", expected a date, `epoch` and seconds, or `never`",
        ),
        ("lease 192.0.2.1 {\n binding state odd;\n}\n", 2, "found \"odd\", expected a binding state"),
        ("lease 192.0.2.1 {\n binding state active;\n}\n", 1, "found neither `starts` nor `cltt`"),
        ("lease 192.0.2.1 {\n starts epoch 5;\n}\n", 1, "found no `ends`"),
        (
            "lease 192.0.2.1 {\n starts epoch 5; ends epoch 4;\n}\n",
            1,
            "found a lease that ends before it starts",
        ),
        (
            "lease 192.0.2.1 {\n hardware carrier-pigeon 1;\n}\n",
            2,
            "found \"hardware carrier-pigeon 1\", expected a hardware type and address",
        ),
        ("lease 192.0.2.1 {\n uid \"torn\n}\n", 2, "found a string that its line cuts off"),
        ("lease 192.0.2.1 {\n starts epoch 5\n}\n", 3, "found `}`, expected `;`"),
        ("lease 192.0.2.1 {\n starts epoch 5;\n", 1, "found no `}` before the next lease"),
        ("lease 192.0.2.1 {\n iaaddr {\n", 2, "found no `}` before the next lease"),
        ("lease 192.0.2.1 {\n starts 6 2026/1", 2, "found the next lease, expected `;`"),
        ("server-duid", 1, "found the next lease, expected `;`"),
        ("ia-na \"ab\" {\n}\n", 1, "found \"ab\", expected an IAID of 4 octets and a DUID"),
        ("nonsense;\n", 1, "found \"nonsense\", expected a lease"),
    ] {
        let seed = read(&format!("{text} {LEASE}"));
        assert_eq!(skipped(&seed), [format!("dhcpd.leases:{line}: {why}")], "{text}");
        assert_eq!(seed.leases4.len(), 1, "{text}");
    }
    let torn = LEASE.get(..LEASE.len() - 10).unwrap();
    let seed = read(&format!("{LEASE}{torn}"));
    assert_eq!(skipped(&seed), ["dhcpd.leases:11: found the end of the file, expected `;`"]);
    assert_eq!(seed.leases4.len(), 1);
}

#[test]
fn depth_has_an_end() {
    let seed = read(&format!("lease 192.0.2.1 {}{}\n{LEASE}", "x {".repeat(100_000), "}".repeat(100_000)));
    assert_eq!(seed.leases4.len(), 1, "{:?}", skipped(&seed));
}
