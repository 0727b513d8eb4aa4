/** Holds back what happens until somebody listens. Everything passes in the order in which it came. */

export class Gate {
  /** @type {(() => void)[] | null} */
  #waiting = [];

  /** @param {() => void} action */
  pass(action) {
    if (this.#waiting === null) action();
    else this.#waiting.push(action);
  }

  open() {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const action of waiting) action();
  }
}
