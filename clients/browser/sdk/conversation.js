/** What was said by both sides, in order: protocol events in, entries that changed out. Pure. */

/** @typedef {import('./types.js').RealtimeEvent} RealtimeEvent */
/** @typedef {import('./types.js').Item} Item */

/** @typedef {{url: string, width: number, height: number}} Picture */

/**
 * One thing that was said. `note` stands where there are no words, or explains them.
 *
 * @typedef {object} Entry
 * @property {string} id
 * @property {'user' | 'assistant' | 'notice'} role
 * @property {'typed' | 'spoken'} via
 * @property {'streaming' | 'done' | 'interrupted' | 'failed'} status
 * @property {string} text
 * @property {string} note
 * @property {Picture[]} pictures
 * @property {string | null} responseId
 */

export const NO_TRANSCRIPT = 'Spoken. This model does not write down what it hears.';
export const SPOKEN = 'Spoken.'; // once that was said
export const NO_WORDS = 'Sound without words.';

const MAX_ENTRIES = 500; // a session has no end; what is shown of it has

export class Conversation {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** The pieces of an entry's text by content index. @type {Map<string, Map<number, string>>} */
  #parts = new Map();
  #numNotices = 0;
  #hasExplained = false;

  /** Oldest first. */
  get entries() {
    return [...this.#entries.values()];
  }

  /**
   * A message that the user typed.
   *
   * @param {string} id
   * @param {string} text
   */
  addTyped(id, text) {
    return this.#add({ id, role: 'user', via: 'typed', status: 'done', text });
  }

  /**
   * Something that happened to the conversation itself.
   *
   * @param {string} text
   */
  addNotice(text) {
    this.#numNotices += 1;
    return this.#add({ id: `notice_${this.#numNotices}`, role: 'notice', status: 'done', text });
  }

  /**
   * @param {RealtimeEvent} event
   * @returns {Entry[]} what changed
   */
  apply(event) {
    switch (event.type) {
      case 'conversation.item.added':
      case 'conversation.item.done':
        return this.#takeItem(event.item, event.type === 'conversation.item.done');
      case 'conversation.item.deleted':
        return this.#remove(event.item_id);
      case 'input_audio_buffer.speech_started':
        return [this.#add({ id: event.item_id, role: 'user', via: 'spoken', status: 'streaming' })];
      case 'conversation.item.input_audio_transcription.delta':
        return this.#append(event.item_id, event.content_index ?? 0, event.delta);
      case 'conversation.item.input_audio_transcription.completed':
        return this.#settle(event.item_id, event.content_index ?? 0, event.transcript);
      case 'conversation.item.input_audio_transcription.failed':
        return this.#explain(event.item_id, event.error);
      case 'response.output_text.delta':
      case 'response.output_audio_transcript.delta':
        return this.#append(event.item_id, event.content_index, event.delta);
      case 'response.output_item.added':
        return event.item.type === 'message' ? [this.#open(event.item.id, event.response_id)] : [];
      case 'response.content_part.added':
        return event.part.type === 'audio' ? this.#change(event.item_id, { via: 'spoken' }) : [];
      case 'omniweave.image.done':
        return [this.#show(event)];
      case 'response.done':
        return this.#finish(event.response);
      default:
        return [];
    }
  }

  /** What a new session has to be told to go on with this conversation: items that have words. */
  toItems() {
    return this.entries
      .filter((entry) => entry.role !== 'notice' && entry.text !== '')
      .map((entry) => ({
        id: entry.id,
        type: 'message',
        role: entry.role,
        content: [{ type: entry.role === 'user' ? 'input_text' : 'output_text', text: entry.text }],
      }));
  }

  /** Whatever was being said when the connection was lost will not be finished. */
  interruptAll() {
    return this.entries
      .filter((entry) => entry.status === 'streaming')
      .flatMap((entry) => this.#change(entry.id, { status: 'interrupted' }));
  }

  // --- one event each -----------------------------------------------------------------------------------------------

  /**
   * @param {Item} item
   * @param {boolean} isDone
   */
  #takeItem(item, isDone) {
    if (item.type !== 'message' || (item.role !== 'user' && item.role !== 'assistant')) return [];
    const content = item.content ?? [];
    const known = this.#entries.get(item.id);
    if (known === undefined) {
      const isSpoken = content.some((part) => part.type.endsWith('_audio'));
      const text = content.map((part) => part.text ?? part.transcript ?? '').join('');
      const status = item.status === 'in_progress' ? 'streaming' : 'done';
      return [this.#add({ id: item.id, role: item.role, via: isSpoken ? 'spoken' : 'typed', status, text })];
    }
    if (!isDone || item.role === 'assistant') return []; // how an answer ended comes with its response
    return this.#change(item.id, { status: 'done' });
  }

  /** @param {string} id @param {string} responseId */
  #open(id, responseId) {
    return (
      this.#change(id, { responseId })[0] ??
      this.#add({ id, role: 'assistant', via: 'typed', status: 'streaming', responseId })
    );
  }

  /** @param {string} id @param {number} index @param {string} delta */
  #append(id, index, delta) {
    const parts = this.#parts.get(id) ?? new Map();
    this.#parts.set(id, parts);
    parts.set(index, (parts.get(index) ?? '') + delta);
    const text = [...parts.entries()].sort(([a], [b]) => a - b).map(([, piece]) => piece);
    return this.#change(id, { text: text.join('') });
  }

  /** @param {string} id @param {number} index @param {string} text */
  #settle(id, index, text) {
    this.#parts.get(id)?.delete(index);
    return this.#append(id, index, text);
  }

  /** @param {string} id @param {{code?: string, message?: string}} error */
  #explain(id, error) {
    if (error?.code !== 'transcription_unavailable') return this.#change(id, { note: error?.message ?? 'Not transcribed.' });
    const note = this.#hasExplained ? SPOKEN : NO_TRANSCRIPT;
    this.#hasExplained = true;
    return this.#change(id, { note });
  }

  /** @param {RealtimeEvent} event */
  #show(event) {
    const picture = { url: event.image_url, width: event.width, height: event.height };
    const entry = this.entries.findLast((one) => one.responseId === event.response_id);
    if (entry !== undefined) return this.#change(entry.id, { pictures: [...entry.pictures, picture] })[0];
    const { response_id: responseId } = event;
    return this.#add({
      id: `picture_${responseId}`,
      role: 'assistant',
      status: 'streaming',
      responseId,
      pictures: [picture],
    });
  }

  /** @param {{id: string, status: string, status_details?: {error?: {message?: string}} | null}} response */
  #finish(response) {
    const status = response.status === 'completed' ? 'done' : response.status === 'failed' ? 'failed' : 'interrupted';
    const mine = this.entries.filter((entry) => entry.responseId === response.id);
    const why = response.status_details?.error?.message ?? '';
    if (mine.length === 0 && status === 'failed') {
      return [this.#add({ id: `failed_${response.id}`, role: 'assistant', status, note: why })];
    }
    return mine.flatMap((entry) => {
      const isEmpty = entry.text === '' && entry.pictures.length === 0;
      if (isEmpty && entry.via === 'typed' && why === '') return this.#remove(entry.id);
      const note = why || (isEmpty ? NO_WORDS : entry.note);
      return this.#change(entry.id, { status, note });
    });
  }

  // --- entries ------------------------------------------------------------------------------------------------------

  /** @param {Partial<Entry> & Pick<Entry, 'id' | 'role'>} given */
  #add(given) {
    /** @type {Entry} */
    const entry = { via: 'typed', status: 'streaming', text: '', note: '', pictures: [], responseId: null, ...given };
    this.#entries.set(entry.id, entry);
    if (this.#entries.size > MAX_ENTRIES) this.#forget(this.entries[0].id);
    return entry;
  }

  /** @param {string} id @param {Partial<Entry>} changes @returns {Entry[]} */
  #change(id, changes) {
    const entry = this.#entries.get(id);
    if (entry === undefined) return [];
    const changed = { ...entry, ...changes };
    this.#entries.set(id, changed);
    return [changed];
  }

  /**
   * A removed entry is told as one without anything in it.
   *
   * @param {string} id
   */
  #remove(id) {
    const removed = this.#change(id, { text: '', note: '', pictures: [], status: 'done' });
    this.#forget(id);
    return removed;
  }

  /** @param {string} id */
  #forget(id) {
    this.#entries.delete(id);
    this.#parts.delete(id);
  }
}

/** Whether there is anything to be seen of an entry. @param {Entry} entry */
export function isEmpty(entry) {
  return entry.text === '' && entry.note === '' && entry.pictures.length === 0 && entry.status !== 'streaming';
}
