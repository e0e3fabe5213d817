//! The operator's socket.
