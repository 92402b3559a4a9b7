// How many bytes of this month a node has used.

import { el } from '../dom.js';
import { bytes } from '../format.js';

/** month shows that, and of how many, from what the rules say about the node. */
export function month({ bytesThisMonth: used, maxMonthBytes: most, limits }) {
  const by = limits.find((l) => l.limit === 'maxMonthBytes')?.rule ?? 'the settings';
  return el('div', { class: 'month' }, el('strong', {}, 'This month'),
    most ? el('meter', { min: 0, max: 1, low: 0.7, high: 0.9, optimum: 0, value: Math.min(used / most, 1), 'aria-label': 'Bytes of this month' }) : null,
    el('span', {}, most ? `${bytes(used)} of ${bytes(most)}, by ${by}${used < most ? '' : ': all are used, so nobody is let in'}` : `${bytes(used)}, without a limit`));
}
