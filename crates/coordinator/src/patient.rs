//! A connection that gives up on a reader that has stopped reading.
//!
//! Without it, whoever asks for a large blob and never reads it holds a connection for as long as it
//! likes. What a reader would get wrong: this is no limit on how slow a download may be. The time starts
//! again with every byte that the system takes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] after no byte could be written for a while.
pub struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    #[must_use]
    pub fn new(stream: TcpStream, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
        }
    }

    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), context) {
            self.waiting = None;
            return Poll::Ready(written);
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(context, |stream, context| {
            stream.poll_write_vectored(context, parts)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |stream, context| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io::Read};

    use super::*;

    async fn pair(patience: Duration) -> (Patient, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let ours = TcpStream::connect(address).await.expect("connected");
        let (theirs, _) = listener.accept().expect("accepted");
        (Patient::new(ours, patience), theirs)
    }

    async fn fill(patient: &mut Patient) -> io::Result<()> {
        let bytes = [0; 64 * 1024];
        loop {
            poll_fn(|context| Pin::new(&mut *patient).poll_write(context, &bytes)).await?;
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_given_up() {
        let (mut patient, _theirs) = pair(Duration::from_millis(50)).await;
        let error = fill(&mut patient).await.expect_err("given up");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_reads_slowly_is_not() {
        let (mut patient, mut theirs) = pair(Duration::from_secs(60)).await;
        let reader = std::thread::spawn(move || {
            let mut bytes = vec![0; 4 * 1024 * 1024];
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(20));
                let read = theirs.read(&mut bytes).expect("bytes");
                assert!(read > 0, "given up");
            }
        });
        let error = fill(&mut patient).await.expect_err("the reader leaves");
        assert_ne!(error.kind(), io::ErrorKind::TimedOut);
        reader.join().expect("read");
    }
}
