// The nodes: who may come, who is here, and what can be done about one.

import { get } from '../api.js';
import { button, el, setText } from '../dom.js';
import { ago, count, nodeName } from '../format.js';
import { poll } from '../poll.js';
import { searchBox, Table } from '../table.js';
import { allowNode } from './allow.js';
import { invite, showInvitations } from './invitations.js';
import { seen, showNode } from './node.js';

const every = 3000;
const c = (row) => row.connection ?? {};
const loss = (row) => (c(row).packetsSent ? 100 * c(row).packetsLost / c(row).packetsSent : -1);
const milliseconds = (n) => `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ms`;

const columns = [
  { name: 'name', title: 'Node', text: (row) => nodeName(row.name, row.id), width: 8.5 },
  { name: 'state', title: 'State', text: (row) => (c(row).silent ? 'silent' : row.state), width: 5.5, kind: 'state' },
  { name: 'services', title: 'Services', text: (row) => count(row.services), value: (row) => row.services, width: 5.5, kind: 'number wide' },
  { name: 'relays', title: 'Visitors', text: (row) => (row.connection ? count(c(row).relays) : ''), value: (row) => c(row).relays ?? -1, width: 5.5, kind: 'number' },
  { name: 'rtt', title: 'RTT', text: (row) => (row.connection ? milliseconds(c(row).rttMilliseconds) : ''), value: (row) => c(row).rttMilliseconds ?? -1, width: 5, kind: 'number wide' },
  { name: 'loss', title: 'Loss', text: (row) => (loss(row) < 0 ? '' : `${loss(row).toFixed(1)} %`), value: loss, width: 4.5, kind: 'number wide' },
  { name: 'since', title: 'Here for', text: (row) => ago(row.since), value: (row) => (row.since ? -Date.parse(row.since) : -Infinity), width: 7.5, kind: 'number wide' },
  { name: 'from', title: 'Address', text: (row) => row.from ?? '', width: 8.5, kind: 'wide' },
  { name: 'version', title: 'Version', text: (row) => (row.version ?? '').replace(/^apquic-node /, ''), width: 5, kind: 'wide' },
];

export const nodes = { name: 'nodes', title: 'Nodes', show };

function show(content) {
  let again = () => {};
  const table = new Table({ title: 'Nodes', columns, id: (row) => row.id, empty: 'There are no nodes yet: invite one.', open: (row) => showNode(row, () => again()) });
  const sum = el('span', { class: 'sum' });
  content.append(el('div', { class: 'bar' }, searchBox('Search nodes', table), sum,
    button('Invite', () => invite(), { class: 'main' }), button('Invitations', showInvitations), button('Allow', () => allowNode('', () => again()))), table.element);
  const look = async (signal) => {
    const rows = await get('nodes', {}, signal);
    table.update(rows);
    if (document.querySelector('dialog')) for (const row of rows) seen.dispatchEvent(new CustomEvent(row.id, { detail: row }));
    setText(sum, `${count(rows.filter((row) => row.state === 'online').length)} of ${count(rows.length)} online`);
  };
  let stop = poll(every, look);
  again = () => { stop(); stop = poll(every, look); };
  return () => { stop(); table.end(); };
}
