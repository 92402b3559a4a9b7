// A table of thousands of rows that is sorted and searched: only the rows in sight are elements. Those that stay in
// sight stay the same elements, so that the focus and a screen reader's place survive an update.

import { button, el, setText } from './dom.js';

const around = 10; // rows more than in sight, above and below
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

export class Table {
  /**
   * columns are {name, title, text(row), value(row) to sort by, state(row) for its colour, width in em, kind: number, wide
   * (not on a phone)}; the first is the head of its row. id(row) tells rows apart. open(row), if any, is called when its
   * head is pressed.
   */
  constructor({ title, columns, id, open, empty, sort }) {
    Object.assign(this, { title, columns, id, open, empty, words: '', rows: [], shown: [], parts: new Map() });
    this.sort = sort ?? { column: columns[0], down: false };
    if (typeof this.sort.column === 'string') this.sort.column = columns.find((c) => c.name === this.sort.column);
    this.heads = columns.map((column) => this.head(column));
    this.above = el('tr', { class: 'space', 'aria-hidden': 'true' }, el('td', { colspan: columns.length }));
    this.below = this.above.cloneNode(true);
    this.body = el('tbody', {}, this.above, this.below);
    this.table = el('table', {}, el('caption', { class: 'hidden' }, title), el('thead', {}, el('tr', {}, ...this.heads)), this.body);
    this.none = el('p', { class: 'none', hidden: true });
    this.element = el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title }, this.table, this.none);
    this.element.addEventListener('scroll', () => this.later(), { passive: true });
    this.resized = new ResizeObserver(() => this.later());
    this.resized.observe(this.element);
    this.markSort();
  }

  head(column) {
    const head = el('th', { scope: 'col', class: classOf(column) }, button(column.title, () => this.sortBy(column), { title: `Sort by ${column.title}` }));
    if (column.width) head.style.width = `${column.width}em`;
    return head;
  }

  end() {
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }

  sortBy(column) {
    this.sort = { column, down: this.sort.column === column ? !this.sort.down : column.kind?.includes('number') ?? false };
    this.markSort();
    this.arrange();
  }

  markSort() {
    this.columns.forEach((column, i) => {
      if (column !== this.sort.column) this.heads[i].removeAttribute('aria-sort');
      else this.heads[i].setAttribute('aria-sort', this.sort.down ? 'descending' : 'ascending');
    });
  }

  /** search shows only rows that have all of these words. */
  search(text) {
    this.words = text;
    this.element.scrollTop = 0;
    this.arrange();
  }

  update(rows) {
    this.rows = rows;
    this.arrange();
  }

  /** arrange filters and sorts. */
  arrange() {
    const words = this.words.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (row) => {
      const text = this.columns.map((column) => column.text(row)).join('\n').toLowerCase() + this.id(row).toLowerCase();
      return words.every((word) => text.includes(word));
    };
    const { column, down } = this.sort;
    const value = column.value ?? column.text;
    const sign = down ? -1 : 1;
    const keyed = (words.length ? this.rows.filter(has) : this.rows).map((row) => [value(row), row]);
    keyed.sort(([a], [b]) => sign * (typeof a === 'number' && typeof b === 'number' ? a - b : order.compare(a, b)));
    this.shown = keyed.map(([, row]) => row);
    this.table.setAttribute('aria-rowcount', this.shown.length + 1);
    this.none.hidden = this.shown.length > 0;
    setText(this.none, words.length && this.rows.length ? `None of ${this.rows.length} has ${words.join(' and ')}.` : this.empty);
    this.draw();
  }

  /** later draws with the next frame. */
  later() {
    this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.draw(); });
  }

  /** draw makes elements of the rows in sight. */
  draw() {
    const height = this.rowHeight();
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.min(Math.floor(scrollTop / height) - around, this.shown.length));
    const last = Math.min(this.shown.length, first + Math.ceil(clientHeight / height) + 2 * around);
    this.above.firstChild.style.height = `${first * height}px`;
    this.below.firstChild.style.height = `${(this.shown.length - last) * height}px`;
    const focus = document.activeElement;
    const before = this.parts;
    this.parts = new Map();
    for (let i = first; i < last; i++) {
      const row = this.shown[i];
      const id = this.id(row);
      const part = before.get(id) ?? this.part();
      before.delete(id);
      this.parts.set(id, part);
      this.fill(part, row, i);
    }
    for (const part of before.values()) part.tr.remove();
    let at = this.above.nextSibling;
    for (const { tr } of this.parts.values()) {
      if (tr === at) at = at.nextSibling;
      else this.body.insertBefore(tr, at);
    }
    if (focus !== document.activeElement && this.body.contains(focus)) focus.focus({ preventScroll: true });
  }

  rowHeight() {
    const [first] = this.parts.values();
    const measured = first?.tr.offsetHeight;
    if (measured) this.height = measured;
    return this.height ?? 36;
  }

  part() {
    const part = { cells: [] };
    part.tr = el('tr', {}, ...this.columns.map((column, i) => {
      const cell = i === 0 ? el('th', { scope: 'row', class: classOf(column) }) : el('td', { class: classOf(column) });
      const inner = i === 0 && this.open ? button('', () => this.open(part.row), { class: 'row' }) : cell;
      if (inner !== cell) cell.append(inner);
      part.cells.push(inner);
      return cell;
    }));
    return part;
  }

  fill(part, row, i) {
    part.row = row;
    part.tr.setAttribute('aria-rowindex', i + 2);
    this.columns.forEach((column, c) => {
      const text = String(column.text(row));
      if (part.cells[c].textContent === text) return;
      part.cells[c].textContent = text;
      part.cells[c].title = text;
      if (column.name === 'state' || column.state) part.cells[c].dataset.state = column.state?.(row) ?? text;
    });
  }
}

const classOf = (column) => column.kind ?? null;

/** searchBox is an input that searches in a table; the key / leads to it. */
export function searchBox(label, table) {
  let timer;
  const input = el('input', {
    type: 'search', class: 'search', placeholder: label, 'aria-label': label, autocomplete: 'off', spellcheck: 'false',
    on: { input() { clearTimeout(timer); timer = setTimeout(() => table.search(input.value), 100); } },
  });
  return input;
}
