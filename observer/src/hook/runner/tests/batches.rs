//! Several calls for one process.

use super::*;
use crate::hook::spec::Mode;

fn batch(script: &Path, limits: LaneLimits) -> Spec {
    Spec { mode: Mode::Batch { calls: 3, wait: HOUR }, limits, ..spec(script) }
}

/// The number of the first event of each line, and a line for each process.
const NOTES: &str = "#!/bin/sh\ncd ${0%/*}\nwhile read -r line; do x=${line#*:}; echo ${x%%,*} >>log; done\necho batch >>log\n";

#[tokio::test]
async fn by_size_and_by_time() {
    let scratch = Scratch::new();
    let mut hooks = hooks_of(vec![batch(&scratch.script("hook", NOTES), LIMITS)]);
    for tag in 0..7 {
        // One subject: its calls may share a process.
        submit_calls(&mut hooks, vec![call(0, 0, tag, &[])]);
    }
    let mut finished = Vec::new();
    while finished.len() < 6 {
        let Progress::Finished { tag, ended, .. } = next(&mut hooks).await else { panic!() };
        assert_eq!(ended, Ended::Exited(0));
        finished.push(tag);
    }
    assert_eq!(finished, [0, 1, 2, 3, 4, 5]);
    assert_eq!(scratch.text("log"), "0\n1\n2\nbatch\n3\n4\n5\nbatch\n");
    assert!(!hooks.is_idle());
    // The seventh has no company until its time is over.
    hooks.handle_timeout(hooks.poll_timeout().unwrap());
    assert_eq!(ending(&mut hooks).await, (Ended::Exited(0), false));
    assert!(scratch.text("log").ends_with("6\nbatch\n"));
    assert!(hooks.is_idle());
}

#[tokio::test]
async fn one_that_fails_is_tried_again_with_all_its_calls() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\ncd ${0%/*}\n/bin/cat >>log\n[ -e failed ] || { : >failed; exit 1; }\n";
    let limits = LaneLimits { retries: 1, retry_delay: Duration::from_millis(1), ..LIMITS };
    let mut hooks = hooks_of(vec![batch(&scratch.script("hook", text), limits)]);
    for tag in 0..3 {
        submit(&mut hooks, tag, &[]);
    }
    let finished = drained(&mut hooks).await;
    assert_eq!(finished, [0, 1, 2].map(|tag| (tag, 2, Ended::Exited(0), false)));
    let log = scratch.text("log");
    let attempts: Vec<_> = log.lines().map(|line| line.contains("\"attempt\":2")).collect();
    assert_eq!(attempts, [false, false, false, true, true, true]);
    assert_eq!(hooks.counters().retried, 3);
}

#[tokio::test]
async fn one_that_does_not_read_everything_is_no_error() {
    let scratch = Scratch::new();
    let mut hooks = hooks_of(vec![batch(&scratch.script("hook", "#!/bin/sh\nexit 0\n"), LIMITS)]);
    let large = [b"LARGE=".to_vec(), vec![b'x'; 2_000_000]].concat();
    for tag in 0..3 {
        submit(&mut hooks, tag, &[&large]);
    }
    assert_eq!(drained(&mut hooks).await, [0, 1, 2].map(|tag| (tag, 1, Ended::Exited(0), false)));
}

#[tokio::test]
async fn one_whose_child_holds_its_input_open_does_not_hold_us() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("fifo");
    // The child never reads, and lives until the FIFO is opened.
    let text = "#!/bin/sh\n(read line <${0%/*}/fifo) <&0 &\nexit 0\n";
    let mut hooks = hooks_of(vec![batch(&scratch.script("hook", text), LIMITS)]);
    let large = [b"LARGE=".to_vec(), vec![b'x'; 2_000_000]].concat();
    for tag in 0..3 {
        submit(&mut hooks, tag, &[&large]);
    }
    assert_eq!(drained(&mut hooks).await.len(), 3);
    std::fs::write(&fifo, "go\n").unwrap();
}
