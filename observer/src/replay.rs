//! A capture file through the same engine as live frames, on the capture's own time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::pcap::{PcapError, Reader};
use crate::config::ServerConfig;
use crate::drive::Driver;
use crate::frame::Interface;
use crate::seed::Seed;
use crate::tracker::{Answers, LeaseEvent, Limits, network};

/// How a capture is replayed.
#[derive(Clone, Debug)]
pub struct Options {
    /// What hooks see as the interface; without a name and index these variables are empty.
    pub interface: Interface,
    /// Whose answers make leases.
    pub answers: Answers,
    /// How much is kept.
    pub limits: Limits,
    /// Events that are not about leases.
    pub network: network::Options,
    /// Leases from before the capture.
    pub seed: Seed,
    /// Whether events come for messages for which no server calls a hook.
    pub tells_heard: bool,
    /// How long time runs on after the last frame, so that what is due then happens.
    pub settle: Duration,
}

/// Replays a capture file. `sink` gets every event in order.
///
/// The driver comes back with its totals. With it comes the error that ended the reading early, if one did; everything
/// before it was handled.
///
/// # Errors
///
/// When the file cannot be opened or is no capture at all.
pub fn replay(
    path: &Path,
    config: Arc<ServerConfig>,
    options: &Options,
    mut sink: impl FnMut(LeaseEvent),
) -> Result<(Driver, Option<PcapError>), PcapError> {
    let mut reader = Reader::open(path)?;
    let mut driver = Driver::new(config, options.answers, options.limits);
    driver.set_network_events(options.network);
    driver.tell_heard(options.tells_heard);
    driver.seed(options.seed.leases4.iter().cloned(), options.seed.leases6.iter().cloned());
    driver.set_interface(Arc::new(options.interface.clone()));
    if reader.several_taps() {
        driver.set_taps(2);
    }
    let damage = loop {
        match reader.next_record() {
            Ok(Some(record)) => match record.frame(None) {
                Ok(frame) => driver.handle_frame(&frame, &mut sink),
                Err(_unsupported) => driver.skip_unsupported_link(),
            },
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    driver.handle_time(driver.now() + options.settle, &mut sink);
    driver.finish(&mut sink);
    Ok((driver, damage))
}
