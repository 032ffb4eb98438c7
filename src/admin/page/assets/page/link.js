// What the address of the page keeps: filter, sort and chosen stream. A link can be sent to a colleague.

export const SORTS = {
  key: { word: 'Key', order: 'asc' },
  subscribers: { word: 'Clients', order: 'desc' },
  rate: { word: 'Events/s', order: 'desc' },
  log_bytes: { word: 'Log', order: 'desc' },
  lag: { word: 'Lag', order: 'desc' },
  last_error: { word: 'Last error', order: 'desc' },
  age: { word: 'Age', order: 'asc' },
};
const PHASES = ['connecting', 'live', 'waiting', 'closed'];

export const NOTHING = Object.freeze({ q: '', route: '', phase: '', sort: 'subscribers', order: 'desc', stream: '' });

/** What a hash says. What it does not say, or says badly, is as usual. */
export function read(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  const text = (name, most) => (given.get(name) ?? '').slice(0, most);
  const sort = Object.hasOwn(SORTS, text('sort', 20)) ? text('sort', 20) : NOTHING.sort;
  return {
    q: text('q', 200),
    route: text('route', 300),
    phase: PHASES.includes(text('phase', 20)) ? text('phase', 20) : '',
    sort,
    order: ['asc', 'desc'].includes(text('order', 5)) ? text('order', 5) : SORTS[sort].order,
    stream: /^[0-9a-z-]{1,40}$/.test(text('stream', 41)) ? text('stream', 41) : '',
  };
}

/** The hash for what is wanted. It holds only what is not as usual. */
export function written(wanted) {
  const hash = new URLSearchParams();
  for (const name of ['q', 'route', 'phase', 'sort', 'stream']) {
    if (wanted[name] !== NOTHING[name]) hash.set(name, wanted[name]);
  }
  if (wanted.order !== SORTS[wanted.sort].order) hash.set('order', wanted.order);
  const text = hash.toString();
  return text === '' ? '' : `#${text}`;
}

/** The sort after a press on a header: the other order, or the usual one of another column. */
export function sorted(wanted, sort) {
  const order = wanted.sort === sort ? { asc: 'desc', desc: 'asc' }[wanted.order] : SORTS[sort].order;
  return { ...wanted, sort, order };
}

/** The parameters of the question for a page of streams. */
export function question(wanted, limit, after) {
  const query = new URLSearchParams({ limit, sort: wanted.sort, order: wanted.order });
  for (const name of ['q', 'route', 'phase']) if (wanted[name] !== '') query.set(name, wanted[name]);
  if (after) query.set('after', after);
  return query.toString();
}
