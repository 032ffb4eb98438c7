//! A relay between the old process and a new one in an upgrade. It kills one of them or both after so many messages, so that
//! they are gone at each step of the hand-over. The relay is a process: this test binary.

use crate::gateway::BINARY;
use crate::releases::Releases;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::process::{Signal, getppid, kill_process};
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

/// The number of messages that are passed on.
const AFTER: &str = "STORIES_RELAY_AFTER";

/// The file of the new process's configuration.
const CONFIG: &str = "STORIES_RELAY_CONFIG";

/// Which processes are killed.
const KILLED: &str = "STORIES_RELAY_KILLS";

/// The version that the new process is made to speak.
const VERSION: &str = "STORIES_RELAY_VERSION";

/// A second release: a new process that speaks another version.
pub fn speaking(version: u8) -> Releases {
    relayed(&format!("{VERSION}={version} {AFTER}=1000"))
}

/// Which of the processes is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    Old,
    New,
    Both,
}

/// The most descriptors beside a message.
const DESCRIPTORS: usize = 253;

/// A second release: this process is gone after so many messages of the hand-over.
pub fn gone_after(killed: Killed, messages: usize) -> Releases {
    relayed(&format!("{KILLED}={killed:?} {AFTER}={messages}"))
}

/// A second release behind a relay with these variables.
fn relayed(variables: &str) -> Releases {
    let relay = std::env::current_exe().unwrap();
    Releases::new(&format!(
        "{variables} {CONFIG}=\"$2\" exec '{}' --exact relay::is_a_process --nocapture",
        relay.display()
    ))
}

/// The relay, if this process is to be one.
#[test]
fn is_a_process() {
    let (Ok(after), Ok(config)) = (std::env::var(AFTER), std::env::var(CONFIG)) else { return };
    let after: usize = after.parse().unwrap();
    let kills = |which: Killed| std::env::var(KILLED).is_ok_and(|killed| killed == format!("{which:?}"));
    let old = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    rustix::stdio::dup2_stdin(File::open("/dev/null").unwrap()).unwrap();
    let (new, stdin) = UnixStream::pair().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["-c", &config]).stdin(OwnedFd::from(stdin)).env_remove(AFTER).env_remove(CONFIG);
    let mut child = command.spawn().unwrap();
    drop(command);
    eprintln!("relay: the new process has pid={}", child.id());
    let passed = Arc::new(Mutex::new(0));
    let (ends, ended) = channel();
    if after == 0 {
        ends.send(()).unwrap();
    }
    let version: Option<u8> = std::env::var(VERSION).ok().map(|version| version.parse().unwrap());
    let both = [old.try_clone().unwrap(), new.try_clone().unwrap()];
    for (from, to) in [(old.try_clone().unwrap(), new.try_clone().unwrap()), (new, old)] {
        let (passed, ends) = (Arc::clone(&passed), ends.clone());
        std::thread::spawn(move || {
            while let Some(mut message) = receive(&from) {
                let mut passed = passed.lock().unwrap();
                if let Some(version) = version {
                    message.body = in_version(version, *passed, message.body);
                }
                if *passed >= after || send(&to, &message).is_none() {
                    break;
                }
                *passed += 1;
                if *passed == after {
                    break;
                }
            }
            if version.is_some() {
                // Either side says nothing more.
                let _gone = to.shutdown(Shutdown::Write);
            } else {
                // As many have passed, or either side is gone.
                let _waits = ends.send(());
            }
        });
    }
    if version.is_none() {
        ended.recv().unwrap();
    }
    if version.is_some() {
        drop(both);
    } else if kills(Killed::Old) || kills(Killed::Both) {
        if kills(Killed::Both) {
            child.kill().unwrap();
        }
        kill_process(getppid().unwrap(), Signal::KILL).unwrap();
        both.iter().for_each(|end| end.shutdown(Shutdown::Both).unwrap());
        // The sockets of clients that are beside messages are closed with the last ends.
        drop(both);
    } else {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    if kills(Killed::Both) {
        eprintln!("relay: both are killed");
    }
}

/// What a process of another version says: its version, and then things that only it understands.
fn in_version(version: u8, passed: usize, mut body: Vec<u8>) -> Vec<u8> {
    if passed > 0 {
        return b"\xc1 what is that?".to_vec();
    }
    // An array whose first item is the version.
    assert_eq!(body[0], 0x92);
    assert_ne!(body[1], version);
    body[1] = version;
    body
}

/// A message, and the descriptors beside it.
struct Message {
    head: [u8; 8],
    body: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// The next message. `None`: the sender has gone.
fn receive(mut from: &UnixStream) -> Option<Message> {
    let mut head = [0; 8];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = RecvAncillaryBuffer::new(&mut room);
    let came = recvmsg(from, &mut [IoSliceMut::new(&mut head)], &mut beside, RecvFlags::CMSG_CLOEXEC).ok()?.bytes;
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    (came == head.len()).then_some(())?;
    let bytes = u32::from_be_bytes(head[..4].try_into().unwrap());
    let mut body = vec![0; bytes as usize];
    from.read_exact(&mut body).ok()?;
    Some(Message { head, body, descriptors })
}

/// Sends a message. `None`: the receiver has gone.
fn send(mut to: &UnixStream, message: &Message) -> Option<()> {
    let Message { head, body, descriptors } = message;
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut room);
    if !borrowed.is_empty() {
        assert!(beside.push(SendAncillaryMessage::ScmRights(&borrowed)));
    }
    sendmsg(to, &[IoSlice::new(head)], &mut beside, SendFlags::NOSIGNAL).ok()?;
    to.write_all(body).ok()
}
