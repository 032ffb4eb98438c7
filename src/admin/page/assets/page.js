// The live page of manifold: its parts, its keys, and the token.

import { startActions } from './page/actions.js';
import { mayBeToken, token } from './page/api.js';
import { attribute, by, text } from './page/dom.js';
import * as link from './page/link.js';
import { Model } from './page/model.js';
import { drawFigures, drawHappened, drawHead, drawRoutes, drawTroubles, startHappened } from './page/overview.js';
import { drawPanel, leavePanel, startPanel } from './page/stream.js';
import { drawStreams, keyButtons, startStreams } from './page/streams.js';

const small = matchMedia('(max-width: 70rem)');
let due = false;

/** Draws once for all that changed until the next frame. */
function changed() {
  if (due) return;
  due = true;
  requestAnimationFrame(drawn);
}

function drawn() {
  due = false;
  drawHead(model);
  drawToken();
  drawTroubles(model, show);
  if (by('main').hidden) return;
  drawFigures(model);
  drawRoutes(model);
  drawHappened(model);
  drawStreams(model);
  drawPanel(model);
  cover();
}

const model = new Model(changed);
model.drawn = drawn;
// For whoever looks at the page in the console, and for its tests.
globalThis.manifold = model;

/** Shows the streams of a trouble. */
function show(of) {
  if (of.stream !== undefined) { open(of.stream); return; }
  model.want({ ...link.NOTHING, stream: model.wanted.stream, ...of, order: link.SORTS[of.sort ?? link.NOTHING.sort].order });
  by('streams').scrollIntoView({ block: 'start' });
  by('filter').focus({ preventScroll: true });
}

/** Opens the panel of a stream, and goes there. */
function open(id) {
  model.want({ stream: id });
  drawn();
  by('panel-title').focus();
}

function drawToken() {
  by('forget').hidden = token.get() === null || model.link.state === 'token';
  if (model.link.state !== 'token') { drawToken.was = false; return; }
  if (drawToken.was) return;
  drawToken.was = true;
  text(by('token-wrong'), model.link.why === '' ? '' : 'This is not the right token. Compare it with the file. A token has only letters, digits and -._~+/=.');
  by('token-value').value = '';
  by('token-value').focus();
  by('token-send').disabled = false;
}

by('token').addEventListener('submit', (event) => {
  event.preventDefault();
  const given = by('token-value').value.trim();
  if (!mayBeToken(given)) { text(by('token-wrong'), 'This cannot be a token. A token has only letters, digits and -._~+/=.'); return; }
  token.set(given);
  drawToken.was = false;
  by('token-send').disabled = true;
  text(by('token-wrong'), '');
  model.join();
});
by('forget').addEventListener('click', () => {
  model.forget();
  model.wantToken('');
});
by('gone-try').addEventListener('click', () => model.join());

by('keys-open').addEventListener('click', () => by('keys').showModal());
by('keys-close').addEventListener('click', () => by('keys').close());
document.querySelector('[data-skip]').addEventListener('click', (event) => { event.preventDefault(); by('filter').focus(); });

/** What a key does outside of fields. */
const KEYS = {
  '/': () => { by('filter').focus(); by('filter').select(); },
  '?': () => by('keys').showModal(),
  n: () => model.turn(1),
  p: () => model.turn(-1),
};

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || by('main').hidden) return;
  if (document.querySelector('dialog[open]') !== null) return;
  const field = event.target.closest('input, select, textarea');
  if (event.key === 'Escape') {
    if (field === by('filter') && by('filter').value !== '') { by('filter').value = ''; model.want({ q: '' }); event.preventDefault(); return; }
    if (field === by('filter') && by('panel').hidden) { field.blur(); return; }
    if (!by('panel').hidden) { leavePanel(model); event.preventDefault(); }
    return;
  }
  if (field === by('filter') && event.key === 'ArrowDown') { keyButtons()[0]?.focus(); event.preventDefault(); return; }
  if (field !== null || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

// Enter on a row goes on into the panel. A press of the mouse leaves the focus on the row.
by('stream-rows').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !event.target.matches('.stream-key')) return;
  event.preventDefault();
  open(event.target.closest('tr').dataset.id);
});

small.addEventListener('change', changed);
addEventListener('hashchange', () => model.want(link.read(location.hash)));

/** On a small screen the panel covers the page: what is below takes no part then. */
function cover() {
  const covered = small.matches && !by('panel').hidden;
  for (const part of document.querySelectorAll('.top, #troubles, #figures, .pair, #streams, .foot')) attribute(part, 'inert', covered ? '' : null);
  attribute(document.documentElement, 'class', covered ? 'covered' : null);
}

startActions();
startHappened(changed);
startStreams(model);
startPanel(model);
model.start();
changed();
