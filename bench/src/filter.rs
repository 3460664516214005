//! What the programs cost in the kernel, by `BPF_PROG_TEST_RUN`.

use anyhow::{Context, Result, anyhow};
use aya::maps::{MapData, RingBuf};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use dhcp_observer::capture::check;
use dhcp_observer_ebpf::{OBJECT, globals, maps, programs};
use etherparse::PacketBuilder;

use crate::traffic::{Client, Family};

const ROUNDS: usize = 15;
/// Runs of a program over a frame in one round. A frame that is taken fills the ring, so those get fewer.
const REPEAT: u32 = 1_000_000;
/// 342 octets and their record header fit this often into the ring; a full ring would be cheaper than a real one.
const REPEAT_TAKEN: u32 = 8_192;
const RING: u32 = 8 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    Tc,
    Xdp,
}

struct Case {
    hook: Hook,
    program: &'static str,
    what: &'static str,
    frame: Vec<u8>,
    taken: bool,
    /// Per run, one entry a round. The kernel gives whole ones.
    nanoseconds: Vec<u128>,
}

/// Prints the figures.
pub fn measure() -> Result<()> {
    check::privilege().map_err(|missing| anyhow!("{missing}"))?;
    let mut ebpf = EbpfLoader::new()
        .map_max_entries(maps::RING, RING)
        .override_global(globals::LOG_LEVEL, &0u8, true)
        .load(OBJECT)
        .context("the object cannot be loaded")?;
    for name in [programs::IN, programs::EMPTY] {
        classifier(&mut ebpf, name)?.load().context(name)?;
    }
    xdp(&mut ebpf)?.load().context(programs::XDP)?;
    let ring = ebpf.take_map(maps::RING).context(maps::RING)?;
    let mut ring: RingBuf<MapData> = RingBuf::try_from(ring).context(maps::RING)?;

    let mut cases = cases()?;
    for _ in 0..ROUNDS {
        // In turn, so that a noisy second falls on all of them.
        for case in &mut cases {
            let nanoseconds = run(&mut ebpf, case)?;
            case.nanoseconds.push(nanoseconds);
            while ring.next().is_some() {}
        }
    }
    println!(
        "  medians (and least) of {ROUNDS} rounds of {REPEAT} runs, {REPEAT_TAKEN} where the frame is taken"
    );
    println!("  {:<5} {:<34} {:>8} {:>8} {:>14}", "", "frame", "ns", "least", "over the empty");
    let mut empty = 0;
    for case in &mut cases {
        case.nanoseconds.sort_unstable();
        let (least, median) = (case.nanoseconds[0], case.nanoseconds[ROUNDS / 2]);
        let hook = if case.hook == Hook::Tc { "TC" } else { "XDP" };
        if case.program == programs::EMPTY {
            empty = median.cast_signed();
        }
        let over =
            if case.hook == Hook::Tc { format!("{:+}", median.cast_signed() - empty) } else { String::new() };
        println!("  {hook:<5} {:<34} {median:>8} {least:>8} {over:>14}", case.what);
    }
    println!("  aim: what is not DHCP within 5 ns of the empty program");
    Ok(())
}

fn cases() -> Result<Vec<Case>> {
    let discover = Client::new(0, Family::V4).frame(0);
    let solicit = Client::new(0, Family::V6).frame(0);
    let headers = || PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    headers().tcp(443, 50_000, 1, 65_000).write(&mut tcp, &[0; 1_400])?;
    headers().udp(443, 50_000).write(&mut udp, &[0; 1_200])?;
    let case = |hook, program, what, frame: &[u8], taken| Case {
        hook,
        program,
        what,
        frame: frame.to_vec(),
        taken,
        nanoseconds: Vec::new(),
    };
    let mut cases = vec![case(Hook::Tc, programs::EMPTY, "TCP, a program that does nothing", &tcp, false)];
    for (hook, program) in [(Hook::Tc, programs::IN), (Hook::Xdp, programs::XDP)] {
        cases.extend([
            case(hook, program, "TCP", &tcp, false),
            case(hook, program, "UDP, not DHCP", &udp, false),
            case(hook, program, "DISCOVER, taken", &discover, true),
            case(hook, program, "SOLICIT, taken", &solicit, true),
        ]);
    }
    Ok(cases)
}

fn run(ebpf: &mut Ebpf, case: &Case) -> Result<u128> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(&case.frame);
    options.repeat = if case.taken { REPEAT_TAKEN } else { REPEAT };
    let result = match case.hook {
        Hook::Tc => classifier(ebpf, case.program)?.test_run(options),
        Hook::Xdp => xdp(ebpf)?.test_run(options),
    };
    Ok(result.with_context(|| format!("BPF_PROG_TEST_RUN of {}", case.program))?.duration.as_nanos())
}

fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier> {
    Ok(ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?)
}

fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
    Ok(ebpf
        .program_mut(programs::XDP)
        .with_context(|| format!("no program {}", programs::XDP))?
        .try_into()?)
}
