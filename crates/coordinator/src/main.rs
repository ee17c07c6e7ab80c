//! `covey-coordinator`: reads the settings, rebuilds the run, opens the doors, and closes them in order.

use std::{io::IsTerminal, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use covey_coordinator::{
    CoordinatorError,
    actor::{self, Command},
    config::{Config, Flags, LogFormat, Task},
    data_dir::DataDir,
    evaluation,
    follow::{self, FollowArgs, takeover},
    gateway::{Gateway, Parts, limits::RateLimits},
    ledger::{self, journal_file, keeper, weights},
    metrics::Metrics,
    server::{self, Connections},
    shutdown::{self, requested},
    startup::{self, Started},
    validations::Sheets,
    witnesses::Board,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing_subscriber::EnvFilter;

/// Time for jobs under way to finish at the end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let flags = Flags::parse();
    let result = Config::load(&flags)
        .map_err(anyhow::Error::from)
        .and_then(|config| {
            log_to_stderr(&config)?;
            match &flags.task {
                Some(Task::ExportLedger { file }) => return Ok(export_ledger(&config, file)?),
                Some(Task::ImportLedger { file }) => return Ok(import_ledger(&config, file)?),
                Some(Task::CheckProof { file }) => return Ok(takeover::check_proof(file)?),
                Some(Task::Takeover) => take_over(&config)?,
                Some(Task::Follow(_)) | None => {}
            }
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("no threads to run on")?;
            match flags.task {
                Some(Task::Follow(args)) => runtime.block_on(follow(config, args)),
                _ => runtime.block_on(run(config)),
            }
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("covey-coordinator: {error:#}");
            let code = error
                .downcast_ref::<CoordinatorError>()
                .map_or(1, CoordinatorError::exit_code);
            ExitCode::from(code)
        }
    }
}

/// Copies a stopped coordinator's ledger to a file.
fn export_ledger(config: &Config, file: &Path) -> Result<(), CoordinatorError> {
    let data = DataDir::create(&config.data_dir)?;
    let entries = journal_file::export(&data, file)?;
    println!("{entries} entries exported to {}", file.display());
    Ok(())
}

/// Copies a file into a new ledger.
fn import_ledger(config: &Config, file: &Path) -> Result<(), CoordinatorError> {
    let data = DataDir::create(&config.data_dir)?;
    let entries = journal_file::import(&data, file)?;
    println!("{entries} entries imported from {}", file.display());
    Ok(())
}

/// Makes the data directory, which holds a mirror, a coordinator's.
fn take_over(config: &Config) -> Result<(), CoordinatorError> {
    let handover = takeover::prepare(&DataDir::create(&config.data_dir)?)?;
    tracing::warn!(
        run = %handover.run,
        from_round = %handover.from_round,
        old = %handover.old,
        new = %handover.new,
        "this mirror takes the run over"
    );
    Ok(())
}

/// Follows a run until told to stop.
async fn follow(config: Config, args: FollowArgs) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("no signals")?;
    let work = move || follow::run(&config, &args, stop);
    let followed = tokio::task::spawn_blocking(work).await;
    Ok(followed.map_err(|_| CoordinatorError::Task("following"))??)
}

fn log_to_stderr(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| {
        CoordinatorError::Config(format!("log = {:?} is no filter: {error}", config.log))
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}

async fn run(config: Config) -> anyhow::Result<()> {
    let config = Arc::new(config);
    // Bound first, so that a port in use is found before a long replay.
    let listener = server::bind(&config.listen).await?;
    let admin = match config.admin_listen {
        Some(address) => Some(server::bind(&address.to_string()).await?),
        None => None,
    };
    let stop = shutdown::on_signal().context("no signals")?;
    let Started {
        initial,
        journal,
        blobs,
        corpus,
        manifest,
    } = startup::start(&config).await?;
    let metrics = Arc::new(Metrics::default());
    let engine = initial.engine.clone();
    let (identity, clock) = (initial.identity.clone(), initial.clock);
    let opened = {
        let (config, chain) = (Arc::clone(&config), engine.run());
        let account = keeper::account(&identity);
        let open = move || ledger::open(&config, chain, account, clock);
        tokio::task::spawn_blocking(open)
            .await
            .map_err(|_| CoordinatorError::Task("opening the ledger"))??
    };

    let (measured, losses) = mpsc::channel(8);
    let newest = if config.evaluate_sequences == 0 {
        None
    } else {
        let tokens = evaluation::held_out_tokens(&manifest.manifest, &*corpus)
            .await
            .map_err(|reason| CoordinatorError::Corpus {
                path: config.corpus_dir(),
                reason,
            })?;
        let spec = engine.spec();
        let newest = evaluation::start(spec, tokens, config.evaluate_sequences, measured);
        Some(newest.context("no thread for the held-out loss")?)
    };
    let (handle, rounds) = actor::start(
        initial,
        Arc::clone(&journal),
        Arc::clone(&blobs),
        Arc::clone(&metrics),
        newest,
        losses,
    );
    let path = DataDir::create(&config.data_dir)?.witnesses();
    let witnesses = Arc::new(Board::open(engine.run(), path)?);
    let judge = weights::scores(Arc::clone(&handle.published), Arc::clone(&journal));
    let ledger = keeper::start(opened, &identity, judge, Arc::clone(&metrics))
        .context("no thread for the ledger")?;
    let sheets = {
        let path = DataDir::create(&config.data_dir)?.validations();
        tokio::task::spawn_blocking(move || Sheets::open(&path))
            .await
            .map_err(|_| CoordinatorError::Task("opening the validators' scores"))??
    };
    let gateway = Gateway::new(Parts {
        handle: handle.clone(),
        ledger: ledger.clone(),
        sheets,
        engine,
        journal,
        blobs,
        corpus,
        metrics: Arc::clone(&metrics),
        config: Arc::clone(&config),
        witnesses,
        mirror: None,
    });
    RateLimits::forget_regularly(&gateway.limits());

    let address = listener.local_addr().context("no address")?;
    // On standard output, so that a script can wait for the last line and read the ports.
    match &admin {
        Some(admin) => {
            let address = admin.local_addr().context("no address")?;
            println!("operator on http://{address}");
            tracing::info!(%address, "the operator's interface; its token is in admin.token");
        }
        None => tracing::info!("no operator's interface: --admin-listen gives it an address"),
    }
    println!("listening on http://{address}");
    tracing::info!(%address, "listening");
    let serve = |listener, router, per_address| {
        let connections = Connections {
            all: config.limits.connections,
            per_address,
        };
        let (metrics, stop) = (Arc::clone(&metrics), stop.clone());
        tokio::spawn(server::serve(listener, router, connections, metrics, stop))
    };
    // Behind a proxy everybody has the proxy's address.
    let per_address = Some(config.limits.connections_per_address);
    let per_address = per_address.filter(|_| !config.trust_forwarded_for);
    let public = serve(listener, gateway.public(), per_address);
    let operator = admin.map(|listener| serve(listener, gateway.operator(), None));

    requested(stop.clone()).await;
    let (stopped, finished) = oneshot::channel();
    let asked = handle.commands.send(Command::Stop(stopped)).await.is_ok();
    let finish = async {
        let _ = finished.await;
        let _ = rounds.await;
        ledger.stop().await;
        gateway.sockets_closed().await;
        let _ = public.await;
        if let Some(operator) = operator {
            let _ = operator.await;
        }
    };
    if !asked || timeout(FINISH_TIMEOUT, finish).await.is_err() {
        return Err(CoordinatorError::Task("work under way did not finish in time").into());
    }
    tracing::info!("stopped");
    Ok(())
}
