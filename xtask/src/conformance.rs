//! `cargo xtask conformance` and `cargo xtask record`: the observer beside the real Kea.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{command, test};

/// Plays the scenarios whose names contain the filter (all without one), and reports every difference. The programs
/// that are missing are not installed: scenarios that need them are skipped, which fails where `CI` is set.
pub fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut program = test::privileged(test::is_root()?, build(root)?);
    program.args(arguments).current_dir(root);
    command::run(&mut program)
}

/// Plays one scenario and writes it to `tests/golden/<name>`.
pub fn record(root: &Path, name: &str, scenario: &str) -> Result<()> {
    run(root, &["--record", name, scenario])
}

/// Builds the observer and the program that plays the scenarios, in one profile.
///
/// The player finds the observer beside itself, so what runs is what is in the tree.
fn build(root: &Path) -> Result<PathBuf> {
    let mut cargo = command::cargo(root);
    cargo.args(["build", "--quiet", "--package", "dhcp-observer", "--package", "observer-tests", "--bins"]);
    command::run(&mut cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(root.join(target).join("debug").join("conformance"))
}
