// Elements of the page. What comes from nodes and visitors gets into them as text only: nothing is parsed as HTML.

/** el makes an element. Properties are attributes, but for: on, listeners by event; and those that are null or false. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value === true) {
      made.setAttribute(name, '');
    } else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, String(value));
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** button makes one that does something. */
export function button(text, act, properties = {}) {
  return el('button', { type: 'button', ...properties, on: { click: act } }, text);
}

/** setText changes the text of an element only if it differs: a live view changes little. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** facts is a list of terms and what they are: [term, text or node]; those without a value are left out. */
export function facts(pairs) {
  const list = el('dl', { class: 'facts' });
  for (const [term, value] of pairs) {
    if (value === undefined || value === null || value === '') continue;
    list.append(el('dt', {}, term), el('dd', {}, typeof value === 'number' ? String(value) : value));
  }
  return list;
}

/** field is an input with its label. */
export function field(label, input, help) {
  const box = el('label', { class: 'field' }, el('span', {}, label), input);
  if (help) box.append(el('small', {}, help));
  return box;
}

/** choice is a select; options are [value, text]. */
export function choice(options, properties = {}) {
  return el('select', properties, ...options.map(([value, text]) => el('option', { value }, text)));
}

/** say tells something once, also to screen readers. */
export function say(text) {
  const line = document.getElementById('said');
  line.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { line.textContent = ''; }, 8000);
}
