//! Trusted proxies that introduce their clients by a header of the PROXY protocol.

use super::connection::Connection;
use super::proxy_header::{ProxyHeader, Told, proxy_header};
use crate::log_limit::LogLimit;
use std::time::{Duration, Instant};

/// The most log lines about connections without the header, and the period for which this holds.
const LINES: (u32, Duration) = (3, Duration::from_secs(10));

/// Reads the headers of connections, and logs what is wrong with them.
#[derive(Debug)]
pub(super) struct Introductions {
    lines: LogLimit,
}

impl Introductions {
    pub(super) fn new() -> Self {
        Self { lines: LogLimit::new(LINES.0, LINES.1) }
    }

    /// Reads the header at the beginning of a connection. Returns false, with a log line, if the connection begins with
    /// other bytes, or ends within the header.
    pub(super) async fn take(&self, connection: &mut Connection) -> bool {
        let is_introduced = introduced(connection).await;
        if !is_introduced {
            self.tell(connection);
        }
        is_introduced
    }

    /// Logs that a proxy does not send the header that this listener expects. The operator should know that.
    fn tell(&self, connection: &Connection) {
        let Some(untold) = self.lines.next(Instant::now()) else { return };
        let peer = connection.peer().socket.map_or_else(|| "unix".to_owned(), |address| address.to_string());
        log::warn!("connection closed, because it does not begin with a valid PROXY header peer={peer}{untold}");
    }
}

/// Whether the connection begins with a header, which is then taken from it.
async fn introduced(connection: &mut Connection) -> bool {
    loop {
        match proxy_header(connection.unread()) {
            ProxyHeader::Malformed => return false,
            ProxyHeader::Whole(Told { bytes, client, is_tls }) => {
                connection.consume(bytes);
                connection.told(client, is_tls);
                return true;
            }
            ProxyHeader::Incomplete => match connection.fill().await {
                // A health check may connect and send nothing, which is no fault.
                Ok(0) | Err(_) => return connection.unread().is_empty(),
                Ok(_) => {}
            },
        }
    }
}
