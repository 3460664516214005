//! A small HTTP server in a namespace.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nix::sys::socket::{Shutdown, shutdown};

use crate::netns::Namespace;

/// What a client sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// The header's lines: names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// A status and a body of JSON; the empty status 0 closes the connection without a word.
pub type Answer = (u16, String);

/// The server, on its own thread, with its state. It ends when dropped.
#[derive(Debug)]
pub struct HttpServer<S> {
    listener: TcpListener,
    thread: Option<JoinHandle<S>>,
    port: u16,
}

impl<S: Send + 'static> HttpServer<S> {
    /// Starts one on 127.0.0.1. `answer` gets every request, one after the other.
    pub fn start(
        namespace: &Namespace,
        mut state: S,
        mut answer: impl FnMut(&mut S, &Request) -> Answer + Send + 'static,
    ) -> Result<Self> {
        let listener = namespace.run(|| TcpListener::bind("127.0.0.1:0").context("cannot listen"))?;
        let port = listener.local_addr()?.port();
        let accepting = listener.try_clone()?;
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                // A client that goes away in the middle is its own problem.
                let _ = serve(&stream, |request| answer(&mut state, request));
            }
            state
        });
        Ok(Self { listener, thread: Some(thread), port })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it and returns its state.
    pub fn stop(mut self) -> Result<S> {
        self.close();
        let thread = self.thread.take().context("it has ended before")?;
        thread.join().map_err(|_| anyhow::anyhow!("the server panicked"))
    }
}

impl<S> HttpServer<S> {
    fn close(&self) {
        // It wakes up whoever accepts. It fails only when it has been done before.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
    }
}

impl<S> Drop for HttpServer<S> {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(stream: &TcpStream, answer: impl FnOnce(&Request) -> Answer) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().context("no method")?, words.next().context("no target")?);
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length: usize = request.header("content-length").unwrap_or("0").parse()?;
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    let (status, body) = answer(&request);
    if status == 0 {
        return Ok(());
    }
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}
