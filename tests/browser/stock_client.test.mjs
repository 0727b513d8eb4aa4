/** `@openai/agents-realtime`, unchanged, in a real browser over WebRTC, with an ephemeral key. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import {
  PATIENCE_MS, assertUnlessLate, envelope, heard, launch, likeness, listen, speech, startServer, waitForSound, wavFile,
} from './harness.mjs';

const BUNDLE = fileURLToPath(new URL('../clients/js/node_modules/@openai/agents-realtime/dist/bundle', import.meta.url));
const PAGE = '<!doctype html><title>stock client</title><audio id="voice" autoplay></audio>';
const isInstalled = existsSync(BUNDLE);

const spoken = speech();
let server;
let browser;
let page;

before(async () => {
  if (!isInstalled) return;
  [server, browser] = await Promise.all([startServer(), launch({ microphone: wavFile([0.3, spoken, 1.2]) })]);
  page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.route('**/stock/**', (route) => {
    const name = new URL(route.request().url()).pathname.slice('/stock/'.length);
    if (name === '') return route.fulfill({ contentType: 'text/html', body: PAGE });
    return route.fulfill({ contentType: 'text/javascript', body: readFileSync(join(BUNDLE, name)) });
  });
  await page.goto(`${server.url}/stock/`);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const options = { skip: isInstalled ? false : 'the client is not installed: npm ci --prefix tests/clients/js' };

test('it connects, is answered in text, and hears itself back', options, async (t) => {
  await page.evaluate(async () => {
    const { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession } = await import('/stock/openai-realtime-agents.mjs');
    const issued = await fetch('/v1/realtime/client_secrets', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ session: { type: 'realtime', instructions: 'Be brief.' } }),
    });
    const { value } = await issued.json();
    const transport = new OpenAIRealtimeWebRTC({
      baseUrl: `${location.origin}/v1/realtime/calls`,
      audioElement: document.getElementById('voice'),
    });
    const agent = new RealtimeAgent({ name: 'Tester', instructions: 'Be brief.' });
    // An echo begins before speech is noticed: it would interrupt itself.
    const turnDetection = { type: 'server_vad', interruptResponse: false };
    const session = new RealtimeSession(agent, { transport, config: { audio: { input: { turnDetection } } } });
    window.told = { errors: [], events: [], history: [] };
    window.session = session;
    window.transport = transport;
    session.on('error', ({ error }) => window.told.errors.push(JSON.stringify(error)));
    session.on('transport_event', ({ type }) => window.told.events.push(type));
    session.on('history_updated', (history) => (window.told.history = structuredClone(history)));
    await session.connect({ apiKey: value });
  });
  assert.match(await page.evaluate(() => window.transport.callId), /^rtc_/);
  await listen(page);
  const found = likeness(await waitForSound(page, 3), envelope(spoken));
  await assertUnlessLate(t, page, found > 0.7, `what came back is like what was said by ${found.toFixed(2)} only`);
  assert.deepEqual(await page.evaluate(() => window.told.errors), []);
});

test('a typed message is answered, and both are in its history', options, async () => {
  await page.evaluate(() => {
    window.transport.mute(true);
    window.session.interrupt();
    window.session.sendMessage('Say it in words');
  });
  await page.waitForFunction(() => JSON.stringify(window.told.history).includes('You said: Say it in words'));
  const roles = await page.evaluate(() => window.told.history.filter((item) => JSON.stringify(item).includes('Say it in words')).map((item) => item.role));
  assert.deepEqual(roles, ['user', 'assistant']);
});

test('an interruption is understood, and hanging up ends the call', options, async () => {
  await page.evaluate(() => window.transport.mute(false));
  await waitForSound(page, 0.2, (await heard(page)).length);
  await page.evaluate(() => window.session.interrupt());
  await page.waitForFunction(() => window.told.events.includes('output_audio_buffer.cleared'));
  assert.deepEqual(await page.evaluate(() => window.told.errors), []);
  await page.evaluate(() => window.session.close());
  assert.equal(await page.evaluate(() => window.transport.status), 'disconnected');
});
