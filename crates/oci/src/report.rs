//! A refusal, appended to the file that the engine reads: it shows that text as it is, while what
//! stands on standard error is shown by nobody.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

/// Appends `message` to the log file, if there is one, and prints it.
pub fn refuse(log: Option<&Path>, message: &str) {
    eprintln!("{message}");
    let Some(log) = log else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = json!({"level": "error", "msg": message, "time": timestamp(now)});
    // Nobody is left to be told of a failure here; the exit status still says that it failed.
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(log) {
        let _ = writeln!(file, "{line}");
    }
}

/// A time since 1970 as RFC 3339 in UTC, to the second.
pub fn timestamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, of_day) = (seconds / 86400, seconds % 86400);
    // Years that begin in March make the leap day the last one; 146097 days are 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_the_calendar_does() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_refusal_is_one_line_of_json() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.json");
        refuse(Some(&log), "no \"facts\"\nhere");
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
        assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("error"), Some("no \"facts\"\nhere")));
    }
}
