//! `cargo xtask bench`: builds with optimisation what is measured and what measures it, and runs it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// Runs the parts that are named, or all.
pub fn run(root: &Path, parts: &[&str]) -> Result<()> {
    // `cargo run` of the bench would not build the observer, which is a package of its own.
    let packages = ["--quiet", "--release", "--package", "dhcp-observer", "--package", "observer-bench"];
    command::run(command::cargo(root).arg("build").args(packages))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |given| root.join(given));
    let release = std::path::absolute(target.join("release")).context("the target directory has no path")?;
    command::run(
        Command::new(release.join("observer-bench"))
            .args(parts)
            .env("DHCP_OBSERVER_BIN", release.join("dhcp-observer")),
    )
}
