// The panel of the chosen stream: its facts, its clients (the slow ones first), and its last events.

import { ACTIONS, confirm } from './actions.js';
import { attribute, by, chart, el, keyed, momentAgo, momentSince, momentWithin, text } from './dom.js';
import { lag, phase } from './streams.js';
import { isSlow } from './troubles.js';
import { bare, bytes, count, duration, line, number, plain, rate } from './words.js';

let held = null;   // the events that are shown while they are held

export function startPanel(model) {
  const stream = () => model.detail?.stream;
  const ask = (action) => stream() !== undefined && confirm(action(stream()), () => model.again());
  by('reconnect').addEventListener('click', () => ask(ACTIONS.reconnect));
  by('close').addEventListener('click', () => ask(ACTIONS.close));
  by('panel-close').addEventListener('click', () => leavePanel(model));
  by('hold').addEventListener('click', () => {
    held = held === null ? (model.detail?.events ?? []) : null;
    model.changed();
  });
  by('clients').addEventListener('click', ({ target }) => {
    const client = target.closest('li')?.client;
    if (target.matches('button') && client !== undefined) ask((of) => ACTIONS.end(of, client));
  });
}

/** Closes the panel. The focus goes back to the stream's row. */
export function leavePanel(model) {
  const id = model.wanted.stream;
  model.want({ stream: '' });
  model.drawn();
  (by('stream-rows').querySelector(`[data-id="${CSS.escape(id)}"] .stream-key`) ?? by('filter')).focus();
}

/** The facts: name and how the value is shown. */
const FACTS = [
  ['Phase', (node, { stream, now }) => {
    if (node.children.length === 0) node.append(el('span', { class: 'phase' }), ' since ', el('time'));
    phase(node.firstElementChild, stream.phase);
    momentSince(node.lastElementChild, Date.parse(stream.phase_since), now);
  }],
  ['Route', (node, { stream, route }) => text(node, `${line(stream.route, 120)}${route === undefined ? '' : `, from ${line(bare(route.origin), 200)}`}`)],
  ['Shared by', (node, { stream, route }) => text(node, `${{ shared: 'all clients that ask for this key', private: 'one client alone', undecided: 'not known until the origin answers' }[stream.sharing]}${route === undefined ? '' : `; ${line(route.policy, 200)}`}`)],
  ['Clients', (node, { stream }) => text(node, number(stream.subscribers))],
  ['Events/s', (node, { stream, chart: history }) => {
    if (node.chart === undefined) { node.chart = chart(120, 20); node.append(el('span'), ' ', node.chart); }
    const { last_10_secs: short, last_minute: long } = stream.rates;
    text(node.firstElementChild, `${rate(short.events_per_sec)} (${bytes(short.bytes_per_sec)}/s); in the last minute ${rate(long.events_per_sec)}`);
    node.chart.draw(history);
  }],
  ['Log', (node, { stream: { log } }) => text(node, log.entries === 0 ? 'empty'
    : `${count(log.entries, 'entry', 'entries')}, ${bytes(log.bytes)}, ids ${line(log.first_id ?? '–', 80)} to ${line(log.last_id ?? '–', 80)}, the oldest from ${duration(log.oldest_age_secs)} ago`)],
  ['Slowest client', (node, { stream }) => text(node, stream.slowest_lag_events === 0 ? 'not behind' : `${lag(stream)} events behind`)],
  ['Last error', (node, { stream: { last_error: failure }, now }) => {
    if (node.children.length === 0) node.append(el('span'), ' ', el('time'));
    text(node.firstElementChild, failure === null ? 'never' : `${failure.is_over ? 'over: ' : ''}${line(failure.why, 300)}`);
    attribute(node.firstElementChild, 'class', failure === null || failure.is_over ? null : 'wrong');
    node.lastElementChild.hidden = failure === null;
    momentAgo(node.lastElementChild, failure === null ? null : Date.parse(failure.since), now);
  }],
  ['Next try', (node, { stream, now }) => {
    node.parentElement.hidden = stream.next_attempt === null;
    if (node.children.length === 0) node.append(el('time'));
    momentWithin(node.firstElementChild, stream.next_attempt === null ? null : Date.parse(stream.next_attempt), now);
  }],
  ['Ended', (node, { stream }) => { node.parentElement.hidden = stream.end === null; text(node, stream.end === null ? '' : line(stream.end, 200)); }],
  ['Opened', (node, { stream, now }) => {
    if (node.children.length === 0) node.append(el('time'), el('span'));
    momentAgo(node.firstElementChild, Date.parse(stream.opened), now);
    text(node.lastElementChild, `; ${count(stream.reconnects, 'reconnect')} since`);
  }],
];

function client(node, of, now) {
  node.client = of;
  const [who, facts, button] = node.children;
  const slow = isSlow(of);
  attribute(node, 'class', slow ? 'client slow' : 'client');
  text(who.children[0], slow ? '▲ slow' : '● keeps up');
  attribute(who.children[0], 'class', slow ? 'phase waiting' : 'phase live');
  text(who.children[1], line(of.address, 80));
  text(who.children[2], of.user_agent === null ? 'no user agent' : line(of.user_agent, 300));
  const behind = of.lag_events === 0 ? 'not behind' : `${count(of.lag_events, 'event')} behind (${of.lag_bytes === null ? 'more than the log holds' : bytes(of.lag_bytes)}${of.lag_secs === null ? '' : `, ${duration(of.lag_secs)}`})`;
  text(facts.children[0], [behind, `here for ${duration(of.age_secs)}`, `sent ${count(of.events, 'event')}, ${bytes(of.bytes)}`, of.protocol,
    of.page_origin === null ? '' : `page ${line(of.page_origin, 120)}`, of.resumed_from === null ? '' : `resumed from ${line(of.resumed_from, 80)}`,
    of.request_id === null ? '' : `request ${line(of.request_id, 80)}`].filter((part) => part !== '').join(' · '));
  facts.children[1].hidden = of.slow_since === null;
  if (of.slow_since !== null) {
    text(facts.children[1].firstElementChild, ' · accepts nothing since ');
    momentSince(facts.children[1].lastElementChild, Date.parse(of.slow_since), now);
  }
  attribute(button, 'aria-label', `End the client ${line(of.address, 80)}`);
}

const newClient = () => el('li', {}, el('p', { class: 'who' }, el('span'), el('code'), el('span', { class: 'agent' })),
  el('p', { class: 'hint' }, el('span'), el('span', {}, el('span'), el('time'))), el('button', { type: 'button', class: 'quiet' }, 'End'));

const KIND_WORDS = { event: '', gap: 'gap notice', checkpoint: 'id without event' };

function newEvent(of) {
  const cut = of.is_cut ? `, the first KiB of ${bytes(of.bytes)}` : `, ${bytes(of.bytes)}`;
  return el('li', {}, el('p', { class: 'hint' }, el('span', {}, `#${number(of.position)} · id ${line(of.id ?? 'none', 80)}${KIND_WORDS[of.kind] ? ` · ${KIND_WORDS[of.kind]}` : ''}${cut} · `), el('time')),
    el('pre', {}, plain(of.text.replace(/\n+$/, ''), 1200)));
}

export function drawPanel(model) {
  const { wanted, detail, detailError } = model;
  const [open, was] = [wanted.stream !== '', !by('panel').hidden];
  by('panel').hidden = !open;
  attribute(by('split'), 'class', open ? 'split open' : 'split');
  if (!open) { held = null; return; }
  if (!was || by('panel').dataset.id !== wanted.stream) {
    by('panel').dataset.id = wanted.stream;
    held = null;
    by('panel').scrollTop = 0;
  }
  const over = detailError !== null;
  by('panel-gone').hidden = !over;
  text(by('panel-gone'), over ? `${detail === null ? `There is no stream ${wanted.stream}` : 'The stream is over'}: ${line(detailError, 200)}. A new stream with the same key has another id. Look for it in the table.` : '');
  by('panel-body').hidden = detail === null;
  for (const id of ['reconnect', 'close']) by(id).disabled = over || detail?.stream.phase === 'closed';
  const ofPrivateRoute = detail?.stream.can_reconnect === false;
  by('reconnect').hidden = ofPrivateRoute;
  by('no-log').hidden = !ofPrivateRoute;
  by('hold').hidden = ofPrivateRoute;
  attribute(by('panel-body'), 'class', over ? 'old' : null);
  text(by('panel-key'), detail === null ? (over ? '' : 'Asking…') : line(detail.stream.key, 400));
  if (detail !== null) drawDetail(model, detail);
}

function drawDetail(model, detail) {
  const { stream, subscribers } = detail;
  const now = model.now();
  const seen = { stream, now, chart: detail.chart, route: model.routes.find(({ name }) => name === stream.route) };
  keyed(by('panel-facts'), FACTS, ([name]) => name, ([name]) => el('div', {}, el('dt', {}, name), el('dd')), (node, [, show]) => show(node.lastElementChild, seen));
  const slow = subscribers.filter(isSlow).length;
  text(by('clients-total'), stream.subscribers > subscribers.length ? `${number(stream.subscribers)}; the ${subscribers.length} furthest behind, ${slow} slow` : `${number(stream.subscribers)}, ${slow} slow`);
  const first = subscribers.toSorted((one, other) => isSlow(other) - isSlow(one));
  keyed(by('clients'), first, ({ id }) => id, newClient, (node, of) => client(node, of, now));
  const events = (held ?? detail.events).toReversed();
  text(by('hold'), held === null ? 'Pause' : 'Continue');
  attribute(by('hold'), 'aria-pressed', held === null ? 'false' : 'true');
  keyed(by('events'), events, ({ position }) => `${stream.id} ${position}`, newEvent, (node, of) => {
    node.at ??= now - of.age_secs * 1000;
    momentAgo(node.querySelector('time'), node.at, now);
  });
}
