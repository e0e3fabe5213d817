//! Empty: the benchmarks beside it are the package.
