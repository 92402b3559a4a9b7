// What people ask first, and the answer in large.

import { el, setText } from './dom.js';

/** Answer is one of them. */
export class Answer {
  constructor(title) {
    this.large = el('p', { class: 'large' }, '…');
    this.small = el('p', { class: 'small' });
    this.element = el('section', { class: 'answer' }, el('h2', {}, title), this.large, this.small);
  }

  tell(state, large, small) {
    this.element.dataset.state = state;
    setText(this.large, large);
    setText(this.small, small);
  }
}
