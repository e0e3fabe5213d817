//! Tiny scenarios, computed by hand from the sources' rules.
