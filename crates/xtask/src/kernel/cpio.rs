//! An archive as the kernel unpacks it for its first root: "new ASCII" cpio. Knows files and folders, nothing else.

use std::io::Write;

/// A growing archive.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder.
    pub fn folder(&mut self, path: &str) {
        self.entry(path, 0o040_755, &[]);
    }

    /// Adds a file that everybody may run.
    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.entry(path, 0o100_755, content);
    }

    /// The whole of it.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let length = |bytes: usize| u32::try_from(bytes).expect("a file of an archive is small");
        // inode, mode, owner, group, links, time, length, the device's and the node's numbers, the name's length, check.
        let (size, name) = (length(content.len()), length(path.len() + 1));
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            write!(self.bytes, "{field:08x}").expect("memory takes what is written");
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busybox_unpacks_what_was_packed() {
        let mut archive = Archive::default();
        archive.folder("bin");
        archive.program("bin/odd", b"seven b");
        archive.program("init", b"#!/bin/sh\n");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("archive");
        std::fs::write(&file, archive.finish()).expect("it can be written");
        let list = archetype_testbed::run("busybox", ["cpio".as_ref(), "-t".as_ref(), "-F".as_ref(), file.as_os_str()]);
        assert_eq!(list, "bin\nbin/odd\ninit\n");
    }
}
