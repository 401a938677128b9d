//! Clients that keep their connections and never try again: what they lose, they tell.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::body::{Body, to_bytes};
use http::{Request, header::CONNECTION};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What a client asks for, again and again.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: &'static str,
    pub path: &'static str,
    pub token: String,
    pub body: String,
    /// Answers that are no failure.
    pub expected: &'static [u16],
}

/// What the clients got.
#[derive(Debug, Default)]
pub struct Seen {
    pub connections: usize,
    pub answers: BTreeMap<u16, usize>,
    pub failures: Vec<String>,
}

/// Clients at work, one for each ask.
pub struct Load {
    clients: JoinSet<Seen>,
    stop: CancellationToken,
}

impl Load {
    pub fn start(server: SocketAddr, asks: impl IntoIterator<Item = Ask>) -> Self {
        let stop = CancellationToken::new();
        let clients = asks.into_iter().map(|ask| client(server, ask, stop.clone())).collect();
        Self { clients, stop }
    }

    /// Lets each client have its last answer.
    pub async fn stop(self) -> Seen {
        self.stop.cancel();
        let mut all = Seen::default();
        for seen in self.clients.join_all().await {
            all.connections += seen.connections;
            all.failures.extend(seen.failures);
            for (status, count) in seen.answers {
                *all.answers.entry(status).or_default() += count;
            }
        }
        all
    }
}

async fn client(server: SocketAddr, ask: Ask, stop: CancellationToken) -> Seen {
    let mut seen = Seen::default();
    let mut open = None;
    while !stop.is_cancelled() {
        let kept = open.is_some();
        match turn(server, &ask, open.take(), &mut seen).await {
            Ok((status, connection)) => {
                *seen.answers.entry(status).or_default() += 1;
                if !ask.expected.contains(&status) {
                    seen.failures.push(format!("{} {}: {status}", ask.method, ask.path));
                }
                open = connection;
            }
            Err(error) => {
                let connection = if kept { "kept" } else { "new" };
                seen.failures
                    .push(format!("{} {}, {connection} connection: {error:?}", ask.method, ask.path));
            }
        }
    }
    seen
}

/// One request and its whole answer; the connection, if it may be used again.
async fn turn(
    server: SocketAddr,
    ask: &Ask,
    open: Option<SendRequest<String>>,
    seen: &mut Seen,
) -> Result<(u16, Option<SendRequest<String>>), Box<dyn std::error::Error + Send + Sync>> {
    let mut sender = match open {
        Some(sender) => sender,
        None => {
            seen.connections += 1;
            let (sender, connection) = handshake(TokioIo::new(TcpStream::connect(server).await?)).await?;
            tokio::spawn(connection);
            sender
        }
    };
    let request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header("host", "binah-ml")
        .header("authorization", format!("Bearer {}", ask.token))
        .header("content-type", "application/json")
        .body(ask.body.clone())?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let closes = response.headers().get(CONNECTION).is_some_and(|value| value == "close");
    to_bytes(Body::new(response.into_body()), usize::MAX).await?;
    if closes {
        return Ok((status, None));
    }
    sender.ready().await?;
    Ok((status, Some(sender)))
}
