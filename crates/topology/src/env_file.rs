//! Files of environment variables: `NAME=value` lines, comments, quotes, `export`. Knows nothing
//! of topologies.

use std::collections::BTreeMap;

/// The variables of a file; a value without quotes or with double quotes may use variables set
/// above it. An error names the line, from 1, and what is wrong with it, but nothing that stands
/// there: it may be a secret.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, String)> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some(at) = line.find(['=', ':']) else {
            return Err((number, "this is not of the form NAME=value".to_owned()));
        };
        let name = line[..at].trim();
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c)) {
            return Err((number, "what stands before the \"=\" is not the name of a variable".to_owned()));
        }
        let mut rest = line[at + 1..].trim().to_owned();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some(quote) => loop {
                if let Some(end) = closing(&rest, quote) {
                    break quoted(&rest[1..end], quote, &variables);
                }
                match lines.next() {
                    Some((_, next)) => rest = format!("{rest}\n{next}"),
                    None => return Err((number, "a quote is not closed".to_owned())),
                }
            },
            None => substituted(bare(&rest), &variables),
        };
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

/// A value without quotes, up to a comment.
fn bare(rest: &str) -> &str {
    let mut end = rest.len();
    let mut before_blank = true;
    for (at, c) in rest.char_indices() {
        if c == '#' && before_blank {
            end = at;
            break;
        }
        before_blank = c.is_whitespace();
    }
    rest[..end].trim_end()
}

/// Where the quote that opens `rest` closes.
fn closing(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn quoted(inner: &str, quote: char, variables: &BTreeMap<String, String>) -> String {
    if quote == '\'' {
        return inner.to_owned();
    }
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('$') => out.push_str("\\$"),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    substituted(&out, variables)
}

/// Replaces `$NAME` and `${NAME}` by variables set above; one that is not set becomes nothing,
/// `\$` a dollar sign.
fn substituted(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if let Some(before) = rest[..at].strip_suffix('\\') {
            out.push_str(before);
            out.push('$');
            rest = &rest[at + 1..];
            continue;
        }
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{');
        let name_from = braced.unwrap_or(after);
        let length = name_from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name_from.len());
        let (name, tail) = name_from.split_at(length);
        let tail = if braced.is_some() { tail.strip_prefix('}') } else { Some(tail) };
        match tail {
            Some(tail) if !name.is_empty() => {
                out.push_str(variables.get(name).map(String::as_str).unwrap_or_default());
                rest = tail;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_as_a_shell_would() {
        let text = "# c\nA=1\nexport B = two # c\nC=\"x $A\\n\"\nD='$A'\nE=${A}y\nF=a#b\nG:yaml\nH=\"1\n2\"\n";
        let read = parse(text).unwrap();
        let wanted = [
            ("A", "1"),
            ("B", "two"),
            ("C", "x 1\n"),
            ("D", "$A"),
            ("E", "1y"),
            ("F", "a#b"),
            ("G", "yaml"),
            ("H", "1\n2"),
        ];
        assert_eq!(read, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(parse("A=1\nnonsense\n").unwrap_err().0, 2);
    }
}
