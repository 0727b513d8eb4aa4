/** What a session asks of the server when it begins. Pure. */

/** @typedef {import('./types.js').TurnTaking} TurnTaking */

const OUTPUTS = ['text', 'audio', 'image']; // the server leaves out what its model cannot make

/**
 * The session of the first `session.update`.
 *
 * @param {TurnTaking} turnTaking
 * @param {string | undefined} instructions
 */
export function sessionConfig(turnTaking, instructions) {
  return {
    type: 'realtime',
    ...(instructions ? { instructions } : {}),
    audio: { input: inputConfig(turnTaking) },
    omniweave: { outputs: OUTPUTS, video: true, ticks: true },
  };
}

/** @param {TurnTaking} turnTaking */
export function inputConfig(turnTaking) {
  const detection = { type: 'server_vad', create_response: true, interrupt_response: true };
  return { transcription: { model: 'default' }, turn_detection: turnTaking === 'hands-free' ? detection : null };
}
