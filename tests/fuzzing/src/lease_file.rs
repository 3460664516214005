//! Lease files of any format and none: what is understood becomes leases, the rest is named; all of it can be put into a
//! tracker and ends there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dhcp_observer::config::ServerConfig;
use dhcp_observer::dhcpv6::IaKind;
use dhcp_observer::seed;
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{Answers, Limits, Tracker};

use crate::rendered;

/// One file.
pub fn run(text: &[u8]) {
    let written = Timestamp::from_seconds(1_700_000_000);
    let seed = match seed::parse(Path::new("leases"), text.into(), written) {
        Ok(seed) => seed,
        Err(error) => {
            let error = error.to_string();
            assert!(!error.is_empty(), "{error:?}");
            return;
        }
    };
    let lines = text.split(|octet| *octet == b'\n').count();
    for skipped in &seed.skipped {
        assert!((1..=lines).contains(&skipped.line) && !skipped.why.is_empty(), "{skipped}");
    }
    let addresses: BTreeSet<_> = seed.leases4.iter().map(|lease| lease.address).collect();
    assert_eq!(addresses.len(), seed.leases4.len(), "an address twice");
    let key = |kind, address| (kind == IaKind::PrefixDelegation, address);
    let addresses: BTreeSet<_> = seed.leases6.iter().map(|lease| key(lease.kind, lease.address)).collect();
    assert_eq!(addresses.len(), seed.leases6.len(), "an address twice");

    let mut tracker =
        Tracker::new(Arc::new(ServerConfig::default()), Answers::Out, Limits { leases: 16, exchanges: 16 });
    let count = (seed.leases4.len() + seed.leases6.len()) as u64;
    tracker.seed(seed.leases4, seed.leases6);
    let counters = tracker.counters();
    assert_eq!(counters.leases4 + counters.leases6 + counters.leases_over_limit, count);
    let mut latest = Timestamp::EPOCH;
    for now in [written, written + Duration::from_secs(10_000_000), Timestamp::MAX - Duration::from_nanos(1)]
    {
        tracker.handle_timeout(now);
        assert!(tracker.poll_timeout().is_none_or(|due| due > now));
        while let Some(event) = tracker.poll_event() {
            assert!(event.at >= latest, "events come in order");
            latest = event.at;
            rendered::check(&event);
        }
    }
}
