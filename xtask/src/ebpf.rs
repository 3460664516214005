//! `cargo xtask ebpf`: builds the eBPF object, and says whether the committed one is current.
//!
//! Two toolchains can build for the target `bpfel-unknown-none`. Debian's `rustc-web` comes with a `core` that was
//! compiled for it, so it needs neither nightly nor the library's sources; elsewhere a rustup nightly compiles `core`
//! itself. Both link with bpf-linker.
//!
//! The object is not reproducible across compilers, so what is recorded beside it is the hash of what it was built
//! from, and whether that still is what is in the tree can be said without a compiler.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest, Sha256};

const PACKAGE: &str = "dhcp-observer-ebpf";
const TARGET: &str = "bpfel-unknown-none";
const OBJECT: &str = "dhcp-observer.bpf.o";

/// Builds the object and puts it, with the hash of its sources, into the package.
pub fn build(root: &Path) -> Result<()> {
    let object = package(root).join(OBJECT);
    // The hash is taken before the build: a source edited meanwhile makes the object stale, not wrongly current.
    let hash = source_hash(root)?;
    build_fresh(root, &object)?;
    let record = hash_file(root);
    fs::write(&record, format!("{hash}\n")).with_context(|| format!("cannot write {}", record.display()))
}

/// Builds the object to another place and leaves the committed one alone.
pub fn build_fresh(root: &Path, destination: &Path) -> Result<()> {
    let linker = find("bpf-linker").context(
        "bpf-linker is not installed; with LLVM 22 from your distribution (Debian: apt install llvm-22-dev clang-22 \
         zlib1g-dev libzstd-dev):\n  LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker@0.13.0 \
         --no-default-features --features llvm-22",
    )?;
    let strip = ["llvm-strip-22", "llvm-strip", "/usr/lib/llvm-22/bin/llvm-strip"]
        .iter()
        .find_map(|name| find(name))
        .context("llvm-strip is not installed (Debian: apt install llvm-22)")?;

    let target_directory = root.join("target").join("ebpf");
    let mut cargo = toolchain()?.cargo();
    cargo
        .current_dir(root)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["--package", PACKAGE, "--features", "program", "--bin", PACKAGE, "--target-dir"])
        .arg(&target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root, &linker).join("\x1f"))
        .env_remove("RUSTFLAGS")
        // bpf-linker optimises the whole program anyway; the workspace's own release profile is for the daemon.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    run(&mut cargo)?;

    let built = target_directory.join(TARGET).join("release").join(PACKAGE);
    // DWARF is 90 % of the object and nobody reads it; BTF, which the kernel and bpftool read, stays.
    run(Command::new(strip).arg("--strip-debug").arg("-o").arg(destination).arg(&built))?;
    let length =
        fs::metadata(destination).with_context(|| format!("cannot read {}", destination.display()))?.len();
    println!("{}: {length} octets", destination.display());
    Ok(())
}

/// Fails unless the committed object was built from the sources that are in the tree.
pub fn check(root: &Path) -> Result<()> {
    let record = hash_file(root);
    let object = package(root).join(OBJECT);
    ensure!(
        record.is_file(),
        "{} is missing: run `cargo xtask ebpf` and commit the result",
        record.display()
    );
    let recorded =
        fs::read_to_string(&record).with_context(|| format!("cannot read {}", record.display()))?;
    ensure!(
        object.is_file(),
        "{} is missing: run `cargo xtask ebpf` and commit the result",
        object.display()
    );
    let hash = source_hash(root)?;
    ensure!(
        recorded.trim() == hash,
        "{} is stale: it was built from sources with hash {}, the tree has {hash}; run `cargo xtask ebpf` and commit \
         the object and its .sha256",
        object.display(),
        recorded.trim(),
    );
    println!("{} is current", object.display());
    Ok(())
}

fn package(root: &Path) -> PathBuf {
    root.join("observer-ebpf")
}

fn hash_file(root: &Path) -> PathBuf {
    package(root).join(format!("{OBJECT}.sha256"))
}

/// What can compile for the target.
enum Toolchain {
    /// Debian's packages `rustc-web`, `cargo-web` and `libstd-rust-web-dev-bpf`.
    Debian,
    /// A nightly of rustup with the component `rust-src`.
    Nightly,
}

impl Toolchain {
    fn cargo(&self) -> Command {
        match self {
            Self::Debian => {
                let mut cargo = Command::new("/usr/bin/cargo");
                // aya-ebpf needs inline assembly for eBPF, which is not stable; the compiler is a stable one.
                cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Self::Nightly => {
                let mut cargo = Command::new("rustup");
                cargo.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
                cargo
            }
        }
    }
}

fn toolchain() -> Result<Toolchain> {
    // When this runs under a rustup cargo, RUSTC and friends may point at the wrong toolchain; both roads name theirs.
    if Path::new("/usr/bin/cargo").is_file() && Path::new("/usr/lib/rustlib").join(TARGET).is_dir() {
        return Ok(Toolchain::Debian);
    }
    let nightly = Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]).output();
    if let Ok(nightly) = nightly
        && nightly.status.success()
    {
        let sysroot = PathBuf::from(String::from_utf8_lossy(&nightly.stdout).trim());
        if sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
            return Ok(Toolchain::Nightly);
        }
    }
    bail!(
        "no Rust compiler for {TARGET}; either apt install rustc-web cargo-web libstd-rust-web-dev-bpf (Debian), or \
         rustup toolchain install nightly --component rust-src"
    )
}

/// The compiler's flags. Paths of this machine are cut off, so that the object does not tell where it was built.
fn flags(root: &Path, linker: &Path) -> Vec<String> {
    let mut flags = vec![
        format!("-Clinker={}", linker.display()),
        // BTF is made from debug information.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--remap-path-prefix={}=.", root.display()),
    ];
    if let Some(home) = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
    {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

fn run(command: &mut Command) -> Result<()> {
    // The cargo that runs us describes itself in the environment; another toolchain's cargo must not read that.
    for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTDOC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        command.env_remove(variable);
    }
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "{} failed: {status}", command.get_program().display());
    Ok(())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The hash of everything of ours that the object is made from: the package's manifest and sources, and the versions
/// of the aya crates that it is compiled with.
fn source_hash(root: &Path) -> Result<String> {
    let package = package(root);
    let mut files = vec![package.join("Cargo.toml")];
    collect(&package.join("src"), &mut files)?;

    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(&package).context("a source outside its package")?;
        let name: Vec<_> = name.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        feed(&mut hash, &name.join("/"), &text.replace("\r\n", "\n"));
    }
    let lock = root.join("Cargo.lock");
    let text = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    feed(&mut hash, "Cargo.lock", &aya_versions(&text));

    let mut hexadecimal = String::new();
    for octet in hash.finalize() {
        write!(hexadecimal, "{octet:02x}")?;
    }
    Ok(hexadecimal)
}

/// Adds one file so that neither its name nor its text can be taken for a part of the next.
fn feed(hash: &mut Sha256, name: &str, text: &str) {
    hash.update(format!("{name}\n{}\n", text.len()));
    hash.update(text);
}

/// The Rust files below a directory, in an order that is the same on every machine.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The aya crates among the package's dependencies as `name version` lines.
///
/// The other dependencies are procedural macros' own (syn and the like). What they make is fixed by the versions of the aya
/// crates that use them, and they change for reasons of other packages.
fn aya_versions(lock: &str) -> String {
    let packages: Vec<LockedPackage<'_>> =
        lock.split("[[package]]").skip(1).map(LockedPackage::read).collect();
    let mut wanted = vec![PACKAGE];
    let mut found = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        for package in packages.iter().filter(|package| package.name == name) {
            if found.insert((package.name, package.version)) {
                wanted.extend(&package.dependencies);
            }
        }
    }
    let aya = found.into_iter().filter(|(name, _)| name.starts_with("aya-"));
    aya.map(|(name, version)| format!("{name} {version}\n")).collect()
}

/// The three fields of a package in `Cargo.lock` that matter here.
struct LockedPackage<'a> {
    name: &'a str,
    version: &'a str,
    dependencies: Vec<&'a str>,
}

impl<'a> LockedPackage<'a> {
    fn read(text: &'a str) -> Self {
        let field = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.unwrap_or_default().trim_matches('"')
        };
        let dependencies = text.split_once("dependencies = [").map_or("", |(_, rest)| rest);
        let dependencies = dependencies.split_once(']').map_or("", |(list, _)| list);
        Self {
            name: field("name"),
            version: field("version"),
            // An entry is `name`, or `name version` where there is more than one.
            dependencies: dependencies
                .lines()
                .filter_map(|line| line.trim().trim_matches([',', '"']).split(' ').next())
                .filter(|name| !name.is_empty())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "aya-ebpf"
version = "0.2.1"
dependencies = [
 "aya-ebpf-bindings",
 "syn 2.0.1",
]

[[package]]
name = "aya-ebpf-bindings"
version = "0.2.0"

[[package]]
name = "aya-obj"
version = "0.3.0"

[[package]]
name = "dhcp-observer-ebpf"
version = "0.1.0"
dependencies = [
 "aya-ebpf",
]

[[package]]
name = "syn"
version = "2.0.1"
"#;

    #[test]
    fn only_the_aya_crates_that_the_programs_use_count() {
        let expected = "aya-ebpf 0.2.1\naya-ebpf-bindings 0.2.0\n";
        assert_eq!(aya_versions(LOCK), expected);
        assert_eq!(aya_versions(&LOCK.replace("2.0.1\"", "2.0.2\"").replace("0.3.0", "0.4.0")), expected);
        assert_ne!(aya_versions(&LOCK.replace("0.2.1", "0.2.2")), expected);
    }

    #[test]
    fn neither_line_endings_nor_the_place_change_the_hash_and_the_text_does() -> Result<()> {
        let place = std::env::temp_dir().join(format!("xtask-ebpf-{}", std::process::id()));
        let write = |name: &str, source: &str| -> Result<String> {
            let root = place.join(name);
            fs::create_dir_all(root.join("observer-ebpf/src/deep"))?;
            fs::write(root.join("Cargo.lock"), LOCK)?;
            fs::write(root.join("observer-ebpf/Cargo.toml"), "[package]\n")?;
            fs::write(root.join("observer-ebpf/src/deep/a.rs"), source)?;
            source_hash(&root)
        };
        let hashes = [write("one", "a\nb\n")?, write("two", "a\r\nb\r\n")?, write("three", "a\nc\n")?];
        fs::remove_dir_all(&place)?;
        assert_eq!(hashes[0], hashes[1]);
        assert_ne!(hashes[0], hashes[2]);
        Ok(())
    }
}
