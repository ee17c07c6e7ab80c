//! Running other programs, and telling what is being done and how long it took.

use std::{
    ffi::OsStr,
    fmt,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::dirs::Dirs;

/// Numbers the steps of a task and times them.
pub struct Steps {
    done: usize,
    of: usize,
    started: Instant,
}

impl Steps {
    pub fn of(of: usize) -> Self {
        Self {
            done: 0,
            of,
            started: Instant::now(),
        }
    }

    /// Announces a step, does it, and says how long it took.
    pub fn step<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done += 1;
        eprintln!("\n[{}/{}] {what}", self.done, self.of);
        let begun = Instant::now();
        let result = work()?;
        eprintln!(
            "[{}/{}] {what}: done in {} ({} in all)",
            self.done,
            self.of,
            Took(begun.elapsed()),
            Took(self.started.elapsed())
        );
        Ok(result)
    }
}

/// A duration as a person says it.
#[derive(Clone, Copy, Debug)]
pub struct Took(pub Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let text = match seconds {
            0..10 => format!("{:.1} s", self.0.as_secs_f64()),
            10..60 => format!("{seconds} s"),
            _ => format!("{} min {} s", seconds / 60, seconds % 60),
        };
        f.pad(&text)
    }
}

/// Everything that is built for this machine, chosen the same way every time.
///
/// Cargo settles features for the packages of one command together. Naming a single package would
/// settle them differently and compile the tensor library, ten minutes, once more. Without default
/// features the browser module comes along without its GPU backend; this program is left out, since
/// it has a profile of its own.
const NATIVE: [&str; 4] = ["--workspace", "--exclude", "xtask", "--no-default-features"];

/// A native cargo command on [everything](NATIVE).
pub fn native(dirs: &Dirs, subcommand: &str) -> Command {
    let mut command = cargo(&dirs.root, &dirs.native());
    command.arg(subcommand).args(NATIVE);
    command
}

/// Builds one of our own programs; gives its path. `cargo run` would not take the whole selection.
pub fn program(dirs: &Dirs, name: &str) -> Result<PathBuf> {
    build(dirs, "--bin", name, "debug")
}

/// The coordinator as its own tests run it; gives its path. A build without tests settles other features for
/// what it depends on, and compiles the largest of our crates once more.
pub fn tested_coordinator(dirs: &Dirs) -> Result<PathBuf> {
    run(native(dirs, "test").args(["--no-run", "--test", "server"]))
        .context("the coordinator could not be built")?;
    let file = format!("covey-coordinator{}", std::env::consts::EXE_SUFFIX);
    Ok(dirs.native().join("debug").join(file))
}

/// As [`program`], for an example, which is where the benchmarks are.
pub fn example(dirs: &Dirs, name: &str) -> Result<PathBuf> {
    build(dirs, "--example", name, "debug/examples")
}

fn build(dirs: &Dirs, kind: &str, name: &str, folder: &str) -> Result<PathBuf> {
    run(native(dirs, "build").args([kind, name]))
        .with_context(|| format!("{name} could not be built"))?;
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(dirs.native().join(folder).join(file))
}

/// The cargo that runs this, in the repository, building into `target`.
pub fn cargo(root: &Path, target: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).env("CARGO_TARGET_DIR", target);
    // What cargo tells this program about its own package. Build scripts of dependencies that look at it
    // would run again in every checkout, and all that stands on them would be compiled again.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command whose output the user sees.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{} could not be started", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a command and gives what it printed, without its line end. Errors are shown.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} could not be started", line(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs a command quietly, within a time limit; whether it succeeded.
pub fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        return false;
    };
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if started.elapsed() < limit => {
                std::thread::sleep(Duration::from_millis(100));
            }
            _ => {
                // It cannot be helped if it has just ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// Runs a command, shows its output and also hands every line to `each`; whether it succeeded.
pub fn tee(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} could not be started", line(command)))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            let text = String::from_utf8_lossy(&bytes);
            print!("{text}");
            each(text.trim_end());
            bytes.clear();
        }
    }
    Ok(child.wait()?.success())
}

/// The first of these programs that is installed.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let endings: &[&str] = if cfg!(windows) {
        &[".exe", ".cmd", ""]
    } else {
        &[""]
    };
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| (folder, name)))
        .flat_map(|(folder, name)| {
            endings
                .iter()
                .map(move |end| folder.join(format!("{name}{end}")))
        })
        .find(|file| file.is_file())
}

/// A command as it would be typed.
pub fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    std::iter::once(program.file_name().unwrap_or(program.as_os_str()))
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        assert_eq!(Took(Duration::from_millis(1260)).to_string(), "1.3 s");
        assert_eq!(Took(Duration::from_secs(59)).to_string(), "59 s");
        assert_eq!(Took(Duration::from_secs(1261)).to_string(), "21 min 1 s");
    }

    #[cfg(unix)]
    #[test]
    fn every_line_is_seen_and_failure_is_told() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; printf two; exit 3"]);
        assert!(!tee(&mut command, |line| lines.push(line.to_owned())).unwrap());
        assert_eq!(lines, ["one", "two"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_hangs_is_ended_at_the_limit() {
        let mut command = Command::new("sleep");
        assert!(!succeeds_within(
            command.arg("1000"),
            Duration::from_millis(150)
        ));
    }
}
