// Invitations: to make one, with its QR code, and those that can still be used.

import { get, post } from '../api.js';
import { explain, form, sheet, sure } from '../dialog.js';
import { button, choice, el, facts, field, say } from '../dom.js';
import { left, plural } from '../format.js';

const day = 86400;

/** invite asks what the invitation is to be, and shows it. */
export function invite() {
  sheet('Invite a node', (body, close) => {
    const name = el('input', { type: 'text', name: 'name', maxlength: 64, spellcheck: 'false', autocomplete: 'off' });
    const uses = el('input', { type: 'number', name: 'uses', min: 1, value: 1, required: true });
    const port = el('input', { type: 'number', name: 'port', min: 1, max: 65535 });
    const lasts = choice([[3600, 'one hour'], [day, 'one day'], [7 * day, 'seven days'], [30 * day, 'thirty days']], { name: 'seconds' });
    lasts.value = String(7 * day);
    const send = () => post('invite', {
      uses: Number(uses.value), seconds: Number(lasts.value), qr: true,
      ...(name.value.trim() ? { name: name.value.trim() } : {}), ...(port.value ? { port: Number(port.value) } : {}),
    });
    body.append(form('Invite', [
      field('Name of the node', name, 'Empty: the server chooses one.'), field('How many nodes it admits', uses), field('It lasts', lasts),
      field('Public port of the first service', port, 'Empty: any.'),
    ], send, (invited) => { close(); showInvitation(invited); }));
  });
}

/** showInvitation shows one with its secret, which cannot be shown again. */
function showInvitation(invited) {
  sheet(`Invitation for ${invited.name}`, (body) => {
    const text = el('textarea', { readonly: true, rows: 4, class: 'secret', 'aria-label': 'Invitation', spellcheck: 'false' });
    text.value = invited.invitation;
    const copy = button('Copy', async () => {
      text.select();
      try {
        await navigator.clipboard.writeText(invited.invitation);
        say('The invitation was copied');
      } catch {
        say('Press Ctrl and C to copy'); // without HTTPS, browsers refuse it except on this machine
      }
    }, { class: 'main' });
    body.append(el('p', {}, `On the node: apquic-node join '…'. It admits ${plural(invited.uses, 'node')} in the next ${left(invited.expires)}, and is shown only now.`),
      text, el('p', { class: 'actions' }, copy), el('img', { class: 'qr', src: invited.qr, alt: 'QR code of the invitation' }));
  });
}

/** showInvitations lists those that can still be used. */
export function showInvitations() {
  sheet('Open invitations', (body) => {
    const list = el('ul', { class: 'cards' }, el('li', {}, '…'));
    body.append(list);
    refresh(list);
  });
}

async function refresh(list) {
  try {
    const open = await get('invitation');
    list.replaceChildren(...open.map((invitation) => el('li', {},
      facts([['Name', invitation.name], ['Admits', plural(invitation.uses, 'node')], ['For', left(invitation.expires)], ['Port', invitation.port], ['Joined', invitation.joined]]),
      button('Withdraw', () => withdraw(invitation.name, list), { 'aria-label': `Withdraw ${invitation.name}`, class: 'danger' }))));
    if (open.length === 0) list.append(el('li', {}, 'There are none.'));
  } catch (error) {
    list.replaceChildren(el('li', { role: 'alert' }, explain(error)));
  }
}

function withdraw(name, list) {
  sure(`Withdraw the invitation ${name}?`, 'Nobody can join with it any more. Nodes that joined stay.', 'Withdraw', async () => {
    await post('withdraw', { name });
    say(`The invitation ${name} was withdrawn`);
    refresh(list);
  });
}
