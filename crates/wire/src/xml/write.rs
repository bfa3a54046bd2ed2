//! Reply documents in the dialect's form: tab-indented under a single-quoted declaration for
//! COS, on one line with a namespace for S3 (cos-api 3.0, 8).

use std::fmt::Display;

use bytes::Bytes;

use crate::dialect::Dialect;

/// Writes one document, element by element.
pub(crate) struct Writer {
    out: String,
    open: Vec<&'static str>,
    indented: bool,
    /// Where the root's content begins.
    start: usize,
}

impl Writer {
    /// A document with this root, in the dialect's own namespace.
    pub(crate) fn new(dialect: &Dialect, root: &'static str) -> Self {
        Self::with_namespace(dialect, root, dialect.namespace)
    }

    pub(crate) fn with_namespace(dialect: &Dialect, root: &'static str, namespace: Option<&str>) -> Self {
        let mut out = String::with_capacity(512);
        out.push_str(dialect.declaration);
        out.push('<');
        out.push_str(root);
        if let Some(namespace) = namespace {
            out.push_str(" xmlns=\"");
            out.push_str(namespace);
            out.push('"');
        }
        out.push('>');
        let start = out.len();
        Self { out, open: vec![root], indented: dialect.indented, start }
    }

    fn line(&mut self) {
        if self.indented {
            self.out.push('\n');
            for _ in &self.open {
                self.out.push('\t');
            }
        }
    }

    /// One element with the children that `inside` writes.
    pub(crate) fn element(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.element_with(name, &[], inside);
    }

    /// An element with attributes, whose values need no escaping.
    pub(crate) fn element_with(
        &mut self,
        name: &'static str,
        attributes: &[(&str, &str)],
        inside: impl FnOnce(&mut Self),
    ) {
        self.line();
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in attributes {
            for text in [" ", name, "=\"", value, "\""] {
                self.out.push_str(text);
            }
        }
        let start = self.out.len();
        self.out.push('>');
        self.open.push(name);
        inside(self);
        self.open.pop();
        if self.out.len() == start + 1 {
            self.out.truncate(start);
            self.out.push_str("/>");
        } else {
            self.line();
            self.end(name);
        }
    }

    fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// One element with text; empty text makes an empty element.
    pub(crate) fn text(&mut self, name: &'static str, text: &str) {
        self.line();
        self.out.push('<');
        self.out.push_str(name);
        if text.is_empty() {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            escape(text, &mut self.out);
            self.end(name);
        }
    }

    /// One element with a number, date or word that needs no escaping.
    pub(crate) fn value(&mut self, name: &'static str, value: impl Display) {
        self.text(name, &value.to_string());
    }

    /// [`text`](Self::text) when there is one.
    pub(crate) fn maybe(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(crate) fn finish(mut self) -> Bytes {
        if let Some(root) = self.open.pop() {
            if self.out.len() == self.start {
                self.out.insert(self.start - 1, '/');
            } else {
                self.line();
                self.end(root);
            }
        }
        self.out.into()
    }

    /// A document that is only a root with text.
    pub(crate) fn root_text(mut self, text: &str) -> Bytes {
        escape(text, &mut self.out);
        if let Some(root) = self.open.pop() {
            self.end(root);
        }
        self.out.into()
    }
}

/// Escapes text, writing what XML 1.0 cannot hold as numeric references, as both services do.
fn escape(text: &str, out: &mut String) {
    let plain = |c: char| match c {
        '&' | '<' | '>' | '"' | '\r' | '\u{fffe}' | '\u{ffff}' => false,
        '\n' | '\t' => true,
        other => other >= ' ',
    };
    if text.chars().all(plain) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if plain(c) => out.push(c),
            c => out.push_str(&format!("&#x{:X};", u32::from(c))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{COS, S3};

    fn sample(dialect: &Dialect) -> String {
        let mut xml = Writer::new(dialect, "Root");
        xml.text("Key", "a<b>&\"'\u{1}\r\n");
        xml.text("Empty", "");
        xml.element("None", |_| {});
        xml.element("In", |xml| xml.value("N", 1));
        String::from_utf8_lossy(&xml.finish()).into_owned()
    }

    #[test]
    fn an_empty_root_closes_itself() {
        let empty = Writer::with_namespace(&COS, "Root", None).finish();
        assert!(empty.ends_with(b"\n<Root/>"), "{empty:?}");
    }

    #[test]
    fn forms_of_both_dialects() {
        assert_eq!(
            sample(&COS),
            "<?xml version='1.0' encoding='utf-8' ?>\n<Root>\n\t<Key>a&lt;b&gt;&amp;&quot;'&#x1;&#xD;\n</Key>\n\t<Empty/>\n\t<None/>\n\t<In>\n\t\t<N>1</N>\n\t</In>\n</Root>"
        );
        assert_eq!(
            sample(&S3),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Root xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Key>a&lt;b&gt;&amp;&quot;'&#x1;&#xD;\n</Key><Empty/><None/><In><N>1</N></In></Root>"
        );
    }
}
