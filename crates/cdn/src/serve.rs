//! One answer out of a whole thing: conditions, and a part of it (RFC 9110, 13 and 14).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::origin::Content;

/// What a 304 has of the thing's headers.
const OF_304: [HeaderName; 6] = [
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::VARY,
];

/// `asked` are the client's headers, `headers` the thing's.
pub(crate) fn serve(
    method: &Method,
    asked: &HeaderMap,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response<Content> {
    match condition(asked, headers) {
        Condition::Go => {}
        Condition::Unchanged => {
            let mut response = Response::new(Content::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            for name in OF_304.iter().chain([&header::LAST_MODIFIED]) {
                for value in headers.get_all(name) {
                    response.headers_mut().append(name, value.clone());
                }
            }
            return response;
        }
        Condition::Failed => {
            let mut response = Response::new(Content::Empty);
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return response;
        }
    }
    let length = body.len();
    let mut response = Response::new(Content::Empty);
    *response.headers_mut() = headers.clone();
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let part = match range(asked, headers, length) {
        Part::Whole => body.clone(),
        Part::Of(from, to) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {from}-{to}/{length}"));
            body.slice(from..=to)
        }
        Part::None => {
            let mut response = Response::new(Content::Empty);
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
    };
    set(&mut response, header::CONTENT_LENGTH, &part.len().to_string());
    if method != Method::HEAD {
        *response.body_mut() = Content::Full(part);
    }
    response
}

fn set(response: &mut Response<Content>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

enum Condition {
    Go,
    Unchanged,
    Failed,
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

/// Whether one of the tags listed is the thing's.
fn tagged(list: &str, etag: Option<&str>) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    list.trim() == "*" || etag.is_some_and(|etag| list.split(',').any(|tag| bare(tag) == bare(etag)))
}

fn condition(asked: &HeaderMap, headers: &HeaderMap) -> Condition {
    let etag = text(headers, header::ETAG);
    let modified = date(headers, header::LAST_MODIFIED);
    if let Some(list) = text(asked, header::IF_MATCH) {
        if !tagged(list, etag) {
            return Condition::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date(asked, header::IF_UNMODIFIED_SINCE), modified)
        && modified > since
    {
        return Condition::Failed;
    }
    let unchanged = match text(asked, header::IF_NONE_MATCH) {
        Some(list) => tagged(list, etag),
        None => date(asked, header::IF_MODIFIED_SINCE)
            .zip(modified)
            .is_some_and(|(since, modified)| modified <= since),
    };
    if unchanged { Condition::Unchanged } else { Condition::Go }
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// Both included.
    Of(usize, usize),
    None,
}

/// Several parts at once are answered with the whole, which a server may.
fn range(asked: &HeaderMap, headers: &HeaderMap, length: usize) -> Part {
    let Some(wanted) = text(asked, header::RANGE) else { return Part::Whole };
    if let Some(only_if) = text(asked, header::IF_RANGE)
        && Some(only_if) != text(headers, header::ETAG)
        && Some(only_if) != text(headers, header::LAST_MODIFIED)
    {
        return Part::Whole;
    }
    let Some((from, to)) = wanted.trim().strip_prefix("bytes=").and_then(|spec| spec.split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| text.trim().parse::<usize>().ok();
    match (from.trim(), to.trim()) {
        ("", last) => match number(last) {
            None => Part::Whole,
            Some(0) => Part::None,
            Some(_) if length == 0 => Part::None,
            Some(last) => Part::Of(length.saturating_sub(last), length - 1),
        },
        (from, to) => {
            let to = if to.is_empty() { Some(usize::MAX) } else { number(to) };
            match (number(from), to) {
                (Some(from), Some(to)) if from > to => Part::Whole,
                (Some(from), Some(_)) if from >= length => Part::None,
                (Some(from), Some(to)) => Part::Of(from, to.min(length - 1)),
                _ => Part::Whole,
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn answer(method: &Method, asked: &[(&'static str, &str)]) -> (u16, String, String) {
        let thing = headers(&[
            ("etag", "\"e\""),
            ("last-modified", "Fri, 27 Nov 2026 05:00:00 GMT"),
            ("content-length", "10"),
        ]);
        let response = serve(method, &headers(asked), &thing, &Bytes::from_static(b"0123456789"));
        let shown =
            |name: &str| response.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
        let line = format!("{} {}", shown("content-length"), shown("content-range"));
        let status = response.status().as_u16();
        let body = match response.into_body() {
            Content::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        };
        (status, line, body)
    }

    #[test]
    fn a_part_is_cut_out() {
        let get = |wanted| answer(&Method::GET, &[("range", wanted)]);
        assert_eq!(get("bytes=2-4"), (206, "3 bytes 2-4/10".into(), "234".into()));
        assert_eq!(get("bytes=8-"), (206, "2 bytes 8-9/10".into(), "89".into()));
        assert_eq!(get("bytes=-3"), (206, "3 bytes 7-9/10".into(), "789".into()));
        assert_eq!(get("bytes=-30").2, "0123456789");
        for odd in ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x-"] {
            assert_eq!(get(odd), (200, "10 -".into(), "0123456789".into()), "{odd}");
        }
        for none in ["bytes=10-", "bytes=-0"] {
            assert_eq!(get(none), (416, "- bytes */10".into(), String::new()), "{none}");
        }
        let if_range = |tag| answer(&Method::GET, &[("range", "bytes=0-0"), ("if-range", tag)]).0;
        assert_eq!((if_range("\"e\""), if_range("\"f\"")), (206, 200));
        assert_eq!(
            answer(&Method::HEAD, &[("range", "bytes=2-4")]),
            (206, "3 bytes 2-4/10".into(), String::new())
        );
    }

    #[test]
    fn conditions_are_looked_at_first() {
        let get = |name, value| answer(&Method::GET, &[(name, value), ("range", "bytes=0-0")]).0;
        assert_eq!(get("if-none-match", "\"x\", W/\"e\""), 304);
        assert_eq!(get("if-none-match", "\"x\""), 206);
        assert_eq!(get("if-modified-since", "Fri, 27 Nov 2026 05:00:00 GMT"), 304);
        assert_eq!(get("if-modified-since", "Fri, 27 Nov 2026 04:59:59 GMT"), 206);
        assert_eq!(get("if-match", "*"), 206);
        assert_eq!(get("if-match", "\"x\""), 412);
        assert_eq!(get("if-unmodified-since", "Fri, 27 Nov 2026 04:59:59 GMT"), 412);
    }
}
