//! The dhclient dialect against the real dhclient: recordings replayed, compared variable by variable.

use observer_tests::dhclient;
use observer_tests::fidelity::Fidelity;
use observer_tests::golden::{DHCLIENT, Recording};
use observer_tests::observer::replay_invocations;

fn replayed(name: &str) -> Fidelity {
    let recording = Recording::named(name);
    // The real calls name the client's interface.
    let options = ["--iface-name", "c0", "--iface-index", "2", "--dialect", "dhclient"];
    // One ends while a client waits for an answer.
    let settle = if name == "dhclient4-refused" { "10" } else { "0" };
    let options = [&options[..], &["--settle", settle]].concat();
    let calls = replay_invocations(&recording.capture(), &options).unwrap();
    dhclient::compare(&recording.calls().unwrap(), &calls)
}

fn replay_equals_the_recording(name: &str, words: &[&str]) {
    let fidelity = replayed(name);
    println!("{name}: {fidelity}");
    assert!(fidelity.differences.is_empty(), "{name}: {fidelity}");
    assert_eq!(fidelity.words.iter().map(String::as_str).collect::<Vec<_>>(), words, "{name}");
}

#[test]
fn a_v4_client_from_its_first_lease_to_its_last() {
    let words = ["BOUND", "EXPIRE", "PREINIT", "REBOOT", "RELEASE", "RENEW"];
    replay_equals_the_recording("dhclient4", &words);
}

#[test]
fn a_v6_client_from_its_first_lease_to_its_last() {
    let words = ["BOUND6", "DEPREF6", "EXPIRE6", "PREINIT6", "RELEASE6", "RENEW6"];
    replay_equals_the_recording("dhclient6", &words);
}

#[test]
fn a_v4_client_that_is_refused_declines_or_hears_nothing() {
    let words = ["BOUND", "EXPIRE", "FAIL", "PREINIT", "REBOOT", "TIMEOUT"];
    replay_equals_the_recording("dhclient4-refused", &words);
}

#[test]
fn every_v4_option_in_every_form() {
    replay_equals_the_recording("dhclient4-options", &["BOUND", "PREINIT"]);
}

#[test]
fn every_v6_option_in_every_form() {
    replay_equals_the_recording("dhclient6-options", &["BOUND6", "PREINIT6"]);
}

#[test]
fn all_that_the_wire_can_tell_is_equal() {
    let mut all = Fidelity::default();
    DHCLIENT.iter().for_each(|name| all.add(replayed(name)));
    println!("all recordings: {all}");
    assert_eq!(all.equal, all.told(), "{all}");
    assert!(all.equal > 10_000, "{all}");
}
