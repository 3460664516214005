//! The peak of memory with a million live leases.

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dhcp_observer::config::{KeaVersion, ServerConfig};
use dhcp_observer::dialect::kea;
use dhcp_observer::drive::Driver;
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{Answers, Limits};

use crate::traffic::{Family, Traffic};

const LEASES: u32 = 1_000_000;

/// Prints the figures; each is that of a process of its own.
pub fn measure() -> Result<()> {
    for (family, aim) in [(Family::V4, "aim: 250 MB"), (Family::V6, "no aim")] {
        let peak = |leases: u32| -> Result<(u64, String)> {
            let own = std::env::current_exe().context("current_exe")?;
            let output = Command::new(own).args(["hold", family.name(), &leases.to_string()]).output()?;
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let (kilobytes, counted) = text.split_once(' ').context("no figures")?;
            Ok((kilobytes.parse()?, counted.to_owned()))
        };
        // What the generator and the program itself take is in both.
        let (base, _) = peak(1)?;
        let (peak, counted) = peak(LEASES)?;
        println!(
            "  {}: {} MB at the peak with {LEASES} live leases ({} octets a lease; {counted}); {} MB with one; {aim}",
            family.name(),
            peak * 1024 / 1_000_000,
            (peak - base) * 1024 / u64::from(LEASES),
            base * 1024 / 1_000_000,
        );
    }
    Ok(())
}

/// Lets so many clients get a lease and prints the peak of this process in kilobytes, and what the tracker counted.
pub fn hold(family: Family, leases: u32) -> Result<()> {
    let mut driver = Driver::new(Arc::new(ServerConfig::default()), Answers::Both, Limits::default());
    let interface = Arc::new(Interface { index: Some(2), name: "eth0".to_owned() });
    // Not `Traffic::arriving(leases)` for all at once: its queue of a million clients would be counted too.
    let rounds = leases.div_ceil(1_000);
    let mut now = 0;
    for round in 0..rounds {
        let first = round * 1_000;
        for (at, frame) in Traffic::arriving(first..leases.min(first + 1_000), family) {
            // All come within half an hour, as they would after a power cut. The last of one round overlap the next.
            now = now.max(at);
            let frame = Frame {
                at: Timestamp::from_nanos(i64::try_from(now)?),
                interface: &interface,
                direction: Direction::Unknown,
                link_type: LinkType::Ethernet,
                metadata_tag: None,
                bytes: &frame,
                wire_length: frame.len(),
            };
            driver.handle_frame(&frame, |event| {
                black_box(kea::invocation(&event, KeaVersion::default()));
            });
        }
    }
    let counters = driver.counters();
    let held = counters.leases4 + counters.leases6;
    ensure!(held >= u64::from(leases), "only {held} leases are held: {counters:?}");
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let peak = peak.trim().trim_end_matches(" kB");
    println!("{peak} {held} held, {} questions made room", counters.exchanges_evicted);
    Ok(())
}
