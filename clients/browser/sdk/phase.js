/** What the session is doing, from what is known of its parts. Pure. */

/** @typedef {import('./types.js').Phase} Phase */

/**
 * @typedef {object} Facts
 * @property {'idle' | 'connecting' | 'open' | 'reconnecting' | 'ended'} connection
 * @property {boolean} listening    a microphone is open and turned up
 * @property {boolean} waiting      something was asked and nothing has come yet
 * @property {boolean} responding   a response is being made
 * @property {boolean} writing      and some of its text has come
 * @property {boolean} playing      the agent's sound is being heard
 */

/**
 * @param {Facts} facts
 * @returns {Phase}
 */
export function phaseOf(facts) {
  if (facts.connection !== 'open') return facts.connection;
  if (facts.playing) return 'speaking';
  if (facts.responding) return facts.writing ? 'writing' : 'thinking';
  if (facts.waiting) return 'thinking';
  return facts.listening ? 'listening' : 'ready';
}
