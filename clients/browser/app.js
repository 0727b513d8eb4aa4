/**
 * The page: joins what is seen and pressed to the SDK. A session begins with the first thing said, typed or shown.
 *
 * `?transport=websocket` or `webrtc` chooses how to connect; otherwise the SDK does.
 */

import { Device, Preview } from './page/devices.js';
import { byId } from './page/dom.js';
import { HoldButton } from './page/hold-button.js';
import { Readout } from './page/readout.js';
import { Recorder } from './page/recorder.js';
import { Transcript } from './page/transcript.js';
import { Weave } from './page/weave.js';
import { Welcome } from './page/welcome.js';
import { Monitor, RealtimeSession, ServerRefused, fetchModel, shareOfDb } from './sdk/index.js';

/** @typedef {import('./sdk/types.js').Model} Model */
/** @typedef {import('./sdk/types.js').Phase} Phase */

const READOUT_MS = 500;
const NETWORK_MS = 2_000;
const LEVEL_MS = 60;

/** @type {Record<Phase, string>} */
const PHASE_WORDS = {
  idle: 'Not connected',
  connecting: 'Connecting',
  ready: 'Ready',
  listening: 'Listening',
  thinking: 'Thinking',
  writing: 'Writing',
  speaking: 'Speaking',
  reconnecting: 'Reconnecting',
  ended: 'Ended',
};
/** @type {Phase[]} */
const AWAY = ['idle', 'connecting', 'reconnecting', 'ended']; // and the phase after one of them is read aloud
/** @type {Phase[]} */
const BUSY = ['thinking', 'writing', 'speaking'];
/** @type {Phase[]} */
const OVER = ['idle', 'ended'];

const phase = byId('phase', HTMLElement);
const phaseText = byId('phase-text', HTMLElement);
const startButton = byId('start', HTMLButtonElement);
const endButton = byId('end', HTMLButtonElement);
const micLevel = byId('mic-level', HTMLElement);
const cameraButton = byId('camera', HTMLButtonElement);
const cameraLabel = byId('camera-label', HTMLElement);
const message = byId('message', HTMLTextAreaElement);
const sendButton = byId('send', HTMLButtonElement);
const stopButton = byId('stop', HTMLButtonElement);
const problem = byId('problem', HTMLElement);
const problemText = byId('problem-text', HTMLElement);
const announcer = byId('announcer', HTMLElement);
const voice = byId('voice', HTMLAudioElement);
const panel = byId('panel', HTMLElement);
const panelToggle = byId('panel-toggle', HTMLButtonElement);
const access = byId('access', HTMLDetailsElement);
const key = byId('key', HTMLInputElement);

/** @type {Model | null} */
let model = null;
/** @type {RealtimeSession | null} */
let session = null;
/** @type {Monitor | null} */
let monitor = null;
/** @type {Promise<boolean> | null} */
let connecting = null;

const transcript = new Transcript(byId('log', HTMLElement), byId('talk', HTMLElement), announce);
const weave = new Weave();
const readout = new Readout();
const welcome = new Welcome();
const micButton = new HoldButton({
  press: () => session?.press(),
  release: () => void session?.release(),
  click: () => (microphone.stream === null ? void talk() : microphone.close()),
});
const preview = new Preview();
const microphone = new Device('microphone', takeMicrophone, complain);
const camera = new Device('camera', takeCamera, complain);
const recorder = new Recorder(() => ({ session: isOver() ? null : session, input: microphone.stream }));

// --- the model ------------------------------------------------------------------------------------------------------

async function learnModel() {
  try {
    model = await fetchModel(location.origin, key.value || null);
    welcome.showModel(model);
    weave.showModel(model);
    micButton.isDisabled = !model.hears;
    cameraButton.setAttribute('aria-disabled', String(!model.sees));
  } catch (error) {
    welcome.say(error instanceof Error ? error.message : String(error));
    if (error instanceof ServerRefused && error.needsKey) askForKey();
  }
}

function askForKey() {
  access.open = true;
  openPanel(true);
  key.focus();
}

// --- a session's life -----------------------------------------------------------------------------------------------

function isOver() {
  return session === null || OVER.includes(session.phase);
}

/** Have a session, connecting if there is none. Returns whether there is one now. */
function ensureSession() {
  if (!isOver()) return connecting ?? Promise.resolve(true);
  connecting = begin().finally(() => (connecting = null));
  return connecting;
}

async function begin() {
  hideProblem();
  const asked = new URLSearchParams(location.search).get('transport');
  const transport = asked === 'webrtc' || asked === 'websocket' ? asked : 'auto';
  const next = new RealtimeSession({ apiKey: key.value || null, transport, turnTaking: turnTaking() });
  const watch = new Monitor(next);
  if (session !== null) transcript.note('A new session began. It does not know what was said before.');
  session = next;
  monitor = watch;
  transcript.startOver();
  next.on('phase', (now) => showPhase(next, now));
  next.on('entries', (entries) => {
    transcript.show(entries);
    welcome.isShown = transcript.isEmpty;
  });
  next.on('problem', ({ message: words }) => complain(words));
  next.on('output', (stream) => play(stream));
  watch.on('answered', () => showTimes());
  weave.start(watch.timeline);
  takeMicrophone(microphone.stream);
  takeCamera(camera.stream);
  try {
    await next.connect();
    recorder.begin();
    return !isOver(); // it may have been ended meanwhile
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    if (error instanceof ServerRefused && error.needsKey) askForKey();
    weave.stop();
    await watch.close();
    return false;
  }
}

/** @param {RealtimeSession} from @param {Phase} now */
function showPhase(from, now) {
  if (from !== session) return;
  const wasAway = AWAY.some((one) => one === phase.dataset.phase);
  phase.dataset.phase = now;
  phaseText.textContent = PHASE_WORDS[now];
  welcome.follow(now);
  if (wasAway || AWAY.includes(now)) announce(PHASE_WORDS[now]);
  endButton.hidden = OVER.includes(now);
  const isBusy = BUSY.includes(now);
  if (!isBusy && document.activeElement === stopButton) message.focus();
  stopButton.hidden = !isBusy;
  sendButton.hidden = isBusy && message.value.trim() === '';
  if (now === 'ended') void finish(from);
}

/** @param {RealtimeSession} ended */
async function finish(ended) {
  if (!transcript.isEmpty) transcript.note(ended.endReason);
  welcome.isShown = transcript.isEmpty;
  announce(ended.endReason);
  microphone.close();
  camera.close();
  weave.stop();
  voice.srcObject = null;
  readout.showNetwork(null, null);
  await recorder.finish();
  await monitor?.close();
}

/** @param {MediaStream | null} stream */
function play(stream) {
  voice.srcObject = stream;
  if (stream !== null) voice.play().catch(() => complain('The browser plays no sound before you press something here.'));
}

// --- talking, showing, typing ---------------------------------------------------------------------------------------

async function talk() {
  if (!can('hears', 'hear')) return;
  hideProblem();
  micButton.focus(); // the button that was pressed may go away
  const opening = microphone.open().then((isOpen) => isOpen || message.focus());
  await Promise.all([opening, ensureSession()]);
}

async function show() {
  if (!can('sees', 'see')) return;
  if (camera.stream !== null) return camera.close();
  if (await camera.open()) await ensureSession();
}

async function say() {
  const text = message.value.trim();
  if (text === '') return;
  if (!(await ensureSession())) return; // the text stays where it is
  message.value = '';
  session?.say(text);
}

/** @param {'hears' | 'sees'} ability @param {string} verb */
function can(ability, verb) {
  if (model === null || model[ability]) return true;
  complain(`This model does not ${verb} yet. Type to it.`);
  message.focus();
  return false;
}

/** @param {MediaStream | null} stream */
function takeMicrophone(stream) {
  void session?.setMicrophone(stream?.getAudioTracks()[0] ?? null);
  void monitor?.watch('input', stream);
  recorder.hear(stream);
  showMicrophone();
}

/** @param {MediaStream | null} stream */
function takeCamera(stream) {
  preview.show(stream);
  void session?.setCamera(stream?.getVideoTracks()[0] ?? null, () => preview.grab());
  if (monitor !== null) monitor.timeline.isWatching = stream !== null;
  cameraButton.setAttribute('aria-pressed', String(stream !== null));
  cameraLabel.textContent = stream === null ? 'Show' : 'Stop showing';
}

function showMicrophone() {
  micButton.show(microphone.stream !== null, turnTaking() === 'push-to-talk');
}

/** @returns {'hands-free' | 'push-to-talk'} */
function turnTaking() {
  const checked = document.querySelector('input[name="turns"]:checked');
  return checked instanceof HTMLInputElement && checked.value === 'push-to-talk' ? 'push-to-talk' : 'hands-free';
}

// --- what is told ---------------------------------------------------------------------------------------------------

/** @param {string} text */
function announce(text) {
  announcer.textContent = text;
}

/** @param {string} text */
function complain(text) {
  problemText.textContent = text;
  problem.hidden = false;
}

function hideProblem() {
  problem.hidden = true;
}

function showTimes() {
  readout.showTimes(monitor?.latency.latest ?? null, monitor?.pace.medianMs ?? null);
}

function showLevels() {
  if (monitor === null || document.hidden) return;
  const input = microphone.stream === null ? 0 : shareOfDb(monitor.inputDb);
  micLevel.style.setProperty('--level', input.toFixed(2));
  micLevel.setAttribute('aria-valuenow', String(Math.round(input * 100)));
  const shown = phase.dataset.phase === 'speaking' ? shareOfDb(monitor.outputDb) : input;
  phase.style.setProperty('--level', shown.toFixed(2));
}

/** @param {boolean} isOpen */
function openPanel(isOpen) {
  panel.dataset.open = String(isOpen);
  panelToggle.setAttribute('aria-expanded', String(isOpen));
}

// --- what is pressed ------------------------------------------------------------------------------------------------

startButton.addEventListener('click', () => void talk());
endButton.addEventListener('click', () => session?.close());
cameraButton.addEventListener('click', () => void show());
byId('composer', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  void say();
});
message.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void say();
});
message.addEventListener('input', () => {
  sendButton.hidden = !stopButton.hidden && message.value.trim() === '';
});
stopButton.addEventListener('click', () => session?.interrupt());
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  if (panel.dataset.open === 'true') {
    openPanel(false);
    panelToggle.focus();
  } else session?.interrupt();
});
for (const choice of document.querySelectorAll('input[name="turns"]')) {
  choice.addEventListener('change', () => {
    session?.setTurnTaking(turnTaking());
    showMicrophone();
  });
}
panelToggle.addEventListener('click', () => openPanel(panel.dataset.open !== 'true'));
byId('problem-close', HTMLButtonElement).addEventListener('click', () => {
  hideProblem();
  message.focus();
});
byId('key-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  hideProblem();
  void learnModel();
});

addEventListener('pagehide', () => session?.close()); // else the server would wait for us to come back
setInterval(showLevels, LEVEL_MS);
setInterval(() => !isOver() && showTimes(), READOUT_MS);
setInterval(async () => {
  if (session !== null && !isOver()) readout.showNetwork(session.transportKind, await session.network());
}, NETWORK_MS);
void learnModel();
