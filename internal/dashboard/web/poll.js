// Asking again and again, only while somebody can see the answer.

import { Failure } from './api.js';

const slowest = 30000; // milliseconds between two tries while the program does not answer
const share = 20; // the page works at most one part in so many on answers, and so the program on questions

/** onTrouble is called with what is wrong, and with null once it is over. */
export const hooks = { onTrouble() {} };

/** poll calls once, with a signal, at most every so many milliseconds while the page is visible. It returns what ends that. */
export function poll(every, once) {
  const end = new AbortController();
  run(every, once, end.signal);
  return () => end.abort();
}

async function run(every, once, signal) {
  let wait = every;
  while (!signal.aborted) {
    await visible(signal);
    if (signal.aborted) return;
    const began = performance.now();
    try {
      await once(signal);
      wait = Math.max(every, share * (performance.now() - began));
      wait = Math.min(wait, slowest);
      if (!signal.aborted) hooks.onTrouble(null);
    } catch (error) {
      if (signal.aborted || error.name === 'AbortError') return;
      if (!(error instanceof Failure)) console.error(error);
      if (error.status === 401) return;
      hooks.onTrouble(error);
      wait = Math.min(2 * Math.max(wait, 1000), slowest);
    }
    await pause(wait, signal);
  }
}

/** visible waits until the page is. */
export function visible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    const check = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', check);
      signal.removeEventListener('abort', check);
      done();
    };
    document.addEventListener('visibilitychange', check);
    signal.addEventListener('abort', check);
  });
}

/** pause waits so many milliseconds, or until the signal. */
export function pause(milliseconds, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
  });
}
