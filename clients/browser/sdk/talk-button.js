/** A button that is held to talk: what its ups and downs mean. Knows no session and no page. */

const TAIL_MS = 200; // speech still on its way when the button is let go

export class TalkButton {
  isDown = false;
  #numReleases = 0;
  #isTrailing = false;

  /** Returns whether a turn begins; pressed again at once, the last one goes on. */
  press() {
    const begins = !this.isDown && !this.#isTrailing;
    this.isDown = true;
    return begins;
  }

  /** Resolves once the last words are through: to whether the turn is over. */
  async release() {
    if (!this.isDown) return false;
    this.isDown = false;
    this.#isTrailing = true;
    const release = ++this.#numReleases;
    await new Promise((resolve) => setTimeout(resolve, TAIL_MS));
    if (release !== this.#numReleases) return false;
    this.#isTrailing = false;
    return !this.isDown;
  }
}
