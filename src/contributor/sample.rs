//! Text from the current weights, when the volunteer asks: streamed token by token between two inner
//! steps, so that training only waits as long as the text takes.

use std::rc::Rc;

use covey_protocol::{corpus::Manifest, corpus::Vocabulary, http::RunInfo, limits::MAX_FRAME};
use covey_training::{Device, generate::Sampler};

use super::{
    follower::Follower,
    intents::Message,
    platform::{now_ms, random, sleep},
    shared::{SampleRequest, Shared},
};

/// Longest text in tokens.
const MAX_TOKENS: u32 = 2_000;
/// Milliseconds between two messages with the text so far.
const STREAM_MS: f64 = 150.0;

/// Answers requests for text.
pub struct Samples {
    shared: Rc<Shared>,
    info: Rc<RunInfo>,
    device: Device,
    vocabulary: Option<Vocabulary>,
}

impl Samples {
    pub fn new(shared: Rc<Shared>, info: Rc<RunInfo>, device: Device) -> Self {
        Self {
            shared,
            info,
            device,
            vocabulary: None,
        }
    }

    /// Answers all waiting requests from the newest weights.
    pub async fn serve(&mut self, follower: &Follower) {
        loop {
            let request = self.shared.samples.borrow_mut().pop_front();
            let Some(request) = request else { return };
            if let Err(error) = self.answer(&request, follower).await {
                self.shared.tell(&Message::Sample {
                    text: String::new(),
                    done: true,
                    error: Some(error),
                });
            }
        }
    }

    async fn answer(&mut self, request: &SampleRequest, follower: &Follower) -> Result<(), String> {
        let theta = follower
            .newest()
            .ok_or("The weights are not here yet; try again in a moment.")?;
        if self.vocabulary.is_none() {
            self.vocabulary = Some(self.fetch_vocabulary().await?);
        }
        let Some(vocabulary) = &self.vocabulary else {
            return Err("The vocabulary is missing.".into());
        };
        let seed = random::<8>().map_or(0, u64::from_le_bytes);
        let mut sampler = Sampler::new(
            &self.info.spec.model,
            theta,
            vocabulary.encode(&request.prompt),
            request.temperature,
            seed,
            &self.device,
        )
        .map_err(|error| error.to_string())?;
        let mut told = now_ms();
        for _ in 0..request.tokens.min(MAX_TOKENS) {
            if self.shared.stopping.get() {
                break;
            }
            sampler.next().await.map_err(|error| error.to_string())?;
            if now_ms() - told > STREAM_MS {
                told = now_ms();
                self.tell(vocabulary.decode(sampler.tokens()), false);
                sleep(0.0).await;
            }
        }
        self.tell(vocabulary.decode(sampler.tokens()), true);
        Ok(())
    }

    fn tell(&self, text: String, done: bool) {
        self.shared.tell(&Message::Sample {
            text,
            done,
            error: None,
        });
    }

    async fn fetch_vocabulary(&self) -> Result<Vocabulary, String> {
        let client = self.shared.link.borrow().client.clone();
        let client = client.ok_or("The coordinator is not connected.")?;
        let manifest = client
            .blob(&self.info.spec.corpus, 16 * MAX_FRAME)
            .await
            .map_err(|error| error.to_string())?;
        let manifest = Manifest::from_json(&manifest).map_err(|error| error.to_string())?;
        let blob = client
            .blob(&manifest.vocabulary, 64 * MAX_FRAME)
            .await
            .map_err(|error| error.to_string())?;
        Vocabulary::from_blob(&blob).map_err(|error| error.to_string())
    }
}
