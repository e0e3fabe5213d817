//! The books of single workers, and the law over whatever may happen to them.
