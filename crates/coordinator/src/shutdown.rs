//! When to stop: Ctrl-C, or the signal a service manager sends. A second one ends the process at once.

use tokio::sync::watch;

/// Becomes true when it is time to stop.
pub type Stop = watch::Receiver<bool>;

/// Waits until it is time to stop.
pub async fn requested(mut stop: Stop) {
    // A sender that is gone can no longer ask; that only happens when the process ends anyway.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Watches the process's signals.
///
/// # Errors
/// When the operating system refuses.
pub fn on_signal() -> std::io::Result<Stop> {
    let (sender, receiver) = watch::channel(false);
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        let _ = sender.send(true);
        signals.next().await;
        tracing::warn!("stopped at once by a second signal");
        std::process::exit(130);
    });
    Ok(receiver)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without a console there is nothing to wait for but the end of the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
