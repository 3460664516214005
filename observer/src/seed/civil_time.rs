//! Dates of the Gregorian calendar, in UTC, as ISC dhcpd writes them.

use crate::time::Timestamp;

/// A day and a time, `2026/11/21` and `17:00:00`.
pub(super) fn timestamp(date: &[u8], time: &[u8]) -> Option<Timestamp> {
    let [year, month, day] = numbers(date, b'/')?;
    let [hour, minute, second] = numbers(time, b':')?;
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // The second 60 is a leap second.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    (is_date && is_time).then(|| {
        let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Timestamp::from_seconds(seconds)
    })
}

fn numbers(text: &[u8], separator: u8) -> Option<[i64; 3]> {
    let number = |digits: &[u8]| {
        let is_number = (1..=4).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    };
    let found: Option<Vec<i64>> = text.split(|&byte| byte == separator).map(number).collect();
    found?.try_into().ok()
}

/// Days from 1970-01-01. The year is taken to begin in March, so that the leap day is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // Months from March on have 31, 30, 31, 30, 31 days, over and over.
    let days_before_month = (153 * month + 2) / 5;
    // 719,469 days lie between the first of March of the year 0 and 1970-01-01, and a month's first day is 1.
    365 * year + leap_days + days_before_month + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date_u() {
        for (date, time, seconds) in [
            ("1970/01/01", "00:00:00", Some(0)),
            ("2000/02/29", "12:34:56", Some(951_827_696)),
            ("2026/11/21", "17:00:00", Some(1_795_280_400)),
            ("2100/03/01", "00:00:00", Some(4_107_542_400)),
            ("2024/12/31", "23:59:60", Some(1_735_689_600)),
            ("2026/13/01", "00:00:00", None),
            ("2026/00/01", "00:00:00", None),
            ("2026/11", "00:00:00", None),
            ("2026/11/21", "24:00:00", None),
            ("2026/11/21", "17:00", None),
            ("x/1/1", "17:00:00", None),
        ] {
            let found = timestamp(date.as_bytes(), time.as_bytes()).map(Timestamp::unix_seconds);
            assert_eq!(found, seconds, "{date} {time}");
        }
    }
}
