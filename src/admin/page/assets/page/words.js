// Numbers, times and the text of strangers, as words. Nothing here knows of the page.

/** Characters that would change how the text around them is read: controls, bidi controls, and those without width. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** A stranger's text: cut, and with each character that cannot be seen as its number. Tabs and line ends stay. */
export function plain(text, most = 2000) {
  const all = String(text ?? '');
  const cut = all.length > most ? `${all.slice(0, most)}…` : all;
  return cut.replace(/\r\n?/g, '\n').replace(UNSEEN, (c) => `‹U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}›`);
}

/** A stranger's text in one line. */
export const line = (text, most = 300) => plain(text, most).replace(/[\n\t]+/g, ' ');

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

export const number = (n) => whole.format(n);
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** Events per second. */
export function rate(n) {
  if (n === null || n === undefined) return '–';
  if (n > 0 && n < 0.1) return '<0.1';
  return n < 100 ? tenth.format(n) : whole.format(n);
}

export function bytes(n) {
  if (n === null || n === undefined) return '–';
  let [size, unit] = [n, 0];
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  while (size >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${unit === 0 || size >= 100 ? whole.format(size) : tenth.format(size)} ${units[unit]}`;
}

const UNITS = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];

/** A length of time in at most two units. */
export function duration(secs) {
  if (secs === null || secs === undefined || Number.isNaN(secs)) return '–';
  let rest = Math.max(0, Math.floor(secs));
  const at = UNITS.findIndex(([, length]) => rest >= length);
  if (at < 0) return '0 s';
  const parts = [];
  for (const [unit, length] of UNITS.slice(at, at + 2)) {
    const n = Math.floor(rest / length);
    rest -= n * length;
    if (n > 0) parts.push(`${n} ${unit}`);
  }
  return parts.join(' ');
}

const two = (n) => String(n).padStart(2, '0');

/** The time of day here, with the date if it is not today's. */
export function clock(at, now = Date.now()) {
  const [date, today] = [new Date(at), new Date(now)];
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (date.toDateString() === today.toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** A moment as ISO 8601 in UTC. */
export const instant = (at) => new Date(at).toISOString();

/** How long ago, in words. */
export function ago(at, now) {
  const secs = (now - at) / 1000;
  if (secs < 1.5) return 'just now';
  return `${duration(secs)} ago`;
}

/** Since when, in words: for a thing that goes on. */
export const since = (at, now) => `${clock(at, now)}, for ${duration((now - at) / 1000)}`;

/** When something will be, in words. */
export const within = (at, now) => (at <= now ? 'now' : `in ${duration(Math.ceil((at - now) / 1000))}`);

/** A URL without the slash at its end. */
export const bare = (url) => String(url).replace(/\/+$/, '');

export const percent = (part, all) => (all > 0 ? `${Math.floor((100 * part) / all)} %` : '–');

/** The bytes of a size as the configuration writes it, or null. */
export function sizeOf(text) {
  const found = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|kB|KB|MB|GB)?$/.exec(String(text));
  if (found === null) return null;
  const unit = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9 }[found[2] ?? 'B'];
  return Number(found[1]) * unit;
}

/** The words for a phase, with the mark that stands for it where colours cannot be told apart. */
export const PHASES = {
  live: { mark: '●', word: 'live', says: 'The origin is connected and sends this stream.' },
  connecting: { mark: '◐', word: 'connecting', says: 'manifold has asked the origin, and waits for the answer.' },
  waiting: { mark: '▲', word: 'waiting', says: 'The origin failed. manifold tries again after a pause.' },
  closed: { mark: '■', word: 'closed', says: 'The stream has ended.' },
};

/** The last values of a figure, one for each look. A value of null is a hole. */
export class History {
  constructor(length) {
    this.length = length;
    this.values = [];
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > this.length) this.values.shift();
  }

  get last() {
    return this.values.at(-1) ?? null;
  }

  /** The lines of a chart of this width and height: a list of lists of points. The newest value is at the right. */
  lines(width, height) {
    const most = Math.max(0, ...this.values.filter((value) => value !== null)) || 1;
    const [lines, step] = [[], width / Math.max(1, this.length - 1)];
    let open = null;
    this.values.forEach((value, n) => {
      if (value === null) { open = null; return; }
      if (open === null) lines.push(open = []);
      const x = width - (this.values.length - 1 - n) * step;
      open.push([Math.round(x * 10) / 10, Math.round((height - 1 - (height - 2) * (value / most)) * 10) / 10]);
    });
    return lines;
  }
}
