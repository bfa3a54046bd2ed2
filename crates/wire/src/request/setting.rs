//! Settings of buckets, tags, and what a browser asks first.

use cosette_model::op::{
    Call, DeleteObjectTagging, DeleteSetting, GetObjectTagging, GetSetting, ListSettings, OptionsObject,
    PostBucketInventory, PutObjectTagging, PutSetting, ServeWebsite,
};
use cosette_model::setting::{Crossing, DefaultTiering, SmallObjects, Verb};
use cosette_model::{ByteRange, Error, ErrorCode, Properties, Setting, SettingName, Tags};

use super::list::read_token;
use super::{Incoming, condition, invalid, lock};
use crate::header::{self, Headers};
use crate::query::Query;
use crate::{DialectName, setting};

/// S3 alone has it, of lifecycle rules.
pub(crate) const TRANSITION_MINIMUM: &str = "x-amz-transition-default-minimum-object-size";

/// S3 alone has it, of notifications.
pub(crate) const SKIP_VALIDATION: &str = "x-amz-skip-destination-validation";

impl Incoming<'_> {
    pub(super) async fn setting(self, name: SettingName, verb: Verb) -> Result<Call, Error> {
        let bucket = self.bucket()?;
        Ok(match verb {
            Verb::Get => Call::GetSetting(GetSetting { bucket, name, id: self.setting_id(name)? }),
            Verb::Delete => Call::DeleteSetting(DeleteSetting { bucket, name, id: self.setting_id(name)? }),
            Verb::List => Call::ListSettings(ListSettings { bucket, name, after: self.after()? }),
            Verb::Put => {
                let id = self.setting_id(name)?;
                let max = setting::bytes_max(name).unwrap_or(self.config.xml_bytes_max);
                let unchecked = name == SettingName::Notification && self.skips_validation()?;
                let small = match name {
                    SettingName::Lifecycle => self.small_objects()?,
                    _ => self.small_by_default(),
                };
                let document = self.payload.into_document(&self.headers, max).await?;
                let mut setting = setting::read(self.dialect.dialect(), self.accounts, name, &document)?;
                if let (Some(id), Some(said)) = (&id, setting.as_ref().and_then(Setting::id))
                    && id != said
                {
                    return Err(invalid("Id", said, "The id in the document is not the id in the request."));
                }
                let moves = match &mut setting {
                    Some(Setting::Lifecycle(rules)) => {
                        rules.small = small;
                        rules.rules.iter().any(|rule| rule.moves() && !rule.filter.has_size())
                    }
                    Some(
                        Setting::IntelligentTiering(rule) | Setting::DefaultTiering(DefaultTiering(rule)),
                    ) => {
                        rule.small = small;
                        true
                    }
                    _ => false,
                };
                if moves && small == SmallObjects::Move {
                    self.notes.push("lenient: transitions of small objects".to_owned());
                }
                Call::PutSetting(PutSetting { bucket, name, setting, unchecked })
            }
        })
    }

    pub(super) async fn post_inventory(self) -> Result<PostBucketInventory, Error> {
        let (bucket, id) = (self.bucket()?, self.setting_id(SettingName::Inventory)?);
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        let inventory = setting::inventory_once(self.dialect.dialect(), &document)?;
        if id.as_ref().is_some_and(|id| *id != inventory.id) {
            let why = "The id in the document is not the id in the request.";
            return Err(invalid("Id", &inventory.id, why));
        }
        Ok(PostBucketInventory { bucket, inventory })
    }

    /// Which, of those a bucket has several of.
    fn setting_id(&self, name: SettingName) -> Result<Option<String>, Error> {
        if name.list().is_none() {
            return Ok(None);
        }
        let id = self.query.filled("id").ok_or_else(|| invalid("id", "", "The request names no id."))?;
        Ok(Some(id.to_owned()))
    }

    fn after(&self) -> Result<Option<u64>, Error> {
        let Some(token) = self.query.filled("continuation-token") else { return Ok(None) };
        let wrong = || invalid("continuation-token", token, "The continuation token provided is incorrect");
        Ok(Some(read_token(token)?.parse().map_err(|_| wrong())?))
    }

    /// Whether the targets of a notification are to be taken as they are.
    fn skips_validation(&self) -> Result<bool, Error> {
        match self.headers.get(SKIP_VALIDATION)? {
            None => Ok(false),
            Some(said) => match said.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(invalid(SKIP_VALIDATION, said, "The value is neither true nor false.")),
            },
        }
    }

    /// Which objects transitions leave where they are. The services leave small ones; objects of local
    /// runs are small, so they are moved unless the client says otherwise.
    fn small_objects(&self) -> Result<SmallObjects, Error> {
        let said = self.headers.get(TRANSITION_MINIMUM)?.filter(|_| self.dialect == DialectName::S3);
        let Some(said) = said else { return Ok(self.small_by_default()) };
        SmallObjects::parse(said)
            .ok_or_else(|| invalid(TRANSITION_MINIMUM, said, "It is not a default minimum object size."))
    }

    fn small_by_default(&self) -> SmallObjects {
        match self.dialect {
            _ if !self.config.strict => SmallObjects::Move,
            DialectName::S3 => SmallObjects::Stay,
            DialectName::Cos => SmallObjects::StayInCos,
        }
    }

    pub(super) async fn put_object_tagging(self) -> Result<PutObjectTagging, Error> {
        let (bucket, key, version) = (self.bucket()?, self.key()?, self.version()?);
        let document = self.payload.into_document(&self.headers, self.config.xml_bytes_max).await?;
        Ok(PutObjectTagging { bucket, key, version, tags: setting::object_tags(&document)? })
    }

    pub(super) fn get_object_tagging(&self) -> Result<GetObjectTagging, Error> {
        Ok(GetObjectTagging { bucket: self.bucket()?, key: self.key()?, version: self.version()? })
    }

    pub(super) fn delete_object_tagging(&self) -> Result<DeleteObjectTagging, Error> {
        Ok(DeleteObjectTagging { bucket: self.bucket()?, key: self.key()?, version: self.version()? })
    }

    pub(super) fn serve_website(&self) -> Result<ServeWebsite, Error> {
        Ok(ServeWebsite {
            bucket: self.bucket()?,
            path: self.target.key.as_ref().map_or_else(String::new, |key| key.as_str().to_owned()),
            range: self.headers.get("range")?.and_then(ByteRange::parse),
            conditions: condition::read(&self.headers)?,
        })
    }

    pub(super) fn options(&self) -> Result<OptionsObject, Error> {
        let bad = |why| Error::with(ErrorCode::BadRequest, why);
        let asked = crossing(&self.headers, "")?
            .ok_or_else(|| bad("Insufficient information. Origin request header needed."))?;
        if asked.method.is_empty() {
            return Err(bad("Invalid Access-Control-Request-Method: null"));
        }
        Ok(OptionsObject { bucket: self.target.bucket.clone(), asked })
    }
}

/// What a script of another origin does here, if the request says that it comes from one.
pub(crate) fn crossing(headers: &Headers, method: &str) -> Result<Option<Crossing>, Error> {
    let Some(origin) = headers.get("origin")? else { return Ok(None) };
    let wanted = headers.get("access-control-request-headers")?.unwrap_or_default();
    Ok(Some(Crossing {
        origin: origin.to_owned(),
        method: headers.get("access-control-request-method")?.unwrap_or(method).to_owned(),
        headers: wanted.split(',').map(str::trim).filter(|h| !h.is_empty()).map(str::to_owned).collect(),
    }))
}

/// The properties that a write gives its object.
pub(super) fn properties(headers: &Headers) -> Result<Properties, Error> {
    let tags = tags(headers)?.map(Tags::into_map).unwrap_or_default();
    Ok(Properties { tags, ..Properties::default() }.locked(lock::asked(headers)?))
}

/// `x-*-tagging: k1=v1&k2=v2`, of an object.
pub(super) fn tags(headers: &Headers) -> Result<Option<Tags>, Error> {
    let pairs = tag_pairs(headers)?;
    pairs.map(|pairs| Tags::of_object(pairs).map_err(setting::invalid_tag)).transpose()
}

/// The same on the creation of a bucket (COS).
pub(super) fn bucket_tags(headers: &Headers) -> Result<Option<Tags>, Error> {
    let pairs = tag_pairs(headers)?;
    pairs.map(|pairs| Tags::of_bucket(pairs).map_err(setting::invalid_tag)).transpose()
}

fn tag_pairs(headers: &Headers) -> Result<Option<Vec<(String, String)>>, Error> {
    let Some(text) = headers.concept(header::TAGGING)? else { return Ok(None) };
    let name = header::TAGGING.of(headers.dialect());
    let query = Query::parse(text).map_err(|_| {
        invalid(name, text, format!("The header '{name}' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."))
    })?;
    Ok(Some(query.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
}

/// The tags that a copy gets: `None` for those of its source.
pub(super) fn copied_tags(headers: &Headers) -> Result<Option<Tags>, Error> {
    match headers.concept(header::TAGGING_DIRECTIVE)? {
        None => Ok(None),
        Some(directive) if directive.eq_ignore_ascii_case("copy") => Ok(None),
        Some(directive)
            if directive.eq_ignore_ascii_case("replace") || directive.eq_ignore_ascii_case("replaced") =>
        {
            Ok(Some(tags(headers)?.unwrap_or_default()))
        }
        Some(other) => {
            Err(invalid(header::TAGGING_DIRECTIVE.of(headers.dialect()), other, "Unknown tagging directive."))
        }
    }
}
