//! Files that are looked at from time to time, to find out that they changed.
//!
//! ```text
//!             a look differs from what was read            the next look is the same
//!   Same ──────────────────────────────────▶ Changing ───────────────────────────▶ changed
//!     ▲                                       │  ▲ │
//!     └── as it was read ─────────────────────┘  └─┘ differs again: it is being written
//! ```
//!
//! A look follows symbolic links. So it also sees a link that was switched to another file, as Kubernetes does with the
//! files of a ConfigMap.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The state of one file. Two states of a file differ in it, also if the file was renamed over or is another one behind a
/// link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device_and_inode: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// One look at all files. `None`: the file is not there.
pub(super) type Look = Vec<(PathBuf, Option<Stamp>)>;

/// Looks at files.
pub(super) fn look(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Look {
    let stamp = |path: &Path| {
        let file = fs::metadata(path).ok()?;
        Some(Stamp {
            device_and_inode: (file.dev(), file.ino()),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    };
    files.into_iter().map(|path| (path.as_ref().to_owned(), stamp(path.as_ref()))).collect()
}

/// Files and their state.
#[derive(Debug)]
pub(super) struct Watched {
    /// When they were read.
    read: Look,
    /// At the last look, if that was another.
    changing: Option<Look>,
}

impl Watched {
    /// Files that were read after this look.
    pub(super) fn new(read: Look) -> Self {
        Self { read, changing: None }
    }

    /// The files.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.read.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Takes note of a look. Returns whether the files have changed and are not being written any more.
    pub(super) fn looked(&mut self, now: Look) -> bool {
        if now == self.read {
            self.changing = None;
            return false;
        }
        let is_stable = self.changing.as_ref() == Some(&now);
        self.changing = Some(now);
        is_stable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(len: Option<u64>) -> Look {
        let stamp = |len| Stamp { device_and_inode: (1, 2), len, modified: (3, 4), changed: (5, 6) };
        vec![(PathBuf::from("/a"), len.map(stamp))]
    }

    #[test]
    fn a_change_counts_when_it_is_over() {
        for (looks, changed) in [
            (&[Some(1), Some(1)][..], &[false, false][..]),
            (&[Some(2), Some(2)], &[false, true]),
            // It is being written.
            (&[Some(2), Some(3), Some(4), Some(4)], &[false, false, false, true]),
            // It is gone for a moment.
            (&[None, Some(1), Some(1)], &[false, false, false]),
            (&[None, Some(2), Some(2)], &[false, false, true]),
            (&[None, None], &[false, true]),
            // It was as it is now.
            (&[Some(2), Some(1), Some(2), Some(2)], &[false, false, false, true]),
        ] {
            let mut watched = Watched::new(at(Some(1)));
            let seen: Vec<_> = looks.iter().map(|look| watched.looked(at(*look))).collect();
            assert_eq!(seen, changed, "{looks:?}");
        }
    }

    #[test]
    fn a_look_sees_a_file_that_was_renamed_over_and_a_link_that_was_switched() {
        let folder = std::env::temp_dir().join(format!("manifold-watched-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        for name in ["one", "other"] {
            fs::write(path(name), "same").unwrap();
        }
        std::os::unix::fs::symlink("one", path("link")).unwrap();
        let before = look([path("link")]);
        assert_eq!(look([path("link")]), before);
        std::os::unix::fs::symlink("other", path("new")).unwrap();
        fs::rename(path("new"), path("link")).unwrap();
        let switched = look([path("link")]);
        assert_ne!(switched, before);
        fs::write(path("third"), "same").unwrap();
        fs::rename(path("third"), path("other")).unwrap();
        assert_ne!(look([path("link")]), switched);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(look([path("link")]), [(path("link"), None)]);
    }
}
