/**
 * Records a session in the browser: both voices as sound, left you and right the agent, and every event as a line.
 *
 * The result is one ZIP file that never left this machine. Sound inside of events is left out: it is in the sound file.
 */

import { zipOf } from './zip.js';

/** @typedef {import('./types.js').RealtimeEvent} RealtimeEvent */

const LEFT = 0;
const RIGHT = 1;
const TYPES = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];
const PIECE_MS = 1_000;

export class Recording {
  /** @type {string[]} */
  #lines = [];
  /** @type {Blob[]} */
  #pieces = [];
  /** @type {(() => void)[]} */
  #off;
  /** @type {Record<'input' | 'output', MediaStreamAudioSourceNode | null>} */
  #sources = { input: null, output: null };
  #context = new AudioContext();
  #merger = this.#context.createChannelMerger(2);
  #recorder;
  #startMs = performance.now();

  /** @param {import('./realtime-session.js').RealtimeSession} session */
  constructor(session) {
    const sink = this.#context.createMediaStreamDestination();
    this.#merger.connect(sink);
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.#recorder = new MediaRecorder(sink.stream, mimeType ? { mimeType } : {});
    this.#recorder.ondataavailable = ({ data }) => this.#pieces.push(data);
    this.#recorder.start(PIECE_MS);
    this.#off = [
      session.on('sent', (event) => this.#write('sent', event)),
      session.on('received', (event) => this.#write('received', event)),
      session.on('output', (stream) => this.hear('output', stream)),
    ];
  }

  get seconds() {
    return (performance.now() - this.#startMs) / 1000;
  }

  /**
   * Record this side's sound from now on.
   *
   * @param {'input' | 'output'} side
   * @param {MediaStream | null} stream
   */
  hear(side, stream) {
    this.#sources[side]?.disconnect();
    this.#sources[side] = stream && this.#context.createMediaStreamSource(stream);
    this.#sources[side]?.connect(this.#merger, 0, side === 'input' ? LEFT : RIGHT);
  }

  /** @returns {Promise<Blob>} the ZIP file */
  async stop() {
    for (const off of this.#off) off();
    const stopped = new Promise((resolve) => (this.#recorder.onstop = resolve));
    this.#recorder.stop();
    await stopped;
    await this.#context.close();
    const extension = this.#recorder.mimeType.includes('mp4') ? 'm4a' : 'webm';
    const sound = new Uint8Array(await new Blob(this.#pieces).arrayBuffer());
    const events = new TextEncoder().encode(this.#lines.join(''));
    return zipOf([
      { name: `sound.${extension}`, bytes: sound },
      { name: 'events.jsonl', bytes: events },
    ]);
  }

  /** @param {'sent' | 'received'} direction @param {RealtimeEvent} event */
  #write(direction, event) {
    const atMs = Math.round(performance.now() - this.#startMs);
    this.#lines.push(`${JSON.stringify({ at_ms: atMs, direction, event: withoutSound(event) })}\n`);
  }
}

/** @param {RealtimeEvent} event */
export function withoutSound(event) {
  if (event.type === 'input_audio_buffer.append') return { ...event, audio: `(${event.audio.length} characters)` };
  if (event.type === 'response.output_audio.delta') return { ...event, delta: `(${event.delta.length} characters)` };
  return event;
}
