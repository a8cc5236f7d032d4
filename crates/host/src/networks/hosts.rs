//! Hosts files: a marked block in each, edited in place. Everything outside the block is left as
//! it is, also while a container has the file bound at `/etc/hosts`: the inode stays.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use archetype_model::spec::HostsLine;
use archetype_model::{InstallationId, LabName};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::Error;
use crate::place::make_way;

/// How long another program may hold the lock of a hosts file while we want to change it.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// What a hosts file has before anything else is known.
const BASE: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::0\tip6-localnet\n\
    ff00::0\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// The two lines around a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fence {
    begin: String,
    end: String,
}

impl Fence {
    /// Around the lines of one lab.
    pub fn new(installation: &InstallationId, lab: &LabName) -> Self {
        let mark = format!("# archetype:{installation}:{lab}");
        Self { begin: format!("{mark}:begin"), end: format!("{mark}:end") }
    }

    /// The block's own text in `text`, without the fence; none when there is no whole block.
    pub fn inside<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (from, to) = self.span(text)?;
        let block = &text[from..to];
        let start = block.find('\n')? + 1;
        let end = block.trim_end_matches('\n').rfind('\n')? + 1;
        (start <= end).then(|| &block[start..end])
    }

    /// `text` with this block holding `lines`, in its old place if there was one; none takes it out.
    pub fn put(&self, text: &str, lines: Option<&str>) -> String {
        let block = lines.map(|lines| format!("{}\n{lines}{}\n", self.begin, self.end)).unwrap_or_default();
        let Some((from, to)) = self.span(text) else {
            let text = self.without_a_beginning(text, lines);
            let gap = if text.is_empty() || text.ends_with('\n') || block.is_empty() { "" } else { "\n" };
            return format!("{text}{gap}{block}");
        };
        let before = self.without_a_beginning(&text[..from], lines);
        format!("{before}{block}{}", self.put(&text[to..], None))
    }

    /// `text` without the begin lines of blocks whose ends somebody took away, and without those of `lines` that follow
    /// one: what else follows may be anybody's.
    fn without_a_beginning(&self, text: &str, lines: Option<&str>) -> String {
        let Some(from) = line_start(text, &self.begin) else { return text.to_owned() };
        let is_ours =
            |line: &str| line == self.begin || lines.is_some_and(|lines| lines.lines().any(|own| own == line));
        let rest = text[from..].split_inclusive('\n').filter(|line| !is_ours(line.trim_end_matches('\n')));
        format!("{}{}", &text[..from], rest.collect::<String>())
    }

    /// From the first byte of the begin line to the byte after the end line. Of several begin lines the last one before
    /// the end counts: somebody took the end of the others away.
    fn span(&self, text: &str) -> Option<(usize, usize)> {
        let first = line_start(text, &self.begin)?;
        let end = first + line_start(&text[first..], &self.end)?;
        let from = first + line_starts(&text[first..end], &self.begin).last()?;
        let to = text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1);
        Some((from, to))
    }
}

/// Where the first line that reads exactly `line` begins.
fn line_start(text: &str, line: &str) -> Option<usize> {
    line_starts(text, line).next()
}

/// Where each line that reads exactly `line` begins.
fn line_starts<'a>(text: &'a str, line: &'a str) -> impl Iterator<Item = usize> + 'a {
    let places = text.split_inclusive('\n').scan(0, |at, found| {
        let from = *at;
        *at += found.len();
        Some((from, found))
    });
    places.filter(move |(_, found)| found.trim_end() == line).map(|(from, _)| from)
}

/// What is to stand between the marks, with a hash of it: at each pass every node is asked for its
/// block, and one text for all nodes of a lab is not to be hashed for each.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    text: String,
    hash: u64,
}

impl Block {
    /// The block of these lines.
    pub fn of(lines: &[HostsLine]) -> Self {
        Self::default().with(lines)
    }

    /// This block, then these lines.
    pub fn with(&self, lines: &[HostsLine]) -> Self {
        let more = lines.iter().map(|line| format!("{}\t{}\n", line.address, line.names.join(" ")));
        let text: String = std::iter::once(self.text.clone()).chain(more).collect();
        Self { hash: hash_of(&text), text }
    }

    /// The lines as they stand in a hosts file.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Blocks found right, with their file's state then: one that was not touched since is not read
/// again. The key is a hash of file, fence and text.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<u64, State>);

/// Inode, size and time of the last change; another one is another content.
type State = (u64, u64, i64, i64);

impl Known {
    /// Whether the file holds exactly this text in this block.
    pub fn holds(&mut self, path: &Path, fence: &Fence, wanted: &Block) -> bool {
        let key = hash_of(&(path, fence, wanted.hash));
        let state = state_of(path);
        if state.is_some() && self.0.get(&key).copied() == state {
            return true;
        }
        let text = open(path, File::options().read(true)).and_then(|mut file| read(&mut file)).unwrap_or_default();
        let holds = fence.inside(&text) == Some(wanted.text());
        // A file changed only just may change again within the same tick of the clock.
        if let Some(state) = state.filter(|(_, _, seconds, _)| holds && is_settled(*seconds)) {
            self.0.insert(key, state);
        }
        holds
    }

    /// Forgets everything, for a full read.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

fn state_of(path: &Path) -> Option<State> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}

fn is_settled(seconds: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(now).is_ok_and(|now| seconds + 1 < now)
}

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Makes the block of a node's own file hold these lines, and the file where there is none.
/// Writes nothing when it is so.
pub(super) fn set_node(path: &Path, fence: &Fence, lines: &str) -> Result<(), Error> {
    make_way(path).map_err(|error| Error::file(path, error))?;
    edit(path, true, |text| {
        let base = if text.is_empty() { BASE } else { text };
        fence.put(base, Some(lines))
    })
}

/// Makes the block of the host's own file hold these lines; none takes it out. A host without the
/// file gets none.
pub(super) fn set_host(path: &Path, fence: &Fence, lines: Option<&str>) -> Result<(), Error> {
    if !path.exists() {
        return Ok(());
    }
    edit(path, false, |text| fence.put(text, lines))
}

/// Reads, changes and writes a file under a lock, in place.
fn edit(path: &Path, create: bool, change: impl FnOnce(&str) -> String) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::file(path, error);
    let mut options = File::options();
    let file = open(path, options.read(true).write(true).create(create).truncate(false).mode(0o644));
    let mut file = lock(path, file.map_err(failed)?)?;
    let text = read(&mut file).map_err(failed)?;
    let new = change(&text);
    if new == text {
        return Ok(());
    }
    // The new text first, then the new length: a reader never finds the file empty.
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.write_all(new.as_bytes()).map_err(failed)?;
    file.set_len(new.len() as u64).map_err(failed)
}

/// Opens a hosts file, and nothing on which one could wait: whoever reads from a pipe waits as long as it lives.
fn open(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("this is no regular file")) }
}

fn read(file: &mut File) -> std::io::Result<String> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Waits for the lock no longer than everything else in this room can wait.
fn lock(path: &Path, mut file: File) -> Result<Flock<File>, Error> {
    let given_up = Instant::now() + LOCK_PATIENCE;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => return Ok(held),
            Err((back, Errno::EWOULDBLOCK)) if Instant::now() < given_up => file = back,
            Err((_, Errno::EWOULDBLOCK)) => return Err(Error::Locked { path: path.display().to_string() }),
            Err((_, errno)) => return Err(Error::file(path, errno)),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(lab: &str) -> Fence {
        Fence::new(&"ab1c2".parse().unwrap(), &lab.parse().unwrap())
    }

    #[test]
    fn a_block_is_put_changed_and_taken_out_and_the_rest_stays() {
        let before = "127.0.0.1 localhost\n# mine";
        let one = fence("one").put(before, Some("10.0.0.1\ta\n"));
        let two = fence("two").put(&one, Some("10.0.0.2\tb\n"));
        let changed = fence("one").put(&two, Some("10.0.0.3\tc\n"));
        assert_eq!(fence("one").inside(&changed), Some("10.0.0.3\tc\n"));
        assert_eq!(fence("two").inside(&changed), Some("10.0.0.2\tb\n"));
        let without = fence("two").put(&fence("one").put(&changed, None), None);
        assert_eq!(without, "127.0.0.1 localhost\n# mine\n");
    }

    #[test]
    fn an_empty_block_is_a_block() {
        let text = fence("one").put("", Some(""));
        assert_eq!(fence("one").inside(&text), Some(""));
        assert_eq!(fence("on").inside(&text), None);
    }

    #[test]
    fn a_block_that_stands_twice_becomes_one() {
        let once = fence("one").put("x\n", Some("10.0.0.1\ta\n"));
        let twice = format!("{once}y\n{}", &once[2..]);
        assert_eq!(fence("one").put(&twice, Some("10.0.0.2\tb\n")), {
            let mut wanted = fence("one").put("x\n", Some("10.0.0.2\tb\n"));
            wanted.push_str("y\n");
            wanted
        });
    }

    #[test]
    fn a_block_whose_end_was_taken_away_takes_no_line_of_anybody_along() {
        let whole = fence("one").put("x\n", Some("10.0.0.1\ta\n10.0.0.2\tb\n"));
        let broken = whole.replace("# archetype:ab1c2:one:end\n", "10.9.9.9 printer\n");
        let wanted = |lines: &str| fence("one").put("x\n10.9.9.9 printer\n", Some(lines));
        for lines in ["10.0.0.1\ta\n10.0.0.2\tb\n", "10.0.0.1\ta\n10.0.0.2\tb\n10.0.0.3\tc\n"] {
            let once = fence("one").put(&broken, Some(lines));
            assert_eq!(once, wanted(lines));
            assert_eq!(fence("one").put(&once, Some(lines)), once);
        }
        // As a former version left it: the whole block behind the broken one.
        let both = format!("{broken}{}", &whole[2..]);
        assert_eq!(fence("one").put(&both, Some("10.0.0.1\ta\n10.0.0.2\tb\n")), wanted("10.0.0.1\ta\n10.0.0.2\tb\n"));
        assert!(fence("one").put(&broken, None).ends_with("10.9.9.9 printer\n"));
    }

    #[test]
    fn a_file_keeps_its_inode_and_foreign_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(&path, "192.0.2.7 printer\n").unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        let line = HostsLine { address: "10.0.0.1".parse().unwrap(), names: vec!["a".into(), "b".into()] };
        let lines = Block::of(&[line]);
        set_host(&path, &fence("one"), Some(lines.text())).unwrap();
        let mut known = Known::default();
        assert!(known.holds(&path, &fence("one"), &lines));
        assert!(!known.holds(&path, &fence("one"), &Block::default()));
        assert!(!known.holds(&path, &fence("two"), &lines));
        set_host(&path, &fence("one"), None).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "192.0.2.7 printer\n");
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    }

    #[test]
    fn a_file_that_would_keep_us_waiting_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = set_host(&pipe, &fence("one"), Some("10.0.0.1\ta\n")).unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("no regular file")), ("network-failed", true), "{error}");
        assert!(!Known::default().holds(&pipe, &fence("one"), &Block::default()));

        let path = folder.path().join("hosts");
        std::fs::write(&path, "").unwrap();
        let held = Flock::lock(File::open(&path).unwrap(), FlockArg::LockExclusive).unwrap();
        let error = set_host(&path, &fence("one"), Some("10.0.0.1\ta\n")).unwrap_err();
        assert_eq!(error.code(), "network-too-slow", "{error}");
        drop(held);
        set_host(&path, &fence("one"), Some("10.0.0.1\ta\n")).unwrap();
    }
}
