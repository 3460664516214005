//! Calls that are not wanted any more, with real processes.

use super::super::super::spec::Mode;
use super::*;

#[tokio::test]
async fn what_waits_is_taken_back_and_what_runs_is_not() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("fifo");
    let script = scratch.script("hook", "#!/bin/sh\necho $NUMBER >>${0%/*}/seen\nread line <${0%/*}/fifo\n");
    let mut hooks = hooks(&script);
    let numbered = |tag: u32| call(0, 7, tag, &[format!("NUMBER={tag}").as_bytes()]);
    // All about one lease: one runs, the others wait behind it.
    for tag in 0..4 {
        submit_calls(&mut hooks, vec![numbered(tag)]);
    }
    assert!(matches!(next(&mut hooks).await, Progress::Started { tag: 0, .. }));
    assert_eq!(hooks.withdraw(|tag| [0, 1, 3].contains(tag)), [1, 3]);
    let _writer = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    use std::io::Write;
    (&_writer).write_all(b"go\ngo\n").unwrap();
    let finished: Vec<_> = drained(&mut hooks).await.into_iter().map(|(tag, ..)| tag).collect();
    assert_eq!(finished, [0, 2]);
    assert_eq!(scratch.text("seen"), "0\n2\n");
    let counters = hooks.counters();
    assert_eq!((counters.withdrawn, counters.started), (2, 2));
}

#[tokio::test]
async fn what_is_gathered_for_a_batch_is_taken_back() {
    let scratch = Scratch::new();
    let script = scratch.script("hook", "#!/bin/sh\n/bin/cat >${0%/*}/seen\n");
    let mode = Mode::Batch { calls: 10, wait: HOUR };
    let mut hooks = hooks_of(vec![Spec { mode, ..spec(&script) }]);
    for tag in 0..3 {
        submit(&mut hooks, tag, &[]);
    }
    assert_eq!(hooks.withdraw(|tag| *tag != 1), [0, 2]);
    // What is due in an hour is due now.
    let due = hooks.poll_timeout().unwrap();
    hooks.handle_timeout(due);
    assert_eq!(drained(&mut hooks).await, [(1, 1, Ended::Exited(0), false)]);
    assert_eq!(scratch.text("seen").lines().count(), 1);
    assert_eq!(hooks.counters().withdrawn, 2);
}
