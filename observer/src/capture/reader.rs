//! From records in a ring to frames, in the order of time.

use std::collections::VecDeque;
use std::sync::Arc;

use aya::maps::{MapData, RingBuf};
use dhcp_observer_ebpf::Record;

use crate::clock::Clock;
use crate::frame::{Direction, Frame, Interface, LinkType, MetadataTag};
use crate::time::Timestamp;

/// What turns records into frames.
pub struct Reader {
    /// Which interfaces records may name.
    pub origins: Origins,
    /// What stamps are made with.
    pub clock: Clock,
    latest: Timestamp,
    /// Frames whose stamp was moved up.
    pub clamped: u64,
}

impl Reader {
    /// One that has read nothing.
    pub fn new(clock: Clock) -> Self {
        Self { origins: Origins::default(), clock, latest: Timestamp::from_nanos(i64::MIN), clamped: 0 }
    }

    /// Hands out at most `budget` frames of a ring, and says how many that were, with records that could not be read,
    /// which are counted in `malformed` too. The sink is told the octets of the record too.
    pub fn read(
        &mut self,
        ring: &mut RingBuf<MapData>,
        budget: usize,
        malformed: &mut u64,
        mut sink: impl FnMut(&Frame<'_>, usize),
    ) -> usize {
        let mut read = 0;
        while read < budget {
            let Some(item) = ring.next() else { break };
            read += 1;
            let Ok(record) = Record::read(&item) else {
                *malformed += 1;
                continue;
            };
            let stamp = self.clock.at_boot_nanos(record.boot_nanos);
            if stamp < self.latest {
                self.clamped += 1;
            }
            self.latest = self.latest.max(stamp);
            let frame = Frame {
                at: self.latest,
                interface: self.origins.of(record.interface_index),
                direction: match record.direction {
                    dhcp_observer_ebpf::Direction::In => Direction::In,
                    dhcp_observer_ebpf::Direction::Out => Direction::Out,
                },
                link_type: if record.raw_ip { LinkType::RawIp } else { LinkType::Ethernet },
                metadata_tag: record.vlan.map(|tag| MetadataTag { ethertype: tag.ethertype, tci: tag.tci }),
                bytes: record.bytes,
                wire_length: record.wire_length as usize,
            };
            sink(&frame, item.len());
        }
        read
    }

    /// The stamp of the record that will be read next, which stays where it is. `None` when there is none or it cannot
    /// be read.
    pub fn next_stamp(&self, ring: &mut RingBuf<MapData>) -> Option<Timestamp> {
        let item = ring.next()?;
        let stamp = Record::read(&item).ok().map(|record| self.clock.at_boot_nanos(record.boot_nanos));
        // Dropping it would take it out of the ring. It holds nothing but two references.
        std::mem::forget(item);
        stamp
    }
}

/// Which interface an index in a record means, also for a frame that is read after its interface went away.
#[derive(Default)]
pub struct Origins {
    /// The newest last.
    known: VecDeque<Arc<Interface>>,
}

impl Origins {
    /// How many are remembered: those observed and some that went. An interface that comes and goes for years must
    /// not fill the memory.
    const LIMIT: usize = 256;

    /// Remembers an interface, under its newest name.
    pub fn add(&mut self, interface: &Arc<Interface>) {
        self.known.retain(|known| known.index != interface.index);
        if self.known.len() == Self::LIMIT {
            self.known.pop_front();
        }
        self.known.push_back(Arc::clone(interface));
    }

    fn of(&mut self, index: u32) -> &Arc<Interface> {
        let place = self.known.iter().position(|known| known.index == Some(index));
        let place = place.unwrap_or_else(|| {
            // Only an interface that was pushed out can be unknown; its frames are worth more than its name.
            self.add(&Arc::new(Interface { index: Some(index), name: String::new() }));
            self.known.len() - 1
        });
        &self.known[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_known_after_it_went_until_many_others_came() {
        let mut origins = Origins::default();
        let named =
            |index: u32, name: &str| Arc::new(Interface { index: Some(index), name: name.to_owned() });
        origins.add(&named(7, "eth0"));
        origins.add(&named(8, "eth0"));
        assert_eq!(origins.of(7).name, "eth0");
        assert_eq!(**origins.of(9), Interface { index: Some(9), name: String::new() });
        origins.add(&named(7, "renamed"));
        assert_eq!(origins.of(7).name, "renamed");
        for index in 100..100 + Origins::LIMIT as u32 {
            origins.add(&named(index, "veth"));
        }
        assert_eq!(origins.of(8).name, "");
        assert_eq!(origins.known.len(), Origins::LIMIT);
    }
}
