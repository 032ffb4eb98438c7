// The page of `manifold demo`: three EventSources, a poll of the figures, and a few buttons.
//
// A button that can do nothing has aria-disabled and keeps the focus. A disabled one would lose it to the body.
//
// An EventSource that reconnects by itself sends Last-Event-ID. A reloaded page cannot set that header. It keeps the id in
// sessionStorage and sends it as ?lastEventId=. Both mean the same to the gateway.
'use strict';

const ROWS = 7;          // the number of rows shown per stream
const POLL_MS = 1000;    // the time between two polls of the figures
const HURRY_MS = 100;    // the same while a change is awaited
const HURRIES = 50;      // the number of such polls
const LOG_ROWS = 8;
const RAW_LENGTH = 6000; // the number of characters of raw bytes that stay
const PATIENCE_MS = 5000; // without an answer for this long, the browser has no connection left
const TUNNEL_MS = 5000;
const HIDDEN_MS = 1000;  // then a hidden page closes its streams, because browsers allow six connections to one host
const REOPEN_MS = 3000;  // the pause after an answer that an EventSource takes for final, such as 503

const STREAMS = [
  { name: 'ticker', title: 'Without ids', hint: 'The origin only ticks. manifold gives every event an id, so clients can resume.' },
  { name: 'numbered', title: 'With ids', hint: 'The origin gives ids and resumes from them. It sends later what it could not send at once.' },
  { name: 'flaky', title: 'Fails now and then', hint: 'The origin breaks off after eight events, and answers some attempts with 503.' },
];

const by = (id) => document.getElementById(id);
const text = (node, value) => { if (node.textContent !== String(value)) node.textContent = value; };
const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;
const able = (id) => by(id).getAttribute('aria-disabled') !== 'true';
const enable = (id, enabled) => by(id).setAttribute('aria-disabled', String(!enabled));
let seen = null; // the newest state of the demo that was polled
let gone = false; // whether the last poll failed, so that nothing is known of the demo now

/** Adds a line to what happened. A line of the same kind takes the place of the earlier one, and is counted. */
function say(what, kind = what) {
  const line = document.createElement('li');
  const same = [...by('log').children].find((other) => other.dataset.kind === kind);
  const times = Number(same?.dataset.times ?? 0) + 1;
  Object.assign(line.dataset, { kind, times });
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const said = document.createElement('span');
  said.textContent = times === 1 ? what : `${what} (${times} times)`;
  line.append(time, said);
  same?.remove();
  by('log').append(line);
  while (by('log').children.length > LOG_ROWS) by('log').firstElementChild.remove();
}

/** One stream: its EventSource, the events that came, and those that are missing. */
class Stream {
  constructor({ name, title, hint }) {
    this.name = name;
    this.key = `manifold.demo.${name}`;
    this.kept = { run: null, id: null, n: null, received: 0, duplicates: 0, reported: 0, unreported: 0, gap: false, rows: [] };
    try { Object.assign(this.kept, JSON.parse(sessionStorage.getItem(this.key))); } catch { /* nothing was kept */ }
    this.card = by('card').content.firstElementChild.cloneNode(true);
    const heading = this.card.querySelector('h3');
    heading.textContent = title;
    heading.id = `stream-${name}`;
    this.card.id = name;
    this.card.setAttribute('aria-labelledby', heading.id);
    this.card.querySelector('code').textContent = `/${name}`;
    this.card.querySelector('.hint').textContent = hint;
    by('cards').append(this.card);
    this.list = this.card.querySelector('.events');
    this.raw = this.card.querySelector('.raw');
    this.raw.setAttribute('aria-label', `Raw bytes of /${name}`);
    this.rawButton = this.card.querySelector('button');
    this.rawButton.id = `${name}-raw`;
    this.rawButton.addEventListener('click', () => this.showRaw(this.raw.hidden));
    this.kept.rows.forEach((row) => this.show(row));
    this.tally();
  }

  /** Opens the stream, after the last event that came if there was one. */
  open() {
    const { id } = this.kept;
    if (id !== null) this.row({ mark: `resumed after ${this.short(id)}` });
    this.source = new EventSource(id === null ? `/${this.name}` : `/${this.name}?lastEventId=${encodeURIComponent(id)}`);
    // What is not newer than this comes from the log. After the first visit of a page, nothing does.
    this.logged = id === null || seen === null ? 0 : seen.newest;
    this.source.onopen = () => { this.badge(); poll(); };
    this.source.onerror = () => {
      this.badge();
      poll();
      if (this.source.readyState === EventSource.CLOSED) this.reopening = setTimeout(() => this.open(), REOPEN_MS);
    };
    this.source.onmessage = (event) => this.take(event);
    this.source.addEventListener('gap', (event) => this.gap(JSON.parse(event.data)));
    this.badge();
    return new Promise((first) => { this.first ??= first; });
  }

  close() {
    clearTimeout(this.reopening);
    this.source?.close();
    this.first = null;
    this.showRaw(false);
    this.badge();
  }

  /** Shows what is on the wire instead of the events, or no longer. One card at a time: a browser has few connections. */
  showRaw(on) {
    if (on) streams.forEach((stream) => stream.showRaw(false));
    this.leave?.abort();
    this.leave = null;
    this.raw.hidden = !on;
    this.list.hidden = on;
    this.rawButton.setAttribute('aria-pressed', String(on));
    if (on) this.readRaw(this.leave = new AbortController());
  }

  /** Reads the stream once more, with the events since the last one that came, and shows its body as it is. */
  async readRaw(leave) {
    const { id } = this.kept;
    text(this.raw, '');
    try {
      const headers = { Accept: 'text/event-stream', ...(id === null ? {} : { 'Last-Event-ID': id }) };
      const response = await fetch(`/${this.name}`, { headers, signal: leave.signal });
      poll();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.raw.textContent = (this.raw.textContent + value).slice(-RAW_LENGTH);
        this.raw.scrollTop = this.raw.scrollHeight;
      }
      this.raw.textContent += '\n(the response ended)';
    } catch {
      if (leave.signal.aborted) hurry(() => false, 5);
      else this.raw.textContent += '\n(the response broke off)';
    }
  }

  take(event) {
    const { run, n, value } = JSON.parse(event.data);
    const kept = this.kept;
    if (kept.run !== null && kept.run !== run) {
      Object.assign(kept, { n: null, received: 0, duplicates: 0, reported: 0, unreported: 0, gap: false });
      this.row({ mark: 'the demo was restarted' });
    }
    const missing = kept.n === null ? 0 : n - kept.n - 1;
    if (missing < 0) kept.duplicates += 1;
    else if (kept.gap) kept.reported += missing;
    else kept.unreported += missing;
    Object.assign(kept, { run, id: event.lastEventId, n: Math.max(n, kept.n ?? 0), gap: false });
    kept.received += 1;
    this.row({ n, id: event.lastEventId, value, replayed: n <= this.logged });
    if (this.name === 'numbered') terminal();
    this.tally();
    this.first?.();
    this.first = null;
  }

  gap({ reason, missed }) {
    this.kept.gap = true;
    const many = missed === null ? 'some events were' : count(missed, 'event was', 'events were');
    this.row({ gap: `gap (${reason}): ${many} lost` });
    say(`/${this.name} was told of a gap: ${many} lost (reason: ${reason}).`, `gap ${this.name} ${reason}`);
  }

  row(row) {
    this.kept.rows = [...this.kept.rows, row].slice(-ROWS);
    this.show(row);
    try { sessionStorage.setItem(this.key, JSON.stringify(this.kept)); } catch { /* without storage, a reloaded page cannot resume */ }
  }

  show({ n, id, value, mark, gap, replayed }) {
    const line = document.createElement('li');
    if (mark || gap) {
      line.className = mark ? 'pause' : 'gap';
      line.textContent = mark ?? gap;
      line.title = line.textContent;
    } else {
      const cell = (content) => Object.assign(document.createElement('span'), { textContent: content });
      const end = id.lastIndexOf('-');
      const middle = document.createElement('span');
      middle.className = 'id';
      middle.append(cell(`${replayed ? '↺ ' : ''}id ${id.slice(0, end)}`), cell(id.slice(end)));
      middle.title = id;
      line.append(cell(n), middle, cell(value.toFixed(2)));
      line.dataset.n = n;
      if (replayed) {
        line.className = 'replayed';
        line.title = 'This event came while the page was away. It was replayed.';
      }
    }
    this.list.append(line);
    while (this.list.children.length > ROWS) this.list.firstElementChild.remove();
  }

  /** A short form of an id. Minted ids are long, and their beginning and end are enough to tell them apart. */
  short(id) {
    return id.length > 16 ? `${id.slice(0, 7)}…${id.slice(id.lastIndexOf('-'))}` : id;
  }

  tally() {
    for (const cell of this.card.querySelectorAll('dd')) {
      const what = cell.dataset.of;
      text(cell, this.kept[what]);
      cell.className = this.kept[what] === 0 || what === 'received' ? '' : what === 'reported' ? 'warn' : 'bad';
    }
  }

  badge() {
    const badge = this.card.querySelector('.badge');
    const state = this.source?.readyState;
    const held = state === EventSource.OPEN && !gone && seen !== null && !seen.origin.on;
    text(badge, held ? 'held open' : ['connecting', 'open', 'closed'][state] ?? 'in another window');
    badge.className = `badge ${held ? 'held' : ['', 'open', 'closed'][state] ?? ''}`;
  }

  figures({ clients, connections, failures }) {
    const now = `${count(clients, 'client shares', 'clients share')} ${count(connections, 'connection', 'connections')} to the origin.`;
    const lost = failures === 0 ? '' : ` The connection has failed ${count(failures, 'time', 'times')} so far.`;
    text(this.card.querySelector('.share'), now + lost);
    this.badge();
  }

  /** Shows that nothing is known of this stream. */
  blank() {
    text(this.card.querySelector('.share'), '');
    this.badge();
  }
}

const streams = STREAMS.map((stream) => new Stream(stream));

/**
 * Browsers allow six HTTP/1.1 connections to one host. So if this page is open in several windows, one window has all
 * three streams, and each of the others has one until it is its turn. Where the Web Locks API is missing (a page that is
 * not from this machine), every window has all three.
 */
let release = () => {};
function turn() {
  if (navigator.locks === undefined) return Promise.resolve();
  return new Promise((granted) => {
    const leave = new AbortController();
    release = () => leave.abort();
    const hold = () => new Promise((done) => { release = done; granted(); });
    navigator.locks.request('manifold.demo', { signal: leave.signal }, hold).catch(() => { /* left before its turn */ });
  });
}

function closeAll() {
  release();
  streams.forEach((stream) => stream.close());
}

/** Opens all streams. When each of them continues, logs once what they received. */
async function openAll(why) {
  const before = streams.map(({ kept }) => ({ ...kept }));
  // The number of the newest event tells which events come from the log.
  if (before.some(({ id }) => id !== null)) await poll();
  if (hidden || lost) return;
  const firsts = [streams[1].open()];
  await turn();
  firsts.push(streams[0].open(), streams[2].open());
  await Promise.all(firsts);
  if (before.some(({ id }) => id === null)) {
    say('This page opened its three streams.');
    return;
  }
  const sum = (what) => streams.reduce((all, { kept }, i) => all + Math.max(0, kept[what] - before[i][what]), 0);
  const [duplicates, unreported, reported] = ['duplicates', 'unreported', 'reported'].map(sum);
  const verdict = duplicates + unreported + reported === 0 ? 'Nothing was lost and nothing came twice.'
    : `Lost and reported: ${reported}. Lost and not reported: ${unreported}. Duplicates: ${duplicates}.`;
  say(`Back after ${why}: each stream went on after its last id. ${verdict}`, `back after ${why}`);
}

const total = (state, what) => state.routes.reduce((all, route) => all + route[what], 0);

function show(state) {
  const before = seen;
  seen = state;
  gone = false;
  document.body.classList.remove('gone');
  const [clients, connections] = [total(state, 'clients'), total(state, 'connections')];
  text(by('connections'), connections);
  text(by('connections-unit'), connections === 1 ? 'connection' : 'connections');
  text(by('alone'), `without manifold: ${count(clients, 'connection', 'connections')}`);
  text(by('clients'), clients);
  text(by('clients-unit'), clients === 1 ? 'client' : 'clients');
  text(by('streams-open'), total(state, 'streams'));
  const { on } = state.origin;
  by('origin').classList.toggle('off', !on);
  document.querySelector('.wire').classList.toggle('cut', !on);
  text(by('origin-state'), on ? 'running' : 'stopped');
  text(by('origin-hint'), on ? 'It is an ordinary HTTP server. It does not know how many clients there are.'
    : 'Its listener and connections are closed. The streams of all clients stay open.');
  text(by('origin-switch'), on ? 'Stop the origin' : 'Start the origin');
  const { open, step, limit } = state.crowd;
  text(by('crowd-open'), `Open ${step} more`);
  text(by('crowd-state'), open === 0 ? 'There is one dot per client. This page has three.'
    : `The demo opened ${open}${open >= limit ? ', which is the limit' : ''}. The others are pages and terminals.`);
  dots(clients, open);
  pair(state.slow);
  enable('origin-switch', true);
  enable('crowd-open', open < limit);
  enable('crowd-close', open > 0);
  enable('slow-switch', true);
  enable('gap', on);
  state.routes.forEach((route) => streams.find(({ name }) => name === route.name)?.figures(route));
  if (before !== null && before.run !== state.run) say('The demo was restarted.');
}

/** Shows that nothing is known of the demo. */
function blank() {
  gone = true;
  document.body.classList.add('gone');
  for (const id of ['connections', 'clients', 'streams-open']) text(by(id), '–');
  text(by('alone'), '');
  text(by('origin-state'), 'unknown');
  text(by('origin-hint'), 'The demo does not answer.');
  text(by('crowd-state'), '');
  dots(0, 0);
  pair(null);
  for (const id of ['origin-switch', 'crowd-open', 'crowd-close', 'slow-switch', 'gap']) enable(id, false);
  streams.forEach((stream) => stream.blank());
}

/** The slow client and the fast one. Null: they are not open. */
function pair(state) {
  for (const which of ['fast', 'slow']) {
    for (const cell of by(`${which}-row`).querySelectorAll('td')) {
      const what = cell.dataset.of;
      const value = state?.[which][what];
      text(cell, value ?? '–');
      cell.className = what === 'reported' && value > 0 ? 'warn' : '';
    }
  }
  text(by('slow-switch'), state === null ? 'Open a slow and a fast client' : 'Close both clients');
}

/** The commands for a terminal, with this page's address and an id of a few events ago. A selected text stays. */
function terminal() {
  const here = by('second').textContent.replace(/http:\/\/[^/]+/, location.origin);
  const selected = getSelection();
  if (!selected.isCollapsed && selected.containsNode(by('second'), true)) return;
  const [run, n] = [streams[1].kept.run, Math.max(0, streams[1].kept.n - 5)];
  text(by('second'), here.replace(/Last-Event-ID: [^']+/, `Last-Event-ID: ${run}-${n}`));
  text(by('first'), by('first').textContent.replace(/http:\/\/[^/]+/, location.origin));
}

/** One dot per client. The clients of pages and terminals come first. */
function dots(clients, crowd) {
  const box = by('dots');
  while (box.children.length > clients) box.lastElementChild.remove();
  while (box.children.length < clients) box.append(document.createElement('i'));
  box.classList.toggle('many', clients > 150);
  [...box.children].forEach((dot, at) => dot.classList.toggle('own', at < clients - crowd));
}

async function ask(path, options) {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  show(answer);
  notice('');
}

function notice(what) {
  text(by('notice'), what);
  by('notice').hidden = what === '';
}

/** Asks for the figures now, and again after a pause. A call during a poll asks once more when that poll is over. */
let polling = null;
let next = null;
let again = false;
let hurries = { left: 0, until: () => true };
function poll() {
  again = polling !== null;
  polling ??= (async () => {
    clearTimeout(next);
    do {
      again = false;
      await look();
    } while (again);
    polling = null;
    hurries.left = seen !== null && !gone && !hurries.until() ? hurries.left - 1 : 0;
    next = setTimeout(poll, hurries.left > 0 ? HURRY_MS : POLL_MS);
  })();
  return polling;
}

/** Polls often until `until` is true. A press changes the figures a moment after it is answered. */
function hurry(until, left = HURRIES) {
  hurries = { left, until };
  poll();
}

async function look() {
  try {
    if (!document.hidden || seen === null) await ask('/api/state');
  } catch (error) {
    blank();
    notice(error.name === 'TimeoutError'
      ? 'No answer. Browsers allow six HTTP/1.1 connections to one host: other windows may hold them all.'
      : 'The demo does not answer. This page tries again every second, and the streams go on when the demo runs again.');
  }
}

/** A button that sends a request to the demo. `settled` tells from the state before whether the figures show the change. */
function button(id, path, said, settled = () => () => true) {
  by(id).addEventListener('click', async () => {
    if (!able(id) || by(id).dataset.busy !== undefined) return;
    by(id).dataset.busy = '';
    const [where, words, done] = [path(), said(), settled(seen)];
    try {
      await ask(where, { method: 'POST', headers: { 'X-Demo': '1' } });
      say(words);
      hurry(done);
    } catch (error) {
      notice(`That did not work: ${error.message}`);
    }
    delete by(id).dataset.busy;
  });
}

const clientsNow = () => total(seen, 'clients');
const fewer = (n, before) => () => clientsNow() <= before - n;
const more = (n, before) => () => clientsNow() >= before + n;

button('origin-switch', () => (seen.origin.on ? '/api/origin/stop' : '/api/origin/start'), () => (seen.origin.on
  ? 'The origin was stopped. All streams stay open. manifold tries until the origin is back.'
  : 'The origin was started.'),
({ origin: { on } }) => () => (total(seen, 'connections') === 0) === on);
button('crowd-open', () => '/api/clients/open', () => `The demo opened ${seen.crowd.step} more clients, and no more connections to the origin.`,
  (before) => more(Math.min(before.crowd.step, before.crowd.limit - before.crowd.open), total(before, 'clients')));
button('crowd-close', () => '/api/clients/close', () => 'The demo closed its clients.',
  (before) => fewer(before.crowd.open, total(before, 'clients')));
button('slow-switch', () => (seen.slow === null ? '/api/slow/open' : '/api/slow/close'), () => (seen.slow === null
  ? 'The demo opened a slow client and a fast one.' : 'The demo closed the slow client and the fast one.'),
(before) => (before.slow === null ? more : fewer)(2, total(before, 'clients')));
button('gap', () => '/api/gap', () => 'The origin broke off /ticker for three events or more. It gives no ids there, so it cannot send them later.');

by('reload').addEventListener('click', () => location.reload());
let lost = false;
by('tunnel').addEventListener('click', () => {
  if (lost) return;
  lost = true;
  enable('tunnel', false);
  const own = streams.filter(({ source }) => source?.readyState === EventSource.OPEN).length;
  closeAll();
  say('This page lost its connections. The origin goes on without it.');
  if (seen !== null) hurry(fewer(own, clientsNow()));
  setTimeout(() => {
    lost = false;
    enable('tunnel', true);
    if (!hidden) openAll('the lost connection');
  }, TUNNEL_MS);
});

let hiding = null;
let hidden = false;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => { hidden = true; closeAll(); }, HIDDEN_MS);
  } else if (hidden) {
    hidden = false;
    if (!lost) openAll('being hidden');
  }
});

enable('tunnel', true);
const [visit] = performance.getEntriesByType('navigation');
openAll(visit?.type === 'reload' ? 'the reload' : 'leaving');
poll();
