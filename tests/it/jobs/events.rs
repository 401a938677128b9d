//! The stream of a job's changes, as a client reads it.

use binah_ml::auth::{Tokens, token::NewToken};
use serde_json::{Value, json};

use super::{PATIENCE, cancel, cancel_without_service, job, occupied, path, quick, request, stop, submit};
use crate::support::{Service, TENANT_A};

/// A stream that is open.
struct Stream {
    response: reqwest::Response,
    text: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: i64,
    name: String,
    data: Value,
}

impl Stream {
    async fn open(service: &Service, id: &str, last: Option<&str>) -> Self {
        let headers: Vec<_> = last.map(|last| ("Last-Event-ID", last)).into_iter().collect();
        Self::read(request(service, "GET", &events(id), &headers, None).await).await
    }

    async fn read(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let mut stream = Self { response, text: String::new() };
        assert_eq!(stream.block().await.as_deref(), Some("retry: 2000"));
        stream
    }

    /// What stands before the next empty line; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let part = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match part.expect("in time").expect("ends in order") {
                Some(part) => self.text += std::str::from_utf8(&part).expect("text"),
                None => {
                    assert_eq!(self.text, "", "broken off");
                    return None;
                }
            }
        }
    }

    /// The next event; comments are passed over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let mut event = Event { id: 0, name: String::new(), data: Value::Null };
            for line in block.lines() {
                match line.split_once(": ").expect("a field") {
                    ("id", id) => event.id = id.parse().expect("a number"),
                    ("event", name) => event.name = name.to_owned(),
                    ("data", data) => event.data = serde_json::from_str(data).expect("JSON"),
                    other => panic!("{other:?}"),
                }
            }
            return Some(event);
        }
    }

    async fn rest(&mut self) -> Vec<Event> {
        let mut events = vec![];
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn events(id: &str) -> String {
    format!("{}/events", path(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_is_told_from_the_queue_to_its_run() {
    let service = Service::start().await;
    let mut body = quick();
    body["data"] = json!(super::rows(4_000));
    body["config"] = json!({"n_estimators": 1500});
    let id = submit(&service, body).await;
    let events = Stream::open(&service, &id, None).await.rest().await;
    assert!(events.is_sorted_by(|a, b| a.id < b.id), "each change once, in order");
    let mut status = None;
    for event in &events {
        let now = event.data["status"].as_str().expect("a status");
        let name = if status == Some(now) { "progress" } else { now };
        assert_eq!((event.name.as_str(), &event.data["revision"]), (name, &json!(event.id)));
        status = Some(now);
    }
    let percents: Vec<_> =
        events.iter().map(|event| event.data["percent"].as_u64().expect("a number")).collect();
    assert!(percents.is_sorted(), "{percents:?}");
    assert!(events.iter().any(|event| event.data["rounds_done"].as_u64() > Some(0)), "{percents:?}");
    let last = events.last().expect("an event");
    assert_eq!((last.name.as_str(), &last.data), ("completed", &job(&service, &id).await));
    assert_eq!(last.data["run_id"].as_str().map(str::len), Some(32), "as the answer to who waits");
    assert_eq!(events.iter().filter(|event| event.name == "completed").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_again_gets_what_is_newer_and_nothing_twice() {
    let (service, running) = occupied(&[]).await;
    let first = Stream::open(&service, &running, None).await.next().await.expect("an event");
    assert_eq!((first.name.as_str(), &first.data["stage"]), ("training", &json!("reading")));

    // Nothing has changed: nothing is told until something does.
    let mut again = Stream::open(&service, &running, Some(&first.id.to_string())).await;
    let told = tokio::time::timeout(std::time::Duration::from_millis(300), again.next()).await;
    assert!(told.is_err(), "{told:?}");
    stop(&service, &running).await;
    let newer = again.rest().await;
    let last = newer.last().expect("an event");
    assert!(newer.iter().all(|event| event.id > first.id), "{newer:?}");
    assert_eq!((last.name.as_str(), &last.data["cancel_requested"]), ("cancelled", &json!(true)));

    // What was missed is told once, as it is now; so it is to who names an event that was none.
    for older in [first.id.to_string(), "-1".to_owned(), "x".to_owned(), String::new(), "9".repeat(30)] {
        let told = Stream::open(&service, &running, Some(&older)).await.rest().await;
        assert_eq!(told, std::slice::from_ref(last), "{older:?}");
    }
    // Who has seen the end need not come again.
    let headers = [("Last-Event-ID", &*last.id.to_string())];
    let over = request(&service, "GET", &events(&running), &headers, None).await;
    assert_eq!((over.status().as_u16(), over.text().await.expect("a body")), (204, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_in_order_when_the_service_does() {
    let service = Service::start_with(&[("WORKERS", "0"), ("SHUTDOWN_GRACE_SECONDS", "600")]).await;
    let id = submit(&service, quick()).await;
    let mut streams = vec![];
    for _ in 0..20 {
        let mut stream = Stream::open(&service, &id, None).await;
        assert_eq!(stream.next().await.expect("an event").name, "queued");
        streams.push(stream);
    }
    service.begin_shutdown();
    for mut stream in streams {
        assert_eq!(stream.next().await, None);
    }
    cancel_without_service(&service, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let service = Service::start_with(&[("WORKERS", "0")]).await;
    let id = submit(&service, quick()).await;
    let new = NewToken { user_id: "u", tenant_id: TENANT_A, email: "", role: "user", expires_in: 2 };
    let token = Tokens::new(service.config.token.clone()).mint(&new).expect("mints");
    let open = reqwest::Client::new().get(format!("{}{}", service.base, events(&id))).bearer_auth(token);
    let mut stream = Stream::read(open.send().await.expect("an answer")).await;
    let told = stream.rest().await;
    assert_eq!(told.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["queued"]);
    assert_eq!(job(&service, &id).await["status"], "queued", "and with nothing else");
    cancel(&service, &id).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_make_room_and_do_not_disturb_the_training() {
    let (service, running) = occupied(&[]).await;
    // Twice as many as a tenant may have open at a time.
    for _ in 0..4 {
        let mut open = vec![];
        for _ in 0..50 {
            open.push(Stream::open(&service, &running, None).await);
        }
        drop(open);
        // The other end is noticed a moment later.
        while request(&service, "GET", &events(&running), &[], None).await.status() == 503 {}
    }
    let mut open = vec![];
    let refused = loop {
        let response = request(&service, "GET", &events(&running), &[], None).await;
        match response.status().as_u16() {
            200 => open.push(response),
            _ => break response,
        }
        assert!(open.len() <= 100, "without a limit");
    };
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"5".parse().expect("a value"))
    );
    assert_eq!(job(&service, &running).await["status"], "training");
    stop(&service, &running).await;
}
