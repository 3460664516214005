//! A replay of a recording tells the story that the real Kea told: the same calls, variable by variable.

use observer_tests::compare::{Rules, check_order, compare};
use observer_tests::golden::{KEA, Recording};
use observer_tests::observer::replay_invocations;

fn replay_equals_the_recording(name: &str) {
    let recording = Recording::named(name);
    let config = recording.kea_config();
    let options = ["--iface-name", "s0", "--iface-index", "2", "--settle", "4"];
    let kea = ["--kea-config", config.to_str().unwrap()];
    let calls = replay_invocations(&recording.capture(), &[&options[..], &kea].concat()).unwrap();

    // The recorded times are those at which the scripts ran: after the packet, and after the reclaim timer of 1 s.
    let rules = Rules { at_within: Some(3.0), ..Rules::default() };
    compare(&recording.calls().unwrap(), &calls, &rules).unwrap_or_else(|report| panic!("{name}:\n{report}"));
    check_order(&calls).unwrap_or_else(|report| panic!("{name}: {report}"));
}

macro_rules! recordings {
    ($($test:ident = $name:literal),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                replay_equals_the_recording($name);
            }
        )+

        #[test]
        fn no_recording_is_left_out() {
            assert_eq!([$($name),+], KEA);
        }
    };
}

recordings! {
    kea_v4_agent_in_pieces = "kea-v4-agent-in-pieces",
    kea_v4_bootp = "kea-v4-bootp",
    kea_v4_cache = "kea-v4-cache",
    kea_v4_decline = "kea-v4-decline",
    kea_v4_dora = "kea-v4-dora",
    kea_v4_expire = "kea-v4-expire",
    kea_v4_hasty = "kea-v4-hasty",
    kea_v4_relay = "kea-v4-relay",
    kea_v4_renew = "kea-v4-renew",
    kea_v6_decline = "kea-v6-decline",
    kea_v6_decline_some = "kea-v6-decline-some",
    kea_v6_heir = "kea-v6-heir",
    kea_v6_name_made_up = "kea-v6-name-made-up",
    kea_v6_rapid = "kea-v6-rapid",
    kea_v6_relay = "kea-v6-relay",
    kea_v6_renew = "kea-v6-renew",
    kea_v6_sarr = "kea-v6-sarr",
}
