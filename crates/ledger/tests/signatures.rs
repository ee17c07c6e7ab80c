//! The signature vectors, natively.

#[path = "vectors/signature_cases.rs"]
mod signature_cases;

const VECTORS: &str = include_str!("vectors/signatures.json");

#[test]
fn every_signature_vector_is_reproduced() {
    let passed = signature_cases::run(VECTORS).unwrap_or_else(|problem| panic!("{problem}"));
    println!("{}", passed.join("\n"));
    assert!(passed.len() > 40, "only {} cases", passed.len());
}

#[test]
fn a_vector_file_with_a_wrong_number_fails() {
    for (from, to) in [
        ("c88ccb6b", "c88ccb6c"),
        ("b48df9b2", "b48df9b3"),
        ("d43593c7", "d43593c8"),
        ("\"expired\"", "\"accepted\""),
    ] {
        assert!(VECTORS.contains(from));
        assert!(
            signature_cases::run(&VECTORS.replace(from, to)).is_err(),
            "{from}"
        );
    }
}
