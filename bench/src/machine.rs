//! What the figures were measured on.

use std::fs;
use std::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_else(|_| "unknown".to_owned())
}

/// Load averages of 1, 5 and 15 minutes, then running and all tasks. Others on the machine show here.
pub fn load() -> String {
    read("/proc/loadavg").split(' ').take(4).collect::<Vec<_>>().join(" ")
}

/// Prints processor, cores, memory, kernel, compiler and load.
pub fn describe() {
    let cpuinfo = read("/proc/cpuinfo");
    let field = |wanted: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(wanted));
        line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo").lines().next().unwrap_or_default().replace("MemTotal:", "");
    println!(
        "processor: {} (family {}, model {}), {cores} cores",
        field("model name"),
        field("cpu family"),
        field("model\t")
    );
    println!("memory: {}", memory.trim());
    println!("kernel: {}", read("/proc/sys/kernel/osrelease"));
    let rustc = Command::new("rustc").arg("--version").output();
    println!(
        "rustc: {}",
        rustc.map_or("unknown".into(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    );
    println!("load at the start: {}", load());
}
