//! The command line: arguments, logger, exit code.

fn main() {}
