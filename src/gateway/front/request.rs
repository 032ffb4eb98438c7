//! One request of HTTP/1.x: what serves it, and what becomes of its connection.

use super::super::after::After;
use super::super::answered::Outcome;
use super::super::answers::{answer, bad_head, say_and_close};
use super::super::chunks::Chunks;
use super::super::connection::Connection;
use super::super::gate::Gate;
use super::super::head::{self, Body, Head};
use super::super::plan::{Ask, Plan, Request};
use super::super::reply::Reply;
use super::super::sessions::{Decided, close};
use super::super::shared::NotJoined;
use super::super::writer::Broken;
use super::Front;
use crate::fanout::Engine;
use http::Method;

impl Front {
    /// Serves one request, or prepares the hand-over of its client. Its head is the first `head_bytes` unread bytes.
    /// Returns the connection and what comes next for it, or `None` if the connection is gone.
    pub(super) async fn request(&self, mut connection: Connection, head_bytes: usize) -> Option<(Connection, After)> {
        let head = match Head::parse(connection.unread().get(..head_bytes).unwrap_or_default()) {
            Ok(head) => head,
            Err(bad) => {
                connection.consume(head_bytes);
                let reply = bad_head(bad.status(), &bad.to_string());
                return answer(connection, &reply, false, false).await;
            }
        };
        let came = std::time::Instant::now();
        let request = Request::of(&head);
        let plan = match self.gateway.plan(&request, connection.peer()).await {
            Err(refusal) => {
                let reply = self.gateway.refused(&refusal);
                self.gateway.answered(&request, connection.peer(), Outcome::of(Some(&refusal), &reply, came));
                return self.answer_to(connection, head_bytes, &head, &reply).await;
            }
            Ok(Plan::Answer(reply)) => {
                self.gateway.answered(&request, connection.peer(), Outcome::of(None, &reply, came));
                return self.answer_to(connection, head_bytes, &head, &reply).await;
            }
            Ok(plan) => plan,
        };
        if let (Plan::Shared(ask), Some(engine), true) = (&plan, self.gateway.engine(), head.is_plain)
            && connection.can_leave()
        {
            connection.consume(head_bytes);
            return self.join(connection, &head, ask, engine).await;
        }
        let rewritten = match connection.unread().get(..head_bytes) {
            Some(bytes) if !head.target.starts_with('/') => head::in_origin_form(bytes),
            _ => None,
        };
        let head_bytes = match rewritten {
            None => head_bytes,
            Some(rewritten) => {
                connection.consume(head_bytes);
                connection.put_back(&rewritten);
                rewritten.len()
            }
        };
        let gate = match head.body {
            _ if head.upgrades() => Gate::Open,
            Body::Chunked => Gate::Chunked { head: head_bytes as u64, body: Chunks::new() },
            Body::None => Gate::Bytes(head_bytes as u64),
            Body::Length(bytes) => Gate::Bytes((head_bytes as u64).saturating_add(bytes)),
        };
        let promise = connection.promise().filter(|_| matches!(plan, Plan::Shared(_)));
        let decided = Decided { plan, is_kept: self.is_kept(&head), promise };
        Box::pin(self.sessions.request(connection, gate, decided, &self.stopping)).await
    }

    /// Tells the client of a request that it cannot be served for now, and closes the connection.
    pub(super) async fn turn_away(&self, mut connection: Connection, head_bytes: usize) {
        let parsed = Head::parse(connection.unread().get(..head_bytes).unwrap_or_default());
        connection.consume(head_bytes);
        let Ok(head) = parsed else {
            return self.refuse_unread(connection).await;
        };
        let request = Request::of(&head);
        let reply = self.gateway.turned_away(&request, connection.peer(), connection.why_no_place());
        if let Some((connection, _)) = answer(connection, &reply, head.method == Method::HEAD, false).await {
            close(connection).await;
        }
    }

    /// Tells a client whose request cannot be read that it cannot be served for now, and closes the connection.
    pub(super) async fn refuse_unread(&self, connection: Connection) {
        let reply = self.gateway.refused(&connection.why_no_place().into());
        say_and_close(connection, &reply).await;
    }

    /// Whether the connection serves another request after this one.
    fn is_kept(&self, head: &Head) -> bool {
        head.is_kept && !*self.stopping.borrow()
    }

    /// Answers a request that needs neither a session nor the engine. If the request has a body or asks for an upgrade,
    /// the connection closes after the answer, because the bytes that follow are not the next head.
    async fn answer_to(
        &self,
        mut connection: Connection,
        head_bytes: usize,
        head: &Head,
        reply: &Reply,
    ) -> Option<(Connection, After)> {
        drop(connection.promise());
        connection.consume(head_bytes);
        let has_body = !matches!(head.body, Body::None | Body::Length(0));
        let is_kept = self.is_kept(head) && !has_body && !head.upgrades();
        answer(connection, reply, head.method == Method::HEAD, is_kept).await
    }

    /// Lets the client of a plain request join its stream, and prepares the hand-over to the engine.
    async fn join(
        &self,
        mut connection: Connection,
        head: &Head,
        ask: &Ask,
        engine: &Engine,
    ) -> Option<(Connection, After)> {
        let (came, promise) = (std::time::Instant::now(), connection.promise());
        let left = async {
            connection.left().await;
            Broken::Left
        };
        let joined = match self.gateway.join(ask, promise, left).await {
            Ok(joined) => joined,
            Err(NotJoined::Broken(_)) => return None,
            Err(NotJoined::Refused(refusal)) => {
                let reply = self.gateway.refused(&refusal);
                self.gateway.answered(&Request::of(head), connection.peer(), Outcome::of(Some(&refusal), &reply, came));
                return answer(connection, &reply, false, self.is_kept(head)).await;
            }
        };
        let is_kept = self.is_kept(head) && connection.comes_back();
        let client = self.gateway.leave(engine, ask, joined, head.version, is_kept).ok()?;
        Some((connection, After::HandOver(Box::new(client))))
    }
}
