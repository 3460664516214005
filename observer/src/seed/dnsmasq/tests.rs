use std::path::PathBuf;

use super::*;
use crate::seed::Seed;

const WRITTEN: i64 = 1_795_280_000;

fn read(text: &str) -> Seed {
    parse(PathBuf::from("dnsmasq.leases").into(), text.as_bytes(), Timestamp::from_seconds(WRITTEN))
        .into_seed()
}

#[test]
fn both_families_are_read() {
    let seed = read(
        "1795283600 02:00:00:00:00:01 192.0.2.100 host 01:02:00:00:00:00:01\n\
         0 06-02:00:00:00:00:02 192.0.2.101 * *\n\
         1795270000 02:00:00:00:00:03 192.0.2.102 late *\n\
         duid 00:01:00:01:32:94:9d:ef:02:00:00:00:00:01\n\
         1795283600 16777216 2001:db8:1::1000 six 00:03:00:01:02:00:00:00:00:01\n\
         1795283600 T7 2001:db8:1::1001 * 00:04:01\n",
    );
    assert!(seed.skipped.is_empty(), "{:?}", seed.skipped);
    let [first, infinite, over] = seed.leases4.as_slice() else { panic!("{:?}", seed.leases4) };
    assert_eq!(&*first.hostname, b"host");
    assert_eq!(first.client_id, Some(ClientId::new(&[1, 2, 0, 0, 0, 0, 1])));
    assert_eq!((first.cltt.unix_seconds(), first.valid_lifetime), (WRITTEN, Lifetime::Seconds(3_600)));
    assert_eq!(
        (infinite.valid_lifetime, infinite.hwaddr.htype(), infinite.hwaddr.octets().len()),
        (Lifetime::Infinite, 6, 6)
    );
    assert_eq!((&*infinite.hostname, &infinite.client_id), (&b""[..], &None));
    assert_eq!((over.cltt.unix_seconds(), over.valid_lifetime), (1_795_270_000, Lifetime::Seconds(0)));
    let [address, temporary] = seed.leases6.as_slice() else { panic!("{:?}", seed.leases6) };
    assert_eq!(
        (address.kind, address.iaid, &*address.hostname),
        (IaKind::NonTemporary, 16_777_216, &b"six"[..])
    );
    assert_eq!(address.hwaddr, Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])));
    assert_eq!((temporary.kind, temporary.iaid, temporary.hwaddr), (IaKind::Temporary, 7, None));
}

#[test]
fn bad_lines_are_named_and_the_rest_is_read() {
    for (line, why) in [
        ("1795283600 02:00:00:00:00:01 192.0.2.1 *", "found 4 words, expected 5"),
        (
            "soon 02:00:00:00:00:01 192.0.2.1 * *",
            "found \"soon\", expected seconds since 1970, or 0 for a lease without end",
        ),
        // HAVE_BROKEN_RTC: the length of the lease.
        (
            "3600 02:00:00:00:00:01 192.0.2.1 * *",
            "found \"3600\", expected seconds since 1970, or 0 for a lease without end",
        ),
        ("1795283600 02:00:00:00:00:01 192.0.2 * *", "found \"192.0.2\", expected an IP address"),
        ("1795283600 0200 192.0.2.1 * *", "found \"0200\", expected a hardware address"),
        ("1795283600 7 2001:db8::x * 00:01", "found \"2001:db8::x\", expected an IP address"),
        ("1795283600 7 2001:db8::1 * *", "found \"*\", expected a DUID"),
        ("1795283600 x 2001:db8::1 * 00:01", "found \"x\", expected an IAID"),
    ] {
        let seed = read(&format!("{line}\n1795283600 02:00:00:00:00:09 192.0.2.9 * *\n"));
        let skipped: Vec<String> = seed.skipped.iter().map(ToString::to_string).collect();
        assert_eq!(skipped, [format!("dnsmasq.leases:1: {why}")]);
        assert_eq!(seed.leases4.len(), 1, "{line}");
    }
}
