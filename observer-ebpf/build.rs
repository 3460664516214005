//! Says which object file `OBJECT` holds: the committed one, or the one that an environment variable names.

use std::path::PathBuf;

const VARIABLE: &str = "DHCP_OBSERVER_EBPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let committed = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dhcp-observer.bpf.o");
    let object = std::env::var_os(VARIABLE).map_or_else(committed, PathBuf::from);
    // The path is baked in absolute: rustc would otherwise look for it beside lib.rs.
    let object = std::path::absolute(&object).unwrap_or(object);
    println!("cargo::rustc-env={VARIABLE}={}", object.display());
}
