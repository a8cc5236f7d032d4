//! Plain scalars as YAML 1.1 readers take them where a number or a truth is expected: what
//! containerlab's reader (Go's yaml.v2) makes of them.

use archetype_gotemplate::number as go;

/// What a plain scalar stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// Nothing.
    Null,
    /// A truth.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// A whole number that only fits without a sign.
    Unsigned(u64),
    /// A floating point number.
    Float(f64),
    /// Its own text; dates are ones, too.
    Text,
}

/// What `text`, written without quotes, stands for.
pub fn resolved(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if let Some(truth) = truth(text) {
        return Resolved::Truth(truth);
    }
    if text.starts_with('.') {
        return go::float(text).map_or(Resolved::Text, Resolved::Float);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') {
        return Resolved::Text;
    }
    let bare = text.replace('_', "");
    if let Some(number) = go::integer(&bare) {
        return Resolved::Whole(number);
    }
    if let Some(number) = go::unsigned(&bare) {
        return Resolved::Unsigned(number);
    }
    match is_decimal(&bare).then(|| go::float(&bare)).flatten() {
        Some(number) => Resolved::Float(number),
        None => Resolved::Text,
    }
}

/// Digits with at most one point and an exponent.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0 && !exponent.is_empty() && digits(exponent)
}

/// The truth a plain word stands for.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The whole number a plain text stands for: decimal, `0x`, `0b`, `0o` or a leading zero for
/// octal, `_` between digits; a fraction loses what stands behind its point.
pub fn whole(text: &str) -> Option<i64> {
    match resolved(text) {
        Resolved::Whole(number) => Some(number),
        Resolved::Float(number) if number.abs() < 9e15 => Some(number as i64),
        _ => None,
    }
}

/// The number a plain text stands for.
pub fn number(text: &str) -> Option<f64> {
    match resolved(text) {
        Resolved::Whole(number) => Some(number as f64),
        Resolved::Unsigned(number) => Some(number as f64),
        Resolved::Float(number) if number.is_finite() => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_yaml_1_1() {
        for (text, number) in [
            ("9500", 9500),
            ("010", 8),
            ("08", 8),
            ("0x1f", 31),
            ("0b11", 3),
            ("0o17", 15),
            ("1_000", 1000),
            ("+5", 5),
            ("-3", -3),
            ("1500.0", 1500),
            ("1500.7", 1500),
            ("1e3", 1000),
            (".5", 0),
            ("0", 0),
        ] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        for no in ["", "ten", "12:30", "0x", "1e400", "2026-01-01", ".", "-", "~", "y", "1e"] {
            assert_eq!(whole(no), None, "{no}");
        }
        assert_eq!(number("1.5"), Some(1.5));
        assert_eq!(number("1."), Some(1.0));
        assert_eq!(number(".inf"), None);
        assert_eq!(resolved("18446744073709551615"), Resolved::Unsigned(u64::MAX));
        assert_eq!(resolved("2026-01-01"), Resolved::Text);
        assert_eq!(resolved("Off"), Resolved::Truth(false));
    }
}
