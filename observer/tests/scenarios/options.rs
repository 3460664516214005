//! Options of every length: whatever is in them, an exchange is told with the one lease that the server gave, or not at all.

use dhcp_observer::config::{KeaVersion, ServerConfig};

use crate::story::Story;
use crate::wire4;
use crate::wire6;

/// Contents of so many octets that look like nothing, like text, and like further options.
fn contents(length: usize) -> [Vec<u8>; 4] {
    let counting = (0..length).map(|index| u8::try_from(index % 256).unwrap()).collect();
    let text = b"a.b-C_(\"$`\n%".iter().copied().cycle().take(length).collect();
    [vec![0; length], vec![0xff; length], counting, text]
}

fn server(version: KeaVersion) -> ServerConfig {
    ServerConfig::of(version)
}

/// Every call names this address and no other.
#[track_caller]
fn only(story: &mut Story, prefix: &str, address: &str, what: &str) -> usize {
    let calls = story.calls();
    for call in &calls.0 {
        for (name, value) in call.variables() {
            let name = std::str::from_utf8(name).unwrap();
            if name.starts_with(prefix) && name.ends_with("_ADDRESS") {
                assert_eq!(value, address.as_bytes(), "{what}: {name}");
            }
        }
    }
    calls.0.len()
}

#[test]
fn every_length_of_every_option_of_version_4() {
    // What is read somewhere: by the tracker, the dialect or the watch.
    const CODES: [u8; 19] = [0, 1, 12, 15, 43, 50, 51, 52, 53, 54, 55, 56, 57, 60, 61, 77, 80, 81, 82];
    const FOUR_OCTETS: [u8; 4] = [1, 50, 51, 54];
    const ONE_OCTET: [u8; 2] = [52, 53];
    let mut calls = 0;
    for code in CODES {
        let mut story = Story::with(server(KeaVersion::V3_0));
        let client = wire4::client(1);
        let mut malformed = 0;
        for length in 0..=255 {
            for content in contents(length) {
                let what = format!("option {code} of {length}");
                let request = client.select("192.0.2.100");
                story.at(i64::try_from(length).unwrap() * 10);
                // In place of what the question says, of what the answer says, and of both.
                let before = story.counters().malformed;
                story.asks(&request.clone().set(code, &content)).answers(&request.ack("192.0.2.100"));
                story.asks(&request).answers(&request.ack("192.0.2.100").set(code, &content));
                let bad = (FOUR_OCTETS.contains(&code) && length != 4)
                    || (ONE_OCTET.contains(&code) && length != 1);
                let counted = story.counters().malformed - before;
                if bad {
                    assert_eq!(counted, 2, "{what}");
                } else if !matches!(code, 0 | 52) {
                    // (Overload has `file` and `sname` read as options, padding is no option at all.)
                    assert_eq!(counted, 0, "{what}");
                }
                malformed += counted;
                calls += only(&mut story, "LEASE", "192.0.2.100", &what);
            }
        }
        assert_eq!(story.skipped("none"), 0);
        assert!(story.counters().leases4 <= 1, "option {code}");
        assert_eq!(
            malformed > 0,
            FOUR_OCTETS.contains(&code) || ONE_OCTET.contains(&code) || code == 0,
            "{code}"
        );
    }
    assert!(calls > 30_000, "{calls}");
}

#[test]
fn every_length_of_every_sub_option_of_relay_agents() {
    let mut story = Story::new();
    let client = wire4::client(1);
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 19, 53, 151, 152, 255] {
        for length in 0..=255_u8 {
            for claimed in [length, length.wrapping_add(1), 255] {
                let agent = [&[code, claimed][..], &vec![b'"'; usize::from(length)], &[1, 1, b'c']].concat();
                let request = client.select("192.0.2.100").relayed("203.0.113.1", &agent);
                story.asks(&request).answers(&request.ack("192.0.2.100"));
                let calls = only(&mut story, "LEASE", "192.0.2.100", "option 82");
                assert!(calls > 0, "sub-option {code} of {length}");
            }
        }
    }
    assert_eq!((story.counters().leases4, story.counters().malformed), (1, 0));
}

#[test]
fn every_length_of_every_option_of_version_6() {
    const CODES: [u16; 18] = [1, 2, 3, 4, 5, 6, 8, 9, 13, 14, 15, 16, 18, 25, 26, 37, 38, 39];
    let good = || wire6::na(1, vec![wire6::address("2001:db8::1", 1, 9_000)]);
    let mut calls = 0;
    for code in CODES {
        let mut story = Story::with(server(KeaVersion::V3_0));
        let client = wire6::client(1);
        for length in 0..=255 {
            // What looks like an address is one: of these contents only those that give it no lifetime.
            for content in [vec![0; length], contents(length)[3].clone()] {
                let what = format!("option {code} of {length}");
                let before = story.counters().malformed;
                story.at(i64::try_from(length).unwrap() * 10);
                let option = || (code, content.clone());
                let request = client.request(vec![good()]);
                // At the top, where a relay writes, and within an association; of the question and of the answer.
                let asks = client.request(vec![good()]).with(option());
                story.replied(&asks, vec![good()]);
                story.replied(&client.request(vec![option(), good()]), vec![option(), good()]);
                let relayed = client.request(vec![good()]).relayed("2001:db8:9::1", vec![option()]);
                story.replied(&relayed, vec![good()]);
                let text = length > 0 && content[0] != 0;
                let mut inside = vec![option(), wire6::address("2001:db8::1", 1, 9_000)];
                if text && matches!(code, 5) {
                    inside.remove(0);
                }
                story.replied(&request, vec![wire6::na(1, inside)]);
                let short = match code {
                    3 | 25 => length < 12,
                    4 => length < 4,
                    _ => false,
                };
                if short {
                    assert!(story.counters().malformed >= before + 3, "{what}");
                }
                calls += only(&mut story, "LEASES6", "2001:db8::1", &what);
            }
        }
        assert_eq!(story.skipped("none"), 0);
        assert!(story.counters().leases6 <= 1, "option {code}: {}", story.counters().leases6);
    }
    assert!(calls > 30_000, "{calls}");
}
