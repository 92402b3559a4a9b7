// The node gives up what the server leased to it, and stops.

import { Failure, post } from '../../api.js';
import { sure } from '../../dialog.js';
import { el } from '../../dom.js';

const longest = 30000; // milliseconds: the node asks the server for 10 s

/** leaveServer asks first: the addresses of the node may become those of others. */
export function leaveServer() {
  const anyway = el('input', { type: 'checkbox', name: 'anyway' });
  sure('Leave the server?', 'The server gives the ports and domains of this node to others. The node forgets the server, lets visitors finish, and stops.', 'Leave', () => leave(anyway.checked),
    el('label', { class: 'check' }, anyway, 'Even if the server cannot be told, which then keeps them for a while'));
}

async function leave(anyway) {
  const left = await post(anyway ? 'leave?force=true' : 'leave', {}, longest);
  if (left.error) throw new Failure(422, left.error, 'try again when the server can be reached, or leave it even so');
  const told = left.released ? `${left.server} has released the ports and domains of this node, except what its operator pinned.` : `${left.server} could not be told, and keeps the ports and domains of this node for a while.`;
  const named = left.named ? ' Its settings still name the server: remove it there, or the node comes back when it is started again.' : '';
  document.dispatchEvent(new CustomEvent('ended', { detail: { title: 'The node has left', text: `${told} The node stops when its visitors have finished.${named}` } }));
}
