//! The binary: reads the command line, says what went wrong in one line, and exits 0, 1 (failure) or 2 (usage).

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use dhcp_observer::capture::{check, pin};
use dhcp_observer::cli::{self, Check, Cli, Command, Detach, Live, MergeError, Replay, Status};
use dhcp_observer::clock::Clock;
use dhcp_observer::config::file::{Config, Given, Problems, summary};
use dhcp_observer::config::{ServerConfig, kea};
use dhcp_observer::control::client;
use dhcp_observer::daemon::{self, Reload, Signals};
use dhcp_observer::deliver::Delivery;
use dhcp_observer::dispatch::Dispatch;
use dhcp_observer::frame::Interface;
use dhcp_observer::logging::{Format, Log};
use dhcp_observer::{events, hook, render, replay, seed};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;
use tracing::warn;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return tell_usage(&error),
    };
    let outcome = match cli.command {
        Some(Command::Replay(options)) => run_replay(&options),
        Some(Command::Check(options)) => run_check(&options),
        Some(Command::Detach(options)) => run_detach(&options),
        Some(Command::Status(options)) => run_status(&options),
        Some(Command::Variables) => {
            print!("{}", render::variables_markdown());
            Ok(())
        }
        Some(Command::Events(options)) => events::run(&options),
        None => run_live(cli.live),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has had enough, as `head` has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<MergeError>() {
            Some(MergeError::Usage(error)) => tell_usage(error),
            Some(MergeError::File(problems)) => tell_problems(problems),
            _ => {
                eprintln!("dhcp-observer: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Says what is wrong with the command line, in one line; or prints the help that it asks for.
fn tell_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // The first paragraph says what is wrong; what follows it in clap's text repeats the help.
    let text = error.render().to_string();
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    eprintln!("{} (see dhcp-observer --help)", lines.join(" "));
    ExitCode::from(2)
}

/// Says what is wrong with a configuration file, a line for each, as compilers do.
fn tell_problems(problems: &Problems) -> ExitCode {
    problems.lines().for_each(|line| eprintln!("{line}"));
    ExitCode::FAILURE
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// One thread runs everything; hooks have threads of their own.
fn event_loop() -> Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build().context("no event loop")
}

fn run_check(options: &Check) -> Result<()> {
    let config = Config::read(&options.config, Given::default()).map_err(MergeError::from)?;
    config.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    print!("{}", summary(&config));
    Ok(())
}

/// What is known of the server.
fn server(config: &Config) -> Result<Arc<ServerConfig>> {
    let loaded = kea::load(&config.server.kea_config, config.server.kea_version)?;
    Ok(Arc::new(ServerConfig { hostname: config.server.hostname, ..loaded }))
}

/// Where events go.
fn open_delivery(config: &Config, print: bool, limits: hook::Limits, clock: Clock) -> Result<Delivery> {
    let routes = config.hooks.iter().map(|hook| hook.route()).collect();
    let named = config.hooks.iter().all(|hook| hook.spec.is_some());
    let mut dispatch = Dispatch::new(routes);
    dispatch.set_lease_limit(config.limits.leases);
    if print {
        return Ok(Delivery::to_stdout(dispatch, named, clock));
    }
    let specs = config.hooks.iter().filter_map(|hook| hook.spec.clone()).collect();
    Delivery::to_hooks(dispatch, specs, limits, clock).context("hooks cannot be run")
}

fn run_live(options: Live) -> Result<()> {
    let options = Arc::new(options);
    let config = options.config()?;
    let log = Log::start(config.log.level, config.log.format)?;
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    hook::seal_descriptors().context("inherited descriptors cannot be kept from hooks")?;
    let server = server(&config)?;
    let print = options.output.invocations;
    let read = cli::reader(Arc::clone(&options)).context("the configuration cannot be read again")?;
    event_loop()?.block_on(async {
        let signals = signals()?;
        let reload = Reload { read: Box::new(read), set_level: Box::new(|level| log.set_level(level)) };
        let (limits, hooks) = (config.limits.into(), config.clone());
        let repeats = log.repeats().clone();
        daemon::run(config, server, signals, reload, repeats, |clock| {
            open_delivery(&hooks, print, limits, clock)
        })
        .await
    })
}

/// A word for each SIGINT or SIGTERM, and one for any number of SIGHUP that were not heeded yet.
fn signals() -> Result<Signals> {
    let (stopping, stop) = mpsc::channel(2);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).context("signals cannot be received")?;
        let sender = stopping.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(()).await.is_ok() {} });
    }
    let (reloading, reload) = mpsc::channel(1);
    let mut signals = signal(SignalKind::hangup()).context("signals cannot be received")?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            // Where there is no room a word is waiting already, and will find what this one is about.
            let _ = reloading.try_send(());
        }
    });
    Ok(Signals { stop, reload })
}

fn run_detach(options: &Detach) -> Result<()> {
    check::privilege()?;
    let named = options.instance.is_some() || !options.iface.is_empty();
    let only = named.then(|| pin::instance(options.instance.as_deref(), &options.iface)).transpose()?;
    let removed = pin::detach::detach(&options.bpffs, only.as_deref())?;
    for line in &removed {
        println!("{line}");
    }
    if removed.is_empty() {
        println!("nothing of ours is pinned or attached");
    }
    Ok(())
}

fn run_status(options: &Status) -> Result<()> {
    let status = client::status(&options.control)?;
    // Unlike println!, this tells of a reader that has gone.
    let mut out = io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &status)?;
        writeln!(out)?;
    } else {
        write!(out, "{status}")?;
    }
    Ok(())
}

fn run_replay(options: &Replay) -> Result<()> {
    let name = || options.file.display().to_string();
    let config = options.config()?;
    let _log = Log::start(LevelFilter::WARN, Format::Text)?;
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let server = server(&config)?;
    let seed = seed::read_all(&config.server.seed)?;
    render::skipped_lines(&seed.skipped).for_each(|line| warn!("{line}"));
    if !options.output.invocations {
        hook::seal_descriptors().context("inherited descriptors cannot be kept from hooks")?;
    }
    let runtime = event_loop()?;
    // A file can wait, so nothing needs to be dropped.
    let limits = hook::Limits { max_queued_per_subject: usize::MAX, ..config.limits.into() };
    let mut delivery = open_delivery(&config, options.output.invocations, limits, Clock::new())?;
    let replay_options = replay::Options {
        interface: Interface { index: options.iface_index, name: options.iface_name.clone() },
        answers: options.answers.into(),
        limits: config.limits.into(),
        network: config.network,
        seed,
        tells_heard: delivery.wants_heard(),
        settle: options.settle,
    };
    let mut written = Ok(());
    let (driver, damage) = replay::replay(&options.file, server, &replay_options, |event| {
        if let Some(hooks) = delivery.hooks() {
            // Not a stream that fails again and again: what it has no room for is dropped, and counted.
            while !hooks.has_room() && runtime.block_on(hooks.drain()).is_some() {}
        }
        if written.is_ok() {
            written = delivery.handle_event(&event);
        }
    })
    .with_context(name)?;
    written.and_then(|()| delivery.handle_timeout(driver.now())).and_then(|()| delivery.flush())?;
    if let Some(hooks) = delivery.hooks() {
        runtime.block_on(async { while hooks.drain().await.is_some() {} });
    }
    match damage {
        // One line says it all: what was wrong, and what was handled all the same.
        Some(damage) => Err(anyhow!("{damage} ({})", render::frame_totals(&driver))).with_context(name),
        None => {
            eprintln!("{}", render::totals(&driver, &delivery.over_limit()));
            if let Some(hooks) = delivery.hooks() {
                eprintln!("{}", render::hook_totals(&hooks.counters()));
            }
            eprint!("{}", render::losses(&delivery.losses()));
            Ok(())
        }
    }
}
