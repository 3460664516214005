//! The binary: reads the command line, says what went wrong in one line, and exits 0, 1 (failure) or 2 (usage).

use std::io::{self, ErrorKind, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use dhcp_observer::capture::live::{Attach, Options as CaptureOptions};
use dhcp_observer::cli::{AttachArg, Cli, Command, DialectArg, Live, Replay};
use dhcp_observer::clock::Clock;
use dhcp_observer::config::{HostnameFrom, KeaVersion, ServerConfig, kea};
use dhcp_observer::deliver::Delivery;
use dhcp_observer::dialect::{self, DialectName};
use dhcp_observer::dispatch::{Dispatch, Route};
use dhcp_observer::frame::Interface;
use dhcp_observer::{daemon, events, hook, render, replay, seed};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::level_filters::LevelFilter;
use tracing::warn;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // The first paragraph says what is wrong; what follows it in clap's text repeats the help.
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
        Err(error) => {
            eprintln!("dhcp-observer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn log_to_stderr(level: LevelFilter) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}

/// One thread runs everything; hooks have threads of their own.
fn event_loop() -> Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build().context("no event loop")
}

fn run_live(options: Live) -> Result<()> {
    log_to_stderr(match options.verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    });
    hook::seal_descriptors().context("inherited descriptors cannot be kept from hooks")?;
    let version = options.kea.kea_version.into();
    let hostname = options.kea.hostname.map(HostnameFrom::from);
    let config = Arc::new(ServerConfig { hostname, ..kea::load(&options.kea.kea_config, version)? });
    let dispatch = one_hook(options.dialect, version)?;
    let limits = hook::Limits {
        max_running: DialectName::from(options.dialect)
            .max_parallel()
            .unwrap_or(usize::from(options.max_hooks)),
        max_queued: options.max_queue as usize,
        timeout: Some(options.hook_timeout),
        retries: options.hook_retries,
        ..hook::Limits::default()
    };
    let daemon_options = daemon::Options {
        capture: CaptureOptions {
            interfaces: options.iface,
            attach: match options.attach {
                AttachArg::Tc => Attach::Tc,
                AttachArg::Clsact => Attach::Clsact,
                AttachArg::Xdp => Attach::Xdp,
            },
            ring_bytes: options.ring_size,
            promiscuous: options.promisc,
            ebpf_log: options.ebpf_log,
            wait: options.wait,
        },
        answers: options.answers.into(),
        network: (&options.network).into(),
        config,
        seed: options.kea.seed,
    };
    event_loop()?.block_on(async {
        let stop = stop_signals()?;
        daemon::run(daemon_options, stop, |clock| match &options.output.script {
            Some(script) => Delivery::to_script(script, dispatch, limits, clock),
            None => Ok(Delivery::to_stdout(dispatch)),
        })
        .await
    })
}

/// What the command line asks for: one hook, told everything.
fn one_hook(dialect: DialectArg, version: KeaVersion) -> Result<Dispatch> {
    let options = dialect::Options { version, ..dialect::Options::default() };
    let dialect = dialect::make(dialect.into(), &options)?;
    Ok(Dispatch::new(vec![Route::new("script", dialect)]))
}

/// A word for each SIGINT or SIGTERM.
fn stop_signals() -> Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(2);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).context("signals cannot be received")?;
        let sender = sender.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(()).await.is_ok() {} });
    }
    Ok(receiver)
}

fn run_replay(options: &Replay) -> Result<()> {
    let name = || options.file.display().to_string();
    log_to_stderr(LevelFilter::WARN);
    let version = options.kea.kea_version.into();
    let hostname = options.kea.hostname.map(HostnameFrom::from);
    let config = Arc::new(ServerConfig { hostname, ..kea::load(&options.kea.kea_config, version)? });
    let seed = seed::read_all(&options.kea.seed)?;
    render::skipped_lines(&seed.skipped).for_each(|line| warn!("{line}"));
    let dispatch = one_hook(options.dialect, version)?;
    let replay_options = replay::Options {
        interface: Interface { index: options.iface_index, name: options.iface_name.clone() },
        answers: options.answers.into(),
        network: (&options.network).into(),
        seed,
        tells_heard: dispatch.wants_heard(),
        settle: options.settle,
    };
    let runtime = event_loop()?;
    let mut delivery = match &options.output.script {
        Some(script) => {
            hook::seal_descriptors().context("inherited descriptors cannot be kept from hooks")?;
            // A file can wait, so nothing needs to be dropped.
            Delivery::to_script(script, dispatch, hook::Limits::default(), Clock::new())?
        }
        None => Delivery::to_stdout(dispatch),
    };
    let mut written = Ok(());
    let (driver, damage) = replay::replay(&options.file, config, &replay_options, |event| {
        if let Some(hooks) = delivery.hooks() {
            while hooks.queued() >= hook::Limits::default().max_queued / 2 {
                runtime.block_on(hooks.progress());
            }
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
            eprintln!("{}", render::totals(&driver));
            Ok(())
        }
    }
}
