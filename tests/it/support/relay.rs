//! A relay of TCP connections that does what networks do, and stands in for a load balancer.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// A relay on a port of its own; closed when dropped.
pub struct Relay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    closed: CancellationToken,
}

struct Shared {
    /// Served by turns; none: connections are closed at once.
    upstreams: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    /// Breaks the connections that there are.
    cut: Mutex<CancellationToken>,
    stalled: watch::Sender<bool>,
}

impl Relay {
    pub async fn start(upstreams: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            upstreams: Mutex::new(upstreams),
            turn: AtomicUsize::new(0),
            cut: Mutex::default(),
            stalled: watch::channel(false).0,
        });
        let closed = CancellationToken::new();
        let accept = {
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&shared).relay(client));
                }
            }
        };
        let until_closed = closed.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = accept => {}
                () = until_closed => {}
            }
        });
        Self { address, shared, closed }
    }

    /// Where connections go from now on; those that there are stay.
    pub fn set_upstreams(&self, upstreams: Vec<SocketAddr>) {
        *self.shared.upstreams.lock().expect("no panic") = upstreams;
    }

    /// Resets every connection, on both sides.
    pub fn cut(&self) {
        std::mem::take(&mut *self.shared.cut.lock().expect("no panic")).cancel();
    }

    /// Holds every byte back, without a word, until it is let go.
    pub fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closed.cancel();
        self.cut();
    }
}

impl Shared {
    async fn relay(self: Arc<Self>, mut client: TcpStream) {
        let cut = self.cut.lock().expect("no panic").clone();
        let upstream = {
            let upstreams = self.upstreams.lock().expect("no panic");
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            if upstreams.is_empty() { None } else { Some(upstreams[turn % upstreams.len()]) }
        };
        let Some(upstream) = upstream else { return };
        let Ok(mut server) = TcpStream::connect(upstream).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let broken = {
            let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
            let both = async {
                tokio::join!(self.pass(from_client, to_server), self.pass(from_server, to_client));
            };
            tokio::select! {
                () = both => false,
                () = cut.cancelled() => true,
            }
        };
        if broken {
            // What is unsent is thrown away, and both sides learn of it by RST.
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }

    /// Bytes of one direction, and its end.
    async fn pass(&self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut stalled = self.stalled.subscribe();
        let mut bytes = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut bytes).await.unwrap_or(0);
            // The sender lives as long as the relay.
            let _ = stalled.wait_for(|stalled| !stalled).await;
            if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
                let _ = to.shutdown().await;
                return;
            }
        }
    }
}
