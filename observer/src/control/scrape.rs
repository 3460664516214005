//! The HTTP that Prometheus scrapes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::debug;

use super::doors::{Door, Unserved};
use super::{Question, ask};
use crate::status::metrics;

/// How long a scraper may take for its headers, and for an answer when its connection is to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one connection may last, however it is used.
const LONGEST: Duration = Duration::from_secs(60);
/// How many connections there may be at once.
const PEERS: usize = 8;

/// Listens for scrapers.
///
/// # Errors
///
/// When the address cannot be had.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("metrics cannot be served at {address}"))?;
    listener.set_nonblocking(true).with_context(|| format!("metrics at {address}"))?;
    Ok(listener)
}

/// Answers scrapes until the other end of `questions` is gone. `door` counts those that it does not, or not at once.
///
/// # Errors
///
/// When the runtime cannot wait for the socket.
pub async fn serve(
    listener: std::net::TcpListener,
    questions: mpsc::Sender<Question>,
    door: Door,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(PEERS));
    loop {
        let stream = tokio::select! {
            () = questions.closed() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    debug!("metrics: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Some(place) = door.enter(&places).await else { return Ok(()) };
        let (questions, door) = (questions.clone(), door.clone());
        tokio::spawn(async move {
            serve_one(stream, &questions, &door).await;
            drop(place);
        });
    }
}

async fn serve_one(stream: TcpStream, questions: &mpsc::Sender<Question>, door: &Door) {
    let was_asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        was_asked.store(true, Ordering::Relaxed);
        respond(request, questions, door)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = match timeout(LONGEST, connection.as_mut()).await {
        Ok(ended) => Some(ended),
        // What is being answered is answered, and then it ends.
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            timeout(PATIENCE, connection).await.ok()
        }
    };
    match ended {
        None => door.count(Unserved::TooSlow),
        // A scraper that keeps its connection for the next time has had its answer.
        Some(Err(error)) if error.is_timeout() && !was_asked.load(Ordering::Relaxed) => {
            door.count(Unserved::TooSlow);
        }
        Some(Err(error)) if error.is_parse() => door.count(Unserved::BadRequest),
        Some(Err(error)) => debug!("metrics: {error}"),
        Some(Ok(())) => {}
    }
}

async fn respond(
    request: Request<Incoming>,
    questions: &mpsc::Sender<Question>,
    door: &Door,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let plain = |status: StatusCode, text: &'static str| {
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        door.count(Unserved::BadRequest);
        return Ok(plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n"));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        door.count(Unserved::BadRequest);
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET\n");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let Some(status) = ask(questions).await else {
        return Ok(plain(StatusCode::SERVICE_UNAVAILABLE, "the observer is stopping\n"));
    };
    let mut response = Response::new(Full::new(Bytes::from(metrics::render(status))));
    let content_type = hyper::header::HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}
