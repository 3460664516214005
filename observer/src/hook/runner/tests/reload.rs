//! Another configuration while hooks run.

use super::*;
use crate::hook::spec::Mode;

const NOTES: &str = "#!/bin/sh\necho $1 $OBSERVER_EVENT_ID >>${0%/*}/log\n";
const TELLS: &str =
    "#!/bin/sh\nwhile read -r line; do x=${line#*:}; echo $1 ${x%%,*} >>${0%/*}/log.stream; echo; done\n";

/// The same hooks, told apart by their first argument.
fn configured(scratch: &Scratch, version: u32) -> Vec<Spec> {
    let version = std::ffi::CString::new(format!("v{version}")).unwrap();
    let with = |spec: Spec| Spec { arguments: vec![version.clone()], ..spec };
    let path = |name: &str| scratch.path().join(name);
    vec![with(spec(&path("exec"))), with(Spec { mode: Mode::Stream { window: 5 }, ..spec(&path("stream")) })]
}

#[tokio::test]
async fn replacing_under_load_loses_nothing_and_keeps_the_order() {
    let scratch = Scratch::new();
    scratch.script("exec", NOTES);
    scratch.script("stream", TELLS);
    let mut hooks = hooks_of(configured(&scratch, 0));
    let mut finished = Vec::new();
    for event in 0..120_u32 {
        let calls = vec![call(0, event % 4, event * 2, &[]), call(1, event % 4, event * 2 + 1, &[])];
        let now = hooks.clock.now();
        assert!(hooks.submit(now, event.into(), calls).is_empty());
        if event % 30 == 29 {
            hooks.replace(configured(&scratch, event / 30 + 1)).unwrap();
        }
        while let Some(progress) = hooks.try_progress() {
            if let Progress::Finished { tag, gave_up, .. } = progress {
                assert!(!gave_up);
                finished.push(tag);
            }
        }
    }
    finished.extend(drained(&mut hooks).await.into_iter().map(|(tag, ..)| tag));
    finished.sort_unstable();
    assert_eq!(finished, (0..240).collect::<Vec<_>>());
    assert_eq!(hooks.lanes.len(), 2, "what is retired goes");
    for log in ["log", "log.stream"] {
        let text = scratch.text(log);
        assert_eq!(text.lines().count(), 120);
        let mut last = [None; 4];
        for line in text.lines() {
            let (version, event) = line.split_once(' ').unwrap();
            let event: usize = event.parse().unwrap();
            assert_eq!(version, format!("v{}", event / 30), "each by the rules in force when it came");
            assert!(last[event % 4] < Some(event), "{log}: order of a subject\n{text}");
            last[event % 4] = Some(event);
        }
    }
}

#[tokio::test]
async fn a_hook_that_is_as_it_was_keeps_its_process() {
    let scratch = Scratch::new();
    scratch.script("exec", NOTES);
    let pid = "#!/bin/sh\nwhile read -r line; do echo $$ >>${0%/*}/pids; echo; done\n";
    let script = scratch.script("stream", pid);
    let stream = Spec { mode: Mode::Stream { window: 5 }, ..spec(&script) };
    let exec = spec(&scratch.path().join("exec"));
    let mut hooks = hooks_of(vec![stream.clone()]);
    submit(&mut hooks, 0, &[]);
    assert!(matches!(next(&mut hooks).await, Progress::Finished { .. }));
    // Another hook before it, and it is now the second one.
    hooks.replace(vec![exec, stream]).unwrap();
    submit_calls(&mut hooks, vec![call(1, 0, 1, &[])]);
    assert!(matches!(next(&mut hooks).await, Progress::Finished { tag: 1, .. }));
    let pids = scratch.text("pids");
    let pids: Vec<_> = pids.lines().collect();
    assert_eq!(pids.len(), 2);
    assert_eq!(pids[0], pids[1]);
    // One that is gone has its process ended.
    hooks.replace(Vec::new()).unwrap();
    while hooks.try_progress().is_some() || !hooks.lanes.is_empty() {
        tokio::time::timeout(Duration::from_secs(60), hooks.stirring()).await.expect("it does not go");
    }
    assert!(hooks.children.is_empty());
    assert!(!Path::new("/proc").join(pids[0]).exists());
}
