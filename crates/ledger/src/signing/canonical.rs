//! Canonical JSON: the one text of a value, so that a signature over it can be checked by whoever
//! holds the value (RFC 8785 for the part of JSON the ledger uses).
//!
//! The part: no fractions, no number beyond ±(2^53 − 1) (a browser would round it; amounts are
//! strings), and ASCII keys, for which order by bytes and RFC 8785's order by UTF-16 units agree.
//! Anything else is an error and never a guess.

use serde::Serialize;
use serde_json::{Number, Value};
use thiserror::Error;

/// Largest magnitude of a number: every reader of JSON holds it exactly.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Deepest nesting. Far above any message of ours; keeps hostile input off the stack's end.
pub const MAX_DEPTH: usize = 32;

/// Why a value has no canonical text, or a text is not canonical.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CanonicalError {
    #[error("the number {0} is a fraction or beyond 2^53 - 1; write amounts as strings of digits")]
    Number(String),
    #[error("the key {0:?} is not ASCII")]
    Key(String),
    #[error("the value is nested more than 32 deep")]
    TooDeep,
    #[error("the value cannot be written as JSON: {0}")]
    Unwritable(String),
    #[error("the text is not JSON: {0}")]
    NotJson(String),
    #[error("the text is JSON, but not in canonical form")]
    NotCanonical,
}

/// The canonical bytes of a value.
pub fn canonical(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = String::new();
    write(value, MAX_DEPTH, &mut out)?;
    Ok(out.into_bytes())
}

/// The canonical bytes of anything that serialises.
pub fn canonical_of<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value)
        .map_err(|problem| CanonicalError::Unwritable(problem.to_string()))?;
    canonical(&value)
}

/// Reads canonical bytes. Any other spelling of the same value is refused: spaces, another order, a
/// key twice.
pub fn parse_canonical(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let value = serde_json::from_slice(bytes)
        .map_err(|problem| CanonicalError::NotJson(problem.to_string()))?;
    if canonical(&value)? == bytes {
        Ok(value)
    } else {
        Err(CanonicalError::NotCanonical)
    }
}

fn write(value: &Value, depth: usize, out: &mut String) -> Result<(), CanonicalError> {
    let inner = depth.checked_sub(1).ok_or(CanonicalError::TooDeep);
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&integer(number)?),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            let inner = inner?;
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, inner, out)?;
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let inner = inner?;
            // serde_json's map is sorted unless some crate turns on `preserve_order`.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (at, (key, item)) in fields.into_iter().enumerate() {
                if !key.is_ascii() {
                    return Err(CanonicalError::Key(key.clone()));
                }
                if at > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(item, inner, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn integer(number: &Number) -> Result<String, CanonicalError> {
    let magnitude = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    match magnitude {
        Some(0..=MAX_NUMBER) => Ok(number.to_string()),
        _ => Err(CanonicalError::Number(number.to_string())),
    }
}

/// The escapes that JSON demands, in RFC 8785's spelling, and no others.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(value: &Value) -> String {
        String::from_utf8(canonical(value).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_escapes_are_minimal() {
        assert_eq!(
            text(&json!({"b": [1, -2, null, true], "a": {"B": "é\u{7f}€", "A": ""}, "": false})),
            "{\"\":false,\"a\":{\"A\":\"\",\"B\":\"é\u{7f}€\"},\"b\":[1,-2,null,true]}"
        );
        assert_eq!(
            text(&json!("\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/")),
            r#""\u0000\b\t\n\u000b\f\r\u001f\"\\/""#
        );
    }

    #[test]
    fn numbers_a_browser_would_round_are_refused() {
        for good in [json!(0), json!(MAX_NUMBER), json!(-(MAX_NUMBER as i64))] {
            assert_eq!(parse_canonical(&canonical(&good).unwrap()), Ok(good));
        }
        for bad in [
            json!(MAX_NUMBER + 1),
            json!(-(MAX_NUMBER as i64) - 1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.5),
            json!(1.0),
            json!(-0.0),
        ] {
            assert!(
                matches!(canonical(&bad), Err(CanonicalError::Number(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            canonical_of(&u128::MAX),
            Err(CanonicalError::Unwritable(_) | CanonicalError::Number(_))
        ));
    }

    #[test]
    fn other_spellings_of_the_same_value_are_not_canonical() {
        for spelling in [
            "{\"a\":1 }",
            "{\"b\":1,\"a\":2}",
            "{\"a\":1,\"a\":1}",
            "\"\\u0041\"",
            "\"\\/\"",
            "[1]\n",
        ] {
            assert_eq!(
                parse_canonical(spelling.as_bytes()),
                Err(CanonicalError::NotCanonical),
                "{spelling}"
            );
        }
        assert!(matches!(
            parse_canonical(b"{"),
            Err(CanonicalError::NotJson(_))
        ));
        assert_eq!(
            canonical(&json!({"é": 1})),
            Err(CanonicalError::Key("é".to_owned()))
        );
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(canonical(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            canonical(&nested(MAX_DEPTH + 1)),
            Err(CanonicalError::TooDeep)
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        let limit = MAX_NUMBER as i64;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-limit..=limit).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[ -~]{0,6}", inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn parsing_undoes_writing(value in values()) {
            let bytes = canonical(&value).unwrap();
            prop_assert_eq!(parse_canonical(&bytes).unwrap(), value.clone());
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
        }

        #[test]
        fn order_of_keys_and_spaces_do_not_matter(
            fields in prop::collection::btree_map("[ -~]{0,6}", values(), 0..8),
            order in any::<u64>(),
        ) {
            let mut shuffled: Vec<_> = fields.iter().collect();
            shuffled.sort_by_key(|(key, _)| {
                let mut hash = blake3::Hasher::new();
                hash.update(&order.to_le_bytes()).update(key.as_bytes());
                *hash.finalize().as_bytes()
            });
            let spelling: Vec<String> = shuffled
                .iter()
                .map(|(key, value)| format!("{} : {value:#}", Value::from(key.as_str())))
                .collect();
            let parsed: Value = serde_json::from_str(&format!("{{ {} }}", spelling.join(" ,\n"))).unwrap();
            let direct = Value::Object(fields.into_iter().collect());
            prop_assert_eq!(canonical(&parsed), canonical(&direct));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            if let Ok(value) = parse_canonical(&bytes) {
                prop_assert_eq!(canonical(&value).unwrap(), bytes);
            }
        }
    }
}
