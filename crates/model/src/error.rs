//! Every error code either service answers, with its status, in one table.

use std::fmt;

macro_rules! codes {
    ($($variant:ident $status:literal $name:literal $(s3 $s3:literal $(@ $s3status:literal)?)? $message:literal;)*) => {
        /// An error code of the object services (cos-api 7.2, and the S3 API reference's error list).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($variant),* }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// HTTP status in S3, where the two differ.
            pub const fn s3_status(self) -> u16 {
                match self { $(Self::$variant => {
                    #[allow(unused_mut, unused_assignments)]
                    let mut status = $status;
                    $($(status = $s3status;)?)?
                    status
                }),* }
            }

            /// COS's spelling.
            pub const fn cos(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// S3's spelling: COS's unless the table says otherwise.
            pub const fn s3(self) -> &'static str {
                match self { $(Self::$variant => { #[allow(unused_mut, unused_assignments)] let mut name = $name; $(name = $s3;)? name }),* }
            }

            /// What to say when there is nothing more precise.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),* }
            }
        }
    };
}

codes! {
    AccessControlListNotSupported 400 "AccessControlListNotSupported" "The bucket does not allow ACLs";
    AccessDenied 403 "AccessDenied" "Access Denied.";
    AccessForbidden 403 "AccessForbidden" "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec";
    ActionAccelerateNotSupported 400 "ActionAccelerateNotSupported" s3 "InvalidRequest" "The operation is not available on the acceleration host.";
    AppendPositionErr 409 "AppendPositionErr" "The position you specified is not the length of the object.";
    AuthorizationHeaderMalformed 400 "AuthorizationHeaderMalformed" "The authorization header is malformed.";
    AuthorizationQueryParametersError 400 "AuthorizationQueryParametersError" "The authorization query parameters are malformed.";
    AttachmentFull 400 "AttachmentFull" s3 "InvalidRequest" "An access control list holds at most 100 grants.";
    BadDigest 400 "BadDigest" "The Content-MD5 or checksum you specified did not match what was received.";
    BadRequest 400 "BadRequest" "The request is not valid.";
    BucketAccelerateNotEnabled 400 "BucketAccelerateNotEnabled" s3 "InvalidRequest" "Amazon S3 Transfer Acceleration is not configured on this bucket";
    BucketAlreadyExists 409 "BucketAlreadyExists" "The requested bucket name is not available.";
    BucketAlreadyOwnedByYou 409 "BucketAlreadyOwnedByYou" "The bucket you tried to create already exists, and you own it.";
    BucketLocked 409 "BucketLocked" "The bucket's object lock does not go with this configuration.";
    BucketNameTooLong 400 "BucketNameTooLong" s3 "InvalidBucketName" "The bucket name is too long for its host name of at most 60 characters.";
    BucketNotEmpty 409 "BucketNotEmpty" "The bucket you tried to delete is not empty.";
    BucketVersionNotOpen 400 "BucketVersionNotOpen" s3 "InvalidRequest" "Versioning must be 'Enabled' on the bucket to apply a replication configuration";
    DuplicateInventoryId 409 "DuplicateInventoryId" "An inventory of this id has been asked for today.";
    EntityTooLarge 400 "EntityTooLarge" "Your proposed upload exceeds the maximum allowed object size.";
    EntityTooSmall 400 "EntityTooSmall" "Your proposed upload is smaller than the minimum allowed object size.";
    ExpiredToken 400 "ExpiredToken" "The provided token has expired.";
    FileAlreadyExists 409 "FileAlreadyExists" "The object already exists and may not be overwritten.";
    IllegalLocationConstraint 400 "InvalidLocationConstraint" s3 "IllegalLocationConstraintException" "The specified location constraint is not valid.";
    IllegalVersioningConfiguration 400 "IllegalVersioningConfigurationException" "The Versioning element must be specified.";
    IncompleteBody 400 "IncompleteBody" "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    InternalError 500 "InternalError" "We encountered an internal error. Please try again.";
    IncorrectNumberOfFilesInPostRequest 400 "IncorrectNumberOfFilesInPostRequest" "POST requires exactly one file upload per request.";
    InvalidAccessKeyId 403 "InvalidAccessKeyId" "The Access Key Id you provided does not exist in our records.";
    InvalidArgument 400 "InvalidArgument" "Invalid Argument.";
    InvalidBucketAclWithObjectOwnership 400 "InvalidBucketAclWithObjectOwnership" "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    InvalidBucketOwner 400 "InvalidArgument" s3 "InvalidBucketOwnerAWSAccountID" "The expected bucket owner is not an account's number.";
    InvalidBucketName 400 "InvalidBucketName" "The specified bucket is not valid.";
    InvalidBucketState 409 "InvalidBucketState" "The request is not valid with the current state of the bucket.";
    InvalidChecksum 400 "InvalidRequest" "The checksum value you specified is invalid.";
    InvalidCopySource 400 "InvalidCopySource" s3 "InvalidArgument" "The copy source is not valid.";
    InvalidDelimiter 400 "InvalidDelimiter" s3 "InvalidArgument" "The delimiter is not valid.";
    InvalidDigest 400 "InvalidDigest" "The Content-MD5 you specified is not valid.";
    InvalidLockedTime 409 "InvalidLockedTime" s3 "AccessDenied" @ 403 "Access Denied because object protected by object lock.";
    InvalidObjectName 400 "InvalidObjectName" s3 "InvalidURI" "The object key is not valid.";
    InvalidObjectState 403 "InvalidObjectState" "The operation is not valid for the object storage class.";
    InvalidPart 400 "InvalidPart" "One or more of the specified parts could not be found, or its ETag did not match.";
    InvalidPartNumber 416 "InvalidPartNumber" "The requested partnumber is not satisfiable.";
    InvalidPartOrder 400 "InvalidPartOrder" "The list of parts was not in ascending order.";
    InvalidPolicyDocument 400 "InvalidPolicyDocument" "The content of the form does not meet the conditions specified in the policy document.";
    InvalidRange 416 "InvalidRange" "The requested range is not satisfiable.";
    InvalidRedirectLocation 400 "InvalidRedirectLocation" "The website redirect location is not valid.";
    InvalidRequest 400 "InvalidRequest" "The request is not valid.";
    InvalidRetentionPeriod 400 "InvalidArgument" s3 "InvalidRetentionPeriod" "The retention period must be a positive integer.";
    InvalidSha1Digest 400 "InvalidSHA1Digest" "The SHA-1 you specified did not match what was received.";
    InvalidTag 400 "InvalidTag" "The tag provided was not a valid tag.";
    InvalidTargetBucketForLogging 400 "InvalidTargetBucketForLogging" "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for the log-delivery group.";
    InvalidUri 400 "InvalidURI" "Couldn't parse the specified URI.";
    KmsKeyNotExist 400 "KmsKeyNotExist" s3 "KMS.NotFoundException" "The key of the key management service does not exist.";
    KeyTooLong 400 "KeyTooLong" s3 "KeyTooLongError" "Your key is too long.";
    ListPartUploadIdIsEmpty 400 "ListPartUploadIdIsEmpty" s3 "InvalidArgument" "The upload id is empty.";
    MalformedAcl 400 "MalformedXML" s3 "MalformedACLError" "The XML you provided was not well-formed or did not validate against our published schema";
    MalformedPolicy 400 "MalformedPolicy" "The policy is not in the valid JSON format.";
    MalformedPostRequest 400 "MalformedPOSTRequest" "The body of your POST request is not well-formed multipart/form-data.";
    MazOperationNotSupportOnOazBucket 400 "MAZOperationNotSupportOnOAZBucket" s3 "InvalidStorageClass" "The storage class needs a bucket of several zones.";
    MalformedXml 400 "MalformedXML" "The XML you provided was not well-formed or did not validate against our published schema.";
    MaxMessageLengthExceeded 400 "XMLSizeLimit" s3 "MaxMessageLengthExceeded" "Your request was too large.";
    MaxPostPreDataLengthExceeded 400 "MaxPostPreDataLengthExceededError" "Your POST request fields preceding the upload file were too large.";
    MetadataTooLarge 400 "MetadataTooLarge" "Your metadata headers exceed the maximum allowed metadata size.";
    MethodNotAllowed 405 "MethodNotAllowed" "The specified method is not allowed against this resource.";
    MissingContentLength 411 "MissingContentLength" "You must provide the Content-Length HTTP header.";
    MissingRequestBody 400 "MissingRequestBodyError" "Request body is empty.";
    MissingSecurityHeader 400 "MissingSecurityHeader" "Your request was missing a required header.";
    NoSuchBucket 404 "NoSuchBucket" "The specified bucket does not exist.";
    NoSuchBucketPolicy 404 "NoSuchPolicyVersion" s3 "NoSuchBucketPolicy" "The bucket policy does not exist";
    NoSuchConfiguration 404 "NoSuchConfiguration" "The specified configuration does not exist.";
    NoSuchCopySource 404 "NoSuchCopySource" s3 "NoSuchKey" "The copy source does not exist.";
    NoSuchCorsConfiguration 404 "NoSuchCORSConfiguration" "The CORS configuration does not exist.";
    DnsRecordVerifyFailed 400 "DNSRecordVerifyFailed" "The record that proves the domain to be yours was not found.";
    DomainConfigConflict 409 "DomainConfigConflict" "The domain is bound to another bucket.";
    NoSuchDomainConfiguration 404 "DomainConfigNotFoundError" "The domain configuration does not exist.";
    NoSuchEncryptionConfiguration 404 "NoSuchEncryptionConfiguration" s3 "ServerSideEncryptionConfigurationNotFoundError" "The server side encryption configuration was not found";
    NoSuchInventoryConfiguration 404 "InventoryConfigurationNotFoundError" s3 "NoSuchConfiguration" "The specified configuration does not exist.";
    NoSuchKey 404 "NoSuchKey" "The specified key does not exist.";
    NoSuchLifecycleConfiguration 404 "NoSuchLifecycleConfiguration" "The lifecycle configuration does not exist.";
    NoSuchOriginConfiguration 404 "OriginConfigurationNotFoundError" "The origin configuration does not exist.";
    NoSuchPublicAccessBlockConfiguration 404 "NoSuchPublicAccessBlockConfiguration" "The public access block configuration was not found";
    NoSuchReplicationConfiguration 404 "ReplicationConfigurationnotFoundError" s3 "ReplicationConfigurationNotFoundError" "The replication configuration was not found";
    NoSuchTagSet 404 "NoSuchTagSet" "The TagSet does not exist.";
    NoRetention 404 "NoSuchObjectLockConfiguration" "The specified object does not have a ObjectLock configuration";
    NoSuchObjectLockConfiguration 404 "NoSuchObjectLockConfiguration" s3 "ObjectLockConfigurationNotFoundError" "Object Lock configuration does not exist for this bucket";
    NoSuchUpload 404 "NoSuchUpload" "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    NoSuchVersion 404 "NoSuchVersion" "The specified version does not exist.";
    NoSuchWebsiteConfiguration 404 "NoSuchWebsiteConfiguration" "The specified bucket does not have a website configuration.";
    NotImplemented 501 "NotImplemented" "A header or operation you provided implies functionality that is not implemented.";
    NotModified 304 "NotModified" "Not Modified";
    NotSupportedStorageClass 400 "NotSupportedStorageClass" s3 "InvalidStorageClass" "The storage class you specified is not valid.";
    ObjectLocked 409 "ObjectLocked" s3 "AccessDenied" @ 403 "The object is locked and may not be removed or overwritten.";
    ObjectNotAppendable 409 "ObjectNotAppendable" "The operation is not valid for the current state of the object.";
    OriginFailed 424 "FailedDependency" "The origin did not answer as it should.";
    OwnershipControlsNotFound 404 "OwnershipControlsNotFoundError" "The bucket ownership controls were not found";
    PathStyleDomainForbidden 403 "PathStyleDomainForbidden" "The bucket you are attempting to access must be addressed using COS virtual-styled domain.";
    PolicyFull 400 "PolicyFull" s3 "PolicyTooLarge" "The policy is larger than 20 KiB.";
    PreconditionFailed 412 "PreconditionFailed" "Precondition not match.";
    RequestExpired 403 "AccessDenied" "Request has expired";
    RequestTimeTooSkewed 403 "RequestTimeTooSkewed" "The difference between the request time and the current time is too large.";
    RequestTimeout 400 "RequestTimeout" "Your socket connection to the server was not read from or written to within the timeout period.";
    RestoreAlreadyInProgress 409 "RestoreAlreadyInProgress" "Object restore is already in progress.";
    RestoreNonArchiveObject 405 "RestoreNonArchiveObject" s3 "InvalidObjectState" @ 403 "The object is not archived.";
    ServiceUnavailable 503 "ServiceUnavailable" "Please reduce your request rate.";
    SignatureDoesNotMatch 403 "SignatureDoesNotMatch" "The request signature we calculated does not match the signature you provided.";
    SlowDown 503 "SlowDown" "Please reduce your request rate.";
    SseHeaderNotAllowed 400 "SSEHeaderNotAllowed" s3 "InvalidArgument" "A header of server-side encryption is not supported for this operation.";
    SseNotApplicable 400 "SSEHeaderNotAllowed" s3 "InvalidRequest" "The encryption parameters are not applicable to this object.";
    SsecDecryptHeaderInvalid 400 "SsecDecryptHeaderInvalid" s3 "InvalidRequest" "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.";
    SsecKeyWrong 400 "SsecDecryptHeaderInvalid" s3 "AccessDenied" @ 403 "The provided encryption parameters did not match the ones used originally.";
    TargetBucketNameInvalid 400 "TargetBucketNameInvalid" s3 "InvalidRequest" "The destination bucket is not valid.";
    TooManyBuckets 400 "TooManyBuckets" "You have attempted to create more buckets than allowed.";
    TooManyConfigurations 400 "TooManyConfigurations" "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.";
    TooManyInventories 400 "InventoryFull" s3 "TooManyConfigurations" "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.";
    TooManyTags 400 "InvalidTag" s3 "BadRequest" "There are too many tags.";
    UnresolvableGrantByEmailAddress 400 "UnresolvableGrantByEmailAddress" "The e-mail address you provided does not match any account on record.";
    UserNotTargetBucketOwner 403 "UserNotTargetBucketOwner" s3 "AccessDenied" "The destination bucket is another account's.";
    VerifyAlgorithmNotSupported 400 "VerifyAlgorithmNotSupported" s3 "InvalidRequest" "The signature algorithm is not supported.";
    ContentSha256Mismatch 400 "XAmzContentSHA256Mismatch" "The provided 'x-amz-content-sha256' header does not match what was computed.";

    // Of queries (SelectObjectContent); both services name them alike.
    AmbiguousFieldName 400 "AmbiguousFieldName" "The field name matches to multiple fields in the file. Check the SQL expression and the file, and try again.";
    CastFailed 400 "CastFailed" "Attempt to convert from one data type to another using CAST failed in the SQL expression.";
    CsvEscapingRecordDelimiter 400 "CSVEscapingRecordDelimiter" "A quoted record delimiter was found in the file. To allow quoted record delimiters, set AllowQuotedRecordDelimiter to 'TRUE'.";
    CsvUnescapedQuote 400 "CSVUnescapedQuote" "An unescaped quote was found while parsing the CSV file. To allow quoted record delimiters, set AllowQuotedRecordDelimiter to 'TRUE'.";
    EmptyRequestBody 400 "EmptyRequestBody" "Request body cannot be empty.";
    EvaluatorInvalidArguments 400 "EvaluatorInvalidArguments" "Incorrect number of arguments in the function call in the SQL expression.";
    EvaluatorInvalidTimestampFormatPattern 400 "EvaluatorInvalidTimestampFormatPattern" "Time stamp format string in the SQL expression is invalid.";
    EvaluatorInvalidTimestampFormatPatternSymbol 400 "EvaluatorInvalidTimestampFormatPatternSymbol" "Time stamp format pattern contains an invalid symbol in the SQL expression.";
    EvaluatorInvalidTimestampFormatPatternToken 400 "EvaluatorInvalidTimestampFormatPatternToken" "Time stamp format pattern contains an invalid token in the SQL expression.";
    EvaluatorLikePatternInvalidEscapeSequence 400 "EvaluatorLikePatternInvalidEscapeSequence" "Invalid argument given to the LIKE expression.";
    EvaluatorNegativeLimit 400 "EvaluatorNegativeLimit" "LIMIT must not be negative.";
    EvaluatorUnterminatedTimestampFormatPatternToken 400 "EvaluatorUnterminatedTimestampFormatPatternToken" "Time stamp format pattern contains unterminated token in the SQL expression.";
    ExpressionTooLong 400 "ExpressionTooLong" "The SQL expression is too long: The maximum byte-length for the SQL expression is 256 KB.";
    ExternalEvalException 400 "ExternalEvalException" "The query cannot be evaluated. Check the file and try again.";
    IncorrectSqlFunctionArgumentType 400 "IncorrectSqlFunctionArgumentType" "Incorrect type of arguments in function call in the SQL expression.";
    IntegerOverflow 400 "IntegerOverflow" "Integer overflow or underflow in the SQL expression.";
    InvalidColumnIndex 400 "InvalidColumnIndex" "The column index in the SQL expression is invalid.";
    InvalidCompressionFormat 400 "InvalidCompressionFormat" "The file is not in a supported compression format. Only GZIP and BZIP2 are supported.";
    InvalidDataSource 400 "InvalidDataSource" "Invalid data source type. Only CSV, JSON, and Parquet are supported.";
    InvalidDataType 400 "InvalidDataType" "The SQL expression contains an invalid data type.";
    InvalidExpressionType 400 "InvalidExpressionType" "The ExpressionType is invalid. Only SQL expressions are supported.";
    InvalidFileHeaderInfo 400 "InvalidFileHeaderInfo" "The FileHeaderInfo is invalid. Only NONE, USE, and IGNORE are supported.";
    InvalidJsonType 400 "InvalidJsonType" "The JsonType is invalid. Only DOCUMENT and LINES are supported.";
    InvalidKeyPath 400 "InvalidKeyPath" "Key path in the SQL expression is invalid.";
    InvalidQuoteFields 400 "InvalidQuoteFields" "The QuoteFields is invalid. Only ALWAYS and ASNEEDED are supported.";
    InvalidRequestParameter 400 "InvalidRequestParameter" "The value of a parameter in SelectRequest element is invalid. Check the service API documentation and try again.";
    InvalidScanRange 400 "InvalidScanRange" "The provided scan range is not valid.";
    InvalidTableAlias 400 "InvalidTableAlias" "The SQL expression contains an invalid table alias.";
    InvalidTextEncoding 400 "InvalidTextEncoding" "Invalid encoding type. Only UTF-8 encoding is supported.";
    JsonParsingError 400 "JSONParsingError" "Encountered an error parsing the JSON file. Check the file and try again.";
    LexerInvalidChar 400 "LexerInvalidChar" "The SQL expression contains an invalid character.";
    LexerInvalidIonLiteral 400 "LexerInvalidIONLiteral" "The SQL expression contains an invalid literal.";
    LexerInvalidLiteral 400 "LexerInvalidLiteral" "The SQL expression contains an invalid literal.";
    LexerInvalidOperator 400 "LexerInvalidOperator" "The SQL expression contains an invalid operator.";
    LikeInvalidInputs 400 "LikeInvalidInputs" "Invalid argument given to the LIKE clause in the SQL expression.";
    MaxOperatorsExceeded 400 "MaxOperatorsExceeded" "Failed to parse SQL expression, try reducing complexity. For example, reduce number of operators used.";
    MissingHeaders 400 "MissingHeaders" "Some headers in the query are missing from the file. Check the file and try again.";
    MissingRequiredParameter 400 "MissingRequiredParameter" "The SelectRequest entity is missing a required parameter. Check the service documentation and try again.";
    ObjectSerializationConflict 400 "ObjectSerializationConflict" "The SelectRequest entity can only contain one of CSV or JSON. Check the service documentation and try again.";
    OverMaxParquetBlockSize 400 "OverMaxParquetBlockSize" "The Parquet file is above the max row group size.";
    OverMaxRecordSize 400 "OverMaxRecordSize" "The length of a record in the input or result is greater than maxCharsPerRecord of 1 MB.";
    ParquetParsingError 400 "ParquetParsingError" "Error parsing Parquet file. Please check the file and try again.";
    ParquetUnsupportedCompressionCodec 400 "ParquetUnsupportedCompressionCodec" "The specified Parquet compression codec is not supported.";
    ParseAsteriskIsNotAloneInSelectList 400 "ParseAsteriskIsNotAloneInSelectList" "Other expressions are not allowed in the SELECT list when '*' is used without dot notation in the SQL expression.";
    ParseCastArity 400 "ParseCastArity" "The SQL expression CAST has incorrect arity.";
    ParseEmptySelect 400 "ParseEmptySelect" "The SQL expression contains an empty SELECT.";
    ParseExpectedArgumentDelimiter 400 "ParseExpectedArgumentDelimiter" "Did not find the expected argument delimiter in the SQL expression.";
    ParseExpectedDatePart 400 "ParseExpectedDatePart" "Did not find the expected date part in the SQL expression.";
    ParseExpectedExpression 400 "ParseExpectedExpression" "Did not find the expected SQL expression.";
    ParseExpectedIdentForAlias 400 "ParseExpectedIdentForAlias" "Did not find the expected identifier for the alias in the SQL expression.";
    ParseExpectedKeyword 400 "ParseExpectedKeyword" "Did not find the expected keyword in the SQL expression.";
    ParseExpectedLeftParenAfterCast 400 "ParseExpectedLeftParenAfterCast" "Did not find expected the left parenthesis in the SQL expression.";
    ParseExpectedLeftParenBuiltinFunctionCall 400 "ParseExpectedLeftParenBuiltinFunctionCall" "Did not find the expected left parenthesis in the SQL expression.";
    ParseExpectedNumber 400 "ParseExpectedNumber" "Did not find the expected number in the SQL expression.";
    ParseExpectedRightParenBuiltinFunctionCall 400 "ParseExpectedRightParenBuiltinFunctionCall" "Did not find the expected right parenthesis character in the SQL expression.";
    ParseExpectedTypeName 400 "ParseExpectedTypeName" "Did not find the expected type name in the SQL expression.";
    ParseExpectedWhenClause 400 "ParseExpectedWhenClause" "Did not find the expected WHEN clause in the SQL expression. CASE is not supported.";
    ParseInvalidContextForWildcardInSelectList 400 "ParseInvalidContextForWildcardInSelectList" "Invalid use of * in SELECT list in the SQL expression.";
    ParseInvalidPathComponent 400 "ParseInvalidPathComponent" "The SQL expression contains an invalid path component.";
    ParseMalformedJoin 400 "ParseMalformedJoin" "JOIN is not supported in the SQL expression.";
    ParseNonUnaryAggregateFunctionCall 400 "ParseNonUnaryAgregateFunctionCall" "Only one argument is supported for aggregate functions in the SQL expression.";
    ParseSelectMissingFrom 400 "ParseSelectMissingFrom" "The SQL expression contains a missing FROM after SELECT list.";
    ParseUnexpectedKeyword 400 "ParseUnExpectedKeyword" "The SQL expression contains an unexpected keyword.";
    ParseUnexpectedToken 400 "ParseUnexpectedToken" "The SQL expression contains an unexpected token.";
    ParseUnsupportedCallWithStar 400 "ParseUnsupportedCallWithStar" "Only COUNT with (*) as a parameter is supported in the SQL expression.";
    ParseUnsupportedSelect 400 "ParseUnsupportedSelect" "The SQL expression contains an unsupported use of SELECT.";
    ParseUnsupportedSyntax 400 "ParseUnsupportedSyntax" "The SQL expression contains unsupported syntax.";
    TruncatedInput 400 "TruncatedInput" "Object decompression failed. Check that the object is properly compressed using the format specified in the request.";
    UnsupportedFunction 400 "UnsupportedFunction" "Encountered an unsupported SQL function.";
    UnsupportedParquetType 400 "UnsupportedParquetType" "The specified Parquet type is not supported.";
    UnsupportedRangeHeader 400 "UnsupportedRangeHeader" "Range header is not supported for this operation.";
    UnsupportedScanRangeInput 400 "UnsupportedScanRangeInput" "Scan range queries are not supported on this type of object.";
    UnsupportedSqlOperation 400 "UnsupportedSqlOperation" "Encountered an unsupported SQL operation.";
    UnsupportedSqlStructure 400 "UnsupportedSqlStructure" "Encountered an unsupported SQL structure. Check the SQL Reference.";
    ValueParseFailure 400 "ValueParseFailure" "Time stamp parse failure in the SQL expression.";
}

/// A failed operation: what the client is told, and what the log is told besides.
#[derive(Debug)]
pub struct Error {
    pub code: ErrorCode,
    /// For the client; the code's own text when `None`.
    pub message: Option<String>,
    /// In place of the code's own: an origin's.
    pub status: Option<u16>,
    /// Further elements of the error document, such as `("Key", ...)`, in order.
    pub details: Vec<(&'static str, String)>,
    /// The object that a condition was checked against: a 304 carries its headers.
    pub object: Option<Box<crate::op::ObjectInfo>>,
    /// The delete marker that is there in place of an object: headers say so.
    pub delete_marker: Option<crate::VersionId>,
    /// For the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            status: None,
            details: Vec::new(),
            object: None,
            delete_marker: None,
            source: None,
        }
    }

    pub fn with(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::new(code) }
    }

    /// Ours, not the client's: answered as `InternalError`, the cause goes to the log.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(ErrorCode::InternalError) }
    }

    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_else(|| self.code.message())
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.s3(), self.message())?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_an_error_with_words() {
        for code in ErrorCode::ALL {
            assert!((300..=599).contains(&code.status()), "{code:?}");
            assert!(
                !code.cos().is_empty() && !code.s3().is_empty() && !code.message().is_empty(),
                "{code:?}"
            );
        }
        assert_eq!(ErrorCode::KeyTooLong.s3(), "KeyTooLongError");
        assert_eq!(ErrorCode::KeyTooLong.cos(), "KeyTooLong");
    }
}
