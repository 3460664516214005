//! `cargo xtask docs`: puts what is generated from the code into the README and the scripts' guide, or says that
//! it is stale.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::command;

const BEGIN: &str = "<!-- variables: made by `cargo xtask docs` -->\n";
const END: &str = "<!-- end of variables -->\n";

/// The files that have the table.
const FILES: [&str; 2] = ["README.md", "scripts/README.md"];

/// Writes the table of variables into the files that have it.
pub fn write(root: &Path) -> Result<()> {
    let table = table(root)?;
    for file in FILES.map(|file| root.join(file)) {
        let (text, fresh) = texts(&file, &table)?;
        if text != fresh {
            fs::write(&file, fresh).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}

/// Fails when the table in one of them is not the one that the code makes.
pub fn check(root: &Path) -> Result<()> {
    let table = table(root)?;
    for file in FILES.map(|file| root.join(file)) {
        let (text, fresh) = texts(&file, &table)?;
        ensure!(text == fresh, "{} is stale: run `cargo xtask docs` and commit the result", file.display());
    }
    Ok(())
}

/// The table as the code makes it.
fn table(root: &Path) -> Result<String> {
    let output = command::cargo(root)
        .args(["run", "--quiet", "--package", "dhcp-observer", "--", "variables"])
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("the table is not UTF-8")
}

/// A file as it is, and as it should be.
fn texts(file: &Path, table: &str) -> Result<(String, String)> {
    let name = || file.display().to_string();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", name()))?;
    let (before, rest) =
        text.split_once(BEGIN).with_context(|| format!("no line {BEGIN:?} in {}", name()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {END:?} in {}", name()))?;
    let fresh = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    Ok((text, fresh))
}
