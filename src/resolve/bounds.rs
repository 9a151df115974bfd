//! Bounds on the work on disk for one request, over all of its paths.

#![forbid(unsafe_code)]

use std::cell::Cell;

use super::Refusal;
use crate::reason::Reason;

/// Most directory entries and tracked names. A walk takes a second for them.
pub(super) const MAX_ENTRIES: usize = 200_000;

/// Most bytes of ignore files. What lies beyond ignores nothing.
const MAX_IGNORE_BYTES: usize = 1 << 20;

/// Most comparisons of a name with a pattern of an ignore file. Half a second of processor time.
const MAX_COMPARISONS: usize = 50_000_000;

/// The rest that the request may use.
#[derive(Debug)]
pub(super) struct Bounds {
    entries: Cell<usize>,
    ignore_bytes: Cell<usize>,
    comparisons: Cell<usize>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            entries: Cell::new(MAX_ENTRIES),
            ignore_bytes: Cell::new(MAX_IGNORE_BYTES),
            comparisons: Cell::new(MAX_COMPARISONS),
        }
    }
}

impl Bounds {
    /// Number of entries that may still be looked at.
    pub(super) fn entries(&self) -> usize {
        self.entries.get()
    }

    /// Takes entries off; `below` names the directory for the message.
    pub(super) fn take_entries(&self, entries: usize, below: &str) -> Result<(), Refusal> {
        take(&self.entries, entries).ok_or_else(|| too_large(below))
    }

    /// Takes bytes of an ignore file off; false if there are not as many left.
    pub(super) fn take_ignore_bytes(&self, bytes: usize) -> bool {
        take(&self.ignore_bytes, bytes).is_some()
    }

    /// Takes comparisons with patterns off.
    pub(super) fn take_comparisons(&self, comparisons: usize, below: &str) -> Result<(), Refusal> {
        take(&self.comparisons, comparisons).ok_or_else(|| {
            let message = format!("too many ignore patterns for the entries below `{below}`");
            Refusal::new(Reason::PathTreeTooLarge, message)
        })
    }
}

/// The refusal of a tree that is not looked through to its end.
pub(super) fn too_large(below: &str) -> Refusal {
    let message = format!(
        "a request may look at {MAX_ENTRIES} directory entries, and there are more below `{below}`"
    );
    Refusal::new(Reason::PathTreeTooLarge, message)
}

fn take(left: &Cell<usize>, amount: usize) -> Option<()> {
    left.set(left.get().checked_sub(amount)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_has_one_budget_for_all_its_paths() {
        let bounds = Bounds::default();
        assert!(bounds.take_entries(MAX_ENTRIES - 1, "a").is_ok());
        assert!(bounds.take_entries(2, "b").is_err());
        assert!(bounds.take_entries(1, "b").is_ok());
        assert_eq!(bounds.entries(), 0);
        assert!(bounds.take_ignore_bytes(MAX_IGNORE_BYTES));
        assert!(!bounds.take_ignore_bytes(1));
    }
}
