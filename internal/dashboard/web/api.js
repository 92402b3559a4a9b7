// The API of the program (docs/api.md), and the token that admits to it. The token is kept for this tab alone, in
// sessionStorage: unlike a cookie, no other program at another port of the same host gets it from the browser, and no
// web site can make the browser send it.

const path = 'api/v1/';
const key = 'apquic-token';
let token = sessionStorage.getItem(key) ?? '';
let ending = new AbortController(); // ends all that runs for who is logged in

/** onLeave is called when the token no longer admits. */
export const hooks = { onLeave() {} };

/** Failure is an answer that says why not; status 0: there was none. */
export class Failure extends Error {
  constructor(status, text, hint = '') {
    super(text);
    this.status = status;
    this.hint = hint;
  }
}

export const hasToken = () => token !== '';

/** logIn tries a token; '' is for browsers that have shown the key of an admin. */
export async function logIn(given) {
  const text = given.trim();
  if (!/^[\x21-\x7e]*$/.test(text)) throw new Failure(401, 'the token is wrong', 'it has only letters, digits and signs of ASCII');
  ending = new AbortController();
  const answer = await send('status?services=false', { method: 'GET' }, text);
  token = text;
  if (text) sessionStorage.setItem(key, text);
  return answer;
}

/** logOut forgets the token, here and in this tab, and ends what runs. */
export function logOut() {
  token = '';
  sessionStorage.removeItem(key);
  ending.abort();
}

/** get asks for something; query has its parameters. */
export function get(name, query = {}, signal) {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '' && value !== undefined));
  return ask(`${name}${parameters.size ? `?${parameters}` : ''}`, { method: 'GET', signal });
}

/** post changes something. */
export function post(name, body = {}) {
  return ask(name, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

async function ask(name, options) {
  try {
    return await send(name, options, token);
  } catch (error) {
    if (error instanceof Failure && error.status === 401) {
      logOut();
      hooks.onLeave(error);
    }
    throw error;
  }
}

async function send(name, options, as) {
  const response = await request(name, options, as);
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(response.status, 'the answer is not JSON');
  }
}

/** request returns an answer that is good. */
async function request(name, { signal, ...options }, as) {
  const headers = { ...options.headers, ...(as ? { Authorization: `Bearer ${as}` } : {}) };
  const signals = [ending.signal, ...(signal ? [signal] : [])];
  let response;
  try {
    response = await fetch(path + name, { ...options, headers, cache: 'no-store', signal: AbortSignal.any(signals) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Failure(0, 'the program does not answer', 'it may be stopped, or the connection to it is down');
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Failure(response.status, body.error ?? `the program answers ${response.status}`, body.hint);
}

/**
 * follow reads the stream of events until the signal: those after the id last, or the last 1000 at first. EventSource
 * could not send the token.
 */
export async function follow(last, take, missed, signal) {
  const headers = last ? { 'Last-Event-ID': String(last) } : {};
  const response = await request('events', { method: 'GET', headers, signal }, token);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split('\n');
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n');
      if (data === '') continue;
      const kind = lines.find((line) => line.startsWith('event:'));
      if (kind?.slice(6).trim() === 'missed') missed(JSON.parse(data).missed);
      else take(JSON.parse(data));
    }
  }
}
