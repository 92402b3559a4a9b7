// Charts, by uPlot, of the last minutes unless a subclass has others. What a chart shows last is also there as text.

import { el, setText } from './dom.js';
import { clock } from './format.js';

/* global uPlot */

const points = 300;
const height = 160;

/** Chart draws some series over time. series are {title, kind: a class with its colour}; format writes a value. */
export class Chart {
  constructor(title, series, format, when = 'of the last minutes') {
    this.format = format;
    this.series = series;
    this.values = series.map((s) => el('span', {}, '–'));
    this.labels = series.map((s, i) => el('span', { class: `label ${s.kind}` }, el('i', { 'aria-hidden': 'true' }), `${s.title} `, this.values[i]));
    this.box = el('div', { class: 'plot', role: 'img', 'aria-label': `Chart: ${title} ${when}` });
    this.element = el('figure', {}, el('figcaption', {}, el('strong', {}, title), ...this.labels), this.box);
    this.data = [[], ...series.map(() => [])];
    this.resized = new ResizeObserver(([entry]) => this.resize(Math.floor(entry.contentRect.width)));
    this.resized.observe(this.box);
    this.recolour = () => this.plot?.redraw(false);
    document.addEventListener('theme', this.recolour);
    this.dark = matchMedia('(prefers-color-scheme: dark)');
    this.dark.addEventListener('change', this.recolour);
  }

  /** add adds a value of each series; null: it is not known. */
  add(seconds, values) {
    const all = [seconds, ...values];
    this.data.forEach((list, i) => {
      list.push(all[i]);
      if (list.length > points) list.shift();
    });
    this.plot?.setData(this.data);
    this.tell(null);
  }

  /** tell writes the values at the cursor, or the last ones. */
  tell(index) {
    this.values.forEach((value, i) => {
      const at = this.data[i + 1][index ?? this.data[0].length - 1];
      setText(value, at === null || at === undefined ? '–' : this.format(at));
    });
  }

  resize(width) {
    if (width < 50) return;
    if (this.plot) this.plot.setSize({ width, height });
    else this.make(width);
  }

  make(width) {
    const colour = (element) => () => getComputedStyle(element).color;
    const text = colour(this.element);
    const axis = { stroke: text, grid: { stroke: colour(this.box), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const options = {
      width, height,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
      scales: { y: { range: (u, low, high) => [0, Math.max(high ?? 0, 1) * 1.1] } },
      axes: [{ ...axis, space: 90, values: (u, ticks) => ticks.map((tick) => clock(tick * 1000)) }, { ...axis, size: 76, values: (u, ticks) => ticks.map((tick) => this.format(tick)) }],
      series: [{}, ...this.series.map((s, i) => ({ label: s.title, stroke: colour(this.labels[i].firstChild), width: 2, dash: s.dash, points: { show: false } }))],
      hooks: { setCursor: [(u) => this.tell(u.cursor.idx)] },
    };
    this.adapt(options);
    this.plot = new uPlot(options, this.drawn(), this.box);
  }

  /** adapt changes how it looks, and drawn is what uPlot gets; both are for subclasses. */
  adapt() {}

  drawn() {
    return this.data;
  }

  end() {
    this.resized.disconnect();
    document.removeEventListener('theme', this.recolour);
    this.dark.removeEventListener('change', this.recolour);
    this.plot?.destroy();
  }
}
