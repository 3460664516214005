//! `webhook.sh` and a server that fails at first.

use observer_tests::golden::Recording;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::replay_invocations;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::scripts::http::{HttpServer, Request};
use serde_json::Value;

/// A server that answers the first `failures` requests with 503, one more not at all, and then takes everything.
fn server(namespace: &Namespace, failures: usize) -> HttpServer<Vec<Request>> {
    HttpServer::start(namespace, Vec::new(), move |requests: &mut Vec<Request>, request| {
        requests.push(request.clone());
        match requests.len() {
            so_far if so_far <= failures => (503, "{}".to_owned()),
            so_far if failures > 0 && so_far == failures + 1 => (0, String::new()),
            _ => (202, "{}".to_owned()),
        }
    })
    .unwrap()
}

#[test]
fn every_call_arrives_with_all_its_variables() {
    require!(Need::Root, Need::Program("curl"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let server = server(&namespace, 0);
    let configuration = format!("WEBHOOK_URL={}/dhcp\n", server.url());
    let script = Script::install(&namespace, scratch.path(), "webhook", &configuration).unwrap();
    let capture = Recording::named("kea-v6-relay").capture();
    script.replay(&capture, &[]).unwrap();
    let expected = replay_invocations(&capture, &[]).unwrap();
    let mut requests = server.stop().unwrap();
    assert_eq!(requests.len(), expected.len());
    // Calls about different leases may overtake each other.
    for call in &expected {
        let fits = |request: &Request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let variables = body["variables"].as_object().unwrap();
            let same =
                |(name, value): &(String, String)| variables.get(name).and_then(Value::as_str) == Some(value);
            body["hook_point"] == *call.hook()
                && body["attempt"] == 1
                && call.env.iter().filter(|(name, _)| name != "OBSERVER_ATTEMPT").all(same)
                && variables.keys().all(|name| name.starts_with("OBSERVER_") || call.get(name).is_some())
        };
        let at = requests.iter().position(fits);
        let request = requests.remove(at.unwrap_or_else(|| panic!("{call:?} did not arrive")));
        assert_eq!((&*request.method, &*request.target), ("POST", "/dhcp"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let given = body["given"].as_array().unwrap();
        if call.hook() == "leases6_committed" {
            assert_eq!(call.get("LEASES6_SIZE"), Some(&*given.len().to_string()));
            assert_eq!(call.get("LEASES6_AT0_DUID"), given.first().and_then(|lease| lease["duid"].as_str()));
        }
    }
}

#[test]
fn a_server_that_fails_is_asked_again() {
    require!(Need::Root, Need::Program("curl"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let server = server(&namespace, 2);
    let headers = scratch.path().join("headers");
    std::fs::write(&headers, "Authorization: Bearer secret\n").unwrap();
    let configuration = format!(
        "WEBHOOK_URL={}/x\nWEBHOOK_DELAY=1\nWEBHOOK_HEADER_FILE={}\n",
        server.url(),
        headers.display()
    );
    let script = Script::install(&namespace, scratch.path(), "webhook", &configuration).unwrap();
    let variables = [
        ("OBSERVER_EVENT_ID", "42"),
        ("OBSERVER_ATTEMPT", "3"),
        ("LEASE4_ADDRESS", "192.0.2.1"),
        ("LEASE4_HOSTNAME", "tab\t\"quote\" ünï"),
        ("SECRET_OF_THE_OPERATOR", "x"),
    ];
    script.succeed("lease4_expire", &variables).unwrap();
    let requests = server.stop().unwrap();
    assert_eq!(requests.len(), 4, "twice 503, once no answer, once taken");
    for request in &requests {
        assert_eq!(request.header("idempotency-key"), Some("42"));
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
        assert_eq!(request.body, requests[0].body, "the same each time");
    }
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(body["event_id"], "42");
    assert_eq!(body["attempt"], 3);
    assert_eq!(body["taken"][0]["hostname"], "tab\t\"quote\" ünï");
    assert_eq!(body["variables"]["LEASE4_HOSTNAME"], "tab\t\"quote\" ünï");
    assert_eq!(body["variables"].get("SECRET_OF_THE_OPERATOR"), None);
}

#[test]
fn a_server_that_keeps_failing_is_a_failure() {
    require!(Need::Root, Need::Program("curl"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let server = server(&namespace, 100);
    let configuration = format!("WEBHOOK_URL={}/x\nWEBHOOK_DELAY=1\nWEBHOOK_RETRIES=1\n", server.url());
    let script = Script::install(&namespace, scratch.path(), "webhook", &configuration).unwrap();
    let output = script.call("lease4_expire", &[("LEASE4_ADDRESS", "192.0.2.1")]).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("503"));
    assert_eq!(server.stop().unwrap().len(), 2);
}
