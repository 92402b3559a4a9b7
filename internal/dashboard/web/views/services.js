// Services and what they have leased: ports and domains, and for how long they keep them.

import { get, post } from '../api.js';
import { form, sheet, sure } from '../dialog.js';
import { button, choice, el, facts, field, say, setText } from '../dom.js';
import { ago, bytes, count, left, nodeName, plural, publicAddress, rate, when } from '../format.js';
import { poll } from '../poll.js';
import { Rates } from '../rates.js';
import { searchBox, Table } from '../table.js';
import { showTotals } from './totals.js';

const every = 2000;
const longest = 60;
const owner = (s) => (s.node ? nodeName(s.name, s.node) : 'group');
const state = (s) => (s.unhealthy ? 'unhealthy' : s.state === 'online' && s.canary?.failing ? 'failing' : s.state);

/** health is how a service answers the canaries of the server; '': it is not asked. */
const health = (s) => (s.canary?.failing ? 'failing' : s.canary?.proved ? 'green' : '');
const proof = (s) => (s.canary?.proved ? `${health(s)}, ${ago(s.canary.proved)} ago` : s.canary ? health(s) || 'not yet asked' : '');

const columns = [
  { name: 'service', title: 'Service', text: (s) => s.service, width: 7 },
  { name: 'owner', title: 'Node', text: owner, width: 7, kind: 'wide' },
  { name: 'public', title: 'Public', text: publicAddress, width: 7 },
  { name: 'state', title: 'State', text: state, width: 5.5, kind: 'state' },
  { name: 'canary', title: 'Canary', text: proof, value: (s) => (s.canary ? -Date.parse(s.canary.proved ?? 0) : -Infinity), state: health, width: 9, kind: 'number wide' },
  { name: 'held', title: 'Kept for', text: (s) => left(s.heldUntil), value: (s) => (s.heldUntil ? Date.parse(s.heldUntil) : Infinity), width: 7.5, kind: 'number wide' },
  { name: 'visitors', title: 'Visitors', text: (s) => count(s.connections + (s.flows ?? 0)), value: (s) => s.connections + (s.flows ?? 0), width: 5.5, kind: 'number wide' },
  { name: 'rate', title: 'Now', text: (s) => (s.rate === null ? '' : rate(s.rate)), value: (s) => s.rate ?? -1, width: 6, kind: 'number wide' },
  { name: 'in', title: 'In', text: (s) => bytes(s.bytesIn), value: (s) => s.bytesIn, width: 6, kind: 'number wide' },
  { name: 'out', title: 'Out', text: (s) => bytes(s.bytesOut), value: (s) => s.bytesOut, width: 6, kind: 'number wide' },
];

const kinds = {
  all: () => true, port: (s) => s.port, domain: (s) => s.domain || s.hostname, private: (s) => s.private, held: (s) => s.heldUntil,
};

export const services = { name: 'services', title: 'Services', show };

const idOf = (s) => `${s.node ?? ''}/${s.service}/${s.port ?? ''}/${s.domain ?? ''}`;

function show(content) {
  let rows = [];
  const rates = new Rates(longest);
  const table = new Table({ title: 'Services', columns, id: idOf, empty: 'There are no services.', open: (s) => showService(s, () => again()) });
  const sum = el('span', { class: 'sum' });
  const kind = choice([['all', 'all'], ['port', 'ports'], ['domain', 'domains'], ['private', 'private'], ['held', 'kept while away']],
    { 'aria-label': 'Which services', on: { change: () => arrange() } });
  const arrange = () => table.update(rows.filter(kinds[kind.value]));
  content.append(el('div', { class: 'bar' }, searchBox('Search services', table), kind, sum), table.element);
  const look = async (signal) => {
    const status = await get('status', {}, signal);
    const now = performance.now() / 1000;
    rows = status.services;
    for (const s of rows) {
      const [received, sent] = rates.of(idOf(s), now, [s.bytesIn, s.bytesOut]);
      s.rate = received === null ? null : received + sent;
    }
    rates.turn();
    arrange();
    setText(sum, `${plural(rows.length, 'service')}, ${plural(status.used, 'port')}, ${plural(status.domains ?? 0, 'domain')}`);
  };
  let stop = poll(every, look);
  const again = () => { stop(); stop = poll(every, look); };
  const tick = setInterval(() => { if (!document.hidden) table.draw(); }, 1000); // the countdown, between two answers
  return () => { stop(); clearInterval(tick); table.end(); };
}

function showService(s, changed) {
  sheet(s.service, (body, close) => {
    body.append(facts([
      ['Node', s.node ? owner(s) : ''], ['Id', s.node], ['Public', publicAddress(s)], ['Name', s.hostname], ['State', state(s)], ['Upstream', s.origin],
      ['Here for', ago(s.since)], ['Kept until', s.pinned ? 'for good: it is pinned' : s.heldUntil ? `${when(s.heldUntil)}, ${left(s.heldUntil)}` : ''], ...canary(s), ['Connections', s.connections],
      ['UDP flows', s.flows], ['From visitors', bytes(s.bytesIn)], ['To visitors', bytes(s.bytesOut)],
    ]));
    if (s.members?.length) {
      body.append(el('h3', {}, 'Nodes of the group'), el('ul', {}, ...s.members.map((m) => el('li', {}, `${nodeName(m.name, m.node)}: ${m.service}, ${m.unhealthy ? 'unhealthy' : m.state}, ${plural(m.clients, 'visitor')}`))));
    }
    for (const [reason, n] of Object.entries(s.refused ?? {})) body.append(el('p', {}, `Refused by ${reason}: ${count(n)}`));
    const done = (text) => { close(); say(text); changed(); };
    const totals = () => (s.node ? showTotals(`${s.service} of ${owner(s)}`, { node: s.node, service: s.service }) : showTotals(`All that are called ${s.service}`, { service: s.service }));
    const actions = el('p', { class: 'actions' }, button('Totals', totals));
    if (s.port && s.node && !s.private) actions.append(s.pinned ? button('Unpin', () => unpin(s, done)) : button('Pin', () => pin(s, done)));
    if (!s.private && s.state !== 'online') actions.append(button('Release', () => release(s, done), { class: 'danger' }));
    body.append(actions);
  });
}

/** canary is what is known by asking the service. */
function canary({ canary: c }) {
  if (!c) return [];
  return [['Canary', c.failing ? `failing for ${ago(c.failingSince)}: ${c.failing}` : c.proved ? 'green' : 'not yet asked'], ['Last proof', c.proved ? `${when(c.proved)}, ${ago(c.proved)} ago` : 'none'],
    ['Answered', `${count(c.proofs)} of ${count(c.proofs + c.failures)}, every ${Math.round(c.everySeconds)} s`]];
}

function pin(s, done) {
  sheet(`Pin ${s.service}`, (body, close) => {
    const port = el('input', { type: 'number', name: 'port', min: 1, max: 65535, required: true, value: s.port });
    const send = () => post('pin', { node: s.node, service: s.service, port: Number(port.value) });
    body.append(form('Pin', [field('Port', port, 'It is this service’s for good. With another port, the node connects again to hear of it.')], send, (pinned) => {
      close();
      done(`${s.service} has the port ${pinned.port} for good`);
    }));
  });
}

function unpin(s, done) {
  sure(`Unpin ${s.service}?`, `It keeps the port ${s.port} as other services do: until its node has been away for too long.`, 'Unpin', async () => {
    await post('unpin', { node: s.node, service: s.service });
    done(`${s.service} has the port ${s.port} no longer for good`);
  });
}

function release(s, done) {
  const what = s.domain ? `the domain ${s.domain}` : `the port ${s.port}`;
  sure(`Release ${what}?`, `${owner(s)} loses ${what} of ${s.service}; another node may get it.`, 'Release', async () => {
    await post('release', s.domain ? { domain: s.domain } : { port: s.port });
    done(`${what} was released`);
  });
}
