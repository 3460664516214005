//! The one contract by which the live daemon and replay feed the core, so that both tell the same story.
//!
//! Before a frame, every deadline at or before its stamp fires. After every change, events are drained to the end. Stamps
//! never run back: one that does is moved up to the one before, and counted.

mod census;

use std::net::Ipv4Addr;
use std::sync::Arc;

pub use census::Census;

use crate::config::ServerConfig;
use crate::dhcpv4;
use crate::dhcpv6;
use crate::dissect::{
    Datagram, Dissector, DuplicateCounts, DuplicateLimits, Duplicates, FragmentCounts, FragmentLimits,
    FragmentsWaiting,
};
use crate::frame::{Frame, Interface};
use crate::time::Timestamp;
use crate::tracker::network::{self, Watch};
use crate::tracker::{
    Answers, Counters, Lease4, Lease6, LeaseChange, LeaseEvent, Limits, Observed, Observed4, Observed6,
    Tracker,
};

/// From frames and the passing of time to lease events.
#[derive(Debug)]
pub struct Driver {
    dissector: Dissector,
    duplicates: Duplicates,
    tracker: Tracker,
    /// What is seen beside leases, where somebody wants to know.
    watch: Option<Box<Watch>>,
    answers: Answers,
    now: Timestamp,
    interface: Option<Arc<Interface>>,
    totals: Totals,
    census: Census,
}

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Frames that were read.
    pub frames: u64,
    /// Frames whose message reached the tracker.
    pub handled: u64,
    /// Frames that hold the same bytes as one just seen on another interface.
    pub duplicates: u64,
    /// Frames whose stamp was earlier than the one before.
    pub stamps_run_back: u64,
}

/// The UDP ports of DHCPv6 (RFC 8415 section 7.2).
const DHCPV6_PORTS: [u16; 2] = [546, 547];

impl Driver {
    /// A driver that has seen nothing.
    pub fn new(config: Arc<ServerConfig>, answers: Answers, limits: Limits) -> Self {
        Self {
            dissector: Dissector::new(FragmentLimits::default()),
            duplicates: Duplicates::new(1, DuplicateLimits::default()),
            tracker: Tracker::new(config, answers, limits),
            watch: None,
            answers,
            now: Timestamp::EPOCH,
            interface: None,
            totals: Totals::default(),
            census: Census::default(),
        }
    }

    /// Has events come out that are not about leases. Without kinds there are none, and nothing is watched.
    pub fn set_network_events(&mut self, options: network::Options) {
        let watch = || Box::new(Watch::new(options, self.answers));
        self.watch = (!options.kinds.is_empty()).then(watch);
    }

    /// Has events come out for messages for which no server calls a hook, as dialects want that follow the client.
    pub fn tell_heard(&mut self, tells_heard: bool) {
        self.tracker.tell_heard(tells_heard);
    }

    /// Bounds how many fragmented datagrams are put together at a time; what is being put together now is given up.
    pub fn set_fragment_limit(&mut self, datagrams: usize) {
        self.dissector = Dissector::new(FragmentLimits { datagrams, ..FragmentLimits::default() });
    }

    /// Says on how many interfaces frames are seen. With one there can be no duplicates, and none are looked for.
    pub fn set_taps(&mut self, taps: usize) {
        self.duplicates.set_taps(taps);
    }

    /// Has hooks see this interface in place of the one on which a frame was captured.
    pub fn set_interface(&mut self, interface: Arc<Interface>) {
        self.interface = Some(interface);
    }

    /// Counts a record of a capture file that could not become a frame because its link type is not supported.
    pub fn skip_unsupported_link(&mut self) {
        self.totals.frames += 1;
        self.dissector.skip_unsupported_link();
    }

    /// Puts in leases that are known from elsewhere, ahead of every frame. Those that are over by then end when time first
    /// passes: before the first frame, or with [`Driver::handle_time`].
    pub fn seed(
        &mut self,
        leases4: impl IntoIterator<Item = Lease4>,
        leases6: impl IntoIterator<Item = Lease6>,
    ) {
        self.tracker.seed(leases4, leases6);
    }

    /// Goes on where an earlier life was, see [`Tracker::resume`].
    pub fn resume(&mut self, latest: Timestamp, servers4: impl IntoIterator<Item = Ipv4Addr>) {
        // Whoever stores how far we are before the first frame comes must not hear that nothing has happened yet.
        self.now = self.now.max(latest);
        self.tracker.resume(latest, servers4);
    }

    /// Has changes of leases noted, or not any more, see [`Tracker::record_changes`].
    pub fn record_changes(&mut self, records: bool) {
        self.tracker.record_changes(records);
    }

    /// The next change of a lease. Call until `None` after each frame and each passing of time.
    pub fn poll_change(&mut self) -> Option<LeaseChange> {
        self.tracker.poll_change()
    }

    /// The tracker, for looking.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Takes in one frame. `sink` gets the events of the deadlines before it, then those of the frame.
    pub fn handle_frame(&mut self, frame: &Frame<'_>, mut sink: impl FnMut(LeaseEvent)) {
        self.totals.frames += 1;
        let at = if frame.at < self.now {
            self.totals.stamps_run_back += 1;
            self.now
        } else {
            frame.at
        };
        self.handle_time(at, &mut sink);
        let mut datagram = match self.dissector.dissect(&Frame { at, ..frame.clone() }) {
            Ok(datagram) => datagram,
            Err(_counted) => return,
        };
        if self.duplicates.is_duplicate(&datagram) {
            self.totals.duplicates += 1;
            return;
        }
        if let Some(interface) = &self.interface {
            datagram.interface = Arc::clone(interface);
        }
        self.totals.handled += 1;
        let observed = decode(datagram);
        self.census.message(&observed);
        if let Some(watch) = &mut self.watch {
            // It wants to know how things stood before the message.
            watch.handle_message(at, &observed, &self.tracker);
        }
        self.tracker.handle_message(at, observed);
        self.drain(&mut sink);
    }

    /// Lets every deadline at or before `now` happen.
    pub fn handle_time(&mut self, now: Timestamp, mut sink: impl FnMut(LeaseEvent)) {
        if now < self.now {
            return;
        }
        self.now = now;
        // One deadline at a time: after a long sleep millions of leases may have ended, and their events are not to be in
        // memory at once.
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            self.tracker.handle_timeout(due);
            if let Some(watch) = &mut self.watch {
                watch.handle_timeout(due);
            }
            self.drain(&mut sink);
        }
    }

    /// Says that nothing more will come.
    pub fn finish(&mut self, mut sink: impl FnMut(LeaseEvent)) {
        self.tracker.handle_end();
        self.drain(&mut sink);
    }

    /// Frames that were not handled, by reason: with the handled ones they are all that were read.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let reasons = self.dissector.skips().iter().map(|(reason, count)| (reason.name(), count));
        reasons.chain([("duplicate", self.totals.duplicates)]).filter(|(_, count)| *count > 0)
    }

    fn drain(&mut self, sink: &mut impl FnMut(LeaseEvent)) {
        while let Some(event) = self.tracker.poll_event() {
            self.census.event(&event);
            sink(event);
        }
        while let Some(event) = self.watch.as_mut().and_then(|watch| watch.poll_event()) {
            self.census.event(&event);
            sink(event);
        }
    }

    /// The next moment at which [`Driver::handle_time`] should be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let watch = self.watch.as_ref().and_then(|watch| watch.poll_timeout());
        [self.tracker.poll_timeout(), watch].into_iter().flatten().min()
    }

    /// The time of the latest frame or deadline.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What became of the frames.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Everything that was counted beside frames, with its name.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let (counters, network, fragments) = (self.counters(), self.network_counters(), self.fragments());
        vec![
            ("messages4", counters.messages4),
            ("messages6", counters.messages6),
            ("events", counters.events),
            ("leases4", counters.leases4),
            ("leases6", counters.leases6),
            ("malformed", counters.malformed),
            ("foreign_answers", counters.foreign_answers),
            ("foreign_queries", counters.foreign_queries),
            ("relayed_copies", counters.relayed_copies),
            ("relayed_by_clients", counters.relayed_by_clients),
            ("unchosen_answers", counters.unchosen_answers),
            ("inferred_answers", counters.inferred_answers),
            ("unmatched_answers", counters.unmatched_answers),
            ("other_messages", counters.other_messages),
            ("exchanges_evicted", counters.exchanges_evicted),
            ("held_over_limit", counters.held_over_limit),
            ("legs_evicted", counters.legs_evicted),
            ("leases_over_limit", counters.leases_over_limit),
            ("leases_left_out", counters.leases_left_out),
            ("leases_repeated", counters.leases_repeated),
            ("servers_forgotten", counters.servers_forgotten),
            ("stamps_run_back", self.totals.stamps_run_back),
            ("network_events", network.events),
            ("network_events_left_out", network.left_out),
            ("network_evicted", network.evicted),
            ("fragmented_expired", fragments.expired),
            ("fragmented_evicted", fragments.evicted),
            ("fragmented_overlapped", fragments.overlapped),
            ("duplicates_evicted", self.duplicates().evicted),
        ]
    }

    /// What passed, by kind.
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// What was counted beside leases; nothing where nothing is watched.
    pub fn network_counters(&self) -> network::Counters {
        self.watch.as_ref().map(|watch| watch.counters()).unwrap_or_default()
    }

    /// What became of fragmented datagrams.
    pub fn fragments(&self) -> FragmentCounts {
        self.dissector.fragments()
    }

    /// The unfinished datagrams of now.
    pub fn fragments_waiting(&self) -> FragmentsWaiting {
        self.dissector.fragments_waiting()
    }

    /// What became of the memory for frames that further taps show.
    pub fn duplicates(&self) -> DuplicateCounts {
        self.duplicates.counts()
    }

    /// What the tracker counted.
    pub fn counters(&self) -> Counters {
        self.tracker.counters()
    }
}

/// Reads the payload by the protocol of its port.
fn decode(datagram: Datagram<'_>) -> Observed {
    let is_v6 =
        [datagram.source.port(), datagram.destination.port()].iter().any(|port| DHCPV6_PORTS.contains(port));
    macro_rules! observed {
        ($kind:ident, $message:expr) => {
            $kind {
                interface: datagram.interface,
                direction: datagram.direction,
                vlans: datagram.vlans,
                source_mac: datagram.source_mac,
                destination_mac: datagram.destination_mac,
                source: datagram.source,
                destination: datagram.destination,
                message: $message,
            }
        };
    }
    if is_v6 {
        Observed::V6(Arc::new(observed!(Observed6, dhcpv6::parse(&datagram.payload))))
    } else {
        Observed::V4(Arc::new(observed!(Observed4, dhcpv4::parse(&datagram.payload))))
    }
}
