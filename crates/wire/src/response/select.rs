//! The answer to a query: messages of the event stream, framed as both services document them
//! (cos-api 3.6): `u32 total, u32 headers, u32 CRC-32 of these, headers, payload, u32 CRC-32 of all before`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use cosette_model::op::{Scanned, SelectEvent, SelectEvents, reply};
use cosette_model::{BodyError, Error};
use crc_fast::CrcAlgorithm::Crc32IsoHdlc;
use futures_core::Stream;
use http::header::CONTENT_TYPE;

use super::Answer;
use crate::ReplyBody;

/// Lengths and checksums around headers and payload.
const FRAME_BYTES: usize = 16;
/// The type of a header's value that is text.
const TEXT: u8 = 7;

impl Answer<'_> {
    pub(super) fn select(&mut self, r: reply::SelectObjectContent) {
        self.name(CONTENT_TYPE, "application/octet-stream");
        let stream = Messages { events: Some(r.events), cos: self.is_cos() };
        *self.response.body_mut() = ReplyBody::Events(Box::pin(stream));
    }
}

struct Messages {
    /// Until the last one.
    events: Option<SelectEvents>,
    cos: bool,
}

impl Stream for Messages {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        let next = ready!(events.as_mut().poll_next(cx));
        let message = match next {
            Some(Ok(event)) => {
                if event == SelectEvent::End {
                    self.events = None;
                }
                Ok(of_event(&event))
            }
            Some(Err(error)) => {
                self.events = None;
                Ok(of_error(&error, self.cos))
            }
            // Nothing but an end ends an answer.
            None => {
                self.events = None;
                Err(BodyError::Incomplete)
            }
        };
        Poll::Ready(Some(message))
    }
}

fn of_event(event: &SelectEvent) -> Bytes {
    const EVENT: (&str, &str) = (":message-type", "event");
    let typed = |name, content, payload: &[u8]| {
        frame(&[(":event-type", name), (":content-type", content), EVENT], payload)
    };
    match event {
        SelectEvent::Records(bytes) => typed("Records", "application/octet-stream", bytes),
        SelectEvent::Continuation => frame(&[(":event-type", "Cont"), EVENT], b""),
        SelectEvent::Progress(scanned) => {
            typed("Progress", "text/xml", document("Progress", scanned).as_bytes())
        }
        SelectEvent::Stats(scanned) => typed("Stats", "text/xml", document("Stats", scanned).as_bytes()),
        SelectEvent::End => frame(&[(":event-type", "End"), EVENT], b""),
    }
}

fn document(root: &str, scanned: &Scanned) -> String {
    let Scanned { scanned, processed, returned } = scanned;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{root}><BytesScanned>{scanned}</BytesScanned>\
         <BytesProcessed>{processed}</BytesProcessed><BytesReturned>{returned}</BytesReturned></{root}>"
    )
}

fn of_error(error: &Error, cos: bool) -> Bytes {
    let code = if cos { error.code.cos() } else { error.code.s3() };
    frame(&[(":error-code", code), (":error-message", error.message()), (":message-type", "error")], b"")
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = BytesMut::new();
    for (name, value) in headers {
        // Names are ours; a message of more than 64 KiB says nothing more.
        let mut end = value.len().min(usize::from(u16::MAX));
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        head.put_u8(name.len() as u8);
        head.put_slice(name.as_bytes());
        head.put_u8(TEXT);
        head.put_u16(end as u16);
        head.put_slice(&value.as_bytes()[..end]);
    }
    let total = FRAME_BYTES + head.len() + payload.len();
    let mut out = BytesMut::with_capacity(total);
    out.put_u32(total as u32);
    out.put_u32(head.len() as u32);
    out.put_u32(crc32(&out));
    out.put_slice(&head);
    out.put_slice(payload);
    out.put_u32(crc32(&out));
    out.freeze()
}

fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(Crc32IsoHdlc, bytes) as u32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cosette_model::ErrorCode;

    use super::*;
    use crate::testing::Noise;

    /// As a client reads it: headers and payload, every length and checksum held against the bytes.
    fn read(message: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
        let number = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
        let (total, head) = (number(0) as usize, number(4) as usize);
        assert_eq!(total, message.len());
        assert_eq!(number(8), crc32(&message[..8]));
        assert_eq!(number(total - 4), crc32(&message[..total - 4]));
        let mut headers = Vec::new();
        let mut rest = &message[12..12 + head];
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        while !rest.is_empty() {
            let name = usize::from(rest[0]);
            assert_eq!(rest[1 + name], TEXT);
            let length = usize::from(u16::from_be_bytes([rest[2 + name], rest[3 + name]]));
            let value = &rest[4 + name..4 + name + length];
            headers.push((text(&rest[1..1 + name]), text(value)));
            rest = &rest[4 + name + length..];
        }
        (headers, message[12 + head..total - 4].to_vec())
    }

    #[test]
    fn messages() {
        // The known value of the CRC-32 that both services name.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let scanned = Scanned { scanned: 512, processed: 1024, returned: 7 };
        for (event, kind, payload) in [
            (SelectEvent::Records(Bytes::from_static(b"a,b\n")), "Records", "a,b\n"),
            (SelectEvent::Continuation, "Cont", ""),
            (
                SelectEvent::Stats(scanned),
                "Stats",
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Stats><BytesScanned>512</BytesScanned>\
                 <BytesProcessed>1024</BytesProcessed><BytesReturned>7</BytesReturned></Stats>",
            ),
            (SelectEvent::End, "End", ""),
        ] {
            let (headers, read) = read(&of_event(&event));
            let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
            assert_eq!(value(":message-type"), Some("event"));
            assert_eq!(value(":event-type"), Some(kind));
            assert_eq!(value(":content-type").is_some(), !payload.is_empty());
            assert_eq!(read, payload.as_bytes());
        }
        let (headers, payload) = read(&of_error(&Error::with(ErrorCode::CastFailed, "no"), true));
        let want = [(":error-code", "CastFailed"), (":error-message", "no"), (":message-type", "error")];
        assert!(payload.is_empty());
        assert_eq!(headers, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn noise() {
        let mut noise = Noise(0xe7e7);
        for _ in 0..2000 {
            let payload = noise.bytes(b"\0\xff\x07ab", 200);
            let (_, read) = read(&of_event(&SelectEvent::Records(payload.clone().into())));
            assert_eq!(read, payload);
        }
        let long = "照".repeat(40_000);
        let (headers, _) = read(&of_error(&Error::with(ErrorCode::CastFailed, long), false));
        assert_eq!(headers[1].1.len(), 65_535);
    }
}
