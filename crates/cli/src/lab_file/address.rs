//! What the value of `-t` names: a file or directory, the input, or an address on the web. Fetches
//! nothing.

use std::path::{Path, PathBuf};

/// What is named.
#[derive(Debug, PartialEq, Eq)]
pub enum Named {
    /// A file, or the directory of one.
    File(PathBuf),
    /// The standard input.
    Input,
    /// An address, as it is fetched.
    Url(String),
    /// Something that is understood and not fetched.
    Refused {
        /// Why not.
        why: String,
        /// What to do.
        hint: String,
    },
}

/// What `text` names; what exists here is always a file.
pub fn named(text: &str) -> Named {
    match text {
        "-" | "stdin" => Named::Input,
        text if Path::new(text).exists() => Named::File(PathBuf::from(text)),
        text => elsewhere(text).unwrap_or_else(|| Named::File(PathBuf::from(text))),
    }
}

fn elsewhere(text: &str) -> Option<Named> {
    let is_git = text.starts_with("git@") || text.starts_with("ssh://") || text.starts_with("git://");
    if is_git || text.ends_with(".git") {
        return Some(repository(text));
    }
    if text.starts_with("s3://") {
        return Some(Named::Refused {
            why: format!("{text} lies in S3, from where topology files are not fetched"),
            hint: "copy it here first, or name it by its https address".into(),
        });
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Some(match scheme.to_ascii_lowercase().as_str() {
            known @ ("https" | "http") => web(&format!("{known}://{rest}")),
            _ => Named::Refused {
                why: format!("{text} is not fetched: topology files are, by https and http"),
                hint: "copy it here first, or name it by its https address".into(),
            },
        });
    }
    let (host, path) = text.split_once('/')?;
    let known = ["github.com", "github.dev", "gitlab.com", "raw.githubusercontent.com"].contains(&host);
    let is_host = host.contains('.') && !host.starts_with('.') || host.starts_with("localhost:");
    if known || has_port(host) || (is_host && !path.contains('.')) {
        return Some(web(&format!("{}://{text}", scheme(host))));
    }
    let is_word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let is_pair = !path.contains('/') && !host.contains('.') && is_word(host) && is_word(path);
    let is_topology = path.ends_with(".yml") || path.ends_with(".yaml");
    (is_pair && !is_topology).then(|| repository(text))
}

/// No directory is called so by anybody who has files in it.
fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
}

/// A host of this machine has no certificate.
fn scheme(host: &str) -> &'static str {
    match host.starts_with("127.") || host.starts_with("localhost") {
        true => "http",
        false => "https",
    }
}

fn repository(text: &str) -> Named {
    Named::Refused {
        why: format!(
            "{text} is no file here; as the name of a repository it would have to be cloned, which is not done"
        ),
        hint: "clone it and name the file in it, or name the file's own address on GitHub or GitLab".into(),
    }
}

/// An address; a page that shows a file becomes the file itself.
fn web(url: &str) -> Named {
    let Some((scheme, rest)) = url.split_once("://") else { return Named::Url(url.to_owned()) };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let bare = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
    let parts: Vec<&str> = bare.split('/').collect();
    match (host, parts.as_slice()) {
        ("github.com" | "www.github.com" | "github.dev", [owner, name, "blob", file @ ..]) if file.len() > 1 => {
            Named::Url(format!("{scheme}://raw.githubusercontent.com/{owner}/{name}/{}", file.join("/")))
        }
        ("github.com" | "www.github.com" | "github.dev", [_, _, "raw", ..]) => Named::Url(url.to_owned()),
        ("github.com" | "www.github.com" | "github.dev", _) => repository(url),
        (host, _) if host.contains("gitlab") => match bare.split_once("/-/blob/") {
            Some((project, file)) => Named::Url(format!("{scheme}://{host}/{project}/-/raw/{file}")),
            None if bare.contains("/-/raw/") => Named::Url(url.to_owned()),
            None => repository(url),
        },
        _ => Named::Url(url.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        match named(text) {
            Named::Url(url) => url,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn an_address_becomes_that_of_the_file_itself() {
        assert_eq!(url("https://h.example/a/x.clab.yml"), "https://h.example/a/x.clab.yml");
        assert_eq!(url("h.example/short"), "https://h.example/short");
        assert_eq!(url("127.0.0.1:8080/short"), "http://127.0.0.1:8080/short");
        assert_eq!(url("127.0.0.1:8080/x.clab.yml"), "http://127.0.0.1:8080/x.clab.yml");
        assert_eq!(url("h.example:8443/x.clab.yml"), "https://h.example:8443/x.clab.yml");
        assert_eq!(url("HTTP://h.example/x.clab.yml"), "http://h.example/x.clab.yml");
        let raw = "https://raw.githubusercontent.com/o/r/main/d/x.clab.yml";
        assert_eq!(url("https://github.com/o/r/blob/main/d/x.clab.yml"), raw);
        assert_eq!(url("github.com/o/r/blob/main/d/x.clab.yml"), raw);
        assert_eq!(url(raw), raw);
        assert_eq!(
            url("https://gitlab.com/g/s/p/-/blob/v1/x.clab.yml"),
            "https://gitlab.com/g/s/p/-/raw/v1/x.clab.yml"
        );
    }

    #[test]
    fn what_would_have_to_be_cloned_is_refused_with_words() {
        for text in [
            "o/r",
            "https://github.com/o/r",
            "https://github.com/o/r/tree/main/d",
            "git@github.com:o/r.git",
            "https://gitlab.com/g/p",
            "https://h.example/x.git",
            "s3://bucket/x.clab.yml",
            "ftp://h.example/x.clab.yml",
        ] {
            assert!(matches!(named(text), Named::Refused { .. }), "{text}");
        }
    }

    #[test]
    fn everything_else_is_a_file() {
        for text in
            ["x.clab.yml", "./x", "../a/b.clab.yml", "labs/x.clab.yml", "/tmp/none", "a/b/c", "h.example/x.clab.yml"]
        {
            assert_eq!(named(text), Named::File(text.into()));
        }
        assert_eq!(named("-"), Named::Input);
        assert_eq!(named("stdin"), Named::Input);
    }
}
