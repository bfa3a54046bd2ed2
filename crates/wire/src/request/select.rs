//! A query on an object's content. Both services' documents are alike; S3's SDKs name the root otherwise.

use cosette_model::op::{
    Compression, CsvInput, CsvOutput, FileHeader, Input, Output, Query, ScanRange, SelectObjectContent,
};
use cosette_model::{Error, ErrorCode};

use super::{Incoming, invalid};
use crate::xml::Element;

impl Incoming<'_> {
    pub(super) async fn select(mut self) -> Result<SelectObjectContent, Error> {
        let (bucket, key, version) = (self.bucket()?, self.key()?, self.version()?);
        let customer = self.customer_key()?;
        if self.headers.get("range")?.is_some() {
            return Err(ErrorCode::UnsupportedRangeHeader.into());
        }
        match self.query.get("select-type") {
            Some("2") => {}
            other => {
                return Err(invalid("select-type", other.unwrap_or_default(), "The select-type must be 2."));
            }
        }
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        Ok(SelectObjectContent { bucket, key, version, query: read(&document)?, customer })
    }
}

pub(crate) fn read(document: &[u8]) -> Result<Query, Error> {
    if document.trim_ascii().is_empty() {
        return Err(ErrorCode::EmptyRequestBody.into());
    }
    let root = Element::parse(document, "SelectObjectContentRequest")
        .or_else(|_| Element::parse(document, "SelectRequest"))?;
    let expression = root.child("Expression")?.map(|child| child.text.clone());
    let expression = expression.filter(|text| !text.trim().is_empty()).ok_or_else(missing)?;
    match root.text_of("ExpressionType")? {
        Some(kind) if kind.eq_ignore_ascii_case("SQL") => {}
        Some(_) => return Err(ErrorCode::InvalidExpressionType.into()),
        None => return Err(missing()),
    }
    let (input, compression) = input(root.child("InputSerialization")?.ok_or_else(missing)?)?;
    let output = output(root.child("OutputSerialization")?.ok_or_else(missing)?)?;
    let progress = match root.child("RequestProgress")? {
        Some(progress) => flag(progress, "Enabled")?,
        None => false,
    };
    let range = root.child("ScanRange")?.map(scan_range).transpose()?;
    Ok(Query { expression, input, compression, output, progress, range })
}

fn missing() -> Error {
    ErrorCode::MissingRequiredParameter.into()
}

fn wrong(name: &str) -> Error {
    let code = ErrorCode::InvalidRequestParameter;
    Error::with(code, format!("{} The parameter is {name}.", code.message()))
}

/// The one of these elements that is there.
fn one_of<'a>(of: &'a Element, names: &[&str]) -> Result<Option<&'a Element>, Error> {
    let mut found = of.children.iter().filter(|child| names.contains(&&child.name[..]));
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(ErrorCode::ObjectSerializationConflict.into()),
    }
}

fn input(of: &Element) -> Result<(Input, Compression), Error> {
    let compression = match of.text_of("CompressionType")?.map(str::to_ascii_uppercase).as_deref() {
        None | Some("NONE") => Compression::None,
        Some("GZIP") => Compression::Gzip,
        Some("BZIP2") => Compression::Bzip2,
        Some(_) => return Err(ErrorCode::InvalidCompressionFormat.into()),
    };
    let Some(format) = one_of(of, &["CSV", "JSON", "Parquet"])? else {
        let other = of.children.iter().any(|child| child.name != "CompressionType");
        return Err(if other { ErrorCode::InvalidDataSource.into() } else { missing() });
    };
    let input = match &format.name[..] {
        "CSV" => Input::Csv(csv_input(format)?),
        "JSON" => match format.text_of("Type")?.map(str::to_ascii_uppercase).as_deref() {
            Some("DOCUMENT") => Input::Json { lines: false },
            Some("LINES") => Input::Json { lines: true },
            _ => return Err(ErrorCode::InvalidJsonType.into()),
        },
        _ => Input::Parquet,
    };
    if input == Input::Parquet && compression != Compression::None {
        return Err(ErrorCode::InvalidCompressionFormat.into());
    }
    Ok((input, compression))
}

fn csv_input(of: &Element) -> Result<CsvInput, Error> {
    let usual = CsvInput::default();
    let header = match of.text_of("FileHeaderInfo")?.map(str::to_ascii_uppercase).as_deref() {
        None | Some("NONE") => FileHeader::None,
        Some("USE") => FileHeader::Use,
        Some("IGNORE") => FileHeader::Ignore,
        Some(_) => return Err(ErrorCode::InvalidFileHeaderInfo.into()),
    };
    Ok(CsvInput {
        header,
        record_delimiter: delimiter(of, "RecordDelimiter", 2, usual.record_delimiter)?,
        field_delimiter: delimiter(of, "FieldDelimiter", 1, usual.field_delimiter)?,
        quote: mark(of, "QuoteCharacter", usual.quote)?,
        escape: mark(of, "QuoteEscapeCharacter", usual.escape)?,
        comment: mark(of, "Comments", usual.comment)?,
        quoted_records: flag(of, "AllowQuotedRecordDelimiter")?,
    })
}

fn output(of: &Element) -> Result<Output, Error> {
    let format = one_of(of, &["CSV", "JSON"])?.ok_or_else(missing)?;
    let usual = CsvOutput::default();
    let record_delimiter = delimiter(format, "RecordDelimiter", 2, usual.record_delimiter)?;
    if format.name == "JSON" {
        return Ok(Output::Json { record_delimiter });
    }
    let quote_always = match format.text_of("QuoteFields")?.map(str::to_ascii_uppercase).as_deref() {
        None | Some("ASNEEDED") => false,
        Some("ALWAYS") => true,
        Some(_) => return Err(ErrorCode::InvalidQuoteFields.into()),
    };
    Ok(Output::Csv(CsvOutput {
        quote_always,
        record_delimiter,
        field_delimiter: delimiter(format, "FieldDelimiter", 1, usual.field_delimiter)?,
        quote: mark(format, "QuoteCharacter", usual.quote)?,
        escape: mark(format, "QuoteEscapeCharacter", usual.escape)?,
    }))
}

/// A delimiter of at most so many characters. COS's examples write control characters as escapes.
fn delimiter(of: &Element, name: &str, most: usize, usual: String) -> Result<String, Error> {
    let Some(text) = of.child(name)?.map(|child| &child.text[..]).filter(|text| !text.is_empty()) else {
        return Ok(usual);
    };
    let text = match text {
        "\\n" => "\n",
        "\\r" => "\r",
        "\\t" => "\t",
        "\\r\\n" => "\r\n",
        text => text,
    };
    if text.chars().count() > most { Err(wrong(name)) } else { Ok(text.to_owned()) }
}

/// A character, or none at all if the element is empty.
fn mark(of: &Element, name: &str, usual: String) -> Result<String, Error> {
    match of.child(name)? {
        None => Ok(usual),
        Some(child) if child.text.chars().count() > 1 => Err(wrong(name)),
        Some(child) => Ok(child.text.clone()),
    }
}

fn flag(of: &Element, name: &str) -> Result<bool, Error> {
    match of.text_of(name)? {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(wrong(name)),
    }
}

fn scan_range(of: &Element) -> Result<ScanRange, Error> {
    let number = |name| match of.text_of(name)? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Error::new(ErrorCode::InvalidScanRange)),
    };
    match (number("Start")?, number("End")?) {
        (Some(start), Some(end)) => Ok(ScanRange::FromTo(start, end)),
        (Some(start), None) => Ok(ScanRange::From(start)),
        (None, Some(count)) => Ok(ScanRange::Last(count)),
        (None, None) => Err(ErrorCode::InvalidScanRange.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EXPRESSION: &str =
        "<Expression>SELECT * FROM S3Object</Expression><ExpressionType>SQL</ExpressionType>";
    const CSV_OUT: &str = "<OutputSerialization><CSV/></OutputSerialization>";

    fn asked(inner: &str) -> Result<Query, ErrorCode> {
        read(format!("<SelectRequest>{inner}</SelectRequest>").as_bytes()).map_err(|error| error.code)
    }

    fn of_input(inner: &str) -> Result<(Input, Compression), ErrorCode> {
        let query = asked(&format!("{EXPRESSION}<InputSerialization>{inner}</InputSerialization>{CSV_OUT}"))?;
        Ok((query.input, query.compression))
    }

    #[test]
    fn documents() {
        let query = asked(&format!(
            "{EXPRESSION}<InputSerialization><CompressionType>Gzip</CompressionType><CSV>\
             <FileHeaderInfo>Use</FileHeaderInfo><RecordDelimiter>\\r\\n</RecordDelimiter>\
             <FieldDelimiter>&#9;</FieldDelimiter><QuoteCharacter/><QuoteEscapeCharacter>\\</QuoteEscapeCharacter>\
             <Comments>;</Comments><AllowQuotedRecordDelimiter>TRUE</AllowQuotedRecordDelimiter></CSV>\
             </InputSerialization><OutputSerialization><JSON><RecordDelimiter>,</RecordDelimiter></JSON>\
             </OutputSerialization><RequestProgress><Enabled>true</Enabled></RequestProgress>\
             <ScanRange><Start>5</Start></ScanRange>"
        ))
        .unwrap();
        let csv = CsvInput {
            header: FileHeader::Use,
            record_delimiter: "\r\n".into(),
            field_delimiter: "\t".into(),
            quote: String::new(),
            escape: "\\".into(),
            comment: ";".into(),
            quoted_records: true,
        };
        assert_eq!(query.input, Input::Csv(csv));
        assert_eq!(query.compression, Compression::Gzip);
        assert_eq!(query.output, Output::Json { record_delimiter: ",".into() });
        assert_eq!((query.progress, query.range), (true, Some(ScanRange::From(5))));
        assert_eq!(of_input("<CSV/>"), Ok((Input::Csv(CsvInput::default()), Compression::None)));
        assert_eq!(of_input("<Parquet/>"), Ok((Input::Parquet, Compression::None)));
        let lines = "<CompressionType>BZIP2</CompressionType><JSON><Type>LINES</Type></JSON>";
        assert_eq!(of_input(lines), Ok((Input::Json { lines: true }, Compression::Bzip2)));
    }

    #[test]
    fn refusals() {
        use ErrorCode::*;
        for (inner, want) in [
            ("", MissingRequiredParameter),
            ("<Avro/>", InvalidDataSource),
            ("<CSV/><JSON><Type>LINES</Type></JSON>", ObjectSerializationConflict),
            ("<CSV/><CompressionType>ZIP</CompressionType>", InvalidCompressionFormat),
            ("<Parquet/><CompressionType>GZIP</CompressionType>", InvalidCompressionFormat),
            ("<CSV><FileHeaderInfo>YES</FileHeaderInfo></CSV>", InvalidFileHeaderInfo),
            ("<CSV><FieldDelimiter>ab</FieldDelimiter></CSV>", InvalidRequestParameter),
            ("<CSV><RecordDelimiter>abc</RecordDelimiter></CSV>", InvalidRequestParameter),
            ("<CSV><QuoteCharacter>ab</QuoteCharacter></CSV>", InvalidRequestParameter),
            (
                "<CSV><AllowQuotedRecordDelimiter>1</AllowQuotedRecordDelimiter></CSV>",
                InvalidRequestParameter,
            ),
            ("<JSON><Type>ARRAY</Type></JSON>", InvalidJsonType),
            ("<JSON/>", InvalidJsonType),
        ] {
            assert_eq!(of_input(inner), Err(want), "{inner}");
        }
        let rest = format!("<InputSerialization><CSV/></InputSerialization>{CSV_OUT}");
        let input = "<InputSerialization><CSV/></InputSerialization>";
        let expression = "<Expression>x</Expression>";
        for (inner, want) in [
            (rest.clone(), MissingRequiredParameter),
            (format!("{expression}{rest}"), MissingRequiredParameter),
            (format!("{expression}<ExpressionType>XPath</ExpressionType>{rest}"), InvalidExpressionType),
            (format!("{EXPRESSION}{CSV_OUT}"), MissingRequiredParameter),
            (format!("{EXPRESSION}{input}"), MissingRequiredParameter),
            (format!("{EXPRESSION}{input}<OutputSerialization/>"), MissingRequiredParameter),
            (
                format!("{EXPRESSION}{input}<OutputSerialization><CSV/><JSON/></OutputSerialization>"),
                ObjectSerializationConflict,
            ),
            (
                format!(
                    "{EXPRESSION}{input}<OutputSerialization><CSV><QuoteFields>SOME</QuoteFields></CSV>\
                     </OutputSerialization>"
                ),
                InvalidQuoteFields,
            ),
            (format!("{EXPRESSION}{rest}<ScanRange/>"), InvalidScanRange),
            (format!("{EXPRESSION}{rest}<ScanRange><End>x</End></ScanRange>"), InvalidScanRange),
        ] {
            assert_eq!(asked(&inner), Err(want), "{inner}");
        }
        assert_eq!(read(b" ").unwrap_err().code, EmptyRequestBody);
        assert_eq!(read(b"<Select/>").unwrap_err().code, MalformedXml);
    }
}
