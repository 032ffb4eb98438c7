// The table of streams: filter, sort, pages, and the keys in it.

import { attribute, by, chart, el, keyed, momentAgo, text } from './dom.js';
import { SORTS, sorted } from './link.js';
import { PHASES, bytes, count, line, number, rate } from './words.js';

const TYPING_MS = 250;   // the pause in typing after which the filter counts

/** The columns: the sort they stand for (none: they cannot be sorted by), the head, and the class. */
const COLUMNS = [
  { sort: 'key', head: 'Key' }, { head: 'Route', more: 'of-route' }, { head: 'Phase' }, { sort: 'subscribers', head: 'Clients', n: true }, { sort: 'rate', head: 'Events/s', n: true, more: 'charted' },
  { sort: 'log_bytes', head: 'Log', n: true }, { sort: 'lag', head: 'Lag', n: true }, { sort: 'last_error', head: 'Last error', more: 'error' }, { sort: 'age', head: 'Opened', n: true },
];

export const keyButtons = () => [...by('stream-rows').querySelectorAll('.stream-key')];

export function startStreams(model) {
  by('stream-heads').append(...COLUMNS.map(({ sort, head, n }) => {
    const th = el('th', { role: 'columnheader', scope: 'col', class: n ? 'n' : null });
    if (sort === undefined) { th.append(head); return th; }
    const button = el('button', { type: 'button', class: 'sort', 'data-sort': sort }, head, el('span', { class: 'order', 'aria-hidden': 'true' }));
    button.addEventListener('click', () => model.want(sorted(model.wanted, sort)));
    th.append(button);
    return th;
  }));
  for (const [value, { word }] of Object.entries(SORTS)) by('sort').append(el('option', { value }, `by ${word.toLowerCase()}`));
  let typing;
  by('filter').addEventListener('input', (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => model.want({ q: event.target.value }), TYPING_MS);
  });
  for (const name of ['phase', 'route']) by(name).addEventListener('change', (event) => model.want({ [name]: event.target.value }));
  by('sort').addEventListener('change', (event) => model.want({ sort: event.target.value, order: SORTS[event.target.value].order }));
  by('before').addEventListener('click', () => model.turn(-1));
  by('after').addEventListener('click', () => model.turn(1));
  // A finger does not rest on what it points at.
  by('stream-rows').addEventListener('pointerenter', ({ pointerType }) => { by('stream-rows').pointed = pointerType !== 'touch'; });
  by('stream-rows').addEventListener('pointerleave', () => { by('stream-rows').pointed = false; });
  by('stream-rows').addEventListener('focusin', ({ target }) => { if (target.matches('.stream-key')) rove(target); });
  by('stream-rows').addEventListener('click', ({ target }) => {
    const row = target.closest('tr');
    if (row !== null && getSelection().isCollapsed) { rove(row.querySelector('.stream-key')); row.querySelector('.stream-key').focus(); model.want({ stream: row.dataset.id }); }
  });
  by('stream-rows').addEventListener('keydown', (event) => {
    const [all, step] = [keyButtons(), { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key]];
    const at = all.indexOf(document.activeElement);
    if (step === undefined || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (at + step === -1) { by('filter').focus(); return; }
    all[Math.max(0, Math.min(all.length - 1, at + step))].focus();
  });
}

/** One row of the table takes part in the order of the Tab key: the one that had the focus last. */
function rove(button) {
  for (const other of keyButtons()) attribute(other, 'tabindex', other === button ? 0 : -1);
}

const cell = ({ head, n, more }, ...children) => el('td', { role: 'cell', 'data-label': head, class: [n ? 'n' : '', more ?? ''].join(' ').trim() || null }, ...children);

function row() {
  const key = el('th', { role: 'rowheader', scope: 'row', class: 'key-cell' }, el('button', { type: 'button', class: 'stream-key', tabindex: -1 }), el('span', { class: 'hint' }));
  const node = el('tr', { role: 'row' }, key, ...COLUMNS.slice(1).map((column) => cell(column)));
  const [, , phase, , events, , , error, age] = node.children;
  phase.append(el('span', { class: 'phase' }));
  node.chart = chart(60, 18);
  events.append(node.chart, el('span'));
  error.append(el('time'), ' ', el('span', { class: 'why' }));
  age.append(el('time'));
  return node;
}

/** How the words for a stream's phase are shown. */
export function phase(node, name) {
  const { mark, word, says } = PHASES[name] ?? { mark: '?', word: name, says: '' };
  text(node, `${mark} ${word}`);
  attribute(node, 'class', `phase ${name}`);
  attribute(node, 'title', says);
}

export function lag(stream) {
  return stream.slowest_lag_events === 0 ? 'none' : number(stream.slowest_lag_events);
}

function update(node, stream, { wanted, rowCharts, now, twins }) {
  const [key, route, phased, clients, events, log, behind, error, age] = node.children;
  attribute(node, 'data-id', stream.id);
  const is = stream.id === wanted.stream;
  attribute(node, 'class', is ? 'chosen' : null);
  const [open, hint] = key.children;
  text(open, line(stream.key, 300));
  attribute(open, 'aria-current', is ? 'true' : null);
  text(hint, [twins.has(stream.key) ? stream.variant : '', stream.sharing === 'private' ? 'for one client' : ''].filter((part) => part !== '').join(' · '));
  text(route, line(stream.route, 80));
  phase(phased.firstElementChild, stream.phase);
  text(clients, number(stream.subscribers));
  text(events.lastElementChild, rate(stream.rates.last_10_secs.events_per_sec));
  const history = rowCharts.get(stream.id);
  if (history !== undefined) node.chart.draw(history);
  text(log, `${number(stream.log.entries)} · ${bytes(stream.log.bytes)}`);
  attribute(log, 'title', `${count(stream.log.entries, 'entry', 'entries')} of the log`);
  text(behind, lag(stream));
  attribute(behind, 'title', 'Events that the slowest client has not been sent yet');
  const failure = stream.last_error;
  const [when, why] = error.children;
  when.hidden = failure === null;
  momentAgo(when, failure === null ? null : Date.parse(failure.since), now);
  text(why, failure === null ? 'never' : `${failure.is_over ? 'over: ' : ''}${line(failure.why, 200)}`);
  attribute(why, 'class', failure === null || failure.is_over ? 'why hint' : 'why wrong');
  attribute(why, 'title', failure === null ? null : line(failure.why, 300));
  momentAgo(age.firstElementChild, Date.parse(stream.opened), now);
}

function none({ page, pageError, wanted, routes }) {
  if (pageError !== null) return `manifold does not accept this filter: ${line(pageError, 200)}`;
  if (page === null || page.streams.length > 0) return '';
  if (wanted.q !== '' || wanted.route !== '' || wanted.phase !== '') return 'No stream matches the filter.';
  const some = routes.some(({ mode }) => mode === 'private') ? ' Streams of private routes are never listed.' : '';
  return `There are no streams. A stream is open while it has clients, and for share.linger_secs after that.${some}`;
}

/** Rows hold still under the pointer, so that nobody presses on another row than they meant. */
function still(page) {
  const [body, rows] = [by('stream-rows'), page?.streams ?? []];
  // Another filter, sort or page has cursors of its own: then nothing is held.
  const same = body.cursors === page?.cursors;
  body.cursors = page?.cursors;
  if (!same || !body.pointed) return rows;
  const places = new Map([...body.children].map((row, n) => [row.dataset.id, n]));
  const place = ({ id }) => places.get(id) ?? Infinity;
  return rows.toSorted((one, other) => (place(one) === place(other) ? 0 : place(one) - place(other)));
}

export function drawStreams(model) {
  const { wanted, page, cursors, routes } = model;
  if (document.activeElement !== by('filter') && by('filter').value !== wanted.q) by('filter').value = wanted.q;
  by('phase').value = wanted.phase;
  keyed(by('route'), [{ name: '' }, ...routes.filter(({ kind }) => kind === 'stream')], ({ name }) => name,
    ({ name }) => el('option', { value: name }, name === '' ? 'any route' : line(name, 60)), () => {});
  if (by('route').value !== wanted.route) by('route').value = wanted.route;
  by('sort').value = wanted.sort;
  for (const th of by('stream-heads').children) {
    const is = th.querySelector('button')?.dataset.sort === wanted.sort;
    attribute(th, 'aria-sort', is ? { asc: 'ascending', desc: 'descending' }[wanted.order] : null);
    if (th.querySelector('.order')) text(th.querySelector('.order'), is ? { asc: ' ▲', desc: ' ▼' }[wanted.order] : '');
  }
  const [words, rows] = [none(model), still(page)];
  text(by('streams-none'), words);
  by('streams-none').hidden = words === '';
  const held = keyButtons().indexOf(document.activeElement);
  // Streams of one key differ in headers or credentials: their variants tell them apart.
  const keys = rows.map(({ key }) => key);
  const twins = new Set(keys.filter((key, n) => keys.indexOf(key) !== n));
  const shown = { wanted, rowCharts: model.rowCharts, now: model.now(), twins };
  keyed(by('stream-rows'), rows, ({ id }) => id, row, (node, stream) => update(node, stream, shown));
  const all = keyButtons();
  // If the stream with the focus is gone, the row in its place has the focus.
  if (held >= 0 && !all.includes(document.activeElement)) all[Math.min(held, all.length - 1)]?.focus({ preventScroll: true });
  if (all.length > 0 && !all.some((button) => button.tabIndex === 0)) rove(all[0]);
  const [total, begin] = [page?.total ?? 0, page?.begin ?? 0];
  text(by('streams-total'), page === null ? '' : number(total));
  text(by('pages'), rows.length === 0 ? '' : `${number(begin + 1)} to ${number(begin + rows.length)} of ${number(total)}`);
  by('before').disabled = cursors.length === 1;
  by('after').disabled = !page?.next || page.cursors !== cursors;
}
