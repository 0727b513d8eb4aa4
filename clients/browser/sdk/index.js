/** The SDK: everything a page or an app needs to talk with an agent. Nothing here touches a document. */

export { Conversation, isEmpty } from './conversation.js';
export { DeviceProblem, listDevices, openDevice } from './devices.js';
export { LatencyMeter, TickPace } from './latency.js';
export { shareOfDb } from './meter.js';
export { ServerRefused, abilities, describeModel, fetchModel } from './models.js';
export { Monitor } from './monitor.js';
export { RealtimeSession } from './realtime-session.js';
export { Recording } from './recording.js';
export { STREAMS, TICK_MS, Timeline, describe, isActive } from './timeline.js';
