// What happens, as it comes.

import { follow, Failure } from '../api.js';
import { sheet } from '../dialog.js';
import { button, choice, el, facts, setText } from '../dom.js';
import { clock, plural, when } from '../format.js';
import { hooks, pause, visible } from '../poll.js';
import { searchBox, Table } from '../table.js';

const most = 5000; // rows that are kept
const again = 2000; // milliseconds

const words = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
const details = (e) => Object.entries(e.attributes ?? {}).map(([name, value]) => `${name}=${words(value)}`).join(' ');

const columns = [
  { name: 'time', title: 'Time', text: (e) => clock(e.time), value: (e) => e.id, width: 6.5 },
  { name: 'state', title: 'Level', text: (e) => e.level.toLowerCase(), width: 4.5, kind: 'state' },
  { name: 'name', title: 'Event', text: (e) => e.name, width: 9 },
  { name: 'message', title: 'Message', text: (e) => e.message, width: 12, kind: 'wide' },
  { name: 'details', title: 'Details', text: (e) => (e.details ??= details(e)), width: 18, kind: 'wide' },
];

const levels = { INFO: () => true, WARN: (e) => e.level !== 'INFO', ERROR: (e) => e.level === 'ERROR' };

export const events = { name: 'events', title: 'Events', show };

function show(content) {
  const ending = new AbortController();
  let rows = [];
  let paused = false;
  const table = new Table({ title: 'Events', columns, id: (e) => String(e.id), empty: 'Nothing has happened yet.', open: showEvent, sort: { column: 'time', down: true } });
  const sum = el('span', { class: 'sum' });
  const level = choice([['INFO', 'all'], ['WARN', 'warnings and errors'], ['ERROR', 'errors']], { 'aria-label': 'Which events', on: { change: () => arrange() } });
  const hold = button('Pause', () => {
    paused = !paused;
    hold.setAttribute('aria-pressed', paused);
    if (!paused) arrange();
  }, { 'aria-pressed': 'false' });
  let frame;
  const arrange = () => {
    frame = undefined;
    if (paused) return;
    rows = rows.slice(-most);
    table.update(rows.filter(levels[level.value]));
    setText(sum, plural(rows.length, 'event'));
  };
  const take = (event) => {
    if (rows.push(event) > 2 * most) rows = rows.slice(-most); // also during a pause
    frame ??= setTimeout(arrange, 100); // many at once are drawn once
  };
  content.append(el('div', { class: 'bar' }, searchBox('Search events', table), level, hold, sum), table.element);
  table.update([]);
  run(take, ending.signal);
  return () => { ending.abort(); clearTimeout(frame); table.end(); };
}

/** run follows the stream while the page is visible, and goes on where it was. */
async function run(take, signal) {
  let last = 0;
  const heard = (event) => { last = event.id; take(event); };
  const missed = (n) => take({ id: last + 0.5, time: new Date().toISOString(), level: 'WARN', name: 'missed', message: `${plural(n, 'event')} came meanwhile and are no longer kept`, attributes: {} });
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    const hidden = new AbortController();
    const check = () => { if (document.hidden) hidden.abort(); };
    document.addEventListener('visibilitychange', check);
    try {
      await follow(last, heard, missed, AbortSignal.any([signal, hidden.signal]), () => hooks.onTrouble(null));
    } catch (error) {
      if (error instanceof Failure) hooks.onTrouble(error);
      if (error.status === 401) return;
    } finally {
      document.removeEventListener('visibilitychange', check);
    }
    if (!document.hidden) await pause(again, signal);
  }
}

function showEvent(e) {
  sheet(e.name, (body) => body.append(facts([['Time', when(e.time)], ['Level', e.level.toLowerCase()], ['Message', e.message],
    ...Object.entries(e.attributes ?? {}).map(([name, value]) => [name, words(value)])])));
}
