//! Debian's kernel: its package, unpacked, and the order in which its modules can be loaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{command, test};

/// The package's name is this, a number and an ending.
const PREFIX: &str = "linux-image-6.1.0-";
const SUFFIX: &str = "-amd64";

/// What of the package is unpacked; the rest is four hundred megabytes of drivers.
const MEMBERS: &[&str] = &[
    "./boot/vmlinuz-*",
    "./lib/modules/*/modules.builtin",
    "./lib/modules/*/kernel/net/*",
    "./lib/modules/*/kernel/lib/*",
    "./lib/modules/*/kernel/drivers/net/tun.ko*",
    "./lib/modules/*/kernel/drivers/net/veth.ko*",
];

/// An unpacked kernel.
pub struct Kernel {
    /// The name of its package.
    pub package: String,
    /// What qemu boots.
    pub image: PathBuf,
    /// Its modules by name.
    modules: BTreeMap<String, PathBuf>,
    /// The list of what is not a module but part of the image.
    builtin: String,
}

/// The newest 6.1 that apt knows, unpacked in a directory of its own below this one, unless it is there already.
pub fn fetch(directory: &Path) -> Result<Kernel> {
    let package = match newest()? {
        Some(package) => package,
        None => {
            update()?;
            newest()?.with_context(|| {
                format!(
                    "apt knows no {PREFIX}*{SUFFIX}; it is the kernel of Debian 12, whose sources apt needs"
                )
            })?
        }
    };
    let unpacked = directory.join(&package);
    if !unpacked.is_dir() {
        let partial = directory.join("partial");
        // What an interrupted run left.
        if partial.is_dir() {
            fs::remove_dir_all(&partial).with_context(|| partial.display().to_string())?;
        }
        fs::create_dir_all(&partial).with_context(|| partial.display().to_string())?;
        println!("downloading {package}");
        if download(&package, &partial).is_err() {
            // The lists of an old image name packages that the archive has replaced since.
            update()?;
            download(&package, &partial)?;
        }
        unpack(&only(&partial, ".deb")?, &partial)?;
        fs::rename(&partial, &unpacked).with_context(|| unpacked.display().to_string())?;
    }
    Kernel::open(package, &unpacked)
}

fn newest() -> Result<Option<String>> {
    let output =
        Command::new("apt-cache").args(["pkgnames", PREFIX]).output().context("cannot run apt-cache")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |line: &str| line.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u32>().ok();
    Ok(text.lines().filter_map(number).max().map(|number| format!("{PREFIX}{number}{SUFFIX}")))
}

fn update() -> Result<()> {
    command::run(test::privileged(test::is_root()?, "apt-get").args(["update", "-qq"]))
}

fn download(package: &str, directory: &Path) -> Result<()> {
    // As root, apt would hand the download to a user who may not write here, and complain.
    let options = ["-q", "-o", "APT::Sandbox::User=root"];
    command::run(Command::new("apt-get").args(options).args(["download", package]).current_dir(directory))
}

/// Unpacks the members that are wanted, and removes the package.
fn unpack(package: &Path, directory: &Path) -> Result<()> {
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let members = archive.stdout.take().context("dpkg-deb has no output")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--wildcards", "--directory"]).arg(directory).args(MEMBERS);
    let unpacked = command::run(tar.stdin(members));
    let read = archive.wait().context("dpkg-deb")?;
    unpacked?;
    ensure!(read.success(), "dpkg-deb failed: {read}");
    fs::remove_file(package).with_context(|| package.display().to_string())
}

/// The one file in a directory whose name contains this.
fn only(directory: &Path, part: &str) -> Result<PathBuf> {
    let wanted = |file: &PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().contains(part));
    let mut found = entries(directory)?.into_iter().filter(wanted);
    match (found.next(), found.next()) {
        (Some(file), None) => Ok(file),
        _ => bail!("{} has not exactly one {part}", directory.display()),
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

impl Kernel {
    fn open(package: String, unpacked: &Path) -> Result<Self> {
        let image = only(&unpacked.join("boot"), "vmlinuz-")?;
        let tree = only(&unpacked.join("lib/modules"), "")?;
        let builtin = tree.join("modules.builtin");
        let builtin = fs::read_to_string(&builtin).with_context(|| builtin.display().to_string())?;
        let (mut modules, mut directories) = (BTreeMap::new(), vec![tree.join("kernel")]);
        while let Some(directory) = directories.pop() {
            for path in entries(&directory)? {
                if path.is_dir() {
                    directories.push(path);
                } else if let Some(name) = path.file_name().and_then(|name| name.to_str()?.split_once(".ko"))
                {
                    modules.insert(name.0.to_owned(), path);
                }
            }
        }
        Ok(Self { package, image, modules, builtin })
    }

    /// The files of these modules and of all that they depend on, in an order in which each finds what it needs.
    pub fn modules(&self, wanted: &[&str]) -> Result<Vec<PathBuf>> {
        let mut ordered = Vec::new();
        for name in wanted {
            self.after_its_dependencies(name, &mut ordered)?;
        }
        Ok(ordered)
    }

    fn after_its_dependencies(&self, name: &str, ordered: &mut Vec<PathBuf>) -> Result<()> {
        let Some(file) = self.modules.get(name) else {
            let built_in = self.builtin.lines().any(|line| line.ends_with(&format!("/{name}.ko")));
            ensure!(built_in, "{} has no module {name}", self.package);
            return Ok(());
        };
        if ordered.contains(file) {
            return Ok(());
        }
        for dependency in dependencies(&fs::read(file).with_context(|| file.display().to_string())?) {
            self.after_its_dependencies(&dependency, ordered)?;
        }
        ordered.push(file.clone());
        Ok(())
    }
}

/// What a module says that it depends on. `modules.dep` says it too, but is made when a package is installed.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let start = module.windows(KEY.len()).position(|window| window == KEY).map(|at| at + KEY.len());
    let value = start.and_then(|start| module[start..].split(|octet| *octet == 0).next()).unwrap_or_default();
    let names = value.split(|octet| *octet == b',').filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module_itself() {
        let module = |info: &str| [b"\x7fELF\0license=GPL\0", info.as_bytes(), b"\0retpoline=Y\0"].concat();
        assert_eq!(dependencies(&module("depends=mrp,garp")), ["mrp", "garp"]);
        assert!(dependencies(&module("depends=")).is_empty());
        assert!(dependencies(b"").is_empty());
    }
}
