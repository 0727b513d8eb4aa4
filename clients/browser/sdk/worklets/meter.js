/** AudioWorklet: the power of the sound that passes, once per 20 ms, as {meanSquare, peak}. */

const REPORT_S = 0.02;

class Meter extends AudioWorkletProcessor {
  constructor() {
    super();
    this.sum = 0;
    this.peak = 0;
    this.count = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channel = inputs[0]?.[0];
    for (const sample of channel ?? []) {
      this.sum += sample * sample;
      this.peak = Math.max(this.peak, Math.abs(sample));
    }
    this.count += channel?.length ?? 128; // a quantum of nothing is 128 samples long
    if (this.count >= REPORT_S * sampleRate) {
      this.port.postMessage({ meanSquare: this.sum / this.count, peak: this.peak });
      this.sum = this.peak = this.count = 0;
    }
    return true;
  }
}

registerProcessor('omniweave-meter', Meter);
