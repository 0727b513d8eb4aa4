/** How long the agent takes: from the end of a question to its first words and sound, and from tick to tick. Pure. */

/**
 * One answer's times, in milliseconds after the question ended; null where that has not come.
 *
 * @typedef {{question: 'typed' | 'spoken', textMs: number | null, soundMs: number | null}} Answered
 */

const LONGEST_WAIT_MS = 60_000; // what comes later answers something else

export class LatencyMeter {
  #sinceMs = 0;
  /** @type {Answered | null} */
  #waiting = null;
  #hasBegun = false;
  /** The latest answer of which something has come. @type {Answered | null} */
  latest = null;

  /**
   * A question ended: it was sent, or the speaker fell silent.
   *
   * @param {'typed' | 'spoken'} question
   * @param {number} atMs
   */
  ask(question, atMs) {
    this.#sinceMs = atMs;
    this.#waiting = { question, textMs: null, soundMs: null };
    this.#hasBegun = false;
  }

  /** A response begins: the first after a question answers it, the next one does not. */
  begin() {
    if (this.#hasBegun) this.cancel();
    this.#hasBegun = true;
  }

  /** Nobody waits any more: it was interrupted. */
  cancel() {
    this.#waiting = null;
  }

  /**
   * Words or sound of the agent came. Returns whether `latest` changed.
   *
   * @param {'text' | 'sound'} what
   * @param {number} nowMs
   */
  answer(what, nowMs) {
    const waitedMs = nowMs - this.#sinceMs;
    if (this.#waiting === null || waitedMs < 0 || waitedMs > LONGEST_WAIT_MS) return false;
    const key = what === 'text' ? 'textMs' : 'soundMs';
    if (this.#waiting[key] !== null) return false;
    this.#waiting = { ...this.#waiting, [key]: waitedMs };
    this.latest = this.#waiting;
    return true;
  }
}

const REMEMBERED_TICKS = 16;

/** The time from tick to tick while the agent answers, as it arrives here. */
export class TickPace {
  /** The latest tick; null after a pause. @type {number | null} */
  #tick = null;
  #atMs = 0;
  /** @type {number[]} */
  #spans = [];

  /** The median of late; null before two ticks in a row have come. */
  get medianMs() {
    if (this.#spans.length === 0) return null;
    const sorted = [...this.#spans].sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  }

  /**
   * Something of `tick` came.
   *
   * @param {number} tick
   * @param {number} nowMs
   */
  push(tick, nowMs) {
    if (tick === this.#tick) return;
    if (this.#tick !== null && tick === this.#tick + 1) {
      this.#spans.push(nowMs - this.#atMs);
      if (this.#spans.length > REMEMBERED_TICKS) this.#spans.shift();
    }
    this.#tick = tick;
    this.#atMs = nowMs;
  }

  /** What comes next has nothing to do with what came before. */
  pause() {
    this.#tick = null;
  }
}
