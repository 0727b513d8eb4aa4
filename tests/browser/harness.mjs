/**
 * A server with an EchoEngine, a Chromium with fake devices, and the page in it: what every test here begins with.
 *
 * The microphone is a WAV file made from `speech.wav`; what the page receives is measured in the track itself.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
export const ROOT = join(HERE, '..', '..');
const { chromium } = createRequire(join(ROOT, 'clients', 'browser', 'package.json'))('playwright-core');

export const PATIENCE_MS = 60_000; // a busy machine
export const RATE_HZ = 24_000;

// --- the server -----------------------------------------------------------------------------------------------------

/**
 * Start `run_server.py`. `stop` ends it as a signal would.
 *
 * @param {number} port  0 takes a free one
 * @param {string[]} flags
 */
export async function startServer(port = 0, flags = ['--engine', 'echo']) {
  const python = process.env.PYTHON ?? 'python3';
  const args = ['-u', join(ROOT, 'run_server.py'), ...flags, '--port', String(port)];
  const child = spawn(python, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  child.stderr.on('data', (data) => (told += data));
  const url = await new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => {
      told += data;
      const found = told.match(/open +(https?:\S+)/);
      if (found) resolve(found[1]);
    });
    child.on('exit', () => reject(new Error(`the server did not start:\n${told}`)));
  });
  await answers(url);
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  return { url, port: Number(new URL(url).port), stop };
}

async function answers(url) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const response = await fetch(`${url}/healthz`).catch(() => null);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} does not answer`);
}

/** What a server counts under a name of `/metrics`; NaN where there is no server. */
async function metricOf(url, name) {
  const response = await fetch(`${url}/metrics`).catch(() => null);
  const line = (await response?.text())?.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1) ?? NaN);
}

/** Wait for the sessions of earlier tests to end: a slow machine's server admits no second one beside them. */
export async function isFree(url) {
  const deadline = Date.now() + PATIENCE_MS;
  while ((await metricOf(url, 'omniweave_sessions')) > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// --- sound ----------------------------------------------------------------------------------------------------------

/** The samples of `speech.wav`: 1.66 s at 24 kHz. */
export function speech() {
  const file = readFileSync(join(ROOT, 'tests', 'fixtures', 'speech.wav'));
  const start = file.indexOf('data') + 8;
  return new Int16Array(file.buffer.slice(file.byteOffset + start, file.byteOffset + file.length));
}

/**
 * A WAV file of these pieces: samples, or seconds of silence. Chromium plays it as the microphone, over and over.
 *
 * @param {(Int16Array | number)[]} pieces
 */
export function wavFile(pieces) {
  const samples = pieces.flatMap((piece) => (typeof piece === 'number' ? new Array(Math.round(piece * RATE_HZ)).fill(0) : [...piece]));
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.length * 2, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22); // mono
  header.writeUInt32LE(RATE_HZ, 24);
  header.writeUInt32LE(RATE_HZ * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.length * 2, 40);
  const path = join(mkdtempSync(join(tmpdir(), 'microphone-')), 'microphone.wav');
  writeFileSync(path, Buffer.concat([header, Buffer.from(Int16Array.from(samples).buffer)]));
  return path;
}

const STEPS_PER_S = 50; // of envelopes
const AUDIBLE = 0.01; // of full scale, root mean square

/** Loudness in steps of 20 ms, as root mean squares of full scale. @param {Int16Array} pcm16 */
export function envelope(pcm16) {
  const step = RATE_HZ / STEPS_PER_S;
  return Array.from({ length: Math.floor(pcm16.length / step) }, (_, i) => {
    const part = pcm16.subarray(i * step, (i + 1) * step);
    return Math.sqrt(part.reduce((sum, sample) => sum + (sample / 32_768) ** 2, 0) / step);
  });
}

/** Seconds of an envelope in which something can be heard. @param {number[]} levels */
export function audibleSeconds(levels) {
  return levels.filter((level) => level > AUDIBLE).length / STEPS_PER_S;
}

/** How alike two envelopes are where they are most alike, −1 to 1. @param {number[]} long @param {number[]} short */
export function likeness(long, short) {
  let best = -1;
  for (let lag = 0; lag + short.length <= long.length; lag++) {
    best = Math.max(best, correlation(long.slice(lag, lag + short.length), short));
  }
  return best;
}

function correlation(a, b) {
  const mean = (x) => x.reduce((sum, value) => sum + value, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  }
  return aa && bb ? ab / Math.sqrt(aa * bb) : 0;
}

// --- the browser ----------------------------------------------------------------------------------------------------

const QUIET = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'];

/** @param {{microphone?: string, camera?: string, isAllowed?: boolean}} [given]  files of sound and of video */
export function launch({ microphone, camera, isAllowed = true } = {}) {
  const devices = ['--use-fake-device-for-media-stream', isAllowed ? '--use-fake-ui-for-media-stream' : '--deny-permission-prompts'];
  if (microphone) devices.push(`--use-file-for-fake-audio-capture=${microphone}`);
  if (camera) devices.push(`--use-file-for-fake-video-capture=${camera}`);
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless=new', '--no-sandbox', '--disable-gpu', ...QUIET, ...devices],
  });
}

/**
 * Open the page. Its `complaints` are what it threw and what it logged as errors.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {{transport?: string, context?: object, prepare?: (page: any) => Promise<void>}} given
 */
export async function openPage(browser, url, { transport, context = {}, prepare } = {}) {
  const page = await (await browser.newContext(context)).newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.setDefaultNavigationTimeout(PATIENCE_MS);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(`${error.name}: ${error.message} ${error.stack}`));
  page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
  await page.addInitScript(collectEvents);
  await prepare?.(page);
  await page.goto(transport ? `${url}/?transport=${transport}` : url);
  await page.locator('#abilities li').first().waitFor();
  return Object.assign(page, { complaints });
}

/**
 * Open the page, let `use` use it, and close it. Fails where it complained, unless it `mayComplain`.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {Parameters<typeof openPage>[2] & {mayComplain?: boolean}} given
 * @param {(page: any) => Promise<void>} use
 */
export async function onPage(browser, url, { mayComplain = false, ...given }, use) {
  await isFree(url);
  const page = await openPage(browser, url, given);
  try {
    await use(page);
    if (!mayComplain) assert.deepEqual(page.complaints, []);
  } catch (error) {
    const seen = await page.evaluate(() => ({
      phase: document.getElementById('phase').dataset.phase,
      problem: document.getElementById('problem-text').textContent,
      said: document.getElementById('log').innerText,
      events: window.receivedEvents.map((event) => event.type).join(' '),
    })).catch(() => 'a page that does not answer');
    const state = `The page: ${JSON.stringify(seen, null, 1)}\nIt complained: ${page.complaints.join('\n')}`;
    throw new Error(`${error.message}\n${state}`, { cause: error });
  } finally {
    await hangUp(page);
  }
}

/** Close the page as leaving it does; Chromium closes one too abruptly for its call to be hung up. */
export async function hangUp(page) {
  await page.evaluate(() => dispatchEvent(new Event('pagehide'))).catch(() => {});
  await page.context().close();
}

/** Runs in the page: keeps every event that a server sends, whichever way it comes. */
function collectEvents() {
  const events = (window.receivedEvents = []);
  const keep = ({ data }) => typeof data === 'string' && events.push({ atMs: performance.now(), ...JSON.parse(data) });
  const createDataChannel = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...args) {
    const channel = createDataChannel.apply(this, args);
    channel.addEventListener('message', keep);
    return channel;
  };
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', keep);
    }
  };
}

/** Wait for an event of the server, by type, and return the first. */
export async function eventOf(page, type, after = 0) {
  const found = await page.waitForFunction(
    ([wanted, since]) => window.receivedEvents.find((event) => event.type === wanted && event.atMs > since),
    [type, after],
    { polling: 20 },
  );
  return found.jsonValue();
}

export async function typesOf(page) {
  return page.evaluate(() => window.receivedEvents.map((event) => event.type));
}

export const phaseOf = (page) => page.locator('#phase').getAttribute('data-phase');

export async function waitForPhase(page, ...phases) {
  await page.waitForFunction((wanted) => wanted.includes(document.getElementById('phase').dataset.phase), phases, { polling: 20 });
}

export async function type(page, text) {
  const field = page.getByRole('textbox', { name: 'Message' });
  await field.fill(text);
  await field.press('Enter');
}

/** @param {any} page @param {'Hands-free' | 'Hold to talk'} name */
export async function takeTurns(page, name) {
  await page.getByRole('radio', { name }).check();
}

/** Wait until the agent has said this. */
export async function waitForAnswer(page, text) {
  await page.locator('.entry[data-role="assistant"][data-status="done"]', { hasText: text }).first().waitFor();
}

/**
 * Start to measure the sound of the stream that the page plays, as the track itself delivers it; and of another one
 * where a connection takes the place of the first.
 *
 * `heard(page)` gives its envelope so far.
 */
export async function listen(page) {
  const lateTicks = await metricOf(new URL(page.url()).origin, LATE_TICKS);
  await page.evaluate(([stepsPerS, late]) => {
    const levels = (window.heardLevels = []);
    const atMs = (window.heardAtMs = []);
    window.lateTicks = late;
    const pump = async (track) => {
      // What the page cannot read in time waits, 10 ms each, instead of being dropped.
      const processor = new MediaStreamTrackProcessor({ track: track.clone(), maxBufferSize: 1_000 });
      const reader = processor.readable.getReader();
      let [sum, count] = [0, 0];
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        const plane = new Float32Array(value.numberOfFrames);
        value.copyTo(plane, { planeIndex: 0, format: 'f32-planar' });
        for (const sample of plane) {
          sum += sample * sample;
          count += 1;
          if (count < value.sampleRate / stepsPerS) continue;
          levels.push(Math.sqrt(sum / count));
          atMs.push(performance.now());
          [sum, count] = [0, 0];
        }
        value.close();
      }
    };
    let current = null;
    const look = () => {
      const track = document.getElementById('voice').srcObject?.getAudioTracks()[0] ?? null;
      if (track !== null && track !== current) void pump(track);
      current = track;
    };
    look();
    setInterval(look, 50);
  }, [STEPS_PER_S, lateTicks]);
}

const LATE_TICKS = 'omniweave_late_ticks_total';
const LEAST_SHARE = 0.9; // of what there was to hear, where a machine keeps up: what comes last may come late

/**
 * Assert something about the shape of sound. Sound that came late has gaps, so where the machine was measured to be
 * late, a shape that is wrong tells nothing, and that is said instead.
 */
export async function assertUnlessLate(t, page, isRight, message) {
  if (isRight) return;
  const late = await lateness(page);
  assert.ok(late, message);
  t.diagnostic(`${message}, but ${late}: it does not count`);
}

/** What kept this machine from real time since `listen`, in words; '' where it kept up. */
async function lateness(page) {
  const late = (await metricOf(new URL(page.url()).origin, LATE_TICKS)) - (await page.evaluate(() => window.lateTicks));
  const share = await page.evaluate(([least, stepsPerS]) => {
    const { heardLevels: levels, heardAtMs: atMs } = window;
    const [first, last] = [levels.findIndex((level) => level > least), levels.findLastIndex((level) => level > least)];
    return ((last - first) * 1000) / stepsPerS / (atMs[last] - atMs[first]);
  }, [AUDIBLE, STEPS_PER_S]);
  const words = [];
  if (late > 0) words.push(`${late} ticks of the server were late`);
  if (share < LEAST_SHARE) words.push(`Chromium played ${Math.round(share * 100)} % of real time`);
  return words.join(', ');
}

/** @returns {Promise<number[]>} */
export function heard(page) {
  return page.evaluate(() => window.heardLevels);
}

/** Wait until as much could be heard, beginning at step `from`. Returns the envelope of all. */
export async function waitForSound(page, seconds, from = 0) {
  await page.waitForFunction(
    ([first, least, steps]) => window.heardLevels.slice(first).filter((level) => level > least).length >= steps,
    [from, AUDIBLE, seconds * STEPS_PER_S],
    { polling: 50 },
  );
  return heard(page);
}
