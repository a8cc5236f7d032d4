//! Texts to numbers as Go's `strconv` reads them with base 0. Knows nothing of templates.

/// Whether each `_` stands between digits, or between a base's prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let based = digits.len() > 1 && digits.starts_with('0') && "bBoOxX".contains(&digits[1..2]);
    let rest = if based { &digits[2..] } else { digits };
    let is_hexadecimal = based && "xX".contains(&digits[1..2]);
    let mut before = if based { '0' } else { '!' };
    for c in rest.chars() {
        let is_digit = c.is_ascii_digit() || (is_hexadecimal && c.is_ascii_hexdigit());
        let c = if is_digit { '0' } else { c };
        if (c == '_' && before != '0') || (before == '_' && c != '0') {
            return false;
        }
        before = c;
    }
    before != '_'
}

/// Sign, radix and digits of a whole number.
fn parts(text: &str) -> Option<(bool, u32, String)> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let (radix, rest) = match (lower.strip_prefix("0x"), lower.strip_prefix("0o"), lower.strip_prefix("0b")) {
        (Some(rest), ..) => (16, rest),
        (_, Some(rest), _) => (8, rest),
        (.., Some(rest)) => (2, rest),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let bare = rest.replace('_', "");
    let fits = !bare.is_empty() && bare.chars().all(|c| c.is_digit(radix));
    fits.then_some((negative, radix, bare))
}

/// A whole number of 64 bits: decimal, `0x`, `0o`, `0b`, a leading zero for octal, `_` between digits.
pub fn integer(text: &str) -> Option<i64> {
    let (negative, radix, digits) = parts(text)?;
    let sign = if negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// As `integer`, without a sign.
pub fn unsigned(text: &str) -> Option<u64> {
    if text.starts_with(['+', '-']) {
        return None;
    }
    let (_, radix, digits) = parts(text)?;
    u64::from_str_radix(&digits, radix).ok()
}

/// A floating point number; `inf`, `infinity` and `nan` in any case are ones. Hexadecimal ones with
/// an exponent are read, too.
pub fn float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let bare = text.replace('_', "").to_ascii_lowercase();
    let digits = bare.trim_start_matches(['+', '-']);
    if bare.len() - digits.len() > 1 {
        return None;
    }
    if let Some(rest) = digits.strip_prefix("0x") {
        return hexadecimal(rest).map(|number| if bare.starts_with('-') { -number } else { number });
    }
    let is_word = matches!(digits, "inf" | "infinity" | "nan");
    let is_number = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-'));
    let number: f64 = (is_word || is_number).then(|| bare.parse().ok())??;
    (is_word || number.is_finite()).then_some(number)
}

fn hexadecimal(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    let number = value * 2f64.powi(scale);
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in
            [("42", 42), ("-42", -42), ("010", 8), ("0x1f", 31), ("0b11", 3), ("0o17", 15), ("1_0", 10), ("0_7", 7)]
        {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in ["", "-", "08", "1_", "_1", "1__0", "0x", "1.0", "9223372036854775808", "--1"] {
            assert_eq!(integer(text), None, "{text}");
        }
        assert_eq!(unsigned("18446744073709551615"), Some(u64::MAX));
        assert_eq!(float("1e3"), Some(1000.0));
        assert_eq!(float("0x1.8p1"), Some(3.0));
        assert_eq!(float("-Inf"), Some(f64::NEG_INFINITY));
        assert_eq!(float("1e999"), None);
        assert_eq!(float("1e"), None);
    }
}
