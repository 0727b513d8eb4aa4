/**
 * The five streams, column by column: what came in, what went out, and where there was nothing. Pure.
 *
 * A column is one tick long, 250 ms, on this browser's own clock: sound lies where it was said or heard, text and
 * pictures where they were sent or arrived. The server's tick numbers are noted in the columns in which they came.
 */

import { SILENCE_DB } from './meter.js';

export const TICK_MS = 250;

/**
 * @typedef {object} Column
 * @property {number} index          since the timeline began
 * @property {number} textIn         characters
 * @property {number} audioInDb      the loudest level
 * @property {number} imageIn        pictures
 * @property {number} textOut        characters
 * @property {number} imageOut       pictures
 * @property {number} audioOutDb
 * @property {boolean} listening     whether a microphone was open
 * @property {number | null} firstTick  of the server's, and the last one
 * @property {number | null} lastTick
 */

/** The streams in the order in which a tick appends them, with the names that are shown. */
export const STREAMS = /** @type {const} */ ([
  { key: 'textIn', name: 'Text in' },
  { key: 'imageIn', name: 'Image in' },
  { key: 'audioIn', name: 'Audio in' },
  { key: 'textImageOut', name: 'Text and image out' },
  { key: 'audioOut', name: 'Audio out' },
]);

/** @typedef {typeof STREAMS[number]['key']} StreamKey */

export const AUDIBLE_DB = -50; // quieter sound counts as silence

export class Timeline {
  /** @type {Column[]} */
  columns = [];

  /**
   * @param {number} startMs
   * @param {number} maxColumns
   */
  constructor(startMs, maxColumns = 240) {
    this.startMs = startMs;
    this.maxColumns = maxColumns;
    this.isListening = false;
    this.isWatching = false; // a camera is open: one picture a tick
  }

  /** @param {number} nowMs */
  advance(nowMs) {
    return this.#column(nowMs);
  }

  /** @param {number} numChars @param {number} nowMs */
  addTextIn(numChars, nowMs) {
    this.#column(nowMs).textIn += numChars;
  }

  /** @param {number} db @param {number} nowMs */
  addAudioIn(db, nowMs) {
    const column = this.#column(nowMs);
    column.audioInDb = Math.max(column.audioInDb, db);
  }

  /** @param {number} numChars @param {number} nowMs */
  addTextOut(numChars, nowMs) {
    this.#column(nowMs).textOut += numChars;
  }

  /** @param {number} nowMs */
  addImageOut(nowMs) {
    this.#column(nowMs).imageOut += 1;
  }

  /** @param {number} db @param {number} nowMs */
  addAudioOut(db, nowMs) {
    const column = this.#column(nowMs);
    column.audioOutDb = Math.max(column.audioOutDb, db);
  }

  /** @param {number} tick @param {number} nowMs */
  noteTick(tick, nowMs) {
    const column = this.#column(nowMs);
    column.firstTick ??= tick;
    column.lastTick = tick;
  }

  /**
   * The last `count` columns, oldest first.
   *
   * @param {number} count
   */
  last(count) {
    return this.columns.slice(-count);
  }

  /**
   * The column of `nowMs`; those skipped since the last are made, empty.
   *
   * @param {number} nowMs
   */
  #column(nowMs) {
    const index = Math.max(Math.floor((nowMs - this.startMs) / TICK_MS), this.columns.at(-1)?.index ?? 0);
    let next = (this.columns.at(-1)?.index ?? index - 1) + 1;
    next = Math.max(next, index - this.maxColumns + 1); // a page that slept does not make up for all of it
    for (; next <= index; next++) this.columns.push(emptyColumn(next, this.isListening, this.isWatching));
    if (this.columns.length > this.maxColumns) this.columns.splice(0, this.columns.length - this.maxColumns);
    const column = /** @type {Column} */ (this.columns.at(-1));
    column.listening ||= this.isListening;
    return column;
  }
}

/**
 * @param {number} index
 * @param {boolean} listening
 * @param {boolean} watching
 * @returns {Column}
 */
function emptyColumn(index, listening, watching) {
  return {
    index,
    textIn: 0,
    imageIn: watching ? 1 : 0,
    audioInDb: SILENCE_DB,
    textOut: 0,
    imageOut: 0,
    audioOutDb: SILENCE_DB,
    listening,
    firstTick: null,
    lastTick: null,
  };
}

/**
 * Whether `stream` carried something in `column`.
 *
 * @param {Column} column
 * @param {StreamKey} stream
 */
export function isActive(column, stream) {
  switch (stream) {
    case 'textIn':
      return column.textIn > 0;
    case 'imageIn':
      return column.imageIn > 0;
    case 'audioIn':
      return column.audioInDb > AUDIBLE_DB;
    case 'textImageOut':
      return column.textOut > 0 || column.imageOut > 0;
    case 'audioOut':
      return column.audioOutDb > AUDIBLE_DB;
  }
}

/**
 * The same in words, for those who do not see the drawing.
 *
 * @param {Column[]} columns
 */
export function describe(columns) {
  const seconds = (/** @type {StreamKey} */ stream) =>
    (columns.filter((column) => isActive(column, stream)).length * TICK_MS) / 1000;
  const sum = (/** @type {'textIn' | 'imageIn' | 'textOut' | 'imageOut'} */ key) =>
    columns.reduce((total, column) => total + column[key], 0);
  const silent = columns.filter((column) => !isActive(column, 'textImageOut') && !isActive(column, 'audioOut'));
  const ins = [
    sum('textIn') && `you typed ${count(sum('textIn'), 'character')}`,
    seconds('audioIn') && `you spoke for ${seconds('audioIn')} seconds`,
    sum('imageIn') && `you showed ${count(sum('imageIn'), 'picture')}`,
  ].filter(Boolean);
  const outs = [
    sum('textOut') && `wrote ${count(sum('textOut'), 'character')}`,
    seconds('audioOut') && `spoke for ${seconds('audioOut')} seconds`,
    sum('imageOut') && `drew ${count(sum('imageOut'), 'picture')}`,
  ].filter(Boolean);
  const spanS = (columns.length * TICK_MS) / 1000;
  return (
    `Last ${spanS} seconds: ${ins.join(', ') || 'nothing came from you'}; ` +
    `the agent ${outs.join(', ') || 'said nothing'} and was silent in ${silent.length} of ${columns.length} columns.`
  );
}

/** @param {number} number @param {string} noun */
function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
