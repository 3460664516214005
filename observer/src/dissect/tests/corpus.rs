//! Every capture at hand: nothing panics, and what goes in comes out, handed out or skipped.
//!
//! The captures are other people's and no part of the project: the test looks for them in `$OBSERVER_SHARED`, or in
//! `shared` beside the workspace, and is skipped where they are not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::capture::pcap::Reader;

fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("OBSERVER_SHARED").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            captures(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| ["pcap", "pcapng", "cap"].iter().any(|name| *name == extension))
        {
            found.push(path);
        }
    }
}

/// The columns "packets" and "DHCP frames" of the captures' index, by file.
fn index(folder: &Path) -> BTreeMap<String, (u64, u64)> {
    let text = std::fs::read_to_string(folder.join("captures/INDEX.md")).unwrap_or_default();
    let row = |line: &str| {
        let cells: Vec<_> = line.split(" | ").collect();
        let name = cells.first()?.strip_prefix("| `")?.strip_suffix('`')?.to_owned();
        Some((name, (cells.get(4)?.parse().ok()?, cells.get(5)?.parse().ok()?)))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn the_totals_of_every_capture_balance() {
    let Some(folder) = shared() else {
        eprintln!("skipped: no captures in $OBSERVER_SHARED or in `shared` beside the workspace");
        return;
    };
    let index = index(&folder);
    let mut files = Vec::new();
    captures(&folder, &mut files);
    files.sort();
    for path in files {
        let name = path.strip_prefix(folder.join("captures")).unwrap_or(&path).display().to_string();
        let mut reader = Reader::open(&path).unwrap();
        let mut dissector = Dissector::default();
        let mut duplicates = Duplicates::new(2, DuplicateLimits::default());
        let (mut doubles, mut truncated) = (0, 0);
        let end = loop {
            match reader.next_record() {
                Ok(Some(record)) => match record.frame(None) {
                    Ok(frame) => {
                        if let Ok(datagram) = dissector.dissect(&frame) {
                            doubles += u64::from(duplicates.is_duplicate(&datagram));
                            truncated += u64::from(datagram.truncated);
                        }
                    }
                    Err(_) => dissector.skip_unsupported_link(),
                },
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        let counts = reader.counts();
        assert_eq!(counts.records, dissector.frames(), "{name}");
        assert_eq!(counts.unsupported_link, dissector.skips().of(Skip::UnsupportedLink), "{name}");
        let expected = index.get(&name).copied();
        if expected.is_some_and(|known| known != (counts.records, dissector.datagrams())) || end.is_some() {
            let skips: Vec<_> = dissector.skips().iter().filter(|(_, count)| *count > 0).collect();
            println!(
                "{name}: {} records, {} datagrams ({truncated} truncated, {doubles} doubles), index says {expected:?}; \
                 {skips:?} {:?} {end:?}",
                counts.records,
                dissector.datagrams(),
                dissector.fragments()
            );
        }
    }
}
