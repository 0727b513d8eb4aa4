/** What becomes of a connection when transports fail, waver and are lost. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Connection } from '../sdk/connection.js';
import { Gate } from '../sdk/gate.js';
import { ServerRefused } from '../sdk/models.js';
import { FakeTransport, Openers, settled } from './fakes.js';

/**
 * A connection over fake transports; `slept` are the delays it waited for.
 *
 * @param {(FakeTransport | Error)[]} outcomes
 * @param {import('../sdk/types.js').TransportKind[]} kinds
 */
function connected(outcomes, kinds = ['webrtc', 'websocket']) {
  const openers = new Openers(outcomes);
  const clock = { ms: 0 };
  /** @type {number[]} */
  const slept = [];
  const connection = new Connection({
    url: 'http://x',
    apiKey: 'k',
    audible: true,
    kinds,
    openers,
    giveUpMs: 10_000,
    now: () => clock.ms,
    sleep: async (delayMs) => {
      slept.push(delayMs);
      clock.ms += delayMs;
    },
  });
  /** @type {string[]} */
  const states = [];
  /** @type {string[]} */
  const hows = [];
  connection.on('state', (state) => states.push(state));
  connection.on('opened', ({ how }) => hows.push(how));
  return { connection, openers, states, hows, slept };
}

test('the first transport that works is used', async () => {
  const transport = new FakeTransport('webrtc');
  const { connection, openers, states, hows } = connected([transport]);
  await connection.open();
  assert.deepEqual(openers.asked.map(({ kind, apiKey, resume }) => [kind, apiKey, resume]), [['webrtc', 'k', null]]);
  assert.deepEqual([states, hows, transport.started], [['connecting', 'open'], ['new'], true]);
});

test('a network without UDP is served over a WebSocket', async () => {
  const { connection, openers } = connected([new Error('No packets reach the server'), new FakeTransport()]);
  await connection.open();
  assert.deepEqual(openers.asked.map(({ kind }) => kind), ['webrtc', 'websocket']);
});

test('a server without WebRTC is served over a WebSocket', async () => {
  const { connection } = connected([new ServerRefused('not here', 404), new FakeTransport()]);
  await connection.open();
  assert.equal(connection.state, 'open');
});

test('a refusal is final and told in the words of the server', async () => {
  const { connection, openers } = connected([new ServerRefused('The server is full.', 503), new FakeTransport()]);
  await assert.rejects(connection.open(), /The server is full/);
  assert.deepEqual([openers.asked.length, connection.state, connection.endReason], [1, 'ended', 'The server is full.']);
});

test('events pass while the connection is open, and not afterwards', async () => {
  const transport = new FakeTransport();
  const { connection } = connected([transport], ['websocket']);
  await connection.open();
  /** @type {string[]} */
  const types = [];
  connection.on('event', ({ type }) => types.push(type));
  transport.emit('event', { type: 'one' });
  connection.close('done');
  transport.emit('event', { type: 'two' });
  assert.deepEqual([types, transport.closed, connection.endReason], [['one'], true, 'done']);
});

test('a lost call is resumed by its id', async () => {
  const lost = new FakeTransport('webrtc', 'rtc_1');
  const { connection, openers, states, hows, slept } = connected([lost, new FakeTransport('webrtc', 'rtc_1')]);
  await connection.open();
  lost.emit('lost', { reason: 'gone', canRetry: true });
  await settled();
  assert.deepEqual(openers.asked.map(({ resume }) => resume), [null, 'rtc_1']);
  assert.deepEqual([states, hows, slept], [['connecting', 'open', 'reconnecting', 'open'], ['new', 'resumed'], [0]]);
});

test('a session that the server has forgotten is replaced', async () => {
  const lost = new FakeTransport('webrtc', 'rtc_1');
  const forgotten = new ServerRefused('no such call', 404);
  const { connection, openers, hows } = connected([lost, forgotten, new FakeTransport('webrtc', 'rtc_2')]);
  await connection.open();
  lost.emit('lost', { reason: 'gone', canRetry: true });
  await settled();
  assert.deepEqual(openers.asked.map(({ resume }) => resume), [null, 'rtc_1', null]);
  assert.deepEqual(hows, ['new', 'replaced']);
});

test('a WebSocket that broke is replaced, with ever longer waits until the server is back', async () => {
  const lost = new FakeTransport();
  const outcomes = [lost, new Error('down'), new Error('down'), new FakeTransport()];
  const { connection, hows, slept } = connected(outcomes, ['websocket']);
  await connection.open();
  lost.emit('lost', { reason: 'gone', canRetry: true });
  await settled();
  assert.deepEqual(hows, ['new', 'replaced']);
  assert.equal(slept[0], 0);
  assert.ok(slept[1] < slept[2], `${slept}`);
});

test('a server that stays away is given up in words', async () => {
  const lost = new FakeTransport();
  const { connection } = connected([lost], ['websocket']);
  await connection.open();
  lost.emit('lost', { reason: 'The connection broke.', canRetry: true });
  for (let i = 0; i < 10; i++) await settled();
  assert.equal(connection.state, 'ended');
  assert.equal(connection.endReason, 'The connection broke. The server could not be reached again.');
});

test('what the server ended on purpose is not tried again', async () => {
  const lost = new FakeTransport();
  const { connection, openers } = connected([lost, new FakeTransport()], ['websocket']);
  await connection.open();
  lost.emit('lost', { reason: 'The session has expired.', canRetry: false });
  await settled();
  assert.deepEqual([openers.asked.length, connection.endReason], [1, 'The session has expired.']);
});

test('a key that is no longer accepted ends it', async () => {
  const lost = new FakeTransport('webrtc', 'rtc_1');
  const { connection } = connected([lost, new ServerRefused('Unknown key.', 401), new FakeTransport()], ['webrtc']);
  await connection.open();
  lost.emit('lost', { reason: 'gone', canRetry: true });
  await settled();
  assert.deepEqual([connection.state, connection.endReason], ['ended', 'Unknown key.']);
});

test('packets that come back in time change nothing', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const transport = new FakeTransport('webrtc', 'rtc_1');
  const { connection, openers, states } = connected([transport]);
  await connection.open();
  transport.emit('wavering', true);
  t.mock.timers.tick(2_900);
  transport.emit('wavering', false);
  t.mock.timers.tick(60_000);
  await settled();
  assert.deepEqual([states, openers.asked.length], [['connecting', 'open', 'reconnecting', 'open'], 1]);
  assert.equal(transport.closed, false);
});

test('a connection that wavers is hung up only when another one carries the session', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const transport = new FakeTransport('webrtc', 'rtc_1');
  const { connection, hows } = connected([transport, new FakeTransport('webrtc', 'rtc_1')]);
  await connection.open();
  /** @type {boolean[]} */
  const closedBefore = [];
  connection.on('opened', () => closedBefore.push(transport.closed));
  transport.emit('wavering', true);
  t.mock.timers.tick(3_100);
  await settled();
  assert.deepEqual([hows, closedBefore, transport.closed], [['new', 'resumed'], [false], true]);
});

test('closing while connecting leaves nothing open', async () => {
  const transport = new FakeTransport();
  const { connection } = connected([transport], ['websocket']);
  const opening = connection.open();
  connection.close('never mind');
  await opening;
  assert.deepEqual([connection.state, transport.closed, transport.started], ['ended', true, false]);
});

test('closing while reconnecting leaves nothing open', async () => {
  const lost = new FakeTransport();
  const late = new FakeTransport();
  const { connection } = connected([lost, late], ['websocket']);
  await connection.open();
  lost.emit('lost', { reason: 'gone', canRetry: true });
  connection.close('never mind');
  await settled();
  assert.equal(connection.state, 'ended');
  assert.ok(!late.started);
});

test('a gate holds back what happens before it opens, in order', () => {
  const gate = new Gate();
  /** @type {number[]} */
  const seen = [];
  gate.pass(() => seen.push(1));
  gate.pass(() => seen.push(2));
  assert.deepEqual(seen, []);
  gate.open();
  gate.pass(() => seen.push(3));
  assert.deepEqual(seen, [1, 2, 3]);
});
