// To admit a node by its id.

import { post } from '../api.js';
import { form, sheet } from '../dialog.js';
import { el, field, say } from '../dom.js';
import { nodeName } from '../format.js';

/** allowNode asks for the id of a node, unless it is known, and a name. */
export function allowNode(id, changed, name = '') {
  sheet('Allow a node', (body, close) => {
    const who = el('input', { type: 'text', name: 'id', required: true, value: id, spellcheck: 'false', autocomplete: 'off' });
    const called = el('input', { type: 'text', name: 'name', maxlength: 64, value: name, spellcheck: 'false', autocomplete: 'off' });
    const send = () => post('allow', { id: who.value.trim(), ...(called.value.trim() ? { name: called.value.trim() } : {}) });
    body.append(form('Allow', [field('Id', who, 'apquic-node id prints it.'), field('Name', called, 'Letters, digits and . _ -')], send, (node) => {
      close();
      say(`${nodeName(node.name, node.id)} may come`);
      changed();
    }));
  });
}
