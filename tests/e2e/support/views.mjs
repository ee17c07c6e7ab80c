// @ts-check
// Views as the module would send them, for tests of the page.

/** @type {import("../../../www/app/types.js").View} */
const IDLE = {
  state: "connecting", status: "Looking for a coordinator.", pauses: [], overrides: [], backend: null, volunteer: null,
  run: null, round: null, step: 0, steps: 0, deadline_ms: null, theta: null, theta_round: null, tokens_per_second: 0,
  tokens_total: 0, rounds_contributed: 0, bytes_up: 0, bytes_down: 0, share: 50, unigram_entropy: null, held_out: [],
  peers: { total: 0, volunteers: [] },
  connection: { url: "http://coordinator.test:7000", connected: false, attempt: 0, retry_at_ms: null, error: null },
  validation: { on: false, only: false, active: false, status: "", stake: null, rounds: 0, packets: 0, weights_set: null },
  credit: null,
  resumed: null, handover: null, disagreement: null,
};

export const ME = "a1".repeat(32);
export const OTHER = "b2".repeat(32);
export const THETA = "c3".repeat(32);

/** @param {Partial<import("../../../www/app/types.js").View>} [changes] */
export const connecting = (changes = {}) => ({ type: "view", view: { ...IDLE, ...changes } });

/** @type {import("../../../www/app/types.js").Run} */
export const RUN = {
  id: "d4".repeat(32), name: "shakespeare", parameters: 1_053_696, context: 128, vocabulary: 256, inner_steps: 20,
  summary: "4 layers x 128 wide",
};

/** @param {Partial<import("../../../www/app/types.js").View>} [changes] */
export const training = (changes = {}) => connecting({
  state: "training", status: "Training round 12: step 7 of 20.", volunteer: ME,
  backend: { name: "flex", reason: "The CPU is 35.0 times faster than WebGPU (SwiftShader) for this model.", adapter: "SwiftShader", webgpu_ms: 3900, flex_ms: 110, forced: false },
  run: RUN,
  round: 12, step: 7, steps: 20, deadline_ms: Date.now() + 65_000, theta: THETA, theta_round: 12, tokens_per_second: 903.4,
  tokens_total: 245_760, rounds_contributed: 12, bytes_up: 387_000, bytes_down: 6_200_000, unigram_entropy: 3.32,
  held_out: Array.from({ length: 13 }, (_, round) => ({ round, loss: 5.5 - 0.2 * round })),
  peers: { total: 2, volunteers: [
    { volunteer: ME, backend: "flex", activity: "training", tokens_per_second: 903.4, accepted: 12 },
    { volunteer: OTHER, backend: "webgpu", activity: "contributed", tokens_per_second: 8123, accepted: 40 },
  ] },
  connection: { url: "http://coordinator.test:7000", connected: true, attempt: 0, retry_at_ms: null, error: null },
  ...changes,
});
