//! Values in the forms that people write them.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::integer;

/// What [`duration`] takes, for messages.
pub(super) const DURATION: &str = "a length of time such as \"60s\", \"500ms\" or a number of seconds";

/// The longest length of time: nobody means more, and sums of it must stay in range.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// `"500ms"`, `"60s"`, `"2m"`, `"1h"`, `"1d"`, with or without a fraction, or a number of seconds.
pub(super) fn duration(value: &DeValue<'_>) -> Option<Duration> {
    let seconds = match value {
        DeValue::Integer(_) => u32::try_from(integer(value)?).ok().map(f64::from)?,
        DeValue::Float(number) => number.as_str().parse().ok()?,
        DeValue::String(text) => {
            let number = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
            let unit = match text.strip_prefix(number)? {
                "ms" => 0.001,
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
            // What f64 takes beside digits is no number of anything here.
            let digits = number.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
            number.parse::<f64>().ok().filter(|_| digits)? * unit
        }
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|length| *length <= LONGEST)
}

/// A path that begins at the root: which directory a daemon runs in is nothing to rely on.
pub(super) fn absolute(value: &DeValue<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(value.as_str()?);
    (path.is_absolute() && !value.as_str()?.contains('\0')).then_some(path)
}

/// A name, or the number that stands for one.
pub(super) fn name_or_number(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(_) => {
            integer(value).and_then(|number| u32::try_from(number).ok()).map(|id| id.to_string())
        }
        DeValue::String(text) if !text.is_empty() && !text.contains('\0') => Some(text.to_string()),
        _ => None,
    }
}

/// VLAN identifiers from the outermost to the innermost: `100`, `"100.7"`; `0` for untagged.
pub(super) fn vlan(value: &DeValue<'_>) -> Option<Vec<u16>> {
    let ids: Vec<u16> = match value {
        DeValue::Integer(_) => vec![u16::try_from(integer(value)?).ok()?],
        DeValue::String(text) => text.split('.').map(|id| id.parse().ok()).collect::<Option<_>>()?,
        _ => return None,
    };
    match ids.as_slice() {
        [0] => Some(Vec::new()),
        ids if ids.iter().all(|id| (1..=4_094).contains(id)) => Some(ids.to_vec()),
        _ => None,
    }
}

/// The first octets of a hardware address: `"02:00:5e"`.
pub(super) fn hwaddr(value: &DeValue<'_>) -> Option<Vec<u8>> {
    let octets = value.as_str()?.split(':').map(|octet| {
        (octet.len() == 2).then_some(())?;
        octet.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
        u8::from_str_radix(octet, 16).ok()
    });
    octets.collect::<Option<Vec<_>>>().filter(|octets| octets.len() <= crate::identity::HardwareAddress::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str, read: impl Fn(&DeValue<'_>) -> Option<T>) -> Option<T> {
        read(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn lengths_of_time() {
        for (text, millis) in [
            ("60", 60_000),
            ("0", 0),
            ("1.5", 1_500),
            ("\"60s\"", 60_000),
            ("\"500ms\"", 500),
            ("\"2m\"", 120_000),
            ("\"2min\"", 120_000),
            ("\"1.5h\"", 5_400_000),
            ("\"1d\"", 86_400_000),
        ] {
            assert_eq!(read(text, duration), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "-1",
            "\"soon\"",
            "\"60\"",
            "\"\"",
            "\"s\"",
            "\"-1s\"",
            "\"1e3s\"",
            "\"infs\"",
            "inf",
            "nan",
            "true",
            "\"99999999999d\"",
            "\"1 s\"",
            "99999999999",
        ] {
            assert_eq!(read(text, duration), None, "{text}");
        }
    }

    #[test]
    fn vlans_and_hardware_addresses() {
        for (text, expected) in [
            ("100", Some(vec![100])),
            ("0", Some(vec![])),
            ("\"100.7\"", Some(vec![100, 7])),
            ("4095", None),
            ("\"100.0\"", None),
            ("\"\"", None),
            ("-1", None),
        ] {
            assert_eq!(read(text, vlan), expected, "{text}");
        }
        assert_eq!(read("\"02:00:5E\"", hwaddr), Some(vec![2, 0, 0x5e]));
        for text in ["\"\"", "\"2:0\"", "\"02:+1\"", "\"02-00\"", "2"] {
            assert_eq!(read(text, hwaddr), None, "{text}");
        }
    }
}
