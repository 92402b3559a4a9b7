// Visitors of a node: who is here, with what has passed so far, and who left last.

import { get } from '../../api.js';
import { el, setText } from '../../dom.js';
import { ago, bytes, count, plural, rate } from '../../format.js';
import { poll } from '../../poll.js';
import { Rates } from '../../rates.js';
import { searchBox, Table } from '../../table.js';

const every = 1000;
const longest = 30; // seconds between two looks whose difference is a rate

const shared = [
  { name: 'client', title: 'Visitor', text: (r) => r.client, width: 9 },
  { name: 'service', title: 'Service', text: (r) => r.service, width: 5.5 },
];
const amounts = [
  { name: 'in', title: 'In', text: (r) => bytes(r.bytesIn), value: (r) => r.bytesIn, width: 5.5, kind: 'number wide' },
  { name: 'out', title: 'Out', text: (r) => bytes(r.bytesOut), value: (r) => r.bytesOut, width: 5.5, kind: 'number wide' },
];
const here = [
  ...shared,
  { name: 'state', title: 'State', text: (r) => r.state, width: 5.5, kind: 'state wide' },
  { name: 'since', title: 'For', text: (r) => ago(r.since), value: (r) => -Date.parse(r.since), width: 7, kind: 'number wide' },
  { name: 'rate', title: 'Now', text: (r) => (r.rate === null ? '' : rate(r.rate)), value: (r) => r.rate ?? -1, width: 5.5, kind: 'number' },
  ...amounts,
];
const gone = [...shared, { name: 'ended', title: 'Left ago', text: (r) => ago(r.ended), value: (r) => -Date.parse(r.ended), width: 5.5, kind: 'number' }, ...amounts];

const idOf = (r) => `${r.client} ${r.service} ${r.since ?? r.ended}`;

export const visitors = { name: 'visitors', title: 'Visitors', show };

function show(content) {
  const rates = new Rates(longest);
  const now = new Table({ title: 'Here now', columns: here, id: idOf, empty: 'There are no visitors now.', sort: { column: 'rate', down: true } });
  const left = new Table({ title: 'Left last', columns: gone, id: idOf, empty: 'Nobody has left yet.', sort: { column: 'ended', down: false } });
  const sum = el('span', { class: 'sum' });
  content.append(el('section', {}, el('h2', {}, 'Here now'), el('div', { class: 'bar' }, searchBox('Search visitors', now), sum), now.element),
    el('section', {}, el('h2', {}, 'Left last'), left.element));
  const stop = poll(every, async (signal) => {
    const { relays, relaysTotal, left: last } = await get('status', { services: false }, signal);
    const rows = relays ?? [];
    const seconds = performance.now() / 1000;
    for (const r of rows) {
      const [received, sent] = rates.of(idOf(r), seconds, [r.bytesIn, r.bytesOut]);
      r.rate = received === null ? null : received + sent;
    }
    rates.turn();
    now.update(rows);
    left.update(last ?? []);
    setText(sum, relaysTotal > rows.length ? `the first ${count(rows.length)} of ${plural(relaysTotal, 'connection')}` : plural(relaysTotal, 'connection'));
  });
  return () => { stop(); now.end(); left.end(); };
}
