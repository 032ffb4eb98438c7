//! What must hold while a gateway is attacked and after it: the process lives, a client that was there before is still
//! served, a new one is let in, and the most memory that the process ever had is within the bound of the story.

use crate::client::{Client, Connection, Response};
use crate::gateway::{Gateway, Route, route};
use crate::guard::guarded;
use crate::http1::{Headers, latin1};
use crate::origin::{Body, Origin};
use crate::stage::{joined, numbered, opened};

pub const KIB: usize = 1 << 10;
pub const MIB: usize = 1 << 20;

/// What a process may grow by that serves what is no attack: the buffers of its threads, its first connections, and what
/// its allocator keeps.
pub const SERVING: usize = 6 * MIB;

/// The path of the stream that is not attacked. No attack may use it.
const PEACE: &str = "/peace";

/// A gateway that is attacked, and a client that has nothing to do with it.
pub struct Siege<'a> {
    gateway: &'a Gateway,
    client: Response,
    body: Body,
    /// An origin of its own, so that the requests of the attacked one are those of the attack.
    _origin: Origin,
    before: usize,
}

/// A gateway with these lines under `[server]` and these routes, and the stream that is not attacked.
pub async fn besieged(server: &str, routes: impl IntoIterator<Item = Route>) -> (Gateway, Origin) {
    let peaceful = Origin::start();
    let routes = std::iter::once(route(PEACE, &peaceful)).chain(routes);
    let config = crate::gateway::configuration(server, routes);
    (Gateway::start(&config).await, peaceful)
}

impl<'a> Siege<'a> {
    /// Begins an attack on a gateway that [`besieged`] returned.
    pub async fn of((gateway, origin): (&'a Gateway, Origin)) -> Self {
        let (mut client, mut body) = opened(Client::get(PEACE), gateway, &origin).await;
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
        Self { gateway, client, body, _origin: origin, before: gateway.resident() }
    }

    /// The attack is over. The process lives, still serves, and has never had more than `most` bytes above what it had
    /// before.
    pub async fn endured(mut self, most: usize) {
        self.body.event(&numbered(2)).await;
        assert_eq!(self.client.next_data().await, "2");
        let mut newcomer = joined(Client::get(PEACE).after(2), self.gateway).await;
        self.body.event(&numbered(3)).await;
        for client in [&mut self.client, &mut newcomer] {
            assert_eq!(client.next_data().await, "3");
        }
        let peak = peak(self.gateway.id());
        let grown = peak.saturating_sub(self.before);
        assert!(grown <= most, "it grew by {} KiB, and may by {} KiB", grown / KIB, most / KIB);
    }
}

/// The most memory that a process has had, in bytes.
fn peak(process: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * KIB
}

/// The number of descriptors that a process has open.
pub fn descriptors(process: i32) -> usize {
    crate::gateway::descriptors(process).expect("the process lives")
}

/// Sends these bytes on a connection of its own, as HTTP/1.1 in each mode. Returns all that comes back until the gateway
/// closes the connection. The client ends its side.
pub async fn told(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> String {
    let mut connection = Connection::open(gateway).await;
    connection.send(bytes).await;
    // The gateway may have closed already.
    guarded("the end of the client's side", connection.try_half_close()).await;
    latin1(&connection.rest().await)
}

/// The same for a request after which the gateway closes the connection, while the client keeps its side open.
pub async fn told_to_the_end(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> String {
    let mut connection = Connection::open(gateway).await;
    connection.send(bytes).await;
    latin1(&connection.rest().await)
}

/// The statuses of the answers in these bytes, in order. The body of no answer may hold a status line.
pub fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.split("HTTP/1.1 ").skip(1);
    lines.map(|line| line.get(..3).unwrap_or_default().parse().unwrap_or_else(|_| panic!("{answers}"))).collect()
}

/// The fields of an answer without those that differ in each answer.
pub fn lasting(headers: &Headers) -> Vec<(String, String)> {
    let lasting = headers.0.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
    lasting.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

/// A line of the configuration under `[server]`. A head that is cut off is waited for as long as the story takes.
pub const PATIENT: &str = "head_secs = 300";
