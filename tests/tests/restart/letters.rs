//! Dead letters, and `dhcp-observer events` beside a running observer.

use crate::bench::{Bench, NEEDS, Told};

#[test]
fn a_call_that_failed_is_kept_until_somebody_has_it_made_again_or_drops_it() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let observer = bench.observe(&["--hook-retries", "1"]);
    bench.fail(true);
    let [mut one, mut two] = [1, 2].map(|number| bench.client(number));
    one.bind().unwrap();
    two.bind().unwrap();
    bench.wait_for_state("dead", 2);
    let told = bench.told();
    assert_eq!(told.len(), 4, "each once, and once more: {told:?}");
    let failed = bench.listed(&["--failed"]);
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|call| call["attempts"] == 2), "{failed:#?}");
    assert!(failed[0]["result"].as_str().unwrap().contains("status 1"), "{failed:#?}");
    let [first, second] = [0, 1].map(|place: usize| failed[place]["id"].as_u64().unwrap());

    bench.fail(false);
    let dropped = bench.events(&["drop", &second.to_string()]);
    let replayed = bench.events(&["replay", &first.to_string()]);
    for output in [&dropped, &replayed] {
        assert!(output.status.success(), "{output:?}");
    }
    let told = bench.wait_for(5);
    let before = told.iter().find(|told| told.event == first).unwrap();
    let again = Told { attempt: told[4].attempt, ..before.clone() };
    assert_eq!(told[4], again);
    assert!(told[4].attempt > 2, "{told:?}");
    bench.wait_for_state("done", 1);
    bench.wait_for_state("dead", 0);
    observer.stop().unwrap();
    assert_eq!(bench.listed(&[]).len(), 1, "the other one was dropped");
}
