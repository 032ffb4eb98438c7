// What an operator does, each after a confirmation that says in plain words what comes of it.

import { act } from './api.js';
import { by, text } from './dom.js';
import { count, line } from './words.js';

const reconnect = ({ id, key, subscribers }) => ({
  title: 'Reconnect this stream?', yes: 'Reconnect', key, method: 'POST', path: `api/streams/${id}/reconnect`,
  says: `manifold drops its connection to the origin, and connects again at once. The log and ${subscribers === 1 ? 'the one client' : `all ${count(subscribers, 'client')}`} stay. If the origin cannot resume, the events that it sends meanwhile are lost, and clients get a gap event.` });

const close = ({ id, key, subscribers }) => ({
  title: 'Close this stream?', yes: 'Close the stream', key, method: 'POST', path: `api/streams/${id}/close`,
  says: `manifold ends the stream, its log and the ${subscribers === 1 ? 'response of its one client' : `responses of its ${count(subscribers, 'client')}`} in order. Browsers come back by themselves within seconds, and open a new stream with an empty log. They get the events that they missed meanwhile only if the origin can resume.` });

const end = ({ id, key }, client) => ({
  title: 'End this client?', yes: 'End the client', key: `${client.address}${client.user_agent === null ? '' : `, ${client.user_agent}`} on ${key}`,
  method: 'DELETE', path: `api/streams/${id}/subscribers/${client.id}`,
  says: 'manifold ends the response of this client in order. Other clients notice nothing. A browser comes back by itself within seconds, and resumes where it was. The client is not blocked.' });

export const ACTIONS = { reconnect, close, end };

let asked = null;

/** Asks whether it is meant. */
export function confirm(action, changed) {
  asked = { ...action, changed };
  text(by('confirm-title'), action.title);
  text(by('confirm-says'), action.says);
  text(by('confirm-key'), line(action.key, 400));
  text(by('confirm-yes'), action.yes);
  text(by('confirm-wrong'), '');
  by('confirm-yes').disabled = false;
  by('confirm').showModal();
  by('confirm-no').focus();
}

export function startActions() {
  by('confirm-no').addEventListener('click', () => by('confirm').close());
  by('confirm-yes').addEventListener('click', async () => {
    const action = asked;
    by('confirm-yes').disabled = true;
    try {
      await act(action.method, action.path);
      if (asked === action) by('confirm').close();
    } catch (failure) {
      if (asked === action) text(by('confirm-wrong'), `This did not work: ${line(failure.message, 300)}`);
    }
    by('confirm-yes').disabled = false;
    action.changed();
  });
}
