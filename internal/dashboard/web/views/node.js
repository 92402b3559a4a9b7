// One node: what it is, what the rules say about it, and what can be done.

import { get, post } from '../api.js';
import { explain, sheet, sure } from '../dialog.js';
import { button, el, facts, say } from '../dom.js';
import { ago, bytes, count, nodeName, plural, publicAddress, when } from '../format.js';
import { allowNode } from './allow.js';
import { limitNode } from './limit.js';
import { month } from './month.js';
import { showTotals } from './totals.js';

/** A node in the list has changed: what is shown about it follows. */
export const seen = new EventTarget();

/** showNode shows a row of the list of nodes, and what becomes of it. changed is called after an action. */
export function showNode(first, changed) {
  let row = first;
  const name = nodeName(row.name, row.id);
  sheet(name, (body, close) => {
    const actions = el('p', { class: 'actions' });
    const done = (text) => { close(); say(text); changed(); };
    const kickIt = button('Kick', () => kick(row, name, done));
    const allowIt = button('Allow', () => { close(); allowNode(row.id, changed, row.name); });
    const revokeIt = button('Revoke', () => revoke(row, name, done), { class: 'danger' });
    actions.append(button('Totals', () => showTotals(name, { node: row.id })), kickIt, allowIt, revokeIt);
    const facing = el('div');
    const fill = () => {
      facing.replaceChildren(facts(about(row)));
      kickIt.hidden = row.state !== 'online';
      allowIt.hidden = row.state !== 'revoked' && row.known;
      revokeIt.hidden = row.state === 'revoked';
    };
    fill();
    const rules = el('section', {}, el('h3', {}, 'What it may have'), el('p', {}, '…'));
    body.append(facing, actions, rules);
    const ending = new AbortController();
    const look = () => get('explain', { node: row.id }, ending.signal).then((explained) => {
      const limitIt = button('Limit', () => limitNode(row.id, name, explained.limits, look));
      rules.replaceChildren(...allowed(explained), el('p', { class: 'actions' }, limitIt));
    }, (error) => {
      if (error.name !== 'AbortError') rules.lastChild.textContent = explain(error);
    });
    look();
    seen.addEventListener(row.id, (event) => { row = event.detail; fill(); }, { signal: ending.signal });
    return () => ending.abort();
  });
}

function about(row) {
  const c = row.connection;
  const all = [
    ['Id', row.id], ['State', c?.silent ? `${row.state}, does not answer at the moment` : row.state],
    ['Allowed', row.known ? 'by authorized_nodes' : 'only since the server is open'], ['Joined', when(row.joined)],
    ['Here for', ago(row.since)], ['Version', row.version], ['Services', row.services],
  ];
  if (!c) return all;
  return [...all, ['Address', c.address],
    ['Round trip', `${c.rttMilliseconds.toFixed(1)} ms, at least ${c.minRTTMilliseconds.toFixed(1)} ms`],
    ['Lost', `${count(c.packetsLost)} of ${plural(c.packetsSent, 'packet')}`],
    ['Bytes', `${bytes(c.bytesSent)} to it, ${bytes(c.bytesReceived)} from it`], ['Visitors', c.relays], ['Carries UDP', c.datagrams ? 'yes' : 'no'],
    ['Moved', c.moves ? `${plural(c.moves, 'time')}, last ${ago(c.moved)} ago` : 'never'], ['Came back', plural(c.returns, 'time')],
    ['More connections', c.lanes], ['Memory', bytes(c.memory)], ['Keepalive', c.keepaliveSeconds ? `every ${Math.round(c.keepaliveSeconds)} s` : '']];
}

/** allowed is what the rules say. */
function allowed(explained) {
  const rows = explained.limits.map((l) => el('tr', {}, el('th', { scope: 'row' }, l.limit), el('td', {}, l.value), el('td', {}, l.rule ?? 'the settings')));
  const table = el('table', { class: 'small' }, el('caption', { class: 'hidden' }, 'Limits'),
    el('thead', {}, el('tr', {}, ...['Limit', 'Value', 'Rule'].map((title) => el('th', { scope: 'col' }, title)))), el('tbody', {}, ...rows));
  const services = explained.services.map((s) => el('li', {}, `${s.service}: ${publicAddress(s)}${s.refused ? `, refused: ${s.refused}${s.rule ? ` (rule ${s.rule})` : ''}` : ''}`));
  return [el('h3', {}, 'What it may have'), el('p', {}, explained.rules.length ? `Rules that name it: ${explained.rules.join(', ')}.` : 'No rule names it.'), table, month(explained),
    ...(services.length ? [el('h3', {}, 'Services'), el('ul', {}, ...services)] : [])];
}

function kick(row, name, done) {
  sure(`Kick ${name}?`, `Its session and the ${plural(row.connection?.relays ?? 0, 'connection')} of its visitors end. It may come back at once.`, 'Kick', async () => {
    const kicked = await post('kick', { node: row.id });
    done(`${name} was kicked: ${plural(kicked.connections, 'connection')} ended`);
  });
}

function revoke(row, name, done) {
  sure(`Revoke ${name}?`, 'Its session ends at once and it cannot come back. Its ports stay reserved for 30 days. Only “Allow” admits it again.', 'Revoke', async () => {
    const revoked = await post('revoke', { node: row.id });
    const still = revoked.invitation ? `. The invitation ${revoked.invitation}, by which it joined, still admits others` : '';
    done(`${name} was revoked: ${plural(revoked.connections, 'connection')} ended${still}`);
  });
}

