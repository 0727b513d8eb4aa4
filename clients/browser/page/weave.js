/** Draws the timeline: five threads that run to the left, thick where something came in or went out. */

import { STREAMS, TICK_MS, describe, isActive, shareOfDb } from '../sdk/index.js';
import { byId, make } from './dom.js';

/** @typedef {import('../sdk/timeline.js').Column} Column */
/** @typedef {import('../sdk/timeline.js').Timeline} Timeline */
/** @typedef {import('../sdk/timeline.js').StreamKey} StreamKey */

const COLUMN_PX = 8;
const AXIS_PX = 15;
const LABEL_COLUMNS = 8; // a tick's number at most every two seconds
const FRAME_MS = 33;
const WORDS_MS = 3_000;
const TABLE_COLUMNS = 24;

/** @type {Record<StreamKey, string>} */
const COLOURS = {
  textIn: '--text-in',
  imageIn: '--image-in',
  audioIn: '--audio-in',
  textImageOut: '--text-image-out',
  audioOut: '--audio-out',
};

export class Weave {
  #canvas = byId('weave-canvas', HTMLCanvasElement);
  #words = byId('weave-words', HTMLElement);
  #table = byId('weave-table', HTMLElement);
  #toggle = byId('weave-table-toggle', HTMLButtonElement);
  /** @type {Timeline | null} */
  #timeline = null;
  #isRunning = false;
  #drawnMs = 0;
  #toldMs = 0;
  /** @type {Record<string, string>} */
  #ink = {};
  /** @type {StreamKey[]} */
  #absent = [];

  constructor() {
    this.#readColours();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#readColours();
      this.#draw(performance.now());
    });
    new ResizeObserver(() => this.#draw(performance.now())).observe(this.#canvas);
    this.#toggle.addEventListener('click', () => this.#showTable(this.#table.hidden));
  }

  /**
   * Streams that this model does not have are grey.
   *
   * @param {import('../sdk/types.js').Model} model
   */
  showModel(model) {
    /** @type {[StreamKey, boolean][]} */
    const abilities = [['imageIn', model.sees], ['audioIn', model.hears], ['audioOut', model.speaks]];
    this.#absent = abilities.filter(([, can]) => !can).map(([key]) => key);
    for (const name of document.querySelectorAll('.weave-names li')) {
      if (!(name instanceof HTMLElement)) continue;
      name.dataset.can = String(this.#absent.every((key) => key !== name.dataset.stream));
    }
  }

  /** @param {Timeline} timeline */
  start(timeline) {
    this.#timeline = timeline;
    if (this.#isRunning) return;
    this.#isRunning = true;
    requestAnimationFrame((nowMs) => this.#run(nowMs));
  }

  /** What was drawn stays. */
  stop() {
    this.#isRunning = false;
    this.#tell();
  }

  /** @param {number} nowMs */
  #run(nowMs) {
    if (!this.#isRunning) return;
    requestAnimationFrame((laterMs) => this.#run(laterMs));
    if (nowMs - this.#drawnMs < FRAME_MS) return;
    this.#drawnMs = nowMs;
    this.#timeline?.advance(nowMs);
    this.#draw(nowMs);
    if (nowMs - this.#toldMs > WORDS_MS) this.#tell();
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of [...Object.values(COLOURS), '--line', '--muted']) this.#ink[name] = style.getPropertyValue(name);
  }

  // --- in words -----------------------------------------------------------------------------------------------------

  #tell() {
    this.#toldMs = performance.now();
    if (this.#timeline === null) return;
    this.#words.textContent = describe(this.#timeline.last(80));
    if (!this.#table.hidden) this.#fillTable();
  }

  /** @param {boolean} isShown */
  #showTable(isShown) {
    this.#table.hidden = !isShown;
    this.#toggle.setAttribute('aria-expanded', String(isShown));
    if (isShown) this.#fillTable();
  }

  #fillTable() {
    const columns = this.#timeline?.last(TABLE_COLUMNS) ?? [];
    const last = columns.at(-1)?.index ?? 0;
    const table = make('table');
    const head = table.createTHead().insertRow();
    for (const title of ['Seconds ago', 'Server tick', ...STREAMS.map((stream) => stream.name)]) {
      const cell = make('th', '', title);
      cell.scope = 'col';
      head.append(cell);
    }
    const body = table.createTBody();
    for (const column of [...columns].reverse()) {
      const row = body.insertRow();
      row.insertCell().textContent = (((last - column.index) * TICK_MS) / 1000).toFixed(2);
      row.insertCell().textContent = ticksOf(column);
      for (const { key } of STREAMS) row.insertCell().textContent = wordsOf(column, key);
    }
    this.#table.replaceChildren(table);
  }

  // --- as threads ---------------------------------------------------------------------------------------------------

  /** @param {number} nowMs */
  #draw(nowMs) {
    const context = this.#canvas.getContext('2d');
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (context === null || width === 0) return;
    const scale = devicePixelRatio;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    context.scale(scale, scale);
    const timeline = this.#timeline;
    const columns = timeline?.last(Math.ceil(width / COLUMN_PX) + 1) ?? [];
    const endMs = this.#isRunning ? nowMs : (timeline?.startMs ?? 0) + ((columns.at(-1)?.index ?? 0) + 1) * TICK_MS;
    const now = timeline ? (endMs - timeline.startMs) / TICK_MS : 0;
    const left = (/** @type {number} */ index) => width - (now - index) * COLUMN_PX;
    this.#drawSeconds(context, columns, left, height);
    const rowPx = (height - AXIS_PX) / STREAMS.length;
    STREAMS.forEach(({ key }, row) => {
      const middle = rowPx * (row + 0.5) + 2;
      const colour = this.#ink[COLOURS[key]];
      this.#drawThread(context, width, middle, columns, left, key, colour);
      const reach = rowPx * 0.42;
      if (key === 'audioIn' || key === 'audioOut') drawRibbon(context, columns, left, key, middle, reach, colour);
      else drawBlocks(context, columns, left, key, middle, reach, colour);
    });
    this.#drawTicks(context, columns, left, height);
  }

  /**
   * A line for each second.
   *
   * @param {CanvasRenderingContext2D} context @param {Column[]} columns
   * @param {(index: number) => number} left @param {number} height
   */
  #drawSeconds(context, columns, left, height) {
    context.fillStyle = this.#ink['--line'];
    context.globalAlpha = 0.55;
    for (const { index } of columns) {
      if (index % (1000 / TICK_MS) === 0) context.fillRect(Math.round(left(index)), 0, 1, height - AXIS_PX + 3);
    }
    context.globalAlpha = 1;
  }

  /**
   * The thread itself: grey before there was a session or where the model has none, dotted while no microphone is open.
   *
   * @param {CanvasRenderingContext2D} context @param {number} width @param {number} middle
   * @param {Column[]} columns @param {(index: number) => number} left @param {StreamKey} key @param {string} colour
   */
  #drawThread(context, width, middle, columns, left, key, colour) {
    const begin = columns.length > 0 ? Math.max(0, left(columns[0].index)) : width;
    context.fillStyle = this.#ink['--line'];
    context.fillRect(0, middle - 0.5, begin, 1);
    const isAbsent = this.#absent.includes(key);
    context.fillStyle = isAbsent ? this.#ink['--line'] : colour;
    for (const column of columns) {
      const isOpen = key !== 'audioIn' || column.listening || isAbsent;
      context.globalAlpha = isAbsent ? 1 : 0.55;
      context.fillRect(left(column.index), middle - 0.5, isOpen ? COLUMN_PX : COLUMN_PX / 3, 1);
    }
    context.globalAlpha = 1;
  }

  /**
   * The server's tick numbers, where an answer begins and every two seconds of it.
   *
   * @param {CanvasRenderingContext2D} context @param {Column[]} columns
   * @param {(index: number) => number} left @param {number} height
   */
  #drawTicks(context, columns, left, height) {
    context.fillStyle = this.#ink['--muted'];
    context.font = '10px system-ui, sans-serif';
    let labelled = -LABEL_COLUMNS;
    for (const column of columns) {
      if (column.firstTick === null || column.index - labelled < LABEL_COLUMNS) continue;
      labelled = column.index;
      context.fillText(`tick ${column.firstTick}`, left(column.index), height - 4);
    }
  }
}

/**
 * Text and pictures: a block where some came.
 *
 * @param {CanvasRenderingContext2D} context @param {Column[]} columns @param {(index: number) => number} left
 * @param {StreamKey} key @param {number} middle @param {number} reach @param {string} colour
 */
function drawBlocks(context, columns, left, key, middle, reach, colour) {
  context.fillStyle = colour;
  for (const column of columns) {
    const share = amountOf(column, key);
    if (share === 0) continue;
    const isPicture = key === 'imageIn' || column.imageOut > 0;
    const half = Math.max(2, reach * share);
    context.beginPath();
    context.roundRect(left(column.index) + 1, middle - half, COLUMN_PX - 2, 2 * half, isPicture ? 1 : 3);
    context.fill();
  }
}

/**
 * Sound: a ribbon as wide as it was loud.
 *
 * @param {CanvasRenderingContext2D} context @param {Column[]} columns @param {(index: number) => number} left
 * @param {StreamKey} key @param {number} middle @param {number} reach @param {string} colour
 */
function drawRibbon(context, columns, left, key, middle, reach, colour) {
  const points = columns.map((column) => ({
    x: left(column.index) + COLUMN_PX / 2,
    half: reach * amountOf(column, key),
  }));
  if (points.length < 2) return;
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(points[0].x, middle);
  traceEdge(context, points, middle, -1);
  traceEdge(context, [...points].reverse(), middle, 1);
  context.closePath();
  context.fill();
}

/**
 * @param {CanvasRenderingContext2D} context @param {{x: number, half: number}[]} points
 * @param {number} middle @param {1 | -1} side
 */
function traceEdge(context, points, middle, side) {
  context.lineTo(points[0].x, middle + side * points[0].half);
  for (let i = 1; i < points.length; i++) {
    const [from, to] = [points[i - 1], points[i]];
    const half = (from.x + to.x) / 2;
    context.bezierCurveTo(half, middle + side * from.half, half, middle + side * to.half, to.x, middle + side * to.half);
  }
}

/**
 * How much of a stream a column holds, 0 to 1.
 *
 * @param {Column} column @param {StreamKey} key
 */
function amountOf(column, key) {
  if (!isActive(column, key)) return 0;
  switch (key) {
    case 'textIn':
      return Math.min(1, 0.4 + column.textIn / 60);
    case 'imageIn':
      return 0.6;
    case 'audioIn':
      return shareOfDb(column.audioInDb);
    case 'textImageOut':
      return column.imageOut > 0 ? 1 : Math.min(1, 0.3 + column.textOut / 40);
    case 'audioOut':
      return shareOfDb(column.audioOutDb);
  }
}

/** @param {Column} column */
function ticksOf(column) {
  if (column.firstTick === null) return '–';
  return column.firstTick === column.lastTick ? `${column.firstTick}` : `${column.firstTick}–${column.lastTick}`;
}

/** @param {Column} column @param {StreamKey} key */
function wordsOf(column, key) {
  if (!isActive(column, key)) return key === 'audioIn' && !column.listening ? 'closed' : 'silent';
  switch (key) {
    case 'textIn':
      return `${column.textIn} characters`;
    case 'imageIn':
      return 'picture';
    case 'audioIn':
      return `${Math.round(column.audioInDb)} dB`;
    case 'textImageOut':
      return [column.textOut && `${column.textOut} characters`, column.imageOut && 'picture'].filter(Boolean).join(', ');
    case 'audioOut':
      return `${Math.round(column.audioOutDb)} dB`;
  }
}
