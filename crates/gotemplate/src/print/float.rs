//! Floating point numbers as Go's `strconv` writes them.

/// `number` for the verbs `e`, `f` and `g` (or in capitals); no precision is the shortest text
/// that means this number. Without a plus sign.
pub fn text(number: f64, verb: char, precision: Option<usize>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let capital = verb.is_ascii_uppercase();
    let shown = match (verb.to_ascii_lowercase(), precision) {
        ('e', Some(precision)) => exponent(&format!("{number:.precision$e}")),
        ('e', None) => exponent(&format!("{number:e}")),
        ('f', Some(precision)) => format!("{number:.precision$}"),
        ('f', None) => format!("{number}"),
        _ => general(number, precision),
    };
    if capital { shown.to_uppercase() } else { shown }
}

/// Rust's `1.5e7` as Go's `1.5e+07`.
fn exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The shorter of both forms, without zeros at its end.
fn general(number: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        Some(precision) => format!("{number:.*e}", precision.max(1) - 1),
        None => format!("{number:e}"),
    };
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let mut limit = precision.map_or(6, |precision| i32::try_from(precision.max(1)).unwrap_or(i32::MAX));
    if precision.is_some() && limit > count && count > power {
        limit = count;
    }
    if power < -4 || power >= limit {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return exponent(&format!("{sign}{first}{point}{rest}e{power}"));
    }
    let placed = match usize::try_from(power) {
        Err(_) => {
            let zeros = usize::try_from(-power - 1).unwrap_or(0);
            format!("0.{}{digits}", "0".repeat(zeros))
        }
        Ok(power) if digits.len() > power + 1 => format!("{}.{}", &digits[..=power], &digits[power + 1..]),
        Ok(power) => format!("{digits:0<width$}", width = power + 1),
    };
    format!("{sign}{placed}")
}
