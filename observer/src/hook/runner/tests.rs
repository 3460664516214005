//! Real processes, virtual time: deadlines are told to the schedule, and FIFOs say when a script has got somewhere.

mod attributes;
mod batches;
mod reload;
mod several;
mod streams;
mod withdraw;

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::super::program::resolve_program;
use super::super::schedule::{Ended, LaneLimits, Refusal, Step, Tried};
use super::super::scratch::{Ear, Scratch};
use super::super::spawn::{Output, seal_descriptors};
use super::*;
use crate::dialect::invocation::{Invocation, Strings};

/// So long that no test waits for it.
const HOUR: Duration = Duration::from_secs(3600);
const SHARED: Limits = Limits { max_running: 16, max_queued: 1000, max_queued_per_subject: 1000 };
const LIMITS: LaneLimits = LaneLimits {
    max_parallel: usize::MAX,
    timeout: Some(HOUR),
    kill_delay: HOUR,
    retries: 0,
    retry_delay: HOUR,
};

/// One hook that runs this script.
fn spec(script: &Path) -> Spec {
    let name = script.file_name().unwrap().to_str().unwrap();
    Spec { limits: LIMITS, ..Spec::new(name, resolve_program(script, Path::new("/")).unwrap()) }
}

fn hooks_of(specs: Vec<Spec>) -> Hooks<u32, u32> {
    Hooks::new(specs, SHARED, Clock::new()).unwrap()
}

fn hooks_with(script: &Path, limits: LaneLimits, output: Output) -> Hooks<u32, u32> {
    hooks_of(vec![Spec { limits, output, ..spec(script) }])
}

fn hooks(script: &Path) -> Hooks<u32, u32> {
    hooks_with(script, LIMITS, Output::Ours)
}

fn invocation(environment: &[&[u8]]) -> Invocation {
    let mut arguments = Strings::default();
    arguments.push(b"lease4_renew");
    let mut strings = Strings::default();
    for string in environment {
        strings.push(string);
    }
    Invocation { at: Timestamp::EPOCH, arguments, environment: strings }
}

fn call(hook: usize, subject: u32, tag: u32, environment: &[&[u8]]) -> Call<u32, u32> {
    let invocation = Arc::new(invocation(environment));
    Call { hook, subjects: vec![subject], tag, tried: Tried::default(), invocation }
}

/// An event with these calls, whose number is the tag of the first.
fn submit_calls(hooks: &mut Hooks<u32, u32>, calls: Vec<Call<u32, u32>>) {
    let event = calls[0].tag.into();
    assert!(hooks.submit(hooks.clock.now(), event, calls).is_empty());
}

fn submit(hooks: &mut Hooks<u32, u32>, tag: u32, environment: &[&[u8]]) {
    submit_calls(hooks, vec![call(0, tag, tag, environment)]);
}

/// The next thing that happens; a test that would hang fails instead.
async fn next(hooks: &mut Hooks<u32, u32>) -> Progress<u32> {
    tokio::time::timeout(Duration::from_secs(60), hooks.progress()).await.expect("nothing happens")
}

/// Lets everything end; gives what finished, in order: tag, attempt, how, and whether it was given up.
async fn drained(hooks: &mut Hooks<u32, u32>) -> Vec<(u32, u32, Ended, bool)> {
    let mut finished = Vec::new();
    loop {
        let limit = Duration::from_secs(120);
        match tokio::time::timeout(limit, hooks.drain()).await.expect("it does not come to an end") {
            None => break,
            Some(Progress::Finished { tag, attempt, ended, gave_up, .. }) => {
                finished.push((tag, attempt, ended, gave_up));
            }
            Some(Progress::Started { .. } | Progress::Again { .. }) => {}
        }
    }
    assert!(hooks.is_idle() && hooks.children.is_empty());
    finished
}

/// How the one hook that runs ends, and whether it was given up.
async fn ending(hooks: &mut Hooks<u32, u32>) -> (Ended, bool) {
    loop {
        match next(hooks).await {
            Progress::Finished { ended, gave_up, .. } => return (ended, gave_up),
            Progress::Started { .. } => {}
            again @ Progress::Again { .. } => panic!("{again:?}"),
        }
    }
}

/// Runs a script once with this environment and waits for it.
async fn run(scratch: &Scratch, text: &str, environment: &[&[u8]]) -> (Ended, bool) {
    let script = scratch.script("hook", text);
    let mut hooks = hooks(&script);
    submit(&mut hooks, 0, environment);
    let ending = ending(&mut hooks).await;
    assert!(hooks.is_idle() && hooks.children.is_empty());
    ending
}

#[tokio::test]
async fn the_environment_is_the_given_block_in_order_and_nothing_of_ours() {
    let scratch = Scratch::new();
    let given: [&[u8]; 6] = [
        b"ZEBRA=1",
        b"ALPHA=two words;$(id)\n",
        b"EMPTY=",
        b"RAW=\xff\xfe",
        b"ALPHA=again",
        b"no equals sign",
    ];
    let text = "#!/bin/sh\n/bin/cat /proc/$$/environ >${0%/*}/environ\n\
                /bin/cat /proc/$$/cmdline >${0%/*}/cmdline\necho $# >${0%/*}/count\n";
    assert_eq!(run(&scratch, text, &given).await, (Ended::Exited(0), false));
    let mut expected = given.join(&0);
    expected.extend_from_slice(b"\0OBSERVER_EVENT_ID=0\0OBSERVER_ATTEMPT=1\0");
    assert_eq!(scratch.read("environ"), expected);
    let path = scratch.path().join("hook");
    assert_eq!(scratch.text("cmdline"), format!("/bin/sh\0{}\0lease4_renew\0", path.display()));
    assert_eq!(scratch.text("count"), "1\n");
}

#[tokio::test]
async fn no_descriptor_is_inherited_but_the_standard_ones() {
    let scratch = Scratch::new();
    let secret = scratch.path().join("secret");
    // dup gives a descriptor that is not marked, as a careless parent or library would leave one.
    let marked = std::fs::File::create(&secret).unwrap();
    let leak = nix::unistd::dup(&marked).unwrap();
    let script = scratch.script("hook", "#!/bin/sh\nexec /bin/ls -l /proc/self/fd >${0%/*}/fds\n");
    for output in [Output::Ours, Output::Null] {
        let mut hooks = hooks_with(&script, LIMITS, output);
        submit(&mut hooks, 0, &[]);
        assert_eq!(ending(&mut hooks).await, (Ended::Exited(0), false));
        let listing = scratch.text("fds");
        let links: Vec<(&str, &str)> = listing
            .lines()
            .filter_map(|line| line.split_once(" -> "))
            .map(|(left, to)| (left.rsplit(' ').next().unwrap(), to))
            .collect();
        // The fourth is the directory that ls itself reads.
        assert_eq!(
            links.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            ["0", "1", "2", "3"],
            "{listing}"
        );
        assert_eq!(links[0].1, "/dev/null");
        assert!(!listing.contains("secret"), "{listing}");
        let errors = std::fs::read_link("/proc/self/fd/2").unwrap();
        let expected = if output == Output::Null { Path::new("/dev/null") } else { &errors };
        assert_eq!(Path::new(links[2].1), expected);
    }
    drop(leak);
}

#[test]
fn sealing_marks_what_was_left_open() {
    let open = std::fs::File::open("/dev/null").unwrap();
    let leak = nix::unistd::dup(&open).unwrap();
    seal_descriptors().unwrap();
    // SAFETY: F_GETFD reads a flag.
    let flags = unsafe { nix::libc::fcntl(leak.as_raw_fd(), nix::libc::F_GETFD) };
    assert_eq!(flags, nix::libc::FD_CLOEXEC);
}

#[tokio::test]
async fn own_process_group_and_every_signal_at_its_default() {
    let scratch = Scratch::new();
    // The test itself ignores SIGPIPE, as every Rust program does.
    let text = "#!/bin/sh\nexec /bin/cat /proc/self/status /proc/self/stat >${0%/*}/status\n";
    let script = scratch.script("hook", text);
    let mut hooks = hooks(&script);
    submit(&mut hooks, 0, &[]);
    let Progress::Started { pid, attempt: 1, .. } = next(&mut hooks).await else { panic!() };
    ending(&mut hooks).await;
    let status = scratch.text("status");
    for line in ["SigIgn:\t0000000000000000", "SigBlk:\t0000000000000000", "SigPnd:\t0000000000000000"] {
        assert!(status.contains(line), "{status}");
    }
    let group = status.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap();
    assert_eq!(group, pid.to_string());
}

#[tokio::test]
async fn how_a_hook_ends_is_reported() {
    for (text, expected) in [
        ("exit 0", Ended::Exited(0)),
        ("exit 1", Ended::Exited(1)),
        ("exit 255", Ended::Exited(255)),
        ("kill -9 $$", Ended::Signalled(9)),
        ("kill -15 $$", Ended::Signalled(15)),
        // A real-time signal.
        ("kill -40 $$", Ended::Signalled(40)),
    ] {
        let ending = run(&Scratch::new(), &format!("#!/bin/sh\n{text}\n"), &[]).await;
        assert_eq!(ending, (expected, false), "{text}: recorded, and no failure");
    }
}

/// Were SIGCHLD ignored, as it is under a parent that ignores it, the kernel would keep no status for us.
#[test]
fn statuses_are_kept_under_a_parent_that_ignores_sigchld() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args([
        "--ignored",
        "--exact",
        "hook::runner::tests::how_a_hook_ends_is_reported_to_a_process_of_its_own",
    ]);
    // SAFETY: between fork and exec this makes one system call that is safe there.
    unsafe {
        child.pre_exec(|| {
            nix::sys::signal::signal(Signal::SIGCHLD, nix::sys::signal::SigHandler::SigIgn)?;
            Ok(())
        })
    };
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by statuses_are_kept_under_a_parent_that_ignores_sigchld"]
fn how_a_hook_ends_is_reported_to_a_process_of_its_own() {
    let script = Path::new("/bin/false");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut hooks = hooks(script);
        submit(&mut hooks, 0, &[]);
        assert_eq!(ending(&mut hooks).await, (Ended::Exited(1), false));
    });
}

#[tokio::test]
async fn a_program_that_cannot_be_started_any_more_is_given_up_with_its_reason() {
    let scratch = Scratch::new();
    let script = scratch.script("hook", "#!/bin/sh\n");
    let mut hooks = hooks(&script);
    let large = [b"LARGE=".to_vec(), vec![b'x'; 200_000]].concat();
    submit(&mut hooks, 0, &[&large]);
    assert_eq!(ending(&mut hooks).await, (Ended::CouldNotStart(Step::Program, Errno::E2BIG), true));
    for (text, errno) in [
        (Some("echo no interpreter line\n"), Errno::ENOEXEC),
        (Some("#!/no/such/shell\n"), Errno::ENOENT),
        (Some("#!/etc\n"), Errno::EACCES),
        (None, Errno::ENOENT),
    ] {
        std::fs::remove_file(&script).unwrap();
        if let Some(text) = text {
            scratch.script("hook", text);
        }
        submit(&mut hooks, 1, &[]);
        assert_eq!(ending(&mut hooks).await, (Ended::CouldNotStart(Step::Program, errno), true), "{text:?}");
    }
    let counters = hooks.counters();
    assert_eq!((counters.could_not_start, counters.gave_up, counters.started), (5, 5, 0));
    // And it recovers once the script is there again.
    scratch.script("hook", "#!/bin/sh\n");
    submit(&mut hooks, 2, &[]);
    assert_eq!(ending(&mut hooks).await, (Ended::Exited(0), false));
}

#[tokio::test]
async fn a_hook_that_ignores_sigterm_is_killed_with_its_children() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("fifo");
    let text = "#!/bin/sh\ntrap '' TERM\nexec 3>${0%/*}/fifo\n/bin/sleep 1000 &\necho up >&3\nwait\n";
    let mut hooks = hooks(&scratch.script("hook", text));
    submit(&mut hooks, 0, &[]);
    let mut ear = Ear::open(&fifo);
    assert_eq!(ear.line(), "up");
    assert!(matches!(next(&mut hooks).await, Progress::Started { .. }));
    hooks.handle_timeout(hooks.poll_timeout().unwrap());
    assert_eq!(hooks.counters().timed_out, 1);
    assert!(hooks.try_progress().is_none());
    hooks.handle_timeout(hooks.poll_timeout().unwrap());
    let Progress::Finished { ended, timed_out, .. } = next(&mut hooks).await else { panic!() };
    assert_eq!((ended, timed_out), (Ended::Signalled(9), true));
    // Both held the FIFO, and now nobody does.
    ear.end();
    assert!(hooks.is_idle() && hooks.children.is_empty());
}

#[tokio::test]
async fn children_that_outlive_a_terminated_hook_are_killed_too() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("fifo");
    let text = "#!/bin/sh\nexec 3>${0%/*}/fifo\n\
                (trap '' TERM; echo up >&3; exec /bin/sleep 1000) &\nwait\n";
    let mut hooks = hooks(&scratch.script("hook", text));
    submit(&mut hooks, 0, &[]);
    let mut ear = Ear::open(&fifo);
    assert_eq!(ear.line(), "up");
    let Progress::Started { pid, .. } = next(&mut hooks).await else { panic!() };
    hooks.handle_timeout(hooks.poll_timeout().unwrap());
    assert_eq!(ending(&mut hooks).await.0, Ended::Signalled(15));
    let zombie = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert!(zombie.contains(") Z "), "its id is kept while a signal is to come: {zombie}");
    hooks.handle_timeout(hooks.poll_timeout().unwrap());
    ear.end();
    assert!(hooks.is_idle() && hooks.children.is_empty());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn children_left_behind_by_a_hook_that_ended_are_left_alone() {
    let scratch = Scratch::new();
    let (said, asked) = (scratch.fifo("said"), scratch.fifo("asked"));
    let text = "#!/bin/sh\ncd ${0%/*}\nexec 3>said\n(read line <asked; echo $line >&3) &\nexit 0\n";
    let mut hooks = hooks(&scratch.script("hook", text));
    submit(&mut hooks, 0, &[]);
    let ear = Ear::open(&said);
    assert_eq!(ending(&mut hooks).await, (Ended::Exited(0), false));
    assert!(hooks.is_idle());
    drop(hooks);
    std::fs::write(&asked, "still here\n").unwrap();
    assert_eq!(ear.end(), "still here\n");
}

#[tokio::test]
async fn draining_waits_for_everything_and_keeps_the_deadlines() {
    let scratch = Scratch::new();
    let text = "#!/bin/sh\n[ $HANG ] || exit 0\ntrap '' TERM\nwhile :; do /bin/sleep 1000; done\n";
    let short = Duration::from_millis(100);
    let limits = LaneLimits { max_parallel: 2, timeout: Some(short), kill_delay: short, ..LIMITS };
    let mut hooks = hooks_with(&scratch.script("hook", text), limits, Output::Ours);
    submit(&mut hooks, 0, &[b"HANG=yes"]);
    for tag in 1..10 {
        submit(&mut hooks, tag, &[]);
    }
    let mut finished = Vec::new();
    while let Some(progress) = hooks.drain().await {
        if let Progress::Finished { tag, ended, timed_out, .. } = progress {
            // A machine so busy that a short hook takes 100 ms is no failure of what is tested here.
            assert!(tag > 0 || (ended, timed_out) == (Ended::Signalled(9), true));
            finished.push(tag);
        }
    }
    finished.sort_unstable();
    assert_eq!(finished, (0..10).collect::<Vec<_>>());
    assert!(hooks.is_idle() && hooks.children.is_empty() && hooks.unfinished().next().is_none());
    assert!(hooks.drain().await.is_none());
}

#[tokio::test]
async fn an_event_left_by_an_earlier_life_counts_its_attempts_on() {
    let scratch = Scratch::new();
    let script = scratch.script("hook", "#!/bin/sh\necho $OBSERVER_ATTEMPT >>${0%/*}/seen\nexit 3\n");
    // Three of the seven are known to have failed.
    let mut hooks = hooks_with(&script, LaneLimits { retries: 4, ..LIMITS }, Output::Ours);
    submit_calls(&mut hooks, vec![Call { tried: Tried { attempts: 7, failures: 3 }, ..call(0, 0, 42, &[]) }]);
    assert!(matches!(next(&mut hooks).await, Progress::Started { tag: 42, attempt: 8, .. }));
    let again = next(&mut hooks).await;
    let Progress::Again { tag: 42, attempt: 8, failures: 4, ended: Ended::Exited(3), next: due, .. } = again
    else {
        panic!("{again:?}")
    };
    hooks.handle_timeout(due);
    assert_eq!(ending(&mut hooks).await, (Ended::Exited(3), true));
    assert_eq!(scratch.text("seen"), "8\n9\n");
}

#[tokio::test]
async fn a_full_queue_gives_the_event_back() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("fifo");
    let script = scratch.script("hook", "#!/bin/sh\nread line <${0%/*}/fifo\n");
    let mut hooks = hooks(&script);
    hooks.set_limits(Limits { max_running: 1, max_queued: 1, ..SHARED });
    submit(&mut hooks, 0, &[]);
    submit(&mut hooks, 1, &[]);
    let refused = hooks.submit(hooks.clock.now(), 2, [call(0, 2, 2, &[b"A=1"])]).pop().unwrap();
    assert_eq!((refused.hook, refused.tag, refused.refusal), (0, 2, Refusal::Full));
    assert_eq!(refused.invocation.variable("A"), Some(&b"1"[..]));
    assert_eq!((hooks.running(), hooks.queued(), hooks.counters().dropped), (1, 1, 1));
    assert_eq!(hooks.unfinished().count(), 2);
    for _ in 0..2 {
        std::fs::write(&fifo, "go\n").unwrap();
        assert_eq!(ending(&mut hooks).await.0, Ended::Exited(0));
    }
}

#[tokio::test]
async fn five_hundred_hooks_side_by_side_leave_nothing_behind() {
    let scratch = Scratch::new();
    let mut hooks = hooks(&scratch.script("hook", "#!/bin/sh\nexit $STATUS\n"));
    for tag in 0..500 {
        submit(&mut hooks, tag, &[format!("STATUS={}", tag % 2).as_bytes()]);
    }
    let mut pids = Vec::new();
    let mut finished = 0;
    let mut cancelled = 0;
    while finished < 500 {
        // The loop that owns this has other things to do, and cancels the wait all the time.
        tokio::select! {
            progress = next(&mut hooks) => match progress {
                Progress::Started { pid, .. } => pids.push(pid),
                Progress::Finished { tag, ended, .. } => {
                    assert_eq!(ended, Ended::Exited(i32::try_from(tag % 2).unwrap()));
                    finished += 1;
                }
                Progress::Again { .. } => {}
            },
            () = tokio::time::sleep(Duration::from_micros(100)) => cancelled += 1,
        }
        assert!(hooks.running() <= 16 && hooks.staff.workers() <= 16);
    }
    assert!(cancelled > 0);
    assert_eq!(pids.len(), 500);
    assert!(hooks.is_idle() && hooks.children.is_empty());
    let ours = format!(" {} ", std::process::id());
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default();
        assert!(!(state.starts_with(" Z") && state.contains(&ours)), "a zombie: {stat}");
    }
}

#[tokio::test]
async fn hooks_of_one_subject_run_in_order() {
    let scratch = Scratch::new();
    let mut hooks = hooks(&scratch.script("hook", "#!/bin/sh\necho $N >>${0%/*}/log\n"));
    for number in 0..50_u32 {
        let text = format!("N={number}");
        submit_calls(&mut hooks, vec![call(0, 7, number, &[text.as_bytes()])]);
    }
    while hooks.drain().await.is_some() {
        assert!(hooks.running() <= 1);
    }
    let expected: String = (0..50).map(|number| format!("{number}\n")).collect();
    assert_eq!(scratch.text("log"), expected);
}

#[tokio::test]
async fn a_script_that_somebody_is_writing_is_tried_again() {
    let scratch = Scratch::new();
    let program = scratch.script("hook", "#!/bin/sh\n");
    let mut hooks = hooks(&program);
    // Another process, because processes that other tests start at this moment would inherit a descriptor of ours.
    let mut writer = std::process::Command::new("/bin/sh")
        .args(["-c", r#"exec 3>>"$1"; echo open; read line"#, "sh"])
        .arg(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    writer.stdout.take().unwrap().read_exact(&mut said).unwrap();
    submit(&mut hooks, 0, &[]);
    let again = next(&mut hooks).await;
    let Progress::Again { ended, attempt: 1, next: due, .. } = again else { panic!("{again:?}") };
    assert_eq!(ended, Ended::CouldNotStart(Step::Program, Errno::ETXTBSY));
    drop(writer.stdin.take());
    writer.wait().unwrap();
    hooks.handle_timeout(due);
    assert!(matches!(next(&mut hooks).await, Progress::Started { attempt: 2, .. }));
    assert_eq!(ending(&mut hooks).await, (Ended::Exited(0), false));
    assert_eq!(hooks.counters().gave_up, 0);
}

#[tokio::test]
async fn dropping_everything_lets_a_hook_end_and_collects_it() {
    let scratch = Scratch::new();
    let (said, asked) = (scratch.fifo("said"), scratch.fifo("asked"));
    let text = "#!/bin/sh\ncd ${0%/*}\nexec 3>said\nread line <asked\necho $line >&3\n";
    let mut hooks = hooks(&scratch.script("hook", text));
    submit(&mut hooks, 0, &[]);
    let ear = Ear::open(&said);
    let Progress::Started { pid, .. } = next(&mut hooks).await else { panic!() };
    drop(hooks);
    std::fs::write(&asked, "still here\n").unwrap();
    assert_eq!(ear.end(), "still here\n");
    // That a zombie has been collected is no event that one could wait for.
    let begun = Clock::new();
    let limit = begun.now() + Duration::from_secs(60);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(begun.now() < limit, "not collected");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn dropping_everything_collects_what_has_ended_unheard() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("fifo");
    let mut hooks = hooks(&scratch.script("hook", "#!/bin/sh\necho $$ >${0%/*}/fifo\n"));
    submit(&mut hooks, 0, &[]);
    let mut ear = Ear::open(&fifo);
    let pid = ear.line();
    // Both reports are in the channel.
    while hooks.reports.len() < 2 {
        tokio::task::yield_now().await;
    }
    drop(hooks);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}
