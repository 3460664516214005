//! Long-lived processes.

use super::*;
use crate::hook::spec::{Attributes, Mode};

/// Each line is noted and acknowledged. `echo` would take a backslash for more than that.
const WELL_BEHAVED: &str = "#!/bin/sh\ncd ${0%/*}\nwhile read -r line; do printf '%s\n' \"$line\" >>log; echo; done\necho end >>log\n";

fn stream(script: &Path, limits: LaneLimits) -> Spec {
    Spec { mode: Mode::Stream { window: 100 }, limits, ..spec(script) }
}

/// `id` and `attempt` of each line that was noted.
fn noted(scratch: &Scratch) -> Vec<(u64, u64)> {
    let number = |line: &serde_json::Value, name: &str| line[name].as_u64().unwrap();
    let log = scratch.text("log");
    let lines = log.lines().filter(|line| *line != "end").map(|line| serde_json::from_str(line).unwrap());
    lines.map(|line: serde_json::Value| (number(&line, "id"), number(&line, "attempt"))).collect()
}

#[tokio::test]
async fn one_process_is_told_of_everything_in_order() {
    let scratch = Scratch::new();
    let mut spec = stream(&scratch.script("hook", WELL_BEHAVED), LIMITS);
    spec.mode = Mode::Stream { window: 7 };
    let mut hooks = hooks_of(vec![spec]);
    for tag in 0..200 {
        // All of one subject or not: the order in the pipe is the same.
        submit_calls(&mut hooks, vec![call(0, tag % 3, tag, &[b"A=two words\xff", b"B=\"\\"])]);
    }
    let finished = drained(&mut hooks).await;
    let expected: Vec<_> = (0..200).map(|tag| (tag, 1, Ended::Acknowledged, false)).collect();
    assert_eq!(finished, expected);
    let log = scratch.text("log");
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(line["argv"], serde_json::json!(["lease4_renew"]));
    assert_eq!(line["env"], serde_json::json!({ "A": "two words\u{fffd}", "B": "\"\\" }));
    assert_eq!(noted(&scratch), (0..200).map(|tag| (tag, 1)).collect::<Vec<_>>());
    assert!(log.ends_with("\nend\n"), "its input was closed and it was waited for");
    let counters = hooks.counters();
    assert_eq!((counters.started, counters.acknowledged, counters.succeeded), (1, 200, 1));
}

#[tokio::test]
async fn its_environment_and_arguments_are_those_of_the_configuration() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\n/bin/cat /proc/$$/environ >${0%/*}/environ\necho $* >${0%/*}/arguments\nread line\necho\n";
    let mut spec = stream(&scratch.script("hook", text), LIMITS);
    spec.arguments = vec![c"--zone".to_owned(), c"example".to_owned()];
    spec.attributes = Attributes { environment: vec![c"PATH=/bin".to_owned()], ..Attributes::default() };
    let mut hooks = hooks_of(vec![spec]);
    submit(&mut hooks, 0, &[b"SECRET=1"]);
    assert_eq!(drained(&mut hooks).await.len(), 1);
    assert_eq!(scratch.read("environ"), b"PATH=/bin\0");
    assert_eq!(scratch.text("arguments"), "--zone example\n");
}

#[tokio::test]
async fn one_that_dies_with_events_in_flight_is_told_of_them_again() {
    let scratch = Scratch::new();
    // The first life acknowledges one of four that it was told of.
    let text = "#!/bin/sh\ncd ${0%/*}\nn=0\nwhile read -r line; do echo \"$line\" >>log; n=$((n+1))\n\
                if [ ! -e died ]; then [ $n = 1 ] && echo; [ $n = 4 ] && { : >died; exit 3; }; else echo; fi; done\n";
    let limits = LaneLimits { retry_delay: Duration::from_millis(10), ..LIMITS };
    let mut hooks = hooks_of(vec![stream(&scratch.script("hook", text), limits)]);
    for tag in 0..6 {
        submit(&mut hooks, tag, &[]);
    }
    let finished = drained(&mut hooks).await;
    assert_eq!(finished.iter().map(|(tag, ..)| *tag).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert!(finished.iter().all(|(.., ended, gave_up)| *ended == Ended::Acknowledged && !gave_up));
    assert_eq!(finished[0].1, 1);
    assert_eq!(finished[1].1, 2);
    let noted = noted(&scratch);
    assert_eq!(noted[..7], [(0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]);
    assert_eq!(noted.len(), 9);
    let counters = hooks.counters();
    assert_eq!((counters.started, counters.non_zero, counters.acknowledged), (2, 1, 6));
    assert!(counters.retried >= 3);
}

#[tokio::test]
async fn one_that_never_acknowledges_is_killed_and_its_oldest_event_given_up() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\ntrap '' TERM\nwhile :; do read -r line && case $line in *'\"id\":0,'*) ;; *) echo;; esac \
                || /bin/sleep 1000; done\n";
    let short = Duration::from_millis(300);
    let limits = LaneLimits {
        timeout: Some(short),
        kill_delay: short,
        retries: 1,
        retry_delay: Duration::from_millis(10),
        ..LIMITS
    };
    let mut hooks = hooks_of(vec![stream(&scratch.script("hook", text), limits)]);
    submit(&mut hooks, 0, &[]);
    let finished = drained(&mut hooks).await;
    assert_eq!(finished, [(0, 2, Ended::Signalled(9), true)]);
    let counters = hooks.counters();
    assert_eq!((counters.started, counters.timed_out, counters.killed, counters.gave_up), (2, 2, 2, 1));
}

#[tokio::test]
async fn events_can_be_acknowledged_by_number_in_any_order() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\nid() { x=${1#*:}; echo ${x%%,*}; }\nread -r a; read -r b; read -r c\n\
                echo 77\nid \"$c\"; id \"$a\"; id \"$b\"\n";
    let mut hooks = hooks_of(vec![stream(&scratch.script("hook", text), LIMITS)]);
    for tag in 0..3 {
        submit(&mut hooks, tag, &[]);
    }
    let finished = drained(&mut hooks).await;
    assert_eq!(finished.iter().map(|(tag, ..)| *tag).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(hooks.counters().stray_acknowledgements, 1);
}

#[tokio::test]
async fn a_stream_that_cannot_be_started_leaves_its_events_unfinished() {
    let scratch = Scratch::new();
    let script = scratch.script("hook", WELL_BEHAVED);
    let limits = LaneLimits { retry_delay: Duration::from_millis(10), ..LIMITS };
    let mut hooks = hooks_of(vec![stream(&script, limits)]);
    std::fs::remove_file(&script).unwrap();
    submit(&mut hooks, 5, &[]);
    let limit = Duration::from_secs(60);
    while let Some(progress) = tokio::time::timeout(limit, hooks.drain()).await.unwrap() {
        assert!(matches!(progress, Progress::Again { .. }), "{progress:?}");
    }
    assert_eq!(hooks.unfinished().collect::<Vec<_>>(), [&5]);
    assert!(hooks.counters().could_not_start >= 3);
}

#[tokio::test]
async fn more_than_a_pipe_holds_goes_through_while_the_wait_is_cancelled_all_the_time() {
    let scratch = Scratch::new();
    let mut hooks = hooks_of(vec![Spec {
        mode: Mode::Stream { window: 1000 },
        ..stream(&scratch.script("hook", "#!/bin/sh\nwhile read -r line; do echo; done\n"), LIMITS)
    }]);
    let large = [b"LARGE=".to_vec(), vec![b'x'; 30_000]].concat();
    for tag in 0..300 {
        submit(&mut hooks, tag, &[&large]);
    }
    let mut finished = 0;
    while finished < 300 {
        tokio::select! {
            progress = next(&mut hooks) => {
                assert!(matches!(progress, Progress::Finished { tag, .. } if tag == finished), "{progress:?}");
                finished += 1;
            }
            () = tokio::time::sleep(Duration::from_micros(100)) => {}
        }
    }
    assert_eq!(drained(&mut hooks).await, []);
}
