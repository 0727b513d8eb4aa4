/**
 * A conversation with an agent: talk, show and type to it, and follow what it does.
 *
 *     const session = new RealtimeSession({ url: 'http://localhost:8080' });
 *     session.on('entries', (entries) => entries.forEach((entry) => console.log(entry.role, entry.text)));
 *     await session.connect();
 *     session.say('Hello!');
 *
 * Knows what events mean; `Connection` knows how they travel. Touches no document.
 */

import { Connection } from './connection.js';
import { Conversation } from './conversation.js';
import { Emitter } from './emitter.js';
import { fetchListedModel } from './models.js';
import { phaseOf } from './phase.js';
import { SeenEvents } from './seen-events.js';
import { inputConfig, sessionConfig } from './session-config.js';
import { TalkButton } from './talk-button.js';
import { hasWebRtc, openWebRtc } from './webrtc-transport.js';
import { openWebSocket } from './websocket-transport.js';

/** @typedef {import('./types.js').RealtimeEvent} RealtimeEvent */
/** @typedef {import('./types.js').Model} Model */
/** @typedef {import('./types.js').Phase} Phase */
/** @typedef {import('./types.js').TransportKind} TransportKind */
/** @typedef {import('./types.js').TurnTaking} TurnTaking */

/** @typedef {import('./types.js').SessionOptions} SessionOptions */

const MAX_PLAYABLE = 64; // items whose sound may still wait to be heard
const HANGING_UP = 'You ended the session.';
const WAITING = ['conversation.item.create', 'response.create', 'session.update']; // for the connection to come back
const HARMLESS = ['response_cancel_not_active', 'item_create_duplicate_item_id']; // we were late, that is all

/** @extends {Emitter<import('./types.js').SessionEvents>} */
export class RealtimeSession extends Emitter {
  conversation = new Conversation();
  /** What the model can do; null before `connect`, and with a server that does not say. @type {Model | null} */
  model = null;
  /** @type {TurnTaking} */
  turnTaking;
  /** @type {Phase} */
  phase = 'idle';
  #options;
  #isClosed = false;
  /** @type {Connection | null} */
  #connection = null;
  /** @type {MediaStreamTrack | null} */
  #microphone = null;
  /** @type {MediaStreamTrack | null} */
  #camera = null;
  /** @type {import('./types.js').GrabJpeg | null} */
  #grab = null;
  #button = new TalkButton();
  #facts = { waiting: false, responding: false, writing: false, playing: false };
  #responseId = '';
  #wantsResponse = false;
  #seen = new SeenEvents();
  /** What was to be sent while the connection was away. @type {RealtimeEvent[]} */
  #unsent = [];
  /** The transport that the latest session, or part of one, began with. @type {import('./types.js').Transport | null} */
  #begun = null;
  /** Where in an item its sound is. @type {Map<string, number>} */
  #soundIndex = new Map();

  /** @param {SessionOptions} [options] */
  constructor(options = {}) {
    super();
    this.#options = options;
    this.turnTaking = options.turnTaking ?? 'hands-free';
  }

  /** @returns {TransportKind | null} */
  get transportKind() {
    return this.#connection?.transport?.kind ?? null;
  }

  /** The agent's voice, to be played. @returns {MediaStream | null} */
  get output() {
    return this.#connection?.transport?.output ?? null;
  }

  /** Why the session ended, as a sentence. */
  get endReason() {
    return this.#connection?.endReason ?? (this.phase === 'ended' ? HANGING_UP : '');
  }

  /** Connect and configure. Rejects with an `Error` whose message is a sentence. */
  async connect() {
    const url = this.#options.url ?? globalThis.location?.origin;
    const apiKey = this.#options.apiKey ?? null;
    this.#enter('connecting');
    try {
      this.model = await fetchListedModel(url, apiKey);
    } catch (error) {
      this.#enter('idle');
      throw error;
    }
    if (this.#isClosed) return;
    const openers = this.#options.openers ?? { webrtc: openWebRtc, websocket: openWebSocket };
    const connection = new Connection({ url, apiKey, audible: this.model?.speaks ?? true, kinds: this.#kinds(), openers });
    this.#connection = connection;
    connection.on('state', (state) => {
      if (state === 'ended') this.#tell(this.conversation.interruptAll());
      if (state === 'open' && connection.transport === this.#begun) this.#sendUnsent(); // the network was only slow
      this.#update();
    });
    connection.on('opened', ({ transport, how }) => this.#begin(transport, how));
    connection.on('event', (event) => this.#receive(event));
    connection.on('playing', (playing) => this.#update({ playing }));
    await connection.open();
  }

  /** Hang up. */
  close() {
    this.#isClosed = true;
    if (this.#connection === null) this.#enter('ended');
    else this.#connection.close(HANGING_UP);
  }

  // --- what the user does -------------------------------------------------------------------------------------------

  /**
   * Type something and have it answered.
   *
   * @param {string} text
   */
  say(text) {
    this.interrupt();
    const id = newItemId();
    this.#tell([this.conversation.addTyped(id, text)]);
    const content = [{ type: 'input_text', text }];
    this.send({ type: 'conversation.item.create', item: { id, type: 'message', role: 'user', content } });
    this.#respond('typed');
  }

  /**
   * Talk through this microphone, or through none.
   *
   * @param {MediaStreamTrack | null} track
   */
  async setMicrophone(track) {
    this.#microphone = track;
    this.#listen();
    await this.#connection?.transport?.setMicrophone(track);
  }

  /**
   * Show what this camera sees. `grab` takes its picture where the connection carries no video.
   *
   * @param {MediaStreamTrack | null} track
   * @param {import('./types.js').GrabJpeg | null} [grab]
   */
  async setCamera(track, grab = null) {
    this.#camera = track;
    this.#grab = grab;
    await this.#connection?.transport?.setCamera(track, grab);
  }

  /** @param {TurnTaking} turnTaking */
  setTurnTaking(turnTaking) {
    this.turnTaking = turnTaking;
    this.#button = new TalkButton();
    this.send({ type: 'session.update', session: { type: 'realtime', audio: { input: inputConfig(turnTaking) } } });
    this.#listen();
  }

  /** Push to talk: the button goes down. */
  press() {
    if (this.turnTaking !== 'push-to-talk' || !this.#button.press()) return;
    this.interrupt();
    this.send({ type: 'input_audio_buffer.clear' });
    this.#listen();
  }

  /** Push to talk: the button is let go, and what was said is answered. */
  async release() {
    if (!(await this.#button.release())) return;
    this.#listen();
    this.send({ type: 'input_audio_buffer.commit' });
    this.#respond('spoken');
  }

  /** Stop the agent, whatever it is doing. */
  interrupt() {
    const { responding, playing, waiting } = this.#facts;
    if (responding) this.send({ type: 'response.cancel' });
    if (responding || playing) void this.#silence();
    this.#wantsResponse = false;
    this.#update({ waiting: false });
    if (responding || playing || waiting) this.emit('interrupted', null);
  }

  /** @param {RealtimeEvent} event */
  send(event) {
    if (this.#connection?.state === 'reconnecting' && WAITING.includes(event.type)) this.#unsent.push(event);
    if (this.#connection?.state !== 'open') return;
    this.#connection.send(event);
    this.emit('sent', event);
  }

  /** @returns {Promise<import('./types.js').NetworkFacts | null>} */
  async network() {
    return (await this.#connection?.transport?.network()) ?? null;
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  /** @returns {TransportKind[]} */
  #kinds() {
    const asked = this.#options.transport ?? 'auto';
    if (asked !== 'auto') return [asked];
    const isTextOnly = this.model !== null && !this.model.hears && !this.model.speaks && !this.model.sees;
    return isTextOnly || !hasWebRtc() ? ['websocket'] : ['webrtc', 'websocket'];
  }

  /** @param {import('./types.js').Transport} transport @param {'new' | 'resumed' | 'replaced'} how */
  #begin(transport, how) {
    this.#begun = transport;
    this.emit('output', transport.output);
    void transport.setMicrophone(this.#microphone);
    void transport.setCamera(this.#camera, this.#grab);
    if (how === 'resumed') return this.#sendUnsent();
    this.#facts = { waiting: false, responding: false, writing: false, playing: false };
    this.send({ type: 'session.update', session: sessionConfig(this.turnTaking, this.#options.instructions) });
    if (how === 'replaced') this.#retell();
    this.#update();
    return undefined;
  }

  #sendUnsent() {
    for (const event of this.#unsent.splice(0)) this.send(event);
  }

  /** A new session in place of one that was lost: tell it what was said before. */
  #retell() {
    const broken = this.conversation.interruptAll();
    for (const item of this.conversation.toItems()) this.send({ type: 'conversation.item.create', item });
    const text = 'The server had lost this session. A new one was told what had been said in words.';
    this.#tell([...broken, this.conversation.addNotice(text)]);
    const isAsked = this.#unsent.splice(0).some(({ type }) => type === 'response.create'); // the rest was told just now
    if (isAsked) this.#respond(null);
  }

  // --- what the server says -----------------------------------------------------------------------------------------

  /** @param {RealtimeEvent} event */
  #receive(event) {
    if (this.#seen.has(event.event_id)) return;
    this.emit('received', event);
    switch (event.type) {
      case 'response.created':
        this.#responseId = event.response.id;
        this.#update({ waiting: false, responding: true, writing: false });
        break;
      case 'response.output_text.delta':
      case 'response.output_audio_transcript.delta':
        this.#update({ writing: true });
        break;
      case 'response.content_part.added':
        if (event.part.type === 'audio') this.#noteSound(event.item_id, event.content_index);
        break;
      case 'response.done':
        this.#finish(event.response.id);
        break;
      case 'input_audio_buffer.speech_started':
        if (this.transportKind === 'websocket') void this.#silence(); // over WebRTC the server does it
        break;
      case 'input_audio_buffer.speech_stopped':
        this.emit('asked', 'spoken');
        break;
      case 'error':
        this.#complain(event.error);
        break;
    }
    this.#tell(this.conversation.apply(event));
  }

  /** @param {string} responseId */
  #finish(responseId) {
    if (responseId !== this.#responseId) return;
    this.#update({ responding: false, writing: false });
    if (this.#wantsResponse) this.#respond(null);
  }

  /** @param {{code?: string | null, message?: string}} error */
  #complain(error) {
    const code = error.code ?? null;
    if (code === 'conversation_already_has_active_response') {
      this.#wantsResponse = true; // asked again when that one is done
      return;
    }
    if (code !== null && HARMLESS.includes(code)) return;
    this.#update({ waiting: false });
    this.emit('problem', { message: wordsFor(code, error.message ?? 'The server reported an error.'), code });
  }

  /** @param {'typed' | 'spoken' | null} question  null: it was asked before */
  #respond(question) {
    this.#wantsResponse = false;
    this.send({ type: 'response.create' });
    this.#update({ waiting: true });
    if (question !== null) this.emit('asked', question);
  }

  /** @param {string} itemId @param {number} contentIndex */
  #noteSound(itemId, contentIndex) {
    this.#soundIndex.set(itemId, contentIndex);
    if (this.#soundIndex.size > MAX_PLAYABLE) this.#soundIndex.delete(this.#soundIndex.keys().next().value ?? '');
  }

  /** Stop playing, and tell the server how much was heard. */
  async #silence() {
    const played = await this.#connection?.transport?.stopOutput();
    if (!played) return;
    const contentIndex = this.#soundIndex.get(played.itemId) ?? 0;
    const where = { item_id: played.itemId, content_index: contentIndex, audio_end_ms: played.playedMs };
    this.send({ type: 'conversation.item.truncate', ...where });
  }

  // --- ours ---------------------------------------------------------------------------------------------------------

  /** Open or close the microphone, as the way of taking turns wants it. */
  #listen() {
    if (this.#microphone !== null) this.#microphone.enabled = this.turnTaking === 'hands-free' || this.#button.isDown;
    this.emit('listening', this.#microphone?.enabled ?? false);
    this.#update();
  }

  /** @param {import('./conversation.js').Entry[]} entries */
  #tell(entries) {
    if (entries.length > 0) this.emit('entries', entries);
  }

  /** @param {Partial<{waiting: boolean, responding: boolean, writing: boolean, playing: boolean}>} [changes] */
  #update(changes = {}) {
    Object.assign(this.#facts, changes);
    const connection = this.#connection?.state ?? 'idle';
    this.#enter(phaseOf({ ...this.#facts, connection, listening: this.#microphone?.enabled ?? false }));
  }

  /** @param {Phase} phase */
  #enter(phase) {
    if (phase === this.phase) return;
    this.phase = phase;
    this.emit('phase', phase);
  }
}

/** An id of at most 32 characters, which is what servers accept. */
function newItemId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `item_${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** @param {string | null} code @param {string} message */
function wordsFor(code, message) {
  return code === 'input_audio_buffer_commit_empty' ? 'Hold the button while you speak.' : message;
}
