/** The switch that records a conversation, and the link that saves it. */

import { Recording } from '../sdk/index.js';
import { byId } from './dom.js';

/** @typedef {import('../sdk/realtime-session.js').RealtimeSession} RealtimeSession */

export class Recorder {
  #switch = byId('record', HTMLInputElement);
  #words = byId('record-words', HTMLElement);
  #link = byId('record-link', HTMLAnchorElement);
  #current;
  /** @type {Recording | null} */
  #recording = null;

  /** @param {() => {session: RealtimeSession | null, input: MediaStream | null}} current  what there is to record */
  constructor(current) {
    this.#current = current;
    this.#switch.addEventListener('change', () => void (this.#switch.checked ? this.begin() : this.finish()));
  }

  /** Record from now on, if the switch is on and there is a session. */
  begin() {
    const { session, input } = this.#current();
    if (!this.#switch.checked || this.#recording !== null) return;
    this.#link.hidden = true;
    this.#words.textContent = session ? 'Recording …' : 'Will begin with the conversation.';
    if (session === null) return;
    this.#recording = new Recording(session);
    this.hear(input);
    this.#recording.hear('output', session.output);
  }

  /**
   * The user's sound from now on.
   *
   * @param {MediaStream | null} input
   */
  hear(input) {
    this.#recording?.hear('input', input);
  }

  /** End the recording and offer it. */
  async finish() {
    const recording = this.#recording;
    this.#recording = null;
    this.#switch.checked = false;
    if (recording === null) {
      this.#words.textContent = 'Off. A recording stays on this device until you save it.';
      return;
    }
    const seconds = recording.seconds;
    const file = await recording.stop();
    if (this.#link.href) URL.revokeObjectURL(this.#link.href);
    this.#link.href = URL.createObjectURL(file);
    this.#link.download = `omniweave-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.zip`;
    this.#link.textContent = `Save recording (${(file.size / 1e6).toFixed(1)} MB)`;
    this.#link.hidden = false;
    this.#words.textContent = `${Math.round(seconds)} seconds: both voices and every event, in one file.`;
  }
}
