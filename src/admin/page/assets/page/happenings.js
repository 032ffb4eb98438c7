// What happened, in groups. Of each kind a bounded number is kept, so one kind never pushes out the others.

import { bare, clock, count, duration, line } from './words.js';

/** Happenings of one kind, route and reason are one group while they come closer together than this. */
const TOGETHER_MS = 60_000;

/** The groups of each kind that are kept. */
const KEPT = 60;

/** The kinds with their words, in the order in which they can be chosen. */
export const KINDS = {
  origin_down: 'origin down',
  origin_up: 'origin up',
  gaps: 'gaps',
  slow_clients: 'slow clients',
  refusals: 'refusals',
  reload: 'reload',
  drain: 'drain',
  page: 'this page',
};

export class Happenings {
  constructor() {
    this.groups = [];
    this.total = 0;
  }

  /** Something happened. Returns its group. */
  add(kind, told) {
    const at = Date.parse(told.at);
    const name = [kind, told.route ?? '', told.reason ?? '', told.origin ?? '', told.say ?? ''].join('\n');
    const first = told.since === undefined ? at : Date.parse(told.since);
    this.total += 1;
    const counts = kind === 'gaps' || kind === 'slow_clients' || kind === 'refusals';
    const group = counts ? this.groups.find((one) => one.name === name) : undefined;
    if (group !== undefined && at - group.last <= TOGETHER_MS) {
      group.last = Math.max(group.last, at);
      group.count += told.count ?? 1;
      this.groups.splice(this.groups.indexOf(group), 1);
      this.groups.unshift(group);
      return group;
    }
    const fresh = { id: `${this.total}`, kind, name, first, at, last: at, count: told.count ?? 1, told };
    this.groups.unshift(fresh);
    const same = this.groups.filter((one) => one.kind === kind);
    if (same.length > KEPT) this.groups.splice(this.groups.indexOf(same.at(-1)), 1);
    return fresh;
  }

  /** The groups that something was added to less than this long ago, of one kind. */
  recent(kind, now, withinMs) {
    return this.groups.filter((group) => group.kind === kind && now - group.last <= withinMs);
  }

  /** The newest groups, of one kind or of all. */
  newest(kind, most) {
    const shown = kind === '' ? this.groups : this.groups.filter((group) => group.kind === kind);
    return shown.toSorted((one, other) => other.last - one.last).slice(0, most);
  }
}

const WHY_GAPS = {
  evicted: 'the log had dropped the events before the client came',
  unknown: 'the log never held the id that the client came with',
  lag: 'the client was too slow',
  upstream: 'events were lost between the origin and manifold',
};

/** A group in words. */
export function said(group) {
  const { kind, told, count: n, first, last } = group;
  const on = told.route ? ` on route ${line(told.route, 80)}` : '';
  const span = last > first && kind !== 'origin_up' && kind !== 'origin_down'
    ? `, from ${clock(first)} to ${clock(last)}` : '';
  switch (kind) {
    case 'origin_down':
      return `${bare(line(told.origin, 120))} is down, ${count(told.streams, 'stream')}: ${line(told.why, 300)}`;
    case 'origin_up': {
      const lost = told.may_have_lost > 0 ? `; ${count(told.may_have_lost, 'stream')} may have lost events` : '; as far as manifold knows, nothing was lost';
      return `${bare(line(told.origin, 120))} is up again after ${duration(told.down_secs)} and ${count(told.attempts, 'failed request')}${lost}`;
    }
    case 'gaps':
      return `${count(n, 'gap')}${on}: ${WHY_GAPS[told.reason] ?? line(told.reason, 60)}${span}`;
    case 'slow_clients':
      return `${count(n, 'slow client')} ended${on}: ${told.reason === 'stall' ? 'no byte was accepted for client.stall_secs' : 'the log no longer holds the next event'}${span}`;
    case 'refusals':
      return `${count(n, 'refusal')}${on}, reason ${line(told.reason, 60)}${span}`;
    case 'reload':
      return told.outcome === 'failed' ? `the configuration was not reloaded, the old one stays: ${line(told.what, 300)}`
        : told.outcome === 'ok' ? `the configuration was reloaded: ${line(told.what, 300)}` : 'the configuration was read again, and nothing changed';
    case 'drain':
      return `manifold is shutting down: the last client will be gone by ${clock(Date.parse(told.by))}`;
    default:
      return line(told.say, 300);
  }
}
