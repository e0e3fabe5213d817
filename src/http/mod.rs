//! Dashboard, metrics and health: read-only.
