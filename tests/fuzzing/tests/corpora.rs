//! The corpora of the fuzz targets on stable Rust: what a fuzzer once found interesting, or fatal, holds.

use std::ffi::OsString;
use std::panic::catch_unwind;
use std::path::Path;

use observer_fuzzing::TARGETS;

#[test]
fn every_input_of_every_corpus_holds() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut names: Vec<_> = corpora.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| OsString::from(name)).collect();
    targets.sort();
    assert_eq!(names, targets, "a corpus for each target");

    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let mut inputs = 0;
        for entry in corpora.join(name).read_dir().unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            inputs += 1;
            if catch_unwind(|| target(&input)).is_err() {
                broken.push(format!("{name}: {}", path.display()));
            }
        }
        println!("{name}: {inputs} inputs");
        assert!(inputs >= 10, "{name} has {inputs} inputs, which is no corpus");
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_input_is_too_short_for_a_target() {
    for (_, target) in TARGETS {
        for input in [&[][..], &[0], &[255; 7]] {
            target(input);
        }
    }
}
