use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use tokio::sync::mpsc;

use super::server::Control;
use super::{Doors, Question, client, scrape};
use crate::status::Status;

/// A directory of this test's own that goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dhcp-observer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Answers questions as the owner of all state does, while `asking` runs beside.
fn while_serving<T: Send + 'static>(
    serve: impl AsyncFnOnce(mpsc::Sender<Question>) -> std::io::Result<()>,
    asking: impl FnOnce() -> T + Send + 'static,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut questions) = mpsc::channel::<Question>(4);
        let owner = async {
            while let Some(Question { reply }) = questions.recv().await {
                let mut status = Status { version: "test".into(), ..Status::default() };
                status.add("events", "commit", 42);
                let _ = reply.send(status);
            }
        };
        let asked = tokio::task::spawn_blocking(asking);
        tokio::select! {
            asked = asked => asked.unwrap(),
            served = serve(sender) => panic!("served no longer: {served:?}"),
            () = owner => panic!("nobody asks any more"),
        }
    })
}

#[test]
fn status_goes_over_the_socket_and_the_socket_goes_with_its_owner() {
    let directory = Directory::new("control");
    let path = directory.0.join("sub/control");
    let control = Control::bind(&path, None).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let second = Control::bind(&path, None).unwrap_err().to_string();
    assert!(second.contains("another observer answers there"), "{second}");
    let (socket, doors) = (path.clone(), Doors::default());
    let door = doors.control.clone();
    let status = while_serving(
        async |sender| control.serve(sender, door.clone()).await,
        move || {
            // A second peer that says nothing, and one that talks nonsense, are in nobody's way.
            let _silent = UnixStream::connect(&socket).unwrap();
            let mut odd = UnixStream::connect(&socket).unwrap();
            odd.write_all(b"{\"verb\":\"format_disk\"}\n").unwrap();
            let mut said = String::new();
            odd.read_to_string(&mut said).unwrap();
            assert!(said.contains("no question"), "{said}");
            client::status(&socket).unwrap()
        },
    );
    assert_eq!(status.counts["events"]["commit"], 42);
    let counted: Vec<_> = doors.named().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [("control_bad_request", 1)], "whoever is silent still has time");
    assert!(!path.exists());
    let gone = client::status(&path).unwrap_err().to_string();
    assert!(gone.contains("no observer runs here"), "{gone}");
}

#[test]
fn what_is_no_socket_stays_and_what_nobody_answers_is_replaced() {
    let directory = Directory::new("control-file");
    let path = directory.0.join("control");
    std::fs::write(&path, "precious").unwrap();
    let error = Control::bind(&path, None).unwrap_err().to_string();
    assert!(error.contains("there is something else"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    Control::bind(&path, None).unwrap();
}

#[test]
fn prometheus_is_answered_in_http() {
    let listener = scrape::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let doors = Doors::default();
    let door = doors.metrics.clone();
    let (metrics, other, odd) = while_serving(
        async |sender| scrape::serve(listener, sender, door.clone()).await,
        move || {
            let get = move |line: &'static str| {
                let mut stream = TcpStream::connect(address).unwrap();
                write!(stream, "{line}\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                text
            };
            let first = thread::spawn(move || get("GET /metrics HTTP/1.1"));
            (first.join().unwrap(), get("POST /metrics HTTP/1.1"), get("no HTTP at all"))
        },
    );
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(metrics.contains("dhcp_observer_events_total{event=\"commit\"} 42"), "{metrics}");
    assert!(other.starts_with("HTTP/1.1 405"), "{other}");
    assert!(odd.starts_with("HTTP/1.1 400"), "{odd}");
    let counted: Vec<_> = doors.named().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [("metrics_bad_request", 2)]);
}
