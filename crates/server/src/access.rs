//! From an answered request to what access logs tell of it. Nothing is done where none is kept.

use std::net::IpAddr;

use cosette_clock::Clock;
use cosette_jobs::AccessLog;
use cosette_model::op::{Call, Context, CopySource, Op, Reply};
use cosette_model::{Access, AccessPart, BucketName, Error, LogTarget, Timestamp, VersionId};
use cosette_ops::Ops;
use cosette_store::Bucket;
use cosette_wire::{Asked, DialectName, logged_target};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HOST, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

/// What of a request is gone by the time it is answered. Cheap: headers are shared.
pub(crate) struct Glimpse {
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    length: Option<HeaderValue>,
}

fn text(value: Option<&HeaderValue>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn number(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.trim().parse().ok()
}

impl Glimpse {
    pub(crate) fn of(parts: &Parts) -> Self {
        let header = |name| parts.headers.get(name).cloned();
        let decoded = parts.headers.get("x-amz-decoded-content-length");
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            host: header(HOST),
            referer: header(REFERER),
            agent: header(USER_AGENT),
            length: decoded.cloned().or_else(|| header(CONTENT_LENGTH)),
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn agent(&self) -> &str {
        self.agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or("-")
    }
}

/// What nginx and others say of a client that did not wait for its answer; neither service documents a
/// status for it.
pub(crate) const CLIENT_GONE: u16 = 499;

/// Logs that a request is to be told in, found before it is carried out.
#[derive(Clone)]
pub(crate) struct Ledger {
    own: Option<(Bucket, LogTarget)>,
    /// The source of a copy, whose bucket may be logged as well.
    source: Option<(Bucket, LogTarget, CopySource)>,
    /// Of a request that removes many: key, version, and the code of a failure.
    removed: Vec<(String, Option<String>, Option<&'static str>)>,
}

impl Ledger {
    /// `None` if nobody keeps one, as nearly always.
    pub(crate) fn open(ops: &Ops, bucket: Option<&BucketName>, call: Option<&Call>) -> Option<Self> {
        let own = bucket.and_then(|name| ops.access_log(name));
        let source = match call {
            Some(Call::CopyObject(ask)) => Some(&ask.source),
            Some(Call::UploadPartCopy(ask)) => Some(&ask.source),
            _ => None,
        };
        let source = source.and_then(|source| {
            let (bucket, target) = ops.access_log(&source.bucket)?;
            Some((bucket, target, source.clone()))
        });
        let mut removed = Vec::new();
        if let (Some(_), Some(Call::DeleteObjects(ask))) = (&own, call) {
            let text = |version: &VersionId| version.as_str().to_owned();
            let entries = ask.entries.iter();
            removed.extend(entries.map(|one| (one.key.to_string(), one.version.as_ref().map(text), None)));
        }
        (own.is_some() || source.is_some()).then_some(Self { own, source, removed })
    }

    pub(crate) fn done(&mut self, outcome: &Result<Reply, Error>, dialect: DialectName) {
        let Ok(Reply::DeleteObjects(done)) = outcome else { return self.removed.clear() };
        for failed in &done.failed {
            let version = failed.version.as_ref().map(VersionId::as_str);
            let mut all = self.removed.iter_mut();
            if let Some(one) = all.find(|(key, named, _)| *key == failed.key && named.as_deref() == version) {
                one.2 = Some(code(&failed.error, dialect));
            }
        }
    }
}

fn code(error: &Error, dialect: DialectName) -> &'static str {
    match dialect {
        DialectName::S3 => error.code.s3(),
        DialectName::Cos => error.code.cos(),
    }
}

/// What went wrong, as a log tells it.
pub(crate) fn failure(error: &Error, dialect: DialectName) -> (&'static str, String) {
    (code(error, dialect), error.message().to_owned())
}

/// Lines to be written once the answer has gone.
pub(crate) struct Tally {
    log: AccessLog,
    clock: Clock,
    lines: Vec<(LogTarget, Access)>,
    sent: u64,
}

impl Tally {
    /// Another one tells of the request.
    pub(crate) fn forget(mut self) {
        self.lines.clear();
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }
}

/// The answer has gone, or its connection.
impl Drop for Tally {
    fn drop(&mut self) {
        let ended = self.clock.now();
        for (target, access) in &mut self.lines {
            access.ended = ended;
            access.sent = self.sent;
            self.log.note(target, access);
        }
    }
}

/// An answered request.
pub(crate) struct Answered<'a> {
    pub(crate) glimpse: &'a Glimpse,
    pub(crate) asked: &'a Asked,
    /// `None`: who asked is not known.
    pub(crate) context: Option<&'a Context>,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) failed: Option<(&'static str, String)>,
    pub(crate) peer: IpAddr,
}

impl Ledger {
    /// To be dropped when the answer has gone.
    pub(crate) fn tally(self, request: &Answered<'_>, log: AccessLog, clock: Clock) -> Box<Tally> {
        let answered = clock.now();
        let mut lines = Vec::new();
        if let Some((bucket, target)) = self.own {
            for (key, version, code) in self.removed {
                let status = if code.is_some() { 403 } else { 204 };
                let error = code.map(|code| (code, String::new()));
                let removal = request.access(&bucket, AccessPart::Removal, answered);
                lines.push((target.clone(), Access { key: Some(key), version, status, error, ..removal }));
            }
            lines.push((target, request.access(&bucket, AccessPart::Whole, answered)));
        }
        if let Some((bucket, target, from)) = self.source {
            let access = request.access(&bucket, AccessPart::Source, answered);
            let (key, version) =
                (from.key.to_string(), from.version.map(|version| version.as_str().to_owned()));
            lines.push((target, Access { key: Some(key), version, object_size: None, ..access }));
        }
        Box::new(Tally { log, clock, lines, sent: 0 })
    }
}

impl Answered<'_> {
    fn access(&self, bucket: &Bucket, part: AccessPart, answered: Timestamp) -> Access {
        let Self { glimpse, asked, headers, .. } = self;
        let header = |names: [&str; 2]| names.iter().find_map(|name| text(headers.get(*name)));
        let account = self.context.and_then(|context| context.identity.account());
        Access {
            bucket: bucket.name.clone(),
            region: bucket.region.clone(),
            owner: bucket.owner_uin.clone(),
            part,
            came: asked.now,
            answered,
            ended: answered,
            remote: self.peer.to_canonical().to_string(),
            requester: account.map(|account| account.uin.clone()),
            access_key: account.map(|account| account.secret_id.clone()),
            request_id: asked.request_id.as_str().to_owned(),
            host_id: text(headers.get("x-amz-id-2")),
            op: asked.op,
            event: asked.op.map(Ops::event_name),
            key: asked.key.as_ref().map(|key| key.as_str().to_owned()),
            method: glimpse.method.to_string(),
            target: logged_target(&glimpse.uri),
            host: text(glimpse.host.as_ref()),
            status: self.status.as_u16(),
            error: self.failed.clone(),
            received: number(glimpse.length.as_ref()).unwrap_or(0),
            sent: 0,
            object_size: size(asked.op, self.status, headers, glimpse.length.as_ref()),
            version: header(["x-amz-version-id", "x-cos-version-id"]),
            class: header(["x-amz-storage-class", "x-cos-storage-class"]),
            referer: text(glimpse.referer.as_ref()),
            agent: text(glimpse.agent.as_ref()),
            signed: asked.signed,
        }
    }
}

/// Of the object that was read or written, where the answer or the request tells.
fn size(op: Option<Op>, status: StatusCode, answer: &HeaderMap, sent: Option<&HeaderValue>) -> Option<u64> {
    match op {
        Some(Op::GetObject | Op::HeadObject | Op::ServeWebsite) if status.is_success() => {
            let range = answer.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
            match range.and_then(|range| range.rsplit_once('/')) {
                Some((_, whole)) => whole.parse().ok(),
                None => number(answer.get(CONTENT_LENGTH)),
            }
        }
        Some(Op::PutObject | Op::UploadPart) if status.is_success() => number(sent),
        _ => None,
    }
}
