// Numbers and times for people.

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** bytes writes an amount with three digits: 1.23 MB. */
export function bytes(n) {
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  const digits = unit === 0 || n >= 99.5 ? 0 : n >= 9.95 ? 1 : 2;
  return `${n.toFixed(digits)} ${units[unit]}`;
}

/** rate is bytes per second. */
export const rate = (n) => `${bytes(n)}/s`;

/** duration is one of seconds, in its largest two units: 3 d 4 h. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

/** ago is how long ago a time was, as text; '': there is none. */
export const ago = (time) => (time ? duration((Date.now() - Date.parse(time)) / 1000) : '');

/** left is how long it is until a time; '': there is none. */
export function left(time) {
  if (!time) return '';
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  return seconds > 0 ? duration(seconds) : 'over';
}

const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const timeOnly = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** when is a time with its date. */
export const when = (time) => (time ? dateAndTime.format(new Date(time)) : '');

/** clock is a time of today, or one with its date. */
export function clock(time) {
  const at = new Date(time);
  return (at.toDateString() === new Date().toDateString() ? timeOnly : dateAndTime).format(at);
}

const whole = new Intl.NumberFormat('en');

/** count is a whole number with separators. */
export const count = (n) => whole.format(n);

/** plural is a number of something. */
export const plural = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

/** nodeName is what people call a node: its name, or the beginning of its id. */
export const nodeName = (name, id) => name || (id ? `${id.slice(0, 8)}…` : '');

/** publicAddress is where visitors reach a service. */
export function publicAddress(s) {
  if (s.domain) return s.domain;
  if (s.port) return `${s.transport ? `${s.transport} ` : ''}${s.port}`;
  return s.private ? 'private' : '';
}
