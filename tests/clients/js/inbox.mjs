// Waits for what a client receives, and fails rather than wait for what never comes.

const PATIENCE_MS = 20_000;

export class Inbox {
  /** @type {any[]} every event so far, in order */
  events = [];
  /** @type {((event: any) => void)[]} */
  #waiting = [];
  #position = 0;

  /** @param {any} event */
  push(event) {
    this.events.push(event);
    for (const resolve of this.#waiting.splice(0)) resolve(event);
  }

  /** @param {string} type */
  of(type) {
    return this.events.filter((event) => event.type === type);
  }

  /** The next event of this type that no earlier call has passed. @param {string} type */
  async until(type) {
    for (;;) {
      while (this.#position < this.events.length) {
        const event = this.events[this.#position++];
        if (event.type === type) return event;
        if (event.type === 'error' && type !== 'error') throw new Error(JSON.stringify(event));
      }
      await this.#next(type);
    }
  }

  /** @param {string} type */
  #next(type) {
    return new Promise((resolve, reject) => {
      const seen = () => this.events.map((event) => event.type).join(', ');
      const timer = setTimeout(() => reject(new Error(`no ${type} after: ${seen()}`)), PATIENCE_MS);
      this.#waiting.push((event) => {
        clearTimeout(timer);
        resolve(event);
      });
    });
  }
}

/** Where the server is and the key it accepts, from the environment. */
export function target() {
  const { OMNIWEAVE_ADDRESS: address, OMNIWEAVE_KEY: key } = process.env;
  if (!address || !key) throw new Error('OMNIWEAVE_ADDRESS and OMNIWEAVE_KEY are not set; run this through pytest');
  return { address, key };
}

/** One second of a 440 Hz tone, 16 bit little-endian at 24 kHz. */
export function tone() {
  const samples = new Int16Array(24_000);
  for (let i = 0; i < samples.length; i++) samples[i] = Math.trunc(12_000 * Math.sin((2 * Math.PI * 440 * i) / 24_000));
  return Buffer.from(samples.buffer);
}
