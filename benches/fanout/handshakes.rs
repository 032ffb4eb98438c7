//! A crowd that does nothing but TLS handshakes: each client connects, shakes hands, waits for a session ticket, leaves
//! and comes again.

use super::dial::dial;
use super::specs::{ClientsSpec, Connected, Reads, Received, Window};
use super::tls::{HTTP_1, Session, Settings};
use super::{Failure, clock, say};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::io::{self, BufRead};
use std::os::fd::OwnedFd;

/// The number of bytes read at once.
const BUFFER: usize = 16 * 1024;

/// The token of the standard input.
const ORDERS: u64 = u64::MAX;

/// How often deadlines are checked at least, in nanoseconds.
const TICK: u64 = clock::SECOND / 20;

/// The handshakes of each client before the window is awaited. So every client has a ticket, and the server is warm.
const FIRST: u64 = 10;

/// Shakes hands, reports that, counts within the window that it is given, and reports the counts.
pub(crate) fn run(spec: &ClientsSpec) -> Result<(), Failure> {
    let identity = spec.identity.as_ref().ok_or("handshakes need a certificate")?;
    let resumed = spec.crowd.reads == Reads::Handshakes { resumed: true };
    let all = spec.crowd.clients;
    let mut crowd = Crowd {
        spec,
        settings: Settings::new(identity, HTTP_1, if resumed { 2 * all } else { 0 })?,
        resumed,
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        visits: Vec::with_capacity(all),
        dialled: 0,
        made: 0,
        window: None,
        received: Received::default(),
    };
    epoll::add(&crowd.epoll, io::stdin(), EventData::new_u64(ORDERS), EventFlags::IN)?;
    for place in 0..all {
        let visit = crowd.begin(place)?;
        crowd.visits.push(visit);
    }
    crowd.shake_hands()
}

struct Crowd<'a> {
    spec: &'a ClientsSpec,
    settings: Settings,
    /// The handshakes are to resume sessions.
    resumed: bool,
    epoll: OwnedFd,
    /// The connection of each client.
    visits: Vec<Visit>,
    /// The connections that were begun so far, and the handshakes that were made.
    dialled: usize,
    made: u64,
    window: Option<Window>,
    received: Received,
}

struct Visit {
    socket: OwnedFd,
    /// `None`: the connection is not established.
    session: Option<Box<Session>>,
}

impl Crowd<'_> {
    fn begin(&mut self, place: usize) -> Result<Visit, Failure> {
        let socket = dial(self.spec.server, self.dialled, false)?;
        self.dialled += 1;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &socket, EventData::new_u64(u64::try_from(place)?), flags)?;
        Ok(Visit { socket, session: None })
    }

    fn shake_hands(&mut self) -> Result<(), Failure> {
        let (mut ready, mut buffer, begun) = (Vec::with_capacity(self.visits.len() + 1), vec![0; BUFFER], clock::now());
        let (first, mut connected) = (FIRST * u64::try_from(self.visits.len())?, false);
        loop {
            ready.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&clock::timespec(TICK))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &ready {
                match event.data.u64() {
                    ORDERS => self.obey()?,
                    place => self.serve(usize::try_from(place)?, event.flags, &mut buffer)?,
                }
            }
            if !connected && self.made >= first {
                connected = true;
                say("connected", &Connected { clients: 0, secs: 0.0 })?;
            }
            if !connected && clock::now() - begun > self.spec.connect_secs * clock::SECOND {
                return Err(format!("{} handshakes were made within {} s", self.made, self.spec.connect_secs).into());
            }
            if self.window.is_some_and(|window| clock::now() > window.until) {
                return say("received", &self.received);
            }
        }
    }

    /// Takes the window from the standard input. The end of the standard input ends the run.
    fn obey(&mut self) -> Result<(), Failure> {
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err("the run was given up".into());
        }
        self.window = Some(serde_json::from_str(&line)?);
        Ok(())
    }

    fn serve(&mut self, place: usize, flags: EventFlags, buffer: &mut [u8]) -> Result<(), Failure> {
        let Visit { socket, session } = &mut self.visits[place];
        let Some(session) = session else {
            if flags.contains(EventFlags::OUT) && !flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                session.insert(Box::new(self.settings.session()?)).send(socket, &[])?;
            } else if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                self.next(place, false)?;
            }
            return Ok(());
        };
        if !flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            return Ok(());
        }
        loop {
            let read = match rustix::io::read(&*socket, &mut *buffer) {
                Ok(read) if read > 0 => read,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Ok(_) | Err(_) => return self.next(place, false),
            };
            // What comes after the handshake is a ticket. So the server is also done with the handshake.
            let complete = session.resumed();
            session.read(socket, &buffer[..read], &mut Vec::new())?;
            if let Some(resumed) = complete {
                return self.next(place, resumed == self.resumed);
            }
        }
    }

    /// Counts a handshake and begins the next one. `right`: it was made, and it was of the kind that is measured.
    fn next(&mut self, place: usize, right: bool) -> Result<(), Failure> {
        self.made += 1;
        if self.window.is_some_and(|window| (window.from..window.until).contains(&clock::now())) {
            let count = if right { &mut self.received.handshakes } else { &mut self.received.closed };
            *count += 1;
        }
        // The socket is closed before the next one is opened.
        self.visits[place].session = None;
        self.visits[place] = self.begin(place)?;
        Ok(())
    }
}
