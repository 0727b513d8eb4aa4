/**
 * The shapes that the modules of the SDK hand each other. Types only: importing this file runs nothing.
 *
 * Times are milliseconds; `atMs` is a reading of `performance.now()`. Levels are dBFS, full scale is 0.
 */

/**
 * What the loaded model was trained for. `selfPaced` models decide by themselves when to answer.
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {boolean} hears
 * @property {boolean} sees
 * @property {boolean} speaks
 * @property {boolean} draws
 * @property {boolean} selfPaced
 */

/**
 * An event of the Realtime protocol. The fields beside `type` depend on it; docs/protocol.md lists them.
 *
 * @typedef {{type: string, event_id?: string, [field: string]: any}} RealtimeEvent
 */

/**
 * A conversation item of the Realtime protocol.
 *
 * @typedef {{id: string, type: string, role?: 'user' | 'assistant' | 'system', status?: string, content?: Part[],
 *            [field: string]: any}} Item
 */

/** @typedef {{type: string, text?: string, transcript?: string | null, image_url?: string}} Part */

/** @typedef {'webrtc' | 'websocket'} TransportKind */

/** @typedef {'hands-free' | 'push-to-talk'} TurnTaking */

/**
 * What is known of the network. `null` where the transport cannot tell.
 *
 * @typedef {object} NetworkFacts
 * @property {number | null} roundTripMs
 * @property {number | null} lostIn   share of the agent's packets that never came, since the last reading, 0 to 1
 * @property {number | null} lostOut  share of our packets that never arrived, 0 to 1
 */

/**
 * How far the agent's sound was played when it was cut off.
 *
 * @typedef {{itemId: string, playedMs: number}} Played
 */

/**
 * Takes the camera's picture as it is now, as the bytes of a JPEG file; null while there is none.
 *
 * @typedef {() => Promise<Uint8Array | null>} GrabJpeg
 */

/**
 * What a transport tells. `lost` comes once, after which it says nothing more; `canRetry` is false where the server
 * ended the session on purpose. `wavering` means that packets stopped arriving but may come back.
 *
 * @typedef {object} TransportEvents
 * @property {RealtimeEvent} event
 * @property {boolean} playing
 * @property {boolean} wavering
 * @property {{reason: string, canRetry: boolean}} lost
 */

/**
 * One connection that carries events, the agent's sound, a microphone and a camera.
 *
 * @typedef {object} Transport
 * @property {TransportKind} kind
 * @property {string | null} callId    by which the session can be resumed after this connection is lost
 * @property {MediaStream | null} output  the agent's voice, to be played
 * @property {import('./emitter.js').Emitter<TransportEvents>['on']} on
 * @property {() => void} start       nothing is told before this
 * @property {(event: RealtimeEvent) => void} send
 * @property {(track: MediaStreamTrack | null) => Promise<void>} setMicrophone
 * @property {(track: MediaStreamTrack | null, grab: GrabJpeg | null) => Promise<void>} setCamera
 * @property {() => Promise<Played | null>} stopOutput  be silent now; null where nothing was being played
 * @property {() => Promise<NetworkFacts>} network
 * @property {() => void} close
 */

/**
 * @typedef {object} TransportOptions
 * @property {string} url              the server, such as https://localhost:8080
 * @property {string | null} apiKey
 * @property {string | null} resume    the call to take up again
 * @property {boolean} audible         whether the agent may speak
 * @property {string} [model]          asked for by name; servers of one model ignore it
 */

/** @typedef {(options: TransportOptions) => Promise<Transport>} OpenTransport */

/**
 * What the session is doing, in the words the page shows.
 *
 * @typedef {'idle' | 'connecting' | 'ready' | 'listening' | 'thinking' | 'writing' | 'speaking' | 'reconnecting' |
 *           'ended'} Phase
 */

/**
 * @typedef {object} SessionEvents
 * @property {Phase} phase
 * @property {import('./conversation.js').Entry[]} entries  that changed; one without content was removed
 * @property {boolean} listening          whether the microphone is open and turned up, from now on
 * @property {MediaStream | null} output    the agent's voice from now on, to be played
 * @property {RealtimeEvent} sent
 * @property {RealtimeEvent} received
 * @property {'typed' | 'spoken'} asked     a question ended
 * @property {null} interrupted
 * @property {{message: string, code: string | null}} problem  the server did not do what it was told
 */

/**
 * @typedef {object} SessionOptions
 * @property {string} [url]             the server; the page's own if not given
 * @property {string | null} [apiKey]
 * @property {'auto' | TransportKind} [transport]
 * @property {string} [instructions]
 * @property {TurnTaking} [turnTaking]
 * @property {Record<TransportKind, OpenTransport>} [openers]
 */

export {};
