use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair};

use super::super::crew::Tool;
use super::super::program::resolve_program;
use super::super::schedule::{JobId, Step};
use super::super::scratch::Scratch;
use super::super::spec::{Mode, Spec};
use super::super::worker::Run;
use super::channel::{self, Incoming};
use super::message::{Course, Order, With, Word};
use super::serve::{Rules, attend};
use crate::dialect::invocation::Strings;
use crate::dialect::{DialectName, vocabulary};

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// An observer that says whatever the test says.
struct Observer {
    socket: OwnedFd,
    words: mpsc::Receiver<Word>,
    seen: VecDeque<Word>,
    end: thread::JoinHandle<Result<bool, String>>,
}

/// A spawner that reads these hooks, each time the next list.
fn spawner(mut hooks: Vec<Vec<(Spec, DialectName)>>) -> Observer {
    let pair = || socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let (socket, theirs) = pair();
    hooks.reverse();
    let end = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = move || {
            let hooks = hooks.pop().ok_or("c.toml:1:1: something is wrong")?;
            Ok(Rules { hooks, most: 1, text: None })
        };
        runtime.block_on(attend(theirs, read)).map_err(|error| format!("{error:#}"))
    });
    let (sender, words) = mpsc::channel();
    let heard = socket.try_clone().unwrap();
    thread::spawn(move || {
        let mut incoming = Incoming::default();
        while let Ok(true) = incoming.read(heard.as_fd(), MsgFlags::empty()) {
            while let Some(octets) = incoming.take().unwrap() {
                let _ = sender.send(postcard::from_bytes(octets).unwrap());
            }
        }
    });
    Observer { socket, words, seen: VecDeque::new(), end }
}

impl Observer {
    fn say(&self, order: &Order<'_>) {
        channel::send(self.socket.as_fd(), order, &[]).unwrap();
    }

    fn hear(&mut self) -> Word {
        self.seen.pop_front().unwrap_or_else(|| self.words.recv_timeout(SOON).unwrap())
    }

    fn read(&mut self) -> Result<(), String> {
        self.say(&Order::Read);
        match self.hear() {
            Word::Configuration(read) => read.map(|_| ()),
            other => panic!("{other:?}"),
        }
    }

    fn prepare(&mut self, place: u32) -> Result<Tool, String> {
        self.say(&Order::Prepare(place));
        match self.hear() {
            Word::Prepared(prepared) => prepared,
            other => panic!("{other:?}"),
        }
    }

    fn call(&self, run: Run, tool: Tool, variables: &[&str]) {
        self.call_with(run, tool, &["leases4_committed"], variables);
    }

    fn call_with(&self, run: Run, tool: Tool, words: &[&str], variables: &[&str]) {
        let mut environment = Strings::default();
        variables.iter().for_each(|variable| environment.push(variable.as_bytes()));
        let mut arguments = Strings::default();
        words.iter().for_each(|word| arguments.push(word.as_bytes()));
        let (arguments, environment) = (arguments.block().into(), environment.block().into());
        let with = With::Call { arguments, environment, event: 7, attempt: 2 };
        self.say(&Order::Start { run, tool, with });
    }

    /// How a process ended, and whether it had begun.
    fn end_of(&mut self, run: Run) -> (bool, Course) {
        let mut had_begun = false;
        loop {
            match self.hear() {
                Word::Started { run: of, .. } if of == run => had_begun = true,
                Word::Ended { run: of, ended, .. } if of == run => {
                    self.say(&Order::Collect(run));
                    return (had_begun, ended);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn close(self) -> Result<bool, String> {
        nix::sys::socket::shutdown(
            std::os::fd::AsRawFd::as_raw_fd(&self.socket),
            nix::sys::socket::Shutdown::Both,
        )
        .unwrap();
        self.end.join().unwrap()
    }
}

fn run(number: u64) -> Run {
    Run::Job(JobId::test(number), 1)
}

fn hook(scratch: &Scratch, text: &str) -> (Spec, DialectName) {
    let path = scratch.script("hook", text);
    (Spec::new("hook", resolve_program(&path, scratch.path()).unwrap()), DialectName::Kea)
}

#[test]
fn what_is_in_order_is_carried_out() {
    let scratch = Scratch::new();
    let told = scratch.path().join("told");
    let text = format!("#!/bin/sh\n{{ echo \"$*\"; env | sort; }} >{told:?}\nexit 3\n");
    let mut observer = spawner(vec![vec![hook(&scratch, &text)]]);
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    let long = format!("LEASES4_AT0_HOSTNAME={}", "x".repeat(100_000));
    observer.call(run(1), tool, &["QUERY4_TYPE=DHCPREQUEST", &long]);
    assert!(matches!(observer.end_of(run(1)), (true, Course::Exited(3))));
    let told = std::fs::read_to_string(told).unwrap();
    let mut lines = told.lines().filter(|line| !line.starts_with("PWD=") && !line.starts_with("_="));
    assert_eq!(lines.next(), Some("leases4_committed"));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [&long, "OBSERVER_ATTEMPT=2", "OBSERVER_EVENT_ID=7", "QUERY4_TYPE=DHCPREQUEST"]
    );
    assert_eq!(observer.close(), Ok(false));
}

#[test]
fn variables_that_are_no_words_of_the_dialect_start_nothing() {
    let scratch = Scratch::new();
    let told = scratch.path().join("told");
    let mut observer = spawner(vec![vec![hook(&scratch, &format!("#!/bin/sh\ntouch {told:?}\n"))]]);
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    for variables in [
        &["QUERY4_TYPE=X", "LD_PRELOAD=/tmp/evil.so"][..],
        &["PATH=/tmp"],
        &["BASH_ENV=/tmp/evil"],
        &["new_ip_address=192.0.2.1"],
        &["no name"],
    ] {
        observer.call(run(1), tool, variables);
        let (had_begun, ended) = observer.end_of(run(1));
        let refused =
            matches!(ended, Course::CouldNotStart(Step::Process, errno) if errno == Errno::EPERM as i32);
        assert!(refused && !had_begun, "{variables:?}: {ended:?}");
    }
    assert!(!told.exists());
    // Nor does a tool that there is not, or is not any more.
    observer.say(&Order::Retire(tool));
    for tool in [tool, Tool(77)] {
        observer.call(run(2), tool, &[]);
        assert!(matches!(observer.end_of(run(2)), (false, Course::CouldNotStart(..))));
    }
}

#[test]
fn arguments_and_ways_that_are_not_the_hooks_start_nothing() {
    let scratch = Scratch::new();
    let (spec, dialect) = hook(&scratch, "#!/bin/sh\n");
    let named = |name: &str, mode, dialect| (Spec { name: name.to_owned(), mode, ..spec.clone() }, dialect);
    let hooks = vec![
        named("kea", Mode::Exec, dialect),
        named("dhclient", Mode::Exec, DialectName::Dhclient),
        named("eventhook", Mode::Exec, DialectName::Eventhook),
        named("dnsmasq", Mode::Exec, DialectName::Dnsmasq),
        named("stream", Mode::Stream { window: 1 }, dialect),
        named("batch", Mode::Batch { calls: 1, wait: Duration::ZERO }, dialect),
    ];
    let mut observer = spawner(vec![hooks]);
    observer.read().unwrap();
    let tools: Vec<_> = (0..6).map(|place| observer.prepare(place).unwrap()).collect();
    for (tool, words, is_right) in [
        (0, &["lease4_expire"][..], true),
        (0, &["observer_gap"], true),
        (0, &[], false),
        (0, &["-c"], false),
        (0, &["lease4_expire", "more"], false),
        (0, &["BOUND"], false),
        (1, &[], true),
        (1, &["BOUND"], false),
        (2, &["eth0", "BOUND"], true),
        (2, &["-oProxyCommand=sh", "BOUND"], false),
        (2, &["eth0", "sh"], false),
        (3, &["add", "02:00:00:00:00:01", "192.0.2.1"], true),
        (3, &["old", "02:00:00:00:00:01", "192.0.2.1", "name"], true),
        (3, &["old", "02:00:00:00:00:01", "192.0.2.1", "-f/etc/shadow"], false),
        (3, &["tftp", "1", "192.0.2.1", "/etc/passwd"], false),
        (4, &["lease4_expire"], false),
        (5, &["lease4_expire"], false),
    ] {
        observer.call_with(run(1), tools[tool], words, &[]);
        assert_eq!(observer.end_of(run(1)).0, is_right, "{tool}: {words:?}");
    }
    for tool in [0, 4] {
        observer.say(&Order::Start { run: run(2), tool: tools[tool], with: With::Batch(b"x".into()) });
        assert!(!observer.end_of(run(2)).0, "{tool} is no batch");
    }
    for tool in [0, 5] {
        let (mine, theirs) = nix::unistd::pipe().unwrap();
        let order = Order::Start { run: run(3), tool: tools[tool], with: With::Stream };
        channel::send(observer.socket.as_fd(), &order, &[mine.as_fd(), theirs.as_fd()]).unwrap();
        assert!(!observer.end_of(run(3)).0, "{tool} is no stream");
    }
}

#[test]
fn an_order_is_known_until_its_process_is_collected() {
    let scratch = Scratch::new();
    let mut observer = spawner(vec![vec![hook(&scratch, "#!/bin/sh\nexec sleep 1000\n")]]);
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    observer.call(run(1), tool, &[]);
    assert!(matches!(observer.hear(), Word::Started { .. }));
    // The same again, and a collecting that comes too early.
    observer.call(run(1), tool, &[]);
    assert!(matches!(observer.hear(), Word::Ended { ended: Course::CouldNotStart(..), .. }));
    observer.say(&Order::Collect(run(1)));
    observer.say(&Order::Signal(run(1), Signal::SIGKILL as i32));
    let Word::Ended { ended: Course::Signalled(9), .. } = observer.hear() else { panic!("not killed") };
    // A zombie is not forgotten either.
    observer.call(run(1), tool, &[]);
    assert!(matches!(observer.hear(), Word::Ended { ended: Course::CouldNotStart(..), .. }));
    observer.say(&Order::Collect(run(1)));
    observer.call(run(1), tool, &[]);
    assert!(matches!(observer.hear(), Word::Started { .. }));
    observer.say(&Order::Signal(run(1), Signal::SIGKILL as i32));
    observer.end_of(run(1));
}

#[test]
fn hooks_are_those_that_it_has_read_itself() {
    let scratch = Scratch::new();
    let (first, second) = (hook(&scratch, "#!/bin/sh\nexit 1\n"), hook(&scratch, "#!/bin/sh\nexit 2\n"));
    let mut observer = spawner(vec![vec![first], vec![second.clone(), second]]);
    assert!(observer.prepare(0).unwrap_err().contains("no such hook"));
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    assert!(observer.prepare(1).is_err());
    observer.read().unwrap();
    observer.prepare(1).unwrap();
    // What is wrong with a third reading is said, and what was read before holds.
    assert!(observer.read().unwrap_err().contains("something is wrong"));
    observer.prepare(1).unwrap();
    observer.call(run(1), tool, &[]);
    assert!(matches!(observer.end_of(run(1)), (true, Course::Exited(_))));
}

#[test]
fn only_its_own_processes_are_signalled() {
    let scratch = Scratch::new();
    let mut observer = spawner(vec![vec![hook(&scratch, "#!/bin/sh\nexec sleep 1000\n")]]);
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    observer.call(run(1), tool, &[]);
    // Of these there are none.
    observer.say(&Order::Signal(run(2), Signal::SIGKILL as i32));
    observer.say(&Order::Collect(run(2)));
    assert!(matches!(observer.hear(), Word::Started { run: of, .. } if of == run(1)));
    observer.say(&Order::Signal(run(1), Signal::SIGSTOP as i32));
    observer.say(&Order::Signal(run(1), 9_999));
    observer.say(&Order::Signal(run(1), Signal::SIGTERM as i32));
    let (_, ended) = observer.end_of(run(1));
    assert!(matches!(ended, Course::Signalled(signal) if signal == Signal::SIGTERM as i32), "{ended:?}");
}

#[test]
fn no_more_processes_than_the_configuration_has_a_use_for() {
    let scratch = Scratch::new();
    let mut observer = spawner(vec![vec![hook(&scratch, "#!/bin/sh\nexec sleep 1000\n")]]);
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    // One of a call, and two for whatever mode the hook has.
    (1..=4).for_each(|number| observer.call(run(number), tool, &[]));
    let mut heard: Vec<_> = (0..4).map(|_| observer.hear()).collect();
    let refused = heard.iter().position(|word| matches!(word, Word::Ended { .. })).unwrap();
    let refused = heard.swap_remove(refused);
    assert!(
        matches!(refused, Word::Ended { run: of, ended: Course::CouldNotStart(Step::Process, errno), .. }
            if of == run(4) && errno == Errno::EAGAIN as i32),
        "{refused:?}"
    );
    assert!(heard.iter().all(|word| matches!(word, Word::Started { .. })), "{heard:?}");
    // When one has ended there is room again.
    observer.say(&Order::Signal(run(2), Signal::SIGKILL as i32));
    observer.end_of(run(2));
    observer.call(run(5), tool, &[]);
    assert!(matches!(observer.hear(), Word::Started { run: of, .. } if of == run(5)));
    for number in [1, 3, 5] {
        observer.say(&Order::Signal(run(number), Signal::SIGKILL as i32));
        observer.end_of(run(number));
    }
}

#[test]
fn the_ends_of_pipes_travel_with_their_message() {
    let scratch = Scratch::new();
    let (mut spec, dialect) = hook(&scratch, "#!/bin/sh\nexec sed -u s/^/heard:/\n");
    spec.mode = Mode::Stream { window: 1 };
    let mut observer = spawner(vec![vec![(spec, dialect)]]);
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    let (stdin, ours) = nix::unistd::pipe().unwrap();
    let (output, stdout) = nix::unistd::pipe().unwrap();
    let order = Order::Start { run: run(1), tool, with: With::Stream };
    channel::send(observer.socket.as_fd(), &order, &[stdin.as_fd(), stdout.as_fd()]).unwrap();
    drop((stdin, stdout));
    std::io::Write::write_all(&mut std::fs::File::from(ours), b"a\nb\n").unwrap();
    let heard = std::io::read_to_string(std::fs::File::from(output)).unwrap();
    assert_eq!(heard, "heard:a\nheard:b\n");
    assert!(matches!(observer.end_of(run(1)), (true, Course::Exited(0))));
    // Without them there is nothing to start.
    observer.say(&Order::Start { run: run(2), tool, with: With::Stream });
    assert!(matches!(observer.end_of(run(2)), (false, Course::CouldNotStart(..))));
}

#[test]
fn a_batch_may_be_longer_than_any_buffer() {
    let scratch = Scratch::new();
    let told = scratch.path().join("told");
    let (mut spec, dialect) = hook(&scratch, &format!("#!/bin/sh\nwc -c >{told:?}\n"));
    spec.arguments = vec![CString::new("-x").unwrap()];
    spec.mode = Mode::Batch { calls: 1_000, wait: Duration::ZERO };
    let mut observer = spawner(vec![vec![(spec, dialect)]]);
    observer.read().unwrap();
    let tool = observer.prepare(0).unwrap();
    let with = With::Batch(vec![b'x'; 5_000_000].into());
    observer.say(&Order::Start { run: run(1), tool, with });
    assert!(matches!(observer.end_of(run(1)), (true, Course::Exited(0))));
    assert_eq!(std::fs::read_to_string(told).unwrap().trim(), "5000000");
}

#[test]
fn whoever_says_what_is_no_order_is_left() {
    let observer = spawner(vec![]);
    let octets = [8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    nix::unistd::write(&observer.socket, &octets).unwrap();
    let ended = observer.end.join().unwrap();
    assert!(ended.as_ref().is_err_and(|error| error.contains("order")), "{ended:?}");
}

#[test]
fn an_observer_that_ends_as_it_should_says_so() {
    let observer = spawner(vec![]);
    observer.say(&Order::Finish);
    assert_eq!(observer.end.join().unwrap(), Ok(true));
}

/// Whatever comes is an order or is none.
#[test]
fn octets_turned_and_cut_are_understood_or_refused() {
    let with = With::Call {
        arguments: b"lease4_renew\0".into(),
        environment: b"QUERY4_TYPE=DHCPREQUEST\0OBSERVER_EVENT=renew\0".into(),
        event: u64::MAX,
        attempt: 1,
    };
    let orders = [
        Order::Prepare(7),
        Order::Start { run: run(1), tool: Tool(2), with },
        Order::Start { run: run(1), tool: Tool(2), with: With::Batch(b"{}\n".into()) },
        Order::Signal(run(3), 15),
        Order::Finish,
    ];
    let (mut understood, mut refused) = (0, 0);
    let mut read = |octets: &[u8]| match postcard::from_bytes::<Order<'_>>(octets) {
        Ok(Order::Start { with: With::Call { arguments, environment, .. }, .. }) => {
            understood += 1;
            let environment = Strings::from_block(&environment);
            let _ = environment.iter().all(|word| vocabulary::has(DialectName::Kea, word.to_bytes()));
            let _ = vocabulary::calls(DialectName::Kea, &Strings::from_block(&arguments));
        }
        Ok(_) => understood += 1,
        Err(_) => refused += 1,
    };
    for order in &orders {
        let octets = postcard::to_stdvec(order).unwrap();
        (0..octets.len()).for_each(|end| read(&octets[..end]));
        for bit in 0..octets.len() * 8 {
            let mut turned = octets.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            read(&turned);
        }
    }
    assert!(understood > 100 && refused > 100, "{understood} {refused}");
    // A length beyond all bounds is believed nowhere.
    let (mine, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
    nix::unistd::write(&mine, &u32::MAX.to_le_bytes()).unwrap();
    let mut incoming = Incoming::default();
    assert!(incoming.read(theirs.as_fd(), MsgFlags::empty()).unwrap());
    assert!(incoming.take().is_err());
}
