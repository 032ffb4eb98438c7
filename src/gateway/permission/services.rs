//! Asks others about credentials: the issuers of tokens for their keys, and authorisation services.

use super::judge::{Answers, Asked, FORWARDED_URI, Question, claim_fields};
use super::permissions::Permissions;
use super::published::{Act, Published};
use super::verdicts::{Answer, Verdicts};
use crate::auth::{
    Algorithm, AuthPolicy, Claims, Denial, Forward, ForwardUrl, Jwt, KeySet, Keys, Kind, MOST_JWKS_BYTES, Permission,
    Segments, Verdict, lifetime_of,
};
use crate::caller::Grant;
use crate::hub::ClaimField;
use crate::log_limit::LogLimit;
use crate::quoted::reason;
use crate::upstream::{Connector, OnError, Request, Response, UpstreamOptions, own_answer};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// The most log lines about services that cannot be asked, in a period of this length.
const FAILURES: (u32, Duration) = (1, Duration::from_secs(10));
/// How long an issuer or a service may take for its whole answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a request is let in for, while the service that `fail_open` is for cannot be asked.
const OPEN_FOR: Duration = Duration::from_secs(60);
/// The most bytes of a service's answer that a client is sent.
const MOST_BODY_BYTES: usize = 64 << 10;

/// Asks others about credentials. Clones share what is known.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Services {
    connector: Connector,
    permissions: Permissions,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Known {
    /// The keys by URL and algorithms.
    published: Mutex<HashMap<String, Arc<Published>>>,
    verdicts: Verdicts,
    /// Limits the log lines about services that cannot be asked.
    failures: LogLimit,
    /// The permissions that are asked for again, by question.
    rechecked: Mutex<HashMap<[u8; 32], Weak<Grant>>>,
}

impl Known {
    fn new() -> Self {
        let failures = LogLimit::new(FAILURES.0, FAILURES.1);
        Self { published: Mutex::default(), verdicts: Verdicts::default(), failures, rechecked: Mutex::default() }
    }
}

impl Services {
    pub(in crate::gateway) fn new(connector: Connector, permissions: Permissions) -> Self {
        Self { connector, permissions, known: Arc::new(Known::new()) }
    }

    /// Finds something out, and notes it among the answers.
    pub(in crate::gateway) async fn answer(&self, question: Question, answers: &mut Answers) {
        match question {
            Question::Keys { auth, newer } => {
                answers.are_newest |= newer;
                answers.keys = Some(self.keys(&auth, newer).await);
            }
            Question::Service(asked) => {
                let verdict = self.verdict(&asked).await;
                answers.verdict = Some(if asked.is_open_for(&verdict) { let_in(asked.digest) } else { verdict });
                answers.asked = Some(asked);
            }
        }
    }

    async fn keys(&self, auth: &Arc<AuthPolicy>, newer: bool) -> Result<Arc<KeySet>, Arc<str>> {
        let Kind::Jwt(Jwt { keys: Keys::Published(url), algorithms, .. }) = &auth.kind else {
            return Err("the route has no such keys".into());
        };
        let published = self.published(url, algorithms);
        match published.act(newer, Instant::now()) {
            Act::Use(keys) => return Ok(keys),
            Act::Fail(why) => return Err(why),
            Act::Renew(keys) => {
                let (services, auth) = (self.clone(), Arc::clone(auth));
                tokio::spawn(async move { services.fetch(&published, &auth, false).await });
                return Ok(keys);
            }
            Act::Fetch => {}
        }
        // In a task of its own, so that a client that leaves does not take it along for the others.
        let (services, auth, fetched) = (self.clone(), Arc::clone(auth), Arc::clone(&published));
        let fetching = tokio::spawn(async move { services.fetch(&fetched, &auth, newer).await });
        let _done = fetching.await;
        match published.act(false, Instant::now()) {
            Act::Use(keys) | Act::Renew(keys) => Ok(keys),
            Act::Fail(why) => Err(why),
            Act::Fetch => Err("the keys cannot be fetched".into()),
        }
    }

    fn published(&self, url: &Arc<ForwardUrl>, algorithms: &[Algorithm]) -> Arc<Published> {
        let key = format!("{}{} {algorithms:?}", url.origin.root_url(), url.target);
        let mut published = self.known.published.lock();
        Arc::clone(published.entry(key).or_insert_with(|| Arc::new(Published::new(Arc::clone(url)))))
    }

    /// Fetches keys, unless another did while this one waited for its turn.
    async fn fetch(&self, published: &Published, auth: &AuthPolicy, newer: bool) {
        let _turn = published.fetching.lock().await;
        if matches!(published.act(newer, Instant::now()), Act::Use(_) | Act::Fail(_)) {
            return;
        }
        let came = self.fetch_keys(&published.url, auth).await;
        let told = came.as_ref().map(|(keys, _)| keys.len()).map_err(Arc::clone);
        let is_news = published.fetched(came, Instant::now());
        let (server, path) = (published.url.origin.root_url(), &published.url.target);
        match told {
            Ok(keys) if is_news => log::info!("keys read url={server}{path} keys={keys}"),
            Err(why) if is_news => {
                log::warn!("keys cannot be read, the last ones stay in use url={server}{path} why={}", reason(&why));
            }
            Ok(_) | Err(_) => {}
        }
    }

    async fn fetch_keys(&self, url: &ForwardUrl, auth: &AuthPolicy) -> Result<(KeySet, Option<Duration>), Arc<str>> {
        let Kind::Jwt(jwt) = &auth.kind else { return Err("the route has no such keys".into()) };
        let (response, body) = self.ask(url, auth, Vec::new(), MOST_JWKS_BYTES).await?;
        if response.status != StatusCode::OK {
            return Err(format!("the server answered {}", response.status.as_u16()).into());
        }
        let Some(body) = body else { return Err(format!("the answer has more than {MOST_JWKS_BYTES} bytes").into()) };
        let keys = KeySet::of_json(&body, &jwt.algorithms, false).map_err(|invalid| Arc::from(invalid.to_string()))?;
        Ok((keys, lifetime_of(&response.headers)))
    }

    /// What an authorisation service says.
    async fn verdict(&self, asked: &Asked) -> Verdict {
        let Asked { auth, fields, digest } = asked;
        let digest = *digest;
        let Kind::Forward(service) = &auth.kind else { return Verdict::Denied(Denial::Missing) };
        let Some(cell) = self.known.verdicts.place(digest, Instant::now()) else {
            return Verdict::Denied(Denial::Unavailable("too many questions to the authorisation service".into()));
        };
        let answer = cell.get_or_init(|| self.judgement(service, auth, fields.clone(), digest)).await;
        answer.verdict_at(Instant::now())
    }

    /// Asks an authorisation service.
    async fn judgement(
        &self,
        service: &Forward,
        auth: &AuthPolicy,
        fields: Vec<(HeaderName, HeaderValue)>,
        digest: [u8; 32],
    ) -> Answer {
        match self.ask(&service.url, auth, fields, MOST_BODY_BYTES).await {
            Ok((response, body)) => {
                let lifetime = lifetime_of(&response.headers);
                let body = body.unwrap_or_default();
                Answer::new(service.verdict(response.status, &response.headers, body, digest), lifetime, Instant::now())
            }
            Err(why) => {
                if let Some(untold) = self.known.failures.next(Instant::now()) {
                    let server = service.url.origin.root_url();
                    log::warn!("authorisation service cannot be asked server={server} why={}{untold}", reason(&why));
                }
                Answer::unavailable(why, Instant::now())
            }
        }
    }

    /// Sends a request, and reads the body of the answer, up to `most` bytes. `None` in its place: it has more.
    async fn ask(
        &self,
        url: &ForwardUrl,
        auth: &AuthPolicy,
        headers: Vec<(HeaderName, HeaderValue)>,
        most: usize,
    ) -> Result<(Box<Response>, Option<Bytes>), Arc<str>> {
        let options = UpstreamOptions {
            head_timeout: PATIENCE,
            on_error: OnError::Reflect,
            trusted: auth.trusted.clone(),
            ..UpstreamOptions::default()
        };
        let request = Request { path_and_query: url.target.to_string(), headers };
        let whole = async {
            let answer = own_answer(&self.connector, &url.origin, &options, &request).await;
            let mut response = answer.map_err(|end| Arc::from(why(&end)))?;
            let mut body = BytesMut::new();
            while let Some(bytes) = response.read().await.map_err(|error| Arc::from(error.to_string()))? {
                if body.len() + bytes.len() > most {
                    return Ok((response, None));
                }
                body.extend_from_slice(&bytes);
            }
            Ok((response, Some(body.freeze())))
        };
        timeout(PATIENCE, whole).await.unwrap_or_else(|_| Err("no answer in time".into()))
    }

    /// The permission for a client that stays. If the service is to be asked again, all clients with one credential have
    /// one permission, and it is asked about for as long as one of them is there. `named`: the claims that the origin is told
    /// of.
    pub(in crate::gateway) fn watch(&self, grant: Arc<Grant>, answers: Answers, named: &[ClaimField]) -> Arc<Grant> {
        let (Some(every), Some(asked)) = (grant.recheck.map(Duration::from_millis), answers.asked) else {
            return grant;
        };
        let mut rechecked = self.known.rechecked.lock();
        let held = rechecked.get(&asked.digest).and_then(Weak::upgrade);
        if let Some(held) = held.filter(|held| *held == grant && !held.is_over()) {
            return held;
        }
        rechecked.retain(|_, held| held.strong_count() > 0);
        rechecked.insert(asked.digest, Arc::downgrade(&grant));
        drop(rechecked);
        let told = match &answers.verdict {
            Some(Verdict::Allowed { permission, .. }) => claim_fields(&permission.claims, named).collect(),
            Some(Verdict::Denied(_)) | None => Vec::new(),
        };
        let watched = Watched { grant: Arc::downgrade(&grant), asked, named: named.to_vec(), told };
        let services = self.clone();
        tokio::spawn(async move { services.recheck(&watched, every).await });
        grant
    }

    /// Asks about a permission again and again, until nobody has it or it is taken back.
    async fn recheck(&self, watched: &Watched, every: Duration) {
        let mut failures = 0;
        loop {
            sleep(every).await;
            if watched.grant.strong_count() == 0 {
                return;
            }
            self.known.verdicts.forget(&watched.asked.digest);
            let verdict = self.verdict(&watched.asked).await;
            let Some(grant) = watched.grant.upgrade() else { return };
            failures = match &verdict {
                verdict if watched.asked.is_open_for(verdict) => 0,
                Verdict::Denied(Denial::Unavailable(_)) => failures + 1,
                verdict if watched.still_has(verdict) => 0,
                Verdict::Allowed { .. } | Verdict::Denied(_) => u32::MAX,
            };
            // An outage of one moment disconnects nobody.
            if failures > 1 {
                grant.end();
                self.permissions.judge_again();
                return;
            }
        }
    }
}

/// A permission that is asked about again.
struct Watched {
    grant: Weak<Grant>,
    asked: Asked,
    /// The claims that the origin is told of, and what it was told.
    named: Vec<ClaimField>,
    told: Vec<(HeaderName, HeaderValue)>,
}

impl Watched {
    /// Whether the client still has what it was let in for. If the origin was told another thing of it, its stream is
    /// another's now.
    fn still_has(&self, verdict: &Verdict) -> bool {
        let Verdict::Allowed { permission, .. } = verdict else { return false };
        let is_permitted = self.asked.auth.permit(permission.clone(), self.asked.path().as_ref()).is_ok();
        is_permitted && claim_fields(&permission.claims, &self.named).eq(self.told.iter().cloned())
    }
}

impl Asked {
    /// Whether the service cannot be asked, and the route lets clients in then.
    fn is_open_for(&self, verdict: &Verdict) -> bool {
        let Kind::Forward(service) = &self.auth.kind else { return false };
        service.fail_open && matches!(verdict, Verdict::Denied(Denial::Unavailable(_)))
    }

    /// The path that the service was told of.
    fn path(&self) -> Option<Segments> {
        let uri = self.fields.iter().rev().find(|(name, _)| name == FORWARDED_URI)?.1.to_str().ok()?;
        Some(Segments::of(uri.split_once('?').map_or(uri, |(path, _)| path)))
    }
}

/// The verdict for a client that is let in because the service cannot be asked.
fn let_in(digest: [u8; 32]) -> Verdict {
    let grant = Grant { credential: digest, ..Grant::default() };
    Verdict::Allowed { permission: Permission { grant, claims: Claims::default() }, lifetime: Some(OPEN_FOR) }
}

/// Why there is no answer, in words.
fn why(end: &crate::hub::End) -> String {
    match end {
        crate::hub::End::Failed(failure) => failure.to_string(),
        crate::hub::End::Unusable(why) => why.clone(),
        other => other.to_string(),
    }
}
