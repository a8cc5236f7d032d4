//! Spans of time as topology files write them. Knows no clock.

/// The units of a span, the longer of two that begin alike first, and their seconds.
const UNITS: [(&str, f64); 8] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// The seconds of a span like `8760h`, `1h30m5.5s` or `-1ms`, as Go's `time.ParseDuration` takes
/// it: each number has a unit, but for a lone 0.
pub fn seconds(text: &str) -> Option<f64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Some(0.0);
    }
    let mut rest = unsigned;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, factor) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit))?;
        sum += number * factor;
        rest = &rest[end + unit.len()..];
    }
    (!unsigned.is_empty()).then_some(sign * sum)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn spans_are_sums_of_numbers_with_units() {
        for (text, is) in [
            ("1h", 3600.0),
            ("1h30m", 5400.0),
            ("1.5s", 1.5),
            (".5h", 1800.0),
            ("0", 0.0),
            ("-2m", -120.0),
            ("5ms", 0.005),
        ] {
            assert_eq!(seconds(text), Some(is), "{text}");
        }
        for text in ["", "1", "1d", "h", "1 h", "-", "1h30", "1..5s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
