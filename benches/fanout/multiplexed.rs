//! A crowd whose clients share connections of HTTP/2: one thread, one epoll instance, one buffer. As in
//! [`clients`](super::clients) every event is checked.

use super::clients::GRACE_SECS;
use super::dial::{dial, send};
use super::http2::Conversation;
use super::identity::NAME;
use super::specs::{ClientsSpec, Connected, Http2, Received, Window};
use super::tally::{Reader, Tally};
use super::text::Item;
use super::tls::{Session, Settings};
use super::{Failure, clock, say, tls};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::io::{self, BufRead};
use std::os::fd::OwnedFd;

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

/// Connects, reports that, counts within the window that it is given, and reports the counts.
pub(crate) fn run(spec: ClientsSpec) -> Result<(), Failure> {
    let shared = spec.crowd.http2.ok_or("these clients speak HTTP/2")?;
    let mut crowd = Crowd::new(spec, shared)?;
    crowd.connect()?;
    crowd.wait_for_end()?;
    say("received", &Received { closed: crowd.closed, ..crowd.tally.received(crowd.spec.events) })
}

struct Crowd {
    spec: ClientsSpec,
    shared: Http2,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// The clients that have their response's head, and those whose response ended.
    answered: usize,
    closed: u64,
    window: Option<Window>,
    tally: Tally,
    /// `None`: the connections are plain.
    tls: Option<Settings>,
    /// The events of one wait, the bytes of one read, what they contain if they are encrypted, and what they are answered
    /// with. All buffers are reused.
    ready: Vec<epoll::Event>,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    answer: Vec<u8>,
}

struct Connection {
    /// `None`: the server ended the connection.
    socket: Option<OwnedFd>,
    /// `None`: the connection is plain.
    session: Option<Box<Session>>,
    asked: bool,
    conversation: Conversation,
}

impl Crowd {
    fn new(spec: ClientsSpec, shared: Http2) -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, io::stdin(), EventData::new_u64(ORDERS), EventFlags::IN)?;
        let reader =
            |number: usize| Reader { first: 0, checks: !(shared.stalled && number.is_multiple_of(shared.clients)) };
        let tally = Tally::new((0..spec.crowd.clients).map(reader), usize::try_from(spec.crowd.streams)?, spec.size)?;
        let tls = spec.identity.as_ref().map(|identity| Settings::new(identity, tls::HTTP_2, 0)).transpose()?;
        Ok(Self {
            connections: Vec::with_capacity(spec.crowd.clients.div_ceil(shared.clients)),
            spec,
            shared,
            epoll,
            answered: 0,
            closed: 0,
            window: None,
            tally,
            tls,
            ready: Vec::with_capacity(READY),
            buffer: vec![0; BUFFER],
            plain: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// Connects all clients.
    fn connect(&mut self) -> Result<(), Failure> {
        let (all, begun) = (self.spec.crowd.clients, clock::now());
        let at_once = if self.spec.crowd.at_once { all } else { self.spec.awaited };
        while self.answered < all {
            while self.connections.len() * self.shared.clients < all.min(self.answered + at_once) {
                self.begin()?;
                // The first clients are not to wait for the last ones.
                if self.connections.len().is_multiple_of(BEGUN) {
                    self.turn(0)?;
                }
            }
            self.turn(TICK)?;
            if clock::now() - begun > self.spec.connect_secs * clock::SECOND {
                let (answered, secs) = (self.answered, self.spec.connect_secs);
                return Err(format!("{answered} of {all} clients were answered within {secs} s").into());
            }
        }
        let secs = std::time::Duration::from_nanos(clock::now() - begun).as_secs_f64();
        say("connected", &Connected { clients: all, secs })
    }

    /// Begins the next connection. The last one may have fewer clients than the others.
    fn begin(&mut self) -> Result<(), Failure> {
        let number = self.connections.len();
        let socket = dial(self.spec.server, number, false)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &socket, EventData::new_u64(u64::try_from(number)?), flags)?;
        let clients = self.shared.clients.min(self.spec.crowd.clients - number * self.shared.clients);
        let conversation = Conversation::new(clients, self.shared.stalled);
        self.connections.push(Connection { socket: Some(socket), session: None, asked: false, conversation });
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
                return self.check_stalled();
            }
        }
    }

    /// A stream that still has room for an event has not stalled. What was measured beside it means nothing.
    fn check_stalled(&self) -> Result<(), Failure> {
        let left = self.connections.iter().filter_map(|connection| connection.conversation.left_to_stalled());
        match left.max().filter(|&left| usize::try_from(left).is_ok_and(|left| left > self.spec.size)) {
            Some(left) => Err(format!("a stream that should have stalled has room for {left} bytes").into()),
            None => Ok(()),
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
            match event.data.u64() {
                ORDERS => self.obey()?,
                number => self.serve(usize::try_from(number)?, event.flags)?,
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
        let connection = &self.connections[number];
        let Some(socket) = &connection.socket else { return Ok(()) };
        let over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if connection.asked {
            return if over || flags.contains(EventFlags::IN) { self.read(number, over) } else { Ok(()) };
        }
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            return Err(format!("connection {number} was not let in").into());
        }
        if !flags.contains(EventFlags::OUT) {
            return Ok(());
        }
        let first = u64::try_from(number * self.shared.clients)?;
        let path = |client: u64| {
            let stream = self.spec.crowd.first_stream + client % self.spec.crowd.streams;
            format!("{}{stream}", self.spec.path)
        };
        self.answer.clear();
        connection.conversation.begin((first..).map(path), NAME, self.tls.is_some(), &mut self.answer);
        let session = match &self.tls {
            None => {
                send(socket, &self.answer)?;
                None
            }
            Some(tls) => {
                let mut session = Box::new(tls.session()?);
                session.send(socket, &self.answer)?;
                Some(session)
            }
        };
        let connection = &mut self.connections[number];
        (connection.session, connection.asked) = (session, true);
        Ok(())
    }

    /// Reads what has arrived. `to_the_end`: also the end of the connection.
    fn read(&mut self, number: usize, to_the_end: bool) -> Result<(), Failure> {
        let connection = &mut self.connections[number];
        let Some(socket) = &connection.socket else { return Ok(()) };
        let (tally, plain, answer) = (&mut self.tally, &mut self.plain, &mut self.answer);
        let first = number * self.shared.clients;
        let (mut over, mut refused) = (false, None);
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
            let failed = |error: Failure| format!("connection {number}: {error}");
            let bytes = match &mut connection.session {
                None => &self.buffer[..read],
                Some(session) => {
                    plain.clear();
                    session.read(socket, &self.buffer[..read], plain).map_err(failed)?;
                    &plain[..]
                }
            };
            answer.clear();
            let mut sink = |place: usize, item| match item {
                // What comes to a client that stalled is not counted.
                Item::Event { .. } | Item::Comment if !tally.checks(first + place) => {}
                Item::Event { stamp: Some(stamp), size } => tally.event(first + place, stamp, size, now),
                Item::Event { stamp: None, .. } => tally.foreign(),
                Item::Comment => tally.comment(),
                Item::Head { status: Some(200) } => self.answered += 1,
                Item::Head { status } => refused = Some((first + place, status)),
                Item::End | Item::Broken => self.closed += 1,
            };
            connection.conversation.read(bytes, answer, &mut sink).map_err(|error| failed(error.into()))?;
            if !answer.is_empty() {
                match &mut connection.session {
                    None => send(socket, answer)?,
                    Some(session) => session.send(socket, answer)?,
                }
            }
            if read < self.buffer.len() && !to_the_end {
                break;
            }
        }
        if let Some((client, status)) = refused {
            return Err(format!("client {client} was answered with {status:?}, or not with an event stream").into());
        }
        if over {
            self.closed += u64::try_from(connection.conversation.open())?;
            connection.socket = None;
        }
        Ok(())
    }
}
