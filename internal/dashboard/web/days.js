// What has passed on each of the last days, as bars and as a table.

import { get } from './api.js';
import { Chart } from './chart.js';
import { el, setText } from './dom.js';
import { bytes, count } from './format.js';

/* global uPlot */

const shown = 30; // days
const day = 86400000; // milliseconds
const steps = Array.from({ length: 48 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)); // between the lines of a chart
const short = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** columns of the table, behind that of the day: their title, text and kind. */
const columns = [
  ['In', (d) => bytes(d.bytesIn), 'number'], ['Out', (d) => bytes(d.bytesOut), 'number'], ['Let in', (d) => count(d.connections), 'number'],
  ['Flows', (d) => count(d.flows), 'number wide'], ['Refused', (d) => count(d.refused), 'number wide'],
];

/** daysOf are all days of an answer, the oldest first, also those on which nothing passed. */
function daysOf({ from, to, rows }) {
  const found = new Map(rows.map((row) => [row.day, row]));
  const days = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += day) {
    const name = new Date(at).toISOString().slice(0, 10);
    days.push({ bytesIn: 0, bytesOut: 0, connections: 0, flows: 0, refused: 0, ...found.get(name), day: name });
  }
  return days;
}

/** Bars draws two series for each day, the second on top of the first. */
class Bars extends Chart {
  constructor(title, series, format) {
    super(title, series, format, 'of each day; the table has its numbers');
    this.title = title;
    this.names = [];
  }

  /** tell writes the values of a day, or of the last one, and which that is. */
  tell(index) {
    super.tell(index);
    setText(this.element.querySelector('strong'), `${this.title} on ${this.names[index ?? this.names.length - 1]}`);
  }

  /** update draws days; value returns both numbers of one. */
  update(days, value) {
    this.names = days.map((d) => short.format(new Date(d.day)));
    const values = days.map(value);
    this.data = [days.map((_, i) => i), values.map(([low]) => low), values.map(([, high]) => high)];
    this.plot?.setData(this.drawn());
    this.tell(null);
  }

  drawn() {
    const [x, low, high] = this.data;
    return [x, low.map((n, i) => n + high[i]), low];
  }

  adapt(options) {
    const [x, y] = options.axes;
    const [low, high] = options.series.slice(1).map((s) => ({ ...s, dash: undefined, width: 1.5, paths: uPlot.paths.bars({ size: [0.7, 40] }) }));
    options.scales.x = { time: false, range: (u, first, last) => [(first ?? 0) - 0.6, (last ?? 0) + 0.6] };
    Object.assign(x, { incrs: steps, space: 70, size: 32, values: (u, ticks) => ticks.map((tick) => this.names[tick] ?? '') });
    y.incrs = steps;
    options.series = [{}, high, { ...low, fill: low.stroke }];
  }
}

/** Days are the charts and the table of what is selected: {node, service}, both of which may be missing. */
export class Days {
  constructor(which = {}) {
    this.which = which;
    this.bytes = new Bars('Bytes', [{ title: 'to visitors', kind: 'out' }, { title: 'from visitors', kind: 'in' }], bytes);
    this.connections = new Bars('Connections', [{ title: 'let in', kind: 'open' }, { title: 'refused', kind: 'refused' }], count);
    this.sums = el('p', { class: 'details' }, '…');
    this.body = el('tbody');
    const heads = ['Day', ...columns.map(([title]) => title)].map((title, i) => el('th', { scope: 'col', class: columns[i - 1]?.[2] }, title));
    this.element = el('div', { class: 'days' }, this.sums, el('div', { class: 'charts' }, this.bytes.element, this.connections.element),
      el('details', {}, el('summary', {}, 'The days as a table'),
        el('table', { class: 'small' }, el('caption', { class: 'hidden' }, 'What has passed on each day, in UTC'), el('thead', {}, el('tr', {}, ...heads)), this.body)));
  }

  /** look asks for the last days, and for the rest of the month if that is longer. */
  async look(signal) {
    const ask = (from) => get('totals', { ...this.which, by: 'day', from }, signal);
    let answer = await ask();
    const first = `${answer.to.slice(0, 8)}01`;
    if (answer.from > first) answer = await ask(first);
    const all = daysOf(answer);
    const days = all.slice(-shown);
    this.bytes.update(days, (d) => [d.bytesOut, d.bytesIn]);
    this.connections.update(days, (d) => [d.connections, d.refused]);
    const sum = (some) => some.reduce((n, d) => n + d.bytesIn + d.bytesOut, 0);
    setText(this.sums, `Today ${bytes(sum(days.slice(-1)))}, this month ${bytes(sum(all.filter((d) => d.day >= first)))}, on the last ${days.length} days ${bytes(sum(days))}. Days are those of UTC.`);
    this.body.replaceChildren(...days.toReversed().map((d) => el('tr', {}, el('th', { scope: 'row' }, d.day),
      ...columns.map(([, text, kind]) => el('td', { class: kind }, text(d))))));
  }

  end() {
    this.bytes.end();
    this.connections.end();
  }
}
