//! `conformance [FILTER]` plays the scenarios whose names contain FILTER; `conformance --list` names them;
//! `conformance --calls SCENARIO` shows what both programs called, `conformance --record NAME SCENARIO` makes a scenario
//! a recording. See `cargo xtask conformance`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use observer_tests::conformance::report::{self, Totals};
use observer_tests::conformance::{fleet, reasons, record, run, scenarios};

/// How many scenarios run at a time.
const SIDE_BY_SIDE: usize = 6;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match obey(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(arguments: &[&str]) -> Result<ExitCode> {
    match arguments {
        [] => play(""),
        ["--list"] => {
            scenarios::all().iter().for_each(|scenario| println!("{}", scenario.name));
            Ok(ExitCode::SUCCESS)
        }
        ["--reasons"] => {
            print!("{}", reasons::markdown());
            Ok(ExitCode::SUCCESS)
        }
        ["--calls", scenario] => {
            let all = scenarios::all();
            let found = all.iter().find(|candidate| candidate.name == *scenario);
            let story = run::play(found.with_context(|| format!("no scenario {scenario}; see --list"))?)?;
            print!("Kea\n{}observer\n{}", report::calls(&story.real), report::calls(&story.observed));
            Ok(ExitCode::SUCCESS)
        }
        ["--record", name, scenario] => {
            let all = scenarios::all();
            let found = all.iter().find(|candidate| candidate.name == *scenario);
            record::record(name, found.with_context(|| format!("no scenario {scenario}; see --list"))?)?;
            Ok(ExitCode::SUCCESS)
        }
        [filter] if !filter.starts_with('-') => play(filter),
        _ => bail!("usage: conformance [FILTER | --list | --reasons | --calls SCENARIO | --record NAME SCENARIO]"),
    }
}

fn play(filter: &str) -> Result<ExitCode> {
    let chosen: Vec<_> =
        scenarios::all().into_iter().filter(|scenario| scenario.name.contains(filter)).collect();
    if chosen.is_empty() {
        bail!("no scenario has {filter:?} in its name");
    }
    let played = fleet::play(&chosen, SIDE_BY_SIDE, |played| print!("{}", report::scenario(played)))?;
    let totals = Totals::of(&played);
    print!("{}", totals.render());
    let complete = totals.skipped == 0 || std::env::var_os("CI").is_none();
    Ok(if totals.is_conformant() && complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
