/**
 * Takes the pictures of the page that the documentation shows: `node scripts/screenshots.mjs [only]`.
 *
 * Starts `run_server.py` with the default model and with the echo engine, talks to both through the page in Chromium, and
 * writes PNG files to docs/images. Needs `npm ci --prefix clients/browser`, chromium, and fonts worth looking at.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { launch, openPage, speech, startServer, type, waitForAnswer, waitForPhase, wavFile } from '../tests/browser/harness.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const IMAGES = join(ROOT, 'docs', 'images');
const DESKTOP = { viewport: { width: 1360, height: 850 }, deviceScaleFactor: 1.5 };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

/** What the camera sees: five ribbons that cross, as frames of a video. */
const CAMERA = `
import sys, numpy as np
W, H, N = 640, 480, 60
inks = [(79, 122, 194), (154, 108, 200), (42, 157, 143), (201, 138, 34), (221, 95, 67)]
x, y = np.meshgrid(np.arange(W), np.arange(H))
with open(sys.argv[1], "wb") as out:
    out.write(f"YUV4MPEG2 W{W} H{H} F15:1 Ip A1:1 C420jpeg\\n".encode())
    for n in range(N):
        rgb = np.zeros((H, W, 3)) + (246, 240, 228) - (y[..., None] / H) * (16, 22, 34)
        for i, ink in enumerate(inks):
            phase = 2 * np.pi * n / N + i * 1.26
            middle = H / 2 + 130 * np.sin(2 * np.pi * x / 520 + phase) * np.cos(i * 0.9 + x / 900)
            cover = np.clip(26 - np.abs(y - middle), 0, 1)[..., None]
            shade = 1 - 0.25 * np.clip((y - middle) / 26, -1, 1)[..., None]
            rgb = rgb * (1 - cover) + np.clip(np.array(ink) * shade, 0, 255) * cover
        r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
        luma = 0.299 * r + 0.587 * g + 0.114 * b
        half = lambda plane: plane.reshape(H // 2, 2, W // 2, 2).mean((1, 3))
        planes = [luma, half(128 + 0.564 * (b - luma)), half(128 + 0.713 * (r - luma))]
        out.write(b"FRAME\\n" + b"".join(plane.round().clip(0, 255).astype(np.uint8).tobytes() for plane in planes))
`;

/** Runs in the page: the fake devices have names that nobody's devices have. */
function nameDevices() {
  const enumerate = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
  navigator.mediaDevices.enumerateDevices = async () =>
    (await enumerate()).map(({ deviceId, kind, groupId, label }) => ({
      deviceId,
      kind,
      groupId,
      label: label && (kind === 'audioinput' ? 'Built-in microphone' : 'Built-in camera'),
    }));
}

/** @param {string} name @param {any} page */
async function shoot(page, name) {
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
  console.log(`docs/images/${name}.png`);
}

/** The default model: what it says of itself, or, where it is asked something, how it is writing the last answer. */
async function withModel(browser, url, context, name, questions) {
  const page = await openPage(browser, url, { context });
  for (const [i, question] of questions.entries()) {
    await type(page, question);
    const isLast = i === questions.length - 1;
    await page.waitForFunction(
      ([nth, length]) => {
        const answer = document.querySelectorAll('.entry[data-role="assistant"]')[nth];
        return answer && (answer.dataset.status === 'done' || answer.textContent.length > length);
      },
      [i, isLast ? 260 : Infinity],
      { polling: 20 },
    );
    if (!isLast) await page.waitForTimeout(3_000);
  }
  await shoot(page, name);
  await page.context().close();
}

/** The echo engine: speech, camera and a picture. */
async function withEcho(browser, url, context, name) {
  const page = await openPage(browser, url, { context, prepare: (opened) => opened.addInitScript(nameDevices) });
  await type(page, 'Hello! Are you there?');
  await waitForAnswer(page, 'You said: Hello!');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await page.getByRole('button', { name: 'Talk', exact: true }).click();
  await waitForPhase(page, 'speaking');
  await page.waitForTimeout(9_000);
  await page.getByRole('button', { name: 'Mute', exact: true }).click(); // or what is drawn next would be interrupted
  await page.waitForTimeout(1_500);
  await type(page, 'Now draw what you see.');
  await page.getByRole('img', { name: 'A picture drawn by the agent' }).waitFor();
  await page.getByRole('button', { name: 'Talk', exact: true }).click();
  await page.waitForTimeout(3_200);
  await shoot(page, name);
  await page.context().close();
}

mkdirSync(IMAGES, { recursive: true });
const only = process.argv[2] ?? '';
const camera = join(mkdtempSync(join(tmpdir(), 'camera-')), 'camera.y4m');
execFileSync(process.env.PYTHON ?? 'python3', ['-c', CAMERA, camera]);
const browser = await launch({ microphone: wavFile([0.2, speech(), 1.6]), camera });
const light = { colorScheme: 'light' };
const dark = { colorScheme: 'dark' };
if ('model'.includes(only)) {
  const server = await startServer(0, []);
  await withModel(browser, server.url, { ...DESKTOP, ...light }, 'desktop-light', ['What is the capital of France?', 'Write a short poem about a river.']);
  await withModel(browser, server.url, { ...PHONE, ...light }, 'phone-light', []);
  await server.stop();
}
if ('echo'.includes(only)) {
  const server = await startServer();
  await withEcho(browser, server.url, { ...DESKTOP, ...dark }, 'desktop-dark');
  await withEcho(browser, server.url, { ...PHONE, ...dark }, 'phone-dark');
  await server.stop();
}
await browser.close();
