//! The `bunraku` program: arguments in, exit code out. Everything it does is in the library or in [`cli`].

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
