//! A gateway that is restarted on its port.

use crate::gateway::{Gateway, Route, configuration};
use crate::origin::Port;
use rustix::process::Signal;

/// A gateway, its configuration and its port.
pub struct Site {
    port: Port,
    config: String,
    gateway: Option<Gateway>,
}

impl Site {
    /// Starts with one route and a short drain. Ends are spread over the drain time, so a client that is not told in
    /// time is cut off.
    pub async fn with(route: Route) -> Self {
        Self::draining_for(0.2, route).await
    }

    /// Starts with one route and a drain time in seconds.
    pub async fn draining_for(secs: f64, route: Route) -> Self {
        let port = Port::reserve();
        let config =
            configuration(&format!("drain_secs = {secs}"), [route]).replace("127.0.0.1:0", &port.addr().to_string());
        let gateway = Some(Gateway::start(&config).await);
        Self { port, config, gateway }
    }

    /// The running gateway.
    pub fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("the gateway runs")
    }

    /// The URL of a path, whether the gateway runs or not.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.port.url())
    }

    /// Ends the gateway as an operator does.
    pub async fn stop(&mut self) {
        let mut gateway = self.gateway.take().expect("the gateway runs");
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    }

    /// Starts the gateway again on the same port.
    pub async fn start(&mut self) {
        self.gateway = Some(Gateway::start(&self.config).await);
    }
}
