//! Who may come in by TCP: those who bring the token, and only under this machine's own names, so
//! that no page of somebody else's in a browser here can speak to us.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use archetype_api::{Problem, codes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::failure::Failure;
use crate::chance;

/// What a caller by TCP must bring.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// The token of a data directory, made when it is missing.
    pub fn of(data: &Path) -> io::Result<Self> {
        let path = data.join("token");
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                writeln!(file, "{}", chance::token())?;
                file.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let text = fs::read_to_string(&path)?;
        match text.trim() {
            "" => Err(io::Error::other(format!("{} is empty; remove it, and a new one is made", path.display()))),
            token => Ok(Self(token.into())),
        }
    }

    /// Whether it is what was brought, in a time that does not tell how much of it is right.
    fn is(&self, brought: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), brought.as_bytes());
        let differs = ours.iter().zip(theirs).fold(0, |differs, (a, b)| differs | (a ^ b));
        std::hint::black_box(differs) == 0 && ours.len() == theirs.len()
    }
}

/// Lets those through who bring the token.
pub(crate) async fn with_token(State(token): State<Token>, request: Request, next: Next) -> Result<Response, Failure> {
    let brought = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The scheme's name is the same in any case (RFC 9110, 11.1).
    let brought =
        brought.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match brought {
        Some((_, brought)) if token.is(brought.trim()) => Ok(next.run(request).await),
        _ => Err(Problem::new(401, codes::TOKEN_MISSING, "this address asks for a token")
            .hint("send `Authorization: Bearer TOKEN` with the content of the file `token` in the data directory")
            .into()),
    }
}

/// Lets those through who call us by a name of this machine, from no page or from one of ours.
pub(crate) async fn by_own_name(request: Request, next: Next) -> Result<Response, Failure> {
    if is_own(request.headers(), request.uri().host()) {
        return Ok(next.run(request).await);
    }
    let detail = "the request came by a name, or from a page, that is not this machine's own";
    Err(Problem::new(403, codes::ORIGIN_REFUSED, detail).hint("call 127.0.0.1, [::1] or localhost").into())
}

fn is_own(headers: &HeaderMap, of_uri: Option<&str>) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).or(of_uri);
    let origin = text(header::ORIGIN);
    host.is_some_and(is_own_authority)
        && origin.is_none_or(|origin| origin.strip_prefix("http://").is_some_and(is_own_authority))
}

fn is_own_authority(authority: &str) -> bool {
    let (name, rest) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or((rest, "]")),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port =
        |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    if !rest.is_empty() && !is_port(rest) {
        return false;
    }
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:7", "[::1]"] {
            assert!(is_own_authority(own), "{own}");
        }
        for other in [
            "",
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1",
            "[fe80::1]:80",
            "127.0.0.1.nip.io",
            "[::1].example.org",
            "127.0.0.1:80.example.org",
            "localhost:80@example.org",
        ] {
            assert!(!is_own_authority(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_right_only_whole() {
        let token = Token("abcdef".into());
        assert!(token.is("abcdef"));
        for wrong in ["", "abcde", "abcdefg", "abcdeg"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_made_once_and_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        let first = Token::of(data.path()).unwrap();
        let again = Token::of(data.path()).unwrap();
        assert_eq!(first.0, again.0);
        assert_eq!(fs::metadata(data.path().join("token")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
