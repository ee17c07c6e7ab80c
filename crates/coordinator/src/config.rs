//! Settings: defaults, then a TOML file, then `COVEY_*` variables, then flags; the later one wins.
//!
//! Two kinds of settings live here. Most describe this server and may change at any start. Those under
//! `[run]` describe the run itself: they are used when the run is created and may be left out afterwards,
//! but never contradict it (see [`run_file`](crate::run_file)).

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use covey_ledger::AccountId;
use covey_protocol::{PartnerId, limits::MAX_NAME};
use covey_rounds::{Quota, Replication};
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{CoordinatorError, follow::FollowArgs};

const AFTER_HELP: &str = "\
Settings come from --config FILE (TOML), then from the environment, then from flags; the later one wins.
A variable is COVEY_ and the setting's name, with two underscores between levels:
  COVEY_LISTEN=0.0.0.0:8080  COVEY_LIMITS__CONNECTIONS=1000  COVEY_RUN__INNER__STEPS=10

A configuration file with every setting and its default:
  listen = \"127.0.0.1:8080\"      # address for volunteers
  # admin_listen = \"127.0.0.1:9090\"  # /metrics and /status, for who has DATA_DIR/admin.token
  data_dir = \"./data\"            # everything that must survive
  # corpus = \"./corpus\"          # default: DATA_DIR/corpus
  # ledger_genesis = \"genesis.json\"  # who has what when the ledger begins; default: for development
  # www = \"./www\"                # the page's files; without it only the API is served
  allowed_origins = []           # pages that may open a socket, besides our own; \"*\" allows all
  allow_localhost = true         # pages on localhost may, too
  embed_origins = []             # sites that may show embed.html in a frame; \"*\" allows all
  trust_forwarded_for = false    # true only behind a proxy that sets X-Forwarded-For
  evaluate_sequences = 64        # held-out sequences measured after a round; 0 measures nothing
  assess_sequences = 8           # sequences a packet is tried on before it counts; 0: fast checks only
  assess_seconds = 30            # a round goes on after this long, tried or not
  checkpoints_kept = 3
  log = \"info\"                   # filter, such as \"info,covey_coordinator=debug\"
  log_format = \"text\"            # or \"json\"
  [[partners]]                   # a site whose visitors contribute; none by default
  id = \"example-blog\"          # a to z, 0 to 9 and -, at most 32; what the element's partner says
  name = \"Example blog\"
  url = \"https://blog.example\"
  origins = [\"https://blog.example\"]  # may show embed.html?partner=ID in a frame; nobody else may
  # account = \"5…\"              # where volunteers can send a revenue share, which only they can sign
  volunteers = 1000              # connected at once
  joins_per_minute = 600
  uploads_per_minute = 6000
  [limits]
  connections = 4096             # open connections at once
  connections_per_address = 512  # no limit behind a proxy (trust_forwarded_for)
  requests_per_second = 200      # per address
  request_burst = 2000
  uploads_per_second = 5         # per address
  upload_burst = 50
  uploads_at_once = 32
  uploads_at_once_per_address = 8
  sockets_per_second = 5         # new sockets per address
  socket_burst = 50
  frames_per_second = 20         # per socket
  frame_burst = 100
  [replication]
  clean_needed = 4               # one in so many clean volunteers computes another's work again; 0: none
  probation = 8                  # clean rounds after which it is somebody's turn more seldom
  quota_packets = 16             # an identity's packets in a period, and two more for each clean round;
  quota_rounds = 64              # the period; 0 packets: no quota
  [run]                          # fixed when the run is created
  name = \"Covey\"
  model = \"tiny\"                 # tiny, small, base, or a table of dimensions
  # seed = \"64 hex digits\"       # default: random
  [run.inner]                    # the inner loop: AdamW on the volunteer's own data
  steps = 20                     # H
  batch = 8
  shards = 2
  peak_lr = 0.001
  warmup = 100
  decay = 20000
  floor = 0.1
  beta1 = 0.9
  beta2 = 0.95
  eps = 1e-8
  weight_decay = 0.1
  clip = 1.0
  ramp = 30
  [run.compression]
  top_k = 64                     # entries kept of 4096
  feedback_decay = 0.95
  value_limit = 10.0
  [run.outer]
  lr = 1.0
  averaging = \"mean_present\"     # or \"mean_r\"
  [run.rounds]
  window_ms = 60000              # from a round's first volunteer to its deadline
  grace_ms = 10000
  min_contributions = 1
  max_contributions = 16
  checkpoint_every = 5

Suspending a partner, which is public and in the ledger's notices, and restoring it:
  curl -X POST -H \"Authorization: Bearer $(cat DATA_DIR/admin.token)\" \\
    http://127.0.0.1:9090/partners/ID/suspend      # or /restore; the address is admin_listen

Exit codes: 0 after a graceful stop, 1 when something failed, 2 when a setting has to be changed, 3 when a
mirror disagrees (see follow --help).";

const FOLLOW_HELP: &str = "\
What it keeps in --data-dir is a complete copy: records, packets, weights, corpus, ledger. It may be
stopped and started again at any time; what was recomputed is not recomputed again. The first thing that
is not so is final: it is signed, kept in DATA_DIR/witness.json and sent to the coordinator's page.

Exit codes: 0 when told to stop or, with --once, when everything is so; 1 when nobody answers or the disk
fails; 2 when a setting has to be changed; 3 after a disagreement, but with --listen what was agreed
before goes on being served.";

const TAKEOVER_HELP: &str = "\
Stop the follower first. Settings for the coordinator go before the word, as in
  covey-coordinator --listen 0.0.0.0:8080 --www ./www --data-dir ./mirror takeover
Volunteers whose tabs list this address go on here if their own last record is in this mirror. Do it once:
two coordinators of one run divide its volunteers. After this, start it like any other coordinator.";

/// Runs a training run for volunteers in browser tabs.
#[derive(Debug, Default, Parser, Serialize)]
#[command(name = "covey-coordinator", version, about, args_override_self = true, after_long_help = AFTER_HELP, after_help = "See --help for the configuration file, the environment and exit codes.")]
pub struct Flags {
    /// Configuration file (TOML) [env: COVEY_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address for volunteers [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Address for the operator: /metrics and /status, with DATA_DIR/admin.token [default: none]
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<SocketAddr>,
    /// Where everything that must survive is kept [default: ./data]
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// A prepared corpus: manifest.json and blobs [default: DATA_DIR/corpus]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<PathBuf>,
    /// The page's files; without it only the API is served
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub www: Option<PathBuf>,
    /// Who has what when a new run's ledger begins (JSON) [default: a development ledger]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_genesis: Option<PathBuf>,
    /// Size of a new run's model: tiny, small or base [default: tiny]
    #[arg(long, value_name = "SIZE")]
    #[serde(skip)]
    pub model: Option<String>,
    /// Name of a new run [default: Covey]
    #[arg(long)]
    #[serde(skip)]
    pub name: Option<String>,
    /// What to log, such as "info,covey_coordinator=debug" [default: info]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How to log [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    #[command(subcommand)]
    #[serde(skip)]
    pub task: Option<Task>,
}

/// Something else than running: the coordinator of the data directory must be stopped.
#[derive(Clone, Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, once")]
pub enum Task {
    /// Write the ledger's journal to a file, one entry a line
    ExportLedger { file: PathBuf },
    /// Make a data directory's ledger from a journal file, checking every entry
    ImportLedger { file: PathBuf },
    /// Mirror a run, recompute all of it, and state in public what came of it
    #[command(after_help = FOLLOW_HELP)]
    Follow(FollowArgs),
    /// Make a mirror the run's coordinator, from the last round it agreed to, and start it
    #[command(after_help = TAKEOVER_HELP)]
    Takeover,
    /// Check the proof that a coordinator signed two records for one round
    CheckProof { file: PathBuf },
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: String,
    pub admin_listen: Option<SocketAddr>,
    pub data_dir: PathBuf,
    pub corpus: Option<PathBuf>,
    pub ledger_genesis: Option<PathBuf>,
    pub www: Option<PathBuf>,
    pub allowed_origins: Vec<String>,
    pub allow_localhost: bool,
    /// Sites that may show the embedding frame; `*` allows all.
    pub embed_origins: Vec<String>,
    /// Sites whose visitors contribute, each credited on the receipts of its own.
    pub partners: Vec<Partner>,
    pub trust_forwarded_for: bool,
    pub evaluate_sequences: usize,
    pub assess_sequences: usize,
    pub assess_seconds: u64,
    pub checkpoints_kept: usize,
    pub log: String,
    pub log_format: LogFormat,
    pub limits: Limits,
    pub replication: ReplicationConfig,
    /// What the run must be; see [`run_file`](crate::run_file).
    pub run: Map<String, Value>,
}

/// A site whose visitors contribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    pub id: PartnerId,
    pub name: String,
    /// Its own page, for people.
    pub url: String,
    /// Sites that may show the frame for it.
    pub origins: Vec<String>,
    /// Where volunteers can send a revenue share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Most of its visitors that are connected at once.
    #[serde(default = "volunteers")]
    pub volunteers: usize,
    #[serde(default = "joins_per_minute")]
    pub joins_per_minute: u32,
    #[serde(default = "uploads_per_minute")]
    pub uploads_per_minute: u32,
}

const fn volunteers() -> usize {
    1000
}

const fn joins_per_minute() -> u32 {
    600
}

const fn uploads_per_minute() -> u32 {
    6000
}

/// How much strangers may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub requests_per_second: u32,
    pub request_burst: u32,
    pub uploads_per_second: u32,
    pub upload_burst: u32,
    pub uploads_at_once: usize,
    pub uploads_at_once_per_address: usize,
    pub sockets_per_second: u32,
    pub socket_burst: u32,
    pub frames_per_second: u32,
    pub frame_burst: u32,
}

/// How much is computed twice, and how much one identity may send; see [`Replication`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplicationConfig {
    pub clean_needed: u32,
    pub probation: u32,
    pub quota_packets: u32,
    pub quota_rounds: u64,
}

impl Default for ReplicationConfig {
    fn default() -> Self {
        let Replication {
            probation,
            clean_needed,
            quota,
        } = Replication::default();
        Self {
            clean_needed,
            probation,
            quota_packets: quota.packets,
            quota_rounds: quota.rounds,
        }
    }
}

impl ReplicationConfig {
    /// For the rounds.
    #[must_use]
    pub fn rules(&self) -> Replication {
        Replication {
            probation: self.probation,
            clean_needed: self.clean_needed,
            quota: Quota {
                rounds: self.quota_rounds,
                packets: self.quota_packets,
            },
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            admin_listen: None,
            data_dir: "./data".into(),
            corpus: None,
            ledger_genesis: None,
            www: None,
            allowed_origins: Vec::new(),
            allow_localhost: true,
            embed_origins: Vec::new(),
            partners: Vec::new(),
            trust_forwarded_for: false,
            evaluate_sequences: 64,
            assess_sequences: 8,
            assess_seconds: 30,
            checkpoints_kept: 3,
            log: "info".into(),
            log_format: LogFormat::Text,
            limits: Limits::default(),
            replication: ReplicationConfig::default(),
            run: Map::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            requests_per_second: 200,
            request_burst: 2000,
            uploads_per_second: 5,
            upload_burst: 50,
            uploads_at_once: 32,
            uploads_at_once_per_address: 8,
            sockets_per_second: 5,
            socket_burst: 50,
            frames_per_second: 20,
            frame_burst: 100,
        }
    }
}

const TOP_LEVEL: [&str; 19] = [
    "listen",
    "admin_listen",
    "data_dir",
    "corpus",
    "ledger_genesis",
    "www",
    "allowed_origins",
    "allow_localhost",
    "embed_origins",
    "partners",
    "trust_forwarded_for",
    "evaluate_sequences",
    "assess_sequences",
    "assess_seconds",
    "checkpoints_kept",
    "log",
    "log_format",
    "limits",
    "replication",
    "run",
];

/// Longest address of a partner's own page.
const MAX_URL: usize = 512;

/// Whether a text is an origin and can say nothing else in a header.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let rest = rest.or_else(|| text.strip_prefix("http://"));
    let safe = |b: u8| b.is_ascii_alphanumeric() || b":.-_[]".contains(&b);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(safe))
}

impl Config {
    /// Puts the sources together.
    ///
    /// # Errors
    /// What is wrong, and where it was set.
    pub fn load(flags: &Flags) -> Result<Self, CoordinatorError> {
        let invalid = |error: figment::Error| CoordinatorError::Config(error.to_string());
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        let from_environment = || std::env::var_os("COVEY_CONFIG").map(PathBuf::from);
        if let Some(file) = flags.config.clone().or_else(from_environment) {
            if !file.is_file() {
                let message = format!("there is no configuration file {}", file.display());
                return Err(CoordinatorError::Config(message));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        // Other programs of the project have variables of their own, so unknown ones are no error.
        let known = |key: &figment::value::UncasedStr| {
            let first = key.as_str().split("__").next().unwrap_or_default();
            TOP_LEVEL.contains(&first.to_ascii_lowercase().as_str())
        };
        figment = figment
            .merge(Env::prefixed("COVEY_").filter(known).split("__"))
            .merge(Serialized::defaults(flags));
        if let Some(model) = &flags.model {
            figment = figment.merge(("run.model", model));
        }
        if let Some(name) = &flags.name {
            figment = figment.merge(("run.name", name));
        }
        let config: Self = figment.extract().map_err(invalid)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), CoordinatorError> {
        let limits = &self.limits;
        let zero = [
            ("limits.connections", limits.connections == 0),
            (
                "limits.connections_per_address",
                limits.connections_per_address == 0,
            ),
            (
                "limits.requests_per_second",
                limits.requests_per_second == 0,
            ),
            ("limits.request_burst", limits.request_burst == 0),
            ("limits.uploads_per_second", limits.uploads_per_second == 0),
            ("limits.upload_burst", limits.upload_burst == 0),
            ("limits.uploads_at_once", limits.uploads_at_once == 0),
            (
                "limits.uploads_at_once_per_address",
                limits.uploads_at_once_per_address == 0,
            ),
            ("limits.sockets_per_second", limits.sockets_per_second == 0),
            ("limits.socket_burst", limits.socket_burst == 0),
            ("limits.frames_per_second", limits.frames_per_second == 0),
            ("limits.frame_burst", limits.frame_burst == 0),
            (
                "replication.quota_rounds",
                self.replication.quota_rounds == 0,
            ),
            ("checkpoints_kept", self.checkpoints_kept == 0),
        ];
        match zero.into_iter().find(|(_, zero)| *zero) {
            Some((name, _)) => Err(CoordinatorError::Config(format!("{name} must be above 0"))),
            None => self.check_partners(),
        }
    }

    fn check_partners(&self) -> Result<(), CoordinatorError> {
        let mut ids = BTreeSet::new();
        for partner in &self.partners {
            let web = |text: &str| text.starts_with("https://") || text.starts_with("http://");
            let problem = if !ids.insert(partner.id) {
                "there are two of them"
            } else if partner.name.trim().is_empty() || partner.name.len() > MAX_NAME {
                "its name has 1 to 64 bytes"
            } else if !web(&partner.url) || partner.url.len() > MAX_URL {
                "its url is an address such as https://blog.example"
            } else if !partner.origins.iter().all(|origin| is_origin(origin)) {
                "its origins are addresses without a path, such as https://blog.example"
            } else if partner.volunteers == 0
                || partner.joins_per_minute == 0
                || partner.uploads_per_minute == 0
            {
                "its limits must be above 0"
            } else {
                continue;
            };
            let message = format!("partners: {}: {problem}", partner.id);
            return Err(CoordinatorError::Config(message));
        }
        Ok(())
    }

    /// The corpus folder.
    #[must_use]
    pub fn corpus_dir(&self) -> PathBuf {
        let inside = || self.data_dir.join("corpus");
        self.corpus.clone().unwrap_or_else(inside)
    }
}
