/** What is measured and drawn: latency, ticks, the timeline, and how long to wait before trying again. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LatencyMeter, TickPace } from '../sdk/latency.js';
import { Monitor } from '../sdk/monitor.js';
import { Emitter } from '../sdk/emitter.js';
import { Backoff } from '../sdk/reconnect.js';
import { Timeline, describe, isActive } from '../sdk/timeline.js';

// --- latency --------------------------------------------------------------------------------------------------------

test('an answer is timed from the end of the question to its first words and its first sound', () => {
  const meter = new LatencyMeter();
  meter.ask('typed', 1_000);
  meter.begin();
  assert.equal(meter.answer('text', 1_080), true);
  assert.equal(meter.answer('text', 1_500), false, 'only the first words count');
  assert.equal(meter.answer('sound', 1_300), true);
  assert.deepEqual(meter.latest, { question: 'typed', textMs: 80, soundMs: 300 });
});

test('sound without a question is no answer', () => {
  const meter = new LatencyMeter();
  assert.equal(meter.answer('sound', 5), false);
  assert.equal(meter.latest, null);
});

test('what the next response says does not answer the question before it', () => {
  const meter = new LatencyMeter();
  meter.ask('typed', 0);
  meter.begin();
  meter.answer('text', 50);
  meter.begin();
  assert.equal(meter.answer('sound', 2_000), false);
  assert.deepEqual(meter.latest, { question: 'typed', textMs: 50, soundMs: null });
});

test('an interrupted question is waited for no more', () => {
  const meter = new LatencyMeter();
  meter.ask('spoken', 0);
  meter.cancel();
  assert.equal(meter.answer('sound', 100), false);
});

test('the pace of ticks is the median span between ticks that follow each other', () => {
  const pace = new TickPace();
  assert.equal(pace.medianMs, null);
  [10, 260, 262, 520, 770].forEach((ms, i) => pace.push([4, 5, 5, 6, 7][i], ms));
  assert.equal(pace.medianMs, 250);
  pace.push(40, 9_000); // ticks in between said nothing
  assert.equal(pace.medianMs, 250);
});

test('a pause between answers is no tick', () => {
  const pace = new TickPace();
  pace.push(0, 60_000); // the first tick follows none
  pace.pause();
  pace.push(1, 120_000);
  assert.equal(pace.medianMs, null);
});

// --- the timeline ---------------------------------------------------------------------------------------------------

test('what happens lands in the column of its time', () => {
  const timeline = new Timeline(1_000);
  timeline.addTextIn(5, 1_100);
  timeline.addAudioOut(-20, 1_600);
  timeline.addTextOut(7, 1_740);
  timeline.noteTick(12, 1_740);
  assert.deepEqual(
    timeline.columns.map(({ index, textIn, textOut, firstTick }) => [index, textIn, textOut, firstTick]),
    [[0, 5, 0, null], [1, 0, 0, null], [2, 0, 7, 12]],
  );
  assert.equal(isActive(timeline.columns[2], 'audioOut'), true);
  assert.equal(isActive(timeline.columns[1], 'audioOut'), false);
});

test('several ticks may fall into one column', () => {
  const timeline = new Timeline(0);
  for (const tick of [3, 4, 5]) timeline.noteTick(tick, 10);
  const [{ firstTick, lastTick }] = timeline.columns;
  assert.deepEqual([firstTick, lastTick], [3, 5]);
});

test('the timeline is bounded, also after a long sleep', () => {
  const timeline = new Timeline(0, 40);
  timeline.advance(100);
  timeline.advance(3_600_000);
  assert.equal(timeline.columns.length, 40);
  assert.equal(timeline.columns.at(-1)?.index, 3_600_000 / 250);
});

test('a clock that steps back does not make columns', () => {
  const timeline = new Timeline(0);
  timeline.advance(1_000);
  timeline.advance(500);
  assert.equal(timeline.columns.at(-1)?.index, 4);
});

test('an open camera shows one picture a column, and an open microphone is noted', () => {
  const timeline = new Timeline(0);
  timeline.advance(0);
  timeline.isWatching = timeline.isListening = true;
  timeline.advance(500);
  assert.deepEqual(timeline.columns.map((column) => column.imageIn), [0, 1, 1]);
  assert.deepEqual(timeline.columns.map((column) => column.listening), [false, true, true]);
});

test('the timeline says in words what it shows', () => {
  const timeline = new Timeline(0);
  timeline.addTextIn(1, 0);
  timeline.addAudioIn(-20, 250);
  timeline.addTextOut(11, 750);
  timeline.addImageOut(750);
  assert.equal(
    describe(timeline.columns),
    'Last 1 seconds: you typed 1 character, you spoke for 0.25 seconds; ' +
      'the agent wrote 11 characters, drew 1 picture and was silent in 3 of 4 columns.',
  );
  assert.match(describe(new Timeline(0).columns), /nothing came from you; the agent said nothing/);
});

// --- the monitor ----------------------------------------------------------------------------------------------------

/** A monitor of a session that is only its events, and a clock that is set by hand. */
function monitored() {
  const session = new Emitter();
  const clock = { ms: 0 };
  const monitor = new Monitor(/** @type {any} */ (session), () => clock.ms);
  const at = (/** @type {number} */ ms, /** @type {() => void} */ action) => {
    clock.ms = ms;
    action();
  };
  return { session, monitor, at };
}

test('the end of speech is when the voice fell silent, not when the server noticed', () => {
  const { session, monitor, at } = monitored();
  for (let ms = 0; ms <= 1_000; ms += 20) at(ms, () => monitor.hearInput(-20));
  for (let ms = 1_020; ms <= 1_500; ms += 20) at(ms, () => monitor.hearInput(-90));
  at(1_500, () => session.emit('asked', 'spoken'));
  at(1_550, () => session.emit('received', { type: 'response.created' }));
  at(1_700, () => monitor.hearOutput(-20));
  assert.deepEqual(monitor.latency.latest, { question: 'spoken', textMs: null, soundMs: 700 });
});

test('an answer that began before the server noticed the end of speech counts', () => {
  const { session, monitor, at } = monitored();
  for (let ms = 0; ms <= 1_000; ms += 20) at(ms, () => monitor.hearInput(-20));
  at(1_200, () => session.emit('received', { type: 'response.created' }));
  at(1_250, () => session.emit('received', { type: 'response.output_text.delta', delta: 'Yes', tick: 5 }));
  at(1_300, () => monitor.hearOutput(-20));
  at(1_500, () => session.emit('asked', 'spoken'));
  assert.deepEqual(monitor.latency.latest, { question: 'spoken', textMs: 250, soundMs: 300 });
});

test('a typed question is timed from when it was sent, whoever is speaking', () => {
  const { session, monitor, at } = monitored();
  at(0, () => monitor.hearInput(-20));
  at(400, () => session.emit('asked', 'typed'));
  at(450, () => session.emit('received', { type: 'response.created' }));
  at(500, () => session.emit('received', { type: 'response.output_text.delta', delta: 'Yes', tick: 5 }));
  assert.equal(monitor.latency.latest?.textMs, 100);
  assert.equal(monitor.timeline.columns.at(-1)?.textOut, 3);
  assert.equal(monitor.timeline.columns.at(-1)?.lastTick, 5);
});

// --- waiting --------------------------------------------------------------------------------------------------------

test('the first attempt comes at once, the others later and later, up to a bound', () => {
  const backoff = new Backoff(0, 60_000, () => 0.5);
  const delays = Array.from({ length: 8 }, () => backoff.next(0));
  assert.deepEqual(delays, [0, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
});

test('delays are spread', () => {
  const early = new Backoff(0, 60_000, () => 0);
  const late = new Backoff(0, 60_000, () => 1);
  assert.deepEqual([early.next(0), early.next(0)], [0, 175]);
  assert.deepEqual([late.next(0), late.next(0)], [0, 325]);
});

test('it is given up after a while', () => {
  const backoff = new Backoff(1_000, 5_000);
  assert.notEqual(backoff.next(5_999), null);
  assert.equal(backoff.next(6_000), null);
});
