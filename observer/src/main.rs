//! The binary: reads the command line, says what went wrong in one line, and exits 0, 1 (failure) or 2 (usage).

use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use dhcp_observer::cli::{Cli, Command, Replay};
use dhcp_observer::config::kea;
use dhcp_observer::dialect;
use dhcp_observer::frame::Interface;
use dhcp_observer::{render, replay};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // The first line says what is wrong; what follows it in clap's text repeats the help.
            let text = error.render().to_string();
            let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            eprintln!("{} (see dhcp-observer --help)", lines.join(" "));
            return ExitCode::from(2);
        }
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let outcome = match cli.command {
        Some(Command::Replay(options)) => run_replay(&options),
        Some(Command::Variables) => print_variables(),
        None => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has had enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dhcp-observer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn run_replay(options: &Replay) -> Result<()> {
    let config = Arc::new(kea::load(&options.kea_config)?);
    let replay_options = replay::Options {
        interface: Interface { index: options.iface_index, name: options.iface_name.clone() },
        answers: options.answers.into(),
        settle: options.settle,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let (driver, damage) = replay::replay(&options.file, config, &replay_options, |event| {
        if written.is_ok() {
            written = writeln!(out, "{}", render::invocation_json(&dialect::kea::invocation(&event)));
        }
    })
    .with_context(|| options.file.display().to_string())?;
    written.and_then(|()| out.flush())?;
    eprintln!("{}", render::totals(&driver));
    match damage {
        Some(damage) => Err(damage).with_context(|| options.file.display().to_string()),
        None => Ok(()),
    }
}

fn print_variables() -> Result<()> {
    Ok(())
}
