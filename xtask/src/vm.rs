//! `cargo xtask vm`: the eBPF object and the observer in Debian 12's kernel, Linux 6.1, which has no TCX.
//!
//! The kernel comes from Debian's own package, the machine is qemu, and its whole disk is an initramfs of this
//! workspace's test binaries with what they need. Nothing of the host's kernel matters, no root is needed once qemu is
//! installed, and nothing is left but the unpacked package below `target/vm`.

mod build;
mod initramfs;
mod kernel;
mod machine;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{command, test};
use initramfs::Initramfs;

/// Programs of the host, and the Debian packages that have them: to run the machine, and to be put into it.
const PROGRAMS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
];

/// Those of them that the tests run inside, with the shell for `init`.
const INSIDE: &[&str] = &["busybox", "ip", "tc"];

/// What the tests ask of the kernel and Debian builds as modules. What these depend on is found.
const MODULES: &[&str] = &["veth", "tun", "8021q", "bridge", "sch_ingress", "cls_bpf", "cls_u32"];

/// The test programs of the workspace that run inside.
const TESTS: &[&str] = &["kernel_filter", "vlan"];

/// How they are called there, one after the other.
const STEPS: &str = "\
/tests/deps/kernel_filter
/tests/deps/vlan --include-ignored --test-threads=1
";

/// Process 1 of the machine.
const INIT: &[u8] = include_bytes!("vm/init.sh");

/// The machine is killed when it has not ended by itself after this time. Emulated, it takes two minutes.
const DEADLINE: Duration = Duration::from_secs(600);

/// Gets the kernel, builds the tests, packs and runs them.
pub fn run(root: &Path) -> Result<()> {
    let start = machine::now();
    test::install(PROGRAMS, test::is_root()?)?;
    let directory = root.join("target/vm");
    let kernel = kernel::fetch(&directory)?;
    let image = directory.join("initramfs.cpio");
    pack(root, &kernel)?.write_to(&image)?;
    println!("{} is ready after {:.0} s", kernel.package, start.elapsed().as_secs_f64());

    let verdict = machine::run(&kernel.image, &image, DEADLINE)?;
    println!("vm: {verdict}, after {:.0} s in all", start.elapsed().as_secs_f64());
    ensure!(verdict == "ok", "{} does not pass the tests: {verdict}", kernel.package);
    Ok(())
}

/// Everything that is inside the machine.
fn pack(root: &Path, kernel: &kernel::Kernel) -> Result<Initramfs> {
    let mut image = Initramfs::default();
    image.add("init", 0o755, INIT);
    image.add("steps", 0o644, STEPS.as_bytes());
    for program in INSIDE {
        let file = command::find(program).with_context(|| format!("there is no {program}"))?;
        image.add_program(&format!("bin/{program}"), &file)?;
    }
    for (place, module) in kernel.modules(MODULES)?.iter().enumerate() {
        let name = module.file_name().context("a module without a name")?.display();
        image.add_file(&format!("modules/{place:02}-{name}"), 0o644, module)?;
    }
    for (name, file) in build::programs(root, TESTS)? {
        // Where a test looks for its helpers: in its own directory and the one above.
        let directory = if TESTS.contains(&name.as_str()) { "tests/deps" } else { "tests" };
        image.add_program(&format!("{directory}/{name}"), &file)?;
    }
    // The tests know the recordings by the path at which they were compiled.
    image.add_tree(&root.join("tests/golden"))?;
    Ok(image)
}
