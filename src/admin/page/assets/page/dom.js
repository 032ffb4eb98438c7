// Elements. Text goes in as text, never as markup.

import { ago, clock, instant, since, within } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';

export const by = (id) => document.getElementById(id);

/** A new element. `more`: attributes, and `class`. Children are elements or text. */
export function el(tag, more = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(more)) if (value !== undefined && value !== null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Changes only what differs, so that what is selected stays selected and nothing is laid out anew. */
export function text(node, value) {
  if (node.textContent !== String(value)) node.textContent = value;
}

export function attribute(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Shows each item as one child of `parent`, in order. A child stays the same element as long as its key is there. */
export function keyed(parent, items, keyOf, make, update) {
  const held = parent.held ??= new Map();
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const [kept, nodes] = [new Map(), []];
  for (const item of items) {
    const key = keyOf(item);
    const node = held.get(key) ?? make(item);
    update(node, item);
    kept.set(key, node);
    nodes.push(node);
  }
  for (const [key, node] of held) if (kept.get(key) !== node) node.remove();
  parent.held = kept;
  nodes.forEach((node, n) => { if (parent.children[n] !== node) parent.insertBefore(node, parent.children[n] ?? null); });
  // An element that is moved loses the focus.
  if (focused !== null && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

/** Shows a moment: the words, and the exact instant as a title. */
export function moment(node, at, words) {
  text(node, words);
  if (at === null) { node.removeAttribute('datetime'); node.removeAttribute('title'); return; }
  attribute(node, 'datetime', instant(at));
  attribute(node, 'title', instant(at));
}

export const momentSince = (node, at, now) => moment(node, at, at === null ? '–' : since(at, now));
export const momentAgo = (node, at, now) => moment(node, at, at === null ? '–' : ago(at, now));
export const momentWithin = (node, at, now) => moment(node, at, at === null ? '–' : within(at, now));
export const momentAt = (node, at, now) => moment(node, at, clock(at, now));

/** A small chart. It is decoration: the figure beside it says the same. */
export function chart(width, height) {
  const svg = document.createElementNS(SVG, 'svg');
  const [area, path] = ['area', 'path'].map((name) => {
    const made = document.createElementNS(SVG, 'path');
    made.setAttribute('class', name);
    return made;
  });
  for (const [name, value] of [['viewBox', `0 0 ${width} ${height}`], ['width', width], ['height', height], ['preserveAspectRatio', 'none'], ['class', 'chart'], ['aria-hidden', 'true']]) svg.setAttribute(name, value);
  svg.append(area, path);
  svg.draw = (history) => {
    const lines = history.lines(width, height);
    const along = (points) => points.map(([x, y]) => `${x} ${y}`).join('L');
    attribute(path, 'd', lines.map((points) => `M${along(points)}${points.length === 1 ? 'h.5' : ''}`).join(''));
    attribute(area, 'd', lines.map((points) => `M${points[0][0]} ${height}L${along(points)}L${points.at(-1)[0]} ${height}Z`).join(''));
  };
  return svg;
}

/** A bar that shows how much of a limit is taken. */
export function bar() {
  const svg = document.createElementNS(SVG, 'svg');
  const [all, part] = ['all', 'part'].map((name) => {
    const made = document.createElementNS(SVG, 'rect');
    for (const [key, value] of [['class', name], ['height', 4], ['rx', 2]]) made.setAttribute(key, value);
    return made;
  });
  for (const [name, value] of [['viewBox', '0 0 100 4'], ['width', 100], ['height', 4], ['preserveAspectRatio', 'none'], ['class', 'bar'], ['aria-hidden', 'true']]) svg.setAttribute(name, value);
  all.setAttribute('width', 100);
  svg.append(all, part);
  svg.draw = (taken, limit) => {
    const width = limit > 0 ? Math.min(100, (100 * taken) / limit) : 0;
    attribute(part, 'width', width);
    attribute(svg, 'class', `bar${width >= 90 ? ' full' : ''}`);
  };
  return svg;
}
