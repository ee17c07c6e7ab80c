//! A real coordinator process on a port of its own, and volunteers that speak the real protocol.

#![allow(dead_code, reason = "each test target uses a part of it")]

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use covey_protocol::{
    Hash, Identity, PROTOCOL, Round,
    corpus::{MANIFEST_VERSION, Manifest, Shard, Vocabulary},
    http::{ErrorBody, Records, RunInfo},
    packet::{Packet, PacketHeader},
    record::{Commitment, Receipt, SignedRecord},
    run::RunSpec,
    socket::{Backend, ClientFrame, ServerFrame, sign_hello},
    weights,
};
use covey_training::outer;
use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};

/// Nothing here takes this long; it only keeps a broken test from hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

const RUN: &str = r#"
[run]
name = "test run"
seed = "0101010101010101010101010101010101010101010101010101010101010101"
[run.model]
vocabulary = 256
width = 64
layers = 1
heads = 1
kv_heads = 1
hidden = 64
context = 16
rope_base = 10000.0
norm_eps = 1e-5
tied = true
[run.inner]
steps = 4
batch = 2
peak_lr = 3e-3
warmup = 1
ramp = 0
"#;

/// A data directory, a corpus, and a coordinator that may be running.
pub struct Coordinator {
    pub folder: TempDir,
    child: Option<Child>,
    pub address: String,
    /// The operator's address.
    pub operator: String,
}

/// Settings beyond the usual ones, as TOML.
#[derive(Clone, Default)]
pub struct Extra {
    /// Before the first table.
    pub top: &'static str,
    /// `[run.rounds]` and tables after it.
    pub rounds: &'static str,
    pub tables: &'static str,
    /// Whether packets are tried before they are merged. Most tests send random ones, which would not
    /// stand that.
    pub trials: bool,
}

fn write_corpus(folder: &Path) {
    let blobs = folder.join("blobs");
    fs::create_dir_all(&blobs).expect("a folder");
    let put = |bytes: &[u8]| {
        let name = Hash::of(bytes);
        fs::write(blobs.join(name.to_string()), bytes).expect("written");
        name
    };
    let shard = |text: &str| {
        let bytes: Vec<u8> = text
            .bytes()
            .flat_map(|b| u16::from(b).to_le_bytes())
            .collect();
        Shard {
            tokens: text.len() as u32,
            hash: put(&bytes),
        }
    };
    let text = "to be or not to be, that is the question: ".repeat(20);
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        vocabulary_size: 256,
        vocabulary: put(&Vocabulary::bytes().to_blob()),
        tokenizer: None,
        train: vec![shard(&text)],
        held_out: vec![shard(&text[..200])],
        train_bytes: text.len() as u64,
        held_out_bytes: 200,
        unigram_entropy: 2.5,
    };
    fs::write(folder.join("manifest.json"), manifest.to_json()).expect("written");
}

impl Coordinator {
    /// A started coordinator whose rounds last a minute unless everyone contributes.
    pub fn start() -> Self {
        Self::start_with(&Extra::default())
    }

    pub fn start_with(extra: &Extra) -> Self {
        let mut this = Self::prepare(extra);
        this.restart();
        this
    }

    /// Everything but the process.
    pub fn prepare(extra: &Extra) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_corpus(&folder.path().join("corpus"));
        let www = folder.path().join("www");
        fs::create_dir_all(&www).expect("a folder");
        fs::write(www.join("index.html"), "<!doctype html><title>page</title>").expect("written");
        fs::write(www.join("covey_bg.wasm"), b"\0asm plain").expect("written");
        fs::write(www.join("covey_bg.wasm.br"), b"compressed").expect("written");
        let settings = format!(
            "log = \"warn\"\nassess_sequences = {}\n{}\n{RUN}\n[run.rounds]\n{}\n{}",
            if extra.trials { 8 } else { 0 },
            extra.top,
            extra.rounds,
            extra.tables
        );
        fs::write(folder.path().join("covey.toml"), settings).expect("written");
        Self {
            folder,
            child: None,
            address: String::new(),
            operator: String::new(),
        }
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covey-coordinator"));
        command.env_clear().args(self.arguments());
        command.args(["--admin-listen", "127.0.0.1:0"]);
        command
    }

    /// What the program is told, without an address for the operator.
    pub fn arguments(&self) -> Vec<OsString> {
        let path = |name: &str| self.folder.path().join(name).into_os_string();
        let mut arguments: Vec<OsString> = vec!["--listen".into(), "127.0.0.1:0".into()];
        for (flag, name) in [
            ("--config", "covey.toml"),
            ("--data-dir", "data"),
            ("--corpus", "corpus"),
            ("--www", "www"),
        ] {
            arguments.extend([flag.into(), path(name)]);
        }
        arguments
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the process and waits until it listens.
    pub fn restart(&mut self) {
        let command = self.command();
        self.launch(command);
    }

    /// A follower of another server, with a folder of its own.
    pub fn mirror() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = "log = \"warn\"\nassess_sequences = 0\n";
        fs::write(folder.path().join("covey.toml"), settings).expect("written");
        Self {
            folder,
            child: None,
            address: String::new(),
            operator: String::new(),
        }
    }

    /// `covey-coordinator follow URL …` with this folder.
    pub fn follow(&self, url: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covey-coordinator"));
        command
            .env_clear()
            .arg("--config")
            .arg(self.folder.path().join("covey.toml"))
            .arg("--data-dir")
            .arg(self.data())
            .args(["follow", url, "--every", "1"])
            .args(more);
        command
    }

    /// Starts a follower that serves.
    pub fn start_mirror(&mut self, url: &str) {
        let command = self.follow(url, &["--listen", "127.0.0.1:0", "--name", "a library"]);
        self.launch(command);
    }

    /// Makes this folder's mirror the coordinator.
    pub fn take_over(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covey-coordinator"));
        command
            .env_clear()
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--config",
            ])
            .arg(self.folder.path().join("covey.toml"))
            .arg("--data-dir")
            .arg(self.data())
            .arg("takeover");
        self.launch(command);
    }

    /// As [`restart`](Self::restart), with a command that may differ.
    pub fn launch(&mut self, mut command: Command) {
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the coordinator starts");
        assert!(self.adopt(child), "it did not start");
    }

    /// Waits until a process listens, or ends instead.
    pub fn adopt(&mut self, mut child: Child) -> bool {
        assert!(self.child.is_none(), "it runs already");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        self.child = Some(child);
        for line in lines.map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("operator on http://") {
                address.clone_into(&mut self.operator);
            } else if let Some(address) = line.strip_prefix("listening on http://") {
                address.clone_into(&mut self.address);
                return true;
            }
        }
        false
    }

    /// `kill -9` for a process that somebody else waits for.
    #[allow(clippy::zombie_processes, reason = "whoever traces it waits for it")]
    pub fn disown(&mut self) {
        let mut child = self.child.take().expect("adopted");
        // It may have ended.
        let _ = child.kill();
    }

    /// The process, while it runs.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// `kill -TERM`
    pub fn terminate(&mut self) {
        let child = self.child.as_ref().expect("it runs");
        let id = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("told");
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let wait = tokio::task::spawn_blocking(move || child.wait().expect("it ends"));
        timeout(PATIENCE, wait)
            .await
            .expect("in time")
            .expect("waited")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A path of the operator's interface.
    pub fn operator_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.operator)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(self.url(path)).await.expect("an answer")
    }

    /// The operator's token.
    pub fn token(&self) -> String {
        let text = fs::read_to_string(self.data().join("admin.token")).expect("a token");
        text.trim().to_owned()
    }

    /// What the operator is answered.
    pub async fn operator(&self, path: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.operator);
        let request = reqwest::Client::new().get(url).bearer_auth(self.token());
        request.send().await.expect("an answer")
    }

    pub async fn text(&self, path: &str) -> String {
        self.get(path).await.text().await.expect("text")
    }

    pub async fn run(&self) -> RunInfo {
        self.get("/v1/run").await.json().await.expect("a run")
    }

    pub async fn records(&self, from: u64) -> Vec<SignedRecord> {
        let answer = self.get(&format!("/v1/records?from={from}")).await;
        answer.json::<Records>().await.expect("records").records
    }

    pub async fn blob(&self, name: &Hash) -> Vec<u8> {
        let answer = self.get(&format!("/v1/blobs/{name}")).await;
        assert_eq!(answer.status(), 200);
        let bytes = answer.bytes().await.expect("bytes").to_vec();
        assert_eq!(Hash::of(&bytes), *name);
        bytes
    }

    pub async fn upload(&self, sealed: Vec<u8>) -> Result<Receipt, (u16, ErrorBody)> {
        let request = reqwest::Client::new()
            .post(self.url("/v1/packets"))
            .body(sealed);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        if status == 200 {
            Ok(answer.json().await.expect("a receipt"))
        } else {
            Err((status, answer.json().await.expect("an error body")))
        }
    }

    /// A counter or gauge, 0 if it is not there yet.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.operator("/metrics").await.text().await;
        let text = text.expect("text");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.trim().parse().expect("a number"))
    }

    pub async fn socket(&self) -> Socket {
        let (stream, _) = connect_async(format!("ws://{}/v1/socket", self.address))
            .await
            .expect("a socket");
        Socket::new(stream)
    }

    /// A volunteer that has been welcomed.
    pub async fn volunteer(&self, secret: u8) -> Volunteer {
        let identity = Identity::from_secret([secret; 32]);
        let mut socket = self.socket().await;
        socket.hello(&identity).await;
        let run = match socket.receive().await {
            ServerFrame::Welcome { run } => *run,
            other => panic!("no welcome but {other:?}"),
        };
        Volunteer {
            identity,
            socket,
            run,
        }
    }

    /// Weights as a newcomer computes them: newest checkpoint, then every record after it.
    pub async fn catch_up(&self) -> (Round, Vec<f32>) {
        let run = self.run().await;
        let spec = &run.spec;
        let codec = outer::codec(spec).expect("a codec");
        let blob = self.blob(&run.checkpoint.theta).await;
        let mut theta =
            weights::from_bytes(&spec.model, &run.checkpoint.theta, &blob).expect("a checkpoint");
        let mut round = run.checkpoint.round;
        loop {
            let records = self.records(round.0).await;
            if records.is_empty() {
                return (round, theta);
            }
            for signed in records {
                let record = signed.verify(&run.signer(round)).expect("signed");
                assert_eq!(record.round, round);
                assert_eq!(record.base, Hash::of_weights(&theta));
                let update = match &record.update {
                    Some(name) => Some(self.blob(name).await),
                    None => None,
                };
                outer::apply_record(spec, &codec, &mut theta, record, update.as_deref())
                    .expect("the record holds");
                round = round.next();
            }
        }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A control socket.
pub struct Socket {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that were passed over and may still be wanted.
    kept: VecDeque<ServerFrame>,
}

impl Socket {
    pub fn new(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        let kept = VecDeque::new();
        Self { stream, kept }
    }

    pub async fn send(&mut self, text: impl Into<String>) {
        let message = Message::text(text.into());
        self.stream.send(message).await.expect("sent");
    }

    pub async fn frame(&mut self, frame: &ClientFrame) {
        self.send(frame.to_json()).await;
    }

    /// The next message; `None` once the connection has ended.
    pub async fn message(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.stream.next())
            .await
            .expect("a message in time")?
            .ok()
    }

    /// The next frame.
    pub async fn receive(&mut self) -> ServerFrame {
        if let Some(frame) = self.kept.pop_front() {
            return frame;
        }
        self.fresh().await
    }

    async fn fresh(&mut self) -> ServerFrame {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => return ServerFrame::parse(&text).expect("a frame"),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("no frame but {other:?}"),
            }
        }
    }

    /// Skips frames until one is wanted.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&ServerFrame) -> Option<T>) -> T {
        loop {
            let frame = self.receive().await;
            if let Some(found) = wanted(&frame) {
                return found;
            }
        }
    }

    /// Commits to a packet; everything else that comes meanwhile can still be received afterwards.
    pub async fn commit(&mut self, identity: &Identity, sealed: &[u8]) -> Result<(), ErrorBody> {
        let header = Packet::open(sealed).expect("a packet").header;
        let name = Hash::of(sealed);
        let signature = Commitment::sign(&header.run, header.round, name, identity).signature;
        self.frame(&ClientFrame::Commit {
            round: header.round,
            packet: name,
            signature,
        })
        .await;
        loop {
            match self.fresh().await {
                ServerFrame::Committed { packet, .. } if packet == name => return Ok(()),
                ServerFrame::NotCommitted {
                    packet,
                    code,
                    message,
                    ..
                } if packet == name => return Err(ErrorBody::new(code, message)),
                other => self.kept.push_back(other),
            }
        }
    }

    pub async fn challenge(&mut self) -> Hash {
        match self.receive().await {
            ServerFrame::Challenge { nonce, .. } => nonce,
            other => panic!("no challenge but {other:?}"),
        }
    }

    pub async fn hello(&mut self, identity: &Identity) {
        let nonce = self.challenge().await;
        self.frame(&hello(identity, &nonce)).await;
    }

    /// Reads until the connection ends; returns the last denial and the close code.
    pub async fn denied(&mut self) -> (Option<ServerFrame>, Option<CloseCode>) {
        let (mut denial, mut code) = (None, None);
        while let Some(message) = self.message().await {
            match message {
                Message::Text(text) => {
                    let frame = ServerFrame::parse(&text).expect("a frame");
                    if matches!(frame, ServerFrame::Denied { .. }) {
                        denial = Some(frame);
                    }
                }
                Message::Close(Some(close)) => code = Some(close.code),
                _ => {}
            }
        }
        (denial, code)
    }
}

pub fn hello(identity: &Identity, nonce: &Hash) -> ClientFrame {
    ClientFrame::Hello {
        protocol: PROTOCOL,
        volunteer: identity.id(),
        signature: sign_hello(identity, nonce),
        client: "covey-test 1".into(),
        backend: Backend::Flex,
        partner: None,
    }
}

/// A volunteer with an open socket.
pub struct Volunteer {
    pub identity: Identity,
    pub socket: Socket,
    pub run: RunInfo,
}

impl Volunteer {
    pub async fn join(&mut self, round: u64) {
        let round = Round(round);
        self.socket.frame(&ClientFrame::Join { round }).await;
    }

    pub async fn closed(&mut self, round: u64) -> SignedRecord {
        self.socket
            .until(|frame| match frame {
                ServerFrame::RoundClosed { record } if record.record.round.0 == round => {
                    Some((**record).clone())
                }
                _ => None,
            })
            .await
    }

    /// Waits for the round to be open and returns its base and whether it has a deadline.
    pub async fn opened(&mut self, wanted: u64) -> (Hash, Option<u64>) {
        self.socket
            .until(|frame| match frame {
                ServerFrame::RoundOpened {
                    round,
                    base,
                    remaining_ms,
                    ..
                } if round.0 == wanted => Some((*base, *remaining_ms)),
                _ => None,
            })
            .await
    }

    pub async fn commit(&mut self, sealed: &[u8]) -> Result<(), ErrorBody> {
        self.socket.commit(&self.identity, sealed).await
    }

    /// Commits to a packet and uploads it.
    pub async fn contribute(
        &mut self,
        coordinator: &Coordinator,
        sealed: Vec<u8>,
    ) -> Result<Receipt, (u16, ErrorBody)> {
        self.commit(&sealed).await.map_err(|body| (409, body))?;
        coordinator.upload(sealed).await
    }

    /// A valid packet for a round.
    pub fn packet(&self, round: u64, base: Hash) -> Vec<u8> {
        packet(&self.run.spec, &self.identity, round, base)
    }
}

pub fn header(spec: &RunSpec, identity: &Identity, round: u64, base: Hash) -> PacketHeader {
    PacketHeader {
        run: spec.id(),
        volunteer: identity.id(),
        round: Round(round),
        base,
        inner_steps: 4,
        tokens: 128,
        first_loss: 5.5,
        last_loss: 5.0,
    }
}

/// A payload that any volunteer could have computed; it differs by identity and round.
pub fn payload(spec: &RunSpec, identity: &Identity, round: u64) -> Vec<u8> {
    let codec = outer::codec(spec).expect("a codec");
    let seed = u64::from(identity.id().0[0]) + round * 1000 + 1;
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let delta: Vec<f32> = (0..codec.parameters())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.01
        })
        .collect();
    let zeros = vec![0.0; delta.len()];
    codec.compress(&delta, &zeros).expect("compressed").payload
}

pub fn packet(spec: &RunSpec, identity: &Identity, round: u64, base: Hash) -> Vec<u8> {
    header(spec, identity, round, base)
        .seal(&payload(spec, identity, round), identity)
        .expect("sealed")
}
