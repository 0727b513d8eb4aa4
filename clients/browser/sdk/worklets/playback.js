/**
 * AudioWorklet: plays what it is posted, at 24 kHz, and says when it begins, ends and was cut off.
 *
 * In: {push: {itemId, samples}} and {clear: true}. Out: {playing} whenever that changes, {cleared} after each clear.
 */

import { SAMPLE_RATE_HZ } from '../pcm.js';
import { PlaybackQueue } from '../playback-queue.js';
import { Resampler } from '../resample.js';

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = new PlaybackQueue(sampleRate);
    this.resampler = new Resampler(SAMPLE_RATE_HZ, sampleRate);
    this.wasPlaying = false;
    this.port.onmessage = ({ data }) => {
      if (data.push) this.queue.push(data.push.itemId, this.resampler.push(data.push.samples));
      if (data.clear) this.port.postMessage({ cleared: this.queue.clear() });
    };
  }

  /**
   * @param {Float32Array[][]} inputs
   * @param {Float32Array[][]} outputs
   */
  process(inputs, outputs) {
    this.queue.pull(outputs[0][0]);
    if (this.queue.isPlaying !== this.wasPlaying) {
      this.wasPlaying = this.queue.isPlaying;
      this.port.postMessage({ playing: this.wasPlaying });
    }
    return true;
  }
}

registerProcessor('omniweave-playback', Playback);
