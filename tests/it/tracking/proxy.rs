//! Between the service and the real MLflow, on the level of TCP: it can do what networks, proxies and
//! dying servers do.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The connection breaks in the middle of the body; MLflow hears nothing of it.
    Reset,
    /// This answer, without MLflow.
    Answer(u16, &'static str),
    /// No answer, without MLflow, until the client gives up.
    Stall,
    /// MLflow does as it is told; its answer is lost with the connection.
    LoseAnswer,
    /// MLflow does as it is told; its answer does not come until the client gives up.
    HoldAnswer,
    /// MLflow does as it is told and answers; from then on nobody listens.
    LastAnswer,
}

struct Rule {
    /// Part of the path.
    call: &'static str,
    fault: Fault,
    times: usize,
}

struct Shared {
    upstream: SocketAddr,
    rules: Mutex<Vec<Rule>>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    faults: Mutex<usize>,
}

/// A proxy on a port of its own.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Request {
    head: String,
    body: Vec<u8>,
    rest: usize,
}

impl Proxy {
    pub async fn start(mlflow: &str) -> Self {
        let upstream = mlflow.trim_start_matches("http://").parse().expect("an address with a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Shared {
            upstream,
            rules: Mutex::default(),
            accepting: Mutex::default(),
            faults: Mutex::default(),
        };
        let proxy = Self { address, shared: Arc::new(shared) };
        proxy.accept(listener);
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` requests whose path holds `call` meet `fault`.
    pub fn set(&self, call: &'static str, fault: Fault, times: usize) {
        self.shared.rules.lock().expect("no panic").push(Rule { call, fault, times });
    }

    /// All is well again.
    pub async fn heal(&self) {
        self.shared.rules.lock().expect("no panic").clear();
        if self.shared.accepting.lock().expect("no panic").is_none() {
            self.accept(TcpListener::bind(self.address).await.expect("the port is still ours"));
        }
    }

    /// Refuses connections.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Requests that have met a fault since the start.
    pub fn faults(&self) -> usize {
        *self.shared.faults.lock().expect("no panic")
    }

    fn accept(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        *self.shared.accepting.lock().expect("no panic") = Some(accepting);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        if let Some(accepting) = self.accepting.lock().expect("no panic").take() {
            accepting.abort();
        }
    }

    fn fault(&self, head: &str) -> Option<Fault> {
        let path = head.split(' ').nth(1)?;
        let mut rules = self.rules.lock().expect("no panic");
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && path.contains(rule.call))?;
        rule.times -= 1;
        *self.faults.lock().expect("no panic") += 1;
        Some(rule.fault)
    }
}

/// One request, one connection: each finds the faults of its time.
async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let Some(mut request) = read_head(&mut client).await else { return };
    let fault = shared.fault(&request.head);
    if let Some(Fault::Reset) = fault {
        let mut some = vec![0; request.rest / 2];
        let _ = client.read_exact(&mut some).await;
        return reset(client);
    }
    let mut rest = vec![0; request.rest];
    if client.read_exact(&mut rest).await.is_err() {
        return;
    }
    request.body.extend(rest);
    match fault {
        Some(Fault::Answer(status, body)) => {
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = client.write_all(answer.as_bytes()).await;
            return;
        }
        Some(Fault::Stall) => return until_gone(client).await,
        _ => {}
    }
    let Some(answer) = forward(&request, shared.upstream).await else { return };
    match fault {
        Some(Fault::LoseAnswer) => return reset(client),
        Some(Fault::HoldAnswer) => return until_gone(client).await,
        Some(Fault::LastAnswer) => shared.close(),
        _ => {}
    }
    let _ = client.write_all(&answer).await;
}

async fn read_head(client: &mut TcpStream) -> Option<Request> {
    let mut bytes = vec![];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let rest = length.unwrap_or(0).saturating_sub(body.len());
    Some(Request { head, body, rest })
}

/// MLflow's whole answer, which ends the connection.
async fn forward(request: &Request, upstream: SocketAddr) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await.ok()?;
    let kept = request.head.trim_end().lines().filter(|line| !line.to_lowercase().starts_with("connection:"));
    let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nconnection: close\r\n\r\n";
    server.write_all(head.as_bytes()).await.ok()?;
    server.write_all(&request.body).await.ok()?;
    let mut answer = vec![];
    server.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}

fn reset(client: TcpStream) {
    // What is unread or unsent is thrown away, and the other side learns of it by RST.
    client.set_zero_linger().expect("a socket");
}

async fn until_gone(mut client: TcpStream) {
    let gone = async { while client.read_u8().await.is_ok() {} };
    let _ = tokio::time::timeout(Duration::from_secs(600), gone).await;
}
