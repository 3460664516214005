use serde_json::Value;

use super::*;
use crate::time::Timestamp;

/// What another writer makes of the same string.
fn expected(octets: &[u8]) -> String {
    serde_json::to_string(&String::from_utf8_lossy(octets)).unwrap()
}

fn written(octets: &[u8]) -> String {
    let mut out = Vec::new();
    write_string(&mut out, octets);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_octet_at_every_place_is_written_as_serde_json_writes_it() {
    for octet in 0..=255_u8 {
        for length in 0..20 {
            for place in 0..length {
                let mut octets = vec![b'a'; length];
                octets[place] = octet;
                assert_eq!(written(&octets), expected(&octets), "{octets:?}");
            }
        }
    }
}

#[test]
fn random_octets_are_written_as_serde_json_writes_them() {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for _ in 0..20_000 {
        let octets: Vec<u8> = (0..random() % 40).map(|_| random()).collect();
        assert_eq!(written(&octets), expected(&octets), "{octets:?}");
    }
}

#[test]
fn a_call_is_one_line_with_everything_in_order() {
    let mut arguments = Strings::default();
    arguments.push(b"lease4_renew");
    arguments.push(b"two words");
    let mut environment = Strings::default();
    for string in [&b"ZEBRA=1"[..], b"ALPHA=a\nb\"c\\", b"RAW=\xff", b"EMPTY=", b"EQUALS=1=2"] {
        environment.push(string);
    }
    let at = Timestamp::from_nanos(1_750_000_000_500_000_000);
    let mut out = Vec::new();
    write_call(&mut out, &Invocation { at, arguments, environment }, 7, 2);
    let text = String::from_utf8(out).unwrap();
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'));
    let value: Value = serde_json::from_str(line).unwrap();
    assert!(line.starts_with(r#"{"id":7,"attempt":2,"at":1750000000.5,"argv":["#), "{line}");
    assert_eq!(value["argv"], serde_json::json!(["lease4_renew", "two words"]));
    let environment: Vec<_> = value["env"].as_object().unwrap().iter().collect();
    let names: Vec<_> = environment.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ZEBRA", "ALPHA", "RAW", "EMPTY", "EQUALS"]);
    let values: Vec<_> = environment.iter().map(|(_, value)| value.as_str().unwrap()).collect();
    assert_eq!(values, ["1", "a\nb\"c\\", "\u{fffd}", "", "1=2"]);
}
