//! Captures from all over the world: whatever is in them, a replay ends in order and accounts for every frame.
//!
//! Other people's captures are not part of the repository. They are looked for in the directory that the environment
//! variable `DHCP_OBSERVER_CAPTURES` names, else in `shared/captures` beside the repository; the recordings in
//! `tests/golden` are replayed in any case.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use observer_tests::need::skipped;
use observer_tests::observer::{Totals, binary};
use observer_tests::process::Process;
use observer_tests::scratch::Scratch;

/// How long the replay of one file may take: far more than any of them needs.
const PATIENCE: Duration = Duration::from_secs(60);

fn files_below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files_below(&entry.path(), files),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

fn check(file: &Path) -> Result<()> {
    let scratch = Scratch::new()?;
    let mut command = Command::new(binary()?);
    command.arg("replay").arg(file).args(["--invocations", "--settle", "90000"]);
    let mut process = Process::start("replay", command, scratch.path())?;
    let status = process.wait(PATIENCE)?;
    let stderr = process.stderr();
    ensure!(!stderr.contains("panicked"), "{stderr}");
    let totals = stderr.contains("totals: ").then(|| Totals::parse(&stderr)).transpose()?;
    totals.iter().try_for_each(Totals::check)?;
    match status.code() {
        Some(0) => ensure!(totals.is_some(), "no totals: {stderr}"),
        Some(1) => {
            let errors = stderr.lines().count();
            ensure!(errors == 1, "expected one line that says what is wrong: {stderr}");
        }
        _ => bail!("{status}: {stderr}"),
    }
    Ok(())
}

fn check_all(directory: &Path) {
    let mut files = Vec::new();
    files_below(directory, &mut files);
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", directory.display());
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|file| check(file).with_context(|| file.display().to_string()).err())
        .map(|error| format!("{error:#}\n"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), files.len(), wrong.concat());
}

#[test]
fn the_recordings_and_what_is_no_capture() {
    // The other files of the recordings are JSON and text, which is a polite error.
    check_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden"));
}

#[test]
fn captures_of_others() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let directory = std::env::var_os("DHCP_OBSERVER_CAPTURES").map_or_else(beside, PathBuf::from);
    if !directory.is_dir() {
        return skipped(&format!("there is no {}", directory.display()));
    }
    check_all(&directory);
}
