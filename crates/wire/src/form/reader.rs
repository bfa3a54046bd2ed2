//! The body of a form: its fields, then its one file as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use cosette_model::{BodyError, ByteStream, Error, ErrorCode};
use futures_core::Stream;

use crate::path;
use crate::payload::body_error;

/// Most bytes of names and values before the file (S3: 20 KB).
const FIELDS_BYTES_MAX: usize = 20 << 10;
const FIELDS_MAX: usize = 200;
/// The head of one part, in bytes.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The longest boundary RFC 2046 allows, in bytes.
const BOUNDARY_MAX: usize = 70;

/// The boundary that a `Content-Type` of `multipart/form-data` names.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameter(parameters, "boundary")?;
    (!value.is_empty() && value.len() <= BOUNDARY_MAX).then_some(value)
}

/// The raw value of `name=value` or `name="value"` among parameters, quotes taken off.
fn parameter<'a>(mut rest: &'a str, wanted: &str) -> Option<&'a str> {
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim(), &value[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// Where a quoted string ends: at the first quote that no backslash escapes.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// What a part's head says of it.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    name: String,
    filename: Option<String>,
}

impl Head {
    fn parse(head: &[u8]) -> Option<Self> {
        let head = String::from_utf8_lossy(head);
        let value = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        })?;
        let (kind, parameters) = value.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return None;
        }
        let unquote = |text: &str| text.replace("\\\"", "\"").replace("%22", "\"");
        // `filename*` of RFC 5987 is what some clients send for other alphabets.
        let extended = parameter(parameters, "filename*")
            .and_then(|text| text.get(..7).filter(|p| p.eq_ignore_ascii_case("utf-8''")).map(|_| &text[7..]))
            .and_then(path::decode);
        Some(Self {
            name: unquote(parameter(parameters, "name")?),
            filename: extended.or_else(|| parameter(parameters, "filename").map(unquote)),
        })
    }
}

/// A form up to its file.
pub(crate) struct Form {
    /// Names as they were sent, in order.
    fields: Vec<(String, String)>,
    /// The last part of the file's path as its sender has it.
    pub(crate) filename: String,
    pub(crate) file: ByteStream,
}

impl Form {
    /// Reads up to the first byte of the file.
    ///
    /// # Errors
    /// `MalformedPostRequest`, `MaxPostPreDataLengthExceeded`, and `InvalidArgument` when there is no file.
    pub(crate) async fn read(stream: ByteStream, boundary: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(stream, boundary);
        let (mut fields, mut bytes) = (Vec::new(), 0);
        reader.preamble().await?;
        loop {
            let Some(head) = reader.head().await? else {
                return Err(Error::with(
                    ErrorCode::InvalidArgument,
                    "POST requires exactly one file upload per request.",
                )
                .detail("ArgumentName", "file")
                .detail("ArgumentValue", "0"));
            };
            let head = Head::parse(&head).ok_or(ErrorCode::MalformedPostRequest)?;
            if head.name.eq_ignore_ascii_case("file") {
                let path = head.filename.unwrap_or_default();
                let filename = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                return Ok(Self { fields, filename, file: Box::pin(reader) });
            }
            // What a policy says of a field it says of its one value.
            if fields.iter().any(|(name, _): &(String, _)| name.eq_ignore_ascii_case(&head.name)) {
                return Err(Error::with(ErrorCode::InvalidArgument, "A form has each field once.")
                    .detail("ArgumentName", head.name));
            }
            bytes += head.name.len();
            let mut value = Vec::new();
            loop {
                if bytes > FIELDS_BYTES_MAX || fields.len() == FIELDS_MAX {
                    return Err(ErrorCode::MaxPostPreDataLengthExceeded.into());
                }
                let Some(piece) = reader.piece().await? else { break };
                bytes += piece.len();
                value.extend_from_slice(&piece);
            }
            let value = String::from_utf8(value).map_err(|_| {
                Error::with(
                    ErrorCode::InvalidArgument,
                    format!("The value of the field {} is not UTF-8.", head.name),
                )
            })?;
            fields.push((head.name, value));
        }
    }

    /// The first field of this name, in any case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The same unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts the file's name where `${filename}` stands in fields that `which` chooses.
    pub(crate) fn name_file(&mut self, which: impl Fn(&str) -> bool) {
        for (name, value) in self.fields.iter_mut().filter(|(name, _)| which(name)) {
            if value.contains("${filename}") && !name.eq_ignore_ascii_case("policy") {
                *value = value.replace("${filename}", &self.filename);
            }
        }
    }
}

/// Splits a body at its boundary. As a stream it gives the bytes of the part it stands in, and
/// ends well only when the form does, with no second file.
struct Reader {
    source: ByteStream,
    buffer: BytesMut,
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    failed: bool,
    /// The file has come whole.
    over: bool,
    /// In a field behind the file (a page's submit button), which both services ignore.
    skipping: bool,
}

impl Reader {
    fn new(source: ByteStream, boundary: &str) -> Self {
        // The first delimiter may stand at the very beginning.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Self { source, buffer, delimiter, failed: false, over: false, skipping: false }
    }

    /// Takes in more bytes; the end of the source is an error, for no part ends with it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match ready!(self.source.as_mut().poll_next(cx)) {
            Some(Ok(chunk)) => {
                self.buffer.extend_from_slice(&chunk);
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => Poll::Ready(Err(BodyError::Form(ErrorCode::MalformedPostRequest))),
        }
    }

    async fn fill(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_fill(cx)).await.map_err(body_error)
    }

    /// The part's next bytes; `None` when its delimiter has been passed.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            match find(&self.buffer, &self.delimiter) {
                Some(0) => {
                    let _ = self.buffer.split_to(self.delimiter.len());
                    return Poll::Ready(Ok(None));
                }
                Some(at) => return Poll::Ready(Ok(Some(self.buffer.split_to(at).freeze()))),
                None => {}
            }
            // What might be the beginning of a delimiter stays.
            let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if sure > 0 {
                return Poll::Ready(Ok(Some(self.buffer.split_to(sure).freeze())));
            }
            ready!(self.poll_fill(cx))?;
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_piece(cx)).await.map_err(body_error)
    }

    /// Passes what stands before the first delimiter, which RFC 2046 has a reader ignore.
    async fn preamble(&mut self) -> Result<(), Error> {
        let mut seen = 0;
        while let Some(piece) = self.piece().await? {
            seen += piece.len();
            if seen > HEAD_BYTES_MAX {
                return Err(ErrorCode::MalformedPostRequest.into());
            }
        }
        Ok(())
    }

    /// The head of the part behind a delimiter; `None` behind the last.
    async fn head(&mut self) -> Result<Option<BytesMut>, Error> {
        loop {
            if self.buffer.starts_with(b"--") {
                return Ok(None);
            }
            if let Some(start) = find(&self.buffer, b"\r\n") {
                // Only white space may follow the boundary on its line.
                if !self.buffer[..start].iter().all(|byte| matches!(byte, b' ' | b'\t')) {
                    return Err(ErrorCode::MalformedPostRequest.into());
                }
                if let Some(end) = find(&self.buffer[start..], b"\r\n\r\n") {
                    let mut head = self.buffer.split_to(start + end + 4);
                    let _ = head.split_to(start + 2);
                    return Ok(Some(head));
                }
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(ErrorCode::MalformedPostRequest.into());
            }
            self.fill().await?;
        }
    }

    /// After the file: passes the rest of the form, and refuses a second file.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if self.skipping {
                self.skipping = ready!(self.poll_piece(cx))?.is_some();
                continue;
            }
            if self.buffer.starts_with(b"--") {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                if Head::parse(&head).is_some_and(|head| head.name.eq_ignore_ascii_case("file")) {
                    let error = ErrorCode::IncorrectNumberOfFilesInPostRequest;
                    return Poll::Ready(Err(BodyError::Form(error)));
                }
                self.skipping = true;
                continue;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Poll::Ready(Err(BodyError::Form(ErrorCode::MalformedPostRequest)));
            }
            ready!(self.poll_fill(cx))?;
        }
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let done = if self.over { Ok(None) } else { ready!(self.poll_piece(cx)) };
        let error = match done {
            Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
            Ok(None) => {
                self.over = true;
                ready!(self.poll_rest(cx)).err()
            }
            Err(error) => Some(error),
        };
        self.failed = true;
        Poll::Ready(error.map(Err))
    }
}

/// Where `needle`, which begins with a carriage return, first stands in `hay`.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + hay[from..].iter().position(|byte| *byte == b'\r')?;
        if hay[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{Noise, collect, pieces, ready};

    const BODY: &[u8] = b"ignored\r\n--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n\
        up/${filename}\r\n--b \r\ncontent-disposition: form-data; filename=\"x\"; name=acl\r\nContent-Type: text/plain\r\n\r\n\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a.txt\"\r\n\r\nbytes\r\n--c\r\r\n\r\n--b--\r\n";

    /// Fields, the file's name, the file.
    type Read = (Vec<(String, String)>, String, Result<Vec<u8>, BodyError>);

    fn read(body: Vec<Vec<u8>>) -> Result<Read, ErrorCode> {
        let form = ready(Form::read(pieces(body), "b")).map_err(|error| error.code)?;
        Ok((form.fields, form.filename, collect(form.file)))
    }

    #[test]
    fn a_form_reads_alike_however_it_is_cut() {
        let whole = read(vec![BODY.to_vec()]).unwrap();
        assert_eq!(
            whole.0,
            [("key".to_owned(), "up/${filename}".to_owned()), ("acl".to_owned(), String::new())]
        );
        assert_eq!(whole.1, "a.txt");
        assert_eq!(whole.2.as_deref(), Ok(&b"bytes\r\n--c\r\r\n"[..]));
        for size in 1..BODY.len() {
            let cut = BODY.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(read(cut).unwrap(), whole, "{size}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        use ErrorCode::*;
        let part =
            |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nv\r\n");
        let read = |text: String| read(vec![text.into_bytes()]);
        assert_eq!(read(String::new()).unwrap_err(), MalformedPostRequest);
        assert_eq!(read("--b--\r\n".into()).unwrap_err(), InvalidArgument);
        assert_eq!(read(part("key") + "--b--").unwrap_err(), InvalidArgument);
        assert_eq!(read(part("key")).unwrap_err(), MalformedPostRequest);
        assert_eq!(read("--b\r\nX: y\r\n\r\nv\r\n--b--".into()).unwrap_err(), MalformedPostRequest);
        assert_eq!(read("--bb\r\nX: y\r\n\r\n".into()).unwrap_err(), MalformedPostRequest);
        let many = (0..300).map(|n| part(&n.to_string())).collect::<String>();
        assert_eq!(read(many).unwrap_err(), MaxPostPreDataLengthExceeded);
        let empty = |n| format!("--b\r\nContent-Disposition: form-data; name=n{n}\r\n\r\n\r\n");
        let empties: String = (0..300).map(empty).collect();
        assert_eq!(read(empties + "--b--").unwrap_err(), MaxPostPreDataLengthExceeded);
        assert_eq!(read([empty(1), empty(1)].concat()).unwrap_err(), InvalidArgument, "twice the same");
        let long = format!("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n{}", "v".repeat(30_000));
        assert_eq!(read(long).unwrap_err(), MaxPostPreDataLengthExceeded);
        let file = |text: String| read(text).unwrap().2.unwrap_err();
        assert_eq!(file(part("file")), BodyError::Form(MalformedPostRequest));
        assert_eq!(file(part("file") + "--b"), BodyError::Form(MalformedPostRequest));
        let after = part("file") + &part("submit") + "--b--";
        assert_eq!(read(after).unwrap().2.as_deref(), Ok(&b"v"[..]));
        let two = part("file") + &part("submit") + &part("file") + "--b--";
        assert_eq!(file(two), BodyError::Form(IncorrectNumberOfFilesInPostRequest));
    }

    #[test]
    fn boundaries() {
        for (text, want) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;charset=utf-8;Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=a", None),
            ("text/plain", None),
        ] {
            assert_eq!(boundary(text), want, "{text}");
        }
    }

    #[test]
    fn names_of_files() {
        let head =
            |text: &str| Head::parse(format!("Content-Disposition: form-data; name=file; {text}").as_bytes());
        let name = |text: &str| head(text).unwrap().filename.unwrap();
        assert_eq!(name("filename=\"a \\\"b\\\".txt\""), "a \"b\".txt");
        assert_eq!(name("filename=\"照片;1.jpg\""), "照片;1.jpg");
        assert_eq!(name("filename=\"x\"; filename*=UTF-8''%E7%85%A7.jpg"), "照.jpg");
    }

    #[test]
    fn noise_is_survived() {
        let mut noise = Noise(0x00f0_1234);
        for _ in 0..20_000 {
            let body =
                noise.bytes(b"\r\n\r\n--bb\"=;:name filContent-Disposition: form-data; name=file", 200);
            let size = 1 + noise.below(9);
            let cut = body.chunks(size).map(<[u8]>::to_vec).collect();
            if let Ok(form) = ready(Form::read(pieces(cut), "b")) {
                let _ = collect(form.file);
            }
            // Changes to a sound form get further into it.
            let mut body = BODY.to_vec();
            let at = noise.below(body.len());
            body[at] = noise.next().to_le_bytes()[0];
            body.truncate(body.len() - noise.below(9));
            if let Ok(form) = ready(Form::read(pieces(vec![body]), "b")) {
                let _ = collect(form.file);
            }
            let _ = boundary(&String::from_utf8_lossy(&noise.bytes(b"multipart/form-data; boundary=\"", 50)));
        }
    }
}
