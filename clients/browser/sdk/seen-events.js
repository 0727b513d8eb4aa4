/** The ids of the latest events. A server that resumes a session sends again what may not have arrived. */

const MAX_SEEN = 4_096;

export class SeenEvents {
  /** @type {Set<string>} */
  #ids = new Set();

  /**
   * Whether this event came before. It has now.
   *
   * @param {string | undefined} id
   */
  has(id) {
    if (id === undefined) return false;
    if (this.#ids.has(id)) return true;
    this.#ids.add(id);
    if (this.#ids.size > MAX_SEEN) this.#ids.delete(this.#ids.values().next().value ?? '');
    return false;
  }
}
