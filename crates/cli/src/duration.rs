//! Durations as people write them on a command line: `30s`, `5m`, `1m30s`, `250ms`.

use std::time::Duration;

/// Reads a duration: numbers, each with a unit (`ms`, `s`, `m`, `h`), one after the other.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is no duration; write 30s, 5m, 1m30s or 250ms");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| at + digits);
        let milliseconds = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(refuse()),
        };
        let part = number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(refuse)?;
        total = total.checked_add(part).ok_or_else(refuse)?;
        rest = &rest[unit_end..];
    }
    Ok(total)
}

/// Writes a duration the way [`parse`] reads it.
pub fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
    match (seconds / 60, seconds % 60, rest) {
        (0, 0, rest) => format!("{rest}ms"),
        (0, seconds, 0) => format!("{seconds}s"),
        (0, seconds, rest) => format!("{seconds}s{rest}ms"),
        (minutes, 0, _) => format!("{minutes}m"),
        (minutes, seconds, _) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_may_follow_each_other() {
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
    }

    #[test]
    fn a_number_without_unit_is_refused_with_an_example() {
        for text in ["", "5", "m", "5x", "-1s", "99999999999999999h", "1.5s"] {
            assert!(parse(text).is_err_and(|why| why.contains("1m30s")), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for milliseconds in [0, 250, 1_000, 1_500, 60_000, 90_000, 300_000] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse(&show(duration)), Ok(duration));
        }
    }
}
