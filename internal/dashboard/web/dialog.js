// Dialogs: something to read, a question, a form. The browser keeps the focus inside, ends them with Escape, and then
// gives the focus back.

import { Failure } from './api.js';
import { button, el } from './dom.js';

let number = 0;

/** sheet shows a dialog. fill gets its body and a function that closes it, and may return what is to be done then. */
export function sheet(title, fill, kind = '') {
  const id = `dialog-${++number}`;
  const body = el('div', { class: 'body' });
  const dialog = el('dialog', { 'aria-labelledby': id, class: kind },
    el('div', { class: 'top' }, el('h2', { id }, title), button('Close', () => dialog.close(), { class: 'quiet close' })), body);
  const close = () => dialog.close();
  const ended = fill(body, close);
  const before = document.activeElement;
  dialog.addEventListener('close', () => {
    dialog.remove();
    ended?.();
    if (before?.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return close;
}

/** sure asks before something is done that others notice. act may fail: that is shown where the question was. more is below it. */
export function sure(title, text, verb, act, ...more) {
  sheet(title, (body, close) => {
    const wrong = el('p', { role: 'alert', class: 'wrong', hidden: true });
    const cancel = button('Cancel', close, { class: 'cancel' });
    const yes = button(verb, () => attempt(yes, wrong, act, close), { class: 'danger' });
    body.append(el('p', {}, text), ...more, wrong, el('p', { class: 'actions' }, cancel, yes));
    queueMicrotask(() => cancel.focus()); // Enter must not do it by accident
  }, 'question');
}

/** form is one whose submission is act; after that, then gets the answer. */
export function form(verb, fields, act, then) {
  const wrong = el('p', { role: 'alert', class: 'wrong', hidden: true });
  const send = el('button', { type: 'submit', class: 'main' }, verb);
  return el('form', {
    on: {
      submit(event) {
        event.preventDefault();
        attempt(send, wrong, act, then);
      },
    },
  }, ...fields, wrong, el('p', { class: 'actions' }, send));
}

/** attempt does something once at a time, and shows why it failed. */
async function attempt(by, wrong, act, then) {
  if (by.disabled) return;
  by.disabled = true;
  wrong.hidden = true;
  try {
    const answer = await act();
    then(answer);
  } catch (error) {
    if (!(error instanceof Failure)) console.error(error);
    wrong.textContent = explain(error);
    wrong.hidden = false;
  } finally {
    by.disabled = false;
  }
}

/** explain is what is wrong and what to do, as one text. */
export const explain = (error) => (error.hint ? `${error.message}: ${error.hint}` : error.message);
