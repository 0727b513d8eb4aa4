/** A transport without a network, and openers that hand out such transports or refuse. */

import { Emitter } from '../sdk/emitter.js';

/** @typedef {import('../sdk/types.js').TransportOptions} TransportOptions */

/** @extends {Emitter<import('../sdk/types.js').TransportEvents>} */
export class FakeTransport extends Emitter {
  /** @type {any[]} */
  sent = [];
  output = null;
  started = false;
  closed = false;
  /** @type {import('../sdk/types.js').Played | null} */
  played = null;
  /** @type {any} */
  microphone = undefined;

  /** @param {import('../sdk/types.js').TransportKind} kind @param {string | null} callId */
  constructor(kind = 'websocket', callId = null) {
    super();
    this.kind = kind;
    this.callId = callId;
  }

  start() {
    this.started = true;
  }

  /** @param {any} event */
  send(event) {
    this.sent.push(event);
  }

  /** @param {any} track */
  async setMicrophone(track) {
    this.microphone = track;
  }

  async setCamera() {}

  async stopOutput() {
    return this.played;
  }

  async network() {
    return { roundTripMs: null, lostIn: null, lostOut: null };
  }

  close() {
    this.closed = true;
  }

  /** The types of what was sent. */
  get types() {
    return this.sent.map((event) => event.type);
  }
}

/** Opens what is in `outcomes`, in order: transports, or errors. `asked` are the options it was called with. */
export class Openers {
  /** @type {(TransportOptions & {kind: string})[]} */
  asked = [];

  /** @param {(FakeTransport | Error)[]} outcomes */
  constructor(outcomes) {
    this.outcomes = outcomes;
  }

  webrtc = (/** @type {TransportOptions} */ options) => this.#open('webrtc', options);
  websocket = (/** @type {TransportOptions} */ options) => this.#open('websocket', options);

  /** @param {string} kind @param {TransportOptions} options */
  async #open(kind, options) {
    this.asked.push({ kind, ...options });
    const outcome = this.outcomes.shift();
    if (outcome === undefined) throw new Error('nobody answers');
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }
}

/** Let everything that is due happen. */
export async function settled() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
