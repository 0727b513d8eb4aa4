// The stock `@openai/agents-realtime` package against our server. Every event must pass its zod schemas.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

import { Inbox, target, tone } from './inbox.mjs';

// Not exported, but what decides whether the SDK understands an event or passes it by.
const schemas = new URL('./node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs', import.meta.url);
const { parseRealtimeEvent } = await import(schemas.href);

const { address, key } = target();
const url = `wss://${address}/v1/realtime?model=gpt-realtime`;

/** A connected session. @param {any} agent @param {any} config */
async function connected(agent, config = {}) {
  const transport = new OpenAIRealtimeWebSocket({ url });
  const session = new RealtimeSession(agent, { transport, config, tracingDisabled: true });
  const inbox = new Inbox();
  transport.on('*', (event) => {
    assert.equal(parseRealtimeEvent({ data: JSON.stringify(event) }).isGeneric, false, JSON.stringify(event));
    inbox.push(event);
  });
  session.on('error', (error) => inbox.push({ type: 'error', error }));
  await session.connect({ apiKey: key });
  await inbox.until('session.updated');
  return { session, transport, inbox };
}

test('a text turn reaches the history', async () => {
  const agent = new RealtimeAgent({ name: 'echo', instructions: 'Say it back.' });
  const { session, inbox } = await connected(agent, { outputModalities: ['text'] });
  assert.equal(inbox.of('session.updated')[0].session.instructions, 'Say it back.');
  const ended = new Promise((resolve) => session.on('agent_end', (_context, _agent, output) => resolve(output)));
  session.sendMessage('hello agents');
  await inbox.until('response.done');
  assert.equal(await ended, 'You said: hello agents');
  const messages = session.history.filter((item) => item.type === 'message');
  assert.deepEqual(
    messages.map((item) => [item.role, item.content.map((/** @type {any} */ part) => part.text).join('')]),
    [
      ['user', 'hello agents'],
      ['assistant', 'You said: hello agents'],
    ],
  );
  session.close();
});

test('a tool runs once and its output is answered', async () => {
  let calls = 0;
  const weather = tool({
    name: 'get_weather',
    description: 'The weather.',
    parameters: z.object({}),
    execute: async () => {
      calls++;
      // An echo calls a required tool whenever it is asked.
      transport.sendEvent({ type: 'session.update', session: { type: 'realtime', tool_choice: 'none' } });
      return 'sunny';
    },
  });
  const agent = new RealtimeAgent({ name: 'echo', tools: [weather] });
  const { session, transport, inbox } = await connected(agent, { outputModalities: ['text'], toolChoice: 'required' });
  session.sendMessage('What is the weather?');
  let done = await inbox.until('response.done');
  assert.equal(done.response.output[0].type, 'function_call');
  done = await inbox.until('response.done');
  assert.equal(done.response.output[0].type, 'message');
  assert.equal(calls, 1);
  const added = inbox.of('conversation.item.added').map((event) => event.item);
  assert.deepEqual(added.filter((item) => item.type === 'function_call_output').map((item) => item.output), ['sunny']);
  session.close();
});

test('a cancelled response ends and the next one is answered', async () => {
  const agent = new RealtimeAgent({ name: 'echo' });
  const { session, transport, inbox } = await connected(agent, { outputModalities: ['text'] });
  session.sendMessage('word '.repeat(2_000));
  await inbox.until('response.output_text.delta');
  transport.sendEvent({ type: 'response.cancel' });
  assert.equal((await inbox.until('response.done')).response.status, 'cancelled');
  session.sendMessage('still there?');
  assert.equal((await inbox.until('response.done')).response.output[0].content[0].text, 'You said: still there?');
  session.close();
});

test('a voice comes back', async () => {
  const agent = new RealtimeAgent({ name: 'echo' });
  const { session, transport, inbox } = await connected(agent, { audio: { input: { turnDetection: null } } });
  /** @type {Buffer[]} */
  const heard = [];
  session.on('audio', (event) => heard.push(Buffer.from(event.data)));
  const sound = tone();
  for (let start = 0; start < sound.length; start += 4_800) {
    const piece = sound.subarray(start, start + 4_800);
    session.sendAudio(/** @type {ArrayBuffer} */ (piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length)));
  }
  transport.sendEvent({ type: 'input_audio_buffer.commit' });
  transport.sendEvent({ type: 'response.create' });
  await inbox.until('response.done');
  assert.deepEqual(Buffer.concat(heard), sound);
  session.close();
});
