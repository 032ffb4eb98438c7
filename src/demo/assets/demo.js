// The page of `manifold demo`: three EventSources, a poll of the figures, and five buttons.
//
// An EventSource that reconnects by itself sends Last-Event-ID. A reloaded page cannot set that header. It keeps the id in
// sessionStorage and sends it as ?lastEventId=. Both mean the same to the gateway.
'use strict';

const ROWS = 7;          // the number of rows shown per stream
const POLL_MS = 1000;    // the time between two polls of the figures
const PATIENCE_MS = 5000; // without an answer for this long, the browser has no connection left
const TUNNEL_MS = 5000;
const HIDDEN_MS = 1000;  // then a hidden page closes its streams, because browsers allow six connections to one host
const REOPEN_MS = 3000;  // the pause after an answer that an EventSource takes for final, such as 503

const STREAMS = [
  { name: 'ticker', title: 'Without ids', hint: 'The origin only ticks. manifold gives every event an id, so that clients can resume.' },
  { name: 'numbered', title: 'With ids', hint: 'The origin gives ids and resumes from them: what it missed to send comes later.' },
  { name: 'flaky', title: 'Fails now and then', hint: 'Breaks off after eight events, and answers some attempts with 503.' },
];

const by = (id) => document.getElementById(id);
const text = (node, value) => { if (node.textContent !== String(value)) node.textContent = value; };
const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;
let seen = null; // the newest state of the demo that was polled

function say(what) {
  const line = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const said = document.createElement('span');
  said.textContent = what;
  line.append(time, said);
  by('log').append(line);
  while (by('log').children.length > 6) by('log').firstElementChild.remove();
}

/** One stream: its EventSource, the events that came, and those that are missing. */
class Stream {
  constructor({ name, title, hint }) {
    this.name = name;
    this.key = `manifold.demo.${name}`;
    this.kept = { run: null, id: null, n: null, received: 0, doubled: 0, told: 0, lost: 0, gap: false, rows: [] };
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
    this.kept.rows.forEach((row) => this.show(row));
    this.tally();
  }

  /** Opens the stream, after the last event that came if there was one. */
  open() {
    const { id } = this.kept;
    if (id !== null) this.row({ mark: `resumed after ${this.short(id)}` });
    this.source = new EventSource(id === null ? `/${this.name}` : `/${this.name}?lastEventId=${encodeURIComponent(id)}`);
    this.source.onopen = () => this.badge();
    this.source.onerror = () => {
      this.badge();
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
    this.badge();
  }

  take(event) {
    const { run, n, value } = JSON.parse(event.data);
    const kept = this.kept;
    if (kept.run !== null && kept.run !== run) {
      Object.assign(kept, { n: null, received: 0, doubled: 0, told: 0, lost: 0, gap: false });
      this.row({ mark: 'the demo was started anew' });
    }
    const missing = kept.n === null ? 0 : n - kept.n - 1;
    if (missing < 0) kept.doubled += 1;
    else if (kept.gap) kept.told += missing;
    else kept.lost += missing;
    Object.assign(kept, { run, id: event.lastEventId, n: Math.max(n, kept.n ?? 0), gap: false });
    kept.received += 1;
    this.row({ n, id: event.lastEventId, value });
    this.tally();
    this.first?.();
    this.first = null;
  }

  gap({ reason, missed }) {
    this.kept.gap = true;
    const many = missed === null ? 'some events' : count(missed, 'event', 'events');
    this.row({ gap: `gap (${reason}): ${many} lost` });
    say(`/${this.name} was told of a gap: ${many} lost, reason “${reason}”.`);
  }

  row(row) {
    this.kept.rows = [...this.kept.rows, row].slice(-ROWS);
    this.show(row);
    try { sessionStorage.setItem(this.key, JSON.stringify(this.kept)); } catch { /* a page without storage starts anew */ }
  }

  show({ n, id, value, mark, gap }) {
    const line = document.createElement('li');
    if (mark || gap) {
      line.className = mark ? 'pause' : 'gap';
      line.textContent = mark ?? gap;
      line.title = line.textContent;
    } else {
      const cell = (content) => Object.assign(document.createElement('span'), { textContent: content });
      const middle = cell(`id ${this.short(id)}`);
      middle.title = id;
      line.append(cell(n), middle, cell(value.toFixed(2)));
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
      cell.className = this.kept[what] === 0 || what === 'received' ? '' : what === 'told' ? 'warn' : 'bad';
    }
  }

  badge() {
    const badge = this.card.querySelector('.badge');
    const state = this.source?.readyState;
    const held = state === EventSource.OPEN && seen !== null && !seen.origin.on;
    text(badge, held ? 'held open' : ['connecting', 'open', 'closed'][state] ?? 'in another window');
    badge.className = `badge ${held ? 'held' : ['', 'open', 'closed'][state] ?? ''}`;
  }

  figures({ clients, connections, failures }) {
    const now = `${count(clients, 'client shares', 'clients share')} ${count(connections, 'connection', 'connections')} to the origin.`;
    const lost = failures === 0 ? '' : ` ${count(failures, 'failure', 'failures')} of the origin so far.`;
    text(this.card.querySelector('.share'), now + lost);
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
  const firsts = [streams[1].open()];
  await turn();
  firsts.push(streams[0].open(), streams[2].open());
  await Promise.all(firsts);
  if (before.some(({ id }) => id === null)) return;
  const sum = (what) => streams.reduce((all, { kept }, i) => all + Math.max(0, kept[what] - before[i][what]), 0);
  const [doubled, lost, told] = ['doubled', 'lost', 'told'].map(sum);
  const verdict = doubled + lost + told === 0 ? 'Nothing was lost and nothing came twice.'
    : `${told} lost and told, ${lost} lost untold, ${doubled} doubled.`;
  say(`Back after ${why}: each stream went on after its last id. ${verdict}`);
}

function show(state) {
  const before = seen;
  seen = state;
  const total = (what) => state.routes.reduce((all, route) => all + route[what], 0);
  const [clients, connections] = [total('clients'), total('connections')];
  text(by('connections'), connections);
  text(by('connections-unit'), connections === 1 ? 'connection' : 'connections');
  text(by('clients'), clients);
  text(by('clients-unit'), clients === 1 ? 'client' : 'clients');
  text(by('streams-open'), total('streams'));
  const { on } = state.origin;
  by('origin').classList.toggle('off', !on);
  document.querySelector('.wire').classList.toggle('cut', !on);
  text(by('origin-state'), on ? 'running' : 'stopped');
  text(by('origin-hint'), on ? 'An ordinary HTTP server. It knows nothing of many clients.'
    : 'Its listener and connections are closed. The streams of all clients stay open.');
  text(by('origin-switch'), on ? 'Stop the origin' : 'Start the origin');
  const { open, step, limit } = state.crowd;
  text(by('crowd-open'), `Open ${step} more`);
  text(by('crowd-state'), open === 0 ? 'One dot per client; this page has three.' : `${open} opened by the demo${open >= limit ? ', as many as it may' : ''}; the others are pages and terminals.`);
  dots(clients, open);
  for (const [id, enabled] of [['origin-switch', true], ['crowd-open', open < limit], ['crowd-close', open > 0]]) {
    if (by(id).dataset.busy === undefined) by(id).disabled = !enabled;
  }
  state.routes.forEach((route) => streams.find(({ name }) => name === route.name)?.figures(route));
  if (before !== null && before.run !== state.run) say('The demo was started anew.');
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

async function poll() {
  try {
    if (!document.hidden) await ask('/api/state');
  } catch (error) {
    notice(error.name === 'TimeoutError'
      ? 'No answer. Browsers allow six HTTP/1.1 connections to one host: other windows may hold them all.'
      : 'The demo does not answer. The streams come back by themselves when it runs again.');
  }
  setTimeout(poll, POLL_MS);
}

/** A button that sends a request to the demo. It keeps the focus while it waits. */
function button(id, path, said) {
  by(id).addEventListener('click', async () => {
    if (by(id).dataset.busy !== undefined) return;
    by(id).dataset.busy = '';
    const [where, words] = [path(), said()];
    try {
      await ask(where, { method: 'POST', headers: { 'X-Demo': '1' } });
      say(words);
    } catch (error) {
      notice(`That did not work: ${error.message}`);
    }
    delete by(id).dataset.busy;
  });
}

button('origin-switch', () => (seen.origin.on ? '/api/origin/stop' : '/api/origin/start'), () => (seen.origin.on
  ? 'The origin was stopped. All streams stay open; manifold tries until it is back.'
  : 'The origin was started.'));
button('crowd-open', () => '/api/clients/open', () => `${seen.crowd.step} clients more, and no connection more to the origin.`);
button('crowd-close', () => '/api/clients/close', () => 'The clients of the demo were closed.');

by('reload').addEventListener('click', () => location.reload());
by('tunnel').addEventListener('click', () => {
  by('tunnel').disabled = true;
  closeAll();
  say('This page lost its connections. Events go on without it.');
  setTimeout(() => {
    by('tunnel').disabled = false;
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
    if (!by('tunnel').disabled) openAll('being hidden');
  }
});

by('tunnel').disabled = false;
const [visit] = performance.getEntriesByType('navigation');
openAll(visit?.type === 'reload' ? 'the reload' : 'leaving');
poll();
