//! A client that never rests does not keep the hooks of others waiting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use observer_tests::client::message4::Kind;
use observer_tests::inject::PacketSocket;
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::soak::report;
use observer_tests::wait;

use crate::party::Party;

/// How long the hook takes for the noisy client.
const SLOW: f64 = 0.5;
/// How long a quiet client may wait for its hook, seconds: for the one call of the noisy one that runs, for one more that
/// was ready before, and for a machine that does something else.
const BOUND: f64 = 2.0 * SLOW + 4.0;
/// Quiet clients, one after the other.
const QUIET: u32 = 5;

/// The hook has one place only, so that what the noisy client gets the quiet one does not.
const SCRIPT: &str = r#"#!/bin/sh
printf '%s %s %s\n' "$(date +%s.%N)" "$1" "${LEASES4_AT0_ADDRESS:-$LEASE4_ADDRESS}" >>"${0%/*}/calls"
[ "${LEASES4_AT0_ADDRESS:-$LEASE4_ADDRESS}" != 10.0.0.1 ] || exec sleep 0.5
"#;

#[test]
fn a_noisy_client_does_not_starve_the_hooks_of_others() {
    require!(Need::Root);
    let (cable, scratch) = (Cable::as_recorded().unwrap(), Scratch::new().unwrap());
    let script = scratch.path().join("hook");
    std::fs::write(&script, SCRIPT).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = &cable.server;
    let observer =
        Observer::start(&server.namespace, scratch.path(), server.name, &script, &["--max-hooks", "1"]).unwrap();
    let (peer, own) =
        (PacketSocket::open_to_send(&cable.client).unwrap(), PacketSocket::open_to_send(server).unwrap());
    let over = AtomicBool::new(false);
    let renewals = |xid| {
        let party = Party::new(1, server);
        peer.send(&party.by_client(&party.ask_from_address(Kind::Request, xid))).unwrap();
        own.send(&party.by_server(&party.answer(Kind::Ack, xid, 7_200))).unwrap();
    };
    let told = || std::fs::read_to_string(scratch.path().join("calls")).unwrap_or_default();
    let (noise, waits) = std::thread::scope(|scope| {
        let noise = scope.spawn(|| {
            let (begun, mut count) = (wait::now(), 0_u32);
            while !over.load(Ordering::Relaxed) {
                count += 1;
                renewals(count);
                // About 2,000 a second, whatever the machine can do.
                wait::pace(begun + Duration::from_micros(500) * count);
            }
            f64::from(count) / begun.elapsed().as_secs_f64()
        });
        // The noisy client's queue is full before the first quiet one comes.
        let full = wait::until("a full queue", Duration::from_secs(60), || {
            Ok(observer.log().contains("hooks dropped").then_some(()))
        });
        let waits: Vec<f64> = (2..2 + QUIET)
            .map(|number| {
                let party = Party::new(number, server);
                let given = wait::unix_now();
                own.send(&party.by_server(&party.answer(Kind::Ack, 0x5000_0000 + number, 7_200))).unwrap();
                let wanted = format!(" leases4_committed {}", party.address());
                let line = wait::until(&wanted, Duration::from_secs(60), || {
                    Ok(told().lines().find(|line| line.ends_with(&wanted)).map(str::to_owned))
                });
                let begun: f64 = line.unwrap().split(' ').next().unwrap().parse().unwrap();
                begun - given
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        let noise = noise.join().unwrap();
        full.unwrap();
        (noise, waits)
    });
    let log = observer.kill().unwrap();
    let longest = waits.iter().copied().fold(0.0, f64::max);
    assert!(longest <= BOUND, "quiet clients waited {waits:?} s: {log}");
    // The noisy one still has its turn.
    let of_noisy = told().lines().filter(|line| line.ends_with(" 10.0.0.1")).count();
    assert!(of_noisy >= 2, "{}", told());
    report(
        "fairness",
        &format!(
            "{noise:.0} renewals/s of one lease, hook {SLOW} s, one place: quiet clients' hooks began after at most \
             {longest:.2} s (bound {BOUND} s)"
        ),
    );
}
