// Asks the API, and reads what happens: Server-Sent Events over fetch, because an EventSource cannot send a token.

const TOKEN = 'manifold.token';

/** What went wrong with a question. `status` 0: there was no answer. */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const token = {
  get: () => { try { return sessionStorage.getItem(TOKEN); } catch { return token.held; } },
  set: (value) => {
    token.held = value;
    try { if (value === null) sessionStorage.removeItem(TOKEN); else sessionStorage.setItem(TOKEN, value); } catch { /* it is kept until the page is left */ }
  },
  held: null,
};

/** Whether a text can be a token at all: the characters that a token file may hold. */
export const mayBeToken = (text) => /^[A-Za-z0-9\-._~+/=]+$/.test(text);

function headers(more) {
  const held = token.get();
  return held === null ? more : { ...more, Authorization: `Bearer ${held}` };
}

/** A request to the API. `patience`: how long the head of the answer may take, in ms. */
async function ask(path, { method = 'GET', more = {}, signal, patience = 15_000 } = {}) {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(), patience);
  const either = signal === undefined ? slow.signal : AbortSignal.any([signal, slow.signal]);
  let answer;
  try {
    answer = await fetch(path, { method, headers: headers(more), cache: 'no-store', signal: either, redirect: 'error' });
  } catch (error) {
    throw new Failure(0, slow.signal.aborted ? 'no answer in time' : 'no connection', { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => null);
    throw new Failure(answer.status, problem?.detail ?? `status ${answer.status}`);
  }
  return answer;
}

/** The JSON at a path of the API. */
export async function get(path, signal) {
  const answer = await ask(path, { signal });
  try {
    return await answer.json();
  } catch {
    throw new Failure(0, 'the answer broke off');
  }
}

/** Does something. The header proves that no page of another site asks. */
export const act = (method, path) => ask(path, { method, more: { 'X-Manifold-Action': '1' } });

/** Takes text in pieces and calls `take(kind, data, id)` for each event in it (the parsing rules of the HTML standard). */
export function parser(take) {
  let [rest, kind, data, id] = ['', '', [], null];
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) take(kind || 'message', data.join('\n'), id);
        [kind, data] = ['', []];
        continue;
      }
      const at = line.indexOf(':');
      const [name, value] = at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')];
      if (name === 'event') kind = value;
      else if (name === 'data') data.push(value);
      else if (name === 'id') id = value;
    }
  };
}

/** Reads what happens until it ends. `last`: the id of the last message. `silence`: the longest pause, in ms. */
export async function listen({ last, opened, take, signal, silence }) {
  const quiet = new AbortController();
  const answer = await ask('api/events?ticks=1', { more: { 'Last-Event-ID': last ?? '0' }, signal: AbortSignal.any([signal, quiet.signal]) });
  opened();
  const feed = parser(take);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let timer;
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), silence);
      const { done, value } = await reader.read();
      if (done) throw new Failure(0, 'the connection ended');
      feed(value);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(0, quiet.signal.aborted ? `nothing came for ${silence / 1000} s` : 'the connection was lost');
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}

/** The pause before try number n, in ms: longer each time, and never the same for all pages. */
export function pause(tries, random = Math.random()) {
  return Math.min(15_000, 500 * 2 ** Math.min(tries, 5)) * (0.75 + random / 2);
}
