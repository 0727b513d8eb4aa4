/** The microphone and the camera on the page: pickers, preview, and who holds them open. */

import { DeviceProblem, listDevices, openDevice } from '../sdk/index.js';
import { byId, make } from './dom.js';

/** @typedef {import('../sdk/devices.js').DeviceKind} DeviceKind */

const PICTURE_WIDTH = 512; // more than a model looks at in a video frame
const JPEG_QUALITY = 0.75;

export class Device {
  /** What is open. @type {MediaStream | null} */
  stream = null;
  #kind;
  #choice;
  #onChange;
  #onProblem;

  /**
   * @param {DeviceKind} kind
   * @param {(stream: MediaStream | null) => void} onChange
   * @param {(message: string) => void} onProblem
   */
  constructor(kind, onChange, onProblem) {
    this.#kind = kind;
    this.#choice = byId(kind === 'microphone' ? 'mic-choice' : 'camera-choice', HTMLSelectElement);
    this.#onChange = onChange;
    this.#onProblem = onProblem;
    this.#choice.addEventListener('change', () => this.stream && void this.open());
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.#list());
    void this.#list();
  }

  get track() {
    return this.stream?.getTracks()[0] ?? null;
  }

  /** Open the chosen device, in place of the one that is open. Returns whether that worked. */
  async open() {
    try {
      const stream = await openDevice(this.#kind, this.#choice.value);
      stop(this.stream);
      this.#adopt(stream);
      await this.#list(); // names are known now
      return true;
    } catch (error) {
      if (!(error instanceof DeviceProblem)) throw error;
      this.#onProblem(error.message);
      return false;
    }
  }

  close() {
    stop(this.stream);
    if (this.stream !== null) this.#adopt(null);
  }

  /** @param {MediaStream | null} stream */
  #adopt(stream) {
    this.stream = stream;
    const track = this.track;
    if (track !== null) {
      track.onended = () => {
        if (track !== this.track) return;
        this.#adopt(null);
        this.#onProblem(`The ${this.#kind} was taken away.`);
      };
    }
    this.#onChange(stream);
  }

  async #list() {
    const chosen = this.track?.getSettings().deviceId ?? this.#choice.value;
    const options = (await listDevices(this.#kind))
      .filter(({ id }) => id !== '')
      .map(({ id, name }) => Object.assign(make('option', '', name), { value: id }));
    const first = Object.assign(make('option', '', 'Browser’s choice'), { value: '' });
    this.#choice.replaceChildren(first, ...options);
    this.#choice.value = options.some(({ value }) => value === chosen) ? chosen : '';
  }
}

/** @param {MediaStream | null} stream */
function stop(stream) {
  for (const track of stream?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
}

/** The camera's own picture, shown to the user, and as JPEG for connections without video. */
export class Preview {
  #video = byId('preview', HTMLVideoElement);
  #frame = byId('preview-frame', HTMLElement);
  #canvas = document.createElement('canvas');

  /** @param {MediaStream | null} stream */
  show(stream) {
    if (this.#video.srcObject === stream) return;
    this.#video.srcObject = stream;
    this.#frame.hidden = stream === null;
  }

  /** @returns {Promise<Uint8Array | null>} */
  async grab() {
    const { videoWidth, videoHeight } = this.#video;
    if (videoWidth === 0) return null;
    const scale = Math.min(1, PICTURE_WIDTH / videoWidth);
    this.#canvas.width = Math.round(videoWidth * scale);
    this.#canvas.height = Math.round(videoHeight * scale);
    this.#canvas.getContext('2d')?.drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    /** @type {Blob | null} */
    const blob = await new Promise((resolve) => this.#canvas.toBlob(resolve, 'image/jpeg', JPEG_QUALITY));
    return blob && new Uint8Array(await blob.arrayBuffer());
  }
}
