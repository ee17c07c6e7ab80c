//! Counts tests from what the runners print.

use std::ops::AddAssign;

/// Tests that passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Tally {
    pub fn passed(passed: usize) -> Self {
        Self {
            passed,
            ..Self::default()
        }
    }

    pub fn failed(failed: usize) -> Self {
        Self {
            failed,
            ..Self::default()
        }
    }

    /// Reads a line of `cargo test`, such as
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; ...`.
    pub fn read_libtest(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split(['.', ';']) {
            let mut words = part.split_whitespace();
            if let (Some(Ok(count)), Some(what)) =
                (words.next().map(str::parse::<usize>), words.next())
            {
                match what {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    "ignored" => self.skipped += count,
                    _ => {}
                }
            }
        }
    }

    /// Reads a line of Node's `spec` reporter, such as `ℹ pass 12`.
    pub fn read_node(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        if words.next() != Some("ℹ") {
            return;
        }
        if let (Some(what), Some(Ok(count))) = (words.next(), words.next().map(str::parse::<usize>))
        {
            match what {
                "pass" => self.passed += count,
                "fail" | "cancelled" => self.failed += count,
                "skipped" | "todo" => self.skipped += count,
                _ => {}
            }
        }
    }

    /// Reads a line of the vector runner: `ok ...` or `FAILED ...`.
    pub fn read_vectors(&mut self, line: &str) {
        match line.split_whitespace().next() {
            Some("ok") => self.passed += 1,
            Some("FAILED") => self.failed += 1,
            _ => {}
        }
    }

    /// The count at a runner's end: one that failed without naming a test counts as one failure,
    /// and so does one that succeeded without running anything.
    pub fn ended(mut self, succeeded: bool) -> Self {
        let silent = self.passed + self.failed == 0;
        if self.failed == 0 && (!succeeded || silent) {
            self.failed = 1;
        }
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: usize, failed: usize, skipped: usize) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn cargo_test_results_add_up() {
        let mut counted = Tally::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            counted.read_libtest(line);
        }
        assert_eq!(counted, tally(13, 2, 1));
    }

    #[test]
    fn node_results_add_up() {
        let mut counted = Tally::default();
        for line in [
            "✔ pass 100 balls (3ms)",
            "ℹ tests 5",
            "ℹ pass 3",
            "ℹ fail 1",
            "ℹ cancelled 1",
            "ℹ skipped 2",
        ] {
            counted.read_node(line);
        }
        assert_eq!(counted, tally(3, 2, 2));
    }

    #[test]
    fn runner_that_fails_or_does_nothing_is_a_failure() {
        assert_eq!(tally(3, 0, 0).ended(true), tally(3, 0, 0));
        assert_eq!(tally(3, 0, 0).ended(false), tally(3, 1, 0));
        assert_eq!(tally(3, 2, 0).ended(false), tally(3, 2, 0));
        assert_eq!(Tally::default().ended(true), tally(0, 1, 0));
    }
}
