/** AudioWorklet: the microphone's sound → PCM16 at 24 kHz in pieces of 40 ms, posted as they are full. */

import { SAMPLE_RATE_HZ, pcm16OfFloat } from '../pcm.js';
import { Resampler } from '../resample.js';

const PIECE_SAMPLES = SAMPLE_RATE_HZ / 25;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, SAMPLE_RATE_HZ);
    this.piece = new Float32Array(PIECE_SAMPLES);
    this.filled = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channel = inputs[0]?.[0];
    if (channel) this.#append(this.resampler.push(channel));
    return true;
  }

  /** @param {Float32Array} samples */
  #append(samples) {
    for (let taken = 0; taken < samples.length; ) {
      const part = samples.subarray(taken, taken + PIECE_SAMPLES - this.filled);
      this.piece.set(part, this.filled);
      this.filled += part.length;
      taken += part.length;
      if (this.filled === PIECE_SAMPLES) this.#post();
    }
  }

  #post() {
    this.filled = 0;
    const pcm16 = pcm16OfFloat(this.piece);
    this.port.postMessage(pcm16, [pcm16.buffer]);
  }
}

registerProcessor('omniweave-capture', Capture);
