/** What users are told, and what goes on by itself, when devices, networks and servers fail. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import {
  ROOT, eventOf, hangUp, heard, isFree, launch, listen, onPage, speech, startServer, type, typesOf, waitForAnswer,
  waitForPhase, waitForSound, wavFile,
} from './harness.mjs';
import { Network } from './relay.mjs';

const CUT_MS = 5_000;

const recordings = mkdtempSync(join(tmpdir(), 'recordings-'));
let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([
    startServer(0, ['--engine', 'echo', '--record', recordings]),
    launch({ microphone: wavFile([0.3, speech(), 1.2]) }),
  ]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test('a microphone that is refused is explained, and typing works all the same', async () => {
  const strict = await launch({ isAllowed: false });
  try {
    await onPage(strict, server.url, {}, async (page) => {
      await page.getByRole('button', { name: 'Start talking' }).click();
      await page.getByRole('alert').getByText('not allowed to use the microphone').waitFor();
      assert.equal(await page.evaluate(() => document.activeElement?.id), 'message');
      await type(page, 'Then I type');
      await waitForAnswer(page, 'You said: Then I type');
    });
  } finally {
    await strict.close();
  }
});

describe('the network is cut', () => {
  /** A page whose only way to the server is a network that can be cut. */
  async function withNetwork(use) {
    const network = new Network();
    try {
      const given = { transport: 'webrtc', prepare: (page) => network.attach(page), mayComplain: true };
      await onPage(browser, server.url, given, (page) => use(page, network));
    } finally {
      network.close();
    }
  }

  test('for three seconds: the same session goes on, and sound comes again', () =>
    withNetwork(async (page, network) => {
      await page.getByRole('button', { name: 'Start talking' }).click();
      await waitForPhase(page, 'listening', 'speaking');
      await listen(page);
      await waitForSound(page, 1);
      network.isCut = true;
      await page.waitForTimeout(3_000);
      network.isCut = false;
      const soFar = (await heard(page)).length;
      await type(page, 'Still there?');
      await waitForAnswer(page, 'You said: Still there?');
      await waitForSound(page, 0.5, soFar);
      assert.equal((await typesOf(page)).filter((name) => name === 'session.updated').length, 1);
      assert.equal(await page.locator('.entry[data-role="notice"]').count(), 0);
    }));

  test('for longer: it is said, then the same session is resumed over another connection, and no tick is missing', async () => {
    let sessions = [];
    await withNetwork(async (page, network) => {
      await page.getByRole('button', { name: 'Start talking' }).click();
      await waitForPhase(page, 'listening', 'speaking');
      network.isCut = true;
      const cutMs = Date.now();
      await waitForPhase(page, 'reconnecting');
      await page.waitForTimeout(Math.max(CUT_MS - (Date.now() - cutMs), 3_500)); // packets are waited for no longer
      network.isCut = false;
      await waitForPhase(page, 'listening', 'speaking');
      await type(page, 'After');
      await waitForAnswer(page, 'You said: After');
      assert.equal(await page.locator('.entry[data-role="notice"]').count(), 0, 'nothing was lost');
      sessions = await page.evaluate(() =>
        window.receivedEvents.filter((event) => event.type === 'session.created').map((event) => event.session.id));
      assert.equal(new Set(sessions).size, 1, `it was one session: ${sessions}`);
      assert.match(network.offers.at(-1), /^\?resume=rtc_/);
    });
    await isFree(server.url); // then its recording is whole
    const { ticks, silent } = recordedTicks(sessions[0]);
    assert.deepEqual(ticks, [...ticks.keys()], 'every tick is there');
    assert.ok(silent >= CUT_MS / 500, `half of the ticks of the cut at least are in it, without sound: ${silent}`);
  });
});

const READ = `
import json, sys
from pathlib import Path
from realtime.recording.recorder import read_recording
(path,) = [path for path in Path(sys.argv[1]).glob("*.mcap") if sys.argv[2] in path.name]
windows = list(read_recording(path).windows())
silent = sum(window.gap_samples == 6000 for window in windows)
print(json.dumps({"ticks": [window.tick for window in windows], "silent": silent}))
`;

/** The numbers of the ticks in a session's recording, and how many of them the network brought nothing for. */
function recordedTicks(session) {
  return JSON.parse(execFileSync(process.env.PYTHON ?? 'python3', ['-c', READ, recordings, session], { cwd: ROOT }));
}

for (const transport of ['websocket', 'webrtc']) {
  test(`over ${transport}, a server that is restarted is found again and told what was said`, async () => {
    let frail = await startServer();
    try {
      await onPage(browser, frail.url, { transport, mayComplain: true }, async (page) => {
        await type(page, 'Remember this');
        await waitForAnswer(page, 'You said: Remember this');
        const { port } = frail;
        await frail.stop();
        await waitForPhase(page, 'reconnecting');
        frail = await startServer(port);
        await page.locator('#log').getByText('A new one was told what had been said in words.').waitFor();
        const told = await eventOf(page, 'conversation.item.added', await lastCreated(page));
        assert.equal(told.item.content[0].text, 'Remember this');
        await type(page, 'Here again');
        await waitForAnswer(page, 'You said: Here again');
      });
    } finally {
      await frail.stop();
    }
  });
}

async function lastCreated(page) {
  return page.evaluate(() => window.receivedEvents.findLast((event) => event.type === 'session.created').atMs);
}

test('a server that is not there is said so, and what was typed is kept', async () => {
  const gone = await startServer();
  await onPage(browser, gone.url, { mayComplain: true }, async (page) => {
    await gone.stop();
    await type(page, 'Anybody?');
    await page.getByRole('alert').getByText('The server does not answer.').waitFor();
    assert.equal(await page.getByRole('textbox', { name: 'Message' }).inputValue(), 'Anybody?');
  });
});

for (const transport of ['websocket', 'webrtc']) {
  test(`a server with keys asks for one, and takes it over ${transport}`, async () => {
    const keys = join(mkdtempSync(join(tmpdir(), 'keys-')), 'keys.txt');
    writeFileSync(keys, 'sk-test-key\n');
    const locked = await startServer(0, ['--engine', 'echo', '--api-key-file', keys]);
    try {
      const page = await (await browser.newContext()).newPage();
      await page.goto(`${locked.url}/?transport=${transport}`);
      const key = page.getByLabel('API key');
      await key.fill('sk-wrong');
      await key.press('Enter');
      await page.locator('#model-words', { hasText: /key/i }).waitFor();
      await key.fill('sk-test-key');
      await page.getByRole('button', { name: 'Use this key' }).click();
      await page.locator('#model-words', { hasText: 'runs here' }).waitFor();
      await type(page, 'Let me in');
      await waitForAnswer(page, 'You said: Let me in');
      await hangUp(page);
    } finally {
      await locked.stop();
    }
  });
}

test('a recording holds both voices and every event', async () => {
  await onPage(browser, server.url, {}, async (page) => {
    await page.getByRole('switch', { name: 'Record this conversation' }).check();
    await page.getByRole('button', { name: 'Start talking' }).click();
    await eventOf(page, 'input_audio_buffer.speech_stopped');
    await page.getByRole('switch', { name: 'Record this conversation' }).uncheck();
    const link = page.getByRole('link', { name: /Save recording/ });
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    const archive = await download.createReadStream().then(async (stream) => Buffer.concat(await stream.toArray()));
    const lines = archive.toString('latin1').match(/\{"at_ms":.*\}/g).map((line) => JSON.parse(line));
    assert.ok(lines.some(({ event }) => event.type === 'input_audio_buffer.speech_stopped'));
    assert.ok(archive.includes('OpusHead') && archive.includes('sound.webm'));
    const loudness = await page.evaluate(async (bytes) => {
      const start = bytes.findIndex((_, i) => bytes[i] === 0x1a && bytes[i + 1] === 0x45 && bytes[i + 2] === 0xdf); // EBML
      const context = new OfflineAudioContext(2, 1, 24_000);
      const sound = await context.decodeAudioData(Uint8Array.from(bytes.slice(start)).buffer);
      return [0, 1].map((channel) => Math.max(...sound.getChannelData(channel).map(Math.abs)));
    }, [...archive.subarray(0, archive.indexOf('events.jsonl'))]);
    assert.ok(loudness[0] > 0.05 && loudness[1] > 0.05, `you and the agent peak at ${loudness}`);
  });
});
