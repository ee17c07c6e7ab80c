//! The server as its users meet it: started as a program, spoken to over real sockets, on a real disk. One
//! binary for all of it, because linking each file by itself took longer than running most of them.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/disk.rs"]
mod disk;
#[path = "../common/proxy.rs"]
mod proxy;

mod commitments;
mod decoders;
mod doors;
mod keeper;
mod ledger;
mod partners;
mod replication;
mod rounds;
mod scores;
mod sockets;
mod storage;
mod survival;
mod validators;
mod witnesses;
