//! SafeTensors files from anybody: the model's weights or an error, never a panic, and never memory by a
//! length that the file claims. Not among the fuzz targets, because this crate needs burn.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use covey_protocol::{
    Hash,
    model::{ModelConfig, Preset},
};
use covey_training::{checkpoint, init::initial_weights};
use proptest::{collection::vec, prelude::*};

/// Remembers the largest allocation ever asked for.
struct Measured;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every request on to the system's allocator.
unsafe impl GlobalAlloc for Measured {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measured = Measured;

/// More than a good file of this model and everything around it needs.
const MOST: usize = 4 * 1024 * 1024;

fn config() -> ModelConfig {
    ModelConfig {
        vocabulary: 64,
        width: 64,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        hidden: 64,
        context: 8,
        tied: true,
        ..Preset::Tiny.config()
    }
}

fn good() -> Vec<u8> {
    let theta = initial_weights(&Hash([7; 32]), &config());
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    checkpoint::to_safetensors(&config(), &theta, metadata).expect("a file")
}

/// Reads a file; says how many weights came of it.
fn read(bytes: &[u8]) -> Option<usize> {
    let theta = checkpoint::from_safetensors(&config(), bytes).ok();
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest < MOST, "{largest} bytes were asked for at once");
    theta.map(|theta| theta.len())
}

fn parameters() -> usize {
    config().parameters() as usize
}

/// A header that says anything about the tensors of the model, before few bytes.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0u64..70, Just(4096), any::<u64>()];
    let dtype = prop::sample::select(vec!["F32", "F16", "F64", "U8", "F4", "?"]);
    let tensor = (dtype, vec(number.clone(), 0..4), number.clone(), number);
    let names: Vec<String> = config().tensors().into_iter().map(|t| t.name).collect();
    let count = names.len();
    let length = prop_oneof![4 => Just(None), 1 => any::<u64>().prop_map(Some)];
    (vec(tensor, count), length, vec(any::<u8>(), 0..64)).prop_map(
        move |(tensors, length, data)| {
            let entries: Vec<String> = names
                .iter()
                .zip(tensors)
                .map(|(name, (dtype, shape, from, to))| {
                    let offsets = [from, to];
                    format!(
                        r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":{offsets:?}}}"#
                    )
                })
                .collect();
            let text = format!("{{{}}}", entries.join(","));
            let length = length.unwrap_or(text.len() as u64);
            [&length.to_le_bytes(), text.as_bytes(), &data].concat()
        },
    )
}

#[test]
fn the_file_that_is_damaged_below_is_a_good_one() {
    assert_eq!(read(&good()), Some(parameters()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(read(&bytes), None);
    }

    #[test]
    fn any_claims_about_tensors_are_refused(bytes in header()) {
        prop_assert_eq!(read(&bytes), None);
    }

    #[test]
    fn a_file_that_is_cut_is_refused(part: prop::sample::Index) {
        let bytes = good();
        prop_assert_eq!(read(&bytes[..part.index(bytes.len())]), None);
    }

    #[test]
    fn a_file_with_a_changed_header_is_refused_or_has_every_weight(
        changes in vec((0usize..1200, any::<u8>()), 1..4),
    ) {
        let mut bytes = good();
        for (at, with) in changes {
            bytes[at] ^= with;
        }
        if let Some(count) = read(&bytes) {
            prop_assert_eq!(count, parameters());
        }
    }
}
