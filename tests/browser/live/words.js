// Returns what is wrong with the words that the page makes of values. Each line: what was made, and what was expected.
return (async () => {
const wrong = [];
const same = (what, made, expected) => {
  if (JSON.stringify(made) !== JSON.stringify(expected)) wrong.push({ what, made, expected });
};
const [words, link, { Happenings, said }, { troubles, remedy, TROUBLES }, { parser, pause, mayBeToken }] = await Promise.all(
  ['words', 'link', 'happenings', 'troubles', 'api'].map((name) => import(`/page/${name}.js`)));

for (const [secs, text] of [[0, '0 s'], [-3, '0 s'], [59.9, '59 s'], [60, '1 min'], [61, '1 min 1 s'], [3600, '1 h'], [3661, '1 h 1 min'], [90000, '1 d 1 h'], [null, '–']]) same('duration', words.duration(secs), text);
for (const [n, text] of [[0, '0 B'], [1023, '1,023 B'], [1024, '1 KiB'], [1536, '1.5 KiB'], [200 * 1024, '200 KiB'], [5 * 1024 ** 3, '5 GiB'], [null, '–']]) same('bytes', words.bytes(n), text);
for (const [n, text] of [[0, '0'], [0.04, '<0.1'], [1.25, '1.3'], [12345.6, '12,346'], [undefined, '–']]) same('rate', words.rate(n), text);
same('count', [words.count(1, 'stream'), words.count(1200, 'stream'), words.count(2, 'entry', 'entries')], ['1 stream', '1,200 streams', '2 entries']);
for (const [given, text] of [['a\u202eb', 'a‹U+202E›b'], ['a\u0000\u200b', 'a‹U+0000›‹U+200B›'], ['a\r\nb\tc', 'a\nb\tc'], [null, ''], ['x'.repeat(9), 'xxxx…']]) same('plain', words.plain(given, 4 + 6 * (given?.length < 9)), text);
same('line', words.line('a\nb\t\n c'), 'a b  c');
same('ago', [words.ago(1000, 1500), words.ago(0, 65000)], ['just now', '1 min 5 s ago']);
same('within', [words.within(0, 5), words.within(4200, 0)], ['now', 'in 5 s']);
const history = new words.History(5);
[1, null, 2, 4, 2, 4].forEach((value) => history.add(value));
same('a hole in a chart', history.lines(40, 10), [[[10, 5], [20, 1], [30, 5], [40, 1]]]);
same('a chart without values', new words.History(5).lines(40, 10), []);

for (const [hash, written] of [['', ''], ['#q=%3Cb%3E&sort=key&stream=ab-1', '#q=%3Cb%3E&sort=key&stream=ab-1'], ['#sort=nonsense&phase=dead&order=up&stream=<b>', ''], ['#sort=age&order=asc', '#sort=age'], ['#order=asc', '#order=asc'], ['#sort=__proto__', '']]) same(`hash ${hash}`, link.written(link.read(hash)), written);
same('turned', [link.sorted(link.NOTHING, 'subscribers').order, link.sorted(link.NOTHING, 'key').order], ['asc', 'asc']);
same('question', link.question({ ...link.NOTHING, q: 'a b' }, 50, null), 'limit=50&sort=subscribers&order=desc&q=a+b');

const messages = [];
const feed = parser((...message) => messages.push(message));
for (const piece of ['retry: 2000\n:\n\nid: 1\nev', 'ent: gaps\ndata: {"a"', ':1}\n', '\nevent: tick\ndata:x\ndata: y\n\n: ', 'comment\n\ndata: z\n\n']) feed(piece);
same('events', messages, [['gaps', '{"a":1}', '1'], ['tick', 'x\ny', '1'], ['message', 'z', '1']]);
same('pauses', [0, 1, 4, 5, 50].map((tries) => pause(tries, 0.5)), [500, 1000, 8000, 15000, 15000]);
same('tokens', ['a-._~+/=Z9', '', 'a b', 'ä'].map(mayBeToken), [true, false, false, false]);

// Groups: one kind never pushes out another, and what comes close together is counted.
const happenings = new Happenings();
const at = (secs) => new Date(1_000_000_000_000 + secs * 1000).toISOString();
happenings.add('origin_down', { at: at(0), since: at(0), origin: 'http://o', streams: 3, why: '<b>\u202e' });
for (let n = 0; n < 500; n += 1) happenings.add('gaps', { at: at(n), route: `r${n % 100}`, reason: 'lag', count: 2 });
for (let n = 0; n < 50; n += 1) happenings.add('refusals', { at: at(n), route: null, reason: 'route', count: 3 });
same('groups of a kind', happenings.groups.filter(({ kind }) => kind === 'gaps').length, 60);
same('the others stay', happenings.newest('origin_down', 9).map(said), ['http://o is down, 3 streams: <b>‹U+202E›']);
const [refused] = happenings.newest('refusals', 9);
same('counted', [happenings.newest('refusals', 9).length, refused.count, said(refused).startsWith('150 refusals, reason route, from ')], [1, 150, true]);

// Troubles: what is found of a state, and of a state in which all is well.
const now = Date.parse(at(600));
const route = { name: 'ticks', origin: 'http://o:1/', kind: 'stream', phases: { live: 0 }, streams: 1, subscribers: 1, gaps: {} };
const well = { now, process: { is_accepting: true, lifecycle: 'running', places: { taken: 1, limit: 10 }, descriptors: { open: 1, limit: null } }, routes: [route], outages: [],
  failing: { streams: [], total: 0 }, slow: [], happenings: new Happenings(), connecting: new Map(), dropped: null, setting: () => undefined };
same('all is well', troubles(well), []);
same('nothing is known yet', troubles({ ...well, process: null, routes: [] }), []);
const keys = (more) => troubles({ ...well, ...more }).map(({ key, level }) => `${level} ${key}`);
const outage = { origin: 'http://o:1', since: at(0), streams: 2, attempts: 7, why: 'connection refused' };
const failing = { streams: [{ route: 'ticks', subscribers: 5, next_attempt: at(605) }, { route: 'other', subscribers: 9, next_attempt: null }], total: 2 };
same('down', keys({ outages: [outage] }), ['bad origin http://o:1']);
const [down] = troubles({ ...well, outages: [outage], failing, setting: (section, key) => ({ hold_secs: 900 }[key]) });
same('down in words', [down.what, down.whom, down.since, down.next - now, down.see.includes('hold_secs, 15 min'), down.todo === remedy('refused')],
  ['Origin http://o:1 is down', '2 streams with 5 clients, route ticks', Date.parse(at(0)), 5000, true, true]);
same('it fails for some', troubles({ ...well, outages: [outage], routes: [{ ...route, phases: { live: 8 } }] })[0].what, 'Origin http://o:1 fails for 2 of 10 streams');
same('reflected', troubles({ ...well, outages: [outage], setting: (section, key) => ({ on_error: 'reflect' }[key]) })[0].see, 'New clients get the error at once.');
same('held too long', troubles({ ...well, outages: [outage], setting: (section, key) => ({ hold_secs: 60 }[key]) })[0].see.startsWith('hold_secs (1 min) is over'), true);
same('draining', keys({ process: { ...well.process, lifecycle: 'draining', is_accepting: false } }), ['warn drain']);
same('not accepting', keys({ process: { ...well.process, is_accepting: false } }), ['bad accepting']);
same('nearly full', keys({ process: { ...well.process, places: { taken: 9, limit: 10 }, descriptors: { open: 10, limit: 10 } } }), ['bad full descriptors', 'warn full places']);
same('a limit that is off', keys({ setting: () => 'off' }), []);
same('a route is full', keys({ setting: (section, key, name) => (key === 'subscribers' && name === 'ticks' ? 1 : undefined) }), ['bad full subscribers ticks']);
same('dropped lines', keys({ dropped: { since: now, count: 3 } }), ['note log lines']);
same('a silent origin', keys({ connecting: new Map([['ticks', { since: now - 11_000, streams: 2 }], ['young', { since: now - 9_000, streams: 1 }]]) }), ['note connecting ticks']);
const client = { address: '10.0.0.1', user_agent: null, lag_events: 4, lag_bytes: null, lag_secs: 9, slow_since: at(590) };
same('slow', keys({ slow: [{ stream: { id: 'a-1', key: '/a', route: 'ticks' }, clients: [client] }] }), ['warn slow a-1']);
const recent = (kind, reason, secs) => {
  const told = new Happenings();
  told.add(kind, { at: at(secs), route: 'ticks', reason, count: 2 });
  return { happenings: told };
};
same('gaps', keys(recent('gaps', 'upstream', 590)), ['warn gaps ticks upstream']);
same('gaps of long ago', keys(recent('gaps', 'upstream', 500)), []);
same('ended', keys(recent('slow_clients', 'stall', 590)), ['warn ended ticks stall']);
for (const [reason, level] of [['connections', 'bad'], ['per_address', 'warn'], ['route', 'note'], ['never heard of', 'warn']]) same(`refused ${reason}`, keys(recent('refusals', reason, 590)), [`${level} refused ${reason} ticks`]);
// Every trouble says all five: what, to whom, since when (or it is not known), why, what clients see, what to do.
const all = troubles({ ...well, process: { ...well.process, places: { taken: 10, limit: 10 } }, outages: [outage], failing, dropped: { since: now, count: 1 },
  slow: [{ stream: { id: 'a-1', key: '/a', route: 'ticks' }, clients: [client, client] }], connecting: new Map([['ticks', { since: 0, streams: 1 }]]), ...recent('gaps', 'lag', 590) });
same('troubles', all.length, 6);
for (const trouble of all) for (const part of ['what', 'whom', 'why', 'see', 'todo']) if (typeof trouble[part] !== 'string' || trouble[part] === '' || trouble[part].includes('undefined')) wrong.push({ part, trouble });
same('the list', TROUBLES.length, 11);
for (const [why, part] of [['a: connection refused: x', 'Nothing listens'], ['status 503', 'answers with an error'], ['status 404', 'does not know this path'], ['certificate expired', 'TLS'], ['no response head in time', 'sends no response head'], ['the dog ate it', 'manifold probe']]) if (!remedy(why).includes(part)) wrong.push({ why, part, made: remedy(why) });
return wrong;
})();
