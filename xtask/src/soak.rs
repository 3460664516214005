//! `cargo xtask soak`: the long forms of the tests that are the better the longer they run, and one report of them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::{command, test};

/// A part: its name, the test program, and which of its tests; none means all.
struct Part {
    name: &'static str,
    program: &'static str,
    tests: &'static [&'static str],
}

const PARTS: [Part; 3] = [
    Part { name: "crash", program: "soak", tests: &["crash::"] },
    Part { name: "flood", program: "soak", tests: &["flood::", "fairness::"] },
    Part { name: "balance", program: "perfdhcp", tests: &[] },
];

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// At least so many kills.
    kills: u64,
    /// Killed for at least so many minutes.
    minutes: u64,
    /// Names of parts; none means all.
    parts: Vec<&'static str>,
}

fn parse(arguments: &[&str]) -> Result<Wanted> {
    let mut wanted = Wanted { kills: 300, minutes: 0, parts: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || -> Result<u64> {
            let text = rest.next().with_context(|| format!("{argument} needs a number"))?;
            text.parse().with_context(|| format!("{argument} {text:?} is not a number"))
        };
        match *argument {
            "--kills" => wanted.kills = number()?,
            "--minutes" => wanted.minutes = number()?,
            name => {
                let part = PARTS.iter().find(|part| part.name == name);
                let Some(part) = part else {
                    bail!("no such part: {name:?}; there are crash, flood and balance")
                };
                wanted.parts.push(part.name);
            }
        }
    }
    Ok(wanted)
}

/// Runs the parts that are named, or all, as root or through sudo, and prints what they found.
pub fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let wanted = parse(arguments)?;
    test::install_all()?;
    let directory = root.join("target");
    std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let report = directory.join("soak-report.txt");
    match std::fs::remove_file(&report) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| report.display().to_string());
        }
        _ => {}
    }
    let mut failed = String::new();
    for part in PARTS.iter().filter(|part| wanted.parts.is_empty() || wanted.parts.contains(&part.name)) {
        let mut cargo = command::cargo(root);
        cargo.args(["test", "--package", "observer-tests", "--test", part.program, "--", "--nocapture"]);
        // One after the other: each is measured.
        cargo.args(["--test-threads", "1"]).args(part.tests);
        // What a machine lacks is an error here, not a reason to skip.
        cargo.env("CI", "true").env("SOAK_REPORT", &report);
        cargo.env("SOAK_KILLS", wanted.kills.to_string()).env("SOAK_MINUTES", wanted.minutes.to_string());
        cargo.env("SOAK_FRAMES", "1000000").env("PERFDHCP_SECONDS", "30");
        test::as_root(&mut cargo)?;
        if let Err(error) = command::run(&mut cargo) {
            // Writing to a string cannot fail.
            let _ = writeln!(failed, "{}: {error:#}", part.name);
        }
    }
    let found = std::fs::read_to_string(&report).unwrap_or_default();
    println!("\n{found}\nthis report is in {}", report.display());
    ensure!(failed.is_empty(), "not all of it passed:\n{failed}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_parts_come_in_any_order() {
        let all = Wanted { kills: 300, minutes: 0, parts: Vec::new() };
        assert_eq!(parse(&[]).unwrap(), all);
        let some = Wanted { kills: 5, minutes: 2, parts: vec!["balance", "crash"] };
        assert_eq!(parse(&["balance", "--kills", "5", "crash", "--minutes", "2"]).unwrap(), some);
        for wrong in [&["--kills"][..], &["--kills", "many"], &["floods"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
