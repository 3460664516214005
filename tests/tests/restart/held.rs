//! `--expire-after-gap hold`: an end that a renewal may have prevented unseen is not told before it is certain.

use std::time::Duration;

use observer_tests::wait;

use crate::bench::{Bench, NEEDS, SOON, story};

/// How long leases are, in seconds: an observer starts in less.
const LIFETIME: u32 = 12;
/// Nothing is pinned, so what happens while no observer runs is missed.
const HOLD: [&str; 3] = ["--no-pin", "--expire-after-gap", "hold"];
const COMMITTED: &str = "leases4_committed";
const RENEW: &str = "lease4_renew";
const EXPIRE: &str = "lease4_expire";

/// A lease of the first client whose end has passed while no observer ran.
fn ended_unseen() -> (Bench, String) {
    let mut bench = Bench::new(Some(LIFETIME));
    let first = bench.observe(&HOLD);
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    let end = wait::now() + Duration::from_secs(u64::from(LIFETIME) + 1);
    bench.wait_for_state("done", 1);
    first.kill().unwrap();
    // The lease ends by the wall clock, and by nothing that could be waited for.
    wait::pace(end);
    (bench, address)
}

impl Bench {
    /// A number that sqlite3 would say.
    fn sql(&self, question: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.state().join("observer.db")).unwrap();
        connection.query_row(question, [], |row| row.get(0)).unwrap()
    }
}

/// The end of the first gap, in nanoseconds: until then a client may have renewed unseen.
const GAP_END: &str = "SELECT until_ns FROM gaps ORDER BY id LIMIT 1";
/// When the end of the lease was told to have happened.
const EXPIRED: &str = "SELECT at_ns FROM outbox WHERE word = 'lease4_expire'";

#[test]
fn an_end_in_a_gap_waits_for_one_lifetime_over_any_number_of_restarts() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let (mut bench, address) = ended_unseen();
    let second = bench.observe(&HOLD);
    // Stored are the gap and, as if nothing had happened, the lease.
    wait::until("the gap", SOON, || Ok((bench.sql("SELECT count(*) FROM gaps") == 1).then_some(()))).unwrap();
    assert_eq!(bench.sql("SELECT count(*) FROM leases4 WHERE state = 'default'"), 1);
    second.kill().unwrap();
    assert_eq!(story(&bench.told()), [(COMMITTED, &*address)]);
    // A clean end makes no difference.
    bench.observe(&HOLD).stop().unwrap();
    let last = bench.observe(&HOLD);
    let told = bench.wait_for(2);
    last.stop().unwrap();
    assert_eq!(story(&told), [(COMMITTED, &*address), (EXPIRE, &*address)]);
    assert_eq!(bench.told(), told);
    assert!(told[1].marks.ends_with("10"), "across a gap: {told:?}");
    let held = (bench.sql(EXPIRED) - bench.sql(GAP_END)) / 1_000_000_000;
    assert_eq!(held, i64::from(LIFETIME), "one lifetime after the gap, by its own time");
    assert_eq!(bench.sql("SELECT count(*) FROM leases4 WHERE state = 'default'"), 0);
    // Lives without a frame have not forgotten when the one before them ended.
    assert_eq!(bench.sql("SELECT count(*) FROM gaps WHERE until_ns - from_ns > 60 * 1000000000"), 0);
}

#[test]
fn a_renewal_tells_of_the_lease_again_and_its_own_end_is_no_longer_held() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let (mut bench, address) = ended_unseen();
    bench.observe(&HOLD).kill().unwrap();
    let last = bench.observe(&HOLD);
    let mut client = bench.client(1);
    // The server remembers whose it was.
    assert_eq!(client.bind().unwrap().yiaddr.to_string(), address);
    // Kea calls a lease that is offered again renewed, and so once more when it is requested.
    let again = [COMMITTED, RENEW, RENEW, COMMITTED].map(|word| (word, &*address));
    assert_eq!(story(&bench.wait_for(4)), again);
    let told = bench.wait_for(5);
    last.stop().unwrap();
    assert_eq!((bench.told().len(), &*told[4].word), (5, EXPIRE));
    let after =
        bench.sql(EXPIRED) - bench.sql("SELECT max(at_ns) FROM outbox WHERE word = 'leases4_committed'");
    let seconds = after / 1_000_000_000;
    assert!((i64::from(LIFETIME) - 1..=i64::from(LIFETIME)).contains(&seconds), "{seconds}");
}
