/**
 * The agent's sound between arriving and being heard: pieces of items in, exactly as many samples out as asked for.
 *
 * Waits for a little lead before it starts, and for a longer one after it ran dry while more was to come. Pure: runs
 * in an AudioWorklet, where `pull` is called once per quantum.
 */

const FIRST_LEAD_MS = 60; // pieces come at the pace of ticks, give or take this much
const LONGEST_LEAD_MS = 300;

/** @typedef {{itemId: string, samples: Float32Array, offset: number}} Piece */

export class PlaybackQueue {
  /** @type {Piece[]} */
  #pieces = [];
  #started = false;
  #buffered = 0;
  #waited = 0;
  #itemId = '';
  #played = 0;

  /** @param {number} rateHz */
  constructor(rateHz) {
    this.rateHz = rateHz;
    this.leadMs = FIRST_LEAD_MS;
  }

  /** Whether something is being heard or about to be. */
  get isPlaying() {
    return this.#pieces.length > 0;
  }

  /** The item being heard, and how much of it was. */
  get played() {
    return { itemId: this.#itemId, playedMs: Math.floor((this.#played * 1000) / this.rateHz) };
  }

  get bufferedMs() {
    return (this.#buffered * 1000) / this.rateHz;
  }

  /**
   * @param {string} itemId
   * @param {Float32Array} samples
   */
  push(itemId, samples) {
    if (samples.length === 0) return;
    if (!this.isPlaying && itemId === this.#itemId && this.#played > 0) {
      this.leadMs = Math.min(this.leadMs * 2, LONGEST_LEAD_MS); // it had run dry
    }
    this.#pieces.push({ itemId, samples, offset: 0 });
    this.#buffered += samples.length;
  }

  /**
   * Fill `out` with what is to be heard next, and with silence where there is nothing.
   *
   * @param {Float32Array} out
   */
  pull(out) {
    out.fill(0);
    if (!this.#started && !this.#start(out.length)) return;
    let filled = 0;
    while (filled < out.length && this.#pieces.length > 0) filled += this.#take(out, filled);
    if (this.#pieces.length === 0) this.#started = false;
  }

  /** Forget what was not heard. Returns how far the item was heard, or null where nothing was left to hear. */
  clear() {
    if (!this.isPlaying) return null;
    if (this.#pieces[0].itemId !== this.#itemId) this.#begin(this.#pieces[0].itemId);
    this.#pieces = [];
    this.#buffered = 0;
    this.#started = false;
    this.#waited = 0;
    return this.played;
  }

  /**
   * Whether to start now, after waiting for `length` samples more.
   *
   * @param {number} length
   */
  #start(length) {
    if (this.#pieces.length === 0) return false;
    this.#waited += length;
    const leadSamples = (this.leadMs * this.rateHz) / 1000;
    this.#started = this.#buffered >= leadSamples || this.#waited >= leadSamples;
    if (this.#started) this.#waited = 0;
    return this.#started;
  }

  /**
   * @param {Float32Array} out
   * @param {number} from
   */
  #take(out, from) {
    const piece = this.#pieces[0];
    if (piece.itemId !== this.#itemId) this.#begin(piece.itemId);
    const part = piece.samples.subarray(piece.offset, piece.offset + out.length - from);
    out.set(part, from);
    piece.offset += part.length;
    this.#played += part.length;
    this.#buffered -= part.length;
    if (piece.offset === piece.samples.length) this.#pieces.shift();
    return part.length;
  }

  /** @param {string} itemId */
  #begin(itemId) {
    this.#itemId = itemId;
    this.#played = 0;
    this.leadMs = FIRST_LEAD_MS;
  }
}
