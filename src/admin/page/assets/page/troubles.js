// What is wrong now: one list of troubles, each with how it is found and what is said of it. Values in, words out.
//
// `seen` is what the page knows: now (the server's clock, in ms), process, routes, outages, failing (streams that wait for
// their origin), slow (streams with their slow clients), happenings, connecting (routes and since when they connect),
// dropped (log lines that were dropped while the page looked), and setting(section, key, route).
//
// A trouble: key (names it), level (bad, warn, note), what, whom, since (ms; null: not known), why, see (what clients see),
// todo, next (when manifold tries again, ms), and show (what the table of streams shows of it).

import { bare, bytes, clock, count, duration, line, number, percent } from './words.js';

/** Gaps, refusals and ends are wrong now until this long after the last of them. */
export const RECENT_MS = 60_000;

/** A thing is nearly full from this part on. */
const NEARLY = 0.9;

/** A stream that connects for longer than this has an origin that does not answer. */
const CONNECTS_LONG_MS = 10_000;

/** A client that is this many seconds behind is slow, even if its connection takes bytes. */
export const BEHIND_SECS = 5;

const time = (text) => (text === null || text === undefined ? null : Date.parse(text));
const secsOf = (value, usual) => (typeof value === 'number' ? value : usual);

/** What a failure's words mean for who must act. The first that fits counts. */
const REMEDIES = [
  [/refused/i, 'Nothing listens at this address. Start the origin, or correct the route’s origin in the configuration.'],
  [/no such (host|name)|name or service|resolve|look-?up|dns/i, 'The host name cannot be resolved. Check the DNS of manifold’s machine, and the route’s origin.'],
  [/certificate|tls|handshake/i, 'manifold does not accept the TLS of the origin. Check its certificate, its host name and upstream.ca_file.'],
  [/unreachable|no route/i, 'The network has no way to this address. Check routing, firewalls and the address.'],
  [/no response head|head in time/i, 'The origin accepts the request, but sends no response head. Check whether it hangs. upstream.head_timeout_secs sets how long manifold waits.'],
  [/timed? ?out|in time/i, 'The origin does not answer in time. Check its load, and firewalls that drop packets.'],
  [/\b(401|403)\b/, 'The origin refuses manifold’s requests. Check the credentials in upstream.headers.'],
  [/\b404\b|\b410\b/, 'The origin does not know this path. Compare the route’s path, strip_prefix and origin with the paths that the origin serves.'],
  [/\b429\b/, 'The origin wants fewer requests. Check its limits. manifold waits as long as its Retry-After says.'],
  [/\b5\d\d\b/, 'The origin runs, but answers with an error. Read the log of the origin.'],
  [/content-type|no event stream|encoding/i, 'The origin’s answer is not an event stream. Check the origin with “manifold probe URL”.'],
  [/closed|lost|reset|broken|cut|ended/i, 'The origin ended the connection. Check whether it was restarted, or whether a proxy in front of it ends long responses.'],
];

/** What to do about an origin that failed with these words. */
export function remedy(why) {
  const found = REMEDIES.find(([words]) => words.test(why));
  return found === undefined ? 'Check the origin with “manifold probe URL”. It says in plain words what is wrong.' : found[1];
}

/** The reasons of refusals: level, what each means, and what to do. */
const REFUSALS = {
  connections: ['bad', 'every place for clients is taken', 'Raise server.max_connections and the limit of open files, or add another manifold process.'],
  streams: ['bad', 'the route has as many open streams as share.max_streams allows', 'Raise share.max_streams of the route. If many streams differ only in their query, list the parameters that matter in share.query.'],
  subscribers: ['bad', 'the route has as many clients as limits.subscribers allows', 'Raise limits.subscribers of the route, or add another manifold process.'],
  per_stream: ['bad', 'a stream has as many clients as limits.per_stream allows', 'Raise limits.per_stream of the route.'],
  per_address: ['warn', 'a client address has as many connections as server.limits.per_address allows', 'If the address is that of a proxy, add it to server.trusted_proxies. If not, raise server.limits.per_address, or change nothing: it may be an attack.'],
  new_per_address: ['warn', 'a client address opens connections faster than server.limits.new_per_address_per_sec allows', 'If the address is that of a proxy, add it to server.trusted_proxies. If not, raise server.limits.new_per_address_per_sec, or change nothing: it may be an attack.'],
  upstreams: ['bad', 'the origin has as many connections as upstream.max_upstreams of the route allows', 'Raise upstream.max_upstreams if the origin can take more connections, or let streams share connections: upstream.multiplex = "on".'],
  origin: ['bad', 'the origin failed, or its answer was not a stream', 'Look at the origins that are down above, and at the last errors of the streams.'],
  drain: ['note', 'manifold is shutting down', 'Send new clients to another manifold process. The refused clients come back by themselves.'],
  ended: ['note', 'the stream ended while a client was about to join it', 'Nothing. The clients come back by themselves.'],
  head: ['note', 'request heads were too large, too slow or malformed', 'The log has an access line for each malformed target. server.head_bytes and server.head_secs limit the size and the time of a head.'],
  route: ['note', 'no route serves the host and path of the request', 'Compare the paths in the log with the paths of the routes.'],
  method: ['note', 'the method or the accepted media types do not match the route', 'Check methods and accept of the routes.'],
  loop: ['bad', 'requests came back to this manifold process', 'The origin of a route leads to manifold itself. Correct the origin.'],
};

const GAPS = {
  evicted: ['clients came back after the log had dropped the events that they needed', 'Raise replay.events, replay.bytes or replay.age_secs of the route, so that the log reaches further back.'],
  unknown: ['clients came with an id that the log never held', 'This is normal after a restart of manifold. Otherwise check whether clients send ids of another stream.'],
  lag: ['clients were slower than the stream', 'Look at the slow clients. replay.events and replay.bytes set how far a client may be behind.'],
  upstream: ['events were lost between the origin and manifold', 'Let the origin send ids and resume from Last-Event-ID. Then nothing is lost when manifold connects again.'],
};

const whole = { key: 'process', whom: 'all clients' };

function notAccepting({ process }) {
  if (process === null || process.is_accepting || process.lifecycle === 'draining') return [];
  return [{ ...whole, key: 'accepting', level: 'bad', what: 'manifold accepts no clients', whom: 'every new client', since: null,
    why: 'the task that accepts connections has ended', see: 'Connected clients are still served. New connections fail.',
    todo: 'Restart manifold, and report this with its log. It is a defect of manifold.' }];
}

function draining({ process, happenings, setting }) {
  if (process === null || process.lifecycle !== 'draining') return [];
  const told = happenings.newest('drain', 1)[0];
  const by = told === undefined ? `within ${duration(secsOf(setting('server', 'drain_secs'), 8))} after the drain began` : `by ${clock(time(told.told.by))}`;
  return [{ ...whole, key: 'drain', level: 'warn', what: 'manifold is shutting down', since: told?.first ?? null,
    why: 'it got SIGTERM, or SIGQUIT and a new process has taken over',
    see: `Each response ends in order ${by}. Browsers come back by themselves, to the process that listens then.`,
    todo: 'Nothing, if this is a deployment. Otherwise find out what stopped manifold, and start it again.' }];
}

/** What clients of these routes see while their origin is down. */
function seenByClients(routes, since, { setting, now }) {
  const words = new Set(routes.filter(({ kind }) => kind === 'stream').map(({ name }) => {
    if (setting('routes.upstream', 'on_error', name) === 'reflect') return 'New clients get the error at once.';
    const hold = secsOf(setting('routes.upstream', 'hold_secs', name), 300);
    const until = since + hold * 1000;
    return until > now
      ? `Responses stay open, with heartbeats but without events. At ${clock(until, now)} (hold_secs, ${duration(hold)}) manifold ends them.`
      : `hold_secs (${duration(hold)}) is over. manifold has ended the responses. It holds the response of each new client for as long again.`;
  }));
  if (routes.some(({ kind }) => kind === 'proxy')) words.add('Requests of proxy routes get 502 or 504.');
  return [...words].join(' ');
}

function originsDown(seen) {
  return seen.outages.map((outage) => {
    const { origin, streams, attempts, why } = outage;
    const since = time(outage.since);
    const routes = seen.routes.filter((route) => bare(route.origin) === bare(origin));
    const names = routes.map(({ name }) => name);
    const failing = seen.failing.streams.filter((stream) => names.includes(stream.route));
    const clients = failing.reduce((sum, stream) => sum + stream.subscribers, 0);
    const least = seen.failing.total > seen.failing.streams.length ? 'at least ' : '';
    const live = routes.reduce((sum, route) => sum + (route.phases.live ?? 0), 0);
    const next = Math.min(...failing.map((stream) => time(stream.next_attempt) ?? Infinity));
    return { key: `origin ${origin}`, level: live > 0 ? 'warn' : 'bad',
      what: live > 0 ? `Origin ${line(bare(origin), 200)} fails for ${number(streams)} of ${count(streams + live, 'stream')}` : `Origin ${line(bare(origin), 200)} is down`,
      whom: `${count(streams, 'stream')}${failing.length === 0 ? '' : ` with ${least}${count(clients, 'client')}`}, ${names.length === 1 ? 'route' : 'routes'} ${names.map((name) => line(name, 80)).join(', ') || 'unknown'}`,
      since, why: `${line(why, 400)} (${count(attempts, 'failed request')})`,
      see: streams === 0 ? 'No client waits for it now.' : seenByClients(routes, since, seen), todo: remedy(why),
      next: Number.isFinite(next) ? next : null,
      show: names.length === 1 ? { route: names[0], phase: 'waiting' } : { phase: 'waiting', sort: 'last_error' } };
  });
}

/** Streams whose origin accepted the request and sends no head. */
function connectingLong({ connecting, now }) {
  return [...connecting].filter(([, { since }]) => now - since > CONNECTS_LONG_MS).map(([route, { since, streams }]) => ({
    key: `connecting ${route}`, level: 'note', what: `The origin of route ${line(route, 80)} does not answer`,
    whom: `${count(streams, 'stream')} of the route`, since, why: 'it has not sent a response head yet',
    see: 'Responses are open, with heartbeats but without events.',
    todo: 'Nothing, if this origin sends the head only with the first event. Otherwise check whether it hangs. upstream.head_timeout_secs sets how long manifold waits.',
    show: { route, phase: 'connecting' } }));
}

function gaps({ happenings, now }) {
  return happenings.recent('gaps', now, RECENT_MS).map(({ told, count: n, first, last }) => {
    const [why, todo] = GAPS[told.reason] ?? [line(told.reason, 80), 'See docs/origins.md.'];
    const many = told.reason === 'upstream' ? 'all clients of the streams' : count(n, 'client');
    return { key: `gaps ${told.route} ${told.reason}`, level: 'warn', what: `Clients missed events on route ${line(told.route, 80)}`,
      whom: `${many}: ${count(n, 'gap')}`, since: first, last, why,
      see: 'They get a gap event, unless replay.on_gap says otherwise. Then their stream goes on.', todo, show: { route: told.route } };
  });
}

function endedSlow({ happenings, now, setting }) {
  return happenings.recent('slow_clients', now, RECENT_MS).map(({ told, count: n, first, last }) => {
    const stall = told.reason === 'stall';
    return { key: `ended ${told.route} ${told.reason}`, level: 'warn', what: `Slow clients were ended on route ${line(told.route, 80)}`,
      whom: count(n, 'client'), since: first, last,
      why: stall ? `they accepted no byte for client.stall_secs (${duration(secsOf(setting('routes.client', 'stall_secs', told.route), 30))})`
        : 'they needed events that the log no longer holds, and client.on_lag is “disconnect”',
      see: 'Their responses end. An EventSource comes back, and resumes where it was if the log still holds the events.',
      todo: stall ? 'This is normal for phones that lost their network. If there are many such clients, check the network in between.'
        : 'Raise replay.events and replay.bytes, so that the log reaches further back, or send smaller or fewer events.',
      show: { route: told.route, sort: 'lag' } };
  });
}

/** Whether a client is slow: its connection accepts nothing, or it is far behind. */
export const isSlow = (client) => client.slow_since !== null || (client.lag_secs ?? 0) >= BEHIND_SECS;

function slowNow({ slow, setting, now }) {
  return slow.map(({ stream, clients }) => {
    const worst = clients[0];
    const begun = Math.min(...clients.map((client) => time(client.slow_since) ?? now - (client.lag_secs ?? 0) * 1000));
    const far = worst.lag_bytes === null ? 'more than the log holds' : `${count(worst.lag_events, 'event')}, ${bytes(worst.lag_bytes)}`;
    const stall = setting('routes.client', 'stall_secs', stream.route) ?? 30;
    const skips = setting('routes.client', 'on_lag', stream.route) === 'skip';
    const who = `${line(worst.address, 60)}${worst.user_agent === null ? '' : ` (${line(worst.user_agent, 60)})`}`;
    return { key: `slow ${stream.id}`, level: 'warn', what: `${clients.length === 1 ? 'A client is' : `${number(clients.length)} clients are`} slow on ${line(stream.key, 120)}`,
      whom: clients.length === 1 ? who : `${who} is the furthest behind`, since: begun,
      why: `${worst.slow_since === null ? 'it accepts fewer events than arrive' : 'its connection accepts no more bytes'}; it is ${far} behind`,
      see: `Other clients notice nothing.${stall === 'off' ? '' : ` A client that accepts no byte for ${duration(stall)} is ended.`} A client that needs events that the log no longer holds ${skips ? 'gets a gap event' : 'is ended'}.`,
      todo: 'Check the network of this client. To end it now, use the panel of the stream.', show: { stream: stream.id } };
  });
}

function refusals({ happenings, now }) {
  return happenings.recent('refusals', now, RECENT_MS).map(({ told, count: n, first, last }) => {
    const [level, why, todo] = REFUSALS[told.reason] ?? ['warn', line(told.reason, 80), 'See docs/limits.md.'];
    const on = told.route ? ` on route ${line(told.route, 80)}` : '';
    return { key: `refused ${told.reason} ${told.route ?? ''}`, level, what: `Requests are refused${on}: ${line(told.reason, 60).replaceAll('_', ' ')}`,
      whom: count(n, 'request'), since: first, last, why, todo,
      see: ['head', 'route', 'method', 'loop', 'origin'].includes(told.reason) ? 'They get an error status.'
        : 'Clients that ask for an event stream are told to come back after a random time, unless server.limits.refuse is “status”. Other requests get an error status.' };
  });
}

/** A thing of which there is a limited number. */
function full(key, what, taken, limit, why, see, todo, show) {
  if (!(limit > 0) || taken < limit * NEARLY) return [];
  const over = taken >= limit;
  return [{ key: `full ${key}`, level: over ? 'bad' : 'warn', since: null,
    what: `${what} ${over ? 'at their limit' : 'nearly at their limit'}: ${number(taken)} of ${number(limit)} (${percent(taken, limit)})`,
    whom: over ? 'every new client' : 'nobody yet', why, see, todo, show }];
}

function nearlyFull({ process, routes, setting }) {
  if (process === null) return [];
  const { places, descriptors } = process;
  const refused = 'At the limit, new clients are told to come back later, or get 503.';
  const ofRoutes = routes.filter(({ kind }) => kind === 'stream').flatMap(({ name, streams, subscribers }) => [
    ...full(`streams ${name}`, `The streams of route ${line(name, 80)} are`, streams, setting('routes.share', 'max_streams', name),
      'share.max_streams limits them', refused, REFUSALS.streams[2], { route: name }),
    ...full(`subscribers ${name}`, `The clients of route ${line(name, 80)} are`, subscribers, setting('routes.limits', 'subscribers', name),
      'limits.subscribers limits them', refused, REFUSALS.subscribers[2], { route: name }),
  ]);
  return [
    ...full('places', 'The connections of clients are', places.taken, places.limit, 'server.max_connections limits them', refused, REFUSALS.connections[2]),
    ...full('descriptors', 'The file descriptors of the process are', descriptors.open, descriptors.limit, 'the system limits them (ulimit -n, LimitNOFILE)',
      'Without a descriptor manifold can neither accept a connection nor ask an origin.', 'Raise the limit of open files of the service, and restart it.'),
    ...ofRoutes,
  ];
}

function reloadFailed({ process }) {
  const last = process?.last_reload ?? null;
  if (last === null || last.outcome !== 'failed') return [];
  return [{ ...whole, key: 'reload', level: 'warn', what: 'The new configuration has errors', since: time(last.at), whom: 'the person who changed it',
    why: line(last.what, 300), see: 'Nothing. The old configuration stays in force.',
    todo: 'Run “manifold --test -c FILE”, which names every error. Correct the file, and reload again.' }];
}

function linesDropped({ dropped }) {
  if (dropped === null) return [];
  return [{ ...whole, key: 'log lines', level: 'note', what: `${count(dropped.count, 'line')} of the log ${dropped.count === 1 ? 'was' : 'were'} dropped`,
    whom: 'the readers of the log', since: dropped.since, why: 'standard error is read too slowly', see: 'Nothing. Events never wait for the log.',
    todo: 'Check the program that reads the log. With [log] access = "off" manifold writes fewer lines.' }];
}

/** The troubles, in the order in which they are shown within a level. */
export const TROUBLES = [notAccepting, draining, reloadFailed, originsDown, refusals, nearlyFull, gaps, endedSlow, slowNow, connectingLong, linesDropped];

const LEVELS = ['bad', 'warn', 'note'];

/** The words for the levels. */
export const LEVEL_WORDS = { bad: 'Failing', warn: 'Warning', note: 'Note' };

/** All that is wrong, the worst first. */
export function troubles(seen) {
  const all = TROUBLES.flatMap((find) => find(seen));
  return LEVELS.flatMap((level) => all.filter((trouble) => trouble.level === level));
}
