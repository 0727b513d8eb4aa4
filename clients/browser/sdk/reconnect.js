/** How long to wait before trying again, and when to give up. Pure: the time comes in, delays go out. */

const FIRST_MS = 250;
const LONGEST_MS = 4_000;
const SPREAD = 0.3; // so that the clients of a server that restarts do not all come at once

export class Backoff {
  #attempt = 0;

  /**
   * @param {number} startMs   when the connection was lost
   * @param {number} giveUpMs  after which it is given up
   * @param {() => number} random  0 to 1
   */
  constructor(startMs, giveUpMs = 60_000, random = Math.random) {
    this.startMs = startMs;
    this.giveUpMs = giveUpMs;
    this.random = random;
  }

  /**
   * How long to wait before the next attempt; 0 for the first. Null: give up.
   *
   * @param {number} nowMs
   * @returns {number | null}
   */
  next(nowMs) {
    if (nowMs - this.startMs >= this.giveUpMs) return null;
    const attempt = this.#attempt++;
    if (attempt === 0) return 0;
    const delayMs = Math.min(FIRST_MS * 2 ** (attempt - 1), LONGEST_MS);
    return delayMs * (1 + SPREAD * (2 * this.random() - 1));
  }
}
