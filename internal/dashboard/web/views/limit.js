// To say what one node may have, before all rules.

import { post } from '../api.js';
import { form, sheet } from '../dialog.js';
import { choice, el, field, say } from '../dom.js';

/** limitNode asks for one limit of a node. limits are what holds now; changed is called when that is no longer so. */
export function limitNode(id, name, limits, changed) {
  sheet(`Limit ${name}`, (body, close) => {
    const value = el('input', { type: 'text', name: 'value', maxlength: 1024, spellcheck: 'false', autocomplete: 'off' });
    const which = choice(limits.map((l) => [l.limit, l.limit]), { name: 'limit', on: { change: () => fill() } });
    const fill = () => { value.value = limits.find((l) => l.limit === which.value)?.value ?? ''; };
    fill();
    const send = () => post('limit', { node: id, limits: { [which.value]: value.value.trim() } });
    body.append(form('Limit', [field('What', which), field('Value', value, 'As in a rule; nothing: what the rules and settings say.')], send, (now) => {
      close();
      const all = Object.entries(now.limits).map(([key, text]) => `${key} ${text}`);
      say(all.length ? `${name} has limits of its own: ${all.join(', ')}` : `${name} has what the rules and settings say`);
      changed();
    }));
  });
}
