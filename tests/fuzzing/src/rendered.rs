//! What a hook would be started with.

use dhcp_observer::config::KeaVersion;
use dhcp_observer::dialect::invocation::MAX_STRING;
use dhcp_observer::dialect::kea;
use dhcp_observer::tracker::LeaseEvent;

/// Whose behaviour is imitated.
pub const VERSIONS: [KeaVersion; 4] =
    [KeaVersion::V2_2, KeaVersion::V2_6, KeaVersion::V3_0, KeaVersion::V3_2];

/// Renders an event for every version of Kea; see [`check_for`].
pub fn check(event: &LeaseEvent) {
    check_for(event, &VERSIONS);
}

/// Renders an event for these versions of Kea. The kernel would start a program with each result, and no variable is there
/// twice.
pub fn check_for(event: &LeaseEvent, versions: &[KeaVersion]) {
    assert!(!event.subjects().is_empty());
    for version in versions {
        let Some(invocation) = kea::invocation(event, *version) else { continue };
        assert_eq!(invocation.at, event.at);
        let strings = || invocation.environment.iter().chain(invocation.arguments.iter());
        for string in strings() {
            assert!(string.to_bytes_with_nul().len() <= MAX_STRING, "too long for execve");
        }
        let mut names: Vec<&[u8]> = invocation.variables().map(|(name, _)| name).collect();
        let lawful = |octet: &u8| octet.is_ascii_uppercase() || octet.is_ascii_digit() || *octet == b'_';
        assert!(names.iter().all(|name| !name.is_empty() && name.iter().all(lawful)));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a variable twice");
    }
}
