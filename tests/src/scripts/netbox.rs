//! As much of NetBox's REST API as a script for leases needs: addresses and prefixes, with state.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::netns::Namespace;
use crate::scripts::http::{Answer, HttpServer, Request};

/// The token that it wants to see.
pub const TOKEN: &str = "0123456789abcdef";

/// What is in it, and who asked for what.
#[derive(Debug, Default)]
pub struct Netbox {
    /// Objects by path (`ip-addresses`, `prefixes`) and number.
    pub objects: BTreeMap<(String, u64), Map<String, Value>>,
    /// Requests that changed something: method, path.
    pub changes: Vec<String>,
    last: u64,
}

impl Netbox {
    /// Starts one that holds this address, which nobody tagged.
    pub fn start(namespace: &Namespace, taken: &str) -> Result<HttpServer<Self>> {
        let mut netbox = Self::default();
        let object =
            json!({ "address": taken, "status": "active", "tags": [], "description": "the printer" });
        netbox.add("ip-addresses", object);
        HttpServer::start(namespace, netbox, Self::answer)
    }

    /// The values of a member of all objects of a kind, with the description.
    pub fn list(&self, kind: &str, member: &str) -> Vec<String> {
        let text = |object: &Map<String, Value>, member: &str| {
            object.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut list: Vec<String> = self
            .objects
            .iter()
            .filter(|((found, _), _)| found == kind)
            .map(|(_, object)| {
                format!(
                    "{} {} {}",
                    text(object, member),
                    text(object, "dns_name"),
                    text(object, "description")
                )
            })
            .collect();
        list.sort();
        list
    }

    fn add(&mut self, kind: &str, object: Value) -> Value {
        self.last += 1;
        let mut object = object.as_object().cloned().unwrap_or_default();
        object.insert("id".to_owned(), json!(self.last));
        self.objects.insert((kind.to_owned(), self.last), object.clone());
        Value::Object(object)
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if request.header("authorization") != Some(&format!("Token {TOKEN}")) {
            return (403, json!({ "detail": "Invalid token" }).to_string());
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let Some(path) = path.strip_prefix("/api/ipam/") else { return (404, "{}".to_owned()) };
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        if request.method != "GET" {
            self.changes.push(format!("{} {path}", request.method));
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method.as_str(), &parts[..]) {
            ("GET", [kind]) => {
                // An address is found under any mask, a prefix by all of it.
                let Some((key, wanted)) = query.split_once('=') else { return (400, "{}".to_owned()) };
                let is_wanted = |object: &Map<String, Value>| {
                    let value = object.get(key).and_then(Value::as_str).unwrap_or_default();
                    value == wanted || (key == "address" && value.split('/').next() == Some(wanted))
                };
                let results: Vec<&Map<String, Value>> = self
                    .objects
                    .iter()
                    .filter(|((found, _), object)| found == kind && is_wanted(object))
                    .map(|(_, object)| object)
                    .collect();
                (200, json!({ "count": results.len(), "next": null, "results": results }).to_string())
            }
            ("POST", [kind]) if body.is_object() => (201, self.add(kind, body).to_string()),
            ("PATCH", [kind, id]) if body.is_object() => {
                let id = id.parse().unwrap_or_default();
                let Some(object) = self.objects.get_mut(&((*kind).to_owned(), id)) else {
                    return (404, "{}".to_owned());
                };
                object.extend(body.as_object().cloned().unwrap_or_default());
                (200, json!(object).to_string())
            }
            ("DELETE", [kind, id]) => {
                let id = id.parse().unwrap_or_default();
                let found = self.objects.remove(&((*kind).to_owned(), id));
                (if found.is_some() { 204 } else { 404 }, String::new())
            }
            _ => (400, json!({ "detail": "bad request" }).to_string()),
        }
    }
}
