//! The values of the fields that a route's configuration adds to upstream requests. A value is a fixed text or the text
//! of a file, which is read again when it changes.
//!
//! A file is checked before each attempt: one `stat`, and one short read if the file has changed. Both block the
//! thread. They are short, because secrets are on a local disk.

use crate::quoted::reason;
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file. A larger file cannot hold a field's value.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// A configured field, sent with every upstream request.
pub type OwnHeader = (HeaderName, OwnValue);

/// The value of a configured field. It is a secret and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum OwnValue {
    /// The value is always the same.
    Fixed(HeaderValue),
    /// The value is the text of a file.
    File(Arc<FileValue>),
}

/// A file and its value as it was last read successfully.
pub struct FileValue {
    path: PathBuf,
    held: Mutex<Held>,
}

/// What is known about a file.
#[derive(Debug)]
struct Held {
    value: HeaderValue,
    /// The state of the file when it was last read, whether it held a value or not.
    stamp: Option<Stamp>,
    /// The fault of the file that was logged last.
    fault: Option<String>,
}

/// Differs between two states of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device_and_inode: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What is to be logged about a file.
#[derive(Debug, PartialEq, Eq)]
enum News {
    None,
    /// The file holds another value.
    Changed,
    /// The file does not hold a value any more, for this reason.
    Faulty(String),
}

impl OwnValue {
    /// The value to send now.
    #[must_use]
    pub fn now(&self) -> HeaderValue {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::File(file) => file.look(false),
        }
    }

    /// The value after the file was read again, even if the file seems unchanged.
    #[must_use]
    pub fn anew(&self) -> HeaderValue {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::File(file) => file.look(true),
        }
    }
}

/// The value that a file's text stands for. One final line break, which editors add, is not part of it.
///
/// # Errors
/// Fails with the rule that the text breaks. The message does not show the text.
pub fn value_of_file(text: &str) -> Result<HeaderValue, &'static str> {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() { Err("the file is empty") } else { value_of(line) }
}

/// The value that a text stands for, marked as sensitive.
///
/// # Errors
/// Fails with the rule that the text breaks. The message does not show the text.
pub fn value_of(text: &str) -> Result<HeaderValue, &'static str> {
    let rule = "the value contains a line break or another character that a header must not contain";
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| rule)?;
    value.set_sensitive(true);
    Ok(value)
}

impl FileValue {
    /// A file that was read and holds `value`.
    #[must_use]
    pub fn new(path: PathBuf, value: HeaderValue) -> Self {
        Self { path, held: Mutex::new(Held { value, stamp: None, fault: None }) }
    }

    fn look(&self, by_all_means: bool) -> HeaderValue {
        let mut held = self.held.lock();
        let file = self.path.display();
        match held.look(stamp(&self.path), || text(&self.path), by_all_means) {
            News::None => {}
            News::Changed => log::info!("header file read again file={file}"),
            News::Faulty(why) => {
                log::warn!("header file cannot be used, its last value is still sent file={file} why={}", reason(why));
            }
        }
        held.value.clone()
    }
}

impl Held {
    /// Takes note of the file's state, and reads the file if it has changed. `by_all_means`: it is read in any case.
    fn look(
        &mut self,
        found: Result<Stamp, String>,
        read: impl FnOnce() -> Result<String, String>,
        by_all_means: bool,
    ) -> News {
        let stamp = found.as_ref().ok().copied();
        let is_known = stamp.is_some() && stamp == self.stamp;
        if is_known && !by_all_means {
            return News::None;
        }
        self.stamp = stamp;
        let value = found.and_then(|_| read()).and_then(|text| value_of_file(&text).map_err(str::to_owned));
        match value {
            Ok(value) => {
                self.fault = None;
                let news = if value == self.value { News::None } else { News::Changed };
                self.value = value;
                news
            }
            Err(why) => {
                // A fault is logged once, until the fault or the file changes.
                let is_told = self.fault.as_ref() == Some(&why) && (is_known || stamp.is_none());
                self.fault = Some(why.clone());
                if is_told { News::None } else { News::Faulty(why) }
            }
        }
    }
}

fn stamp(path: &Path) -> Result<Stamp, String> {
    let file = fs::metadata(path).map_err(|error| error.to_string())?;
    if !file.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    Ok(Stamp {
        device_and_inode: (file.dev(), file.ino()),
        len: file.len(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it has more than {MAX_FILE_BYTES} bytes"));
    }
    Ok(text)
}

impl PartialEq for FileValue {
    fn eq(&self, other: &Self) -> bool {
        // The locks are taken one after the other, so that two comparisons cannot block each other.
        let value = self.held.lock().value.clone();
        self.path == other.path && value == other.held.lock().value
    }
}

impl Eq for FileValue {}

impl fmt::Debug for FileValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileValue").field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("Fixed(..)"),
            Self::File(file) => file.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nth(n: u64) -> Stamp {
        Stamp { device_and_inode: (1, 1), len: n, modified: (0, 0), changed: (0, 0) }
    }

    /// Looks with stamp `n` at a file that holds `text`. 0: there is no file.
    fn looked(held: &mut Held, n: u64, text: Result<&str, &str>, by_all_means: bool) -> (News, bool) {
        let mut was_read = false;
        let read = || {
            was_read = true;
            text.map(str::to_owned).map_err(str::to_owned)
        };
        let found = if n == 0 { Err("no such file".to_owned()) } else { Ok(nth(n)) };
        let news = held.look(found, read, by_all_means);
        (news, was_read)
    }

    #[test]
    fn a_file_is_read_when_it_changed_and_a_fault_is_told_once_per_change() {
        let faulty = |why: &str| News::Faulty(why.to_owned());
        let mut held = Held { value: value_of("old").unwrap(), stamp: None, fault: None };
        for (n, text, by_all_means, news, was_read, value) in [
            (1, Ok("old\n"), false, News::None, true, "old"),
            (1, Ok("unseen"), false, News::None, false, "old"),
            // The text differs though the stamp does not. After a 401 the file is read all the same.
            (1, Ok("new"), true, News::Changed, true, "new"),
            (1, Ok("new"), true, News::None, true, "new"),
            (2, Ok("newer\r\n"), false, News::Changed, true, "newer"),
            (3, Ok("\n"), false, faulty("the file is empty"), true, "newer"),
            (3, Ok("\n"), false, News::None, false, "newer"),
            (3, Ok("\n"), true, News::None, true, "newer"),
            (4, Ok(""), false, faulty("the file is empty"), true, "newer"),
            (0, Ok(""), false, faulty("no such file"), false, "newer"),
            (0, Ok(""), false, News::None, false, "newer"),
            (0, Ok(""), true, News::None, false, "newer"),
            (5, Err("denied"), false, faulty("denied"), true, "newer"),
            (5, Err("denied"), true, News::None, true, "newer"),
            (6, Ok("newer"), false, News::None, true, "newer"),
            (0, Ok(""), false, faulty("no such file"), false, "newer"),
            (6, Ok("newest"), false, News::Changed, true, "newest"),
        ] {
            let looked = looked(&mut held, n, text, by_all_means);
            assert_eq!(looked, (news, was_read), "{n} {text:?} {by_all_means}");
            assert_eq!(held.value, value, "{n} {text:?} {by_all_means}");
            assert!(held.value.is_sensitive());
        }
    }

    #[test]
    fn a_file_on_the_disk_is_followed_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let value = OwnValue::File(Arc::new(FileValue::new(path.clone(), value_of("first").unwrap())));
        let size = usize::try_from(MAX_FILE_BYTES).unwrap();
        let (most, more) = ("m".repeat(size), "m".repeat(size + 1));
        let mut expected = "first";
        for (text, is_taken) in
            [("second\n", true), ("", false), (most.as_str(), true), (&more, false), ("a\nb", false)]
        {
            // A new file replaces the old one, as secrets are usually replaced.
            let next = folder.path().join("next");
            fs::write(&next, text).unwrap();
            fs::rename(&next, &path).unwrap();
            expected = if is_taken { text.trim_end() } else { expected };
            assert_eq!(value.now(), expected);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(value.now(), expected);
        fs::create_dir(&path).unwrap();
        assert_eq!((value.now(), value.anew()), (expected.parse().unwrap(), expected.parse().unwrap()));
        assert!(!format!("{value:?} {:?}", OwnValue::Fixed(value_of("s3cret").unwrap())).contains("s3cret"));
    }
}
