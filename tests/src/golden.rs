//! The recordings of real programs in `tests/golden`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::call::{Call, read_calls};
use crate::capture::{Frame, read_frames};

/// The names of the recordings of Kea.
pub const KEA: [&str; 17] = [
    "kea-v4-agent-in-pieces",
    "kea-v4-bootp",
    "kea-v4-cache",
    "kea-v4-decline",
    "kea-v4-dora",
    "kea-v4-expire",
    "kea-v4-hasty",
    "kea-v4-relay",
    "kea-v4-renew",
    "kea-v6-decline",
    "kea-v6-decline-some",
    "kea-v6-heir",
    "kea-v6-name-made-up",
    "kea-v6-rapid",
    "kea-v6-relay",
    "kea-v6-renew",
    "kea-v6-sarr",
];

/// The names of the recordings of dhclient.
pub const DHCLIENT: [&str; 5] =
    ["dhclient4", "dhclient4-options", "dhclient4-refused", "dhclient6", "dhclient6-options"];

/// One recording: what was on the wire, and how the real program called its script.
#[derive(Clone, Debug)]
pub struct Recording {
    directory: PathBuf,
}

impl Recording {
    /// The recording of this name.
    pub fn named(name: &str) -> Self {
        Self { directory: Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name) }
    }

    /// The capture file.
    pub fn capture(&self) -> PathBuf {
        self.directory.join("capture.pcap")
    }

    /// The configuration that Kea ran with.
    pub fn kea_config(&self) -> PathBuf {
        self.directory.join("kea.conf")
    }

    /// The frames of the capture.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        read_frames(&self.capture())
    }

    /// The calls of the real program's script.
    pub fn calls(&self) -> Result<Vec<Call>> {
        let file = self.directory.join("invocations.jsonl");
        let calls = read_calls(&file)?;
        ensure!(!calls.is_empty(), "no calls in {}", file.display());
        Ok(calls)
    }

    /// When its first frame passed, in seconds since the Unix epoch.
    pub fn start(&self) -> Result<f64> {
        Ok(self.frames()?.first().context("the capture is empty")?.at)
    }
}
