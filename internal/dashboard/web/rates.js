// How fast counters grow.

export class Rates {
  /** longest is how many seconds two looks may be apart, so that what is between is worth a rate. */
  constructor(longest) {
    this.longest = longest;
    this.before = new Map();
    this.now = new Map();
  }

  /** of returns how much counters have grown each second since the look before; null: that is not known. */
  of(id, seconds, counters) {
    const before = this.before.get(id) ?? this.now.get(id);
    this.now.set(id, { seconds, counters });
    const passed = before ? seconds - before.seconds : 0;
    if (passed <= 0 || passed > this.longest) return counters.map(() => null);
    return counters.map((n, i) => (n < before.counters[i] ? null : (n - before.counters[i]) / passed));
  }

  /** turn ends a look: what was not in it is forgotten. */
  turn() {
    this.before = this.now;
    this.now = new Map();
  }
}
