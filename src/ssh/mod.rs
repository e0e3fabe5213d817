//! SSH to the workers: keys, pinned host keys, sessions, streams.
