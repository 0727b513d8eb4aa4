/** What greets the user: which model runs here, and what it can and cannot do. */

import { abilities, describeModel } from '../sdk/index.js';
import { byId, make } from './dom.js';

/** @typedef {import('../sdk/types.js').Model} Model */

/** @type {Partial<Record<import('../sdk/types.js').Phase, string>>} */
const HINTS = { listening: 'Say something.', ready: 'Say or type something.' };

export class Welcome {
  /** @type {Model | null} */
  #model = null;
  #frame = byId('welcome', HTMLElement);
  #words = byId('model-words', HTMLElement);
  #abilities = byId('abilities', HTMLElement);
  #name = byId('model-name', HTMLElement);
  #start = byId('start', HTMLButtonElement);
  #hint = byId('start-hint', HTMLElement);

  /** @param {boolean} isShown */
  set isShown(isShown) {
    this.#frame.hidden = !isShown;
  }

  /** @param {string} words */
  say(words) {
    this.#words.textContent = words;
  }

  /** @param {Model} model */
  showModel(model) {
    const { can, cannot } = abilities(model);
    this.#words.replaceChildren(make('strong', '', model.name), ` runs here. ${describeModel(model)}`);
    this.#abilities.replaceChildren(...can.map((verb) => ability(verb, true)), ...cannot.map((verb) => ability(verb, false)));
    this.#name.textContent = model.name;
    byId('mic-settings', HTMLElement).hidden = !model.hears;
    byId('camera-settings', HTMLElement).hidden = !model.sees;
    byId('devices-note', HTMLElement).textContent = aboutDevices(model);
    this.#model = model;
    this.follow('idle');
  }

  /**
   * What can be done next.
   *
   * @param {import('../sdk/types.js').Phase} phase
   */
  follow(phase) {
    const hears = this.#model?.hears ?? false;
    const isOver = phase === 'idle' || phase === 'ended';
    this.#start.hidden = !(isOver && hears);
    const begin = hears ? 'or type below; no microphone is needed for that' : 'Type below to begin.';
    this.#hint.textContent = isOver ? begin : (HINTS[phase] ?? '');
  }
}

/** @param {Model} model */
function aboutDevices({ name, hears, sees }) {
  if (hears) return 'Echo cancellation is on.';
  return sees ? `${name} does not hear, so it gets no microphone.` : `${name} neither hears nor sees, so it gets no devices.`;
}

/** @param {string} verb @param {boolean} can */
function ability(verb, can) {
  const item = make('li', '', can ? verb : `${verb}: not yet`);
  item.dataset.can = String(can);
  return item;
}
