// The head, the figures, what is wrong, the routes, and what happened.

import { attribute, bar, by, chart, el, keyed, moment, momentAt, momentWithin, text } from './dom.js';
import { KINDS, said } from './happenings.js';
import { LEVEL_WORDS } from './troubles.js';
import { PHASES, bare, bytes, count, duration, instant, line, number, percent, rate, since, within } from './words.js';

const SHOWN = 100;      // groups of what happened
const MARKS = { bad: '✕', warn: '▲', note: 'i' };
let kind = '';
let announced = null;   // the troubles that were said aloud

/** The state of the process in a word. */
function ready({ link, process }) {
  if (link.state === 'gone') return ['bad', '✕ no answer'];
  if (process === null) return ['soft', '… asking'];
  if (process.lifecycle === 'draining') return ['warn', '▲ draining'];
  return process.is_accepting ? ['good', '● ready'] : ['bad', '✕ accepts no clients'];
}

export function drawHead(model) {
  const { link, process } = model;
  const [level, word] = ready(model);
  text(by('ready'), word);
  attribute(by('ready'), 'class', `badge ${level}`);
  text(by('version'), process === null ? '' : `version ${process.version}`);
  text(by('host'), `at ${location.host}`);
  const started = process === null ? null : Date.parse(process.started);
  moment(by('uptime'), started, started === null ? '–' : duration((model.now() - started) / 1000));
  text(by('link'), { live: '● live', joining: '… connecting', gone: '✕ old figures', paused: '❙❙ paused while hidden', token: '', refused: '▲ not live' }[link.state]);
  attribute(by('link'), 'title', link.state === 'refused' ? link.why : null);
  attribute(document.body, 'data-link', link.state);
  by('gone').hidden = link.state !== 'gone' && link.state !== 'refused';
  if (!by('gone').hidden) drawGone(model, Date.now());
  by('token').hidden = link.state !== 'token';
  by('main').hidden = link.state === 'token' || (process === null && model.tick === null);
}

function drawGone({ link, tick }, now) {
  const [what, why] = link.state === 'refused' ? ['The figures are not live.', `${link.why}. This page asks every few seconds instead.`]
    : [`manifold does not answer${tick === null ? '' : ` since ${since(link.since, now)}`}: ${line(link.why, 200)}.`,
      `${tick === null ? '' : 'The figures below are those of that time. '}Check whether the process runs, and whether you can reach its machine.`];
  text(by('gone-what'), what);
  text(by('gone-why'), why);
  text(by('gone-next'), link.nextAt === null ? 'This page is trying again now.' : `This page tries again ${within(link.nextAt, now)}.`);
}

const ratio = ({ taken, limit }) => (limit === null ? '' : `of ${number(limit)} (${percent(taken, limit)})`);

/** The figures: name, value, what is beside it, and a chart or a bar. */
function figures({ tick, process, charts }) {
  const rates = tick?.totals.rates;
  const places = { taken: tick?.totals.places ?? process?.places.taken ?? null, limit: process?.places.limit ?? null };
  const open = { taken: process?.descriptors.open ?? null, limit: process?.descriptors.limit ?? null };
  const shown = (n) => (n === null || n === undefined ? '–' : number(n));
  return [
    { id: 'clients', name: 'Clients', value: shown(tick?.totals.subscribers), chart: charts.clients },
    { id: 'streams', name: 'Streams', value: shown(tick?.totals.streams), chart: charts.streams },
    { id: 'events', name: 'Events in, per s', value: rate(rates?.events_in_per_sec), chart: charts.events },
    { id: 'deliveries', name: 'Deliveries, per s', value: rate(rates?.deliveries_per_sec), chart: charts.deliveries },
    { id: 'bytes', name: 'Sent, per s', value: bytes(rates?.bytes_out_per_sec), chart: charts.bytes },
    { id: 'places', name: 'Places in use', value: shown(places.taken), beside: ratio(places), bar: places },
    { id: 'descriptors', name: 'Descriptors', value: shown(open.taken), beside: ratio(open), bar: open },
    { id: 'memory', name: 'Memory', value: bytes(process?.memory.resident_bytes),
      beside: process === null ? '' : `logs ${bytes(process.memory.log_bytes)}, held by slow clients ${bytes(process.memory.pinned_bytes)}` },
  ];
}

export function drawFigures(model) {
  keyed(by('figures'), figures(model), ({ id }) => id, ({ id, name, chart: history, bar: limit }) => {
    const node = el('div', { class: 'figure', id: `figure-${id}` }, el('dt', {}, name), el('dd', {}, el('span', { class: 'value' }), ' ', el('span', { class: 'beside' })));
    node.picture = history ? chart(160, 32) : limit ? bar() : null;
    if (node.picture) node.append(node.picture);
    return node;
  }, (node, { value, beside = '', chart: history, bar: limit }) => {
    text(node.querySelector('.value'), value);
    text(node.querySelector('.beside'), beside);
    if (history) node.picture.draw(history);
    if (limit) node.picture.draw(limit.taken, limit.limit);
  });
  const { process } = model;
  text(by('process-facts'), process === null ? '' : [
    `Started ${instant(Date.parse(process.started))}`, process.shards === 0 ? 'no delivery engine' : `${count(process.shards, 'shard')}, sends by ${process.sends_by}`,
    `${count(process.accepts, 'connection')} accepted`, `${count(Object.values(process.refusals).reduce((sum, n) => sum + n, 0), 'refusal')} since the start`,
    `${count(process.log_lines_dropped, 'line')} of the log dropped since the start`].join(' · '));
}

const FACTS = [['To whom', 'whom'], ['Since', 'since'], ['Why', 'why'], ['Clients see', 'see'], ['What to do', 'todo'], ['Next try', 'next']];

export function drawTroubles(model, show) {
  const [all, now] = [model.troubles(), model.now()];
  keyed(by('trouble-list'), all, ({ key }) => key, (trouble) => {
    const facts = FACTS.map(([name, of]) => el('div', { 'data-of': of }, el('dt', {}, name), el('dd', {}, ...(of === 'since' || of === 'next' ? [el('time')] : []))));
    const node = el('li', { class: `trouble ${trouble.level}` }, el('p', { class: 'what' }, el('span', { class: 'level' }), ' ', el('strong')), el('dl', {}, ...facts));
    node.button = el('button', { type: 'button', class: 'quiet' }, 'Show');
    node.button.addEventListener('click', () => show(node.trouble.show));
    node.querySelector('.what').append(node.button);
    return node;
  }, (node, trouble) => {
    node.trouble = trouble;
    attribute(node, 'class', `trouble ${trouble.level}`);
    text(node.querySelector('.level'), `${MARKS[trouble.level]} ${LEVEL_WORDS[trouble.level]}`);
    text(node.querySelector('strong'), trouble.what);
    node.button.hidden = trouble.show === undefined;
    text(node.button, trouble.show?.stream ? 'Show the stream' : 'Show the streams');
    for (const [, of] of FACTS) {
      const fact = node.querySelector(`[data-of=${of}]`);
      if (of === 'since') {
        const words = `${since(trouble.since, now)}${trouble.isSeen ? ' (or longer: this page first saw it then)' : ''}`;
        moment(fact.querySelector('time'), trouble.since, words);
      } else if (of === 'next') {
        fact.hidden = (trouble.next ?? null) === null;
        if (!fact.hidden) momentWithin(fact.querySelector('time'), trouble.next, now);
      } else {
        text(fact.lastElementChild, trouble[of]);
      }
    }
  });
  by('no-troubles').hidden = all.length > 0 || model.process === null;
  const wrong = all.filter(({ level }) => level !== 'note').length;
  const title = { gone: 'no answer', token: 'token needed', paused: 'paused' }[model.link.state] ?? (wrong > 0 ? `${wrong} wrong` : null);
  document.title = title === null ? `manifold ${location.host}` : `(${title}) manifold ${location.host}`;
  if (model.process !== null && model.isThere) announce(all);
}

/** Says aloud what came and what is over. What goes on is not said again. */
function announce(all) {
  const present = new Map(all.map(({ key, what }) => [key, what]));
  const before = announced ?? new Map();
  const came = [...present].filter(([key]) => !before.has(key)).map(([, what]) => what);
  const over = [...before].filter(([key]) => !present.has(key)).map(([, what]) => `Over: ${what}`);
  if (came.length + over.length > 0) text(by('said'), [...came, ...over].slice(0, 5).join('. '));
  announced = present;
}

/** The phases of a route's streams, in words. */
export function phases(node, of) {
  const shown = Object.entries(of).filter(([, n]) => n > 0);
  keyed(node, shown.length > 0 ? shown : [['none', 0]], ([phase]) => phase, ([phase]) => el('span', { class: `phase ${phase}` }), (one, [phase, n]) => {
    const words = PHASES[phase];
    text(one, words === undefined ? 'no streams' : `${words.mark} ${number(n)} ${words.word}`);
    attribute(one, 'title', words?.says);
  });
}

const cell = (label, more = {}, ...children) => el('td', { role: 'cell', 'data-label': label, ...more }, ...children);

export function drawRoutes(model) {
  const ticks = new Map(model.tick?.routes.map((route) => [route.name, route]));
  keyed(by('route-rows'), model.routes, ({ name }) => name, () => {
    const node = el('tr', { role: 'row' }, el('th', { role: 'rowheader', scope: 'row' }, el('span', { class: 'name' }), el('span', { class: 'hint origin' })),
      cell('Streams by phase', { class: 'phases' }), cell('Clients', { class: 'n' }), cell('Events/s', { class: 'n charted' }, el('span')), cell('Deliveries/s', { class: 'n' }),
      cell('Gaps', { class: 'n' }), cell('Last event', { class: 'n' }));
    node.chart = chart(60, 18);
    node.children[3].prepend(node.chart);
    return node;
  }, (node, route) => {
    const [head, phase, clients, events, deliveries, gaps, last] = node.children;
    const tick = ticks.get(route.name);
    const rates = tick?.rates ?? route.rates;
    attribute(node, 'data-route', route.name);
    text(head.firstElementChild, line(route.name, 120));
    const [origin, of] = [bare(route.origin), tick?.phases ?? route.phases];
    const fails = model.outages.some((outage) => bare(outage.origin) === origin);
    const down = fails && !(of.live > 0);
    text(head.lastElementChild, `${down ? '✕ down: ' : ''}${line(origin, 160)}${route.kind === 'proxy' ? ', plain proxy' : ''}${route.mode === 'private' ? ', private: its streams are not listed' : ''}`);
    attribute(head.lastElementChild, 'class', `origin ${down ? 'wrong' : 'hint'}`);
    attribute(head, 'title', line(route.policy, 300));
    phases(phase, of);
    text(clients, number(tick?.subscribers ?? route.subscribers));
    text(events.lastElementChild, rate(rates?.events_in_per_sec));
    const history = model.routeCharts.get(route.name);
    if (history !== undefined) node.chart.draw(history);
    text(deliveries, rate(rates?.deliveries_per_sec));
    text(gaps, number(Object.values(route.gaps).reduce((sum, n) => sum + n, 0)));
    text(last, route.last_event_age_secs === null ? 'none yet' : route.last_event_age_secs < 2 ? 'now' : `${duration(route.last_event_age_secs)} ago`);
  });
}

export function startHappened(changed) {
  by('happened-kind').append(el('option', { value: '' }, 'all'), ...Object.entries(KINDS).map(([value, word]) => el('option', { value }, word)));
  by('happened-kind').addEventListener('change', (event) => { kind = event.target.value; changed(); });
}

export function drawHappened(model) {
  const groups = model.happenings.newest(kind, SHOWN);
  keyed(by('happened'), groups, ({ id }) => id, (group) => el('li', { class: `happening ${group.kind}` }, el('time'), el('span', { class: 'kind' }, KINDS[group.kind] ?? group.kind), el('span', { class: 'say' })), (node, group) => {
    momentAt(node.querySelector('time'), group.last, model.now());
    text(node.querySelector('.say'), said(group));
  });
  by('happened-none').hidden = groups.length > 0;
  by('happened').hidden = groups.length === 0;
}

