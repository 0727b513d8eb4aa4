/** Talking, showing and typing, over both transports: the same page, the same tests. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  assertUnlessLate, audibleSeconds, envelope, eventOf, heard, launch, likeness, listen, onPage, phaseOf, speech, startServer, takeTurns, type,
  typesOf, waitForAnswer, waitForPhase, waitForSound, wavFile,
} from './harness.mjs';

const spoken = speech(); // 1.66 s
const LONG_S = 2 * 1.66; // twice, without a pause: what is said while the button is held
let server;
let browser;
let talkative;

before(async () => {
  [server, browser, talkative] = await Promise.all([
    startServer(),
    launch({ microphone: wavFile([0.3, spoken, 1.2]) }),
    launch({ microphone: wavFile([spoken, spoken]) }),
  ]);
});

after(async () => {
  await Promise.all([browser?.close(), talkative?.close()]);
  await server?.stop();
});

/** Hold the button while the fake microphone says something long, then let go and wait for the answer. */
async function sayMuch(page) {
  await takeTurns(page, 'Hold to talk');
  await page.getByRole('button', { name: 'Talk', exact: true }).click();
  const button = page.getByRole('button', { name: 'Hold to talk' });
  await button.waitFor();
  await waitForPhase(page, 'ready');
  await listen(page);
  await button.dispatchEvent('pointerdown');
  await waitForPhase(page, 'listening');
  await page.waitForTimeout(LONG_S * 1000);
  assert.equal(audibleSeconds(await heard(page)), 0, 'nobody speaks while the button is down');
  await button.dispatchEvent('pointerup');
  await waitForPhase(page, 'speaking');
  await waitForSound(page, 0.3);
}

for (const transport of ['websocket', 'webrtc']) {
  describe(`over ${transport}`, () => {
    test('typing needs no microphone and is answered in text', () =>
      onPage(browser, server.url, { transport }, async (page) => {
        await page.evaluate(() => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('nobody may ask for a device'));
        });
        await type(page, 'Hello there');
        await waitForAnswer(page, 'You said: Hello there');
        await waitForPhase(page, 'ready');
        await type(page, 'And again');
        await waitForAnswer(page, 'You said: And again');
        await page.locator('#first-text', { hasText: 'ms' }).waitFor();
        await page.locator('#connection', { hasText: transport === 'webrtc' ? 'WebRTC' : 'WebSocket' }).waitFor();
      }));

    test('hands-free, speech is noticed and answered at once', () =>
      onPage(browser, server.url, { transport }, async (page) => {
        await page.getByRole('button', { name: 'Start talking' }).click();
        await waitForPhase(page, 'listening', 'speaking');
        await listen(page);
        await eventOf(page, 'input_audio_buffer.speech_started');
        await waitForSound(page, 0.5);
        await eventOf(page, 'input_audio_buffer.speech_stopped');
        await page.locator('.entry[data-role="user"]', { hasText: 'does not write down' }).first().waitFor();
        await page.locator('#weave-words', { hasText: 'you spoke for' }).waitFor({ state: 'attached' });
      }));

    test('speech goes in and the same speech comes back in the received track, after the button is let go', (t) =>
      onPage(talkative, server.url, { transport }, async (page) => {
        await sayMuch(page);
        await waitForPhase(page, 'ready');
        const levels = await heard(page);
        // 0.95 and more where nothing stutters, and 0.5 by chance.
        const [forward, backward] = [envelope(spoken), envelope(spoken).reverse()].map((said) => likeness(levels, said));
        const isAlike = forward > 0.6 && forward > backward + 0.1;
        await assertUnlessLate(t, page, isAlike, `like what was said by ${forward}, reversed by ${backward}`);
      }));

    test('what the camera sees comes back as a picture', () =>
      onPage(browser, server.url, { transport }, async (page) => {
        await page.getByRole('button', { name: 'Show' }).click();
        await waitForPhase(page, 'ready');
        const picture = page.getByRole('img', { name: 'A picture drawn by the agent' });
        for (let i = 0; (await picture.count()) === 0; i++) {
          assert.ok(i < 10, 'no picture was drawn');
          await type(page, `Draw what you see, ${i}`); // the first frame may still be on its way
          await waitForAnswer(page, `Draw what you see, ${i}`);
        }
        const [red, green, blue] = await picture.first().evaluate(async (image) => {
          await image.decode();
          const context = new OffscreenCanvas(1, 1).getContext('2d');
          context.drawImage(image, 0, 0, 1, 1);
          return context.getImageData(0, 0, 1, 1).data.slice(0, 3);
        }).then((colour) => Object.values(colour));
        // Chromium's fake camera is green all over.
        assert.ok(green > 80 && red < 110 && blue < 60, `its colour is ${[red, green, blue]}`);
      }));

    test('the button that stops the agent stops it', () =>
      onPage(talkative, server.url, { transport }, async (page) => {
        await sayMuch(page);
        await page.getByRole('button', { name: 'Stop the agent' }).click();
        await eventOf(page, 'conversation.item.truncated');
        await waitForPhase(page, 'ready');
        const before = audibleSeconds(await heard(page));
        await page.waitForTimeout(1_000);
        const after = audibleSeconds(await heard(page));
        assert.ok(after - before < 0.3 && after < LONG_S - 1, `${before} s were heard before, ${after} s after`);
      }));

    test('speaking up cuts the agent off, and the server knows how much was heard', () =>
      onPage(talkative, server.url, { transport }, async (page) => {
        await sayMuch(page);
        await takeTurns(page, 'Hands-free');
        const started = await eventOf(page, 'input_audio_buffer.speech_started');
        const truncated = await eventOf(page, 'conversation.item.truncated', started.atMs);
        assert.ok(truncated.audio_end_ms < (LONG_S - 1) * 1000, `it was cut at ${truncated.audio_end_ms} ms`);
      }));
  });
}

test('a session ends when its user ends it, and another may begin', () =>
  onPage(browser, server.url, {}, async (page) => {
    await type(page, 'Hello');
    await waitForAnswer(page, 'You said: Hello');
    await page.getByRole('button', { name: 'End', exact: true }).click();
    await page.locator('#log').getByText('You ended the session.').waitFor();
    assert.equal(await phaseOf(page), 'ended');
    await type(page, 'Once more');
    await waitForAnswer(page, 'You said: Once more');
    await page.locator('#log').getByText('A new session began.').waitFor();
    assert.ok((await typesOf(page)).filter((name) => name === 'session.created').length === 2);
  }));

test('the example of the SDK does what it says', async () => {
  const page = await browser.newPage();
  await page.goto(`${server.url}/examples/hello.html`);
  await page.getByRole('button', { name: 'Talk' }).click();
  await page.getByText('assistant: Sound without words.').first().waitFor();
  await page.getByText('user: Spoken.').first().waitFor();
  await page.close();
});
