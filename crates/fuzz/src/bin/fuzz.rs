//! The driver: libFuzzer's main function on the target that `COVEY_FUZZ_TARGET` names.
//!
//! What a reader would get wrong: libFuzzer alone does not see a decoder that allocates what a length
//! field claims, for untouched memory costs nothing. So every allocation is measured here, and one that
//! no input of a few kilobytes can justify ends the program like a panic.
#![no_main]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process,
    sync::OnceLock,
};

use covey_fuzz::Target;

/// Largest single allocation.
const LIMIT: usize = 64 * 1024 * 1024;

struct Bounded;

// SAFETY: hands every request on to the system's allocator, or does not return.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LIMIT {
            eprintln!("{} bytes were asked for at once", layout.size());
            process::abort();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

fn chosen() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("COVEY_FUZZ_TARGET").unwrap_or_default();
        covey_fuzz::target(&name).unwrap_or_else(|| {
            let names: Vec<&str> = covey_fuzz::TARGETS.iter().map(|t| t.name).collect();
            eprintln!("set COVEY_FUZZ_TARGET to one of: {}", names.join(" "));
            process::exit(2);
        })
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| (chosen().run)(data));
