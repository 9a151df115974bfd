//! `lictor approvals`: what waits for a person's answer, and the grants and refusals of the ledger.

#![forbid(unsafe_code)]

use clap::Args;
use serde_json::{Map, Value as Json, json};

use super::approve::{failure, short};
use super::exit::Exit;
use super::{Failure, Global, discover, granted, inbox, offers, print_json};
use crate::decision::Request;
use crate::governor::{AskState, AskView, Governor, GrantError, GrantView, Offers, Standing};
use crate::policy::CompiledPolicy;
use crate::record::RefusalTerms;
use crate::text::escaped;

#[derive(Args, Debug)]
#[command(after_help = "\
A question waits for 8 hours. Then it is expired, which is no refusal: whoever asks again is asked about again.

  lictor approvals --watch                       # show each question as it comes, and answer it
  lictor approvals 3f1c9a20b7de                  # one question, with what can be approved
  lictor approve 3f1c9a20b7de --width 2 --why 'my own files'
  lictor refuse 3f1c9a20b7de --why 'wait for the release'")]
pub(super) struct Approvals {
    /// Only this question, with what can be approved
    #[arg(value_name = "ID", conflicts_with = "watch")]
    id: Option<String>,
    /// Only questions that wait, and grants that can still be used
    #[arg(long)]
    open: bool,
    /// Show questions as they come, and take the answers from the keyboard
    #[arg(long)]
    watch: bool,
}

pub(super) fn main(command: &Approvals, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    if command.watch {
        return inbox::main(&governor, global);
    }
    if let Some(id) = &command.id {
        let view = governor.question(id).map_err(failure)?;
        let offers = offered(&governor, &view);
        match global.json {
            true => print_json(&to_json(&view, offers.as_ref())),
            false => question(&view, offers.as_ref(), &governor),
        }
        return Ok(Exit::Good);
    }
    let mut grants = governor.grants().map_err(failure)?;
    let mut questions = match governor.ledger_path().exists() {
        true => governor
            .inbox()
            .and_then(|mut inbox| governor.questions(&mut inbox))
            .map_err(failure)?,
        false => Vec::new(),
    };
    let refusals = governor.refusals().map_err(failure)?;
    if command.open {
        grants.retain(|grant| grant.standing == Standing::Open);
        questions.retain(|view| view.state == AskState::Pending);
    }
    if global.json {
        let asks: Vec<Json> = questions
            .iter()
            .map(|view| to_json(view, offered(&governor, view).as_ref()))
            .collect();
        print_json(&json!({"v": 1, "asks": asks, "grants": grants, "refusals": refusals}));
        return Ok(Exit::Good);
    }
    for view in &questions {
        answer!("{}", line(view, COLUMNS));
    }
    for refusal in &refusals {
        print_refusal(refusal);
    }
    if grants.is_empty() {
        answer!("no grants");
    }
    for grant in &grants {
        print(grant, governor.policy());
    }
    Ok(Exit::Good)
}

/// Approvals that can be given to a question that waits; none if there is none.
pub(super) fn offered(governor: &Governor, view: &AskView) -> Option<Result<Offers, GrantError>> {
    let request = view.asked().filter(|_| view.state == AskState::Pending)?;
    Some(offers_of(governor, request, &view.actor))
}

/// Approvals that can be given to a request of somebody.
pub(super) fn offers_of(
    governor: &Governor,
    request: &Request,
    actor: &str,
) -> Result<Offers, GrantError> {
    governor.offers(request, &governor.context(actor))
}

fn to_json(view: &AskView, offers: Option<&Result<Offers, GrantError>>) -> Json {
    let Ok(Json::Object(mut json)) = serde_json::to_value(view) else {
        return Json::Object(Map::new());
    };
    let (offered, withheld, why) = match offers {
        Some(Ok(offers)) => (json!(offers.offers), json!(offers.withheld), Json::Null),
        Some(Err(error)) => (json!([]), json!([]), json!(error.to_string())),
        None => (json!([]), json!([]), Json::Null),
    };
    json.insert("offers".to_owned(), offered);
    json.insert("withheld".to_owned(), withheld);
    json.insert("not_offered_because".to_owned(), why);
    Json::Object(json)
}

/// The longest line that a terminal shows as one.
pub(super) const COLUMNS: usize = 80;

/// A question in one line.
pub(super) fn line(view: &AskView, columns: usize) -> String {
    let request = match &view.request {
        Some(request) => granted::in_a_line(request),
        None => "a request that the record does not hold".to_owned(),
    };
    let times = match view.times {
        1 => String::new(),
        more => format!(" {more} times"),
    };
    let text = format!(
        "{}  {:<8}  {} asks{times}: {request}",
        view.short(),
        view.state.word(),
        granted::shown(&view.actor)
    );
    match text.chars().count() > columns {
        false => text,
        true => {
            let kept: String = text.chars().take(columns.saturating_sub(2)).collect();
            format!("{kept} …")
        }
    }
}

/// A question with what can be approved.
pub(super) fn question(
    view: &AskView,
    offers: Option<&Result<Offers, GrantError>>,
    governor: &Governor,
) {
    answer!("{}  {}", view.short(), view.state.word());
    if let Some(request) = &view.request {
        for line in granted::understood(request) {
            answer!("  {line}");
        }
    }
    answer!("  actor      {}", granted::shown(&view.actor));
    let times = match view.times {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    answer!("  asked      {times}, at {}", short(&view.last));
    answer!("  because    {}", escaped(&view.message));
    match (view.state, &view.answer) {
        (_, Some(answer)) => {
            let why = escaped(&answer.why);
            answer!(
                "  {}   by {}, as `{}`: {why}",
                view.state.word(),
                answer.who,
                answer.id
            );
        }
        (AskState::Pending, None) => {
            answer!(
                "  waits      until {}; nobody has answered yet",
                short(&view.until)
            );
        }
        (AskState::Expired, None) => answer!(
            "  expired    at {}: nobody answered, and nobody refused it",
            short(&view.until)
        ),
        (_, None) => answer!("  settled    the policy asks no more about it"),
    }
    for line in offers::bound_to(governor) {
        answer!("  {line}");
    }
    match offers {
        Some(Ok(offers)) => {
            for line in offers::lines(offers) {
                answer!("{line}");
            }
        }
        Some(Err(error)) => answer!("nothing can be approved here: {error}"),
        None => {}
    }
}

fn print_refusal(refusal: &RefusalTerms) {
    answer!("{}  refusal", escaped(&refusal.id));
    for line in granted::understood(&refusal.request) {
        answer!("    {line}");
    }
    answer!("    actor      {}", granted::shown(&refusal.actor));
    answer!("    counts     until {}", short(&refusal.until));
    answer!("    why        {}", escaped(&refusal.why));
    answer!("    by         {}", refusal.who);
}

fn print(grant: &GrantView, policy: &CompiledPolicy) {
    let id = escaped(&grant.grant);
    let word = grant.standing.word();
    let Some(terms) = &grant.terms else {
        answer!("{id}  {word}");
        tell_void(grant);
        return;
    };
    answer!("{id}  {word}  {}", granted::shown(&terms.approval));
    let uses = match grant.uses {
        Some(uses) => format!("{} of {uses} used", grant.spent),
        None => format!("used {} times", grant.spent),
    };
    let until = grant.until.as_deref().map(short).unwrap_or_default();
    let counts = format!("{uses}, until {until}");
    for line in granted::grant(terms, grant.key.as_deref(), &counts, policy) {
        answer!("    {line}");
    }
    tell_void(grant);
}

fn tell_void(grant: &GrantView) {
    if let Some(why) = &grant.void_because {
        answer!("    does not count: {why}");
    }
}
