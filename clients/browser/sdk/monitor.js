/**
 * Watches a session: levels of both voices, the timeline of its streams, and how long answers take.
 *
 * Feeds `Timeline`, `LatencyMeter` and `TickPace` with what it hears and what passes by, on the browser's clock.
 */

import { Emitter } from './emitter.js';
import { LatencyMeter, TickPace } from './latency.js';
import { Falling, SILENCE_DB, VoiceGate, attachMeter } from './meter.js';
import { Timeline } from './timeline.js';

/** @typedef {import('./types.js').RealtimeEvent} RealtimeEvent */

/**
 * @typedef {object} MonitorEvents
 * @property {import('./latency.js').Answered} answered  the first words or the first sound of an answer
 */

/** @extends {Emitter<MonitorEvents>} */
export class Monitor extends Emitter {
  timeline;
  latency = new LatencyMeter();
  pace = new TickPace();
  inputDb = SILENCE_DB;
  outputDb = SILENCE_DB;
  #now;
  #input = new Falling();
  #output = new Falling();
  #voice = new VoiceGate();
  #agent = new VoiceGate();
  /** When the words of the latest response began. @type {number | null} */
  #wordsMs = null;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {Record<'input' | 'output', (() => void) | null>} */
  #detach = { input: null, output: null };

  /**
   * @param {import('./realtime-session.js').RealtimeSession} session
   * @param {() => number} [now]
   */
  constructor(session, now = () => performance.now()) {
    super();
    this.#now = now;
    this.timeline = new Timeline(now());
    session.on('sent', (event) => this.#noteSent(event));
    session.on('received', (event) => this.#noteReceived(event));
    session.on('asked', (question) => this.#noteAsked(question));
    session.on('listening', (isListening) => (this.timeline.isListening = isListening));
    session.on('interrupted', () => this.latency.cancel());
    session.on('output', (stream) => void this.watch('output', stream));
  }

  /**
   * Listen to one side's sound from now on. To be called while the browser allows sound: after a click.
   *
   * @param {'input' | 'output'} side
   * @param {MediaStream | null} stream
   */
  async watch(side, stream) {
    this.#detach[side]?.();
    this.#detach[side] = null;
    if (stream === null) return;
    this.#context ??= new AudioContext();
    const hear = side === 'input' ? this.hearInput.bind(this) : this.hearOutput.bind(this);
    this.#detach[side] = await attachMeter(this.#context, stream, hear);
  }

  async close() {
    this.#detach.input?.();
    this.#detach.output?.();
    await this.#context?.close();
    this.#context = null;
  }

  /** @param {number} db */
  hearInput(db) {
    const nowMs = this.#now();
    this.inputDb = this.#input.push(db, nowMs);
    this.#voice.push(db, nowMs);
    this.timeline.addAudioIn(db, nowMs);
  }

  /** @param {number} db */
  hearOutput(db) {
    const nowMs = this.#now();
    this.outputDb = this.#output.push(db, nowMs);
    this.timeline.addAudioOut(db, nowMs);
    if (this.#agent.push(db, nowMs)) this.#noteAnswer('sound', nowMs);
  }

  /** @param {'typed' | 'spoken'} question */
  #noteAsked(question) {
    const nowMs = this.#now();
    if (question === 'typed' || this.#voice.lastVoiceMs === null) {
      this.latency.ask('typed', nowMs);
      return;
    }
    const silentMs = this.#voice.lastVoiceMs;
    this.latency.ask('spoken', silentMs); // which we are told late, maybe after the answer began
    if (this.#wordsMs !== null && this.#wordsMs > silentMs) this.#noteAnswer('text', this.#wordsMs);
    if (this.#agent.onsetMs !== null && this.#agent.onsetMs > silentMs) this.#noteAnswer('sound', this.#agent.onsetMs);
  }

  /** @param {'text' | 'sound'} what @param {number} nowMs */
  #noteAnswer(what, nowMs) {
    if (this.latency.answer(what, nowMs) && this.latency.latest !== null) this.emit('answered', this.latency.latest);
  }

  /** @param {RealtimeEvent} event */
  #noteSent(event) {
    const nowMs = this.#now();
    if (event.type === 'conversation.item.create' && event.item.role === 'user') {
      for (const part of event.item.content ?? []) this.timeline.addTextIn(part.text?.length ?? 0, nowMs);
    }
  }

  /** @param {RealtimeEvent} event */
  #noteReceived(event) {
    const nowMs = this.#now();
    if (typeof event.tick === 'number') {
      this.timeline.noteTick(event.tick, nowMs);
      this.pace.push(event.tick, nowMs);
    }
    switch (event.type) {
      case 'response.created':
        this.pace.pause();
        this.latency.begin();
        this.#wordsMs = null;
        break;
      case 'response.output_text.delta':
      case 'response.output_audio_transcript.delta':
        this.timeline.addTextOut(event.delta.length, nowMs);
        this.#wordsMs ??= nowMs;
        this.#noteAnswer('text', nowMs);
        break;
      case 'omniweave.image.done':
        this.timeline.addImageOut(nowMs);
        break;
    }
  }
}
