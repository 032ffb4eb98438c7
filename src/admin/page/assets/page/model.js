// What the page knows, and how it comes to know it: one connection for what happens, and a few questions that are asked
// anew while somebody looks. It knows nothing of the page's elements.
//
//   joining ──▶ live ──▶ gone ──▶ live           gone: no answer; it tries again with a growing pause
//      │         ▲ └───▶ paused (hidden tab)     paused: the connection is left to other tabs; browsers allow few
//      ├──▶ token┘ the token is missing or wrong
//      └──▶ refused ─▶ live                      refused: all readers' places are taken; the questions go on

import { Failure, get, listen, pause, token } from './api.js';
import { Happenings } from './happenings.js';
import * as link from './link.js';
import { isSlow, troubles } from './troubles.js';
import { History } from './words.js';

export const ROWS = 50;         // streams of a page
export const CLIENTS = 25;      // clients of the chosen stream
export const EVENTS = 20;       // events of the chosen stream
const CHART = 120;              // looks of a chart: one a second
const SILENCE_MS = 10_000;      // a tick comes each second; without any for this long, manifold is gone
const HIDDEN_MS = 30_000;       // a tab that is hidden for this long leaves its connection
const EVERY_MS = { streams: 3_000, detail: 2_000, process: 4_000, trouble: 5_000, config: 60_000 };
const SHARE = 8;                // an answer takes at most this part of the time
const CONNECTS_MS = 10_000;     // a stream that connects for this long is looked at
const SCANNED = 3;              // the streams whose clients are looked at because they are behind
const DROPPED_MS = 300_000;     // dropped lines of the log are a trouble for this long

const FIGURES = { events: 'events_in_per_sec', deliveries: 'deliveries_per_sec', bytes: 'bytes_out_per_sec' };

export class Model {
  constructor(changed) {
    this.changed = changed;
    this.link = { state: 'joining', since: Date.now(), why: '', tries: 0, nextAt: null };
    this.wanted = link.read(location.hash);
    this.cursors = [null];   // the `after` of each page up to the present one
    this.happenings = new Happenings();
    this.charts = Object.fromEntries([...Object.keys(FIGURES), 'clients', 'streams'].map((name) => [name, new History(CHART)]));
    this.routeCharts = new Map();
    this.rowCharts = new Map();
    this.counts = { messages: 0, questions: 0 };
    this.offset = 0;
    this.last = null;
    this.lastTick = null;
    this.asked = {};
    this.busy = {};
    this.took = {};
    this.firstSeen = new Map();
    this.forget();
  }

  /** Forgets what belongs to one life of the process. */
  forget() {
    Object.assign(this, { process: null, routes: [], outages: [], settings: new Map(), failing: { streams: [], total: 0 }, slow: [],
      connecting: new Map(), maybe: new Map(), dropped: null, tick: null, page: null, pageError: null, detail: null, detailError: null });
  }

  /** The server's clock. While manifold is gone it stands still: what is shown is as it was then. */
  now() { return this.link.state === 'gone' && this.lastTick !== null ? this.lastTick : Date.now() + this.offset; }

  setting(section, key, route = '') { return this.settings.get(`${section}\n${route}\n${key}`); }

  /** Begins. It goes on until the page is left. */
  start() {
    setInterval(() => this.pulse(), 1000);
    document.addEventListener('visibilitychange', () => this.looked());
    this.join();
  }

  become(state, why = '') {
    if (this.link.state !== state) this.link = { state, since: this.now(), why, tries: 0, nextAt: null };
    this.link.why = why;
    this.changed();
  }

  get isThere() { return this.link.state === 'live' || this.link.state === 'refused'; }

  /** Opens the connection for what happens. */
  async join() {
    this.leave();
    const connection = this.connection = new AbortController();
    const is = () => connection === this.connection;
    try {
      await listen({ last: this.last, signal: connection.signal, silence: SILENCE_MS,
        opened: () => { if (is()) { this.hole(); this.asked = {}; this.become('live'); this.pulse(); } },
        take: (kind, data, id) => { if (is()) this.take(kind, JSON.parse(data), id); } });
    } catch (failure) {
      if (is()) this.lost(failure instanceof Failure ? failure : new Failure(0, String(failure)));
    }
  }

  /** Leaves the connection, or stops trying. */
  leave() {
    clearTimeout(this.rejoin);
    this.connection?.abort();
    this.connection = null;
  }

  /** Forgets the token, and asks for another. */
  wantToken(why) {
    this.leave();
    token.set(null);
    this.become('token', why);
  }

  lost({ status, message }) {
    if (status === 401) { this.wantToken(token.get() === null ? '' : message); return; }
    const heard = this.lastTick ?? this.link.since;
    this.become(status === 503 ? 'refused' : 'gone', message);
    if (this.link.tries === 0 && this.link.state === 'gone') this.link.since = heard;
    const wait = pause(this.link.tries);
    this.link.tries += 1;
    this.link.nextAt = Date.now() + wait;
    this.rejoin = setTimeout(() => this.join(), wait);
  }

  /** A tab that is hidden for a while leaves its connection to others. */
  looked() {
    clearTimeout(this.leaving);
    if (document.visibilityState === 'hidden') {
      this.leaving = setTimeout(() => {
        if (this.link.state === 'token') return;
        this.leave();
        this.become('paused');
      }, HIDDEN_MS);
    } else if (this.link.state === 'paused') {
      this.join();
    } else {
      this.pulse();
    }
  }

  /** The time without figures is a hole in the charts. */
  hole() {
    if (this.lastTick === null) return;
    const missed = Math.min(CHART, Math.round((Date.now() + this.offset - this.lastTick) / 1000) - 1);
    for (let n = 0; n < missed; n += 1) for (const chart of [...Object.values(this.charts), ...this.routeCharts.values()]) chart.add(null);
  }

  take(kind, told, id) {
    this.counts.messages += 1;
    if (id !== null) this.last = id;
    if (kind === 'tick') this.takeTick(told);
    else if (kind === 'missed') {
      if (told.missed > 0) this.say(`this page missed ${told.missed} messages`, told.at);
    } else {
      this.happenings.add(kind, told);
      if (kind === 'reload') this.asked.config = -Infinity;
      if (kind === 'reload' || kind === 'origin_down' || kind === 'origin_up') { this.asked.process = -Infinity; this.asked.trouble = -Infinity; }
    }
    this.changed();
  }

  takeTick(tick) {
    this.tick = tick;
    this.lastTick = Date.parse(tick.at);
    this.offset = this.lastTick - Date.now();
    for (const [name, of] of Object.entries(FIGURES)) this.charts[name].add(tick.totals.rates[of]);
    this.charts.clients.add(tick.totals.subscribers);
    this.charts.streams.add(tick.totals.streams);
    for (const { name, rates, phases } of tick.routes) {
      if (!this.routeCharts.has(name)) this.routeCharts.set(name, new History(CHART));
      this.routeCharts.get(name).add(rates.events_in_per_sec);
      if (!(phases.connecting > 0)) this.maybe.delete(name);
      else if (!this.maybe.has(name)) this.maybe.set(name, this.lastTick);
    }
  }

  /** The page itself has something to say. */
  say(what, at = new Date(this.now()).toISOString()) {
    this.happenings.add('page', { at, say: what });
  }

  /** Once a second: asks what is due, if somebody looks. */
  pulse() {
    this.changed();
    if (!this.isThere || document.visibilityState === 'hidden') return;
    this.due('config', () => this.askConfig());
    this.due('process', () => this.askProcess());
    this.due('streams', () => this.askStreams());
    if (this.wanted.stream !== '') this.due('detail', () => this.askDetail());
    this.due('trouble', () => this.askTrouble());
  }

  async due(name, question) {
    const now = performance.now();
    // A slow answer was much work for manifold: then the next question waits for longer.
    const rest = Math.max(EVERY_MS[name] - 50, SHARE * (this.took[name] ?? 0));
    if (this.busy[name] || now - (this.asked[name] ?? -Infinity) < rest) return;
    [this.busy[name], this.asked[name]] = [true, now];
    try {
      await question();
      this.took[name] = performance.now() - now;
    } catch (failure) {
      if (failure.status === 401) this.lost(failure); else if (!(failure instanceof Failure)) throw failure;
    } finally {
      this.busy[name] = false;
      this.changed();
    }
  }

  get(path, signal) {
    this.counts.questions += 1;
    return get(path, signal);
  }

  async askConfig() {
    const { settings } = await this.get('api/config');
    this.settings = new Map(settings.map(({ section, route, key, value }) => [`${section}\n${route ?? ''}\n${key}`, value]));
  }

  async askProcess() {
    const [process, { routes, outages }] = await Promise.all([this.get('api/process'), this.get('api/routes')]);
    const before = this.process;
    if (before !== null && before.started !== process.started) {
      this.say(before.version === process.version ? 'manifold was restarted'
        : `manifold was restarted with version ${process.version} instead of ${before.version}. Reload this page to get the page of that version`);
      [this.dropped, this.cursors, this.asked] = [null, [null], { process: this.asked.process }];
    } else if (before !== null && process.log_lines_dropped > before.log_lines_dropped) {
      const more = process.log_lines_dropped - before.log_lines_dropped;
      this.dropped = { since: this.dropped?.since ?? this.now(), count: (this.dropped?.count ?? 0) + more, last: this.now() };
    } else if (this.dropped !== null && this.now() - this.dropped.last > DROPPED_MS) {
      this.dropped = null;
    }
    // What explains an outage is asked as soon as there is one.
    if (outages.length > this.outages.length) this.asked.trouble = -Infinity;
    Object.assign(this, { process, routes, outages });
  }

  async askStreams() {
    const { wanted, cursors } = this;
    try {
      const page = await this.get(`api/streams?${link.question(wanted, ROWS, cursors.at(-1))}`);
      if (wanted !== this.wanted || cursors !== this.cursors) return;
      if (page.streams.length === 0 && cursors.length > 1) { this.turn(-1); return; }
      // Its place is its own: until it comes, the page before is shown with the place of that.
      [this.page, this.pageError] = [{ ...page, cursors, begin: (cursors.length - 1) * ROWS }, null];
      const charts = new Map();
      for (const { id, rates } of page.streams) {
        const chart = this.rowCharts.get(id) ?? new History(40);
        chart.add(rates.last_10_secs.events_per_sec);
        charts.set(id, chart);
      }
      this.rowCharts = charts;
    } catch (failure) {
      if (failure.status === 410) { [this.cursors, this.asked.streams] = [[null], -Infinity]; this.say('the list of streams was too old, so the first page is shown again'); }
      if (failure.status === 400) this.pageError = failure.message;
      throw failure;
    }
  }

  async askDetail() {
    const id = this.wanted.stream;
    try {
      const detail = await this.get(`api/streams/${id}?limit=${CLIENTS}&events=${EVENTS}`);
      if (id !== this.wanted.stream) return;
      const chart = this.detail?.stream.id === id ? this.detail.chart : new History(60);
      chart.add(detail.stream.rates.last_10_secs.events_per_sec);
      [this.detail, this.detailError] = [{ ...detail, chart }, null];
    } catch (failure) {
      if (id === this.wanted.stream && failure.status === 404) this.detailError = failure.message;
      throw failure;
    }
  }

  /** What explains troubles: streams that fail, clients that are slow, origins that do not answer. */
  async askTrouble() {
    const failing = this.outages.length > 0 ? await this.get('api/streams?phase=waiting&sort=subscribers&limit=200') : { streams: [], total: 0 };
    const { streams } = await this.get(`api/streams?sort=lag&limit=${SCANNED}`);
    const slow = [];
    for (const { id } of streams.filter(({ slowest_lag_events: lag }) => lag > 0)) {
      const told = await this.get(`api/streams/${id}?limit=${CLIENTS}`).catch(() => null);
      const clients = told?.subscribers.filter(isSlow) ?? [];
      if (clients.length > 0) slow.push({ stream: told.stream, clients });
    }
    const connecting = new Map();
    for (const [route, since] of [...this.maybe].filter(([, at]) => this.now() - at > CONNECTS_MS).slice(0, SCANNED)) {
      const told = await this.get(`api/streams?${new URLSearchParams({ phase: 'connecting', route, limit: 1 })}`);
      if (told.total > 0) connecting.set(route, { since: Math.max(since, Date.parse(told.streams[0].phase_since)), streams: told.total });
    }
    Object.assign(this, { failing, slow, connecting });
  }

  /** All that is wrong, as far as is known. Where since is not known, it is since the page saw it first. */
  troubles() {
    const seen = { ...this, now: this.now(), setting: (...of) => this.setting(...of) };
    const all = troubles(seen);
    for (const key of this.firstSeen.keys()) if (!all.some((one) => one.key === key)) this.firstSeen.delete(key);
    for (const one of all) {
      if (one.since !== null) continue;
      if (!this.firstSeen.has(one.key)) this.firstSeen.set(one.key, this.now());
      [one.since, one.isSeen] = [this.firstSeen.get(one.key), true];
    }
    return all;
  }

  /** Another filter, sort or stream is wanted. */
  want(more) {
    const before = this.wanted;
    this.wanted = { ...before, ...more };
    if (this.wanted.stream !== before.stream) [this.detail, this.detailError, this.asked.detail, this.busy.detail] = [null, null, -Infinity, false];
    if (['q', 'route', 'phase', 'sort', 'order'].some((name) => this.wanted[name] !== before[name])) {
      [this.cursors, this.asked.streams, this.busy.streams, this.pageError] = [[null], -Infinity, false, null];
    }
    history.replaceState(null, '', link.written(this.wanted) || location.pathname + location.search);
    this.pulse();
  }

  /** The next page (1) or the previous one (-1). */
  turn(by) {
    if (by > 0 && this.page?.next && this.page.cursors === this.cursors) this.cursors = [...this.cursors, this.page.next];
    else if (by < 0 && this.cursors.length > 1) this.cursors = this.cursors.slice(0, -1);
    else return;
    [this.asked.streams, this.busy.streams] = [-Infinity, false];
    this.pulse();
  }

  /** After an action: looks anew at once. */
  again() {
    this.asked = { config: this.asked.config };
    this.pulse();
  }
}
