//! `lictor prove`: the invariants of policies, proved or refuted.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value as Json, json};

use super::discover::Unread;
use super::exit::Exit;
use super::{Failure, Global, discover, print_json};
use crate::analysis::cells::Analysis;
use crate::analysis::invariants::Proof;
use crate::analysis::{Answer, Budget};
use crate::text::one_line;

/// Time after which what is not yet proved is told as unknown.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(super) struct Prove {
    /// The policies; without one, the policy that other commands would use
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn main(command: &Prove, global: &Global) -> Result<Exit, Failure> {
    let policies = discover::load_files(&command.files, global)?;
    let deadline = Instant::now().checked_add(LONGEST);
    let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let budget = Budget::default().until(&is_late);
    let mut proofs = Vec::new();
    for loaded in &policies.found {
        let analysis = Analysis::of(&loaded.policy).at(jiff::Timestamp::now());
        proofs.extend(analysis.prove(&budget));
    }
    let count = |is: fn(&Proof) -> bool| proofs.iter().filter(|proof| is(proof)).count();
    let holds = count(|proof| proof.answer.holds());
    let fails = count(|proof| proof.answer.witness().is_some());
    let unknown = count(|proof| proof.answer.cap().is_some());
    if global.json {
        let invariants: Vec<_> = proofs.iter().map(to_json).collect();
        print_json(&json!({
            "v": 1, "holds": holds, "fails": fails, "unknown": unknown, "invariants": invariants,
            "unread": Unread::json(&policies.failed),
        }));
    } else {
        proofs.iter().for_each(print);
        if policies.found.is_empty() {
            // Why nothing is proved was printed.
        } else if proofs.is_empty() {
            message!("note: nothing is claimed: there are no `invariants`");
        } else {
            answer!("{holds} hold, {fails} fail, {unknown} unknown");
        }
    }
    if !policies.failed.is_empty() {
        return Ok(Exit::CouldNot);
    }
    Ok(match (fails, unknown) {
        (0, 0) => Exit::Good,
        (0, _) => Exit::Unknown,
        (_, _) => Exit::Bad,
    })
}

fn print(proof: &Proof) {
    let word = match &proof.answer {
        Answer::Holds => "holds  ",
        Answer::Fails(_) => "FAILS  ",
        Answer::Unknown(_) => "unknown",
    };
    answer!(
        "{word}  {}:{}  `{}`: {}",
        one_line(&proof.at.file),
        proof.at.line,
        proof.id,
        proof.claim
    );
    match &proof.answer {
        Answer::Holds => {}
        Answer::Unknown(cap) => answer!("         {cap}"),
        Answer::Fails(witness) => {
            answer!("         {}  {}", witness.told(), witness.told_given());
            answer!("         {}", witness.told_decision());
        }
    }
}

fn to_json(proof: &Proof) -> Json {
    let (answer, why) = match &proof.answer {
        Answer::Holds => ("holds", Json::Null),
        Answer::Fails(_) => ("fails", Json::Null),
        Answer::Unknown(cap) => ("unknown", json!(cap)),
    };
    let witness = proof.answer.witness();
    json!({
        "id": proof.id,
        "file": proof.at.file,
        "line": proof.at.line,
        "column": proof.at.column,
        "claim": proof.claim,
        "answer": answer,
        "cap": why,
        "witness": witness.map(|witness| witness.to_json()),
        "decision": witness.map(super::diff::brief),
    })
}
