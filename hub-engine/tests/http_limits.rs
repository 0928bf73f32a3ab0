//! Clients that read no answers or send no requests cannot block the HTTP API.

mod http_support;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_support::{DEADLINE, FakeHub, Served, answer, client};
use hub_engine::http::{HttpLimits, HttpSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "correct-horse";
/// A request whose unread answers fill all buffers when it is repeated.
const DOCUMENT: &str = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn settings(limits: HttpLimits) -> HttpSettings {
    HttpSettings { token: Some(TOKEN.to_owned()), limits, ..HttpSettings::default() }
}

/// A client that reads no answers.
async fn slow_reader(served: &Served) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(served.address).await.unwrap();
    // Sends until the server stops reading because its answers are not read.
    let requests = DOCUMENT.repeat(200);
    let _ = tokio::time::timeout(Duration::from_millis(1), stream.write_all(requests.as_bytes())).await;
    stream
}

/// Sends `text` and reads everything until the server closes the connection.
async fn exchange(served: &Served, text: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(served.address).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Waits until the server closes the connection.
async fn is_ended(mut stream: TcpStream) {
    let reading = async {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
    };
    tokio::time::timeout(DEADLINE, reading).await.expect("the server does not end the connection");
}

#[tokio::test]
async fn slow_readers_without_a_token_do_not_block_others() {
    let limits = HttpLimits { connections: 24, connections_per_peer: 24, reserve: 4, ..HttpLimits::default() };
    let served = Served::start(Arc::new(FakeHub::default()), settings(limits)).await;
    let mut readers = Vec::new();
    for _ in 0..24 {
        readers.push(slow_reader(&served).await);
    }
    let client = client();
    for path in ["/api/v1/health/live", "/api/v1/workers", "/api/v1/jobs"] {
        let (status, _) = answer(client.get(served.url(path)).bearer_auth(TOKEN)).await;
        assert_eq!(status, 200, "{path}");
    }
    drop(readers);
    served.stop().await;
}

#[tokio::test]
async fn with_all_connections_busy_health_is_answered_and_others_must_retry() {
    let hub = FakeHub { ended: Some(CancellationToken::new()), ..FakeHub::default() };
    let ended = hub.ended.clone().unwrap();
    let limits = HttpLimits { connections: 4, connections_per_peer: 4, reserve: 2, ..HttpLimits::default() };
    let hub = Arc::new(hub);
    let served = Served::start(Arc::clone(&hub) as _, settings(limits)).await;
    let wait = format!("/api/v1/jobs/{}?wait=60", http_support::some_id());
    let waiting: Vec<_> =
        (0..4).map(|_| tokio::spawn(answer(client().get(served.url(&wait)).bearer_auth(TOKEN)))).collect();
    while hub.calls.lock().unwrap().len() < 4 {
        tokio::task::yield_now().await;
    }
    // Silent connections occupy the reserve.
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    for _ in 0..5 {
        let (status, body) = answer(client().get(served.url("/api/v1/health/ready")).bearer_auth(TOKEN)).await;
        assert_eq!((status, &body["broker"]), (200, &"up".into()));
    }
    let refused = client().get(served.url("/api/v1/jobs")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"2".parse().unwrap()));
    assert!(refused.text().await.unwrap().contains("try again"));
    ended.cancel();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().0, 200, "none of these was ended for another");
    }
    let (status, _) = answer(client().get(served.url("/api/v1/jobs")).bearer_auth(TOKEN)).await;
    assert_eq!(status, 200);
    served.stop().await;
}

#[tokio::test]
async fn a_peer_beyond_its_share_does_not_delay_others() {
    for waiting in [64, 1] {
        let hub = Arc::new(FakeHub { ended: Some(CancellationToken::new()), ..FakeHub::default() });
        let limits =
            HttpLimits { connections: 8, connections_per_peer: 2, reserve: 1, waiting, ..HttpLimits::default() };
        let served = Served::start(Arc::clone(&hub) as _, HttpSettings { limits, ..HttpSettings::default() }).await;
        let wait = format!("/api/v1/jobs/{}?wait=60", http_support::some_id());
        let busy: Vec<_> = (0..2).map(|_| tokio::spawn(answer(client().get(served.url(&wait))))).collect();
        while hub.calls.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        let mut flood = Vec::new();
        for _ in 0..30 {
            flood.push(TcpStream::connect(served.address).await.unwrap());
        }
        let begun = Instant::now();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(served.address).await.unwrap();
        let request = "GET /api/v1/workers HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        other.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(10), "with {waiting} waiting: {:?}", begun.elapsed());
        if waiting == 1 {
            is_ended(flood.remove(2)).await;
        }
        hub.ended.as_ref().unwrap().cancel();
        for busy in busy {
            assert_eq!(busy.await.unwrap().0, 200);
        }
        served.stop().await;
    }
}

#[tokio::test]
async fn every_request_beyond_the_limit_must_retry() {
    let hub = Arc::new(FakeHub { ended: Some(CancellationToken::new()), ..FakeHub::default() });
    let ended = hub.ended.clone().unwrap();
    let limits = HttpLimits { connections: 6, connections_per_peer: 6, reserve: 2, ..HttpLimits::default() };
    let served = Arc::new(Served::start(hub, HttpSettings { limits, ..HttpSettings::default() }).await);
    // Large enough that the server has not read all of it when it answers.
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(500_000));
    let length = body.len();
    let request = format!(
        "POST /api/v1/jobs?wait=60 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let (served, request) = (Arc::clone(&served), request.clone());
        asking.spawn(async move { exchange(&served, &request).await });
    }
    let mut statuses = Vec::new();
    while let Some(answer) = tokio::time::timeout(DEADLINE, asking.join_next()).await.expect("one has no answer") {
        let answer = answer.unwrap().unwrap();
        let status = answer.split(' ').nth(1).unwrap_or("none").to_owned();
        assert_eq!(status == "503", answer.contains("retry-after: 2"), "{answer}");
        statuses.push(status);
        // All except the waiting ones.
        if statuses.len() == 54 {
            ended.cancel();
        }
    }
    let count = |status: &str| statuses.iter().filter(|one| *one == status).count();
    assert_eq!((count("503"), count("201")), (54, 6), "{statuses:?}");
    Arc::into_inner(served).unwrap().stop().await;
}

#[tokio::test]
async fn a_client_that_reads_no_answer_is_disconnected() {
    let limits = HttpLimits { write_patience: Duration::from_millis(100), ..HttpLimits::default() };
    let served = Served::start(Arc::new(FakeHub::default()), settings(limits)).await;
    let mut reader = slow_reader(&served).await;
    // The server has closed the connection when further bytes are refused.
    let refused = async { while reader.write_all(DOCUMENT.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, refused).await.expect("a reader that takes nothing is kept");
    served.stop().await;
}

#[tokio::test]
async fn a_missing_body_releases_its_connection() {
    let limits = HttpLimits { connections: 2, connections_per_peer: 2, reserve: 1, ..HttpLimits::default() };
    let hub = Arc::new(FakeHub::default());
    let served = Served::start(hub, HttpSettings { limits, ..HttpSettings::default() }).await;
    let mut uploads = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let head =
            "POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server waits for the body now.
        let mut go_on = [0; 12];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100");
        uploads.push(stream);
    }
    let (status, _) = answer(client().get(served.url("/api/v1/workers"))).await;
    assert_eq!(status, 200);
    is_ended(uploads.remove(0)).await;
    served.stop().await;
}

#[tokio::test]
async fn heads_have_a_limit() {
    let served = Served::start(Arc::new(FakeHub::default()), HttpSettings::default()).await;
    let long = format!("GET /api/v1/health HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "x".repeat(300_000));
    let many = format!("GET /api/v1/health HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(200));
    for head in [long, many] {
        // The server answers and closes the connection before it has read everything.
        let answer = exchange(&served, &head).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let (status, _) = answer(client().get(served.url("/api/v1/health"))).await;
    assert_eq!(status, 200);
    served.stop().await;
}
