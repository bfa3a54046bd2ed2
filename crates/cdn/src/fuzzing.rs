//! Parsers as functions of any bytes, for `scripts/fuzz`.

use crate::place::Place;

/// A URL: what it leads to is asked of a bucket by a path that leads there too.
pub fn place(bytes: &[u8]) {
    let Ok(url) = std::str::from_utf8(bytes) else { return };
    let Ok(place) = Place::read(url) else { return };
    let target = place.target();
    let (path, query) =
        target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    assert_eq!(Place::of(&place.domain, path, query), place);
    assert!(format!("http://{}{target}", place.domain).parse::<http::Uri>().is_ok() || place.query.is_some());
}

#[cfg(test)]
mod tests {
    #[test]
    fn some_urls() {
        for url in [
            "http://a.b/%e4%BD?x=%20#y",
            "https://a.b:443",
            "http://a.b?x",
            "ftp://a.b/",
            "http://a.b/\u{4f60}",
        ] {
            super::place(url.as_bytes());
        }
    }
}
