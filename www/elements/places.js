// @ts-check
// What did not hold when a run was recomputed, in words, by the name it has in a witness's statement. No
// code: the module decides what is so.

/** @type {Record<string, string>} */
export const PLACES = {
  signature: "the record is not signed by the coordinator",
  chain: "the record does not follow the one before it",
  base: "the record starts from other weights than the round before ended with",
  update: "the merged update is missing or not the one the record names",
  packet: "a contribution is not what its volunteer signed",
  contributions: "the record lists other contributions than were merged",
  commitments: "a packet is not the one its volunteer committed to in time",
  weights: "the contributions add up to other weights than the record says",
  checkpoint: "the weights offered to newcomers are not the run\u2019s",
  equivocation: "two different records were signed for one round",
  ledger_entry: "an entry of the ledger does not follow from those before it",
  ledger_head: "the ledger\u2019s signed end is not the end of its journal",
  payment: "somebody is paid whose work is in no record",
  handover: "another coordinator signs, and nothing says how it came to",
};
