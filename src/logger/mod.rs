//! The logger: what `RUST_LOG` may ask for, and what is never written.
//!
//! At the levels below warnings, the libraries log whole heads and bodies, which hold cookies and credentials. Such
//! lines are never written, whatever `RUST_LOG` says. No line holds a control character.

mod json;
mod queue;

use env_logger::fmt::Formatter;
use env_logger::fmt::style::{AnsiColor, Style};
use env_logger::{Target, WriteStyle};
use log::{LevelFilter, Log, Metadata, Record};
use manifold::config::LogFormat;
use manifold::quoted::{OneLine, quoted, reason};
use manifold::utc::rfc3339;
use parking_lot::Mutex;
use queue::Queue;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

/// The variable that says which lines are written.
const VARIABLE: &str = "RUST_LOG";

/// The names of levels.
const LEVELS: &str = "off, error, warn, info, debug or trace";

/// The crate whose lines may be written at any level.
const OURS: &str = "manifold";

/// The other crates that write lines.
const OTHERS: [&str; 9] =
    ["pingora_proxy", "pingora_core", "h2", "hyper", "hyper_util", "rustls", "tokio", "tokio_rustls", "mio"];

/// The lines that wait to be written. It is empty if they are written at once.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Whether lines are written as JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// What is wrong with `RUST_LOG`, until it is known in which form that is to be logged.
static COMPLAINT: Mutex<Option<String>> = Mutex::new(None);

/// Sets the form of the lines from now on, and logs what is wrong with `RUST_LOG`.
pub(crate) fn write_as(format: LogFormat) {
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    let complaint = COMPLAINT.lock().take();
    if let Some(complaint) = complaint {
        log::warn!("{VARIABLE}: {complaint}");
    }
}

/// Waits a moment for the last lines to be written.
pub(crate) fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish();
    }
}

/// Writes a line to standard error that is not one of the log. If standard error is closed, the line is lost.
pub(crate) fn say(line: &str) {
    write(&if IS_JSON.load(Ordering::Relaxed) { json::of_text(line) } else { format!("{line}\n") });
}

/// Writes a line that is whole. If standard error is closed, the line is lost.
fn write(line: &str) {
    let _lost = match QUEUE.get() {
        Some(queue) => queue.clone().write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
}

/// Starts the logger. `RUST_LOG`, or else `default`, says which lines are written. An error in `RUST_LOG` is logged by
/// [`write_as`].
pub(crate) fn start(default: &str) {
    let wanted = env::var_os(VARIABLE).map(|text| Wanted::read(&text));
    let (filter, complaint) = match &wanted {
        None => (default, None),
        Some(Ok(wanted)) => (wanted.filter.as_str(), wanted.complaint()),
        Some(Err(why)) => (default, Some(format!("{why}: the default is used, {default}"))),
    };
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter);
    if complaint.is_some() {
        // This line is written whatever the filter says.
        builder.filter_module(module_path!(), LevelFilter::Warn);
    }
    let is_coloured = match env::var("RUST_LOG_STYLE").as_deref() {
        Ok("always") => true,
        Ok("never") => false,
        _ => is_in_colour(),
    };
    builder.write_style(if is_coloured { WriteStyle::Always } else { WriteStyle::Never });
    let dim = if is_coloured { AnsiColor::BrightBlack.on_default() } else { Style::new() };
    builder.format(move |formatter, record| write_line(formatter, dim, record));
    if let Some(queue) = Queue::start() {
        builder.target(Target::Pipe(Box::new(QUEUE.get_or_init(|| queue).clone())));
    }
    let logger = builder.build();
    let most = logger.filter();
    // It fails only if another logger was set, which would be a defect that every test sees.
    if log::set_boxed_logger(Box::new(Guarded(logger))).is_ok() {
        log::set_max_level(most);
    }
    panic::set_hook(Box::new(tell_panic));
    *COMPLAINT.lock() = complaint;
}

/// Writes a record as a line, such as `[2026-11-27T08:00:00.000Z INFO  manifold::service] text`.
fn write_line(formatter: &mut Formatter, dim: Style, record: &Record<'_>) -> io::Result<()> {
    let (time, level, target) = (rfc3339(SystemTime::now()), record.level(), record.target());
    let colour = formatter.default_level_style(level);
    let text = record.args();
    writeln!(formatter, "{dim}[{dim:#}{time} {colour}{level:<5}{colour:#} {target}{dim}]{dim:#} {text}")
}

/// Logs a panic. The standard library would write to standard error itself, and wait for it.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let name = thread::current().name().unwrap_or("unnamed").to_owned();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or("no text");
    log::error!("a thread panicked, which is a defect of manifold thread={name} at={place} why={}", reason(why));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        say(&trace.to_string());
    }
}

/// Whether lines are coloured if nothing asks for that: on a terminal, unless `NO_COLOR` or `TERM` forbids it.
fn is_in_colour() -> bool {
    let forbids = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|value| value == "dumb");
    io::stderr().is_terminal() && !forbids && !is_dumb
}

/// The lines that `RUST_LOG` asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    filter: String,
    /// The crates for which `RUST_LOG` asks for more lines than are ever written.
    refused: Vec<String>,
}

impl Wanted {
    /// Reads `LEVEL`, `CRATE` and `CRATE::module=LEVEL`, separated by commas. If a slash follows, only lines that
    /// contain the text after it are written.
    ///
    /// # Errors
    /// The first error in the text, as a sentence. An unknown crate beside known ones is not an error, because the
    /// variable may be for several programs.
    fn read(text: &OsStr) -> Result<Self, String> {
        let Some(text) = text.to_str() else { return Err("it is not UTF-8".to_owned()) };
        let (directives, rest) = text.split_once('/').unwrap_or((text, ""));
        if rest.contains('/') {
            return Err(format!("{} has more than one slash", quoted(text)));
        }
        let mut refused = Vec::new();
        let mut says_something = false;
        let mut written = directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()).peekable();
        if written.peek().is_none() {
            return Err("it is empty".to_owned());
        }
        for directive in written {
            let (target, level) = match directive.split_once('=') {
                None => match directive.parse() {
                    Ok(level) => (None, level),
                    Err(_) => (Some(directive), LevelFilter::Trace),
                },
                Some((target, level)) => {
                    let level: LevelFilter = level
                        .trim()
                        .parse()
                        .map_err(|_| format!("{} is not a level: {LEVELS}", quoted(level.trim())))?;
                    (Some(target), level)
                }
            };
            match target {
                None => says_something = true,
                Some(target) if is_known(target) => {
                    says_something = true;
                    if level > limit(target) {
                        refused.push(target.to_owned());
                    }
                }
                // A misspelled level looks like an unknown crate.
                Some(target) if directive == target => {
                    return Err(format!(
                        "{} is neither a level ({LEVELS}) nor a crate of this program",
                        quoted(target)
                    ));
                }
                Some(_) => {}
            }
        }
        if !says_something {
            return Err(format!("{} names no crate of this program", quoted(text)));
        }
        Ok(Self { filter: text.to_owned(), refused })
    }

    fn complaint(&self) -> Option<String> {
        let refused = self.refused.join(", ");
        (!refused.is_empty()).then(|| {
            format!("fewer lines of {} are written than it asks for, because they may contain cookies", quoted(refused))
        })
    }
}

/// Whether `RUST_LOG` may name this crate or module.
fn is_known(target: &str) -> bool {
    let (name, module) = target.split_once("::").map_or((target, None), |(name, module)| (name, Some(module)));
    // env_logger also matches the beginning of a crate's name.
    let names = |known: &str| known == name || module.is_none() && !name.is_empty() && known.starts_with(name);
    names(OURS) || OTHERS.iter().any(|known| names(known))
}

/// The most detailed level that is written for a target.
fn limit(target: &str) -> LevelFilter {
    match target.split("::").next().unwrap_or_default() {
        OURS => LevelFilter::Trace,
        "pingora_proxy" => LevelFilter::Off,
        // pingora warns of clients that leave.
        name if name.starts_with("pingora") => LevelFilter::Error,
        _ => LevelFilter::Warn,
    }
}

/// A logger that writes nothing beyond the limits.
struct Guarded(env_logger::Logger);

impl Log for Guarded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= limit(metadata.target()) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if IS_JSON.load(Ordering::Relaxed) {
            if self.0.matches(record) {
                write(&json::line(record));
            }
            return;
        }
        let metadata = record.metadata().clone();
        self.0.log(&Record::builder().metadata(metadata).args(format_args!("{}", OneLine(record.args()))).build());
    }

    fn flush(&self) {
        self.0.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn what_is_asked_for_is_read_or_it_is_told_what_is_wrong() {
        for (text, expected) in [
            ("info", Ok("")),
            ("OFF", Ok("")),
            (" warn , manifold=debug,, ", Ok("")),
            ("manifold", Ok("")),
            ("manifold::upstream=trace", Ok("")),
            ("manifold::upstream", Ok("")),
            ("warn,sqlx=debug", Ok("")),
            ("info/client left", Ok("")),
            ("mio=warn", Ok("")),
            ("trace", Ok("")),
            ("pingora_proxy=debug", Ok("pingora_proxy")),
            ("info,pingora=info,h2=off", Ok("pingora")),
            ("manifold=info,hyper::proto", Ok("hyper::proto")),
            ("", Err("it is empty")),
            (" , ", Err("it is empty")),
            ("/x", Err("it is empty")),
            (
                "inof",
                Err("\"inof\" is neither a level (off, error, warn, info, debug or trace) nor a crate of this program"),
            ),
            ("info,verbose", Err("\"verbose\" is neither a level (off, error,")),
            ("manifold=inof", Err("\"inof\" is not a level: off, error,")),
            ("manifold=", Err("\"\" is not a level: off, error,")),
            ("manifold=a=b", Err("\"a=b\" is not a level: off, error,")),
            ("=debug", Err("\"=debug\" names no crate of this program")),
            ("sqlx=debug", Err("\"sqlx=debug\" names no crate of this program")),
            ("manifold:debug", Err("\"manifold:debug\" is neither a level")),
            ("3", Err("\"3\" is neither a level")),
            ("info/a/b", Err("\"info/a/b\" has more than one slash")),
            ("\u{1b}[2J", Err("\"\\u{1b}[2J\" is neither a level")),
        ] {
            let read = Wanted::read(OsStr::new(text));
            match expected {
                Ok(refused) => assert_eq!(read.unwrap().refused.join(" "), refused, "{text:?}"),
                Err(why) => {
                    let told = read.unwrap_err();
                    assert!(told.starts_with(why), "{text:?}: {told}");
                }
            }
        }
        assert_eq!(Wanted::read(OsStr::from_bytes(b"inf\xff")).unwrap_err(), "it is not UTF-8");
    }

    #[test]
    fn what_others_write_below_their_warnings_is_never_written() {
        let logger = Guarded(env_logger::Builder::new().parse_filters("trace,pingora_proxy::proxy_h1=trace").build());
        for (target, most) in [
            ("manifold", LevelFilter::Trace),
            ("manifold::upstream::driver", LevelFilter::Trace),
            ("pingora_proxy", LevelFilter::Off),
            ("pingora_proxy::proxy_h1", LevelFilter::Off),
            ("pingora_core::protocols::http::v1::server", LevelFilter::Error),
            ("h2::codec::framed_read", LevelFilter::Warn),
            ("hyper::proto::h1::io", LevelFilter::Warn),
            ("rustls::client::hs", LevelFilter::Warn),
            ("a_crate_to_come", LevelFilter::Warn),
            ("manifold_of_another", LevelFilter::Warn),
        ] {
            for level in log::Level::iter() {
                let metadata = Metadata::builder().target(target).level(level).build();
                assert_eq!(logger.enabled(&metadata), level <= most, "{target} {level}");
            }
        }
    }
}
