//! The names of a CSV file's columns, found without a look at each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::json::Name;

/// Where a name is; `None` if there are several.
type Place = Option<usize>;

#[derive(Default)]
pub(crate) struct Header<'a> {
    exact: HashMap<&'a str, Place>,
    /// In lower case.
    folded: HashMap<String, Place>,
}

impl<'a> Header<'a> {
    pub(crate) fn new(names: &'a [String]) -> Self {
        let mut header = Self::default();
        for (at, name) in names.iter().enumerate() {
            add(header.exact.entry(name), at);
            add(header.folded.entry(name.to_lowercase()), at);
        }
        header
    }

    /// `None` if there is no such name.
    pub(crate) fn place(&self, name: &Name) -> Option<Place> {
        let place = if name.exact {
            self.exact.get(name.text.as_str())
        } else {
            self.folded.get(&name.text.to_lowercase())
        };
        place.copied()
    }
}

fn add<K>(entry: Entry<'_, K, Place>, at: usize) {
    match entry {
        Entry::Occupied(mut entry) => *entry.get_mut() = None,
        Entry::Vacant(entry) => {
            entry.insert(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_case_and_without() {
        let names = ["a", "B", "b", "c", "c"].map(str::to_owned);
        let header = Header::new(&names);
        let place = |text: &str, exact| header.place(&Name { text: text.into(), exact });
        assert_eq!((place("A", false), place("A", true)), (Some(Some(0)), None));
        assert_eq!(
            (place("b", false), place("b", true), place("B", true)),
            (Some(None), Some(Some(2)), Some(Some(1)))
        );
        assert_eq!((place("c", true), place("d", false)), (Some(None), None));
    }
}
