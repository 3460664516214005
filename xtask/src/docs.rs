//! `cargo xtask docs`: puts what is generated from the code into the README, or says that it is stale.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::command;

const BEGIN: &str = "<!-- variables: made by `cargo xtask docs` -->\n";
const END: &str = "<!-- end of variables -->\n";

/// Writes the table of variables into the README.
pub fn write(root: &Path) -> Result<()> {
    let readme = root.join("README.md");
    let (text, fresh) = texts(root, &readme)?;
    if text != fresh {
        fs::write(&readme, fresh).with_context(|| format!("cannot write {}", readme.display()))?;
    }
    Ok(())
}

/// Fails when the table in the README is not the one that the code makes.
pub fn check(root: &Path) -> Result<()> {
    let readme = root.join("README.md");
    let (text, fresh) = texts(root, &readme)?;
    ensure!(text == fresh, "{} is stale: run `cargo xtask docs` and commit the result", readme.display());
    Ok(())
}

/// The README as it is, and as it should be.
fn texts(root: &Path, readme: &Path) -> Result<(String, String)> {
    let text = fs::read_to_string(readme).with_context(|| format!("cannot read {}", readme.display()))?;
    let (before, rest) =
        text.split_once(BEGIN).with_context(|| format!("no line {BEGIN:?} in the README"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {END:?} in the README"))?;
    let output = command::cargo(root)
        .args(["run", "--quiet", "--package", "dhcp-observer", "--", "variables"])
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).context("the table is not UTF-8")?;
    let fresh = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    Ok((text, fresh))
}
