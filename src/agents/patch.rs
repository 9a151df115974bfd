//! The text of Codex's `apply_patch` → the files that it adds, changes, moves and deletes.
//!
//! Codex's own reader forgives white space around its marks. A line that it might take for a mark and this one not
//! would be a file that nobody has decided about, so such a line is refused.

#![forbid(unsafe_code)]

/// A change of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'p> {
    /// `*** Add File: P`.
    Add(&'p str),
    /// `*** Delete File: P`.
    Delete(&'p str),
    /// `*** Update File: P`, with `*** Move to: P` behind it or not.
    Update(&'p str, Option<&'p str>),
}

/// Reads a patch.
///
/// # Errors
///
/// Why it is not understood.
pub(super) fn changes(text: &str) -> Result<Vec<Change<'_>>, String> {
    let mut lines = text.trim_end_matches('\n').split('\n').enumerate();
    let misplaced = |nth: usize, line: &str| {
        let shown: String = line.chars().take(60).collect();
        format!(
            "line {} of the patch is not understood: `{}`",
            nth.saturating_add(1),
            shown.escape_debug()
        )
    };
    match lines.next() {
        Some((_, "*** Begin Patch")) => {}
        Some((nth, line)) => return Err(misplaced(nth, line)),
        None => return Err("the patch is empty".to_owned()),
    }
    let (mut changes, mut is_after_update, mut has_ended) = (Vec::new(), false, false);
    for (nth, line) in lines {
        if has_ended {
            return Err(misplaced(nth, line));
        }
        let was_after_update = std::mem::take(&mut is_after_update);
        let Some(mark) = line.strip_prefix("*** ") else {
            // Behind white space, Codex may still take it for a mark.
            if line.trim_start().starts_with("***") || line.contains('\r') {
                return Err(misplaced(nth, line));
            }
            if changes.is_empty() {
                return Err(misplaced(nth, line));
            }
            continue;
        };
        if let Some(path) = mark.strip_prefix("Add File: ") {
            changes.push(Change::Add(path));
        } else if let Some(path) = mark.strip_prefix("Delete File: ") {
            changes.push(Change::Delete(path));
        } else if let Some(path) = mark.strip_prefix("Update File: ") {
            changes.push(Change::Update(path, None));
            is_after_update = true;
        } else if let (Some(to), true) = (mark.strip_prefix("Move to: "), was_after_update) {
            if let Some(Change::Update(_, moved)) = changes.last_mut() {
                *moved = Some(to);
            }
        } else if mark == "End Patch" {
            has_ended = true;
        } else if mark != "End of File" || !matches!(changes.last(), Some(Change::Update(..))) {
            return Err(misplaced(nth, line));
        }
    }
    match (has_ended, changes.is_empty()) {
        (false, _) => Err("the patch does not end with `*** End Patch`".to_owned()),
        (true, true) => Err("the patch changes no file".to_owned()),
        (true, false) => Ok(changes),
    }
}

/// The patch in a shell text that is `apply_patch` with it as a here-document, and nothing else: Codex applies
/// that itself, and runs no shell.
pub(super) fn in_shell(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("apply_patch <<'")?;
    let (word, body) = rest.split_once("'\n")?;
    let is_plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let body = body.trim_end_matches('\n').strip_suffix(word)?;
    let is_whole = body.ends_with('\n') && !body.split('\n').any(|line| line == word);
    (is_plain && is_whole).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_patch_is_found() {
        let text = "*** Begin Patch\n*** Add File: a/b.txt\n+*** Delete File: no\n+x\n*** Update File: c d.rs\n*** Move to: e.rs\n@@ fn x\n-old\n+new\n *** \u{20}\n*** End of File\n*** Delete File: f\n*** End Patch\n";
        // A context line that looks like a mark behind its blank is refused, though Codex may read it as text.
        assert!(changes(text).is_err());
        let text = text.replace(" ***  \n", " plain\n");
        assert_eq!(
            changes(&text).unwrap(),
            [
                Change::Add("a/b.txt"),
                Change::Update("c d.rs", Some("e.rs")),
                Change::Delete("f")
            ]
        );
    }

    #[test]
    fn what_codex_may_read_otherwise_is_refused() {
        for text in [
            "",
            "*** Begin Patch\n*** End Patch",
            " *** Begin Patch\n*** Add File: a\n*** End Patch",
            "*** Begin Patch\n*** Add File: a\n",
            "*** Begin Patch\n*** Add File: a\n\t*** Delete File: b\n*** End Patch",
            "*** Begin Patch\n*** Add File: a\n***Delete File: b\n*** End Patch",
            "*** Begin Patch\n*** Add File: a\n*** Move to: b\n*** End Patch",
            "*** Begin Patch\n*** Environment ID: x\n*** Add File: a\n*** End Patch",
            "*** Begin Patch\n+x\n*** Add File: a\n*** End Patch",
            "*** Begin Patch\n*** Add File: a\n+x\r\n*** End Patch",
            "*** Begin Patch\n*** Add File: a\n*** End Patch\n*** Delete File: b\n*** End Patch",
        ] {
            assert!(changes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_here_document_is_a_patch_only_if_it_is_the_whole_text() {
        let patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\n";
        let text = format!("apply_patch <<'EOF'\n{patch}EOF\n");
        assert_eq!(in_shell(&text), Some(patch));
        assert_eq!(in_shell(&format!("{text}id")), None);
        assert_eq!(in_shell(&format!("{text}EOF\n")), None);
        assert_eq!(in_shell(&format!("cd x && {text}")), None);
        assert_eq!(in_shell(&text.replace("'EOF'", "EOF")), None);
    }
}
