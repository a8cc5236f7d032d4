//! Removes what outlives a sandbox's namespaces: its scratch folder on disk and its control groups.
//!
//! It is a process of its own that waits for its owner to close a pipe, on purpose or by dying, so that `kill -9` of a
//! whole test run leaves nothing either. It knows two names and nothing of what was run.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Tries for 20 s, since killed processes take a moment to leave their folder and their groups; tells what it could
/// not remove. The groups lie under each controller's tree (version 1) or under the one tree (version 2).
const SCRIPT: &str = r#"
cat >/dev/null
groups() { for g in /sys/fs/cgroup/"$2" /sys/fs/cgroup/*/"$2"; do [ -d "$g" ] && echo "$g"; done; }
n=0
while :; do
    rm -rf --one-file-system "$1" 2>/dev/null
    for g in $(groups "$@"); do find "$g" -depth -type d -exec rmdir {} + 2>/dev/null; done
    [ -e "$1" ] || [ -n "$(groups "$@")" ] || exit 0
    n=$((n + 1))
    [ $n -lt 200 ] || break
    sleep 0.1
done
[ -e "$1" ] && echo "$1"
groups "$@"
"#;

/// The running janitor of one sandbox.
pub(super) struct Janitor(Child);

impl Janitor {
    /// Starts it, in a process group of its own so that Ctrl-C at a terminal leaves it to its work.
    pub(super) fn hire(scratch: &Path) -> Self {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "janitor"])
            .arg(scratch)
            .arg(super::name_of(scratch))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("cannot start /bin/sh: {error}")))
    }

    /// Lets it do its work and answers what it could not remove.
    pub(super) fn dismiss(mut self) -> String {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output().expect("our own child can be waited for");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
