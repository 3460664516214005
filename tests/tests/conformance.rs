//! Every scenario beside the real Kea: the observer's calls are Kea's, variable by variable, but for what has a reason
//! that is known and written down.

use observer_tests::conformance::report::{self, Totals};
use observer_tests::conformance::{fleet, reasons, scenarios};
use observer_tests::need::{Need, skipped};
use observer_tests::require;

/// How many scenarios run at a time. Most of each is waiting for whole seconds to pass.
const SIDE_BY_SIDE: usize = 6;

#[test]
fn the_observer_says_what_kea_says() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("kea-dhcp6"), Need::Program("tc"));
    // Built before any clock runs.
    observer_tests::observer::binary().unwrap();
    let played = fleet::play(&scenarios::all(), SIDE_BY_SIDE, |_| ()).unwrap();
    let totals = Totals::of(&played);
    let report: String = played.iter().map(report::scenario).filter(|text| !text.starts_with("ok")).collect();
    println!("{report}{}", totals.render());
    assert!(totals.is_conformant(), "see the report above");
    assert!(totals.skipped == 0 || std::env::var_os("CI").is_none(), "CI must be able to run every scenario");
    if totals.skipped > 0 {
        skipped(&format!("{} scenarios, whose programs are missing", totals.skipped));
    }
}

#[test]
fn the_readme_has_the_reasons() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let table = reasons::markdown();
    assert!(readme.contains(&table), "put this into README.md, section Limits:\n{table}");
}
