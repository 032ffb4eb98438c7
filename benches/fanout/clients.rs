//! A crowd of clients: one thread, one epoll instance, one buffer. Nothing is allocated per event, and every event is
//! checked.

use super::dial::{dial, request, send};
use super::event::id;
use super::specs::{ClientsSpec, Connected, Reads, Received, Window};
use super::tally::{Reader, Tally};
use super::text::Item;
use super::tls::{HTTP_1, Session, Settings};
use super::wire::Response;
use super::{Failure, clock, say};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::io::{self, BufRead};
use std::os::fd::OwnedFd;

/// Of the clients that only count bytes, one in this many checks its events.
const CHECKS: usize = 10;

/// The number of bytes read at once.
const BUFFER: usize = 256 * 1024;

/// The number of sockets served after one wait.
const READY: usize = 1024;

/// The token of the standard input.
const ORDERS: u64 = u64::MAX;

/// How often deadlines are checked at least, in nanoseconds.
const TICK: u64 = clock::SECOND / 20;

/// The number of connections that are begun before the sockets are looked at.
const BEGUN: usize = 128;

/// How much nicer a crowd that yields is than others.
const YIELDS: i32 = 19;

/// How long to wait for the last events after the end of the window, in seconds.
pub(crate) const GRACE_SECS: u64 = 20;

/// Connects, reports that, counts within the window that it is given, and reports the counts.
pub(crate) fn run(spec: ClientsSpec) -> Result<(), Failure> {
    if spec.crowd.yields {
        rustix::process::nice(YIELDS)?;
    }
    let mut crowd = Crowd::new(spec)?;
    crowd.connect()?;
    crowd.wait_for_end()?;
    say("received", &Received { closed: crowd.closed(), ..crowd.tally.received(crowd.spec.events) })
}

struct Crowd {
    spec: ClientsSpec,
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// The number of clients that have their response's head, and what they missed.
    connected: usize,
    window: Option<Window>,
    tally: Tally,
    /// `None`: the connections are plain.
    tls: Option<Settings>,
    /// The events of one wait, the bytes of one read, and what they contain if they are encrypted. All buffers are
    /// reused.
    ready: Vec<epoll::Event>,
    buffer: Vec<u8>,
    plain: Vec<u8>,
}

struct Client {
    /// `None`: the server ended the connection.
    socket: Option<OwnedFd>,
    /// `None`: the connection is plain, or the client reads nothing more and only counts bytes.
    session: Option<Box<Session>>,
    asked: bool,
    /// The client has its response's head, and what it missed.
    connected: bool,
    /// The client has its response's head and reads no more.
    idle: bool,
    response: Response,
}

impl Crowd {
    fn new(spec: ClientsSpec) -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, io::stdin(), EventData::new_u64(ORDERS), EventFlags::IN)?;
        let all = 0..spec.crowd.clients;
        let reader = |number| Reader {
            first: last_event(&spec, number).map_or(0, |last| last + 1),
            checks: spec.crowd.reads == Reads::Events || number % CHECKS == 0,
        };
        let tally = Tally::new(all.map(reader), usize::try_from(spec.crowd.streams)?, spec.size)?;
        let clients = Vec::with_capacity(spec.crowd.clients);
        let tls = spec.identity.as_ref().map(|identity| Settings::new(identity, HTTP_1, 0)).transpose()?;
        let (ready, buffer, plain) = (Vec::with_capacity(READY), vec![0; BUFFER], Vec::new());
        Ok(Self { spec, epoll, clients, connected: 0, window: None, tally, tls, ready, buffer, plain })
    }

    /// Connects all clients.
    fn connect(&mut self) -> Result<(), Failure> {
        let (all, begun) = (self.spec.crowd.clients, clock::now());
        let at_once = if self.spec.crowd.at_once { all } else { self.spec.awaited };
        while self.connected < all {
            while self.clients.len() < all.min(self.connected + at_once) {
                self.begin()?;
                // The first clients are not to wait for the last ones.
                if self.clients.len().is_multiple_of(BEGUN) {
                    self.turn(0)?;
                }
            }
            self.turn(TICK)?;
            if clock::now() - begun > self.spec.connect_secs * clock::SECOND {
                let (connected, secs) = (self.connected, self.spec.connect_secs);
                return Err(format!("{connected} of {all} clients were answered within {secs} s").into());
            }
        }
        let secs = std::time::Duration::from_nanos(clock::now() - begun).as_secs_f64();
        say("connected", &Connected { clients: all, secs })
    }

    /// The number of clients whose connection the server ended, or whose response was invalid.
    fn closed(&self) -> u64 {
        u64::try_from(self.clients.iter().filter(|client| client.socket.is_none()).count()).unwrap_or(u64::MAX)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let number = self.clients.len();
        let socket = dial(self.spec.server, number, self.spec.crowd.reads == Reads::Nothing)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &socket, EventData::new_u64(u64::try_from(number)?), flags)?;
        let (socket, session, response) = (Some(socket), None, Response::default());
        self.clients.push(Client { socket, session, asked: false, connected: false, idle: false, response });
        Ok(())
    }

    /// Reads until every client has all events of the window, or the time for that is over.
    fn wait_for_end(&mut self) -> Result<(), Failure> {
        loop {
            self.turn(TICK)?;
            let Some(window) = self.window else { continue };
            let grace = if self.spec.events { GRACE_SECS * clock::SECOND } else { 0 };
            let now = clock::now();
            if now > window.until + grace || (now > window.until && self.tally.is_complete()) {
                return Ok(());
            }
        }
    }

    /// Waits for sockets, for `longest` nanoseconds at most, and serves those that are ready.
    fn turn(&mut self, longest: u64) -> Result<(), Failure> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&clock::timespec(longest))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &ready {
            let (number, flags) = (event.data.u64(), event.flags);
            if number == ORDERS {
                self.obey()?;
            } else {
                self.serve(usize::try_from(number)?, flags)?;
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Takes the window from the standard input. The end of the standard input ends the run.
    fn obey(&mut self) -> Result<(), Failure> {
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err("the run was given up".into());
        }
        let window = serde_json::from_str(&line)?;
        self.window = Some(window);
        self.tally.measure(window);
        Ok(())
    }

    fn serve(&mut self, number: usize, flags: EventFlags) -> Result<(), Failure> {
        let client = &mut self.clients[number];
        let Some(socket) = &client.socket else { return Ok(()) };
        if !client.asked {
            if flags.contains(EventFlags::OUT) && !flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                let stream = self.spec.crowd.first_stream + u64::try_from(number)? % self.spec.crowd.streams;
                let last = last_event(&self.spec, number).map(id);
                let request = request(&format!("{}{stream}", self.spec.path), last.as_deref());
                match &self.tls {
                    None => send(socket, request.as_bytes())?,
                    Some(tls) => {
                        let session = client.session.insert(Box::new(tls.session()?));
                        session.send(socket, request.as_bytes())?;
                    }
                }
                client.asked = true;
            } else if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                return Err(format!("client {number} was not let in").into());
            }
            return Ok(());
        }
        let over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if client.idle {
            if over {
                client.socket = None;
            }
            return Ok(());
        }
        if !(over || flags.contains(EventFlags::IN)) {
            return Ok(());
        }
        if client.connected && !self.tally.checks(number) {
            self.take(number, over);
            return Ok(());
        }
        self.read(number, over)
    }

    /// Takes the bytes that have arrived, and only counts them. Over TLS they stay encrypted. `to_the_end`: also the end
    /// of the connection.
    fn take(&mut self, number: usize, to_the_end: bool) {
        let client = &mut self.clients[number];
        let Some(socket) = &client.socket else { return };
        loop {
            // For TCP, this flag makes the kernel drop the bytes instead of copying them: tcp(7).
            let taken = match rustix::net::recv(socket, &mut self.buffer[..], RecvFlags::TRUNC) {
                Ok((_, taken)) if taken > 0 => taken,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Ok(_) | Err(_) => {
                    client.socket = None;
                    return;
                }
            };
            self.tally.bytes(number, taken, clock::now());
            if taken < self.buffer.len() && !to_the_end {
                return;
            }
        }
    }

    /// Reads what has arrived. `to_the_end`: also the end of the connection.
    fn read(&mut self, number: usize, to_the_end: bool) -> Result<(), Failure> {
        let client = &mut self.clients[number];
        let Some(socket) = &client.socket else { return Ok(()) };
        let (tally, plain, size) = (&mut self.tally, &mut self.plain, self.buffer.len());
        let (mut over, mut status) = (false, None);
        loop {
            let read = match rustix::io::read(socket, &mut self.buffer[..]) {
                Ok(read) if read > 0 => read,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Ok(_) | Err(_) => {
                    over = true;
                    break;
                }
            };
            let now = clock::now();
            tally.bytes(number, read, now);
            let bytes = match &mut client.session {
                None => &self.buffer[..read],
                Some(session) => {
                    plain.clear();
                    session.read(socket, &self.buffer[..read], plain).map_err(|it| format!("client {number}: {it}"))?;
                    &plain[..]
                }
            };
            client.response.read(bytes, &mut |item| match item {
                Item::Event { stamp: Some(stamp), size } => tally.event(number, stamp, size, now),
                Item::Event { stamp: None, .. } => tally.foreign(),
                Item::Comment => tally.comment(),
                Item::Head { status: answered } => status = Some(answered),
                Item::End | Item::Broken => over = true,
            });
            if over || (read < size && !to_the_end) {
                break;
            }
        }
        if let Some(answered) = status.filter(|&answered| answered != Some(200)) {
            return Err(format!("client {number} was answered with {answered:?}").into());
        }
        // A client that comes back is there when it has what it missed.
        let has_all = || self.spec.crowd.returns.is_none() || self.tally.next(number) > self.spec.newest;
        if !self.clients[number].connected && self.clients[number].response.is_begun() && has_all() {
            self.connected += 1;
            self.clients[number].connected = true;
            if !self.tally.checks(number) {
                self.clients[number].session = None;
            }
        }
        if over {
            self.clients[number].socket = None;
        } else if status.is_some() && self.spec.crowd.reads == Reads::Nothing {
            self.clients[number].idle = true;
            self.stop_reading(number)?;
        }
        Ok(())
    }

    /// Watches from now on only for the end of the connection.
    fn stop_reading(&self, number: usize) -> Result<(), Failure> {
        if let Some(socket) = &self.clients[number].socket {
            let data = EventData::new_u64(u64::try_from(number)?);
            epoll::modify(&self.epoll, socket, data, EventFlags::RDHUP | EventFlags::ET)?;
        }
        Ok(())
    }
}

/// The event that client `number` got last. `None`: it is new.
fn last_event(spec: &ClientsSpec, number: usize) -> Option<u64> {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    spec.crowd.returns.map(|returns| returns.last_of(number, spec.newest))
}
