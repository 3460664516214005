//! What the journal gets.

use serde_json::Value;

use crate::bench::{Bench, CONFIG, DUMP, UNIT, cannot, config};

#[test]
fn the_journal_knows_how_grave_a_line_is() {
    if cannot() {
        return;
    }
    for format in ["text", "journald"] {
        let log = format!("[log]\nformat = {format:?}\n");
        let bench = Bench::new(&format!("{DUMP}{log}"), &[]);
        bench.systemctl(&["start"]);
        bench.machine.write(CONFIG, &config("[[hook]]\nname = \"x\"\n")).unwrap();
        // Without the check of `systemctl reload`.
        bench.systemctl(&["kill", "--kill-whom=main", "--signal=HUP"]);
        bench.wait_for_journal("config.toml:3");
        let grave = bench.records(&["--priority=err"]);
        let text = |record: &Value| record["MESSAGE"].as_str().unwrap().to_owned();
        let grave: Vec<_> = grave.iter().map(text).collect();
        assert!(grave.len() == 2 && grave[0].contains("not reloaded"), "{format}: {grave:?}");
        let ready = bench.records(&["--priority=info..info", "--grep=ready: "]);
        assert_eq!(ready.len(), 1, "{format}: {}", bench.journal());
        // The journal has the time of each line.
        assert!(!text(&ready[0]).contains("20"), "{format}: {ready:?}");
        assert_eq!(ready[0]["_SYSTEMD_UNIT"], UNIT, "{format}: {ready:?}");
    }
}
