/**
 * Events, sound and pictures over one WebSocket, where WebRTC cannot be had or is not needed.
 *
 * The microphone's sound is resampled and cut up in an AudioWorklet and sent as events; the agent's arrives as events
 * and is queued in another. `output` is a stream like WebRTC's, so that both are played and measured alike. TCP loses
 * nothing; a network that stopped is noticed by what piles up unsent.
 */

import { Emitter } from './emitter.js';
import { Gate } from './gate.js';
import { base64OfBytes, base64OfPcm16, floatOfPcm16, pcm16OfBase64 } from './pcm.js';

/** @typedef {import('./types.js').RealtimeEvent} RealtimeEvent */
/** @typedef {import('./types.js').TransportOptions} TransportOptions */

const FRAME_MS = 250; // one picture a tick: more would not be looked at
const STALLED_MS = 4_000; // nothing left the browser for so long: the network is gone
const WATCH_MS = 500;
const MAX_UNSENT_BYTES = 500_000; // 8 s of sound; more is not worth sending late

// RFC 6455, section 7.4.1; the server's own use of them is in docs/protocol.md.
const NORMAL = 1000;
const GOING_AWAY = 1001;
const POLICY = 1008;
const SERVER_ERROR = 1011;

/** @extends {Emitter<import('./types.js').TransportEvents>} */
export class WebSocketTransport extends Emitter {
  /** @type {'websocket'} */
  kind = 'websocket';
  callId = null;
  #socket;
  /** @type {AudioContext | null} */
  #speaker = null;
  /** @type {AudioWorkletNode | null} */
  #playback = null;
  /** @type {((played: import('./types.js').Played | null) => void)[]} */
  #cleared = [];
  /** @type {Microphone | null} */
  #microphone = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #camera;
  #watch;
  #unsentBytes = 0;
  #drainedMs = 0;
  #isOver = false;
  #gate = new Gate();
  /** @type {MediaStream | null} */
  output = null;

  /** @param {WebSocket} socket  open */
  constructor(socket) {
    super();
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#gate.pass(() => this.#receive(JSON.parse(data)));
    socket.onclose = ({ code, reason }) => this.#gate.pass(() => this.#lose(...meaningOf(code, reason)));
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
  }

  start() {
    this.#gate.open();
  }

  /** @param {RealtimeEvent} event */
  send(event) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }

  /** @param {MediaStreamTrack | null} track */
  async setMicrophone(track) {
    this.#microphone?.close();
    this.#microphone = null;
    if (track === null) return;
    this.#microphone = await Microphone.open(track, (pcm16) => {
      if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) return;
      this.send({ type: 'input_audio_buffer.append', audio: base64OfPcm16(pcm16) });
    });
  }

  /**
   * @param {MediaStreamTrack | null} track
   * @param {import('./types.js').GrabJpeg | null} grab
   */
  async setCamera(track, grab) {
    clearInterval(this.#camera);
    if (track === null || grab === null) return;
    let isBusy = false;
    this.#camera = setInterval(async () => {
      if (isBusy || this.#socket.bufferedAmount > MAX_UNSENT_BYTES) return;
      isBusy = true;
      const jpeg = await grab().catch(() => null);
      if (jpeg !== null) this.send({ type: 'omniweave.video.append', image: base64OfBytes(jpeg) });
      isBusy = false;
    }, FRAME_MS);
  }

  /** Make the agent audible. To be called while the browser allows sound: after a click. */
  async openSpeaker() {
    if (this.#speaker !== null) return;
    const context = new AudioContext(); // at the device's own rate: not every browser joins contexts of two rates
    this.#speaker = context;
    await context.audioWorklet.addModule(new URL('./worklets/playback.js', import.meta.url));
    const playback = new AudioWorkletNode(context, 'omniweave-playback', { numberOfInputs: 0 });
    const sink = context.createMediaStreamDestination();
    playback.connect(sink);
    playback.port.onmessage = ({ data }) => {
      if ('playing' in data) this.emit('playing', data.playing);
      if ('cleared' in data) this.#cleared.shift()?.(data.cleared);
    };
    this.#playback = playback;
    this.output = sink.stream;
  }

  /** @returns {Promise<import('./types.js').Played | null>} */
  async stopOutput() {
    if (this.#playback === null) return null;
    this.#playback.port.postMessage({ clear: true });
    return new Promise((resolve) => this.#cleared.push(resolve));
  }

  async network() {
    return { roundTripMs: null, lostIn: null, lostOut: null };
  }

  close() {
    this.#end();
    this.#socket.close(NORMAL);
  }

  /** @param {RealtimeEvent} event */
  #receive(event) {
    if (event.type === 'response.output_audio.delta') {
      const samples = floatOfPcm16(pcm16OfBase64(event.delta));
      this.#playback?.port.postMessage({ push: { itemId: event.item_id, samples } }, [samples.buffer]);
    }
    this.emit('event', event);
  }

  /** Notice a network that takes nothing any more. */
  #look() {
    const unsentBytes = this.#socket.bufferedAmount;
    const nowMs = performance.now();
    if (unsentBytes === 0 || unsentBytes < this.#unsentBytes) this.#drainedMs = nowMs;
    this.#unsentBytes = unsentBytes;
    if (unsentBytes > 0 && nowMs - this.#drainedMs > STALLED_MS) {
      this.#lose('The network stopped.', true);
      this.#socket.close();
    }
  }

  /** @param {string} reason @param {boolean} canRetry */
  #lose(reason, canRetry) {
    if (this.#isOver) return;
    this.#end();
    this.emit('lost', { reason, canRetry });
  }

  #end() {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#watch);
    clearInterval(this.#camera);
    this.#microphone?.close();
    void this.#speaker?.close();
    for (const resolve of this.#cleared.splice(0)) resolve(null);
    this.#playback = null;
    this.emit('playing', false);
  }
}

/** A microphone's track as pieces of PCM16 at 24 kHz. */
class Microphone {
  /** @param {AudioContext} context */
  constructor(context) {
    this.context = context;
  }

  /**
   * @param {MediaStreamTrack} track
   * @param {(pcm16: Int16Array) => void} take
   */
  static async open(track, take) {
    const context = new AudioContext(); // at the device's own rate: not every browser resamples a microphone
    await context.audioWorklet.addModule(new URL('./worklets/capture.js', import.meta.url));
    const capture = new AudioWorkletNode(context, 'omniweave-capture', { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => take(data);
    context.createMediaStreamSource(new MediaStream([track])).connect(capture);
    return new Microphone(context);
  }

  close() {
    void this.context.close();
  }
}

/**
 * What a close code says about trying again.
 *
 * @param {number} code
 * @param {string} reason
 * @returns {[string, boolean]}
 */
function meaningOf(code, reason) {
  switch (code) {
    case NORMAL:
      return [reason || 'The server ended the session.', false];
    case GOING_AWAY:
      return [reason || 'The server stopped.', true];
    case POLICY:
      return [reason || 'The server ended the session.', false];
    case SERVER_ERROR:
      return [reason || 'The model failed.', false];
    default:
      return ['The connection broke.', true];
  }
}

/**
 * Connect. Rejects with a reason in words.
 *
 * @param {TransportOptions} options
 * @returns {Promise<WebSocketTransport>}
 */
export async function openWebSocket(options) {
  const url = new URL('/v1/realtime', options.url);
  url.protocol = url.protocol.replace('http', 'ws');
  if (options.model) url.searchParams.set('model', options.model);
  const protocols = ['realtime'];
  if (options.apiKey) protocols.push(`openai-insecure-api-key.${options.apiKey}`); // a browser cannot set headers
  const socket = new WebSocket(url, protocols);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = () => reject(new Error('The server did not accept the connection.'));
  });
  const transport = new WebSocketTransport(socket);
  if (options.audible) await transport.openSpeaker();
  return transport;
}
