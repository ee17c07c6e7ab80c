//! `cargo xtask start`: from a fresh clone to a running coordinator whose page can be opened.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    cli, corpus,
    dirs::Dirs,
    shell::{self, Steps},
    wasm,
};

/// How often Ctrl-C was pressed, or the end asked for by other means.
static INTERRUPTS: AtomicUsize = AtomicUsize::new(0);

/// How long the coordinator may take until it answers: it loads a model and measures it.
const READY_WITHIN: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(200);

pub fn start(dirs: &Dirs, arguments: &cli::Start) -> Result<ExitCode> {
    let public = address("--listen", &arguments.listen)?;
    let operator = address("--admin-listen", &arguments.admin_listen)?;
    let mut steps = Steps::of(4);
    steps.step("Browser module", || wasm::build(dirs, false))?;
    let program = steps.step("Coordinator", || shell::program(dirs, "covey-coordinator"))?;
    let corpus = steps.step("Corpus", || {
        corpus::prepare(dirs, arguments.corpus.as_deref(), arguments.model)
    })?;
    let data = match &arguments.data_dir {
        Some(path) => std::path::absolute(path)?,
        None => dirs
            .root
            .join("data")
            .join(format!("{}-{}", arguments.model.name(), corpus.name)),
    };
    let mut child = steps.step("Start", || {
        // Checked only now: the port may be taken or freed while the build runs.
        is_free("--listen", public)?;
        is_free("--admin-listen", operator)?;
        ctrlc::set_handler(|| {
            INTERRUPTS.fetch_add(1, Ordering::SeqCst);
        })?;
        let mut command = Command::new(&program);
        command
            .current_dir(&dirs.root)
            .args([
                "--listen",
                &arguments.listen,
                "--admin-listen",
                &operator.to_string(),
                "--model",
                arguments.model.name(),
            ])
            .arg("--data-dir")
            .arg(&data)
            .arg("--corpus")
            .arg(&corpus.folder)
            .arg("--www")
            .arg(dirs.www())
            .stdin(Stdio::null());
        let mut child = spawn_apart(&mut command)?;
        wait_until_ready(&mut child, public)?;
        Ok(child)
    })?;
    let url = page(public);
    eprintln!(
        "\n    Covey is running: {url}\n\n    Open it in two browsers or tabs and press Contribute. \
         The run is kept in\n    {data}. Press Ctrl-C to stop.\n\n    \
         For you alone: {}/status asks for a password, which is in\n    {data}/admin.token.\n",
        page(operator),
        data = data.display()
    );
    if !public.ip().is_loopback() {
        eprintln!(
            "    Other machines need HTTPS in front of it: browsers give WebGPU and storage only to \
             secure pages.\n"
        );
    }
    if arguments.open && open::that_detached(&url).is_err() {
        eprintln!("    No browser could be opened; open the address yourself.\n");
    }
    let status = wait(&mut child)?;
    Ok(
        match status.success() || INTERRUPTS.load(Ordering::SeqCst) > 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        },
    )
}

/// Says what to do when an address is taken.
fn is_free(flag: &str, address: SocketAddr) -> Result<()> {
    if let Err(error) = TcpListener::bind(address) {
        let next = address.port().saturating_add(1);
        bail!(
            "{address} cannot be listened on ({error}); is another coordinator running? Name another \
             address, such as {flag} 127.0.0.1:{next}"
        );
    }
    Ok(())
}

fn address(flag: &str, listen: &str) -> Result<SocketAddr> {
    listen
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| anyhow!("{flag} {listen} is not an address such as 127.0.0.1:8080"))
}

/// The page's address on this machine. By name, not by number: browsers trust `localhost`.
fn page(address: SocketAddr) -> String {
    match address.ip().is_loopback() || address.ip().is_unspecified() {
        true => format!("http://localhost:{}", address.port()),
        false => format!("http://{address}"),
    }
}

/// Starts a program out of the terminal's reach, so that Ctrl-C reaches it once, through us.
fn spawn_apart(command: &mut Command) -> Result<Child> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
        .spawn()
        .with_context(|| format!("{} could not be started", shell::line(command)))
}

fn wait_until_ready(child: &mut Child, address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < READY_WITHIN {
        if let Some(status) = child.try_wait()? {
            bail!("the coordinator ended with {status}; see above");
        }
        if INTERRUPTS.load(Ordering::SeqCst) > 0 {
            end(child)?;
            bail!("interrupted");
        }
        if is_healthy(address) {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    end(child)?;
    bail!(
        "the coordinator did not answer within {} s",
        READY_WITHIN.as_secs()
    )
}

/// Whether `/healthz` answers 200.
fn is_healthy(address: SocketAddr) -> bool {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer.split_whitespace().nth(1) == Some("200"))
    };
    ask().unwrap_or(false)
}

/// Waits for the coordinator's end; passes the first Ctrl-C on as a request, the second as an order.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let mut told = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let interrupts = INTERRUPTS.load(Ordering::SeqCst);
        if interrupts > told {
            told = interrupts;
            if told == 1 {
                eprintln!("\nStopping; press Ctrl-C again to stop at once");
                ask_to_end(child)?;
            } else {
                child.kill()?;
            }
        }
        std::thread::sleep(POLL);
    }
}

fn end(child: &mut Child) -> Result<()> {
    ask_to_end(child)?;
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > Duration::from_secs(10) {
            child.kill()?;
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

#[cfg(unix)]
fn ask_to_end(child: &mut Child) -> Result<()> {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM).or_else(|error| match error {
        // It has ended by itself.
        nix::errno::Errno::ESRCH => Ok(()),
        error => Err(error.into()),
    })
}

#[cfg(not(unix))]
fn ask_to_end(child: &mut Child) -> Result<()> {
    Ok(child.kill()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_page_is_one_browsers_trust() {
        let url = |listen| page(address("--listen", listen).unwrap());
        assert_eq!(url("127.0.0.1:8080"), "http://localhost:8080");
        assert_eq!(url("0.0.0.0:80"), "http://localhost:80");
        assert_eq!(url("192.0.2.7:8080"), "http://192.0.2.7:8080");
        assert!(address("--listen", "8080").is_err());
    }

    #[test]
    fn only_a_healthy_answer_counts() {
        for (answer, healthy) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 512];
                let read = stream.read(&mut request).unwrap();
                assert!(request[..read].starts_with(b"GET /healthz "));
                write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").unwrap();
            });
            assert_eq!(is_healthy(address), healthy);
            server.join().unwrap();
        }
        assert!(!is_healthy("127.0.0.1:9".parse().unwrap()));
    }
}
