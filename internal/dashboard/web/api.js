// The API of the program (docs/api.md), and the token that admits to it. The token is kept for this tab alone, in
// sessionStorage: unlike a cookie, no other program at another port of the same host gets it from the browser, and no
// web site can make the browser send it.

const path = 'api/v1/';
const key = 'apquic-token';
const longest = 45000; // milliseconds without a word: an answer takes at most 30 s, and a stream says something every 15 s
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

/** Patience ends a request of which nothing is heard for too long. */
class Patience {
  constructor(signal, most = longest) {
    this.most = most;
    this.late = new AbortController();
    this.signal = AbortSignal.any([this.late.signal, ending.signal, ...(signal ? [signal] : [])]);
    this.heard();
  }

  heard() {
    this.end();
    this.timer = setTimeout(() => this.late.abort(unanswered()), this.most);
  }

  end() {
    clearTimeout(this.timer);
  }
}

const unanswered = () => new Failure(0, 'the program does not answer', 'it may be stopped, or the connection to it is down');

/** failed is why there is no answer: somebody wants none any more, or what to show. */
const failed = (error) => (error.name === 'AbortError' || error instanceof Failure ? error : unanswered());

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

/** post changes something, which may take so many milliseconds. */
export function post(name, body = {}, within = longest) {
  return ask(name, { within, method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

async function ask(name, options) {
  const used = token; // another one may log in meanwhile
  try {
    return await send(name, options, used);
  } catch (error) {
    if (error instanceof Failure && error.status === 401 && used === token) {
      logOut();
      hooks.onLeave(error);
    }
    throw error;
  }
}

async function send(name, { signal, within, ...options }, as) {
  const patience = new Patience(signal, within);
  let response, text;
  try {
    response = await request(name, options, as, patience);
    text = await response.text();
  } catch (error) {
    throw failed(error);
  } finally {
    patience.end();
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(response.status, 'the answer is not JSON');
  }
}

/** request returns an answer that is good, of which the rest may come later. */
async function request(name, options, as, { signal }) {
  const headers = { ...options.headers, ...(as ? { Authorization: `Bearer ${as}` } : {}) };
  const response = await fetch(path + name, { ...options, headers, cache: 'no-store', signal });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Failure(response.status, body.error ?? `the program answers ${response.status}`, body.hint);
}

/**
 * follow reads the stream of events until the signal: those after the id last, or the last 1000 at first. begun is called
 * once the program answers. EventSource could not send the token.
 */
export async function follow(last, take, missed, signal, begun = () => {}) {
  const patience = new Patience(signal);
  try {
    const headers = last ? { 'Last-Event-ID': String(last) } : {};
    const response = await request('events', { method: 'GET', headers }, token, patience);
    begun();
    await read(response.body.pipeThrough(new TextDecoderStream()).getReader(), patience, take, missed);
  } catch (error) {
    throw failed(error);
  } finally {
    patience.end();
  }
}

/** read takes the events of a stream until that ends. */
async function read(reader, patience, take, missed) {
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    patience.heard();
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
