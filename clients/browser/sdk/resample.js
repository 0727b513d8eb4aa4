/**
 * Streaming change of sample rate: pieces of any length in, what is ready of the same sound out.
 *
 * A polyphase windowed sinc. Concatenated outputs do not depend on how the input was cut. Runs in an AudioWorklet.
 */

const ZERO_CROSSINGS = 16; // on each side: images are 70 dB down
const PASS_BAND = 0.92; // of the lower Nyquist frequency; the rest is the filter's slope

export class Resampler {
  /**
   * @param {number} fromHz
   * @param {number} toHz
   */
  constructor(fromHz, toHz) {
    const divisor = greatestCommonDivisor(fromHz, toHz);
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const cutoff = Math.min(1, toHz / fromHz) * PASS_BAND;
    this.halfTaps = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.phases = Array.from({ length: this.up }, (_, phase) => tapsOf(phase / this.up, this.halfTaps, cutoff));
    this.pending = new Float32Array(this.halfTaps); // silence before the first sample
    this.position = this.halfTaps * this.up; // of the next output in `pending`, in 1/up samples
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  push(samples) {
    if (this.up === this.down) return samples.slice();
    const input = new Float32Array(this.pending.length + samples.length);
    input.set(this.pending);
    input.set(samples, this.pending.length);
    const last = (input.length - this.halfTaps) * this.up; // outputs before this have all their neighbours
    const output = new Float32Array(Math.max(0, Math.ceil((last - this.position) / this.down)));
    for (let n = 0; n < output.length; n++) {
      const index = Math.floor(this.position / this.up);
      const taps = this.phases[this.position % this.up];
      const first = index - this.halfTaps + 1;
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k] * input[first + k];
      output[n] = sum;
      this.position += this.down;
    }
    const used = Math.max(0, Math.floor(this.position / this.up) - this.halfTaps + 1);
    this.pending = input.slice(used);
    this.position -= used * this.up;
    return output;
  }
}

/**
 * The weights of the 2·halfTaps samples around a point `fraction` after a sample.
 *
 * @param {number} fraction
 * @param {number} halfTaps
 * @param {number} cutoff  as a share of the input's Nyquist frequency
 */
function tapsOf(fraction, halfTaps, cutoff) {
  const taps = new Float64Array(2 * halfTaps);
  for (let k = 0; k < taps.length; k++) {
    const x = k - halfTaps + 1 - fraction;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / halfTaps); // Hann
    taps[k] = Math.abs(x) < halfTaps ? window * sinc(x * cutoff) : 0;
  }
  const gain = taps.reduce((sum, tap) => sum + tap, 0);
  return taps.map((tap) => tap / gain);
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
