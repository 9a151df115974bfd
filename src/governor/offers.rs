//! Offers to a person who is asked: up to three approvals of growing width, each with its extent.
//!
//! Nothing of this is done when a request is decided: only when somebody looks.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Governor, GrantError, What, Wish};
use crate::analysis::Budget;
use crate::analysis::cells::Analysis;
use crate::analysis::widths::Question;
use crate::decision::extent::{Extent, ReadPlaces, Width};
use crate::decision::grant::GrantTerms;
use crate::decision::{Context, Effect, Request};
use crate::log::hash::{hex, sha256};
use crate::path::CanonicalPath;
use crate::policy::model::Approval;
use crate::resolve::{Kind, Surveyed, survey_below};

/// The approvals that are offered for a request, and why others are not.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Offers {
    /// From the narrowest.
    pub offers: Vec<Offer>,
    /// Widths that are not offered, with the reason.
    pub withheld: Vec<Withheld>,
}

/// One approval that somebody may give.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Offer {
    /// Its width.
    pub width: Width,
    /// Its number in a list.
    pub number: u8,
    /// SHA-256 over what it would say but for its name, its reason and its times. `lictor approve --offer` takes it, so that
    /// nothing else is approved than what was shown.
    pub offer: String,
    /// The files that it reaches today; none for exactly one request.
    pub files: Option<Files>,
    /// Its contents, with `WHY` as its reason.
    pub terms: GrantTerms,
    /// Its contents as the text that would be signed and recorded.
    pub text: String,
}

/// A width that is not offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Withheld {
    /// Which.
    pub width: Width,
    /// Why.
    pub why: String,
}

/// The files of the workspace that a kind of requests reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Files {
    /// Files that such a request may name.
    pub covered: u64,
    /// Files in the same places that it may not: a deny, or another rule's question, keeps them out.
    pub kept_out: u64,
}

impl Governor {
    /// The approvals that a person can give for a request.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn offers(&self, request: &Request, context: &Context) -> Result<Offers, GrantError> {
        let mut offers = Vec::new();
        let mut withheld = Vec::new();
        for width in Width::ALL {
            let mut wish = Wish::new(What::Request(request.clone()), "WHY");
            wish.width = width;
            let terms = match self.draft_grant(&wish, context) {
                Ok(terms) => terms,
                Err(GrantError::NotOffered { width, why }) => {
                    withheld.push(Withheld { width, why });
                    continue;
                }
                Err(error) if width == Width::Exact => return Err(error),
                Err(error) => {
                    let why = error.to_string();
                    withheld.push(Withheld { width, why });
                    continue;
                }
            };
            let extent = terms.extent.as_ref();
            let context = terms.grant(context.clone());
            let files = extent.and_then(|extent| self.files(extent, &terms.actor, &context));
            offers.push(Offer {
                width,
                number: width.number(),
                offer: offer_of(&terms),
                files,
                text: terms.to_text(),
                terms,
            });
        }
        Ok(Offers { offers, withheld })
    }

    /// The kind of requests that an approval of a request of somebody may be for.
    pub(super) fn extent(
        &self,
        request: &Request,
        context: &Context,
        approval: &Approval,
        width: Width,
    ) -> Result<Extent, GrantError> {
        let is_directory = |path: &CanonicalPath| self.is_directory(path);
        let mut question = Question::new(request, context, &approval.name);
        question.is_directory = &is_directory;
        self.analysis
            .get_or_init(|| Analysis::of(self.policy()))
            .widened(&question, width, &Budget::default())
            .map_err(|why| GrantError::NotOffered { width, why })
    }

    /// The directory that all of these places lie in.
    fn top_of(&self, places: &[ReadPlaces]) -> CanonicalPath {
        let patterns = places.iter().flat_map(|places| places.within());
        let prefixes = patterns.map(|pattern| {
            let prefix = pattern.literal_prefix();
            CanonicalPath::parse(prefix.as_bytes(), self.policy().switches())
                .unwrap_or_else(|_| CanonicalPath::workspace())
        });
        let shared = prefixes.reduce(|shared, prefix| shared.shared_with(&prefix));
        let mut top = shared.unwrap_or_else(CanonicalPath::workspace);
        while !top.is_workspace() && !self.is_directory(&top) {
            top = top.parent().unwrap_or_else(CanonicalPath::workspace);
        }
        top
    }

    fn is_directory(&self, path: &CanonicalPath) -> bool {
        let opened = self
            .workspace
            .as_ref()
            .ok()
            .and_then(|workspace| workspace.open(path, self.policy().disk_rules()).ok());
        opened.is_some_and(|opened| matches!(opened.kind(), Kind::Directory))
    }

    /// Counts the files that a kind of requests reaches, with what its approval grants in `context`; none if that cannot
    /// be read.
    fn files(&self, extent: &Extent, actor: &Option<String>, context: &Context) -> Option<Files> {
        let workspace = self.workspace.as_ref().ok()?;
        let policy = self.policy();
        let actor = actor.as_deref().unwrap_or(context.actor());
        let context = context.clone().for_actor(actor);
        let mut arguments = Surveyed::of(policy, actor, Some(&extent.tool), Some(&extent.action));
        arguments
            .retain(|argument| !argument.is_base && extent.paths.contains_key(&argument.argument));
        let places: Vec<ReadPlaces> = arguments
            .iter()
            .map(|argument| extent.paths.get(&argument.argument)?.read())
            .collect::<Option<_>>()?;
        let (mut covered, mut kept_out) = (BTreeSet::new(), BTreeSet::new());
        let mut tell = |path: &[u8], nth: usize, effect: Effect| {
            let Some(holds) = places.get(nth).and_then(|places| places.hold(path)) else {
                return;
            };
            match effect == Effect::Allow && holds {
                true => covered.insert(path.to_vec()),
                false => kept_out.insert(path.to_vec()),
            };
        };
        survey_below(
            policy,
            &context,
            workspace,
            &self.top_of(&places),
            &arguments,
            &mut |path, nth, verdict| tell(path, nth, verdict.effect),
        )
        .ok()?;
        let count = |files: &BTreeSet<Vec<u8>>| u64::try_from(files.len()).unwrap_or(u64::MAX);
        Some(Files {
            kept_out: count(&kept_out.difference(&covered).cloned().collect()),
            covered: count(&covered),
        })
    }
}

/// SHA-256, in hex, over what a grant says but for what differs each time it is drafted: its name, its reason, who makes it,
/// when, until when and how often.
#[must_use]
pub fn offer_of(terms: &GrantTerms) -> String {
    let mut bare = terms.clone();
    for differing in [&mut bare.id, &mut bare.why, &mut bare.made, &mut bare.until] {
        differing.clear();
    }
    bare.who.name = None;
    bare.who.uid = 0;
    bare.uses = 0;
    hex(&sha256(bare.to_text().as_bytes()))
}
