/** Sound as numbers: float samples in [-1, 1], 16 bit samples, and base64 of their little-endian bytes. */

export const SAMPLE_RATE_HZ = 24_000; // of PCM on the wire

/**
 * @param {Float32Array} samples
 * @returns {Int16Array}
 */
export function pcm16OfFloat(samples) {
  const pcm16 = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    pcm16[i] = Math.max(-32_768, Math.min(32_767, Math.round(samples[i] * 32_768)));
  }
  return pcm16;
}

/**
 * @param {Int16Array} pcm16
 * @returns {Float32Array}
 */
export function floatOfPcm16(pcm16) {
  return Float32Array.from(pcm16, (sample) => sample / 32_768);
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function base64OfBytes(bytes) {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 8_192) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 8_192)); // more would overflow the stack
  }
  return btoa(binary);
}

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function bytesOfBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/**
 * @param {Int16Array} pcm16
 * @returns {string}
 */
export function base64OfPcm16(pcm16) {
  const view = new DataView(new ArrayBuffer(pcm16.length * 2));
  pcm16.forEach((sample, i) => view.setInt16(i * 2, sample, true));
  return base64OfBytes(new Uint8Array(view.buffer));
}

/**
 * @param {string} text
 * @returns {Int16Array}
 */
export function pcm16OfBase64(text) {
  const bytes = bytesOfBase64(text);
  const view = new DataView(bytes.buffer);
  return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => view.getInt16(i * 2, true));
}
