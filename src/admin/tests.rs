//! Questions and answers over real sockets.

use super::{Admin, Api, Facts, Question, Unhealthy, Upgrades};
use crate::config::{Addresses, ListenAddr, Networks};
use crate::gateway::{CurrentRouting, Lifecycle, NoStreams, Permissions, Presence, RouteIds, Routing};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::upstream::Outages;
use http::StatusCode;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

fn tcp(address: &str) -> ListenAddr {
    ListenAddr::Tcp(address.parse().unwrap())
}

/// A process with these listeners and this admin address.
fn process(listen: &[ListenAddr], admin: Option<&str>) -> Addresses {
    Addresses { listen: listen.to_vec(), admin: admin.map(tcp), ..Addresses::default() }
}

/// An admin address whose facts the test can change.
struct Stage {
    lifecycle: watch::Sender<Lifecycle>,
    accepting: JoinHandle<()>,
    addresses: Addresses,
    _admin: Admin,
}

impl Stage {
    fn new() -> Self {
        let (lifecycle, seen) = watch::channel(Lifecycle::Running);
        let accepting = tokio::spawn(std::future::pending());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let routing = CurrentRouting::new(Routing::new(&[], Networks::default(), &mut RouteIds::default()));
        let hub = Hub::new(Arc::new(NoStreams));
        let outages = Outages::default();
        let presence = Presence::default();
        let permissions = Permissions::new(Arc::default(), None, presence.clone());
        let upgrades = Upgrades::default();
        let api = Api::new(hub.clone(), routing.clone(), None, presence, outages, seen.clone(), upgrades);
        let facts = Facts {
            settings: Arc::default(),
            permissions,
            api,
            lifecycle: seen,
            accepting: accepting.abort_handle(),
            access: Arc::default(),
            metrics: Metrics::new(routing, hub, None, 1),
            scraping: Mutex::default(),
        };
        listener.set_nonblocking(true).unwrap();
        let admin = Admin::start(tokio::net::TcpListener::from_std(listener).unwrap(), facts);
        Self { lifecycle, accepting, addresses: process(&[], Some(&address)), _admin: admin }
    }

    async fn ask(&self) -> Result<String, Unhealthy> {
        Question::of(&self.addresses).unwrap().ask().await
    }
}

#[tokio::test]
async fn a_process_that_serves_is_well_and_one_that_drains_is_not() {
    let stage = Stage::new();
    let well = stage.ask().await.unwrap();
    assert_eq!(well, format!("healthy: {} says ready", stage.addresses.admin.as_ref().unwrap()));
    stage.lifecycle.send_replace(Lifecycle::Draining(Instant::now()));
    let unhealthy = stage.ask().await.unwrap_err();
    assert!(
        matches!(&unhealthy, Unhealthy::NotReady(_, StatusCode::SERVICE_UNAVAILABLE, text) if text == "draining"),
        "{unhealthy}"
    );
}

#[tokio::test]
async fn a_process_whose_accepting_task_ended_is_not_well() {
    let mut stage = Stage::new();
    stage.accepting.abort();
    assert!((&mut stage.accepting).await.unwrap_err().is_cancelled());
    let unhealthy = stage.ask().await.unwrap_err().to_string();
    assert!(unhealthy.ends_with("says 503 Service Unavailable: not listening"), "{unhealthy}");
}

#[tokio::test]
async fn an_address_without_a_listener_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let question = Question::of(&process(&[tcp(&address)], None)).unwrap();
    let unhealthy = question.ask().await.unwrap_err();
    assert!(matches!(unhealthy, Unhealthy::Unreachable(..)), "{unhealthy}");
    assert!(unhealthy.to_string().starts_with(&format!("{address} cannot be reached: ")), "{unhealthy}");
}

#[tokio::test(start_paused = true)]
async fn one_that_listens_but_never_answers_is_not_well() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let question = Question::of(&process(&[tcp(&listener.local_addr().unwrap().to_string())], None)).unwrap();
    let unhealthy = question.ask().await.unwrap_err();
    assert!(matches!(unhealthy, Unhealthy::Silent(_)), "{unhealthy}");
}

#[test]
fn the_admin_address_is_asked_first_and_a_wildcard_on_loopback() {
    let unix = ListenAddr::Unix("/run/m.sock".into());
    for (listen, admin, expected) in [
        (vec![tcp("127.0.0.2:80")], Some("127.0.0.3:81"), "127.0.0.3:81, GET /readyz"),
        (vec![tcp("127.0.0.2:80"), tcp("127.0.0.3:80")], None, "127.0.0.2:80, OPTIONS *"),
        (vec![tcp("0.0.0.0:80")], None, "127.0.0.1:80, OPTIONS *"),
        (vec![tcp("[::]:80")], None, "[::1]:80, OPTIONS *"),
        (vec![tcp("127.0.0.1:80")], Some("0.0.0.0:81"), "127.0.0.1:81, GET /readyz"),
        (vec![unix, tcp("127.0.0.2:80")], None, "unix:/run/m.sock, OPTIONS *"),
    ] {
        let question = Question::of(&process(&listen, admin)).unwrap();
        assert_eq!(question.to_string(), expected, "{listen:?} {admin:?}");
    }
    for (listen, admin) in [("127.0.0.1:0", None), ("127.0.0.1:80", Some("127.0.0.1:0"))] {
        let unknown = Question::of(&process(&[tcp(listen)], admin)).unwrap_err();
        assert!(matches!(unknown, Unhealthy::UnknownPort(_)), "{unknown}");
    }
}

#[test]
fn an_address_with_tls_is_asked_if_there_is_no_other_and_no_certificate_is_needed() {
    let tls = vec!["0.0.0.0:443".parse().unwrap(), "127.0.0.2:444".parse().unwrap()];
    let with = |listen: &[ListenAddr], admin| Addresses { tls: tls.clone(), ..process(listen, admin) };
    for (addresses, expected) in [
        (with(&[], None), "127.0.0.1:443 with TLS, OPTIONS *"),
        (with(&[tcp("127.0.0.2:80")], None), "127.0.0.2:80, OPTIONS *"),
        (with(&[], Some("127.0.0.3:81")), "127.0.0.3:81, GET /readyz"),
    ] {
        assert_eq!(Question::of(&addresses).unwrap().to_string(), expected);
        let strict = Addresses { needs_certificate: true, ..addresses };
        match Question::of(&strict) {
            Ok(question) => assert_eq!(question.to_string(), expected),
            Err(error) => assert!(
                expected.contains("TLS") && matches!(error, Unhealthy::NeedsCertificate(address) if address == tls[0]),
                "{error}"
            ),
        }
    }
    assert!(matches!(Question::of(&process(&[], None)), Err(Unhealthy::NoAddress)));
}
