// The settings of the program, read again.

import { Failure, post } from './api.js';
import { form } from './dialog.js';
import { say } from './dom.js';

/** reloading is the form that has the program read its settings again. */
export const reloading = () => form('Read the settings again', [], reload, told);

async function reload() {
  const report = await post('reload');
  if (report.errors?.length) throw new Failure(422, report.errors.join('; '), report.hints?.join('; '));
  return report;
}

/** told says what a reload did. */
function told(report) {
  const parts = Object.entries(report).map(([what, value]) => `${what}: ${Array.isArray(value) ? value.map((v) => (typeof v === 'object' ? Object.values(v).join(' ') : v)).join(', ') || 'none' : value}`);
  say(parts.length ? `The settings were read. ${parts.join('; ')}` : 'The settings were read; nothing has changed.');
}
