//! The same vector cases as the native tests, compiled to WebAssembly, so that "it gives the same bytes in
//! a tab" is run and not believed. `run.mjs` beside this crate drives it in Node.
//!
//! The interface is four kinds of plain functions and no bindings generator: ask for room for each vectors
//! file, write it there, call a check, and read the text it left. The module imports nothing.

use std::cell::RefCell;

#[path = "../../../crates/compression/tests/vectors/cases.rs"]
mod compression;
#[path = "../../../crates/ledger/tests/vectors/cases.rs"]
mod ledger;
#[path = "../../../crates/scoring/tests/vectors/cases.rs"]
mod scoring;
#[path = "../../../crates/ledger/tests/vectors/signature_cases.rs"]
mod signatures;

/// The files, by their numbers at [`alloc`].
const SPARSELOCO: usize = 0;
const CONVICTION: usize = 1;
const ECONOMICS: usize = 2;
const SIGNATURES: usize = 3;
const FILES: usize = 4;

thread_local! {
    static VECTORS: RefCell<[Vec<u8>; FILES]> = const { RefCell::new([const { Vec::new() }; FILES]) };
    static REPORT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes room for a vectors file of `len` bytes and says where to write it; null for a file that no
/// check reads. File 0 is `sparseloco_vectors.json`, 1 `conviction.txt`, 2 `economics.json`,
/// 3 `signatures.json`.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(file: usize, len: usize) -> *mut u8 {
    VECTORS.with_borrow_mut(|vectors| match vectors.get_mut(file) {
        Some(bytes) => {
            *bytes = vec![0; len];
            bytes.as_mut_ptr()
        }
        None => std::ptr::null_mut(),
    })
}

/// Where the last check's report lies: one line per case that passed, or what went wrong.
#[unsafe(no_mangle)]
pub extern "C" fn report_ptr() -> *const u8 {
    REPORT.with_borrow(|report| report.as_ptr())
}

/// The last report's length in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn report_len() -> usize {
    REPORT.with_borrow(String::len)
}

/// Checks the compression cases; 0 when all passed.
#[unsafe(no_mangle)]
pub extern "C" fn run_compression() -> u32 {
    check(|[sparseloco, ..]| compression::run(sparseloco))
}

/// Checks the scoring cases; 0 when all passed.
#[unsafe(no_mangle)]
pub extern "C" fn run_scoring() -> u32 {
    check(|[sparseloco, ..]| scoring::run(sparseloco))
}

/// Checks the ledger's cases; 0 when all passed.
#[unsafe(no_mangle)]
pub extern "C" fn run_ledger() -> u32 {
    check(|[_, conviction, economics, _]| ledger::run(conviction, economics))
}

/// Checks keys, signatures and sessions; 0 when all passed.
#[unsafe(no_mangle)]
pub extern "C" fn run_signatures() -> u32 {
    check(|[.., vectors]| signatures::run(vectors))
}

/// Reports hashes of generated results, for comparison with the native tests' lines.
#[unsafe(no_mangle)]
pub extern "C" fn run_identity() -> u32 {
    check(|_| {
        let (compression, scoring) = (compression::digest()?, scoring::digest()?);
        let ledger = ledger::digest()?;
        Ok(vec![
            format!("bit identity compression {compression}"),
            format!("bit identity scoring {scoring}"),
            format!("bit identity ledger {ledger}"),
        ])
    })
}

fn check(cases: impl Fn([&str; FILES]) -> Result<Vec<String>, String>) -> u32 {
    let outcome = VECTORS.with_borrow(|vectors| {
        let text = |file: usize| {
            std::str::from_utf8(&vectors[file]).map_err(|problem| problem.to_string())
        };
        cases([
            text(SPARSELOCO)?,
            text(CONVICTION)?,
            text(ECONOMICS)?,
            text(SIGNATURES)?,
        ])
    });
    let (status, report) = match outcome {
        Ok(passed) => (0, passed.join("\n")),
        Err(problem) => (1, problem),
    };
    REPORT.set(report);
    status
}
