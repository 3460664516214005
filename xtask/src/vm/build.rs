//! The programs of this workspace that run inside the machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command;

/// Builds these test programs, and the binaries that cargo builds for them. Returns all with their names.
pub fn programs(root: &Path, tests: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = command::cargo(root);
    // The workspace as a whole, as `cargo xtask test` has it: another selection would build everything again.
    cargo.args(["test", "--quiet", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    for test in tests {
        cargo.args(["--test", test]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo test --no-run failed: {}", output.status);
    let mut programs = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).context("cargo does not speak JSON")?;
        if let (Some(name), Some(file)) = (message["target"]["name"].as_str(), message["executable"].as_str())
        {
            programs.push((name.to_owned(), PathBuf::from(file)));
        }
    }
    for wanted in tests.iter().chain(&["dhcp-observer", "dump-hook"]) {
        ensure!(programs.iter().any(|(name, _)| name == wanted), "cargo built no {wanted}");
    }
    Ok(programs)
}
