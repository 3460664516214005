//! Files inside files.

use super::*;
use crate::config::KeaVersion;

#[test]
fn an_included_file_is_found_beside_the_one_that_includes_it() {
    let directory = Directory::new();
    directory.write("parts/more.json", "{\"subnet\":\"11.0.0.0/8\"}, <?include \"last.json\" ?>");
    directory.write("parts/last.json", "{\"subnet\":\"12.0.0.0/8\"} // no newline");
    let path = directory.write(
        "kea.conf",
        "{\"Dhcp4\":{\"subnet4\":[{\"subnet\":\"10.0.0.0/8\"},<?\n include\t\"parts/more.json\"?>,]}}",
    );
    let dhcp4 = load(&[path], KeaVersion::default()).unwrap().dhcp4;
    let names: Vec<_> = dhcp4.subnets().iter().map(Subnet4::name).collect();
    assert_eq!(names, ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"]);
}

#[test]
fn an_error_inside_an_include_names_the_included_file() {
    let directory = Directory::new();
    for (included, expected) in [
        ("{\n \"subnet\": 5 }", "part.json:2:12: subnet: found 5, expected a string"),
        ("{\n \"subnet\" 5 }", "part.json:2:11: found `5`, expected `:` behind \"subnet\""),
        ("{ \"id\": \"7", "part.json:1:9: found a string without its closing quote on the same line"),
        ("/* open", "part.json:1:1: found the end of the file in the comment opened here, expected `*/`"),
        ("{ ", "kea.conf:1:45: found `]`, expected a key in quotes, or `}`"),
    ] {
        directory.write("part.json", included);
        let text = "{\"Dhcp4\":{\"subnet4\":[<?include \"part.json\"?>]}}";
        assert_eq!(directory.error_of(text), expected, "{included}");
    }
}

#[test]
fn a_bad_include_is_an_error_at_the_directive() {
    let directory = Directory::new();
    directory.write("loop.json", "1, <?include \"loop.json\"?>");
    for (directive, expected) in [
        ("<?include \"kea.conf\"?>", "kea.conf:1:25: found \"kea.conf\", which includes itself"),
        ("<?include \"loop.json\"?>", "loop.json:1:14: found \"loop.json\", which includes itself"),
        (
            "<?include \"none.json\"?>",
            "kea.conf:1:25: found \"none.json\", expected a file to include: No such file or directory (os error 2)",
        ),
        ("<?import \"x\"?>", "kea.conf:1:15: found another directive, expected `<?include \"file\"?>`"),
        ("<?include x?>", "kea.conf:1:15: found another directive, expected `<?include \"file\"?>`"),
        (
            "<?include \"x\" >",
            "kea.conf:1:15: found a directive that is not closed, expected `<?include \"file\"?>`",
        ),
        (
            "<?include \"\"?>",
            "kea.conf:1:15: found a directive that is not closed, expected `<?include \"file\"?>`",
        ),
        (
            "<?include \"x",
            "kea.conf:1:15: found a directive that is not closed, expected `<?include \"file\"?>`",
        ),
    ] {
        assert_eq!(directory.error_of(format!("{{\"Dhcp4\":{{\"a\":{directive}")), expected);
    }
}

#[test]
fn includes_are_as_deep_as_in_kea_and_no_deeper() {
    let directory = Directory::new();
    for level in 1..=12 {
        directory.write(&format!("{level}.json"), format!("<?include \"{}.json\"?>", level + 1));
    }
    directory.write("12.json", "{}");
    let nested = |first: u32| format!("{{\"Dhcp4\":<?include \"{first}.json\"?>}}");
    assert!(
        load(&[directory.write("kea.conf", nested(2))], KeaVersion::default()).is_ok(),
        "11 inside the first"
    );
    assert_eq!(directory.error_of(nested(1)), "11.json:1:11: found more than 11 files inside each other");
}
