//! Figures of dhcp-observer on this machine, every one beside what it is to be compared with.
//!
//! `cargo xtask bench` runs all of it; `cargo xtask bench filter throughput memory stream latency store` runs the parts that
//! are named.
//! What needs root or a program that is not installed is skipped with the reason. Nothing here decides whether a figure
//! is good: it prints what was measured, the aim, and the machine, load included, that it was measured on.

mod filter;
mod latency;
mod machine;
mod memory;
mod store;
mod stream;
mod throughput;
mod traffic;

use std::process::ExitCode;

use anyhow::{Result, bail};
use traffic::Family;

type Part = (&'static str, fn() -> Result<()>);

const PARTS: [Part; 6] = [
    ("filter", filter::measure),
    ("throughput", throughput::measure),
    ("memory", memory::measure),
    ("stream", stream::measure),
    ("latency", latency::measure),
    ("store", store::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        // A process of its own, because a peak of memory is that of a process.
        ["hold", family, leases] => return memory::hold(Family::named(family)?, leases.parse()?),
        // One pass and nothing else, for a profiler.
        ["pass", clients] => return throughput::one_pass(clients.parse()?),
        _ => {}
    }
    if let Some(unknown) = arguments.iter().find(|part| PARTS.iter().all(|(name, _)| name != *part)) {
        bail!("there is no part {unknown:?}; there are {}", PARTS.map(|(name, _)| name).join(", "));
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.contains(&part);
    machine::describe();
    for (part, measure) in PARTS {
        if wanted(part) {
            println!("\n{part}");
            if let Err(reason) = measure() {
                println!("  skipped: {reason:#}");
            }
        }
    }
    println!("\nload at the end: {}", machine::load());
    Ok(())
}
