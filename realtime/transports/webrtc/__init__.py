"""Calls over WebRTC: sound, camera and events of one session through a peer connection."""
