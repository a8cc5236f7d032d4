//! Plain scalars as YAML 1.1 readers take them where a number or a truth is expected.

/// The truth a plain word stands for.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The whole number a plain text stands for: decimal, `0x`, `0b`, `0o` or a leading zero for
/// octal, `_` between digits, or a decimal fraction that is whole.
pub fn whole(text: &str) -> Option<i64> {
    let bare = text.replace('_', "");
    let (negative, digits) = match bare.strip_prefix(['-', '+']) {
        Some(rest) => (bare.starts_with('-'), rest),
        None => (false, bare.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let radix = |prefix: &str, radix| digits.strip_prefix(prefix).map(|rest| i64::from_str_radix(rest, radix));
    let parsed = radix("0x", 16)
        .or_else(|| radix("0X", 16))
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0", 8).filter(|_| digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit())))
        .unwrap_or_else(|| digits.parse());
    match parsed {
        Ok(number) => Some(if negative { -number } else { number }),
        Err(_) => number(text).filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i64),
    }
}

/// The number a plain text stands for.
pub fn number(text: &str) -> Option<f64> {
    let bare = text.replace('_', "");
    let fits = bare.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'));
    let begins = bare.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match bare.parse::<f64>() {
        Ok(number) if fits && begins && number.is_finite() => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_yaml_1_1() {
        assert_eq!(whole("9500"), Some(9500));
        assert_eq!(whole("010"), Some(8));
        assert_eq!(whole("0x1f"), Some(31));
        assert_eq!(whole("1_000"), Some(1000));
        assert_eq!(whole("-3"), Some(-3));
        assert_eq!(whole("1500.0"), Some(1500));
        assert_eq!(whole("0"), Some(0));
        for no in ["", "1.5", "ten", "12:30", "0x", "1e400", "2026-01-01", ".", "-"] {
            assert_eq!(whole(no), None, "{no}");
        }
        assert_eq!(number("1.5"), Some(1.5));
        assert_eq!(number("inf"), None);
    }
}
