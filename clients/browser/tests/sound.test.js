/** Sound as numbers: bytes and samples, resampling, the queue of what is to be heard, levels. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SILENCE_DB, Falling, VoiceGate, dbOfPower, shareOfDb } from '../sdk/meter.js';
import { base64OfPcm16, floatOfPcm16, pcm16OfBase64, pcm16OfFloat } from '../sdk/pcm.js';
import { PlaybackQueue } from '../sdk/playback-queue.js';
import { Resampler } from '../sdk/resample.js';

/** @param {number} hz @param {number} rateHz @param {number} numSamples */
function tone(hz, rateHz, numSamples) {
  return Float32Array.from({ length: numSamples }, (_, n) => 0.5 * Math.sin((2 * Math.PI * hz * n) / rateHz));
}

/** @param {Float32Array} samples */
function rms(samples) {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}

/** @param {Float32Array[]} pieces */
function joined(pieces) {
  return Float32Array.from(pieces.flatMap((piece) => [...piece]));
}

test('samples survive the way to base64 and back', () => {
  const pcm16 = Int16Array.from([0, 1, -1, 32767, -32768, 12345]);
  assert.deepEqual(pcm16OfBase64(base64OfPcm16(pcm16)), pcm16);
  assert.deepEqual(pcm16OfFloat(floatOfPcm16(pcm16)), pcm16);
});

test('samples are little-endian on the wire', () => {
  assert.equal(atob(base64OfPcm16(Int16Array.of(0x0102))), '\x02\x01');
});

test('samples beyond full scale are clipped, not wrapped', () => {
  assert.deepEqual(pcm16OfFloat(Float32Array.of(1.5, -1.5)), Int16Array.of(32767, -32768));
});

test('an odd byte at the end of a delta is no sample', () => {
  assert.equal(pcm16OfBase64(btoa('abc')).length, 1);
});

for (const fromHz of [8_000, 16_000, 44_100, 48_000]) {
  test(`a tone keeps its level and pitch from ${fromHz} Hz to 24 kHz`, () => {
    const output = new Resampler(fromHz, 24_000).push(tone(1_000, fromHz, fromHz));
    const middle = output.subarray(2_000, 22_000);
    const expected = tone(1_000, 24_000, 24_000);
    // The filter delays nothing: only its edges differ from the tone itself.
    const difference = middle.map((sample, n) => sample - expected[n + 2_000]);
    assert.ok(rms(difference) < 2e-3, `differs by ${rms(difference)}`);
  });
}

test('what lies above the new Nyquist frequency does not fold back', () => {
  const output = new Resampler(48_000, 24_000).push(tone(15_000, 48_000, 48_000));
  assert.ok(rms(output.subarray(1_000, 23_000)) < 1e-3);
});

test('the output does not depend on how the input was cut', () => {
  const input = tone(440, 44_100, 10_000);
  const whole = new Resampler(44_100, 24_000).push(input);
  for (const size of [1, 7, 128, 4_096]) {
    const resampler = new Resampler(44_100, 24_000);
    const pieces = [];
    for (let at = 0; at < input.length; at += size) pieces.push(resampler.push(input.subarray(at, at + size)));
    assert.deepEqual(joined(pieces), whole, `pieces of ${size}`);
  }
});

test('as much sound comes out as goes in, for as long as it goes on', () => {
  const resampler = new Resampler(44_100, 24_000);
  let count = 0;
  for (let second = 0; second < 10; second++) count += resampler.push(new Float32Array(44_100)).length;
  assert.ok(Math.abs(count - 240_000) < 30, `${count} samples`);
});

test('equal rates pass samples through', () => {
  assert.deepEqual(new Resampler(24_000, 24_000).push(Float32Array.of(1, 2, 3)), Float32Array.of(1, 2, 3));
});

// --- the queue ------------------------------------------------------------------------------------------------------

const RATE_HZ = 1_000; // a sample is a millisecond

/** @param {PlaybackQueue} queue @param {number} numSamples */
function pulled(queue, numSamples) {
  const out = new Float32Array(numSamples).fill(9);
  queue.pull(out);
  return [...out];
}

/** @param {number} value @param {number} length */
const run = (value, length) => new Float32Array(length).fill(value);

test('an empty queue plays silence', () => {
  assert.deepEqual(pulled(new PlaybackQueue(RATE_HZ), 3), [0, 0, 0]);
});

test('pieces are heard in order and without a gap', () => {
  const queue = new PlaybackQueue(RATE_HZ);
  queue.push('a', run(1, 100));
  queue.push('a', run(2, 100));
  assert.deepEqual(pulled(queue, 200), [...run(1, 100), ...run(2, 100)]);
  assert.equal(queue.isPlaying, false);
});

test('a short piece waits for the lead before it is heard', () => {
  const queue = new PlaybackQueue(RATE_HZ);
  queue.push('a', run(1, 10));
  assert.deepEqual(pulled(queue, 20), [...run(0, 20)]);
  assert.deepEqual(pulled(queue, 20), [...run(0, 20)]);
  assert.deepEqual(pulled(queue, 20), [...run(1, 10), ...run(0, 10)]);
});

test('a queue that ran dry within an item waits for a longer lead', () => {
  const queue = new PlaybackQueue(RATE_HZ);
  queue.push('a', run(1, 100));
  pulled(queue, 150);
  const before = queue.leadMs;
  queue.push('a', run(1, 10));
  assert.equal(queue.leadMs, before * 2);
  queue.push('b', run(1, 100));
  pulled(queue, 400);
  assert.equal(queue.leadMs, before, 'the next item begins as the first did');
});

test('clearing tells how far the item was heard, and forgets the rest', () => {
  const queue = new PlaybackQueue(RATE_HZ);
  queue.push('a', run(1, 300));
  pulled(queue, 120);
  assert.deepEqual(queue.clear(), { itemId: 'a', playedMs: 120 });
  assert.deepEqual(pulled(queue, 5), [0, 0, 0, 0, 0]);
  assert.equal(queue.clear(), null, 'nothing is left to clear');
});

test('clearing an item that was not heard yet says so', () => {
  const queue = new PlaybackQueue(RATE_HZ);
  queue.push('a', run(1, 100));
  pulled(queue, 100);
  queue.push('b', run(1, 100));
  assert.deepEqual(queue.clear(), { itemId: 'b', playedMs: 0 });
});

// --- levels ---------------------------------------------------------------------------------------------------------

test('levels are decibels below full scale', () => {
  assert.equal(dbOfPower(1), 0);
  assert.equal(dbOfPower(0.01), -20);
  assert.equal(dbOfPower(0), SILENCE_DB);
  assert.deepEqual([shareOfDb(0), shareOfDb(-30), shareOfDb(-90), shareOfDb(6)], [1, 0.5, 0, 1]);
});

test('a shown level rises at once and falls slowly', () => {
  const level = new Falling();
  assert.equal(level.push(-10, 0), -10);
  assert.equal(level.push(-80, 500), -30);
  assert.equal(level.push(-20, 500), -20);
});

test('a voice begins once, however it wavers, and again after a pause', () => {
  const gate = new VoiceGate();
  const begins = [];
  for (let ms = 0; ms < 3_000; ms += 20) {
    const isVoice = (ms >= 500 && ms < 1_000 && ms % 100 !== 0) || ms >= 2_000;
    if (gate.push(isVoice ? -20 : -70, ms)) begins.push(ms);
  }
  assert.deepEqual(begins, [520, 2_000]);
});

test('noise that stays is no voice for long', () => {
  const gate = new VoiceGate();
  let ms = 0;
  for (; ms < 20_000; ms += 20) gate.push(-45, ms);
  assert.ok((gate.lastVoiceMs ?? 0) < 10_000, `still a voice at ${gate.lastVoiceMs}`);
  assert.equal(gate.push(-15, ms), true);
});
