//! The binary: reads the command line, says what went wrong in one line, and exits 0, 1 (failure) or 2 (usage).

use std::io::{self, ErrorKind, Write};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use dhcp_observer::capture::{check, pin};
use dhcp_observer::cli::{self, Check, Cli, Command as Verb, Detach, Live, MergeError, Replay, Status};
use dhcp_observer::clock::Clock;
use dhcp_observer::config::file::{Config, Given, Problems, summary};
use dhcp_observer::config::{ServerConfig, kea};
use dhcp_observer::control::{self, client};
use dhcp_observer::daemon::{self, Reload, Separate, Signals};
use dhcp_observer::deliver::Delivery;
use dhcp_observer::dispatch::Dispatch;
use dhcp_observer::frame::Interface;
use dhcp_observer::hook::Hooks;
use dhcp_observer::hook::spawner::{self, Gone, Rules, Spawner};
use dhcp_observer::logging::{Format, Log};
use dhcp_observer::{events, hook, render, replay, seed, user};
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
        Some(Verb::Replay(options)) => run_replay(&options),
        Some(Verb::Check(options)) => run_check(&options),
        Some(Verb::Detach(options)) => run_detach(&options),
        Some(Verb::Status(options)) => run_status(&options),
        Some(Verb::Variables) => {
            print!("{}", render::variables_markdown());
            Ok(())
        }
        Some(Verb::Events(options)) => events::run(&options),
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
    let mut config = Config::read(&options.config, Given::default()).map_err(MergeError::from)?;
    config.warn_of_unheard_words();
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
fn open_delivery(
    config: &Config,
    print: bool,
    limits: hook::Limits,
    clock: Clock,
    spawner: Option<Spawner>,
) -> Result<Delivery> {
    let routes = config.hooks.iter().map(|hook| hook.route()).collect();
    let named = config.hooks.iter().all(|hook| hook.spec.is_some());
    let mut dispatch = Dispatch::new(routes);
    dispatch.set_lease_limit(config.limits.leases);
    if print {
        return Ok(Delivery::to_stdout(dispatch, named, clock));
    }
    let specs = config.hooks.iter().filter_map(|hook| hook.spec.clone()).collect();
    let hooks = match spawner {
        None => Hooks::new(specs, limits.clone(), clock),
        Some(spawner) => Hooks::with_spawner(specs, limits.clone(), clock, spawner),
    };
    Ok(Delivery::to_hooks(dispatch, hooks.context("hooks cannot be run")?, limits, clock))
}

fn run_live(options: Live) -> Result<()> {
    if let Some(socket) = options.spawner {
        return run_spawner(&options, socket);
    }
    // Whatever this process becomes.
    let (us, _) = user::started_as();
    let options = Arc::new(options);
    let mut config = options.config()?;
    let log = Log::start(config.log.level, config.log.format)?;
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    hook::seal_descriptors().context("inherited descriptors cannot be kept from hooks")?;
    let (mut spawner, mut steward, mut separate, mut gone) = (None, None, None, None);
    if let Some(run_as) = config.daemon.run_as.take_if(|run_as| run_as.user != us) {
        if us != 0 {
            bail!("this process cannot become user {}: --user needs root", run_as.user);
        }
        check::privilege()?;
        let (starts, stays, ends, text) = spawner::start(spawner_command)?;
        // Whoever runs the hooks has read them at another moment than we.
        config = options.config_of(text.as_ref(), true)?;
        (spawner, steward) = (Some(starts), Some(Rc::new(stays)));
        (separate, gone) = (Some(Separate { run_as }), Some(ends));
    }
    let server = server(&config)?;
    let print = options.output.invocations;
    let read: Box<dyn FnMut() -> Result<Config, MergeError>> = match &steward {
        None => {
            Box::new(cli::reader(Arc::clone(&options)).context("the configuration cannot be read again")?)
        }
        Some(steward) => {
            let (steward, options) = (Rc::clone(steward), Arc::clone(&options));
            Box::new(move || options.config_of(steward.read()?.as_ref(), true))
        }
    };
    let outcome = event_loop()?.block_on(async {
        let signals = signals(gone)?;
        let reload = Reload { read, set_level: Box::new(|level| log.set_level(level)) };
        let (limits, hooks) = (config.limits.into(), config.clone());
        let open = |clock| open_delivery(&hooks, print, limits, clock, spawner);
        let repeats = log.repeats().clone();
        daemon::run(config, server, signals, reload, repeats, separate, open).await
    });
    if let Some(steward) = steward.and_then(Rc::into_inner) {
        steward.finish();
    }
    outcome
}

/// This program once more, as the one that starts hooks: what is said on the command line counts for both.
fn spawner_command(socket: RawFd) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
    let mut command = Command::new(program);
    command.arg0("dhcp-observer: spawner").args(std::env::args_os().skip(1)).stdin(Stdio::null());
    command.arg("--spawner").arg(socket.to_string());
    command
}

/// Starts hooks for an observer that has another user, and tidies up behind it.
fn run_spawner(options: &Live, socket: RawFd) -> Result<()> {
    user::started_as();
    let socket = spawner::take_over(socket).context("--spawner is for the observer's own use")?;
    // What it names is looked at when the observer asks for it, which it does first.
    let config = options.config_of(options.text()?.as_ref(), true)?;
    let _log = Log::start(config.log.level, config.log.format)?;
    hook::seal_descriptors().context("inherited descriptors cannot be kept from hooks")?;
    let read = || {
        let text = options.text().map_err(|error| error.to_string())?;
        let config = options.config_of(text.as_ref(), false).map_err(|error| error.to_string())?;
        let hooks = config.hooks.into_iter();
        let hooks = hooks.filter_map(|hook| Some((hook.spec?, hook.dialect))).collect();
        Ok(Rules { hooks, most: config.limits.max_hooks, text })
    };
    let ends_well = event_loop()?.block_on(spawner::serve(socket, read))?;
    if ends_well {
        control::server::remove(&config.control.socket);
        if let Some(pins) = config.pins.options() {
            pin::tidy(&pins.bpffs);
        }
    }
    Ok(())
}

/// A word for each SIGINT or SIGTERM, and one for any number of SIGHUP that were not heeded yet. When the spawner has ended,
/// nothing is waited for.
fn signals(gone: Option<Gone>) -> Result<Signals> {
    let (stopping, stop) = mpsc::channel(2);
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind).context("signals cannot be received")?;
        let sender = stopping.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(()).await.is_ok() {} });
    }
    let orphaned = Arc::new(AtomicBool::new(false));
    if let Some(gone) = gone {
        let orphaned = Arc::clone(&orphaned);
        tokio::spawn(async move {
            // With a word or without.
            let _ = gone.await;
            orphaned.store(true, Ordering::Relaxed);
            for _ in 0..2 {
                let _ = stopping.send(()).await;
            }
        });
    }
    let (reloading, reload) = mpsc::channel(1);
    let mut signals = signal(SignalKind::hangup()).context("signals cannot be received")?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            // Where there is no room a word is waiting already, and will find what this one is about.
            let _ = reloading.try_send(());
        }
    });
    Ok(Signals { stop, reload, orphaned })
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
        // It is an unprivileged process that says this, and perhaps root's terminal that shows it.
        let text = status.to_string();
        write!(out, "{}", text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}"))?;
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
    let mut delivery = open_delivery(&config, options.output.invocations, limits, Clock::new(), None)?;
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
