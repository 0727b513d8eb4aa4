/** The page for those who do not see it, use no mouse, or hold it in one hand; and what it says of a model. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { launch, onPage, startServer, type, waitForAnswer, waitForPhase } from './harness.mjs';

const require = createRequire(new URL('../../clients/browser/package.json', import.meta.url));
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { viewport: { width: 360, height: 720 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** What axe finds wrong with the page as it is now. */
async function violations(page) {
  await page.evaluate(AXE);
  const { violations: found } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return found.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.html).join(' | ')}`);
}

for (const [name, context] of Object.entries({
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'the phone': PHONE,
  'the dark phone': { ...PHONE, colorScheme: 'dark' },
})) {
  test(`axe finds nothing wrong in ${name}`, () =>
    onPage(browser, server.url, { transport: 'websocket', context: { ...context, reducedMotion: 'reduce' } }, async (page) => {
      assert.deepEqual(await violations(page), [], 'before anything was said');
      await page.getByRole('button', { name: 'Show' }).click();
      await waitForPhase(page, 'ready');
      await page.waitForTimeout(500); // a frame
      await type(page, 'Draw what you see');
      await waitForAnswer(page, 'You said: Draw what you see');
      await page.getByRole('button', { name: 'As a table' }).click();
      const toggle = page.getByRole('button', { name: 'Devices and measurements' });
      if (await toggle.isVisible()) await toggle.click();
      await page.getByText('Access').click();
      assert.deepEqual(await violations(page), [], 'in the middle of it');
    }));
}

test('everything can be done with the keyboard', () =>
  onPage(browser, server.url, { transport: 'websocket' }, async (page) => {
    const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim());
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to the message field');
    await page.keyboard.press('Enter');
    assert.equal(await focused(), 'message');
    await page.keyboard.type('First line');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('second line');
    await page.keyboard.press('Enter');
    await waitForAnswer(page, 'second line');
    assert.equal(await focused(), 'message', 'and one goes on typing');
    const reached = new Set();
    for (let i = 0; i < 30; i++) {
      await page.keyboard.press('Tab');
      reached.add(await focused());
    }
    for (const id of ['end', 'talk', 'weave-table-toggle', 'mic', 'camera', 'message', 'mic-choice', 'camera-choice', 'record']) {
      assert.ok(reached.has(id), `${id} cannot be reached: ${[...reached]}`);
    }
  }));

test('holding a key talks as holding the button does, and Escape stops the agent', () =>
  onPage(browser, server.url, { transport: 'websocket' }, async (page) => {
    await page.getByRole('radio', { name: 'Hold to talk' }).check();
    await page.getByRole('button', { name: 'Talk', exact: true }).press('Enter');
    const button = page.getByRole('button', { name: 'Hold to talk' });
    await button.focus();
    await waitForPhase(page, 'ready');
    await page.keyboard.down('Space');
    await waitForPhase(page, 'listening');
    assert.equal(await button.getAttribute('aria-pressed'), 'true');
    await page.waitForTimeout(2_500);
    await page.keyboard.up('Space');
    await waitForPhase(page, 'speaking'); // Chromium's fake microphone beeps
    await page.keyboard.press('Escape');
    await waitForPhase(page, 'ready');
  }));

test('answers are read out when they are whole, and the phase when it matters', () =>
  onPage(browser, server.url, { transport: 'websocket' }, async (page) => {
    await page.evaluate(() => {
      window.readOut = [];
      const announcer = document.getElementById('announcer');
      new MutationObserver(() => window.readOut.push(announcer.textContent)).observe(announcer, { childList: true });
    });
    await type(page, 'one two three four five six seven eight nine ten');
    await waitForAnswer(page, 'nine ten');
    const read = await page.evaluate(() => window.readOut);
    const answers = read.filter((text) => text.startsWith('Agent: '));
    assert.deepEqual(answers, ['Agent: You said: one two three four five six seven eight nine ten']);
    assert.deepEqual(read.filter((text) => text !== answers[0]), ['Connecting', 'Ready']);
    await page.locator('#weave-words', { hasText: 'you typed 48 characters' }).waitFor({ state: 'attached' });
  }));

test('nothing is cut off on a narrow phone', () =>
  onPage(browser, server.url, { context: PHONE }, async (page) => {
    await page.getByRole('button', { name: 'As a table' }).click();
    const { inner, content } = await page.evaluate(() => ({ inner: window.screen.width, content: document.documentElement.scrollWidth }));
    assert.ok(content <= inner, `the page is ${content} wide in a window of ${inner}`);
    for (const name of ['Talk', 'Show', 'Send']) {
      const box = await page.getByRole('button', { name, exact: true }).boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= inner && box.width >= 38 && box.height >= 38, `${name}: ${JSON.stringify(box)}`);
    }
  }));

test('a model that only reads and writes is not made to look like more', () => {
  const nano = { id: 'nano', omniweave: { hears: false, sees: false, speaks: false, draws: false, self_paced: false } };
  const prepare = (page) => page.route('**/v1/models', (route) => route.fulfill({ json: { data: [nano] } }).catch(() => {}));
  return onPage(browser, server.url, { prepare }, async (page) => {
    await page.getByText('This model reads and writes. It does not hear, see, speak or draw yet. Type to it.').waitFor();
    assert.deepEqual(await page.locator('#abilities li[data-can="false"]').allInnerTexts(), [
      'hear: not yet', 'see: not yet', 'speak: not yet', 'draw: not yet',
    ]);
    for (const role of ['button', 'radio', 'combobox', 'meter']) {
      assert.equal(await page.getByRole(role, { name: /Start talking|Hold to talk|Microphone|Camera/ }).count(), 0, role);
    }
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('nobody may ask for a device'));
    });
    await page.getByRole('button', { name: 'Talk', exact: true }).click({ force: true });
    await page.getByRole('alert').getByText('This model does not hear yet. Type to it.').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'message');
    await type(page, 'Typed, then');
    await waitForAnswer(page, 'You said: Typed, then');
    await page.locator('#connection', { hasText: 'WebSocket' }).waitFor();
  });
});

test('the page asks nobody else for anything', () => {
  const asked = [];
  const prepare = async (page) => page.on('request', (request) => asked.push(new URL(request.url()).origin));
  return onPage(browser, server.url, { prepare }, async (page) => {
    await type(page, 'Hello');
    await waitForAnswer(page, 'You said: Hello');
    assert.deepEqual([...new Set(asked)], [server.url]);
  });
});
