//! The program: parse, configure, dispatch, exit.

use std::process::ExitCode;

use clap::Parser;
use starmill::cli::Cli;
use starmill::command;

fn main() -> ExitCode {
    let _armed = starmill::failpoint::arm();
    command::dispatch(Cli::parse()).into()
}
