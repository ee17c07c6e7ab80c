//! The same vector cases as the native tests, compiled to WebAssembly, so that "it gives the same bytes in
//! a tab" is run and not believed. `run.mjs` beside this crate drives it in Node.
//!
//! The interface is four kinds of plain functions and no bindings generator: ask for room for the vectors
//! file, write it there, call a check, and read the text it left. The module imports nothing.

use std::cell::RefCell;

#[path = "../../../crates/compression/tests/vectors/cases.rs"]
mod compression;
#[path = "../../../crates/scoring/tests/vectors/cases.rs"]
mod scoring;

thread_local! {
    static VECTORS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static REPORT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes room for a vectors file of `len` bytes and says where to write it.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(len: usize) -> *mut u8 {
    VECTORS.with_borrow_mut(|vectors| {
        *vectors = vec![0; len];
        vectors.as_mut_ptr()
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
    check(compression::run)
}

/// Checks the scoring cases; 0 when all passed.
#[unsafe(no_mangle)]
pub extern "C" fn run_scoring() -> u32 {
    check(scoring::run)
}

/// Reports hashes of generated results, for comparison with the native tests' lines.
#[unsafe(no_mangle)]
pub extern "C" fn run_identity() -> u32 {
    check(|_| {
        let (compression, scoring) = (compression::digest()?, scoring::digest()?);
        Ok(vec![
            format!("bit identity compression {compression}"),
            format!("bit identity scoring {scoring}"),
        ])
    })
}

fn check(cases: impl Fn(&str) -> Result<Vec<String>, String>) -> u32 {
    let outcome = VECTORS.with_borrow(|vectors| {
        let json = std::str::from_utf8(vectors).map_err(|problem| problem.to_string())?;
        cases(json)
    });
    let (status, report) = match outcome {
        Ok(passed) => (0, passed.join("\n")),
        Err(problem) => (1, problem),
    };
    REPORT.set(report);
    status
}
