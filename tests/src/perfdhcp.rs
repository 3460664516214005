//! What perfdhcp reports.

use anyhow::{Context, Result};

/// One kind of exchange, such as `REQUEST-ACK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanges {
    /// Questions.
    pub sent: u64,
    /// Answers that came in time.
    pub received: u64,
    /// Answers that were nobody's.
    pub orphans: u64,
}

/// Reads the numbers of one kind of exchange from perfdhcp's report.
pub fn exchanges(report: &str, kind: &str) -> Result<Exchanges> {
    let title = format!("***Statistics for: {kind}***");
    let section = report.split_once(&title).with_context(|| format!("no {title} in the report"))?.1;
    let section = section.split("***").next().unwrap_or(section);
    let number = |name: &str| -> Result<u64> {
        let line = section.lines().find_map(|line| line.trim().strip_prefix(name));
        let line = line.with_context(|| format!("no {name:?} in the report"))?;
        line.trim_start_matches(':').trim().parse().with_context(|| format!("{name}{line:?} is no number"))
    };
    Ok(Exchanges { sent: number("sent packets")?, received: number("received packets")?, orphans: number("orphans")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = "***Rate statistics***\nRate: 1\n\n***Statistics for: DISCOVER-OFFER***\nsent packets: 4\n\
                      received packets: 3\ndrops: 1\norphans: 0\n\n***Statistics for: REQUEST-ACK***\n\
                      sent packets: 3\nreceived packets: 2\ndrops: 1\norphans: 7\n";
        let expected = Exchanges { sent: 3, received: 2, orphans: 7 };
        assert_eq!(exchanges(report, "REQUEST-ACK").unwrap(), expected);
        assert!(exchanges(report, "RENEW-REPLY").is_err());
    }
}
