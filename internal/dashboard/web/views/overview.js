// What people ask first: is the server reached, who is here, how much goes through.

import { Answer } from '../answer.js';
import { get } from '../api.js';
import { Chart } from '../chart.js';
import { el, setText } from '../dom.js';
import { ago, bytes, count, plural, rate } from '../format.js';
import { poll } from '../poll.js';
import { Rates } from '../rates.js';

const every = 2000;
const longest = 15; // seconds between two points that belong together

export const overview = { name: 'overview', title: 'Overview', show };

function show(content) {
  const answers = ['Reachable', 'Connected', 'Through it'].map((title) => new Answer(title));
  const traffic = new Chart('Traffic', [{ title: 'to visitors', kind: 'out' }, { title: 'from visitors', kind: 'in', dash: [6, 3] }], rate);
  const connections = new Chart('Connections', [{ title: 'open', kind: 'open' }, { title: 'refused per minute', kind: 'refused', dash: [2, 3] }], (n) => count(Math.round(n)));
  const details = el('p', { class: 'details' });
  content.append(el('div', { class: 'answers' }, ...answers.map((a) => a.element)), el('div', { class: 'charts' }, traffic.element, connections.element), details);
  const rates = new Rates(longest);
  const stop = poll(every, async (signal) => {
    const status = await get('status', { services: false }, signal);
    const c = status.counters ?? { connections: 0, bytesIn: 0, bytesOut: 0, refused: 0 };
    const now = performance.now() / 1000;
    const [received, sent, refused] = rates.of('', now, [c.bytesIn, c.bytesOut, c.refused]);
    reachable(answers[0], status);
    answers[1].tell(status.online > 0 ? 'good' : 'unknown', `${count(status.online)} of ${plural(status.nodes, 'node')}`, ports(status));
    answers[2].tell('', received === null ? '…' : `${rate(sent)} out, ${rate(received)} in`,
      `${plural(status.connections, 'connection')} and ${plural(status.flows, 'UDP flow')} now`);
    const seconds = Date.now() / 1000;
    traffic.add(seconds, [sent, received]);
    connections.add(seconds, [status.connections, refused === null ? null : refused * 60]);
    setText(details, `Since the start ${ago(status.since)} ago: ${plural(c.connections, 'connection')}, ${bytes(c.bytesIn)} in, ${bytes(c.bytesOut)} out, ${count(c.refused)} refused. ${status.version ?? ''}`);
  });
  return () => { stop(); traffic.end(); connections.end(); };
}

/** reachable says what the server can know of that: whether nodes have come from other networks. */
function reachable(answer, status) {
  if (!status.running) answer.tell('bad', 'No', 'the server does not run');
  else if (status.outside > 0) answer.tell('good', 'Yes', `${plural(status.outside, 'node')} from the internet, the newest for ${ago(status.lastOutside)}`);
  else if (status.online > 0) answer.tell('good', 'In this network', 'no node has come from the internet so far');
  else answer.tell('unknown', 'Not known', `no node is here; they come to ${status.address ?? 'the server'}`);
}

function ports(status) {
  const used = status.ports ? `${count(status.used)} of ${plural(status.ports, 'port')}` : plural(status.used, 'port');
  return `${used} in use${status.domains ? `, ${plural(status.domains, 'domain')}` : ''}`;
}
