//! Go's `encoding/gob`, as much of it as `net/rpc` needs between us and the library for Go functions:
//! structs of numbers, texts and bytes out, any value without interfaces in. The format is described
//! in the documentation of the package `encoding/gob`. Knows no function and no socket.

use std::collections::{BTreeMap, HashMap};

/// Ids that the format itself gives to types.
pub(crate) const INT: i64 = 2;
pub(crate) const UINT: i64 = 3;
pub(crate) const BYTES: i64 = 5;
pub(crate) const TEXT: i64 = 6;

/// The first id that a sender may give to a type of its own.
pub(crate) const FIRST_OWN: i64 = 65;

/// How deep a value may be nested; those of the library have three levels.
const DEPTH_MAX: usize = 32;

/// Values in one message, and fields in all types that were described. Those of the library have some dozens,
/// and a frame of a stack is four: what a program says must not take more room here than it has bytes.
const VALUES_MAX: usize = 100_000;
const FIELDS_MAX: usize = 10_000;

/// Bytes of a field's name.
const NAME_MAX: usize = 256;

/// A value that is sent. A zero one is left out of its struct.
#[derive(Clone, Copy)]
pub(crate) enum Out<'a> {
    Int(i64),
    Uint(u64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Struct(&'a [Out<'a>]),
}

impl Out<'_> {
    fn is_zero(&self) -> bool {
        match self {
            Self::Int(number) => *number == 0,
            Self::Uint(number) => *number == 0,
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Struct(_) => false,
        }
    }

    fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Int(number) => put_int(to, *number),
            Self::Uint(number) => put_uint(to, *number),
            Self::Text(text) => put_bytes(to, text.as_bytes()),
            Self::Bytes(bytes) => put_bytes(to, bytes),
            Self::Struct(fields) => {
                let mut skipped = 1;
                for field in *fields {
                    if field.is_zero() {
                        skipped += 1;
                        continue;
                    }
                    put_uint(to, skipped);
                    field.put(to);
                    skipped = 1;
                }
                to.push(0);
            }
        }
    }
}

fn put_uint(to: &mut Vec<u8>, number: u64) {
    if number < 128 {
        to.push(number as u8);
        return;
    }
    let bytes = number.to_be_bytes();
    let from = number.leading_zeros() as usize / 8;
    // The count of bytes, negated.
    to.push((bytes.len() - from).wrapping_neg() as u8);
    to.extend_from_slice(&bytes[from..]);
}

fn put_int(to: &mut Vec<u8>, number: i64) {
    let folded = if number < 0 { (!number as u64) << 1 | 1 } else { (number as u64) << 1 };
    put_uint(to, folded);
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn put_message(to: &mut Vec<u8>, content: &[u8]) {
    put_uint(to, content.len() as u64);
    to.extend_from_slice(content);
}

/// Tells the receiver what a struct of ours looks like: once on a connection, before the first of them.
pub(crate) fn define(to: &mut Vec<u8>, id: i64, name: &str, fields: &[(&str, i64)]) {
    let mut content = Vec::new();
    put_int(&mut content, -id);
    // The third field of a description is the one of structs; it holds name and id, then the fields.
    content.extend([3, 1]);
    Out::Struct(&[Out::Text(name), Out::Int(id)]).put(&mut content);
    if !fields.is_empty() {
        content.push(1);
        put_uint(&mut content, fields.len() as u64);
        for (name, id) in fields {
            Out::Struct(&[Out::Text(name), Out::Int(*id)]).put(&mut content);
        }
    }
    content.extend([0, 0]);
    put_message(to, &content);
}

/// Sends a struct that was defined.
pub(crate) fn send(to: &mut Vec<u8>, id: i64, fields: &[Out<'_>]) {
    let mut content = Vec::new();
    put_int(&mut content, id);
    Out::Struct(fields).put(&mut content);
    put_message(to, &content);
}

/// A value that was received.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Booleans too.
    Uint(u64),
    Int(i64),
    /// Texts too; they need not be UTF-8.
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// Zero fields are not in it.
    Struct(BTreeMap<String, Value>),
    /// Of no interest here: floats, complex numbers, maps.
    Other,
}

impl Value {
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        let Self::Struct(fields) = self else { return None };
        fields.get(name)
    }

    /// A text field; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> String {
        let Some(Self::Bytes(bytes)) = self.field(name) else { return String::new() };
        String::from_utf8_lossy(bytes).into_owned()
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        match self.field(name) {
            Some(Self::Int(number)) => *number,
            Some(Self::Uint(number)) => i64::try_from(*number).unwrap_or(i64::MAX),
            _ => 0,
        }
    }
}

#[derive(Clone, Debug)]
enum Type {
    Struct(Vec<(String, i64)>),
    /// Of slices, and of arrays, which say their length with each value too.
    List(i64),
    Map(i64, i64),
}

/// What the other end has said of its types.
pub(crate) struct Types {
    known: HashMap<i64, Type>,
    /// Fields that may yet be described.
    fields_left: usize,
}

/// What is not gob, or not of the kinds read here.
#[derive(Debug, thiserror::Error)]
#[error("not understood: {0}")]
pub(crate) struct Malformed(&'static str);

impl Default for Types {
    fn default() -> Self {
        let of = |fields: &[(&str, i64)]| {
            Type::Struct(fields.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect())
        };
        // How types are described is itself described by types with fixed ids.
        let known = HashMap::from([
            (16, of(&[("ArrayT", 17), ("SliceT", 19), ("StructT", 20), ("MapT", 23)])),
            (17, of(&[("CommonType", 18), ("Elem", INT), ("Len", INT)])),
            (18, of(&[("Name", TEXT), ("Id", INT)])),
            (19, of(&[("CommonType", 18), ("Elem", INT)])),
            (20, of(&[("CommonType", 18), ("Field", 22)])),
            (21, of(&[("Name", TEXT), ("Id", INT)])),
            (22, Type::List(21)),
            (23, of(&[("CommonType", 18), ("Key", INT), ("Elem", INT)])),
        ]);
        Self { known, fields_left: FIELDS_MAX }
    }
}

impl Types {
    /// Reads one message without its length. `None` when it describes a type.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Option<Value>, Malformed> {
        let mut from = Bytes(message);
        let mut left = VALUES_MAX;
        let id = from.int()?;
        if id < 0 {
            let described = self.value(&mut from, 16, 0, &mut left)?;
            let id = id.checked_neg().ok_or(Malformed("a type's id"))?;
            if let Some(kind) = described_type(&described) {
                // One without fields has room of its own, too.
                let mut size = 1;
                if let Type::Struct(fields) = &kind {
                    size += fields.len();
                    if fields.iter().any(|(name, _)| name.len() > NAME_MAX) {
                        return Err(Malformed("a long name"));
                    }
                }
                self.fields_left = self.fields_left.checked_sub(size).ok_or(Malformed("too many types"))?;
                self.known.insert(id, kind);
            }
            return Ok(None);
        }
        if !matches!(self.known.get(&id), Some(Type::Struct(_))) && from.byte()? != 0 {
            return Err(Malformed("a value without a struct"));
        }
        self.value(&mut from, id, 0, &mut left).map(Some)
    }

    fn value(
        &self,
        from: &mut Bytes<'_>,
        id: i64,
        depth: usize,
        left: &mut usize,
    ) -> Result<Value, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("nested too deep"));
        }
        *left = left.checked_sub(1).ok_or(Malformed("too many values"))?;
        match id {
            1 | UINT => return from.uint().map(Value::Uint),
            INT => return from.int().map(Value::Int),
            4 => return from.uint().map(|_| Value::Other),
            BYTES | TEXT => {
                let length = from.length()?;
                return from.take(length).map(|bytes| Value::Bytes(bytes.to_vec()));
            }
            7 => {
                from.uint()?;
                return from.uint().map(|_| Value::Other);
            }
            _ => {}
        }
        match self.known.get(&id).ok_or(Malformed("a type that was not described"))? {
            Type::Struct(fields) => {
                let mut values = BTreeMap::new();
                let mut next = 0_usize;
                loop {
                    let step = from.length()?;
                    if step == 0 {
                        return Ok(Value::Struct(values));
                    }
                    next = next.checked_add(step).ok_or(Malformed("a field's number"))?;
                    let (name, id) = fields.get(next - 1).ok_or(Malformed("a field's number"))?;
                    values.insert(name.clone(), self.value(from, *id, depth + 1, left)?);
                }
            }
            Type::List(element) => {
                // Not allocated ahead: the count may be anything.
                let mut values = Vec::new();
                for _ in 0..from.length()? {
                    if from.0.is_empty() {
                        return Err(Malformed("cut off"));
                    }
                    values.push(self.value(from, *element, depth + 1, left)?);
                }
                Ok(Value::List(values))
            }
            Type::Map(key, element) => {
                for _ in 0..from.length()? {
                    self.value(from, *key, depth + 1, left)?;
                    self.value(from, *element, depth + 1, left)?;
                }
                Ok(Value::Other)
            }
        }
    }
}

fn described_type(described: &Value) -> Option<Type> {
    if let Some(found) = described.field("StructT") {
        let fields = match found.field("Field") {
            Some(Value::List(fields)) => fields.iter().map(|f| (f.text("Name"), f.number("Id"))).collect(),
            _ => Vec::new(),
        };
        return Some(Type::Struct(fields));
    }
    if let Some(found) = described.field("SliceT").or_else(|| described.field("ArrayT")) {
        return Some(Type::List(found.number("Elem")));
    }
    described.field("MapT").map(|found| Type::Map(found.number("Key"), found.number("Elem")))
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn uint(&mut self) -> Result<u64, Malformed> {
        let first = self.byte()?;
        let Some(more) = further(first)? else { return Ok(first.into()) };
        Ok(self.take(more)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn int(&mut self) -> Result<i64, Malformed> {
        let folded = self.uint()?;
        let half = (folded >> 1) as i64;
        Ok(if folded & 1 == 1 { !half } else { half })
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.uint()?).map_err(|_| Malformed("a length"))
    }
}

/// How many bytes of a number follow its first one; none when that is the number.
pub(crate) fn further(first: u8) -> Result<Option<usize>, Malformed> {
    match first {
        0..128 => Ok(None),
        0xf8.. => Ok(Some(usize::from(first.wrapping_neg()))),
        _ => Err(Malformed("a number of more than eight bytes")),
    }
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use super::*;

    /// Without their lengths.
    fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let mut from = Bytes(bytes);
            let length = from.length().unwrap();
            all.push(from.take(length).unwrap().to_vec());
            bytes = from.0;
        }
        all
    }

    #[test]
    fn numbers_are_as_the_documentation_shows_them() {
        for (number, bytes) in [(7, &[7][..]), (256, &[0xfe, 1, 0]), (127, &[127]), (128, &[0xff, 128])] {
            let mut to = Vec::new();
            put_uint(&mut to, number);
            assert_eq!(to, bytes);
            assert_eq!(Bytes(&to).uint().unwrap(), number);
        }
        for number in [0, 1, -1, 17, -129, i64::MAX, i64::MIN] {
            let mut to = Vec::new();
            put_int(&mut to, number);
            assert_eq!(Bytes(&to).int().unwrap(), number);
        }
    }

    #[test]
    fn what_is_sent_is_read() {
        let mut bytes = Vec::new();
        define(&mut bytes, 66, "Inner", &[("Seconds", INT), ("Nanos", INT)]);
        define(&mut bytes, 65, "Outer", &[("A", TEXT), ("B", BYTES), ("C", UINT), ("D", 66)]);
        let inner = [Out::Int(-5), Out::Int(0)];
        send(&mut bytes, 65, &[Out::Text(""), Out::Bytes(b"xy"), Out::Uint(1 << 40), Out::Struct(&inner)]);
        let mut types = Types::default();
        let read: Vec<_> = messages(&bytes).iter().map(|one| types.read(one).unwrap()).collect();
        let value = read[2].as_ref().unwrap();
        assert_eq!((&read[0], &read[1]), (&None, &None));
        assert_eq!(value.field("A"), None);
        assert_eq!(value.text("B"), "xy");
        assert_eq!(value.number("C"), 1 << 40);
        assert_eq!(value.field("D").unwrap().number("Seconds"), -5);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let mut types = Types::default();
        for bytes in [
            &[][..],
            &[0x90],
            // A value of a type that nobody has described.
            &[0xff, 0x84, 0],
            // A description that is cut off.
            &[0xff, 0x81, 3, 1, 1, 200],
            // A list that says it has 2^62 elements.
            &[44, 0, 0xf8, 0x40, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(types.read(bytes).is_err(), "{bytes:?}");
        }
        // A list of more values than any answer has, and a type with more fields.
        let mut many = vec![44, 0];
        put_uint(&mut many, VALUES_MAX as u64);
        many.resize(many.len() + VALUES_MAX, 0);
        assert_eq!(types.read(&many).unwrap_err().0, "too many values");
        let mut long = Vec::new();
        define(&mut long, 66, "Long", &[("x".repeat(NAME_MAX + 1).as_str(), INT)]);
        assert_eq!(types.read(&messages(&long)[0]).unwrap_err().0, "a long name");
        let mut described = Vec::new();
        define(&mut described, 67, "Wide", &[("A", INT); FIELDS_MAX / 4]);
        let ends: Vec<_> = (0..4).map(|_| types.read(&messages(&described)[0]).is_ok()).collect();
        assert_eq!(ends, [true, true, true, false]);
        // Anything: only that it ends and does not panic.
        let mut seed = 7_u64;
        for length in 0..2000 {
            let noise: Vec<u8> = (0..length % 40)
                .map(|_| {
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (seed >> 33) as u8
                })
                .collect();
            let _ = types.read(&noise);
        }
    }
}
