//! The mirror's doors: the same API as the coordinator's, for reading.
//!
//! Everything that is served was agreed to. What a reader would get wrong: records, receipts' keys and the
//! ledger's head stay signed by the coordinator; a mirror signs its statement and nothing else, so it can
//! withhold and grow old, but it cannot lie.

use std::sync::Arc;

use arc_swap::ArcSwap;
use covey_protocol::{
    http::{Mirror, RunInfo, Scores},
    record::Checkpoint,
    witness::SignedStatement,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use super::Follower;
use crate::{
    CoordinatorError,
    actor::{Handle, Published},
    config::Config,
    gateway::{Gateway, Parts, limits::RateLimits},
    history,
    ledger::{self, View, admin::AdminToken},
    metrics::Metrics,
    run_file::CorpusManifest,
    server::{self, Connections},
    storage::{BlobSource, LocalBlobs},
    validations::Sheets,
    witnesses::Board,
};

/// A mirror that is being served.
pub struct Serving {
    published: Arc<Published>,
    ledger: ledger::Handle,
    board: Arc<Board>,
    mirror: Mirror,
    task: JoinHandle<()>,
}

impl Serving {
    /// Opens the doors.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn start(
        config: &Config,
        follower: &Follower,
        view: View,
        listener: TcpListener,
    ) -> Result<Self, CoordinatorError> {
        let data = &follower.folder.data;
        let mirror = Mirror {
            of: follower.client.url().to_owned(),
            witness: follower.identity.id(),
            name: follower.name.clone(),
        };
        let rounds = &follower.rounds;
        let published = Arc::new(Published {
            info: ArcSwap::from_pointee(info(follower, &mirror, None)?),
            weights: ArcSwap::from_pointee((rounds.chain.round, Arc::clone(&rounds.weights))),
            scores: ArcSwap::from_pointee(Scores::default()),
        });
        let ledger = ledger::Handle::read_only(
            Arc::clone(&follower.store),
            view,
            &follower.identity,
            AdminToken::load_or_create(&data.admin_token())?,
            follower.stop.clone(),
        );
        let board = Arc::new(Board::open(rounds.engine.run(), data.witnesses())?);
        let corpus = config.data_dir.join("corpus").join("blobs");
        std::fs::create_dir_all(&corpus).map_err(CoordinatorError::file(&corpus))?;
        let corpus: Arc<dyn BlobSource> = Arc::new(LocalBlobs::open(&corpus)?);
        // Nobody reads it: a mirror's doors take no commands.
        let (commands, _) = mpsc::channel(1);
        let metrics = Arc::new(Metrics::default());
        let gateway = Gateway::new(Parts {
            handle: Handle {
                commands,
                published: Arc::clone(&published),
            },
            ledger: ledger.clone(),
            sheets: Sheets::open(&data.validations())?,
            engine: rounds.engine.clone(),
            journal: Arc::clone(&rounds.journal),
            blobs: Arc::clone(&rounds.blobs),
            corpus,
            metrics: Arc::clone(&metrics),
            config: Arc::new(config.clone()),
            witnesses: Arc::clone(&board),
            mirror: Some(mirror.clone()),
        });
        let address = listener
            .local_addr()
            .map_err(CoordinatorError::file(data.root()))?;
        RateLimits::forget_regularly(&gateway.limits());
        // Behind a proxy everybody has the proxy's address.
        let per_address = Some(config.limits.connections_per_address);
        let task = follower.runtime.spawn(server::serve(
            listener,
            gateway.public(),
            Connections {
                all: config.limits.connections,
                per_address: per_address.filter(|_| !config.trust_forwarded_for),
            },
            metrics,
            follower.stop.clone(),
        ));
        let this = Self {
            published,
            ledger,
            board,
            mirror,
            task,
        };
        if let Some(signed) = &follower.stated {
            this.state(signed);
        }
        // On standard output, so that a script can wait for it and read the port.
        println!("listening on http://{address}");
        Ok(this)
    }

    /// Shows what is agreed now.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn show(&self, follower: &Follower, seen: &RunInfo) -> Result<(), CoordinatorError> {
        let rounds = &follower.rounds;
        let weights = (rounds.chain.round, Arc::clone(&rounds.weights));
        self.published.weights.store(Arc::new(weights));
        let info = info(follower, &self.mirror, Some(seen.unigram_entropy))?;
        self.published.info.store(Arc::new(info));
        if let Some(view) = follower.ledger.view() {
            self.ledger.shared.view.store(Arc::new(view));
        }
        Ok(())
    }

    /// Shows the mirror's own statement.
    pub fn state(&self, signed: &SignedStatement) {
        if let Err(body) = self.board.keep(signed.clone()) {
            tracing::warn!(reason = body.message, "the statement is not served");
        }
    }

    /// Waits until every door is closed.
    pub async fn closed(self) {
        // A task that failed has closed its doors as well.
        let _ = self.task.await;
    }
}

/// The run as this mirror knows it.
fn info(
    follower: &Follower,
    mirror: &Mirror,
    entropy: Option<f64>,
) -> Result<RunInfo, CoordinatorError> {
    let (rounds, source) = (&follower.rounds, &follower.folder.source);
    let corpus = follower.folder.data.root().join("corpus");
    let entropy = entropy.or_else(|| {
        let corpus = CorpusManifest::load(&corpus).ok()?;
        Some(corpus.manifest.unigram_entropy)
    });
    // There is one from the start; see `startup::rebuild`.
    let checkpoint = rounds.checkpoints.last().copied().unwrap_or(Checkpoint {
        round: rounds.chain.round,
        theta: rounds.chain.theta,
        len: 0,
    });
    Ok(RunInfo {
        protocol: covey_protocol::PROTOCOL,
        run: source.run,
        spec: follower.folder.spec.clone(),
        coordinator: source.coordinator,
        handovers: source.handovers.clone(),
        mirror: Some(mirror.clone()),
        round: rounds.chain.round,
        base: rounds.chain.theta,
        checkpoint,
        held_out: history::thin(&rounds.journal.held_out()?),
        unigram_entropy: entropy.unwrap_or_default(),
    })
}
