// What has passed on each of the last days, also before the server was restarted: all of it, and that of each node.

import { get } from '../api.js';
import { Days } from '../days.js';
import { sheet } from '../dialog.js';
import { choice, el, setText } from '../dom.js';
import { bytes, count, nodeName, plural } from '../format.js';
import { poll } from '../poll.js';
import { searchBox, Table } from '../table.js';
import { month } from './month.js';

const every = 10000; // the sums are of all days
const who = (row) => (row.group ? 'groups' : nodeName(row.name, row.node));

const columns = [
  { name: 'node', title: 'Node', text: who, width: 8.5 },
  { name: 'service', title: 'Service', text: (r) => (r.others ? 'others' : r.service ?? 'all'), width: 6 },
  { name: 'bytes', title: 'Bytes', text: (r) => bytes(r.bytesIn + r.bytesOut), value: (r) => r.bytesIn + r.bytesOut, width: 5.5, kind: 'number' },
  { name: 'in', title: 'In', text: (r) => bytes(r.bytesIn), value: (r) => r.bytesIn, width: 6, kind: 'number wide' },
  { name: 'out', title: 'Out', text: (r) => bytes(r.bytesOut), value: (r) => r.bytesOut, width: 6, kind: 'number wide' },
  { name: 'connections', title: 'Connections', text: (r) => count(r.connections), value: (r) => r.connections, width: 7.5, kind: 'number wide' },
  { name: 'flows', title: 'Flows', text: (r) => count(r.flows), value: (r) => r.flows, width: 5.5, kind: 'number wide' },
  { name: 'refused', title: 'Refused', text: (r) => count(r.refused), value: (r) => r.refused, width: 5.5, kind: 'number wide' },
];

export const totals = { name: 'totals', title: 'Totals', show };

function show(content) {
  const days = new Days();
  const table = new Table({ title: 'Totals of these days', columns, id: (r) => `${r.node ?? ''}/${r.service ?? ''}`, empty: 'Nothing has passed on these days.', open: openRow, sort: { column: 'bytes', down: true } });
  const sum = el('span', { class: 'sum' });
  const by = choice([['node', 'by node'], ['node,service', 'by service']], { 'aria-label': 'What is told apart', on: { change: () => again() } });
  content.append(days.element, el('div', { class: 'bar' }, searchBox('Search totals', table), by, sum), table.element);
  const look = async (signal) => {
    await days.look(signal);
    const { total, rows } = await get('totals', { by: by.value }, signal);
    table.update(rows);
    setText(sum, total > rows.length ? `the first ${count(rows.length)} of ${plural(total, 'row')}` : plural(total, 'row'));
  };
  let stop = poll(every, look);
  const again = () => { stop(); stop = poll(every, look); };
  return () => { stop(); days.end(); table.end(); };
}

function openRow(row) {
  if (!row.group) showTotals(row.service ? `${row.service} of ${who(row)}` : who(row), { node: row.node, service: row.service });
  else if (row.service) showTotals(`All that are called ${row.service}`, { service: row.service });
}

/** showTotals shows those of a node, of a service of a node, or of all services with a name. */
export function showTotals(title, which) {
  sheet(title, (body) => {
    const days = new Days(which);
    const used = el('div');
    body.append(used, days.element);
    const stop = poll(every, async (signal) => {
      if (which.node) used.replaceChildren(month(await get('explain', { node: which.node }, signal)));
      await days.look(signal);
    });
    return () => { stop(); days.end(); };
  });
}
