//! Programs built on the library for Go functions: they serve Go's `net/rpc` at the port of
//! `_LAMBDA_SERVER_PORT`, and are asked for one result after another (scf.md 5.5).

use std::borrow::Cow;
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};

use crate::Spec;
use crate::environment::{self, TRIGGER_SRC};
use crate::gob::{self, BYTES, FIRST_OWN, INT, Out, TEXT, Types, UINT, Value};
use crate::outward::Duplex;
use crate::protocol::{Answer, Fault, Line, Offer, RESULT_BYTES_MAX, Signal};
use crate::reach::Reach;

/// How often a program that does not listen yet is called.
const KNOCK: Duration = Duration::from_millis(2);

/// A message of this size cannot be a result of the allowed size, whatever comes with it.
const MESSAGE_BYTES_MAX: u64 = RESULT_BYTES_MAX as u64 + 1024 * 1024;

const REQUEST: i64 = FIRST_OWN;
const PING: i64 = FIRST_OWN + 1;
const INVOKE: i64 = FIRST_OWN + 2;
const TIME: i64 = FIRST_OWN + 3;

/// What each call says of the function.
pub(crate) struct About {
    namespace: String,
    name: String,
    version: String,
    /// A JSON object; the namespace is always in it.
    environment: String,
    region: String,
    appid: String,
    uin: String,
}

impl About {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self {
            namespace: spec.namespace.clone(),
            name: spec.name.clone(),
            version: spec.version.clone(),
            environment: environment::for_context(spec).0,
            region: spec.region.clone(),
            appid: spec.appid.clone(),
            uin: spec.uin.clone(),
        }
    }
}

/// Waits for the program to listen, then has it answer the line's events. Ends when the connection
/// does: the process's end, or the time limit, is what is told of then.
pub(crate) async fn drive(line: Line, reach: Reach, port: u16, about: About) {
    let stream = loop {
        match reach.connect(port).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(KNOCK).await,
        }
    };
    line.say(Signal::Connected(Instant::now()));
    if let Err(error) = serve(&line, stream, &about).await {
        tracing::debug!(function = about.name, %error, "the connection to a Go program has ended");
    }
}

async fn serve(line: &Line, stream: Box<dyn Duplex>, about: &About) -> io::Result<()> {
    let (read, write) = tokio::io::split(stream);
    let mut caller =
        Caller { read: BufReader::new(read), write, types: Types::default(), calls: 0, has_source: false };
    match caller.ping().await? {
        Reply::Value(_) => line.say(Signal::Ready(Instant::now())),
        // Something listens there, but it is not the library.
        Reply::Refused(text) => line.say(Signal::InitError(fault(text, false))),
        Reply::TooLarge => return Err(io::Error::other("an answer to Ping is too large")),
    }
    while let Some(offer) = line.next().await {
        line.settle(match caller.invoke(&offer, about).await? {
            Reply::Value(response) => answer(&response),
            Reply::Refused(text) => Answer::Error(fault(text, true)),
            Reply::TooLarge => Answer::TooLarge,
        });
    }
    Ok(())
}

fn fault(text: String, last: bool) -> Fault {
    Fault { status: None, body: Bytes::from(text), last }
}

fn answer(response: &Value) -> Answer {
    let Some(error) = response.field("Error") else {
        let Some(Value::Bytes(payload)) = response.field("Payload") else {
            return Answer::Result(Bytes::from_static(b"null"));
        };
        if payload.len() > RESULT_BYTES_MAX {
            return Answer::TooLarge;
        }
        return Answer::Result(Bytes::from(payload.clone()));
    };
    let mut text = error.text("Message");
    if let Some(Value::List(frames)) = error.field("StackTrace") {
        // As Go itself prints a panic, which has frames; an error has none.
        text = format!("panic: {text}");
        for frame in frames {
            let (label, path) = (frame.text("Label"), frame.text("Path"));
            text.push_str(&format!("\n{label}\n\t{path}:{}", frame.number("Line")));
        }
    }
    Answer::Error(fault(text, error.number("ShouldExit") != 0))
}

enum Reply {
    Value(Value),
    /// By `net/rpc` itself: no such method.
    Refused(String),
    TooLarge,
}

/// One connection of `net/rpc`, with one call at a time.
struct Caller {
    /// Whether the program has been given a `TRIGGER_SRC`.
    has_source: bool,
    read: BufReader<ReadHalf<Box<dyn Duplex>>>,
    write: WriteHalf<Box<dyn Duplex>>,
    types: Types,
    calls: u64,
}

impl Caller {
    async fn ping(&mut self) -> io::Result<Reply> {
        let mut call = Vec::new();
        gob::define(&mut call, REQUEST, "Request", &[("ServiceMethod", TEXT), ("Seq", UINT)]);
        self.request(&mut call, "Function.Ping");
        gob::define(&mut call, PING, "PingRequest", &[]);
        gob::send(&mut call, PING, &[]);
        // Of the calls to come, too.
        gob::define(&mut call, TIME, "InvokeRequest_Timestamp", &[("Seconds", INT), ("Nanos", INT)]);
        gob::define(
            &mut call,
            INVOKE,
            "InvokeRequest",
            &[
                ("Payload", BYTES),
                ("RequestId", TEXT),
                ("Deadline", TIME),
                ("Namespace", TEXT),
                ("FunctionName", TEXT),
                ("FunctionVersion", TEXT),
                ("MemoryLimitInMb", INT),
                ("TimeLimitInMs", INT),
                ("Environment", TEXT),
                ("TencentcloudRegion", TEXT),
                ("TencentcloudAppID", TEXT),
                ("TencentcloudUin", TEXT),
            ],
        );
        self.call(call).await
    }

    async fn invoke(&mut self, offer: &Offer, about: &About) -> io::Result<Reply> {
        let environment = self.environment(offer, about);
        let mut call = Vec::with_capacity(offer.event.len() + 1024);
        self.request(&mut call, "Function.Invoke");
        // The process compares it with the machine's time.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let deadline = now.saturating_add(offer.timeout);
        gob::send(
            &mut call,
            INVOKE,
            &[
                Out::Bytes(&offer.event),
                Out::Text(&offer.request_id),
                Out::Struct(&[
                    Out::Int(i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX)),
                    Out::Int(deadline.subsec_nanos().into()),
                ]),
                Out::Text(&about.namespace),
                Out::Text(&about.name),
                Out::Text(&about.version),
                Out::Int(offer.memory_mb.into()),
                Out::Int(i32::try_from(offer.timeout.as_millis()).unwrap_or(i32::MAX).into()),
                Out::Text(&environment),
                Out::Text(&about.region),
                Out::Text(&about.appid),
                Out::Text(&about.uin),
            ],
        );
        self.call(call).await
    }

    /// The library makes variables of the process of what it is told, and never takes one away.
    fn environment<'a>(&mut self, offer: &Offer, about: &'a About) -> Cow<'a, str> {
        let source = offer.trigger_src.filter(|source| self.has_source || !source.is_empty());
        match (source, about.environment.strip_suffix('}')) {
            (Some(source), Some(others)) => {
                self.has_source = true;
                format!(r#"{others},"{TRIGGER_SRC}":"{source}"}}"#).into()
            }
            _ => about.environment.as_str().into(),
        }
    }

    fn request(&mut self, call: &mut Vec<u8>, method: &str) {
        gob::send(call, REQUEST, &[Out::Text(method), Out::Uint(self.calls)]);
        self.calls += 1;
    }

    async fn call(&mut self, call: Vec<u8>) -> io::Result<Reply> {
        self.write.write_all(&call).await?;
        let Some(header) = self.value().await? else { return Err(io::Error::other("a header is too large")) };
        let body = self.value().await?;
        let error = header.text("Error");
        Ok(match body {
            _ if !error.is_empty() => Reply::Refused(error),
            Some(value) => Reply::Value(value),
            None => Reply::TooLarge,
        })
    }

    /// The next value; `None` for one that was too large to be kept.
    async fn value(&mut self) -> io::Result<Option<Value>> {
        loop {
            let length = self.length().await?;
            if length > MESSAGE_BYTES_MAX {
                let mut rest = (&mut self.read).take(length);
                tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
                return Ok(None);
            }
            let mut message = Vec::new();
            (&mut self.read).take(length).read_to_end(&mut message).await?;
            if let Some(value) = self.types.read(&message).map_err(io::Error::other)? {
                return Ok(Some(value));
            }
        }
    }

    async fn length(&mut self) -> io::Result<u64> {
        let first = self.read.read_u8().await?;
        let Some(more) = gob::further(first).map_err(io::Error::other)? else { return Ok(first.into()) };
        let mut length = 0;
        for _ in 0..more {
            length = length << 8 | u64::from(self.read.read_u8().await?);
        }
        Ok(length)
    }
}
