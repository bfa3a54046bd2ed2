//! What a function that takes events is told of a request to its URL: as the service's gateway did it, with fewer
//! members (scf.md 6.7, 8.1). Test events of the type `http` are made here too.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// A request to a URL.
pub struct Asked<'a> {
    pub method: &'a str,
    /// As it was sent, percent signs and all, from its first slash on.
    pub path: &'a str,
    /// The same; empty for none.
    pub query: &'a str,
    /// Names in small letters, and values that came apart joined by commas.
    pub headers: Vec<(&'a str, String)>,
    pub peer: IpAddr,
    /// `None` where only what is kept of the request is wanted.
    pub body: Option<&'a [u8]>,
}

impl Asked<'_> {
    pub fn event(&self) -> Value {
        let mut headers: Map<String, Value> = Map::new();
        for (name, value) in &self.headers {
            headers.insert((*name).to_owned(), value.as_str().into());
        }
        headers.insert("x-scf-remote-addr".to_owned(), self.peer.to_string().into());
        let mut event = json!({
            "headers": headers,
            "httpMethod": self.method,
            "path": percent_decode_str(self.path).decode_utf8_lossy(),
            "queryString": query(self.query),
        });
        match self.body.map(|body| (std::str::from_utf8(body), body)) {
            None => {}
            Some((Ok(text), _)) => event["body"] = text.into(),
            Some((Err(_), body)) => {
                event["body"] = STANDARD.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
        event
    }
}

/// Of several values of a name, all with commas.
fn query(text: &str) -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let (name, value) = (plain(name), plain(value));
        let value = match all.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        all.insert(name, value.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn queries() {
        let all = query("a=1&b=x%20y+z&a=2&c&=d");
        assert_eq!(Value::Object(all), json!({"a": "1,2", "b": "x y z", "c": "", "": "d"}));
    }

    #[test]
    fn bodies() {
        let with = |body| {
            let peer = Ipv4Addr::LOCALHOST.into();
            Asked { method: "PUT", path: "/a%20b", query: "", headers: Vec::new(), peer, body }.event()
        };
        let plain = json!({
            "headers": {"x-scf-remote-addr": "127.0.0.1"},
            "httpMethod": "PUT",
            "path": "/a b",
            "queryString": {},
        });
        assert_eq!(with(None), plain);
        let text = with(Some("é".as_bytes()));
        assert_eq!((&text["body"], &text["isBase64Encoded"]), (&json!("é"), &Value::Null));
        let other = with(Some(&[0xff]));
        assert_eq!((&other["body"], &other["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
    }
}
