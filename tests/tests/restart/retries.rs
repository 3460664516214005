//! Retries are counted over a death of the observer, however a hook is run.

use std::fs;

use observer_tests::observer::Observer;
use observer_tests::service::write_script;
use observer_tests::wait;

use crate::bench::{Bench, NEEDS, SOON};

/// How a hook is run, in the words of the configuration, and where its script finds the number of its attempt.
const MODES: [(&str, &str); 3] = [
    ("mode = \"exec\"", "attempt=$OBSERVER_ATTEMPT"),
    ("mode = \"stream\"", JSON),
    ("mode = \"batch\"\nbatch_time = \"10ms\"", JSON),
];
const JSON: &str = "read -r line; line=${line#*\\\"attempt\\\":}; attempt=${line%%,*}";

#[test]
fn a_call_that_failed_before_a_crash_has_as_many_retries_left_as_it_had() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for (mode, finds) in MODES {
        let bench = Bench::new(None);
        let path = |name: &str| bench.scratch.path().join(name);
        let (log, hold) = (path("attempts"), path("hold2"));
        // Each attempt fails, but the second one does not come to its end.
        let text = format!(
            "#!/bin/sh\n{finds}\necho $attempt >>{}\nwhile [ -e {}$attempt ]; do /bin/sleep 0.05; done\nexit 1\n",
            log.display(),
            path("hold").display(),
        );
        fs::write(&hold, "").unwrap();
        let script = write_script(bench.scratch.path(), "fails.sh", &text).unwrap();
        let config = format!(
            "[[interface]]\nname = \"s0\"\n[store]\ndirectory = {:?}\n[[hook]]\nname = \"fails\"\n\
             command = {script:?}\nretries = 2\nretry_delay = \"10ms\"\n{mode}\n",
            bench.state(),
        );
        let (file, state) = (path("c.toml"), bench.state());
        fs::write(&file, config).unwrap();
        let observe = |name: &str| {
            let directory = bench.scratch.directory(name).unwrap();
            let arguments = ["--config", file.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
            Observer::start_with(&bench.cable.server.namespace, &directory, "s0", &arguments).unwrap()
        };
        let attempts = || -> Vec<u32> {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.lines().map(|line| line.parse().unwrap()).collect()
        };

        let first = observe("first");
        bench.client(1).bind().unwrap();
        wait::until("the second attempt, and the failure of the first in the store", SOON, || {
            let is_noted = bench.listed(&[]).iter().any(|call| call["failures"] == 1);
            Ok((is_noted && attempts() == [1, 2]).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#} ({mode}): {:?} {:#?}", attempts(), bench.listed(&[])));
        first.kill().unwrap();
        fs::remove_file(&hold).unwrap();

        // Nobody knows how the second one would have ended. So one failed, and two retries are left.
        let second = observe("second");
        bench.wait_for_state("dead", 1);
        assert_eq!(attempts(), [1, 2, 3, 4], "{mode}");
        let dead = &bench.listed(&["--failed"])[0];
        assert_eq!((&dead["attempts"], &dead["failures"]), (&4.into(), &2.into()), "{mode}: {dead:#}");
        second.stop().unwrap();
    }
}
