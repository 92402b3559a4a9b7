// What was refused and why, and how much is left of what all share.

import { get } from '../api.js';
import { el, setText } from '../dom.js';
import { bytes, count, plural } from '../format.js';
import { poll } from '../poll.js';
import { reloading } from '../reloading.js';
import { Table } from '../table.js';

const every = 2000;

const budgets = [['memory', 'Memory', bytes], ['clients', 'Connections and sockets', count], ['flows', 'UDP flows', count], ['files', 'Open files', count]];

const columns = [
  { name: 'reason', title: 'Reason', text: (r) => r.reason, width: 7.5 },
  { name: 'where', title: 'What', text: (r) => r.where, width: 7 },
  { name: 'number', title: 'Number', text: (r) => count(r.number), value: (r) => r.number, width: 5, kind: 'number' },
];

export const limits = { name: 'limits', title: 'Limits', show };

function show(content) {
  const meters = budgets.map(([name, title, format]) => new Meter(name, title, format));
  const table = new Table({ title: 'Refusals since the start', columns, id: (r) => `${r.where} ${r.reason}`, empty: 'Nothing was refused.', sort: { column: 'number', down: true } });
  const sum = el('p', {});
  content.append(el('section', {}, el('h2', {}, 'Budgets'), el('div', { class: 'meters' }, ...meters.map((m) => m.element))),
    el('section', {}, el('h2', {}, 'Refusals'), sum, table.element),
    el('section', {}, el('h2', {}, 'Settings'), reloading()));
  const stop = poll(every, async (signal) => {
    const status = await get('status', {}, signal);
    for (const meter of meters) meter.tell(status.budgets?.[meter.name]);
    table.update(refusals(status));
    const c = status.counters ?? {};
    setText(sum, `${plural(c.refused ?? 0, 'connection')} of ${count((c.refused ?? 0) + (c.connections ?? 0))} refused since the start, ${count(c.stalled ?? 0)} reset for lack of memory.`);
  });
  return () => { stop(); table.end(); };
}

/** refusals are rows of all that the server counts by reason. */
function refusals(status) {
  const rows = [];
  const add = (where, reasons) => {
    for (const [reason, number] of Object.entries(reasons ?? {})) rows.push({ where, reason, number });
  };
  add('connections', status.counters?.refusedBy);
  add('datagrams', status.counters?.datagramsDropped);
  for (const [name, reasons] of Object.entries(status.logins ?? {})) add(`login at ${name}`, reasons);
  for (const s of status.services) add(`service ${s.service}${s.name ? ` of ${s.name}` : ''}`, s.refused);
  return rows;
}

/** Meter is how much of a budget is used. */
class Meter {
  constructor(name, title, format) {
    Object.assign(this, { name, format });
    this.bar = el('meter', { min: 0, max: 1, low: 0.7, high: 0.9, optimum: 0, 'aria-label': title });
    this.text = el('span', {}, '…');
    this.element = el('div', { class: 'meter' }, el('strong', {}, title), this.bar, this.text);
  }

  tell(usage) {
    if (!usage) return;
    this.bar.value = usage.used / Math.max(usage.limit, 1);
    setText(this.text, `${this.format(usage.used)} of ${this.format(usage.limit)}`);
  }
}
