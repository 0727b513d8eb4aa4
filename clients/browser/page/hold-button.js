/** The microphone's button: pressed to open and close it, or held to talk, by pointer or by keyboard. */

import { byId } from './dom.js';

/** @typedef {{press: () => void, release: () => void, click: () => void}} Actions */

const LET_GO = ['pointerup', 'pointercancel', 'lostpointercapture', 'blur'];

export class HoldButton {
  #button = byId('mic', HTMLButtonElement);
  #label = byId('mic-label', HTMLElement);
  #isHeld = false; // to talk, rather than pressed
  #isDown = false;
  #actions;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    const button = this.#button;
    button.addEventListener('click', () => this.#isHeld || actions.click());
    button.addEventListener('pointerdown', () => this.#press());
    for (const name of LET_GO) button.addEventListener(name, () => this.#release());
    button.addEventListener('contextmenu', (event) => event.preventDefault()); // which a long touch asks for
    button.addEventListener('keydown', (event) => {
      if (!this.#isHeld || !isPressKey(event)) return;
      event.preventDefault();
      if (!event.repeat) this.#press();
    });
    button.addEventListener('keyup', (event) => isPressKey(event) && this.#release());
  }

  /** @param {boolean} isDisabled  it can be pressed all the same, to be told why */
  set isDisabled(isDisabled) {
    this.#button.setAttribute('aria-disabled', String(isDisabled));
  }

  focus() {
    this.#button.focus();
  }

  /**
   * @param {boolean} isOpen  the microphone
   * @param {boolean} isHeldToTalk
   */
  show(isOpen, isHeldToTalk) {
    this.#isHeld = isOpen && isHeldToTalk;
    this.#isDown = false;
    this.#button.dataset.hold = String(this.#isHeld);
    this.#button.setAttribute('aria-pressed', String(isOpen && !this.#isHeld));
    this.#label.textContent = this.#isHeld ? 'Hold to talk' : isOpen ? 'Mute' : 'Talk';
  }

  #press() {
    if (!this.#isHeld || this.#isDown) return;
    this.#isDown = true;
    this.#button.setAttribute('aria-pressed', 'true');
    this.#actions.press();
  }

  #release() {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#button.setAttribute('aria-pressed', 'false');
    this.#actions.release();
  }
}

/** @param {KeyboardEvent} event */
function isPressKey(event) {
  return event.key === ' ' || event.key === 'Enter';
}
