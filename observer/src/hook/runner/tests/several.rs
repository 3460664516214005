//! Several hooks for each event.

use std::collections::BTreeMap;

use super::*;
use crate::hook::spec::Mode;

#[tokio::test]
async fn one_that_hangs_one_that_fails_one_that_streams_and_an_independent_one() {
    let scratch = Scratch::new();
    let hang = "#!/bin/sh\necho first $OBSERVER_EVENT_ID >>${0%/*}/log\n\
                [ $OBSERVER_EVENT_ID = 3 ] && { trap '' TERM; while :; do /bin/sleep 1000; done; }\nexit 0\n";
    let fail = "#!/bin/sh\necho second $OBSERVER_EVENT_ID $OBSERVER_ATTEMPT >>${0%/*}/log\nexit 1\n";
    let tell =
        "#!/bin/sh\nwhile read -r line; do x=${line#*:}; echo third ${x%%,*} >>${0%/*}/log; echo; done\n";
    let alone = "#!/bin/sh\necho fourth $OBSERVER_EVENT_ID >>${0%/*}/log\n";
    let short = Duration::from_millis(500);
    let hang = Spec {
        limits: LaneLimits { timeout: Some(short), kill_delay: short, ..LIMITS },
        ..spec(&scratch.script("hang", hang))
    };
    let fail = Spec {
        limits: LaneLimits { retries: 1, retry_delay: Duration::from_millis(20), ..LIMITS },
        ..spec(&scratch.script("fail", fail))
    };
    let tell = Spec { mode: Mode::Stream { window: 10 }, ..spec(&scratch.script("tell", tell)) };
    let alone = Spec { independent: true, ..spec(&scratch.script("alone", alone)) };
    let mut hooks = hooks_of(vec![hang, fail, tell, alone]);
    for event in 0..6_u32 {
        // Two leases: events 1, 3 and 5 are about the second one.
        let calls = (0..4).map(|hook| call(hook, event % 2, event * 10 + hook as u32, &[]));
        let calls: Vec<_> = calls.collect();
        assert!(hooks.submit(hooks.clock.now(), event.into(), calls).is_empty());
    }
    let finished: BTreeMap<u32, _> = drained(&mut hooks)
        .await
        .into_iter()
        .map(|(tag, attempt, ended, gave_up)| (tag, (attempt, ended, gave_up)))
        .collect();
    assert_eq!(finished.len(), 24);
    for event in 0..6 {
        assert_eq!(finished[&(event * 10 + 1)], (2, Ended::Exited(1), true), "a dead letter");
        assert_eq!(finished[&(event * 10 + 2)], (1, Ended::Acknowledged, false));
        assert_eq!(finished[&(event * 10 + 3)], (1, Ended::Exited(0), false));
    }
    assert_eq!(finished[&30], (1, Ended::Signalled(9), false));

    let log = scratch.text("log");
    let place = |text: &str| {
        log.lines().position(|line| line == text).unwrap_or_else(|| panic!("no {text:?} in\n{log}"))
    };
    for event in 0..6 {
        let order = [
            place(&format!("first {event}")),
            place(&format!("second {event} 1")),
            place(&format!("second {event} 2")),
            place(&format!("third {event}")),
        ];
        assert!(order.is_sorted(), "event {event}:\n{log}");
        if event >= 2 {
            for hook in ["first", "third", "fourth"] {
                let (before, after) =
                    (place(&format!("{hook} {}", event - 2)), place(&format!("{hook} {event}")));
                assert!(before < after, "{hook} of one lease:\n{log}");
            }
        }
    }
    // While one lease hangs, the other's hooks and those that are independent go on.
    assert!(place("fourth 5") < place("second 3 1") && place("third 4") < place("second 3 1"), "{log}");
    let by_hook: Vec<_> =
        hooks.counters_by_hook().map(|(name, counters)| (name.to_owned(), counters)).collect();
    assert_eq!(
        by_hook.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["hang", "fail", "tell", "alone"]
    );
    assert_eq!(by_hook[0].1.killed, 1);
    assert_eq!((by_hook[1].1.gave_up, by_hook[1].1.started), (6, 12));
    assert_eq!((by_hook[2].1.acknowledged, by_hook[2].1.started), (6, 1));
}

#[tokio::test]
async fn a_call_for_a_hook_that_is_not_there_comes_back() {
    let scratch = Scratch::new();
    let mut hooks = hooks(&scratch.script("hook", "#!/bin/sh\n"));
    let now = hooks.clock.now();
    let refused = hooks.submit(now, 0, [call(0, 0, 0, &[]), call(1, 0, 1, &[])]);
    assert_eq!(
        refused.iter().map(|refused| (refused.tag, refused.refusal)).collect::<Vec<_>>(),
        [(1, Refusal::NoHook)]
    );
    assert_eq!(drained(&mut hooks).await.len(), 1);
}
