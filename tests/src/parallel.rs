//! Many cases side by side in one test, because they mostly wait: for timers of clients, for the ends of leases.

use anyhow::Result;

/// A name and what is to be run under it.
pub type Case = (&'static str, Box<dyn FnOnce() + Send>);

/// Runs all cases at once, each on a thread of its name, and panics with the names of those that failed, which have said
/// why. `DHCP_OBSERVER_CASE` picks the cases whose names contain it.
pub fn all(cases: Vec<Case>) {
    // Built before the clock of any case runs.
    crate::observer::binary().unwrap_or_else(|error| panic!("{error:#}"));
    let wanted = std::env::var("DHCP_OBSERVER_CASE").unwrap_or_default();
    let start = |(name, case): Case| -> Result<_> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(case)?;
        Ok((name, thread))
    };
    let running: Vec<_> = cases
        .into_iter()
        .filter(|(name, _)| name.contains(&wanted))
        .map(start)
        .collect::<Result<_>>()
        .unwrap_or_else(|error| panic!("{error:#}"));
    let failed: Vec<&str> =
        running.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect();
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}
