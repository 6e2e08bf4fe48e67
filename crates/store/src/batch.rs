//! Several changes that happen together or not at all.

/// Changes to write in one go.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) changes: Vec<Change>,
}

#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) key: Vec<u8>,
    /// The new value; `None` removes the record.
    pub(crate) value: Option<Vec<u8>>,
}

impl Batch {
    /// A batch without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record. A later change to the same key wins.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push(Change {
            key: key.into(),
            value: Some(value.into()),
        });
    }

    /// Removes a record, if there is one.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push(Change {
            key: key.into(),
            value: None,
        });
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
