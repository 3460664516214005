//! Capture files of any kind: every record before the damage, one error, the end; and a replay of them accounts for each
//! frame.

use std::io::Read;
use std::sync::Arc;

use dhcp_observer::capture::pcap::Reader;
use dhcp_observer::config::ServerConfig;
use dhcp_observer::drive::Driver;
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::network::{Kind, Options};
use dhcp_observer::tracker::{Answers, Limits};

use crate::rendered;

/// Gives few octets at a time, as pipes do.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (now, later) = self.0.split_at(self.0.len().min(buffer.len()).min(37));
        buffer[..now.len()].copy_from_slice(now);
        self.0 = later;
        Ok(now.len())
    }
}

/// One file.
pub fn run(file: &[u8]) {
    let Ok(mut reader) = Reader::new(file) else {
        assert!(Reader::new(Drops(file)).is_err());
        return;
    };
    let mut slowly = Reader::new(Drops(file)).expect("the same bytes");
    let mut driver =
        Driver::new(Arc::new(ServerConfig::default()), Answers::Both, Limits { leases: 64, exchanges: 64 });
    driver.set_network_events(Options { kinds: Kind::ALL.into_iter().collect(), ..Options::default() });
    driver.set_taps(2);
    let mut records = 0;
    let mut latest = Timestamp::EPOCH;
    loop {
        let (record, again) = (reader.next_record(), slowly.next_record());
        let record = match (record, again) {
            (Ok(Some(record)), Ok(Some(again))) => {
                assert_eq!((record.at, record.bytes), (again.at, again.bytes), "however it is read");
                assert_eq!((record.link_type, record.direction), (again.link_type, again.direction));
                record
            }
            (Ok(None), Ok(None)) => break,
            (Err(damage), Err(again)) => {
                let (damage, again) = (damage.to_string(), again.to_string());
                assert_eq!(damage, again);
                assert!(!damage.is_empty() && !damage.contains('\n'));
                assert!(matches!(reader.next_record(), Ok(None)), "after an error there is only the end");
                break;
            }
            (record, again) => panic!("{record:?} and slowly {again:?}"),
        };
        records += 1;
        assert!(record.bytes.len() <= file.len() && record.bytes.len() <= record.wire_length);
        match record.frame(None) {
            Ok(frame) => driver.handle_frame(&frame, |event| {
                assert!(event.at >= latest, "events come in order");
                latest = event.at;
                rendered::check(&event);
            }),
            Err(_) => driver.skip_unsupported_link(),
        }
    }
    assert_eq!(reader.counts().records, records);
    let skipped: u64 = driver.skipped().map(|(_, count)| count).sum();
    assert_eq!(driver.totals().handled + skipped, records, "every frame is handled or skipped");
    driver.finish(|event| rendered::check(&event));
}
