//! What the two processes say. A new version is needed for every change of these, and of what they contain.

use super::link::Link;
use crate::auth::RecordState;
use crate::fanout::{CarrierPassage, SocketPassage};
use crate::hub::MovingStream;
use rmp_serde::config::BytesMode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// The version of what the processes say.
pub(super) const VERSION: u32 = 2;

/// The most messages of the old process that wait to be heeded.
const AHEAD: usize = 4;

/// What the new process says first. It is an array whose first item is the version, in every version.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u32,
    /// The names of its routes, and what makes their streams what they are.
    pub(super) routes: Vec<(String, [u8; 32])>,
}

/// What the old process says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Say {
    Stream {
        route: String,
        /// The number that the clients of the stream call it.
        number: usize,
        stream: Box<MovingStream>,
        taken: SystemTime,
    },
    /// Clients of the stream before. Their sockets come beside the message.
    Clients(Vec<SocketPassage>),
    /// Connections of HTTP/2 whose clients are on the stream before, and on streams before that. Their sockets come beside
    /// the message.
    Carriers(Vec<CarrierPassage>),
    /// These were all clients of the stream.
    Whole,
    /// What the old process remembers of credentials.
    Record(Box<RecordState>),
    /// These were all streams.
    Done,
}

/// What the new process answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Taken(Taken),
    /// It accepts connections.
    Ready,
}

/// What the new process serves from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Taken {
    /// The stream.
    pub(super) stream: bool,
    /// Each of the clients with connections of their own, in the order in which they were sent.
    pub(super) sockets: Vec<bool>,
    /// Each of the connections of HTTP/2.
    pub(super) carriers: Vec<bool>,
}

/// A message as bytes.
pub(super) fn bytes_of(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Bytes go as they are, and not as a list of numbers.
    let mut writer = rmp_serde::Serializer::new(&mut bytes).with_bytes(BytesMode::ForceIterables);
    message.serialize(&mut writer).map_err(io::Error::other)?;
    Ok(bytes)
}

pub(super) async fn say(link: &Arc<Link>, message: &impl Serialize) -> io::Result<()> {
    let bytes = bytes_of(message)?;
    let link = Arc::clone(link);
    spawn_blocking(move || link.send(&bytes, &[])).await.map_err(io::Error::other)?
}

/// The next message, and the sockets beside it. The thread waits for it.
pub(super) fn heard<T: DeserializeOwned>(link: &Link) -> io::Result<(T, Vec<OwnedFd>)> {
    let (bytes, sockets) = link.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((rmp_serde::from_slice(&bytes).map_err(io::Error::other)?, sockets))
}

/// The next answer of the new process.
pub(super) async fn hear_answer(link: &Arc<Link>) -> io::Result<Answer> {
    let link = Arc::clone(link);
    let (answer, _) = spawn_blocking(move || heard(&link)).await.map_err(io::Error::other)??;
    Ok(answer)
}

/// Hears what the old process says, to the last word or the first error, on a thread of its own: the next message is read
/// while the one before is heeded.
pub(super) fn hear_all(link: &Arc<Link>) -> mpsc::Receiver<io::Result<(Say, Vec<OwnedFd>)>> {
    let (passes, all) = mpsc::channel(AHEAD);
    let link = Arc::clone(link);
    spawn_blocking(move || {
        loop {
            let said = heard(&link);
            let is_last = matches!(said, Ok((Say::Done, _)) | Err(_));
            if passes.blocking_send(said).is_err() || is_last {
                return;
            }
        }
    });
    all
}

pub(super) async fn hear_bytes(link: &Arc<Link>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let link = Arc::clone(link);
    let heard = spawn_blocking(move || link.receive()).await.map_err(io::Error::other)??;
    heard.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// What the new process says first. `None`: it speaks another version, so it takes nothing.
pub(super) async fn hear_hello(link: &Arc<Link>) -> io::Result<Option<Hello>> {
    let (bytes, _) = hear_bytes(link).await?;
    let version: u32 = match bytes.split_first() {
        Some((0x90..=0x9f, mut rest)) => rmp_serde::from_read(&mut rest).map_err(io::Error::other)?,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    if version != VERSION {
        log::warn!(
            "streams and clients stay here, because the new process speaks another version version={version} ours={VERSION}"
        );
        return Ok(None);
    }
    rmp_serde::from_slice(&bytes).map(Some).map_err(io::Error::other)
}
