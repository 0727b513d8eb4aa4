/** The conversation as a client shows it, and the phases of a session. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Conversation, NO_TRANSCRIPT, NO_WORDS, SPOKEN, isEmpty } from '../sdk/conversation.js';
import { phaseOf } from '../sdk/phase.js';

/** @param {string} id @param {'user' | 'assistant'} role @param {object[]} content @param {string} [status] */
const message = (id, role, content, status = 'completed') => ({ id, type: 'message', role, status, content });

/** A conversation that was told these events. @param {...{type: string, [field: string]: unknown}} events */
function told(...events) {
  const conversation = new Conversation();
  for (const event of events) conversation.apply(event);
  return conversation;
}

const opened = [
  { type: 'response.created', response: { id: 'r1' } },
  { type: 'response.output_item.added', response_id: 'r1', item: message('a1', 'assistant', [], 'in_progress') },
  { type: 'conversation.item.added', item: message('a1', 'assistant', [], 'in_progress') },
];
const text = (/** @type {string} */ delta, index = 0) => ({
  type: 'response.output_text.delta',
  response_id: 'r1',
  item_id: 'a1',
  content_index: index,
  delta,
});
const done = (status = 'completed', details = null) => ({
  type: 'response.done',
  response: { id: 'r1', status, status_details: details },
});

test('an answer grows word by word and then is done', () => {
  const conversation = told(...opened, text('You '), text('said'));
  assert.deepEqual(
    conversation.entries.map(({ role, text: words, status }) => [role, words, status]),
    [['assistant', 'You said', 'streaming']],
  );
  conversation.apply(done());
  assert.equal(conversation.entries[0].status, 'done');
});

test('a transcript is text as well, and parts keep their order', () => {
  const transcript = { ...text('second', 1), type: 'response.output_audio_transcript.delta' };
  assert.equal(told(...opened, transcript, text('first ')).entries[0].text, 'first second');
});

test('a typed message is shown once, though the server sends it back', () => {
  const conversation = new Conversation();
  conversation.addTyped('u1', 'Hello');
  const item = message('u1', 'user', [{ type: 'input_text', text: 'Hello' }]);
  conversation.apply({ type: 'conversation.item.added', item });
  conversation.apply({ type: 'conversation.item.done', item });
  assert.deepEqual(conversation.entries.map((entry) => entry.text), ['Hello']);
});

test('speech has a place from its beginning, and its words come later', () => {
  const conversation = told({ type: 'input_audio_buffer.speech_started', item_id: 'u1' });
  assert.equal(conversation.entries[0].status, 'streaming');
  const item = message('u1', 'user', [{ type: 'input_audio', transcript: null }]);
  conversation.apply({ type: 'conversation.item.added', item });
  conversation.apply({ type: 'conversation.item.done', item });
  const transcription = 'conversation.item.input_audio_transcription';
  conversation.apply({ type: `${transcription}.delta`, item_id: 'u1', content_index: 0, delta: 'good' });
  conversation.apply({ type: `${transcription}.completed`, item_id: 'u1', content_index: 0, transcript: 'Good day.' });
  const [entry] = conversation.entries;
  assert.deepEqual([entry.via, entry.status, entry.text], ['spoken', 'done', 'Good day.']);
});

test('speech that nobody wrote down says why', () => {
  const failed = (/** @type {object} */ error) => ({
    type: 'conversation.item.input_audio_transcription.failed',
    item_id: 'u1',
    error,
  });
  const conversation = told({ type: 'input_audio_buffer.speech_started', item_id: 'u1' });
  conversation.apply(failed({ code: 'transcription_unavailable', message: 'long' }));
  assert.equal(conversation.entries[0].note, NO_TRANSCRIPT);
  conversation.apply(failed({ code: 'model_cannot_hear', message: 'It cannot hear.' }));
  assert.equal(conversation.entries[0].note, 'It cannot hear.');
  conversation.apply(failed({ code: 'transcription_unavailable', message: 'long' }));
  assert.equal(conversation.entries[0].note, SPOKEN, 'said once, that is enough');
});

test('an answer of sound alone is not empty', () => {
  const part = { type: 'response.content_part.added', item_id: 'a1', content_index: 0, part: { type: 'audio' } };
  const [entry] = told(...opened, part, done()).entries;
  assert.deepEqual([entry.via, entry.note, entry.status], ['spoken', NO_WORDS, 'done']);
});

test('an answer that was cancelled before its first word disappears', () => {
  const conversation = told(...opened);
  const [removed] = conversation.apply(done('cancelled'));
  assert.equal(isEmpty(removed), true);
  assert.deepEqual(conversation.entries, []);
});

test('an interrupted answer keeps what it had said', () => {
  const [entry] = told(...opened, text('Half of'), done('cancelled')).entries;
  assert.deepEqual([entry.text, entry.status], ['Half of', 'interrupted']);
});

test('an answer that failed says why, also where nothing of it had come', () => {
  const error = { type: 'failed', error: { message: 'The model cannot hear.' } };
  const conversation = new Conversation();
  conversation.apply({ type: 'response.done', response: { id: 'r9', status: 'failed', status_details: error } });
  const [entry] = conversation.entries;
  assert.deepEqual([entry.role, entry.status, entry.note], ['assistant', 'failed', 'The model cannot hear.']);
});

test('a picture belongs to the answer that drew it', () => {
  const picture = { type: 'omniweave.image.done', response_id: 'r1', image_url: 'data:x', width: 4, height: 3 };
  const [entry] = told(...opened, text('Here'), picture, done()).entries;
  assert.deepEqual(entry.pictures, [{ url: 'data:x', width: 4, height: 3 }]);
});

test('a picture without words is an answer of its own', () => {
  const picture = { type: 'omniweave.image.done', response_id: 'r1', image_url: 'data:x', width: 4, height: 3 };
  const [entry] = told(picture, done()).entries;
  assert.deepEqual([entry.role, entry.pictures.length, entry.status], ['assistant', 1, 'done']);
});

test('a deleted item is removed', () => {
  assert.deepEqual(told(...opened, { type: 'conversation.item.deleted', item_id: 'a1' }).entries, []);
});

test('function calls and unknown events change nothing', () => {
  const call = { id: 'f1', type: 'function_call', name: 'x', arguments: '{}' };
  const conversation = told({ type: 'conversation.item.added', item: call }, { type: 'something.new' });
  assert.deepEqual(conversation.entries, []);
});

test('what a new session is told are the words of both sides, in order', () => {
  const conversation = new Conversation();
  conversation.addTyped('u1', 'Hello');
  conversation.apply({ type: 'input_audio_buffer.speech_started', item_id: 'u2' });
  for (const event of [...opened, text('You said hello'), done()]) conversation.apply(event);
  conversation.addNotice('Something happened.');
  assert.deepEqual(conversation.toItems(), [
    { id: 'u1', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello' }] },
    { id: 'a1', type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'You said hello' }] },
  ]);
});

test('a conversation without end keeps its latest entries', () => {
  const conversation = new Conversation();
  for (let i = 0; i < 2_000; i++) conversation.addTyped(`u${i}`, String(i));
  assert.deepEqual([conversation.entries.length, conversation.entries.at(-1)?.text], [500, '1999']);
});

test('the phase is what matters most', () => {
  const quiet = { connection: /** @type {const} */ ('open'), listening: false, waiting: false, responding: false, writing: false, playing: false };
  assert.equal(phaseOf(quiet), 'ready');
  assert.equal(phaseOf({ ...quiet, listening: true }), 'listening');
  assert.equal(phaseOf({ ...quiet, listening: true, waiting: true }), 'thinking');
  assert.equal(phaseOf({ ...quiet, responding: true }), 'thinking');
  assert.equal(phaseOf({ ...quiet, responding: true, writing: true }), 'writing');
  assert.equal(phaseOf({ ...quiet, responding: true, writing: true, playing: true }), 'speaking');
  assert.equal(phaseOf({ ...quiet, playing: true, connection: 'reconnecting' }), 'reconnecting');
});
