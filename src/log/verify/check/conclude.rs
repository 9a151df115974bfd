//! Conclusion of a verification from all that was found: the verdict, and its limits.

#![forbid(unsafe_code)]

use super::super::super::hash::hex;
use super::super::{Audit, Report, Verdict};
use super::Checker;

impl<A: Audit> Checker<A> {
    /// The conclusion.
    pub(in super::super) fn report(mut self) -> Report {
        let entries = self.chain.tree.size();
        let covered = self.signed.max(self.anchored);
        let unsigned_tail = entries.saturating_sub(covered);
        let adopted = self.adopted_entries();
        let verdict = if self.tampered {
            Verdict::Tampered
        } else if self.split {
            Verdict::SplitView
        } else if self.rolled_back {
            Verdict::RolledBack
        } else if entries == 0 {
            self.note_problem(self.place(1, 0), "the ledger has no entry");
            Verdict::Missing
        } else if self.unread > 0 {
            Verdict::Continued
        } else if self.anchored > 0 {
            Verdict::Anchored
        } else if self.signed > 0 && adopted > 0 {
            Verdict::Adopted
        } else if !self.torn.is_empty() {
            Verdict::TornTail
        } else if self.signed > 0 {
            Verdict::Signed
        } else {
            Verdict::Unsigned
        };
        if self.clock_backs > 0 {
            self.warnings.push(format!(
                "the clock on the wall went back {} times",
                self.clock_backs
            ));
        }
        self.warnings.append(&mut self.missing);
        self.warnings.extend(self.audit.warnings());
        // A broken link is understood one line late.
        self.problems
            .sort_by(|a, b| (&a.segment, a.line, a.byte).cmp(&(&b.segment, b.line, b.byte)));
        Report {
            v: 1,
            resume: None,
            verdict,
            entries,
            unsigned_tail,
            not_proven: self.not_proven(verdict, unsigned_tail),
            problems: self.problems,
            warnings: self.warnings,
            origin: self.chain.origin,
            root: hex(&self.chain.tree.root()),
            signed: self.signed,
            anchored: self.anchored,
            adopted,
            unread: self.unread,
            torn: self.torn,
            open_runs: self.audit.unfinished(),
        }
    }

    /// Number of entries that no anchor covers and that were adopted.
    fn adopted_entries(&self) -> u64 {
        let ranges = self.adopted.iter();
        let counts = ranges.map(|(from, to)| {
            let end = to.saturating_add(1);
            end.saturating_sub((*from).max(self.anchored))
        });
        counts
            .fold(0, u64::saturating_add)
            .min(self.chain.tree.size())
    }

    fn not_proven(&self, verdict: Verdict, unsigned_tail: u64) -> Vec<String> {
        if !verdict.is_intact() {
            return Vec::new();
        }
        let mut sentences = Vec::new();
        if self.unread > 0 {
            sentences.push(format!(
                "the first {} entries were not read this time: their files have the size and the times that they had when they were verified",
                self.unread
            ));
        }
        for (from, to) in self.adopted.iter().filter(|(_, to)| *to >= self.anchored) {
            sentences.push(format!(
                "nobody knows who wrote entries {from} to {to}: a writer found them at the end without the code of the ledger's key, and went on behind them"
            ));
        }
        if self.signed.max(self.anchored) == 0 {
            sentences.push(
                "nothing is signed: whoever can write the files can write another history, and entries cut from the end leave no trace"
                    .to_owned(),
            );
            sentences.push(
                "no later line vouches for the last line: changes to its body that leave it readable are not found".to_owned(),
            );
        } else {
            if unsigned_tail > 0 {
                sentences.push(format!(
                    "the last {unsigned_tail} entries are covered by no checkpoint: they can be cut without a trace, and changes to the very last line that leave it readable are not found"
                ));
            }
            let since = match self.anchored {
                0 if self.agrees => "everything: the anchor agrees with what was verified before, and its entries were not read this time".to_owned(),
                0 => "everything: no checkpoint that was kept elsewhere was given".to_owned(),
                anchored => {
                    format!("everything after the {anchored} entries that the anchor covers")
                }
            };
            sentences.push(format!("who can read the ledger's key can rewrite {since}"));
            if self.anchored < self.chain.tree.size() {
                let back = match self.anchored {
                    0 => "an earlier checkpoint".to_owned(),
                    anchored => format!("an earlier checkpoint, down to entry {anchored}"),
                };
                sentences.push(format!(
                    "who can write the ledger's files can cut it back to {back} without the key: only a checkpoint kept elsewhere shows that"
                ));
            }
        }
        for torn in self.torn.iter().filter(|torn| !torn.accounted) {
            sentences.push(format!(
                "{} bytes at the end of `{}` are not a whole line; no writer has accounted for them yet",
                torn.bytes, torn.segment
            ));
        }
        sentences.extend(self.audit.not_proven());
        sentences
    }
}
