/**
 * How loud it is, and whether that is a voice. Levels in, decisions out; only `attachMeter` touches Web Audio.
 */

export const SILENCE_DB = -100;
const SHOWN_DB = 60; // a level bar spans −60 to 0 dBFS
const RELEASE_DB_PER_S = 40; // a bar rises at once and falls this fast

/** @param {number} meanSquare */
export function dbOfPower(meanSquare) {
  return meanSquare > 0 ? Math.max(SILENCE_DB, 10 * Math.log10(meanSquare)) : SILENCE_DB;
}

/**
 * A level as a share of a bar, 0 to 1.
 *
 * @param {number} db
 */
export function shareOfDb(db) {
  return Math.min(1, Math.max(0, 1 + db / SHOWN_DB));
}

/** A level that is pleasant to look at: rises at once, falls slowly. */
export class Falling {
  #db = SILENCE_DB;
  #atMs = 0;

  /**
   * @param {number} db
   * @param {number} nowMs
   */
  push(db, nowMs) {
    const fallen = this.#db - ((nowMs - this.#atMs) / 1000) * RELEASE_DB_PER_S;
    this.#db = Math.max(db, fallen, SILENCE_DB);
    this.#atMs = nowMs;
    return this.#db;
  }
}

const OVER_FLOOR_DB = 12; // a voice stands out of the room's noise by this much
const QUIETEST_VOICE_DB = -50;
const FLOOR_RISE_DB_PER_S = 3; // the floor follows noise that stays
const PAUSE_MS = 300; // shorter gaps are part of speech

/** Finds where sound begins and ends in a stream of levels. */
export class VoiceGate {
  #floorDb = -60;
  #atMs = 0;
  /** When a voice was last heard; null before the first. @type {number | null} */
  lastVoiceMs = null;
  /** When the voice that is being heard, or was heard last, began. @type {number | null} */
  onsetMs = null;

  /**
   * @param {number} db
   * @param {number} nowMs
   * @returns {boolean} whether a voice begins with this level, after a pause
   */
  push(db, nowMs) {
    this.#floorDb = Math.min(db, this.#floorDb + ((nowMs - this.#atMs) / 1000) * FLOOR_RISE_DB_PER_S);
    this.#floorDb = Math.max(this.#floorDb, SILENCE_DB);
    this.#atMs = nowMs;
    if (db < Math.max(QUIETEST_VOICE_DB, this.#floorDb + OVER_FLOOR_DB)) return false;
    const begins = this.lastVoiceMs === null || nowMs - this.lastVoiceMs > PAUSE_MS;
    if (begins) this.onsetMs = nowMs;
    this.lastVoiceMs = nowMs;
    return begins;
  }
}

const loaded = new WeakSet();

/**
 * Load a worklet into a context, once.
 *
 * @param {BaseAudioContext} context
 */
async function loadMeter(context) {
  if (loaded.has(context)) return;
  await context.audioWorklet.addModule(new URL('./worklets/meter.js', import.meta.url));
  loaded.add(context);
}

/**
 * Tell `listener` the level of `stream` every 20 ms. Returns a function that ends that.
 *
 * @param {AudioContext} context
 * @param {MediaStream} stream
 * @param {(db: number) => void} listener
 * @returns {Promise<() => void>}
 */
export async function attachMeter(context, stream, listener) {
  await loadMeter(context);
  const source = context.createMediaStreamSource(stream);
  const meter = new AudioWorkletNode(context, 'omniweave-meter', { numberOfOutputs: 0 });
  meter.port.onmessage = ({ data }) => listener(dbOfPower(data.meanSquare));
  source.connect(meter);
  return () => {
    meter.port.onmessage = null;
    source.disconnect();
  };
}
