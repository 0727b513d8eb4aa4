// The stock npm `openai` package against our server, over both of its WebSocket clients.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import WebSocket from 'ws';

import { Inbox, target, tone } from './inbox.mjs';

globalThis.WebSocket ??= /** @type {any} */ (WebSocket); // what browsers and newer versions of node have

const { address, key } = target();
const openai = new OpenAI({ apiKey: key, baseURL: `https://${address}/v1`, dangerouslyAllowBrowser: true });

/** A greeted session that answers in text. @param {any} rt */
async function greeted(rt, session = {}) {
  const inbox = new Inbox();
  rt.on('event', (/** @type {any} */ event) => inbox.push(event));
  rt.on('error', (/** @type {any} */ error) => {
    if (!error.error) inbox.push({ type: 'error', error: String(error) });
  });
  await inbox.until('session.created');
  rt.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'], ...session } });
  await inbox.until('session.updated');
  return inbox;
}

/** @param {any} rt @param {string} text */
function say(rt, text) {
  const content = [{ type: 'input_text', text }];
  rt.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
}

/** @param {Inbox} inbox */
function spoken(inbox) {
  return inbox.of('response.output_text.delta').map((event) => event.delta).join('');
}

const clients = {
  'openai/realtime/ws (key in a header)': () => new OpenAIRealtimeWS({ model: 'gpt-realtime' }, openai),
  'openai/realtime/websocket (key in a subprotocol)': () =>
    new OpenAIRealtimeWebSocket({ model: 'gpt-realtime', dangerouslyAllowBrowser: true }, openai),
};

for (const [name, open] of Object.entries(clients)) {
  test(`${name}: a typed turn streams deltas`, async () => {
    const rt = open();
    const inbox = await greeted(rt);
    say(rt, 'hello from javascript');
    rt.send({ type: 'response.create' });
    const done = await inbox.until('response.done');
    assert.equal(done.response.status, 'completed');
    assert.equal(spoken(inbox), 'You said: hello from javascript');
    rt.close();
  });
}

test('a response is cancelled, and a late cancel has its error code', async () => {
  const rt = clients['openai/realtime/ws (key in a header)']();
  const inbox = await greeted(rt);
  say(rt, 'word '.repeat(2_000));
  rt.send({ type: 'response.create' });
  await inbox.until('response.output_text.delta');
  rt.send({ type: 'response.cancel' });
  const done = await inbox.until('response.done');
  assert.equal(done.response.status, 'cancelled');
  rt.send({ type: 'response.cancel', event_id: 'late' });
  const error = await inbox.until('error');
  assert.equal(error.error.code, 'response_cancel_not_active');
  assert.equal(error.error.event_id, 'late');
  rt.close();
});

test('a tool call makes the round trip', async () => {
  const rt = clients['openai/realtime/ws (key in a header)']();
  const tool = { type: 'function', name: 'get_weather', description: 'Weather.', parameters: { type: 'object' } };
  const inbox = await greeted(rt, { tools: [tool], tool_choice: 'required' });
  say(rt, 'What is the weather?');
  rt.send({ type: 'response.create' });
  const { response } = await inbox.until('response.done');
  const [call] = response.output;
  assert.equal(call.name, 'get_weather');
  assert.deepEqual(JSON.parse(call.arguments), {});
  const item = /** @type {const} */ ({ type: 'function_call_output', call_id: call.call_id, output: 'sunny' });
  rt.send({ type: 'conversation.item.create', item });
  rt.send({ type: 'response.create', response: { tool_choice: 'none' } });
  const answer = await inbox.until('response.done');
  assert.equal(answer.response.output[0].type, 'message');
  rt.close();
});

test('a voice comes back', async () => {
  const rt = clients['openai/realtime/ws (key in a header)']();
  const manual = { input: { turn_detection: null } };
  const inbox = await greeted(rt, { output_modalities: ['audio'], audio: manual });
  const sound = tone();
  for (let start = 0; start < sound.length; start += 4_800) {
    rt.send({ type: 'input_audio_buffer.append', audio: sound.subarray(start, start + 4_800).toString('base64') });
  }
  rt.send({ type: 'input_audio_buffer.commit' });
  rt.send({ type: 'response.create' });
  await inbox.until('response.done');
  const deltas = inbox.of('response.output_audio.delta').map((event) => Buffer.from(event.delta, 'base64'));
  assert.deepEqual(Buffer.concat(deltas), sound);
  rt.close();
});

test('a client secret is issued and opens a session', async () => {
  const secret = await openai.realtime.clientSecrets.create({
    session: { type: 'realtime', instructions: 'Be brief.' },
  });
  assert.match(secret.value, /^ek_/);
  const browser = new OpenAI({ apiKey: secret.value, baseURL: `https://${address}/v1`, dangerouslyAllowBrowser: true });
  const rt = new OpenAIRealtimeWebSocket({ model: 'gpt-realtime' }, browser);
  const inbox = await greeted(rt);
  assert.equal(inbox.of('session.created')[0].session.instructions, 'Be brief.');
  rt.close();
});

test('a wrong key is refused', async () => {
  const stranger = new OpenAI({ apiKey: 'wrong', baseURL: `https://${address}/v1`, maxRetries: 0 });
  const rt = new OpenAIRealtimeWS({ model: 'gpt-realtime' }, stranger);
  const error = await new Promise((resolve) => rt.on('error', resolve));
  assert.match(String(error), /401/);
  await assert.rejects(stranger.realtime.clientSecrets.create({}), OpenAI.AuthenticationError);
});
