/**
 * A network between the page and the server that can be cut: datagrams and requests vanish until it is mended.
 *
 * The answer to an offer is rewritten so that the only way to the server leads through a relay of ours.
 */

import { createSocket } from 'node:dgram';

const CANDIDATE = /^a=candidate:\S+ 1 udp \d+ (\d+(?:\.\d+){3}) (\d+) typ host.*$/im;

export class Network {
  isCut = false;
  /** The queries of the offers that reached the server. @type {string[]} */
  offers = [];
  #relays = [];

  /** Put this network between the page and the server. */
  async attach(page) {
    await page.route('**/v1/realtime/calls*', async (route) => {
      await this.#carry(route).catch(() => {}); // the page may have gone meanwhile
    });
  }

  async #carry(route) {
    if (this.isCut) return route.abort('internetdisconnected');
    const response = await route.fetch();
    this.offers.push(new URL(route.request().url()).search);
    if (!response.ok()) return route.fulfill({ response });
    return route.fulfill({ response, body: await this.#throughRelay(await response.text()) });
  }

  close() {
    for (const socket of this.#relays) socket.close();
  }

  /** @param {string} sdp */
  async #throughRelay(sdp) {
    const [line, address, port] = sdp.match(CANDIDATE);
    const relayPort = await this.#relay(address, Number(port));
    const detour = line.replace(` ${port} typ`, ` ${relayPort} typ`);
    const others = sdp.split('\r\n').filter((one) => !one.startsWith('a=candidate:'));
    // Every m-line is bundled into the first, whose candidates are the ones that count.
    const media = others.findIndex((one) => one.startsWith('a=ice-ufrag'));
    return [...others.slice(0, media), detour, ...others.slice(media)].join('\r\n');
  }

  /** Carry datagrams between whoever sends to the port that is returned and the server. */
  async #relay(address, port) {
    const front = createSocket('udp4');
    const back = createSocket('udp4');
    this.#relays.push(front, back);
    let page = null;
    front.on('message', (data, from) => {
      page = from;
      if (!this.isCut) back.send(data, port, address);
    });
    back.on('message', (data) => {
      if (!this.isCut && page) front.send(data, page.port, page.address);
    });
    await Promise.all([front, back].map((socket) => new Promise((resolve) => socket.bind(0, address, resolve))));
    return front.address().port;
  }
}
