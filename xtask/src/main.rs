//! The project's own verbs: `cargo xtask <verb>`. One file per verb.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

mod bench;
mod command;
mod conformance;
mod docs;
mod ebpf;
mod soak;
mod test;
mod vm;

const USAGE: &str = "\
usage: cargo xtask <verb>

verbs:
  ebpf [--check | --fresh PATH]
        build the eBPF object from source and put it in observer-ebpf/;
        --check only says whether the committed object is current and needs no eBPF toolchain;
        --fresh builds it to PATH instead, for DHCP_OBSERVER_EBPF_OBJECT=PATH cargo test
  test [ARGUMENT...]
        install the servers and tools that the tests need (apt), then run all tests; as root, or through sudo
  conformance [FILTER | --list | --reasons]
        play the scenarios (those with FILTER in their names) beside the real Kea, as root or through sudo, and
        report every call of a hook that differs, variable by variable, with its reason
  record NAME SCENARIO
        play one scenario and write it to tests/golden/NAME
  soak [--kills N] [--minutes M] [crash] [flood] [balance]
        the long forms of tests, as root or through sudo, and one report: an observer that is killed (300 times, or N,
        and for M minutes at least), floods of a million frames, and the balance at a rate
  vm    run the kernel tests and live exchanges in Debian 12's kernel, Linux 6.1, by qemu; installs what it needs (apt)
  docs [--check]
        put the table of variables into README.md and scripts/README.md; --check only says whether they are current
  bench [filter] [throughput] [memory] [stream] [latency] [store]
        measure, side by side with what the figures are to be compared with; filter and latency need root";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["ebpf"] => ebpf::build(&root()?),
        ["ebpf", "--check"] => ebpf::check(&root()?),
        ["ebpf", "--fresh", path] => ebpf::build_fresh(&root()?, &std::path::absolute(path)?),
        ["test", passed_on @ ..] => test::run(&root()?, passed_on),
        ["soak", arguments @ ..] => soak::run(&root()?, arguments),
        ["vm"] => vm::run(&root()?),
        ["bench", parts @ ..] => bench::run(&root()?, parts),
        ["conformance", passed_on @ ..] => conformance::run(&root()?, passed_on),
        ["record", name, scenario] => conformance::record(&root()?, name, scenario),
        ["docs"] => docs::write(&root()?),
        ["docs", "--check"] => docs::check(&root()?),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("no such verb\n{USAGE}"),
    }
}

/// The workspace's root, wherever in it the verb was called.
fn root() -> Result<PathBuf> {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map(PathBuf::from).context("the xtask package has no parent directory")
}
