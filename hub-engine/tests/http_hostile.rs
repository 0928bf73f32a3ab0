//! Known attacks on HTTP APIs of task queues: they are refused, and the Hub is not called.

mod http_support;

use std::sync::Arc;

use http_support::{DEADLINE, FakeHub, Served};
use hub_engine::http::HttpSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JOB: &str = r#"{"name":"j","tasks":[{"name":"a"}]}"#;

struct Scene {
    hub: Arc<FakeHub>,
    served: Served,
}

impl Scene {
    async fn start(token: Option<&str>) -> Self {
        let hub = Arc::new(FakeHub::default());
        let settings = HttpSettings { token: token.map(str::to_owned), ..HttpSettings::default() };
        let served = Served::start(Arc::clone(&hub) as _, settings).await;
        Self { hub, served }
    }

    /// Sends raw bytes, and returns everything until the server closes the connection.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.served.address).await.unwrap();
        let mut answer = Vec::new();
        let exchange = async {
            let _ = stream.write_all(request).await;
            let _ = stream.read_to_end(&mut answer).await;
        };
        tokio::time::timeout(DEADLINE, exchange).await.expect("the server does not close");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request whose last header is missing.
    async fn request(&self, head: &str, body: &str) -> String {
        let length = body.len();
        self.raw(format!("{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes()).await
    }

    fn was_asked(&self) -> Vec<String> {
        self.hub.take_calls()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[tokio::test]
async fn pages_of_other_sites_cannot_submit_without_preflight() {
    let scene = Scene::start(None).await;
    let port = scene.served.address.port();
    for headers in [
        "host: 127.0.0.1:PORT\r\norigin: https://example.org\r\ncontent-type: text/plain\r\n",
        "host: 127.0.0.1:PORT\r\norigin: null\r\ncontent-type: application/x-www-form-urlencoded\r\n",
        "host: 0.0.0.0:PORT\r\norigin: http://example.org\r\n",
        "host: localhost:PORT\r\norigin: http://localhost:PORT.example.org\r\n",
        "host: localhost:PORT\r\norigin: http://localhost:PORT@example.org\r\n",
        // A domain that an attacker resolves to this machine.
        "host: rebind.example.org:PORT\r\n",
        "host: rebind.example.org:PORT\r\norigin: http://rebind.example.org:PORT\r\n",
        "host: 127.0.0.1.example.org\r\n",
        "host: localhost.\u{7f}example.org\r\n",
        "host: user@127.0.0.1:PORT@example.org\r\n",
    ] {
        let head = format!("POST /api/v1/jobs HTTP/1.1\r\n{}", headers.replace("PORT", &port.to_string()));
        let answer = scene.request(&head, JOB).await;
        assert!(["400", "403"].contains(&status(&answer)), "{headers}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control-allow"), "{answer}");
    }
    let preflight = "OPTIONS /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\norigin: https://example.org\r\n\
         access-control-request-method: DELETE\r\n";
    let answer = scene.request(preflight, "").await;
    assert!(!answer.to_ascii_lowercase().contains("access-control-allow"), "{answer}");
    assert!(scene.was_asked().is_empty());
    scene.served.stop().await;
}

#[tokio::test]
async fn only_the_token_gives_access() {
    let scene = Scene::start(Some("correct-horse")).await;
    for headers in [
        "",
        "authorization: correct-horse\r\n",
        "authorization: Bearer\r\n",
        "authorization: Bearer \r\n",
        "authorization: Bearer correct-hors\r\n",
        "authorization: Bearer correct-horse2\r\n",
        "authorization: Bearer Correct-Horse\r\n",
        "authorization: Basic Y29ycmVjdC1ob3JzZQ==\r\n",
        "authorization: Bearer wrong\r\nauthorization: Bearer correct-horse\r\n",
        "cookie: token=correct-horse\r\n",
        "x-forwarded-for: 127.0.0.1\r\nx-original-url: /api/v1/health/live\r\nx-http-method-override: GET\r\n",
    ] {
        for target in
            ["/api/v1/jobs?token=correct-horse", "/api/v1/jobs", "/api/v1/workers", "http://127.0.0.1/api/v1/jobs"]
        {
            let answer = scene.request(&format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n{headers}"), "").await;
            assert_eq!(status(&answer), "401", "{target} {headers}: {answer}");
        }
    }
    for target in ["//api/v1/jobs", "/api/v1/health/live/../../jobs", "/api/v1/health/live/%2e%2e/jobs", "/API/V1/JOBS"]
    {
        let answer = scene.request(&format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n"), "").await;
        assert_eq!(status(&answer), "404", "{target}: {answer}");
    }
    assert!(scene.was_asked().is_empty());
    scene.served.stop().await;
}

#[tokio::test]
async fn unusual_paths_and_queries_are_refused() {
    let scene = Scene::start(None).await;
    for target in [
        "/api/v1/jobs/../../../etc/passwd",
        "/api/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/v1/jobs/%00",
        "/api/v1/jobs/%ff",
        "/api/v1/jobs/1'%20OR%20'1'='1",
        "/api/v1/jobs?limit=-1",
        "/api/v1/jobs?limit=1e9",
        "/api/v1/jobs?status=%3Cscript%3Ealert(1)%3C/script%3E",
        "/api/v1/jobs/693eb630-e77d-11f1-b11f-02fc00000001?wait=-1",
        "/api/v1/jobs/693eb630-e77d-11f1-b11f-02fc00000001?wait=NaN",
        "/api/v1/jobs/693eb630-e77d-11f1-b11f-02fc00000001?wait=1e300",
    ] {
        let answer = scene.request(&format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n"), "").await;
        assert!(["400", "404"].contains(&status(&answer)), "{target}: {answer}");
        assert!(answer.contains("content-type: application/json"), "nothing that a browser would run: {answer}");
    }
    assert!(scene.was_asked().is_empty());
    scene.served.stop().await;
}

#[tokio::test]
async fn request_smuggling_is_refused() {
    let scene = Scene::start(None).await;
    let hidden = "POST /api/v1/jobs/693eb630-e77d-11f1-b11f-02fc00000001/cancel HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for head in [
        "content-length: 0\r\ncontent-length: 100\r\n",
        "content-length: 0, 100\r\n",
        "content-length: +0\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "content-length : 0\r\n",
        "content-length: 0\r\n folded: 1\r\n",
    ] {
        let request = format!("POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\n{head}\r\n{hidden}");
        let answer = scene.raw(request.as_bytes()).await;
        assert!(answer.is_empty() || status(&answer).starts_with('4'), "{head}: {answer}");
        assert_eq!(scene.was_asked(), Vec::<String>::new(), "{head}");
    }
    scene.served.stop().await;
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    let scene = Scene::start(None).await;
    let mut request =
        b"POST /api/v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-encoding: gzip\r\n\
        content-length: 14\r\n\r\n"
            .to_vec();
    request.extend_from_slice(b"\x1f\x8b\x08\0\0\0\0\0\0\x03ABCD");
    let answer = scene.raw(&request).await;
    assert_eq!(status(&answer), "422", "{answer}");
    assert!(scene.was_asked().is_empty());
    scene.served.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let scene = Scene::start(None).await;
    let one = "GET /api/v1/workers HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50);
    let last = "GET /api/v1/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answers = scene.raw(format!("{one}{last}").as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 51);
    let asked = scene.was_asked();
    assert_eq!((asked.len(), asked.last().map(String::as_str)), (51, Some("health")));
    scene.served.stop().await;
}
