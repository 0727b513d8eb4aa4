/**
 * One session's connection, whichever transport carries it, and what becomes of it when the network fails.
 *
 * A lost session is resumed by its call where the server still has it; else a new one is opened. Knows nothing of
 * what the events mean. Timers and transports are handed in, so that it runs without a network.
 */

import { Emitter } from './emitter.js';
import { ServerRefused } from './models.js';
import { Backoff } from './reconnect.js';

/** @typedef {import('./types.js').Transport} Transport */
/** @typedef {import('./types.js').TransportKind} TransportKind */
/** @typedef {import('./types.js').OpenTransport} OpenTransport */

/** @typedef {'idle' | 'connecting' | 'open' | 'reconnecting' | 'ended'} ConnectionState */

/**
 * `opened`: `how` says whether the server's session is a new one, the same as before, or a new one in its place.
 *
 * @typedef {object} ConnectionEvents
 * @property {ConnectionState} state
 * @property {{transport: Transport, how: 'new' | 'resumed' | 'replaced'}} opened
 * @property {import('./types.js').RealtimeEvent} event
 * @property {boolean} playing
 */

/**
 * @typedef {object} ConnectionOptions
 * @property {string} url
 * @property {string | null} apiKey
 * @property {string} [model]
 * @property {boolean} audible
 * @property {TransportKind[]} kinds  in the order in which they are tried
 * @property {Record<TransportKind, OpenTransport>} openers
 * @property {number} [giveUpMs]
 * @property {() => number} [now]
 * @property {(delayMs: number) => Promise<void>} [sleep]
 */

const WAVERING_MS = 3_000; // packets that stay away longer are waited for no more
const NOT_FOUND = 404;
const HOPELESS = [401, 403]; // trying again would be refused again
const NO_SUCH_TRANSPORT = [404, 405, 501];

/** @extends {Emitter<ConnectionEvents>} */
export class Connection extends Emitter {
  /** @type {ConnectionState} */
  state = 'idle';
  /** Why it ended, as a sentence. */
  endReason = '';
  /** @type {Transport | null} */
  transport = null;
  #options;
  #now;
  #sleep;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #wavering;

  /** @param {ConnectionOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#sleep = options.sleep ?? ((delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)));
  }

  /** Connect by the first transport that works. Rejects with the reason of the last that did not. */
  async open() {
    this.#enter('connecting');
    /** @type {unknown} */
    let failure = new Error('There is no transport to try.');
    for (const kind of this.#options.kinds) {
      try {
        const transport = await this.#openTransport(kind, null);
        if (this.state !== 'connecting') return transport.close(); // closed meanwhile
        this.#adopt(transport, 'new');
        return undefined;
      } catch (error) {
        failure = error;
        if (error instanceof ServerRefused && !NO_SUCH_TRANSPORT.includes(error.status)) break;
      }
    }
    this.#end(failure instanceof Error ? failure.message : String(failure));
    throw failure;
  }

  /** @param {import('./types.js').RealtimeEvent} event */
  send(event) {
    this.transport?.send(event);
  }

  /** @param {string} reason */
  close(reason) {
    this.transport?.close();
    this.#end(reason);
  }

  /** @param {TransportKind} kind @param {string | null} resume */
  #openTransport(kind, resume) {
    const { url, apiKey, model, audible, openers } = this.#options;
    return openers[kind]({ url, apiKey, resume, audible, ...(model ? { model } : {}) });
  }

  /** @param {Transport} transport @param {'new' | 'resumed' | 'replaced'} how */
  #adopt(transport, how) {
    this.transport = transport;
    const isCurrent = () => this.transport === transport && this.state !== 'ended';
    transport.on('event', (event) => isCurrent() && this.emit('event', event));
    transport.on('playing', (playing) => isCurrent() && this.emit('playing', playing));
    transport.on('wavering', (wavers) => isCurrent() && this.#waver(transport, wavers));
    transport.on('lost', ({ reason, canRetry }) => isCurrent() && this.#lose(transport, reason, canRetry));
    this.#enter('open');
    this.emit('opened', { transport, how });
    transport.start();
  }

  /** @param {Transport} transport @param {boolean} wavers */
  #waver(transport, wavers) {
    clearTimeout(this.#wavering);
    this.#enter(wavers ? 'reconnecting' : 'open');
    if (!wavers) return;
    this.#wavering = setTimeout(() => this.#lose(transport, 'The network stopped.', true), WAVERING_MS);
  }

  /** @param {Transport} transport @param {string} reason @param {boolean} canRetry */
  #lose(transport, reason, canRetry) {
    clearTimeout(this.#wavering);
    this.transport = null;
    if (canRetry) void this.#recover(transport, reason);
    else this.#end(reason);
  }

  /** @param {Transport} lost @param {string} reason */
  async #recover(lost, reason) {
    this.#enter('reconnecting');
    const backoff = new Backoff(this.#now(), this.#options.giveUpMs);
    let resume = lost.callId;
    while (this.state === 'reconnecting') {
      const delayMs = backoff.next(this.#now());
      if (delayMs === null) {
        this.#end(`${reason} The server could not be reached again.`);
        break;
      }
      await this.#sleep(delayMs);
      if (this.state !== 'reconnecting') break;
      try {
        const transport = await this.#openTransport(lost.kind, resume);
        if (this.state === 'reconnecting') this.#adopt(transport, resume ? 'resumed' : 'replaced');
        else transport.close();
      } catch (error) {
        if (!(error instanceof ServerRefused)) continue;
        if (HOPELESS.includes(error.status)) this.#end(error.message);
        if (error.status === NOT_FOUND) resume = null; // the server has forgotten it
      }
    }
    lost.close(); // not earlier: hanging up would end the session that is being resumed
  }

  /** @param {ConnectionState} state */
  #enter(state) {
    if (this.state === state || this.state === 'ended') return;
    this.state = state;
    this.emit('state', state);
  }

  /** @param {string} reason */
  #end(reason) {
    if (this.state === 'ended') return;
    clearTimeout(this.#wavering);
    this.endReason = reason;
    this.transport = null;
    this.#enter('ended');
  }
}
