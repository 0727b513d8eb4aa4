/** What is said in words, and what is saved in files. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { DeviceProblem, openDevice, wordsFor } from '../sdk/devices.js';
import { abilities, describeModel, modelOf, refusalOf } from '../sdk/models.js';
import { withoutSound } from '../sdk/recording.js';
import { crc32, zipOf } from '../sdk/zip.js';

const NANO = modelOf({ id: 'nano', omniweave: { hears: false } });
const ECHO = modelOf({ id: 'echo', omniweave: { hears: true, sees: true, speaks: true, draws: true } });

test('a text model says what it cannot do, and what to do instead', () => {
  assert.deepEqual(abilities(NANO), { can: ['read', 'write'], cannot: ['hear', 'see', 'speak', 'draw'] });
  const words = 'This model reads and writes. It does not hear, see, speak or draw yet. Type to it.';
  assert.equal(describeModel(NANO), words);
});

test('a model that can do everything says so', () => {
  assert.equal(describeModel(ECHO), 'This model reads, writes, hears, sees, speaks and draws.');
});

test('what a server does not say is not claimed', () => {
  assert.equal(modelOf(undefined).hears, false);
  assert.equal(modelOf({ id: 'other' }).speaks, false);
});

test('a refusal is told in the words of the server, or by its status', async () => {
  const told = await refusalOf(Response.json({ error: { message: 'The server is full.' } }, { status: 503 }));
  assert.deepEqual([told.message, told.status], ['The server is full.', 503]);
  const silent = await refusalOf(new Response('oops', { status: 500, statusText: 'Internal Server Error' }));
  assert.equal(silent.message, 'The server answered 500 Internal Server Error.');
});

for (const [name, words] of [
  ['NotAllowedError', /not allowed to use the microphone/],
  ['NotFoundError', /No microphone was found/],
  ['NotReadableError', /Another program/],
  ['OverconstrainedError', /Choose another/],
  ['TypeError', /cannot be used: because/],
]) {
  test(`${name} is explained`, () => {
    const error = Object.assign(new Error('because'), { name });
    assert.match(wordsFor(error, 'microphone'), /** @type {RegExp} */ (words));
  });
}

test('a page without a secure origin is told so', async () => {
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true }); // no mediaDevices in it
  await assert.rejects(openDevice('camera'), (error) => error instanceof DeviceProblem && /https/.test(error.message));
});

test('an archive is read by others', async () => {
  const files = [
    { name: 'a.txt', bytes: new TextEncoder().encode('hello') },
    { name: 'größe.bin', bytes: Uint8Array.from({ length: 70_000 }, (_, i) => i % 251) },
  ];
  const path = join(mkdtempSync(join(tmpdir(), 'zip-')), 'test.zip');
  writeFileSync(path, new Uint8Array(await zipOf(files).arrayBuffer()));
  const script = 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), [(i.filename, i.file_size) for i in z.infolist()])';
  const told = execFileSync('python3', ['-X', 'utf8', '-c', script, path], { encoding: 'utf8' });
  assert.equal(told.trim(), "None [('a.txt', 5), ('größe.bin', 70000)]");
});

test('checksums are those of everybody else', () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
});

test('recorded events leave sound to the sound file', () => {
  const event = { type: 'response.output_audio.delta', item_id: 'a', delta: 'AAAA' };
  assert.deepEqual(withoutSound(event), { ...event, delta: '(4 characters)' });
  const other = { type: 'response.output_text.delta', delta: 'Hi' };
  assert.equal(withoutSound(other), other);
});
