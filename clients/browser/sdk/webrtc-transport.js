/**
 * Events, sound and pictures over WebRTC: a data channel and media tracks.
 *
 * One offer holds everything that may be wanted later: a microphone and a camera are put into senders that are there
 * from the beginning, so turning one on or off negotiates nothing. `callId` is what a lost session is resumed by.
 */

import { Emitter } from './emitter.js';
import { Gate } from './gate.js';
import { authorization, refusalOf } from './models.js';

/** @typedef {import('./types.js').RealtimeEvent} RealtimeEvent */
/** @typedef {import('./types.js').TransportOptions} TransportOptions */

const OPEN_MS = 6_000; // then a WebSocket is tried
const CHANNEL = 'oai-events';

/** @extends {Emitter<import('./types.js').TransportEvents>} */
export class WebRtcTransport extends Emitter {
  /** @type {'webrtc'} */
  kind = 'webrtc';
  #peer;
  #channel;
  #microphone;
  #camera;
  #isOver = false;
  #gate = new Gate();
  #expiresMs = Infinity;
  /** What the server said went wrong, if that ends the session. @type {string | null} */
  #failure = null;
  #counts = { received: 0, lost: 0 };

  /**
   * @param {RTCPeerConnection} peer
   * @param {RTCDataChannel} channel
   * @param {RTCRtpTransceiver} microphone
   * @param {RTCRtpTransceiver} camera
   * @param {string | null} callId
   */
  constructor(peer, channel, microphone, camera, callId) {
    super();
    this.#peer = peer;
    this.#channel = channel;
    this.#microphone = microphone.sender;
    this.#camera = camera.sender;
    this.callId = callId;
    this.output = new MediaStream([microphone.receiver.track]);
    channel.onmessage = ({ data }) => this.#gate.pass(() => this.#receive(JSON.parse(data)));
    channel.onclose = () => this.#gate.pass(() => this.#lose(...this.#whyClosed()));
    peer.onconnectionstatechange = () => this.#gate.pass(() => this.#follow(peer.connectionState));
  }

  start() {
    this.#gate.open();
  }

  /** @param {RealtimeEvent} event */
  send(event) {
    if (this.#channel.readyState === 'open') this.#channel.send(JSON.stringify(event));
  }

  /** @param {MediaStreamTrack | null} track */
  async setMicrophone(track) {
    await this.#microphone.replaceTrack(track);
  }

  /** @param {MediaStreamTrack | null} track */
  async setCamera(track) {
    await this.#camera.replaceTrack(track);
  }

  /** The server drops what it has queued, and truncates what was not heard. */
  async stopOutput() {
    this.send({ type: 'output_audio_buffer.clear' });
    return null;
  }

  /** @returns {Promise<import('./types.js').NetworkFacts>} */
  async network() {
    /** @type {import('./types.js').NetworkFacts} */
    const facts = { roundTripMs: null, lostIn: null, lostOut: null };
    for (const stat of (await this.#peer.getStats()).values()) {
      if (stat.type === 'inbound-rtp' && stat.kind === 'audio') facts.lostIn = this.#lostSince(stat);
      if (stat.type === 'remote-inbound-rtp' && stat.kind === 'audio') facts.lostOut = stat.fractionLost ?? null;
      if (stat.type === 'candidate-pair' && stat.nominated && stat.currentRoundTripTime !== undefined) {
        facts.roundTripMs = stat.currentRoundTripTime * 1000;
      }
    }
    return facts;
  }

  close() {
    this.#end();
  }

  /** @param {RealtimeEvent} event */
  #receive(event) {
    if (event.type === 'output_audio_buffer.started') this.emit('playing', true);
    if (event.type === 'output_audio_buffer.stopped') this.emit('playing', false);
    if (event.type === 'output_audio_buffer.cleared') this.emit('playing', false);
    if (event.type === 'session.created') this.#expiresMs = event.session.expires_at * 1000;
    if (event.type === 'error' && event.error.code === 'engine_failure') this.#failure = event.error.message;
    this.emit('event', event);
  }

  /** A closed channel does not say why: what was said before has to tell. @returns {[string, boolean]} */
  #whyClosed() {
    if (this.#failure !== null) return [this.#failure, false];
    if (Date.now() > this.#expiresMs) return ['The session has expired.', false];
    return ['The connection was closed.', true];
  }

  /** @param {{packetsReceived?: number, packetsLost?: number}} stat */
  #lostSince(stat) {
    const now = { received: stat.packetsReceived ?? 0, lost: Math.max(0, stat.packetsLost ?? 0) };
    const lost = now.lost - this.#counts.lost;
    const total = lost + now.received - this.#counts.received;
    this.#counts = now;
    return total > 0 ? Math.max(0, lost / total) : null;
  }

  /** @param {RTCPeerConnectionState} state */
  #follow(state) {
    if (state === 'connected') this.emit('wavering', false);
    if (state === 'disconnected') this.emit('wavering', true);
    if (state === 'failed') this.#lose('The network stopped.', true);
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
    this.#peer.close();
    this.emit('playing', false);
  }
}

/** Whether this browser has WebRTC. */
export function hasWebRtc() {
  return typeof RTCPeerConnection === 'function';
}

/**
 * Connect. Rejects with a reason in words; a `ServerRefused` where the server said no.
 *
 * @param {TransportOptions} options
 * @returns {Promise<WebRtcTransport>}
 */
export async function openWebRtc(options) {
  const peer = new RTCPeerConnection();
  try {
    const channel = peer.createDataChannel(CHANNEL);
    const microphone = peer.addTransceiver('audio', { direction: 'sendrecv' });
    const camera = peer.addTransceiver('video', { direction: 'sendonly' });
    const opened = hasOpened(channel);
    opened.catch(() => {}); // where the offer is refused nobody waits for it any more
    await peer.setLocalDescription(await peer.createOffer());
    const { sdp, callId } = await postOffer(options, peer.localDescription?.sdp ?? '');
    await peer.setRemoteDescription({ type: 'answer', sdp });
    await opened;
    return new WebRtcTransport(peer, channel, microphone, camera, callId);
  } catch (error) {
    peer.close();
    throw error;
  }
}

/**
 * @param {TransportOptions} options
 * @param {string} offer
 */
async function postOffer(options, offer) {
  const url = new URL('/v1/realtime/calls', options.url);
  if (options.model) url.searchParams.set('model', options.model);
  if (options.resume) url.searchParams.set('resume', options.resume);
  const headers = { 'Content-Type': 'application/sdp', ...authorization(options.apiKey) };
  const response = await fetch(url, { method: 'POST', headers, body: offer });
  if (!response.ok) throw await refusalOf(response);
  const callId = response.headers.get('Location')?.split('/').pop() ?? null;
  return { sdp: await response.text(), callId };
}

/** @param {RTCDataChannel} channel @returns {Promise<void>} */
function hasOpened(channel) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('No packets reach the server: is UDP blocked?')), OPEN_MS);
    channel.onopen = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}
