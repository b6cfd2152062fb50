"""Plain data and pure functions: numpy in, numpy out; no files, no clock, no global randomness."""
