// The frame of the page: who is logged in, which view is shown, its keys and its colours.

import * as api from './api.js';
import { explain, form, sheet } from './dialog.js';
import { button, choice, el, facts, field } from './dom.js';
import { nodeName } from './format.js';
import * as polling from './poll.js';
import * as programs from './views/views.js';

const content = document.getElementById('content');
const bar = document.getElementById('views');
const trouble = document.getElementById('trouble');
let views = []; // of the program that answers
let endView = () => {};

/** showView shows the view that the address names. */
function showView() {
  if (bar.hidden) return;
  const name = location.hash.slice(1);
  const view = views.find((v) => v.name === name) ?? views[0];
  endView();
  endView = () => {};
  for (const link of bar.querySelectorAll('a')) {
    if (link.hash === `#${view.name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${view.title} – apquic`;
  const heading = el('h1', { tabindex: '-1' }, view.title);
  content.replaceChildren(heading);
  endView = view.show(content) ?? endView;
  if (document.activeElement === document.body || bar.contains(document.activeElement)) heading.focus({ preventScroll: true });
}

function enter(status) {
  const isNode = status.version?.startsWith('apquic-node ');
  views = isNode ? programs.node : programs.server;
  bar.replaceChildren(el('ul', {}, ...views.map((view) => el('li', {}, el('a', { href: `#${view.name}` }, view.title)))));
  bar.hidden = false;
  document.getElementById('logout').hidden = false;
  document.getElementById('where').textContent = isNode ? `${nodeName(status.name, status.id)} at ${status.address}` : status.address ?? '';
  showView();
}

function leave() {
  endView();
  endView = () => {};
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  bar.hidden = true;
  trouble.hidden = true;
  document.getElementById('logout').hidden = true;
  document.getElementById('where').textContent = '';
}

/** tellEnd shows why there is nothing more to see: the program has stopped. */
function tellEnd({ detail }) {
  api.logOut();
  leave();
  document.title = `${detail.title} – apquic`;
  content.replaceChildren(el('section', { class: 'login' }, el('h1', {}, detail.title), el('p', { role: 'alert' }, detail.text)));
}

/** askToken shows the form that takes the token. */
function askToken(why) {
  leave();
  document.title = 'Log in – apquic';
  const input = el('input', { type: 'password', name: 'token', autocomplete: 'current-password', spellcheck: 'false', required: true });
  const user = el('input', { type: 'text', name: 'username', autocomplete: 'username', value: 'apquic', hidden: true }); // for password managers
  content.replaceChildren(el('section', { class: 'login' }, el('h1', {}, 'Log in'),
    why ? el('p', { role: 'alert', class: 'wrong' }, why) : null,
    form('Log in', [user, field('Token', input, 'The command dashboard of the program prints a link with it. It is in the file admin_token in the data directory, or the one that --admin-token-file names.')],
      () => api.logIn(input.value).catch((error) => { input.select(); throw error; }), enter)));
  input.focus();
}

api.hooks.onLeave = (error) => askToken(explain(error));
polling.hooks.onTrouble = (error) => {
  const text = error ? `${explain(error)}. Trying again.` : '';
  if (trouble.textContent !== text) trouble.textContent = text;
  trouble.hidden = text === '';
};

const themes = [['', 'system'], ['light', 'light'], ['dark', 'dark']];

function useTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById('theme').textContent = `Theme: ${themes.find(([value]) => value === theme)?.[1] ?? 'system'}`;
  document.dispatchEvent(new Event('theme'));
}

function nextTheme() {
  const now = themes.findIndex(([value]) => value === document.documentElement.dataset.theme);
  const [value] = themes[(now + 1) % themes.length];
  localStorage.setItem('apquic-theme', value);
  useTheme(value);
}

/** onKey acts on single keys, which can be switched off: who speaks to a computer types them by mistake. */
function onKey(event) {
  const typing = event.target.closest?.('input, select, textarea, dialog');
  if (typing || bar.hidden || event.ctrlKey || event.altKey || event.metaKey || localStorage.getItem('apquic-keys') === 'off') return;
  const search = content.querySelector('.search');
  if (views[event.key - 1]) location.hash = views[event.key - 1].name;
  else if (event.key === '/' && search) search.focus();
  else if (event.key === '?') showKeys();
  else return;
  event.preventDefault();
}

function showKeys() {
  sheet('Keys', (body) => {
    const on = choice([['on', 'on'], ['off', 'off']], { on: { change() { localStorage.setItem('apquic-keys', on.value); } } });
    on.value = localStorage.getItem('apquic-keys') ?? 'on';
    body.append(facts([...views.map((view, i) => [String(i + 1), view.title]), ['/', 'Search'], ['?', 'These keys'], ['Esc', 'Close a dialog']]), field('Single keys are', on));
  });
}

function start() {
  document.getElementById('theme').addEventListener('click', nextTheme);
  document.getElementById('help').addEventListener('click', showKeys);
  document.getElementById('logout').addEventListener('click', () => { api.logOut(); askToken(); });
  document.getElementById('skip').addEventListener('click', (event) => { event.preventDefault(); content.focus(); });
  useTheme(localStorage.getItem('apquic-theme') ?? '');
  document.addEventListener('ended', tellEnd);
  addEventListener('hashchange', () => { if (!enterByLink()) showView(); });
  addEventListener('keydown', onKey);
  if (!enterByLink()) resume();
}

/** enterByLink logs in with the token in the address, if there is one, and takes it out of there. */
function enterByLink() {
  const [, token] = location.hash.match(/^#token=(.*)$/s) ?? [];
  if (token === undefined) return false;
  history.replaceState(null, '', location.pathname);
  logInBy(token);
  return true;
}

async function logInBy(token) {
  try {
    const status = await api.logIn(decodeURIComponent(token));
    leave();
    enter(status);
  } catch (error) {
    askToken(error instanceof api.Failure ? `The link does not log in. ${explain(error)}` : 'The link is damaged.');
  }
}

/** resume goes on with the token of this tab, or with the key of an admin that the browser has shown. */
async function resume() {
  if (!api.hasToken() && location.protocol !== 'https:') {
    askToken();
    return;
  }
  try {
    enter(await api.logIn(sessionStorage.getItem('apquic-token') ?? ''));
  } catch (error) {
    if (error.status === 0) content.replaceChildren(el('p', { role: 'alert' }, explain(error)), button('Try again', resume));
    else askToken(api.hasToken() ? explain(error) : '');
  }
}

start();
