// The services of a node: where visitors reach them, and whether they answer.

import { sheet } from '../../dialog.js';
import { el, facts } from '../../dom.js';
import { count } from '../../format.js';
import { Table } from '../../table.js';

const bare = (address) => (address ?? '').replace(/^tcp:\/\//, '');
const isPrivate = (s) => (s.public ?? '').startsWith('private:');
const publicOf = (s) => (isPrivate(s) ? 'private' : [bare(s.public), s.name].filter(Boolean).join(' and '));

function state(s) {
  if (s.unhealthy) return 'unhealthy';
  if (!s.answers) return 'no answer';
  return s.origin.startsWith('udp:') ? 'not asked' : 'answers';
}

const columns = [
  { name: 'service', title: 'Service', text: (s) => s.service, width: 5.5 },
  { name: 'public', title: 'Public', text: (s) => publicOf(s) || `none: ${s.refusal || 'not yet'}`, width: 9.5 },
  { name: 'origin', title: 'Upstream', text: (s) => bare(s.origin), width: 9, kind: 'wide' },
  { name: 'state', title: 'State', text: state, width: 5, kind: 'state' },
  { name: 'open', title: 'Visitors', text: (s) => count(s.connections), value: (s) => s.connections, width: 5, kind: 'number wide' },
];

/** serviceTable is a table of services. */
export const serviceTable = () => new Table({ title: 'Services', columns, id: (s) => s.service, empty: 'There are no services.', open: showService });

function showService(s) {
  sheet(s.service, (body) => {
    body.append(facts([
      ['Public', isPrivate(s) ? `private: apquic-node connect ${s.public.slice('private:'.length)}` : s.public], ['Name', s.name], ['No address', s.public ? '' : s.refusal],
      ['Upstream', s.origin], ['State', state(s)], ['Why', s.trouble], ['Visitors now', s.connections],
    ]));
    for (const [by, reasons] of [['the node', s.refused], ['the server', s.refusedByServer]]) {
      for (const [reason, n] of Object.entries(reasons ?? {})) body.append(el('p', {}, `Refused by ${by}, ${reason}: ${count(n)}`));
    }
  });
}
