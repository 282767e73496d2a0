//! The program: parse, configure, dispatch, exit.

use std::process::ExitCode;

use clap::Parser;
use starmill::cli::Cli;
use starmill::command;

fn main() -> ExitCode {
    command::dispatch(Cli::parse()).into()
}
