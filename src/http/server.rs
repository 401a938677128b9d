//! Accepting connections and letting them go.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, middleware::map_response, response::Response};
use http::{HeaderValue, header::CONNECTION};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

/// A client that opens a connection has to say what it wants within this time, also between two
/// requests of a connection that is kept alive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// Pause after a failed accept: with no file descriptor left the next would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that was just taken has for the beginning of its request: the graceful end closes those
/// that have said nothing yet.
const FIRST_WORDS: Duration = Duration::from_millis(100);

/// How a server takes its leave.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// How long it still takes connections after the signal: until no load balancer sends any more. Each answer
    /// asks its client to connect anew, which brings it to another replica.
    pub delay: Duration,
    /// How long the requests in flight may take after that.
    pub grace: Duration,
}

impl Leave {
    /// Nobody waits for anything.
    pub const AT_ONCE: Self = Self { delay: Duration::ZERO, grace: Duration::ZERO };
}

/// Serves until `shutdown` completes and then as `leave` says; returns whether all requests ended.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    leave: Leave,
) -> bool {
    let leaving = Arc::new(AtomicBool::new(false));
    let connections = Connections::new(close_after_answers(router, Arc::clone(&leaving)));
    let mut over = pin!(async {
        shutdown.await;
        leaving.store(true, Ordering::Relaxed);
        tokio::time::sleep(leave.delay).await;
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut over => break,
        };
        match accepted {
            Ok((stream, _)) => connections.spawn(stream),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // For these clients they are open connections: the end of the listener would reset them.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, _)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                connections.spawn(stream);
            }
        }
    }
    let first_words = FIRST_WORDS.min(leave.grace);
    tokio::time::sleep(first_words).await;
    tokio::time::timeout(leave.grace - first_words, connections.watched.shutdown()).await.is_ok()
}

/// Asks clients, once `leaving`, to send nothing more over the connection of an answer. One that is merely closed
/// when it is idle may lose the request that its client sends at that moment.
fn close_after_answers(router: Router, leaving: Arc<AtomicBool>) -> Router {
    router.layer(map_response(move |mut response: Response| {
        if leaving.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        std::future::ready(response)
    }))
}

struct Connections {
    builder: Builder<TokioExecutor>,
    router: Router,
    watched: GracefulShutdown,
}

impl Connections {
    fn new(router: Router) -> Self {
        // HTTP/1.1 alone, as the old server: where both are spoken, hyper waits for the first bytes, and
        // keeps an idle HTTP/2 connection, without any time limit.
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        Self { builder, router, watched: GracefulShutdown::new() }
    }

    fn spawn(&self, stream: TcpStream) {
        // An answer is one small write; waiting to fill a packet would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let service = TowerToHyperService::new(self.router.clone());
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = self.watched.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn an_http2_client_is_sent_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, Router::new(), std::future::pending(), Leave::AT_ONCE));
        let mut client = TcpStream::connect(address).await.expect("connects");
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sends");
        let mut answer = [0; 9];
        let read = client.read(&mut answer).await.expect("reads");
        assert!(b"HTTP/1.1 ".starts_with(&answer[..read]), "{answer:?}");
    }

    /// Writes a request, and reads until the server closes or has said `until`.
    async fn ask(client: &mut TcpStream, until: &str) -> String {
        client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.expect("sends");
        let mut answer = String::new();
        let mut bytes = [0; 1024];
        while !answer.ends_with(until) {
            match client.read(&mut bytes).await.expect("reads") {
                0 => break,
                read => answer.push_str(std::str::from_utf8(&bytes[..read]).expect("text")),
            }
        }
        answer
    }

    #[tokio::test]
    async fn who_leaves_serves_on_and_sends_its_clients_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", axum::routing::get(|| async { "here." }));
        let (leave, left) = tokio::sync::oneshot::channel::<()>();
        let (delay, grace) = (Duration::from_secs(1), Duration::from_secs(60));
        let shutdown = async move {
            let _ = left.await;
        };
        let served = tokio::spawn(serve(listener, router, shutdown, Leave { delay, grace }));
        let mut client = TcpStream::connect(address).await.expect("connects");
        for _ in 0..2 {
            let answer = ask(&mut client, "here.").await;
            assert!(!answer.contains("connection: close"), "{answer}");
        }
        leave.send(()).expect("it serves");
        tokio::task::yield_now().await;
        // One that is there already, and new ones.
        let last = ask(&mut client, "never").await;
        assert!(last.contains("connection: close") && last.ends_with("here."), "{last}");
        let mut late = TcpStream::connect(address).await.expect("connects");
        let last = ask(&mut late, "never").await;
        assert!(last.contains("connection: close") && last.ends_with("here."), "{last}");
        assert!(served.await.expect("no panic"), "all have ended");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
