//! The API of the admin address: JSON about streams, clients, routes and the process, what happens as Server-Sent
//! Events, and what an operator may do to a stream. `docs/openapi.json` describes it, and a test holds it against the
//! answers.
//!
//! Who asks never holds up an event. Streams are looked at one by one under their own locks, shards answer in slices,
//! and one heavy question is answered at a time.

mod behind;
mod board;
mod clients;
mod detail;
mod guard;
mod heavy;
mod listings;
mod name;
mod problem;
mod query;
mod revoke;
mod routes;
mod shown;
mod streams;
mod watch;

use super::{Facts, Upgrades};
use crate::fanout::Engine;
use crate::gateway::{CurrentRouting, Lifecycle, Presence};
use crate::hub::Hub;
use crate::upstream::Outages;
use crate::web::Reply;
use board::Board;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use name::StreamName;
use problem::Problem;
use query::Query;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;
use streams::Catalogue;
use watch::Watch;

/// What the API answers from.
#[derive(Debug)]
pub struct Api {
    catalogue: Arc<Catalogue>,
    routing: CurrentRouting,
    engine: Option<Engine>,
    board: Arc<Board>,
    watch: Watch,
    outages: Outages,
    upgrades: Upgrades,
    started: SystemTime,
    /// Lets one heavy question be answered at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The answer to a request that is refused before it is looked at.
pub(super) fn refused(status: StatusCode, why: &str) -> Reply {
    Problem::new(status, why.trim_end()).reply()
}

/// What a path names.
#[derive(Debug, PartialEq)]
enum Resource<'a> {
    Streams,
    Stream(&'a str),
    Reconnect(&'a str),
    Close(&'a str),
    Subscriber(&'a str, &'a str),
    Routes,
    Config,
    Process,
    Events,
    Upgrade,
}

impl<'a> Resource<'a> {
    /// The resource at a path below `/api/`.
    fn at(path: &'a str) -> Option<Self> {
        let parts: Vec<_> = path.split('/').collect();
        Some(match parts[..] {
            ["streams"] => Self::Streams,
            ["streams", id] => Self::Stream(id),
            ["streams", id, "reconnect"] => Self::Reconnect(id),
            ["streams", id, "close"] => Self::Close(id),
            ["streams", id, "subscribers", client] => Self::Subscriber(id, client),
            ["routes"] => Self::Routes,
            ["config"] => Self::Config,
            ["process"] => Self::Process,
            ["events"] => Self::Events,
            ["upgrade"] => Self::Upgrade,
            _ => return None,
        })
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::Reconnect(_) | Self::Close(_) | Self::Upgrade => "POST",
            Self::Subscriber(..) => "DELETE",
            Self::Streams | Self::Stream(_) | Self::Routes | Self::Config | Self::Process | Self::Events => "GET, HEAD",
        }
    }
}

impl Api {
    /// The API of a process that has just started. It looks once a second at what happens, on the current runtime.
    #[must_use]
    pub fn new(
        hub: Hub,
        routing: CurrentRouting,
        engine: Option<Engine>,
        presence: Presence,
        outages: Outages,
        lifecycle: tokio::sync::watch::Receiver<Lifecycle>,
        upgrades: Upgrades,
    ) -> Self {
        let board = Arc::new(Board::default());
        let watch = Watch::start(routing.clone(), outages.clone(), lifecycle, Arc::clone(&board));
        Self {
            catalogue: Arc::new(Catalogue::new(hub, presence, routing.clone())),
            routing,
            engine,
            board,
            watch,
            outages,
            upgrades,
            started: SystemTime::now(),
            turn: Arc::default(),
        }
    }

    /// The answer to a request for a path below `/api/`.
    pub(super) async fn answer(&self, path: &str, request: &Request<Incoming>, facts: &Facts) -> Reply {
        self.answered(path, request, facts).await.unwrap_or_else(|problem| problem.reply())
    }

    async fn answered(&self, path: &str, request: &Request<Incoming>, facts: &Facts) -> Result<Reply, Problem> {
        let none = || Problem::new(StatusCode::NOT_FOUND, "there is no such resource; docs/api.md lists them");
        let resource = Resource::at(path).ok_or_else(none)?;
        let allowed = resource.methods();
        if !allowed.split(", ").any(|method| method == request.method().as_str()) {
            return Err(Problem::method(allowed));
        }
        let is_head = request.method() == Method::HEAD;
        let query = request.uri().query();
        let json = match resource {
            Resource::Events => return self.events(query, request.headers(), is_head),
            Resource::Streams => self.streams(query).await?,
            Resource::Stream(id) => self.stream(id, query).await?,
            Resource::Routes => self.routes(query)?.to_string().into(),
            Resource::Config => Self::config(query, &facts.settings.load())?.to_string().into(),
            Resource::Process => self.process(query, facts).await?.to_string().into(),
            Resource::Reconnect(_) | Resource::Close(_) | Resource::Subscriber(..) => {
                guard::admit_action(request.headers())?;
                Query::read(query, &[])?;
                let done = self.act(&resource).await?;
                return Ok(shown::reply(StatusCode::ACCEPTED, done.to_string()));
            }
            Resource::Upgrade => {
                guard::admit_action(request.headers())?;
                Query::read(query, &[])?;
                let lifecycle = *facts.lifecycle.borrow();
                self.upgrade(lifecycle).await?.to_string().into()
            }
        };
        Ok(shown::reply(StatusCode::OK, json))
    }

    async fn act(&self, resource: &Resource<'_>) -> Result<Value, Problem> {
        let conflict = |why| Problem::new(StatusCode::CONFLICT, why);
        let Catalogue { hub, presence, .. } = &*self.catalogue;
        let (Resource::Reconnect(id) | Resource::Close(id) | Resource::Subscriber(id, _)) = *resource else {
            return Err(Problem::no_stream());
        };
        let name = self.catalogue.name_of(id)?;
        self.catalogue.view(name).ok_or_else(Problem::no_stream)?;
        let done = match (resource, name) {
            (Resource::Subscriber(_, client), _) => self.dismiss(name, client).await?,
            (Resource::Close(_), StreamName::Own(client)) => {
                presence.client(client).ok_or_else(Problem::no_stream)?.dismiss();
                json!({"done": "close"})
            }
            (Resource::Close(_), StreamName::Held(number)) if hub.end(number) => json!({"done": "close"}),
            (Resource::Reconnect(_), StreamName::Held(number)) if hub.reconnect(number) => json!({"done": "reconnect"}),
            (Resource::Reconnect(_), StreamName::Own(_)) => {
                let why = "the stream of a private route ends with its upstream connection: close it, and its client \
                           comes back";
                return Err(conflict(why));
            }
            _ => return Err(conflict("the stream has ended")),
        };
        log::info!("operator acts do={} stream_id={id}", done["done"].as_str().unwrap_or_default());
        Ok(done)
    }

    /// Waits until a new process serves in the place of this one.
    async fn upgrade(&self, lifecycle: Lifecycle) -> Result<Value, Problem> {
        log::info!("operator acts do=upgrade");
        let outcome = match lifecycle {
            Lifecycle::Running => self.upgrades.ask().await,
            Lifecycle::Draining(_) => Err("this process drains already".to_owned()),
        };
        outcome.map(|process| json!({"pid": process})).map_err(|why| Problem::new(StatusCode::CONFLICT, why))
    }
}
