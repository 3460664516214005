//! What an error says, and where.

use super::*;
use crate::config::KeaVersion;

#[test]
fn a_syntax_error_is_named_with_its_place() {
    let directory = Directory::new();
    for (bytes, expected) in [
        (&b""[..], "kea.conf:1:1: found the end of the file, expected a value"),
        (b"\n # nothing\n", "kea.conf:3:1: found the end of the file, expected a value"),
        (b"[]", "kea.conf:1:1: configuration: found a list, expected a map"),
        (b"{}", "kea.conf:1:1: found an empty map, expected \"Dhcp4\" or \"Dhcp6\""),
        (
            b"{\"Control-agent\":{},\"Logging\":{}}",
            "kea.conf:1:1: found \"Control-agent\", \"Logging\", expected \"Dhcp4\" or \"Dhcp6\"",
        ),
        (b"{\"Dhcp4\":{}} x", "kea.conf:1:14: found `x`, expected the end of the file"),
        (
            b"{\"Dhcp4\":{}\n",
            "kea.conf:2:1: found the end of the file, expected `,` or `}` to close what kea.conf:1:1 opens",
        ),
        (
            b"{\"Dhcp4\":{\"a\":[1,",
            "kea.conf:1:18: found the end of the file, expected `,` or `]` to close what kea.conf:1:15 opens",
        ),
        (b"{\"Dhcp4\":{\"a\":", "kea.conf:1:15: found the end of the file, expected a value"),
        (b"{\"Dhcp4", "kea.conf:1:2: found a string without its closing quote on the same line"),
        (b"{\"Dhcp4\n\":{}}", "kea.conf:1:2: found a string without its closing quote on the same line"),
        (b"{\"Dhcp4\" {}}", "kea.conf:1:10: found `{`, expected `:` behind \"Dhcp4\""),
        (b"{Dhcp4:{}}", "kea.conf:1:2: found `Dhcp4`, expected a key in quotes, or `}`"),
        (b"{,\"Dhcp4\":{}}", "kea.conf:1:2: found `,`, expected a key in quotes, or `}`"),
        (b"{\"Dhcp4\":{\"a\":[,]}}", "kea.conf:1:16: found `,`, expected a value"),
        (
            b"{\"Dhcp4\":{\"a\":[1 2]}}",
            "kea.conf:1:18: found `2`, expected `,` or `]` to close what kea.conf:1:15 opens",
        ),
        (
            b"{\"Dhcp4\":{\"a\":[1}}",
            "kea.conf:1:17: found `}`, expected `,` or `]` to close what kea.conf:1:15 opens",
        ),
        (b"{\"Dhcp4\":{\"a\":TRUE}}", "kea.conf:1:15: found `TRUE`, expected a value"),
        (b"{\"Dhcp4\":{\"a\":nan}}", "kea.conf:1:15: found `nan`, expected a value"),
        (b"{\"Dhcp4\":{\"a\":1.2.3}}", "kea.conf:1:15: found `1.2.3`, expected a number"),
        (b"{\"Dhcp4\":{\"a\":-inf}}", "kea.conf:1:15: found `-inf`, expected a number"),
        (
            b"{\"Dhcp4\":{\"a\":99999999999999999999}}",
            "kea.conf:1:15: found `99999999999999999999`, expected a number",
        ),
        (
            b"{\"Dhcp4\":{\"a\":\"\\x\"}}",
            "kea.conf:1:16: found another escape, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00ff",
        ),
        (
            b"{\"Dhcp4\":{\"a\":\"\\u20ac\"}}",
            "kea.conf:1:16: found another escape, expected \\u0000 to \\u00ff",
        ),
        (b"{\"Dhcp4\":{\"a\":\"\\u00", "kea.conf:1:16: found another escape, expected \\u0000 to \\u00ff"),
        (
            b"{\"Dhcp4\":{\"a\":1,\n \"a\":2}}",
            "kea.conf:2:2: found \"a\" a second time, the first is at kea.conf:1:11",
        ),
        (b"{ /* \n", "kea.conf:1:3: found the end of the file in the comment opened here, expected `*/`"),
        (b"{ / }", "kea.conf:1:3: found `/`, expected a key in quotes, or `}`"),
        ("{\"ä\":\"ß\",é}".as_bytes(), "kea.conf:1:10: found `é`, expected a key in quotes, or `}`"),
        (b"\xef\xbb\xbf{}", "kea.conf:1:1: found `\\u{feff}`, expected a value"),
        (b"\xff\xfe{\0}\0", "kea.conf:1:1: found `\u{fffd}`, expected a value"),
        (b"{\xfc}", "kea.conf:1:2: found `\u{fffd}`, expected a key in quotes, or `}`"),
    ] {
        assert_eq!(directory.error_of(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
    let deep = format!("{{\"Dhcp4\":{}", "[".repeat(100_000));
    assert!(directory.error_of(deep).ends_with("found more than 100 maps and lists inside each other"));
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let directory = Directory::new();
    for (inside, expected) in [
        (r#""valid-lifetime": "x""#, r#"3:19: valid-lifetime: found "x", expected a whole number"#),
        (r#""valid-lifetime": 1.5"#, "3:19: valid-lifetime: found 1.5, expected a whole number"),
        (
            r#""decline-probation-period": -1"#,
            "3:29: decline-probation-period: found -1, expected a whole number from 0 to 4294967295",
        ),
        (
            r#""expired-leases-processing": { "reclaim-timer-wait-time": 65536 }"#,
            "3:59: reclaim-timer-wait-time: found 65536, expected a whole number from 0 to 65535",
        ),
        (r#""match-client-id": 1"#, "3:20: match-client-id: found 1, expected true or false"),
        (
            r#""cache-threshold": 1.0"#,
            "3:20: cache-threshold: found 1.0, expected a fraction above 0.0 and below 1.0",
        ),
        (
            r#""cache-threshold": null"#,
            "3:20: cache-threshold: found null, expected a fraction above 0.0 and below 1.0",
        ),
        (r#""subnet4": {}"#, "3:12: subnet4: found a map, expected a list"),
        (r#""subnet4": [[]]"#, "3:13: subnet4: found a list, expected a map"),
        (r#""subnet4": [{ "id": 4 }]"#, r#"3:13: found a subnet without "subnet", expected one"#),
        (
            r#""subnet4": [{ "subnet": "192.0.2.0/33" }]"#,
            r#"3:25: subnet: found "192.0.2.0/33", expected an IPv4 subnet such as 192.0.2.0/24"#,
        ),
        (
            r#""subnet4": [{ "subnet": "2001:db8::/32" }]"#,
            r#"3:25: subnet: found "2001:db8::/32", expected an IPv4 subnet such as 192.0.2.0/24"#,
        ),
        (
            r#""subnet4": [{ "subnet": "10.0.0.0/8", "id": 4294967295 }]"#,
            "3:45: id: found 4294967295, expected a whole number from 0 to 4294967294",
        ),
        (
            r#""subnet4": [{ "subnet": "10.0.0.0/8" }, { "subnet": "11.0.0.0/8", "id": 1 }]"#,
            "3:73: id: found 1 a second time, the first is at kea.conf:3:13",
        ),
        (
            r#""subnet4": [{ "subnet": "10.0.0.0/8", "id": 1 }, { "subnet": "11.0.0.0/8" }]"#,
            "3:50: id: found 1 (the number that Kea gives to this subnet) a second time, the first is at kea.conf:3:45",
        ),
        (
            r#""subnet4": [{ "subnet": "10.0.0.0/8" }, { "subnet": "10.0.0.0/ 08" }]"#,
            r#"3:53: subnet: found "10.0.0.0/ 08" a second time, the first is at kea.conf:3:25"#,
        ),
        (r#""shared-networks": [{}]"#, r#"3:21: found a shared network without "name", expected one"#),
        (r#""shared-networks": [{ "name": "" }]"#, r#"3:31: name: found "", expected a name"#),
        (
            r#""shared-networks": [{ "name": "a" }, { "name": "a" }]"#,
            r#"3:48: name: found "a" a second time, the first is at kea.conf:3:31"#,
        ),
        (
            r#""reservations": [{ "hostname": "h" }]"#,
            "3:18: found a reservation without an identifier, expected hw-address, duid, circuit-id, client-id, flex-id",
        ),
        (
            r#""reservations": [{ "duid": "01", "flex-id": "01" }]"#,
            r#"3:45: flex-id: found "01", expected only one of hw-address, duid, circuit-id, client-id, flex-id"#,
        ),
        (
            r#""reservations": [{ "duid": "01-02" }]"#,
            "3:28: duid: found \"01-02\", expected octets in hexadecimal (01:02:0a, 0x01020a or 01020a) or a text in \
             single quotes",
        ),
        (
            r#""reservations": [{ "duid": "01", "ip-address": "::1" }]"#,
            r#"3:48: ip-address: found "::1", expected an IPv4 address"#,
        ),
    ] {
        let text = format!("{{\n\"Dhcp4\": {{\n{inside}\n}} }}");
        assert_eq!(directory.error_of(text), format!("kea.conf:{expected}"));
    }
    let pool =
        |rest: &str| format!(r#""subnet6": [{{"subnet": "2001:db8::/64", "pd-pools": [{{ {rest} }}] }}]"#);
    for (inside, expected) in [
        (
            r#""mac-sources": ["duid", "mac"]"#.into(),
            "3:25: mac-sources: found \"mac\", expected one of any, raw, duid, ipv6-link-local, \
             client-link-addr-option, rfc6939, remote-id, rfc4649, subscriber-id, rfc4580, docsis-cmts, docsis-modem",
        ),
        (
            r#""mac-sources": ["rfc6939", "client-link-addr-option"]"#.into(),
            r#"3:28: mac-sources: found "client-link-addr-option", expected each source once"#,
        ),
        (r#""mac-sources": []"#.into(), "3:16: mac-sources: found a list, expected at least one source"),
        (pool(""), r#"3:54: found a pd-pool without "prefix-len", expected one"#),
        (pool(r#""prefix-len": 0"#), "3:70: prefix-len: found 0, expected a whole number from 1 to 128"),
        (
            pool(r#""prefix-len": 40, "delegated-len": 32"#),
            "3:91: delegated-len: found 32, expected a whole number from 40 to 128",
        ),
        (
            pool(r#""prefix-len": 40, "delegated-len": 56, "prefix": "192.0.2.0""#),
            r#"3:105: prefix: found "192.0.2.0", expected an IPv6 address"#,
        ),
        (
            pool(r#""prefix-len": 40, "delegated-len": 56, "excluded-prefix": "2001:db8::""#),
            r#"3:54: found "excluded-prefix", expected "excluded-prefix-len" too"#,
        ),
        (
            pool(
                r#""prefix-len": 40, "delegated-len": 56, "excluded-prefix": "2001:db8::", "excluded-prefix-len": 56"#,
            ),
            "3:151: excluded-prefix-len: found 56, expected a whole number from 57 to 128",
        ),
        (
            r#""reservations": [{ "duid": "01", "prefixes": [ "2001:db8::" ] }]"#.into(),
            r#"3:48: prefixes: found "2001:db8::", expected an IPv6 prefix such as 2001:db8:1::/48"#,
        ),
        (
            r#""reservations": [{ "client-id": "01" }]"#.into(),
            "3:18: found a reservation without an identifier, expected hw-address, duid, flex-id",
        ),
    ] {
        let text = format!("{{\n\"Dhcp6\": {{\n{inside}\n}} }}");
        assert_eq!(directory.error_of(text), format!("kea.conf:{expected}"));
    }
}

#[test]
fn a_truncated_file_is_an_error_at_its_end_or_at_what_is_not_closed() {
    let directory = Directory::new();
    let whole = fs::read(fixture("golden6.conf")).unwrap();
    let last = whole.iter().rposition(|&byte| byte == b'}').unwrap();
    for length in (0..last).step_by(7) {
        let error = directory.error_of(whole.get(..length).unwrap());
        assert!(
            ["found the end of the file, expected", "without its closing quote", "`f", "`t"]
                .iter()
                .any(|part| error.contains(part)),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_long_value_is_clipped_and_stays_on_one_line() {
    let error = Directory::new()
        .error_of(format!("{{\"Dhcp4\":{{\"subnet4\":[{{\"subnet\":\"\\n{}\"}}]}}}}", "x".repeat(99)));
    let expected = format!(
        "kea.conf:1:32: subnet: found \"\\n{}…\", expected an IPv4 subnet such as 192.0.2.0/24",
        "x".repeat(39)
    );
    assert_eq!(error, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let path = Directory::new().0.join("kea.conf");
    let error = load(std::slice::from_ref(&path), KeaVersion::default()).unwrap_err().to_string();
    assert_eq!(error, format!("{}: No such file or directory (os error 2)", path.display()));
}
