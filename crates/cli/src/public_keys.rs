//! The public ssh keys of whoever runs a command: those that containerlab collects for the nodes of
//! a lab. Files in `~/.ssh` and the ssh agent. What cannot be read is passed over: a lab needs none.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// `SSH_AGENTC_REQUEST_IDENTITIES`, and the answer to it.
const REQUEST: u8 = 11;
const ANSWER: u8 = 12;
/// How long an agent may take for each part of its answer: it is a local socket.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read, in bytes: hundreds of keys.
const LONGEST: u32 = 1 << 20;

/// Every key once, as `TYPE BASE64`: of `~/.ssh/*.pub` in order of name, of
/// `~/.ssh/authorized_keys`, of the agent.
pub fn of_user() -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    let files = home().map(|home| of_files(&home.join(".ssh"))).unwrap_or_default();
    let agent = std::env::var_os("SSH_AUTH_SOCK").and_then(|socket| of_agent(Path::new(&socket)).ok());
    for key in files.into_iter().chain(agent.unwrap_or_default()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The home of the person: also behind `sudo`, as containerlab has it.
fn home() -> Option<PathBuf> {
    let behind = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    let behind = behind.and_then(|uid| nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten());
    behind.map(|user| user.dir).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?)))
}

fn of_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "pub")).collect();
    files.sort();
    files.push(folder.join("authorized_keys"));
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.flat_map(|text| text.lines().filter_map(of_line).collect::<Vec<_>>()).collect()
}

/// The key of a line: `[OPTIONS] TYPE BASE64 [COMMENT]`.
fn of_line(line: &str) -> Option<String> {
    let words = words(line);
    let mut pairs = words.windows(2).take(2);
    pairs.find_map(|pair| {
        let blob = BASE64_STANDARD.decode(pair[1]).ok()?;
        key_of(&blob).filter(|key| key.starts_with(pair[0]))
    })
}

/// The words of a line; spaces in double quotes, as options have them, part none.
fn words(line: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let is_end = |character: char| {
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\';
        !quoted && (character == ' ' || character == '\t')
    };
    let line = if line.trim_start().starts_with('#') { "" } else { line };
    line.trim().split(is_end).filter(|word| !word.is_empty()).collect()
}

/// A key as `TYPE BASE64`; its type stands in it.
fn key_of(blob: &[u8]) -> Option<String> {
    let (kind, _) = string(blob)?;
    let kind = std::str::from_utf8(kind).ok().filter(|kind| !kind.is_empty() && !kind.contains(char::is_whitespace))?;
    Some(format!("{kind} {}", BASE64_STANDARD.encode(blob)))
}

/// The bytes after their length, and what comes after them.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

fn of_agent(socket: &Path) -> std::io::Result<Vec<String>> {
    let mut agent = UnixStream::connect(socket)?;
    agent.set_read_timeout(Some(PATIENCE))?;
    agent.set_write_timeout(Some(PATIENCE))?;
    agent.write_all(&[0, 0, 0, 1, REQUEST])?;
    let mut length = [0; 4];
    agent.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length).min(LONGEST);
    let mut answer = vec![0; length as usize];
    agent.read_exact(&mut answer)?;
    Ok(told(&answer))
}

/// The keys of an agent's answer: how many, then each with a comment.
fn told(answer: &[u8]) -> Vec<String> {
    let Some((&ANSWER, rest)) = answer.split_first() else { return Vec::new() };
    let mut rest = rest.get(4..).unwrap_or_default();
    let mut keys = Vec::new();
    while let Some((blob, after)) = string(rest) {
        keys.extend(key_of(blob));
        rest = string(after).map_or(&[][..], |(_, after)| after);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: &str, key: &str) -> Vec<u8> {
        let part = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
        [part(kind), part(key)].concat()
    }

    fn key(kind: &str, key: &str) -> String {
        format!("{kind} {}", BASE64_STANDARD.encode(blob(kind, key)))
    }

    #[test]
    fn a_line_has_a_key_after_its_options_and_before_its_comment() {
        let wanted = key("ssh-ed25519", "one");
        for line in [
            wanted.clone(),
            format!("  {wanted} me@here"),
            format!("from=\"a, b\",command=\"say \\\"hi\" {wanted} me"),
            format!("no-pty\t{wanted}"),
        ] {
            assert_eq!(of_line(&line), Some(wanted.clone()), "{line}");
        }
        for line in ["", "# ssh-ed25519 AAAA", "ssh-ed25519", "ssh-ed25519 ###", "ssh-rsa AAAA"] {
            assert_eq!(of_line(line), None, "{line}");
        }
        assert_eq!(of_line(&wanted.replace("ssh-ed25519", "ssh-rsa")), None);
    }

    #[test]
    fn keys_come_from_every_file_in_order_of_name() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        put("id_rsa.pub", key("ssh-rsa", "two") + "\n");
        put("id_ed25519.pub", key("ssh-ed25519", "one"));
        put("id_ed25519", "SECRET".into());
        put("authorized_keys", format!("# mine\n\n{}\nrubbish\n", key("ssh-rsa", "three")));
        let wanted = [key("ssh-ed25519", "one"), key("ssh-rsa", "two"), key("ssh-rsa", "three")];
        assert_eq!(of_files(folder.path()), wanted);
        assert_eq!(of_files(&folder.path().join("missing")), [""; 0]);
    }

    #[test]
    fn an_answer_that_is_cut_short_tells_what_it_has() {
        let comment = [0, 0, 0, 1, b'x'];
        let one = |text: &str| {
            let blob = blob("ssh-rsa", text);
            [&(blob.len() as u32).to_be_bytes()[..], &blob, &comment].concat()
        };
        let whole = [&[ANSWER, 0, 0, 0, 2][..], &one("a"), &one("b")].concat();
        assert_eq!(told(&whole), [key("ssh-rsa", "a"), key("ssh-rsa", "b")]);
        assert_eq!(told(&whole[..whole.len() - 8]), [key("ssh-rsa", "a")]);
        assert_eq!(told(&[5]), [""; 0]);
        assert_eq!(told(&[]), [""; 0]);
    }
}
