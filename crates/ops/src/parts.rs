//! The parts of a finished object: read by number, and listed as one of its attributes.

use cosette_model::op::{self, Context, ObjectInfo, Op, reply};
use cosette_model::{ErrorCode, PartNumber};
use cosette_store::Object;

use crate::Ops;
use crate::access::Admitted;
use crate::error::Result;
use crate::object::info;

impl Ops {
    /// The half-open positions of a part. What was not made of parts is its own first part.
    pub(crate) fn part_range(&self, object: &Object, number: PartNumber) -> Result<(u64, u64)> {
        if object.parts.is_none() && number.get() == 1 {
            return Ok((0, object.size));
        }
        match self.store.object_parts(object, number.get() - 1, 1)?.first() {
            Some(part) if part.number == number => Ok((part.offset, part.offset + part.size)),
            _ => Err(ErrorCode::InvalidPartNumber.into()),
        }
    }

    /// Who reads one part is shown the checksums of that part.
    pub(crate) fn of_part(
        &self,
        object: &Object,
        part: Option<PartNumber>,
        info: &mut ObjectInfo,
    ) -> Result<()> {
        let Some(number) = part.filter(|_| object.parts.is_some() && !info.checksums.is_empty()) else {
            return Ok(());
        };
        if let Some(part) = self.store.object_parts(object, number.get() - 1, 1)?.into_iter().next() {
            info.checksums = part.checksums;
        }
        Ok(())
    }

    pub(crate) fn object_attributes(
        &self,
        context: &Context,
        ask: op::GetObjectAttributes,
    ) -> Result<reply::GetObjectAttributes> {
        let Admitted { bucket, found, .. } =
            self.admit_to(context, Op::GetObjectAttributes, (&ask.bucket, &ask.key, &ask.version))?;
        let object = found?;
        self.store.check_customer(object.sealing.as_ref(), ask.customer.as_ref())?;
        let parts = match object.parts.filter(|_| ask.shown.parts) {
            None => None,
            Some(count) => {
                let max = ask.parts_max as usize;
                let mut parts = self.store.object_parts(&object, ask.parts_after, max + 1)?;
                let truncated = parts.len() > max;
                parts.truncate(max);
                let parts = parts.into_iter().filter(|part| !part.checksums.is_empty());
                Some(reply::AttributeParts {
                    count,
                    after: ask.parts_after,
                    max: ask.parts_max,
                    parts: parts
                        .map(|part| reply::AttributePart {
                            number: part.number,
                            size: part.size,
                            checksums: part.checksums,
                        })
                        .collect(),
                    truncated,
                })
            }
        };
        Ok(reply::GetObjectAttributes {
            info: info(context, &bucket, &object, true),
            shown: ask.shown,
            parts,
        })
    }
}
