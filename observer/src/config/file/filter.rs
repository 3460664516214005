//! `[hook.filter]`.

use toml::de::DeValue;

use super::reader::{At, Section};
use super::value;
use crate::dispatch::Filter;
use crate::dispatch::filter::Pattern;

/// A pattern, for messages.
const PATTERN: &str = "text, or \"0x\" and hexadecimal octets, with * for whatever";

pub(super) fn read(section: &Section<'_, '_>) -> Filter {
    fn values<T>(found: Vec<At<T>>) -> Vec<T> {
        found.into_iter().map(|found| found.value).collect()
    }
    let patterns = |key| {
        let pattern = |value: &DeValue<'_>| value.as_str()?.parse::<Pattern>().ok();
        values(section.several(key, PATTERN, pattern))
    };
    let filter = Filter {
        subnet: values(section.several("subnet", "a prefix such as \"192.0.2.0/24\" or \"2001:db8::/32\"", |value| {
            value.as_str()?.parse().ok()
        })),
        interface: values(section.several("interface", "the name of an interface", |value| {
            value.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
        })),
        vlan: values(section.several(
            "vlan",
            "a VLAN identifier from 1 to 4094, several from outside to inside such as \"100.7\", or 0 for untagged",
            value::vlan,
        )),
        hwaddr: values(section.several("hwaddr", "the first octets of a hardware address, such as \"02:00:5e\"", value::hwaddr)),
        vendor_class: patterns("vendor_class"),
        user_class: patterns("user_class"),
        circuit_id: patterns("circuit_id"),
        remote_id: patterns("remote_id"),
    };
    section.finish();
    filter
}
