//! What the benchmarks share: rows that print as a table and as JSON, and flags.

use std::path::Path;

use serde::Serialize;

pub type Failure = Box<dyn std::error::Error>;

/// One measured number.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// The row it is compared with, and value / that row's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

/// Prints a table, and writes JSON when asked to.
pub fn report(rows: &[Row], json: Option<&Path>) -> Result<(), Failure> {
    println!("\n| what | value | unit | against |\n|---|---|---|---|");
    for row in rows {
        let against = match (&row.against, row.ratio) {
            (Some(name), Some(ratio)) => format!("{ratio:.3} x {name}"),
            _ => String::new(),
        };
        println!(
            "| {} | {:.4} | {} | {against} |",
            row.name, row.value, row.unit
        );
    }
    if let Some(path) = json {
        std::fs::write(path, serde_json::to_vec_pretty(rows)?)?;
    }
    Ok(())
}

/// The value that follows a flag.
pub fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name)?;
    arguments.next()
}
