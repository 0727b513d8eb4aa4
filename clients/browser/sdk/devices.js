/** Microphones and cameras: opening them, listing them, and saying in words why one cannot be had. */

/** @typedef {'microphone' | 'camera'} DeviceKind */

/** A device cannot be used. `message` is a sentence for its user. */
export class DeviceProblem extends Error {
  /**
   * @param {DeviceKind} kind
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.name = 'DeviceProblem';
    this.kind = kind;
  }
}

/**
 * Open a microphone, with echo cancellation, or a camera. Raises `DeviceProblem`.
 *
 * @param {DeviceKind} kind
 * @param {string} [deviceId]  empty for the browser's choice
 * @returns {Promise<MediaStream>}
 */
export async function openDevice(kind, deviceId = '') {
  if (!navigator.mediaDevices) {
    throw new DeviceProblem(kind, `Browsers hand out the ${kind} only over https, or on localhost.`);
  }
  const chosen = deviceId ? { deviceId: { exact: deviceId } } : {};
  const constraints =
    kind === 'microphone'
      ? { audio: { ...chosen, echoCancellation: true, noiseSuppression: true, autoGainControl: true } }
      : { video: { ...chosen, width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 15 } } };
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new DeviceProblem(kind, wordsFor(error, kind));
  }
}

/**
 * @param {unknown} error  what getUserMedia raised
 * @param {DeviceKind} kind
 */
export function wordsFor(error, kind) {
  switch (error instanceof Error ? error.name : '') {
    case 'NotAllowedError':
      return `The browser was not allowed to use the ${kind}. Allow it beside the address bar, then try again.`;
    case 'NotFoundError':
      return `No ${kind} was found. Is it plugged in?`;
    case 'NotReadableError':
      return `The ${kind} is there but does not start. Another program may be using it.`;
    case 'OverconstrainedError':
      return `The ${kind} that was chosen is gone. Choose another.`;
    default:
      return `The ${kind} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/**
 * The devices of a kind. Names are empty until the browser has been allowed to use one.
 *
 * @param {DeviceKind} kind
 * @returns {Promise<{id: string, name: string}[]>}
 */
export async function listDevices(kind) {
  if (!navigator.mediaDevices) return [];
  const wanted = kind === 'microphone' ? 'audioinput' : 'videoinput';
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === wanted);
  return devices.map((device, i) => ({
    id: device.deviceId,
    name: device.label || (devices.length > 1 ? `${kind} ${i + 1}` : kind),
  }));
}
