// Visitors: the relays and UDP flows that run, with what went through them so far.

import { get } from '../api.js';
import { sheet } from '../dialog.js';
import { choice, el, facts, setText } from '../dom.js';
import { ago, bytes, count, nodeName, plural, publicAddress, rate, when } from '../format.js';
import { poll } from '../poll.js';
import { Rates } from '../rates.js';
import { searchBox, Table } from '../table.js';

const every = 1000;
const most = 1000; // rows of an answer
const longest = 30;

const columns = [
  { name: 'client', title: 'Visitor', text: (r) => r.client, width: 9 },
  { name: 'service', title: 'Service', text: (r) => r.service, width: 5.5 },
  { name: 'node', title: 'Node', text: (r) => nodeName(r.name, r.node), width: 7, kind: 'wide' },
  { name: 'public', title: 'Public', text: publicAddress, width: 6, kind: 'wide' },
  { name: 'state', title: 'State', text: (r) => r.state ?? (r.answered ? 'answered' : 'unanswered'), width: 6, kind: 'state wide' },
  { name: 'since', title: 'For', text: (r) => ago(r.since), value: (r) => -Date.parse(r.since), width: 7, kind: 'number wide' },
  { name: 'rate', title: 'Now', text: (r) => (r.rate === null ? '' : rate(r.rate)), value: (r) => r.rate ?? -1, width: 5.5, kind: 'number' },
  { name: 'in', title: 'In', text: (r) => bytes(r.bytesIn), value: (r) => r.bytesIn, width: 6, kind: 'number wide' },
  { name: 'out', title: 'Out', text: (r) => bytes(r.bytesOut), value: (r) => r.bytesOut, width: 6, kind: 'number wide' },
];

const idOf = (r) => `${r.client} ${r.service} ${r.port ?? r.domain ?? ''} ${r.since}`;

export const visitors = { name: 'visitors', title: 'Visitors', show };

function show(content) {
  const rates = new Rates(longest);
  const table = new Table({ title: 'Visitors', columns, id: idOf, empty: 'There are no visitors now.', open: showVisitor, sort: { column: 'rate', down: true } });
  const sum = el('span', { class: 'sum' });
  const kind = choice([['relays', 'TCP connections'], ['flows', 'UDP flows']], { 'aria-label': 'Which visitors', on: { change: () => again() } });
  content.append(el('div', { class: 'bar' }, searchBox('Search visitors', table), kind, sum), table.element);
  const look = async (signal) => {
    const { total, rows } = await get(kind.value, { limit: most }, signal);
    const now = performance.now() / 1000;
    for (const r of rows) {
      const [received, sent] = rates.of(idOf(r), now, [r.bytesIn, r.bytesOut]);
      r.rate = received === null ? null : received + sent;
    }
    rates.turn();
    table.update(rows);
    const what = kind.value === 'relays' ? 'connection' : 'flow';
    setText(sum, total > rows.length ? `the first ${count(rows.length)} of ${plural(total, what)}` : plural(total, what));
  };
  let stop = poll(every, look);
  const again = () => { stop(); stop = poll(every, look); };
  return () => { stop(); table.end(); };
}

function showVisitor(r) {
  sheet(r.client, (body) => body.append(facts([
    ['Service', r.service], ['Node', nodeName(r.name, r.node)], ['Public', publicAddress(r)], ['State', r.state], ['Since', when(r.since)],
    ['From the visitor', bytes(r.bytesIn)], ['To the visitor', bytes(r.bytesOut)], ['Resumed', r.resumed ? plural(r.resumed, 'time') : ''],
    ['Nothing passed for', r.idleSeconds === undefined ? '' : `${Math.round(r.idleSeconds)} s`],
  ])));
}
