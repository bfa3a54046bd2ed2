//! What is under way, by what it is about: who comes second joins it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The list; clones share one.
pub struct Open<K, V>(Arc<Mutex<HashMap<K, V>>>);

impl<K, V> Default for Open<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Clone for Open<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash, V> Open<K, V> {
    /// Nothing is begun or ends while it is held.
    pub fn list(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it off the list when it has ended, however it did.
    pub fn closing(&self, key: K) -> Closing<K, V> {
        Closing { open: self.clone(), key }
    }
}

/// Belongs to what is under way.
pub struct Closing<K: Eq + Hash, V> {
    open: Open<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Closing<K, V> {
    fn drop(&mut self) {
        self.open.list().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_off_the_list() {
        let open = Open::default();
        open.list().insert("a", 1);
        let closing = open.closing("a");
        assert_eq!(open.clone().list().get("a"), Some(&1));
        drop(closing);
        assert!(open.list().is_empty());
    }
}
