// Visitors of a node who were refused, and datagrams that went nowhere, by reason.

import { get } from '../../api.js';
import { count } from '../../format.js';
import { poll } from '../../poll.js';
import { Table } from '../../table.js';

const every = 10000; // the node asks the server then

const columns = [
  { name: 'reason', title: 'Reason', text: (r) => r.reason, width: 7 },
  { name: 'where', title: 'What', text: (r) => r.where, width: 8 },
  { name: 'by', title: 'By', text: (r) => r.by, width: 6, kind: 'wide' },
  { name: 'number', title: 'Number', text: (r) => count(r.number), value: (r) => r.number, width: 5, kind: 'number' },
];

export const refusals = { name: 'refusals', title: 'Refusals', show };

function show(content) {
  const table = new Table({ title: 'Refusals since the start', columns, id: (r) => `${r.where} ${r.by} ${r.reason}`, empty: 'Nobody was refused.', sort: { column: 'number', down: true } });
  content.append(table.element);
  const stop = poll(every, async (signal) => table.update(rowsOf(await get('status', {}, signal))));
  return () => { stop(); table.end(); };
}

function rowsOf(status) {
  const rows = [];
  const add = (where, by, reasons) => {
    for (const [reason, number] of Object.entries(reasons ?? {})) rows.push({ where, by, reason, number });
  };
  for (const s of status.services) {
    add(s.service, 'the node', s.refused);
    add(s.service, 'the server', s.refusedByServer);
  }
  add('datagrams', 'the node', status.datagramsDropped);
  return rows;
}
