/** What was measured, as numbers on the page. */

import { byId } from './dom.js';

/** @typedef {import('../sdk/types.js').NetworkFacts} NetworkFacts */

const KINDS = { webrtc: 'WebRTC', websocket: 'WebSocket' };
const NONE = '–';

export class Readout {
  #firstText = byId('first-text', HTMLElement);
  #firstSound = byId('first-sound', HTMLElement);
  #tick = byId('tick', HTMLElement);
  #roundTrip = byId('round-trip', HTMLElement);
  #loss = byId('loss', HTMLElement);
  #connection = byId('connection', HTMLElement);

  /** @param {import('../sdk/latency.js').Answered | null} answered @param {number | null} tickMs */
  showTimes(answered, tickMs) {
    this.#firstText.textContent = milliseconds(answered?.textMs ?? null);
    this.#firstSound.textContent = milliseconds(answered?.soundMs ?? null);
    this.#tick.textContent = milliseconds(tickMs);
  }

  /** @param {import('../sdk/types.js').TransportKind | null} kind @param {NetworkFacts | null} facts */
  showNetwork(kind, facts) {
    this.#connection.textContent = kind === null ? NONE : KINDS[kind];
    this.#roundTrip.textContent = milliseconds(facts?.roundTripMs ?? null);
    this.#loss.textContent =
      kind === 'websocket' ? 'none, TCP' : `${percent(facts?.lostIn ?? null)} / ${percent(facts?.lostOut ?? null)}`;
  }
}

/** @param {number | null} value */
function milliseconds(value) {
  if (value === null) return NONE;
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

/** @param {number | null} share */
function percent(share) {
  if (share === null) return NONE;
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}
