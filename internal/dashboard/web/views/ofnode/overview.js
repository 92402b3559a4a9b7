// What the owner of a node asks first: is it connected, how good is the path, who is here; and its services, whom they
// wait for. Here it also reads its settings again, and leaves its server.

import { Answer } from '../../answer.js';
import { get } from '../../api.js';
import { Chart } from '../../chart.js';
import { button, el, facts } from '../../dom.js';
import { ago, left, plural, rate } from '../../format.js';
import { poll } from '../../poll.js';
import { Rates } from '../../rates.js';
import { reloading } from '../../reloading.js';
import { searchBox } from '../../table.js';
import { leaveServer } from './leave.js';
import { serviceTable } from './services.js';

const every = 2000;
const askEvery = 10000; // the node dials its services then, and asks the server
const longest = 15; // seconds between two points that belong together
const milliseconds = (n) => `${n < 10 ? n.toFixed(1) : Math.round(n)} ms`;

export const overview = { name: 'overview', title: 'Overview', show };

function show(content) {
  const answers = ['Connected', 'Path', 'Visitors'].map((title) => new Answer(title));
  const traffic = new Chart('Traffic', [{ title: 'to the server', kind: 'out' }, { title: 'from the server', kind: 'in', dash: [6, 3] }], rate);
  const trip = new Chart('Round trip time', [{ title: 'to the server', kind: 'open' }], milliseconds);
  const services = serviceTable();
  const about = el('div', {});
  content.append(el('div', { class: 'answers' }, ...answers.map((a) => a.element)),
    el('section', {}, el('h2', {}, 'Services'), el('div', { class: 'bar' }, searchBox('Search services', services)), services.element),
    el('div', { class: 'charts' }, traffic.element, trip.element),
    el('section', {}, el('h2', {}, 'Node'), about),
    el('section', {}, el('h2', {}, 'Settings'), el('div', { class: 'bar' }, reloading(), button('Leave the server', leaveServer, { class: 'danger' }))));
  const rates = new Rates(longest);
  let shown = '';
  const stop = poll(every, async (signal) => {
    const status = await get('status', { services: false }, signal);
    const [sent, received] = rates.of('', performance.now() / 1000, [status.bytesSent, status.bytesReceived]);
    tell(answers, status, sent, received);
    traffic.add(Date.now() / 1000, [sent, received]);
    trip.add(Date.now() / 1000, [status.state === 'online' ? status.roundTripMilliseconds : null]);
    const pairs = factsOf(status);
    if (shown !== (shown = JSON.stringify(pairs))) about.replaceChildren(facts(pairs)); // else a selection in it would go
  });
  const ask = poll(askEvery, async (signal) => services.update((await get('status', {}, signal)).services));
  return () => { stop(); ask(); traffic.end(); trip.end(); services.end(); };
}

function tell([connected, path, visitors], status, sent, received) {
  const online = status.state === 'online';
  if (online) connected.tell('good', `For ${ago(status.since)}`, `to ${status.address}${status.name ? ` as ${status.name}` : ''}`);
  else connected.tell('bad', 'No', [status.trouble || `connecting to ${status.address}`, status.nextTry ? `next try in ${left(status.nextTry)}` : ''].filter(Boolean).join('; '));
  path.tell('', online ? milliseconds(status.roundTripMilliseconds ?? 0) : '–', online ? `at least ${milliseconds(status.minRTTMilliseconds ?? 0)}, ${status.lostPercent.toFixed(1)} % lost` : 'there is no connection');
  visitors.tell('', plural(status.relaysTotal, 'connection'), sent === null ? '…' : `${rate(sent)} to the server, ${rate(received)} from it`);
}

const factsOf = (status) => [
  ['Name', status.name], ['Id', status.id], ['Server', status.address], ['Id of the server', status.server], ['Reached at', status.remote],
  ['Keepalive', status.keepaliveSeconds ? `every ${Math.round(status.keepaliveSeconds)} s` : ''], ['Version', status.version],
];
