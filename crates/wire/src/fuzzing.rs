//! The parsers as functions of any bytes, for noise in the unit tests and for `scripts/fuzz`. They assert what
//! must hold of every input; that nothing panics is the least of it.

use std::net::{IpAddr, Ipv4Addr};

use cosette_model::op::Call;
use cosette_model::{ChecksumAlgorithm, RequestId, SettingName, Timestamp, Trailer};
use http::Request;

use crate::chunked::{Chunked, Framing};
use crate::form::Form;
use crate::testing::{Everybody, collect, pieces, ready};
use crate::xml::Element;
use crate::{Config, DialectName, ReplyBody, Wire};

/// The server that requests of noise go to.
pub(crate) fn wire() -> Wire {
    Wire::new(Config {
        default_region: cosette_model::Region::new("ap-guangzhou").unwrap(),
        default_dialect: DialectName::S3,
        strict: false,
        xml_bytes_max: 4096,
    })
}

/// A whole request as text: its head, an empty line, its body. A refusal is not our own fault, and names the
/// request.
pub fn request(bytes: &[u8]) {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = at.map_or((bytes, &b""[..]), |at| (&bytes[..at], &bytes[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut start = lines.next().unwrap_or_default().splitn(3, |byte| *byte == b' ');
    let mut request =
        Request::builder().method(start.next().unwrap_or_default()).uri(start.next().unwrap_or_default());
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    let Ok(request) = request.body(pieces(vec![body.to_vec()])) else { return };
    answer(&wire(), request);
}

/// Decodes the request, and encodes the answer if it is a refusal.
pub(crate) fn answer(wire: &Wire, request: Request<cosette_model::ByteStream>) {
    let now = Timestamp::from_secs(1_369_353_600);
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let decoded = ready(wire.decode(request, peer, RequestId::new("id"), now, &Everybody));
    match decoded.outcome {
        Err(error) => {
            let response = wire.encode(&decoded.asked, Err(error));
            assert!(response.headers().contains_key("x-cos-request-id"));
            assert_ne!(response.status(), http::StatusCode::INTERNAL_SERVER_ERROR);
            if let ReplyBody::Full(document) = response.body()
                && !decoded.asked.website
            {
                Element::parse(document, "Error").expect("an error is a document");
            }
        }
        Ok((_, mut call)) => {
            if let Some(body) = call.body() {
                let stream = std::mem::replace(&mut body.stream, pieces(Vec::new()));
                drop(collect(stream));
            }
            let _: Call = call;
        }
    }
}

/// The document of a setting. What is taken is shown so that it means the same.
pub fn setting(document: &[u8]) {
    for name in SettingName::ALL {
        let root = format!("<{}", crate::setting::root(*name));
        if !document.starts_with(root.as_bytes()) {
            continue;
        }
        for dialect in [&crate::dialect::COS, &crate::dialect::S3] {
            if let Ok(Some(setting)) = crate::setting::read(dialect, &Everybody, *name, document) {
                let written = crate::setting::write(dialect, *name, Some(&setting));
                let again = crate::setting::read(dialect, &Everybody, *name, &written)
                    .expect("what we write we read");
                let again = crate::setting::write(dialect, *name, again.as_ref());
                assert_eq!(again, written, "{}", String::from_utf8_lossy(document));
            }
        }
    }
}

/// One byte that says where it is cut, then the body of a form with the boundary `b`. It reads alike, however
/// it is cut.
pub fn form(bytes: &[u8]) {
    let Some((cut, body)) = bytes.split_first() else { return };
    let read = |cut: Vec<Vec<u8>>| {
        let form = ready(Form::read(pieces(cut), "b")).map_err(|error| error.code)?;
        let fields: Vec<_> = form.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok::<_, cosette_model::ErrorCode>((fields, form.filename, collect(form.file)))
    };
    assert_eq!(read(chunks(body, *cut)), read(vec![body.to_vec()]));
}

/// One byte that says where it is cut, then a body in `aws-chunked` framing, unsigned.
pub fn chunked(bytes: &[u8]) {
    let Some((cut, body)) = bytes.split_first() else { return };
    for trailing in [false, true] {
        let read = |input| {
            let announced = vec![ChecksumAlgorithm::Crc32];
            let framing = Framing { signer: None, trailing, announced, length: 11 };
            let trailer = Trailer::default();
            let body = collect(Box::pin(Chunked::new(pieces(input), framing, trailer.clone())));
            (body, trailer.checksums().to_vec())
        };
        assert_eq!(read(chunks(body, *cut)), read(vec![body.to_vec()]));
    }
}

fn chunks(body: &[u8], size: u8) -> Vec<Vec<u8>> {
    body.chunks(usize::from(size).max(1)).map(<[u8]>::to_vec).collect()
}
