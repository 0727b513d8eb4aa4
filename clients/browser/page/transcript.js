/** What was said, on the page: entries in, list items out. Follows the newest unless the reader scrolled away. */

import { isEmpty } from '../sdk/index.js';
import { icon, make } from './dom.js';
import { blocksOf, elementOf, wordsOf } from './markdown.js';

/** @typedef {import('../sdk/conversation.js').Entry} Entry */

const SPEAKERS = { user: 'You: ', assistant: 'Agent: ', notice: '' };
const ENDINGS = { streaming: '', done: '', interrupted: 'Interrupted', failed: 'Failed' };
const MAX_ITEMS = 500; // on the page; what scrolled past is in the recording, if there is one
const NEAR_PX = 80; // scrolled away by less counts as at the end

export class Transcript {
  /** @type {Map<string, HTMLLIElement>} */
  #items = new Map();
  /** What is shown of an entry. @type {WeakMap<HTMLElement, string>} */
  #texts = new WeakMap();
  #list;
  #scroller;
  #announce;
  #follows = true;

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} scroller
   * @param {(text: string) => void} announce  reads to those who do not see the page
   */
  constructor(list, scroller, announce) {
    this.#list = list;
    this.#scroller = scroller;
    this.#announce = announce;
    scroller.addEventListener('scroll', () => (this.#follows = this.#isAtEnd()));
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  get isEmpty() {
    return this.#list.childElementCount === 0;
  }

  /** What follows belongs to another session: it shares no ids with what is shown. */
  startOver() {
    this.#items.clear();
  }

  /** @param {Entry[]} entries */
  show(entries) {
    for (const entry of entries) this.#show(entry);
    this.#follow();
  }

  /** @param {string} text */
  note(text) {
    this.#list.append(noticeOf(text));
    this.#follow();
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  #follow() {
    if (this.#follows) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** @param {Entry} entry */
  #show(entry) {
    const item = this.#items.get(entry.id);
    if (isEmpty(entry)) {
      item?.remove();
      this.#items.delete(entry.id);
      return;
    }
    const shown = item ?? this.#add(entry);
    const wasDone = shown.dataset.status !== 'streaming';
    shown.dataset.via = entry.via;
    shown.dataset.status = entry.status;
    this.#showText(shown, entry);
    this.#showNote(shown, entry);
    this.#showPictures(shown, entry);
    part(shown, 'entry-end').textContent = ENDINGS[entry.status];
    if (entry.status !== 'streaming' && !wasDone) this.#read(entry);
  }

  /** @param {Entry} entry */
  #add(entry) {
    const item = entry.role === 'notice' ? noticeOf('') : make('li', 'entry');
    item.dataset.role = entry.role;
    item.dataset.status = 'streaming';
    item.append(make('span', 'visually-hidden', SPEAKERS[entry.role]), make('div', 'entry-text'));
    item.append(make('p', 'entry-note'), make('div', 'pictures'), make('p', 'entry-end'));
    this.#items.set(entry.id, item);
    this.#list.append(item);
    if (this.#list.childElementCount > MAX_ITEMS) this.#list.firstElementChild?.remove();
    if (this.#items.size > MAX_ITEMS) this.#items.delete(this.#items.keys().next().value ?? '');
    return item;
  }

  /** @param {HTMLElement} item @param {Entry} entry */
  #showText(item, { role, text }) {
    if (this.#texts.get(item) === text) return;
    this.#texts.set(item, text);
    part(item, 'entry-text').replaceChildren(...(role === 'assistant' ? blocksOf(text).map(elementOf) : [text]));
  }

  /** @param {HTMLElement} item @param {Entry} entry */
  #showNote(item, entry) {
    const isVoice = entry.via === 'spoken' && entry.status === 'streaming' && entry.text === '';
    const words = isVoice && entry.note === '' ? 'Speaking …' : entry.note;
    const note = part(item, 'entry-note');
    note.replaceChildren();
    note.hidden = words === '' || (entry.text !== '' && entry.status !== 'failed');
    if (entry.via === 'spoken') note.append(icon('voice'));
    note.append(words);
  }

  /** @param {HTMLElement} item @param {Entry} entry */
  #showPictures(item, entry) {
    const frame = part(item, 'pictures');
    for (const { url, width, height } of entry.pictures.slice(frame.childElementCount)) {
      const figure = make('figure');
      const image = make('img');
      Object.assign(image, { src: url, alt: 'A picture drawn by the agent', width, height });
      const save = make('a', '', 'Save');
      Object.assign(save, { href: url, download: `picture.${url.startsWith('data:image/png') ? 'png' : 'jpg'}` });
      const caption = make('figcaption', '', `${width} × ${height} · `);
      caption.append(save);
      figure.append(image, caption);
      frame.append(figure);
    }
  }

  /**
   * Spoken answers are heard already.
   *
   * @param {Entry} entry
   */
  #read(entry) {
    if (entry.role === 'notice') this.#announce(entry.text);
    if (entry.role !== 'assistant') return;
    if (entry.via === 'typed' && entry.text) this.#announce(`Agent: ${wordsOf(entry.text)}`);
    else if (entry.pictures.length > 0) this.#announce('The agent drew a picture.');
  }
}

/** @param {string} text */
function noticeOf(text) {
  const item = make('li', 'entry', text);
  item.dataset.role = 'notice';
  return item;
}

/** @param {HTMLElement} item @param {string} className @returns {HTMLElement} */
function part(item, className) {
  return /** @type {HTMLElement} */ (item.querySelector(`:scope > .${className}`));
}
