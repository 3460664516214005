//! `dhcp-observer detach`.

use crate::bench::{Bench, EVERY_ROAD, NEEDS};

#[test]
fn detach_removes_what_a_killed_observer_left_and_nothing_else() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for attach in EVERY_ROAD {
        let mut bench = Bench::new();
        let text = |bench: &Bench| {
            let output = bench.detach(&[]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(text(&bench), "nothing of ours is pinned or attached\n");
        let observer = bench.observe(&["--attach", attach]);
        let pins = bench.pins();
        let said = text(&bench);
        assert!(
            said.starts_with("left /sys/fs/bpf/") && said.ends_with("an observer is running there\n"),
            "{said}"
        );
        assert_eq!((bench.programs(), bench.pins()), (2, pins), "{attach}: it runs on");
        bench.client(1).bind().unwrap();
        observer.kill().unwrap();
        let said = text(&bench);
        assert!(said.contains("removed /sys/fs/bpf/dhcp-observer/net"), "{said}");
        assert!(said.contains("(attached to s0)"), "{said}");
        assert_eq!(said.contains("removed 2 clsact filters from s0"), attach == "clsact", "{said}");
        bench.assert_nothing_is_left();
        bench.client(2).bind().unwrap();
        assert_eq!(text(&bench), "nothing of ours is pinned or attached\n");
    }
}
