/** What a session sends for what its user does, and what it makes of what the server says. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { ServerRefused } from '../sdk/models.js';
import { RealtimeSession } from '../sdk/realtime-session.js';
import { FakeTransport, Openers, settled } from './fakes.js';

const ECHO = { hears: true, sees: true, speaks: true, draws: true, self_paced: true };

/** The answer of /v1/models in these tests. @type {() => Response} */
let models = () => Response.json({});

beforeEach((t) => {
  models = () => Response.json({ data: [{ id: 'echo', omniweave: ECHO }] });
  /** @type {import('node:test').TestContext} */ (t).mock.method(globalThis, 'fetch', async () => models());
});

/**
 * A session that is connected over fakes.
 *
 * @param {{transport?: FakeTransport, later?: (FakeTransport | Error)[], options?: object}} [given]
 */
async function connected({ transport = new FakeTransport(), later = [], options = {} } = {}) {
  const openers = new Openers([transport, ...later]);
  const session = new RealtimeSession({ url: 'http://x', transport: transport.kind, openers, ...options });
  /** @type {any[]} */
  const problems = [];
  /** @type {string[]} */
  const phases = [];
  session.on('problem', (problem) => problems.push(problem));
  session.on('phase', (phase) => phases.push(phase));
  await session.connect();
  return { session, transport, openers, problems, phases };
}

const created = { type: 'response.created', response: { id: 'r1' } };
const done = { type: 'response.done', response: { id: 'r1', status: 'completed' } };

test('a session configures itself when it is connected', async () => {
  const { session, transport, phases } = await connected({ options: { instructions: 'Be brief.' } });
  const [{ type, session: config }] = transport.sent;
  assert.equal(type, 'session.update');
  assert.equal(config.instructions, 'Be brief.');
  assert.equal(config.audio.input.turn_detection.interrupt_response, true);
  assert.deepEqual(config.omniweave, { outputs: ['text', 'audio', 'image'], video: true, ticks: true });
  assert.equal(session.model?.name, 'echo');
  assert.deepEqual(phases, ['connecting', 'ready']);
});

test('a typed message is shown, sent and answered', async () => {
  const { session, transport, phases } = await connected();
  session.say('Hello');
  const [, create, respond] = transport.sent;
  assert.deepEqual(create.item.content, [{ type: 'input_text', text: 'Hello' }]);
  assert.ok(create.item.id.length <= 32, create.item.id);
  assert.equal(respond.type, 'response.create');
  assert.equal(session.conversation.entries[0].text, 'Hello');
  transport.emit('event', created);
  transport.emit('event', { type: 'response.output_text.delta', item_id: 'a', content_index: 0, delta: 'H' });
  transport.emit('event', done);
  assert.deepEqual(phases, ['connecting', 'ready', 'thinking', 'writing', 'ready']);
});

test('typing while the agent answers interrupts it first', async () => {
  const { session, transport } = await connected();
  transport.emit('event', created);
  session.say('Stop, I meant this');
  assert.deepEqual(transport.types.slice(1), ['response.cancel', 'conversation.item.create', 'response.create']);
});

test('a response that was refused because another ran is asked for again when that is done', async () => {
  const { session, transport, problems } = await connected();
  session.say('Hello');
  transport.emit('event', created);
  transport.emit('event', { type: 'error', error: { code: 'conversation_already_has_active_response', message: 'm' } });
  const before = transport.sent.length;
  transport.emit('event', done);
  assert.deepEqual(transport.types.slice(before), ['response.create']);
  assert.deepEqual(problems, []);
});

test('a cancel that came too late is no problem, anything else is', async () => {
  const { transport, problems } = await connected();
  transport.emit('event', { type: 'error', error: { code: 'response_cancel_not_active', message: 'm' } });
  assert.deepEqual(problems, []);
  transport.emit('event', { type: 'error', error: { code: 'invalid_value', message: 'That was wrong.' } });
  assert.deepEqual(problems, [{ code: 'invalid_value', message: 'That was wrong.' }]);
});

test('interrupting tells the server how much of the answer was heard', async () => {
  const { session, transport } = await connected();
  transport.played = { itemId: 'a1', playedMs: 640 };
  transport.emit('event', created);
  transport.emit('event', { type: 'response.content_part.added', item_id: 'a1', content_index: 1, part: { type: 'audio' } });
  transport.emit('playing', true);
  assert.equal(session.phase, 'speaking');
  session.interrupt();
  await settled();
  assert.deepEqual(transport.sent.at(-1), {
    type: 'conversation.item.truncate',
    item_id: 'a1',
    content_index: 1,
    audio_end_ms: 640,
  });
});

test('speaking up silences the agent over a WebSocket; over WebRTC the server does that', async () => {
  for (const kind of /** @type {const} */ (['websocket', 'webrtc'])) {
    const transport = new FakeTransport(kind);
    transport.played = { itemId: 'a1', playedMs: 100 };
    await connected({ transport });
    transport.emit('event', { type: 'input_audio_buffer.speech_started', item_id: 'u1' });
    await settled();
    assert.equal(transport.types.includes('conversation.item.truncate'), kind === 'websocket', kind);
  }
});

test('hands-free, an open microphone listens', async () => {
  const { session, transport } = await connected();
  const track = /** @type {any} */ ({ enabled: false });
  await session.setMicrophone(track);
  assert.deepEqual([track.enabled, transport.microphone, session.phase], [true, track, 'listening']);
  await session.setMicrophone(null);
  assert.equal(session.phase, 'ready');
});

test('a microphone that was open before is used by the connection', async () => {
  const transport = new FakeTransport();
  const session = new RealtimeSession({ url: 'http://x', transport: 'websocket', openers: new Openers([transport]) });
  const track = /** @type {any} */ ({ enabled: false });
  await session.setMicrophone(track);
  await session.connect();
  assert.equal(transport.microphone, track);
});

test('held to talk, the microphone is open only while the button is down', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { session, transport } = await connected();
  const track = /** @type {any} */ ({ enabled: true });
  await session.setMicrophone(track);
  session.setTurnTaking('push-to-talk');
  assert.equal(transport.sent.at(-1).session.audio.input.turn_detection, null);
  assert.equal(track.enabled, false);
  session.press();
  assert.deepEqual([track.enabled, session.phase], [true, 'listening']);
  const released = session.release();
  t.mock.timers.tick(200);
  await released;
  assert.equal(track.enabled, false);
  assert.deepEqual(transport.types.slice(-3), ['input_audio_buffer.clear', 'input_audio_buffer.commit', 'response.create']);
  assert.equal(session.phase, 'thinking');
});

test('pressing again before the last words went out goes on with them', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { session, transport } = await connected({ options: { turnTaking: 'push-to-talk' } });
  await session.setMicrophone(/** @type {any} */ ({ enabled: true }));
  session.press();
  const released = session.release();
  session.press();
  t.mock.timers.tick(200);
  await released;
  assert.equal(transport.types.filter((type) => type.startsWith('input_audio_buffer.')).length, 1, 'one clear, no commit');
  const again = session.release();
  t.mock.timers.tick(200);
  await again;
  assert.deepEqual(transport.types.slice(-2), ['input_audio_buffer.commit', 'response.create']);
});

test('a button that was pressed too shortly is explained', async () => {
  const { transport, problems } = await connected();
  transport.emit('event', { type: 'error', error: { code: 'input_audio_buffer_commit_empty', message: 'buffer too small' } });
  assert.equal(problems[0].message, 'Hold the button while you speak.');
});

test('a session that was replaced is configured and told what was said', async () => {
  const replacement = new FakeTransport();
  const { session, transport } = await connected({ later: [replacement] });
  session.say('Remember me');
  transport.emit('lost', { reason: 'gone', canRetry: true });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(replacement.types, ['session.update', 'conversation.item.create']);
  assert.equal(replacement.sent[1].item.content[0].text, 'Remember me');
  assert.equal(session.conversation.entries.at(-1)?.role, 'notice');
  assert.equal(session.phase, 'ready');
});

test('a session that was resumed is left alone', async () => {
  const resumed = new FakeTransport('webrtc', 'rtc_1');
  const { session, transport } = await connected({ transport: new FakeTransport('webrtc', 'rtc_1'), later: [resumed] });
  transport.emit('event', created);
  transport.emit('lost', { reason: 'gone', canRetry: true });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual([resumed.types, session.phase], [[], 'thinking']);
});

test('what was typed while the connection was away is sent when it is back, and answered', async () => {
  for (const [kind, types] of /** @type {const} */ ([
    ['webrtc', ['conversation.item.create', 'response.create']],
    ['websocket', ['session.update', 'conversation.item.create', 'response.create']],
  ])) {
    const callId = kind === 'webrtc' ? 'rtc_1' : null;
    const back = new FakeTransport(kind, callId);
    const { session, transport } = await connected({ transport: new FakeTransport(kind, callId), later: [back] });
    transport.emit('lost', { reason: 'gone', canRetry: true });
    session.say('Are you there?');
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual([back.types, session.phase], [types, 'thinking'], kind);
    assert.equal(back.sent.at(-2).item.content[0].text, 'Are you there?');
  }
});

test('what was typed while the network was slow is sent when it goes on', async () => {
  const { session, transport } = await connected({ transport: new FakeTransport('webrtc', 'rtc_1') });
  transport.emit('wavering', true);
  session.say('Are you there?');
  assert.deepEqual([transport.types, session.phase], [['session.update'], 'reconnecting']);
  transport.emit('wavering', false);
  assert.deepEqual([transport.types.slice(1), session.phase], [['conversation.item.create', 'response.create'], 'thinking']);
});

test('an event that is sent again after resuming counts once', async () => {
  const { session, transport } = await connected();
  const delta = { type: 'response.output_text.delta', event_id: 'e1', item_id: 'a1', content_index: 0, delta: 'once' };
  const item = { id: 'a1', type: 'message', role: 'assistant', content: [] };
  transport.emit('event', { type: 'response.output_item.added', event_id: 'e0', response_id: 'r1', item });
  transport.emit('event', delta);
  transport.emit('event', delta);
  assert.equal(session.conversation.entries[0].text, 'once');
});

test('hanging up ends it, and what was being said', async () => {
  const { session, transport } = await connected();
  transport.emit('event', { type: 'input_audio_buffer.speech_started', item_id: 'u1' });
  session.close();
  assert.deepEqual([transport.closed, session.phase, session.endReason], [true, 'ended', 'You ended the session.']);
  assert.equal(session.conversation.entries[0].status, 'interrupted');
});

test('hanging up before it is connected leaves nothing open', async () => {
  const openers = new Openers([new FakeTransport()]);
  const session = new RealtimeSession({ url: 'http://x', openers });
  const connecting = session.connect();
  session.close();
  await connecting;
  assert.deepEqual([session.phase, session.endReason, openers.asked], ['ended', 'You ended the session.', []]);
});

test('a model that only reads and writes needs no WebRTC', async () => {
  models = () => Response.json({ data: [{ id: 'nano', omniweave: {} }] });
  const openers = new Openers([new FakeTransport()]);
  await new RealtimeSession({ url: 'http://x', openers }).connect();
  assert.deepEqual(openers.asked.map(({ kind, audible }) => [kind, audible]), [['websocket', false]]);
});

test('a server that does not list its models is connected to all the same', async () => {
  models = () => new Response('', { status: 404 });
  const { session } = await connected();
  assert.deepEqual([session.model, session.phase], [null, 'ready']);
});

test('a server that wants a key says so', async () => {
  models = () => Response.json({ error: { message: 'This server needs an API key.' } }, { status: 401 });
  const session = new RealtimeSession({ url: 'http://x', openers: new Openers([]) });
  await assert.rejects(session.connect(), (error) => error instanceof ServerRefused && error.needsKey);
  assert.equal(session.phase, 'idle');
});

test('a listener that throws does not silence the others', async (t) => {
  t.mock.method(console, 'error', () => {});
  const { session, transport } = await connected();
  /** @type {string[]} */
  const seen = [];
  session.on('received', () => {
    throw new Error('mine');
  });
  session.on('received', ({ type }) => seen.push(type));
  transport.emit('event', created);
  assert.deepEqual(seen, ['response.created']);
});
