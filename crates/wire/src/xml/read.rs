//! Request documents as a small tree. The input is bounded by the caller; document types and
//! entities of their own are refused, namespaces are ignored, and so are unknown elements;
//! an element that must be there once and comes twice is refused.

use cosette_model::{Error, ErrorCode};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// Deepest nesting that any request document needs, and some.
const DEPTH_MAX: usize = 16;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Without its namespace prefix.
    pub(crate) name: String,
    /// Its own text, as written, entities resolved.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

fn malformed() -> Error {
    ErrorCode::MalformedXml.into()
}

impl Element {
    /// Reads a whole document whose root must have this name.
    pub(crate) fn parse(document: &[u8], root: &str) -> Result<Self, Error> {
        let text = std::str::from_utf8(document).map_err(|_| malformed())?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut open: Vec<Self> = Vec::new();
        let mut whole: Option<Self> = None;
        loop {
            let event =
                reader.read_event().map_err(|e| Error { source: Some(Box::new(e)), ..malformed() })?;
            let closed = match event {
                Event::Start(start) => {
                    if whole.is_some() || open.len() >= DEPTH_MAX {
                        return Err(malformed());
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                    continue;
                }
                Event::Empty(start) => Self::named(start.local_name().as_ref()),
                Event::End(_) => open.pop().ok_or_else(malformed)?,
                Event::Eof => break,
                Event::DocType(_) => return Err(malformed()),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => continue,
                Event::Text(text) => {
                    append(&mut open, written(&text.xml10_content())?)?;
                    continue;
                }
                Event::CData(text) => {
                    append(&mut open, written(&text.xml10_content())?)?;
                    continue;
                }
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref().map_err(|_| malformed())? {
                        Some(character) => character,
                        None => predefined(&reference).ok_or_else(malformed)?,
                    };
                    append(&mut open, resolved.encode_utf8(&mut [0; 4]))?;
                    continue;
                }
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None if whole.is_none() => whole = Some(closed),
                None => return Err(malformed()),
            }
        }
        match whole {
            Some(element) if open.is_empty() && element.name == root => Ok(element),
            _ => Err(malformed()),
        }
    }

    fn named(name: impl AsRef<str>) -> Self {
        Self { name: name.as_ref().to_owned(), ..Self::default() }
    }

    /// The only child of this name.
    pub(crate) fn child(&self, name: &str) -> Result<Option<&Self>, Error> {
        let mut all = self.children.iter().filter(|child| child.name == name);
        match (all.next(), all.next()) {
            (first, None) => Ok(first),
            _ => Err(malformed()),
        }
    }

    /// The text of the only child of this name, which must be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Error> {
        Ok(self.child(name)?.ok_or_else(malformed)?.text.as_str())
    }

    /// The trimmed text of the only child of this name, unless it is absent or empty.
    pub(crate) fn text_of(&self, name: &str) -> Result<Option<&str>, Error> {
        Ok(self.child(name)?.map(|child| child.text.trim()).filter(|text| !text.is_empty()))
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Control characters may stand in text by their numbers only (XML 1.0, 2.2): keys have them.
fn written(text: &str) -> Result<&str, Error> {
    let refused = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{7f}');
    if text.contains(refused) { Err(malformed()) } else { Ok(text) }
}

/// Adds text to the innermost open element; only white space may stand outside the root.
fn append(open: &mut [Element], text: &str) -> Result<(), Error> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed()),
    }
    Ok(())
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_written() {
        let xml = "\u{feff}<?xml version='1.0'?>\n<!-- c --><n:Delete xmlns:n='x'><Object><Key> a&amp;&#x1;&#233;<![CDATA[<b>]]> </Key></Object>\n</n:Delete>\n";
        let root = Element::parse(xml.as_bytes(), "Delete").unwrap();
        assert_eq!(root.child("Object").unwrap().unwrap().need("Key").unwrap(), " a&\u{1}é<b> ");
        assert_eq!(root.text_of("Object").unwrap(), None);
    }

    #[test]
    fn what_is_not_xml_or_not_wanted_is_refused() {
        let deep = format!("{}{}", "<Delete>".repeat(40), "</Delete>".repeat(40));
        for bad in [
            "",
            "   ",
            "text",
            "<Delete>",
            "<Delete></Other>",
            "</Delete>",
            "<Delete/><Delete/>",
            "<Delete/>tail",
            "<Other/>",
            "<Delete>&nbsp;</Delete>",
            "<Delete>&#0;</Delete>",
            "<Delete>\0</Delete>",
            "<Delete><![CDATA[\u{1}]]></Delete>",
            "<Delete>& </Delete>",
            "<!DOCTYPE Delete [<!ENTITY e 'x'>]><Delete>&e;</Delete>",
            "<!DOCTYPE Delete><Delete/>",
            "<Delete",
            "<Delete><![CDATA[</Delete>",
            "{\"a\":1}",
            &deep,
        ] {
            assert_eq!(
                Element::parse(bad.as_bytes(), "Delete").unwrap_err().code,
                ErrorCode::MalformedXml,
                "{bad}"
            );
        }
        assert!(Element::parse(b"<Delete>\xff</Delete>", "Delete").is_err());
    }

    #[test]
    fn one_means_one() {
        let root = Element::parse(b"<D><K>1</K><K>2</K></D>", "D").unwrap();
        assert!(root.child("K").is_err());
        assert!(root.need("L").is_err());
        assert_eq!(root.all("K").count(), 2);
    }
}
