//! No name twice in one object: readers disagree about which of the two counts, so whoever could write both
//! could show different people different entries.
//!
//! Most objects have no two names of one class of 64, so that most names are compared with no other. What
//! somebody made to collide costs no more than sorting it.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::LazyLock;

use super::line::HEAD_NAMES;

/// Objects of up to this many names are searched through for a name whose class was seen.
const FEW: usize = 32;

/// The classes of the names of a line's head.
static HEAD_CLASSES: LazyLock<u64> = LazyLock::new(|| {
    HEAD_NAMES
        .iter()
        .fold(0, |bits, name| bits | class(name.as_bytes()))
});

/// Where a name stands in its line, in bytes, quotes excluded.
pub(super) type NameAt = (usize, usize);

/// The names of the objects that are being read, those of the innermost last.
#[derive(Debug, Default)]
pub(super) struct Names {
    spans: Vec<NameAt>,
}

/// One object that is being read.
#[derive(Debug)]
pub(super) struct Object {
    /// Where its names begin in [`Names`].
    first: usize,
    /// Which classes of names were seen, one bit for each.
    classes: u64,
    /// It is the whole line, whose head has names of its own.
    is_line: bool,
    /// Some names have to be looked at once more when it ends.
    doubt: bool,
}

impl Names {
    /// Forgets the objects of the last line, and begins with the object that a line is.
    pub(super) fn line(&mut self) -> Object {
        self.spans.clear();
        Object {
            first: 0,
            classes: *HEAD_CLASSES,
            is_line: true,
            doubt: false,
        }
    }

    /// Begins an object inside another.
    pub(super) fn object(&self) -> Object {
        Object {
            first: self.spans.len(),
            classes: 0,
            is_line: false,
            doubt: false,
        }
    }

    /// Takes the next name of `object`; `escaped` tells that it could be written otherwise too.
    ///
    /// # Errors
    /// Where the name begins, if it is there already.
    pub(super) fn add(
        &mut self,
        object: &mut Object,
        line: &[u8],
        span: NameAt,
        escaped: bool,
    ) -> Result<(), usize> {
        let name = text(line, span);
        let class = class(name);
        if object.classes & class != 0 {
            let others = self.spans.get(object.first..).unwrap_or(&[]);
            if object.is_line && HEAD_NAMES.iter().any(|head| head.as_bytes() == name) {
                return Err(span.0);
            }
            if others.len() > FEW {
                object.doubt = true;
            } else if others.iter().any(|other| text(line, *other) == name) {
                return Err(span.0);
            }
        }
        object.classes |= class;
        object.doubt |= escaped;
        self.spans.push(span);
        Ok(())
    }

    /// Ends `object`.
    ///
    /// # Errors
    /// Where the first name begins that is there already.
    pub(super) fn end(&mut self, object: &Object, line: &[u8]) -> Result<(), usize> {
        let twice = if object.doubt {
            twice(line, self.spans.get(object.first..).unwrap_or(&[]))
        } else {
            None
        };
        self.spans.truncate(object.first);
        twice.map_or(Ok(()), Err)
    }
}

/// Where the first name begins that equals an earlier one, however either is written.
fn twice(line: &[u8], spans: &[NameAt]) -> Option<usize> {
    let mut names: Vec<(Cow<'_, [u8]>, usize)> = spans
        .iter()
        .map(|span| (unescaped(line, *span), span.0))
        .collect();
    names.sort_unstable();
    names
        .windows(2)
        .filter_map(|pair| match pair {
            [(one, _), (other, at)] if one == other => Some(*at),
            _ => None,
        })
        .min()
}

fn unescaped(line: &[u8], span: NameAt) -> Cow<'_, [u8]> {
    let name = text(line, span);
    if !name.contains(&b'\\') {
        return Cow::Borrowed(name);
    }
    let quoted = [b"\"", name, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(name) => Cow::Owned(name.into_bytes()),
        Err(_) => Cow::Borrowed(name),
    }
}

fn text(line: &[u8], span: NameAt) -> &[u8] {
    line.get(span.0..span.1).unwrap_or(&[])
}

/// The class of a name, as one bit of 64.
fn class(name: &[u8]) -> u64 {
    let byte = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0));
    let class = byte(name.first())
        .wrapping_mul(5)
        .wrapping_add(byte(name.last()).wrapping_mul(3))
        .wrapping_add(name.len());
    1_u64.wrapping_shl(u32::try_from(class & 63).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first of `names` that is there already, as `Names` sees it.
    fn seen(names: &[String]) -> Option<usize> {
        let mut line = Vec::new();
        let mut spans = Vec::new();
        for name in names {
            let quoted = serde_json::to_string(name).unwrap();
            spans.push((line.len() + 1, line.len() + quoted.len() - 1));
            line.extend_from_slice(quoted.as_bytes());
        }
        let mut all = Names::default();
        let mut object = all.object();
        let found = spans
            .iter()
            .try_for_each(|span| {
                all.add(
                    &mut object,
                    &line,
                    *span,
                    text(&line, *span).contains(&b'\\'),
                )
            })
            .and_then(|()| all.end(&object, &line))
            .err();
        found.map(|at| spans.iter().position(|span| span.0 == at).unwrap())
    }

    proptest! {
        #[test]
        fn a_name_is_found_twice_where_comparing_all_with_all_finds_it(
            names in prop::collection::vec("[abc\"\\\\é]{0,3}", 0..80),
        ) {
            let twice = |n: &usize| names[..*n].contains(&names[*n]);
            prop_assert_eq!(seen(&names).is_some(), (0..names.len()).any(|n| twice(&n)));
            if let Some(n) = seen(&names) {
                prop_assert!(twice(&n));
            }
        }
    }

    #[test]
    fn a_line_full_of_names_of_one_class_is_read_and_the_one_that_comes_twice_found() {
        // First and last byte and the length are the same, so all are of one class.
        let mut names: Vec<String> = (0..8000).map(|n| format!("a{n:04}z")).collect();
        assert_eq!(seen(&names), None);
        names.push("a4711z".to_owned());
        assert_eq!(seen(&names), Some(8000));
    }
}
