//! The approvals that are offered for a request, numbered, each with what it would cover.

#![forbid(unsafe_code)]

use serde_json::json;

use super::approve::short;
use super::{Global, granted, print_json};
use crate::decision::extent::Width;
use crate::governor::{Files, Governor, Offer, Offers};
use crate::text::escaped;

/// Prints what can be approved. Nothing is recorded.
pub(super) fn print(offers: &Offers, governor: &Governor, global: &Global) {
    if global.json {
        print_json(&json!({"v": 1, "offers": offers.offers, "withheld": offers.withheld}));
        return;
    }
    for line in lines(offers) {
        answer!("{line}");
    }
    for line in bound_to(governor) {
        answer!("{line}");
    }
    answer!("to approve one: the same line with --why TEXT and --width WIDTH");
}

/// Policy and workspace that all of them are bound to.
pub(super) fn bound_to(governor: &Governor) -> Vec<String> {
    vec![
        format!("policy     {}", granted::shown(governor.policy().name())),
        format!(
            "workspace  {}",
            granted::shown(&governor.workspace_path().to_string_lossy())
        ),
    ]
}

/// The offers, each with a line for what it covers, and why others are not made.
pub(super) fn lines(offers: &Offers) -> Vec<String> {
    let mut lines = Vec::new();
    for offer in &offers.offers {
        lines.push(format!(
            "{}  {:<5}  {}",
            offer.number,
            offer.width.word(),
            meaning(offer.width)
        ));
        let told = match &offer.terms.extent {
            Some(extent) => granted::kind(extent),
            None => offer
                .terms
                .request
                .as_ref()
                .map(granted::understood)
                .unwrap_or_default(),
        };
        lines.extend(told.into_iter().map(|line| format!("   {line}")));
        for pin in &offer.terms.pins {
            let (path, sha256) = (granted::shown(&pin.path), granted::shown(&pin.sha256));
            lines.push(format!("   {:<9}  {path} with SHA-256 {sha256}", "file"));
        }
        if let Some(files) = &offer.files {
            lines.push(format!("   {:<9}  {}", "files", counted(files)));
        }
        if let Some(actor) = &offer.terms.actor {
            lines.push(format!("   {:<9}  {}", "actor", granted::shown(actor)));
        }
        lines.push(format!("   {:<9}  {}", "counts", counts(offer)));
    }
    for withheld in &offers.withheld {
        lines.push(format!(
            "-  {:<5}  not offered: {}",
            withheld.width.word(),
            escaped(&withheld.why)
        ));
    }
    lines
}

fn meaning(width: Width) -> &'static str {
    match width {
        Width::Exact => "this request",
        Width::Paths => "this command on these paths",
        Width::Below => "this action below this directory",
    }
}

fn counts(offer: &Offer) -> String {
    let times = match offer.terms.uses {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    format!("{times}, until {}", short(&offer.terms.until))
}

/// The files that are covered, in words.
fn counted(files: &Files) -> String {
    let number = |count: u64| match count {
        1 => "1 file".to_owned(),
        more => format!("{more} files"),
    };
    let covered = match files.covered {
        0 => "none that is there now".to_owned(),
        more => format!("{}, none that a deny touches", number(more)),
    };
    match files.kept_out {
        0 => covered,
        1 => format!("{covered}; 1 more there stays out of it"),
        out => format!("{covered}; {out} more there stay out of it"),
    }
}
