/** What the server's model can do, asked before anything is connected; and the same in words. */

/** @typedef {import('./types.js').Model} Model */

/** The server cannot be used, with the reason as a sentence. `needsKey`: an API key would help. */
export class ServerRefused extends Error {
  /**
   * @param {string} message
   * @param {number} status  of HTTP; 0 where nobody answered
   */
  constructor(message, status) {
    super(message);
    this.name = 'ServerRefused';
    this.status = status;
    this.needsKey = status === 401;
  }
}

/**
 * @param {string} url
 * @param {string | null} apiKey
 * @returns {Promise<Model>}
 */
export async function fetchModel(url, apiKey) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(new URL('/v1/models', url), { headers: authorization(apiKey) });
  } catch {
    throw new ServerRefused('The server does not answer. Is it running?', 0);
  }
  if (!response.ok) throw await refusalOf(response);
  const body = await response.json();
  return modelOf(body?.data?.[0]);
}

/**
 * The same; null from a server that serves the protocol but does not list its models.
 *
 * @param {string} url
 * @param {string | null} apiKey
 */
export async function fetchListedModel(url, apiKey) {
  try {
    return await fetchModel(url, apiKey);
  } catch (error) {
    if (error instanceof ServerRefused && error.status === 404) return null;
    throw error;
  }
}

/**
 * @param {any} entry  one of `data` in the answer of /v1/models
 * @returns {Model}
 */
export function modelOf(entry) {
  const can = entry?.omniweave ?? {};
  return {
    name: typeof entry?.id === 'string' ? entry.id : 'unknown',
    hears: can.hears === true,
    sees: can.sees === true,
    speaks: can.speaks === true,
    draws: can.draws === true,
    selfPaced: can.self_paced === true,
  };
}

/** @param {string | null} apiKey @returns {Record<string, string>} */
export function authorization(apiKey) {
  return apiKey ? { Authorization: `Bearer ${apiKey}` } : {};
}

/**
 * The server's own words for why it said no.
 *
 * @param {Response} response
 */
export async function refusalOf(response) {
  let message = `The server answered ${response.status} ${response.statusText}.`;
  try {
    const body = await response.json();
    if (typeof body?.error?.message === 'string') message = body.error.message;
  } catch {
    // no JSON: the status has to do
  }
  return new ServerRefused(message, response.status);
}

const ABILITIES = /** @type {const} */ ([
  ['hears', 'hear'],
  ['sees', 'see'],
  ['speaks', 'speak'],
  ['draws', 'draw'],
]);

/**
 * What the model can and cannot do, each as a list of verbs.
 *
 * @param {Model} model
 */
export function abilities(model) {
  const can = ['read', 'write'];
  /** @type {string[]} */
  const cannot = [];
  for (const [key, verb] of ABILITIES) (model[key] ? can : cannot).push(verb);
  return { can, cannot };
}

/**
 * One honest sentence or two.
 *
 * @param {Model} model
 */
export function describeModel(model) {
  const { can, cannot } = abilities(model);
  if (cannot.length === 0) return 'This model reads, writes, hears, sees, speaks and draws.';
  const third = can.map((verb) => `${verb}s`);
  const advice = model.hears ? '' : ' Type to it.';
  return `This model ${listed(third, 'and')}. It does not ${listed(cannot, 'or')} yet.${advice}`;
}

/** @param {string[]} words @param {string} last */
function listed(words, last) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}
