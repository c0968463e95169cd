//! Names as small numbers: a column of identifiers is held as 4 bytes a row, and grouping compares integers.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use deltalake::arrow::array::{Array, StringArray, UInt32Array, UInt32Builder};

/// A dictionary from names to codes. It only grows, so that a code means the same in every snapshot that holds it.
#[derive(Debug, Default)]
pub(super) struct Keys {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    codes: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Entries {
    fn code(&mut self, name: &str) -> u32 {
        if let Some(code) = self.codes.get(name) {
            return *code;
        }
        let code = u32::try_from(self.names.len()).expect("memory ends long before four billion names");
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.codes.insert(name, code);
        code
    }
}

impl Keys {
    /// The codes of the names; new names get new codes, and null stays null.
    pub(super) fn encode(&self, names: &StringArray) -> UInt32Array {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let mut codes = UInt32Builder::with_capacity(names.len());
        for name in names {
            codes.append_option(name.map(|name| entries.code(name)));
        }
        codes.finish()
    }

    /// The name behind a code.
    pub(super) fn name(&self, code: u32) -> Option<Arc<str>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(code).ok().and_then(|index| entries.names.get(index)).cloned()
    }

    /// The code of a name that was seen before.
    pub(super) fn code(&self, name: &str) -> Option<u32> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).codes.get(name).copied()
    }

    /// How many names there are: every code is below.
    pub(super) fn len(&self) -> usize {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_code() {
        let keys = Keys::default();
        let first = keys.encode(&StringArray::from(vec![Some("b"), None, Some("a"), Some("b")]));
        assert_eq!(first, UInt32Array::from(vec![Some(0), None, Some(1), Some(0)]));
        assert_eq!(keys.encode(&StringArray::from(vec!["c", "a"])), UInt32Array::from(vec![2, 1]));
        assert_eq!(keys.name(1).as_deref(), Some("a"));
        assert_eq!((keys.len(), keys.name(3)), (3, None));
    }
}
