import { RealtimeSession, openDevice } from '../sdk/index.js';

const session = new RealtimeSession(); // with the server that this page came from
const log = /** @type {HTMLElement} */ (document.getElementById('log'));
const voice = /** @type {HTMLAudioElement} */ (document.getElementById('voice'));

session.on('output', (stream) => (voice.srcObject = stream));
session.on('phase', (phase) => (document.title = phase));
session.on('entries', () => {
  const said = session.conversation.entries.map(({ role, text, note }) => `${role}: ${text || note}`);
  log.replaceChildren(...said.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
});
document.getElementById('talk')?.addEventListener('click', async () => {
  const microphone = await openDevice('microphone');
  await session.setMicrophone(microphone.getAudioTracks()[0]);
  await session.connect();
});
