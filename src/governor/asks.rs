//! Questions to a person: which are waiting, how each was answered, and a refusal as an answer.
//!
//! A question is a request that was decided with `ask`. The same request of the same actor is one question however often
//! it is asked, until somebody answers or its time is over. It is *pending* until then; *approved* if a grant that covers it
//! was made after it; *refused* if a person refused it; *expired* if nobody answered in time, which is no refusal.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::approve::drawn_name;
use super::{Governor, GrantError};
use crate::decision::grant::{Asking, Who};
use crate::decision::{Decision, Effect, ExactRequest, Request, decide};
use crate::log::LogError;
use crate::log::follow::{Tail, follow};
use crate::log::read::Filter;
use crate::record::{Asks, Grant, LedgerError, RecordedAsk, Refusal, RefusalTerms};
use crate::resolve::user_id;

/// Time for which a question waits for its answer.
pub const ASK_WAITS: Duration = Duration::from_secs(8 * 3600);

/// Time for which a refusal counts by default.
pub const REFUSAL_AGE: Duration = Duration::from_secs(24 * 3600);

/// Time back from now in which questions are looked for.
const LOOK_BACK: Duration = Duration::from_secs(24 * 3600);

/// State of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AskState {
    /// Nobody has answered yet.
    Pending,
    /// A person approved it.
    Approved,
    /// A person refused it.
    Refused,
    /// Nobody answered in time. That is no refusal.
    Expired,
    /// The policy has changed since, and asks no more about it.
    Settled,
}

impl AskState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            AskState::Pending => "pending",
            AskState::Approved => "approved",
            AskState::Refused => "refused",
            AskState::Expired => "expired",
            AskState::Settled => "settled",
        }
    }
}

/// A question as people see it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AskView {
    /// Its name: that of its first decision.
    pub id: String,
    /// Its state.
    pub state: AskState,
    /// When it was asked first.
    pub first: String,
    /// When it was asked last.
    pub last: String,
    /// Number of times that it was asked.
    pub times: u64,
    /// Until when it waits for an answer.
    pub until: String,
    /// Who asks.
    pub actor: String,
    /// The request, without its spelling; none if the record does not say, because a secret of it was replaced or it is cut.
    pub request: Option<ExactRequest>,
    /// Message that the asker got.
    pub message: String,
    /// Which approvals are missing.
    pub approvals: Vec<String>,
    /// The answer.
    pub answer: Option<AskAnswer>,
    /// The names of all its decisions.
    #[serde(skip)]
    pub(crate) ids: Vec<String>,
    /// The request.
    #[serde(skip)]
    pub(crate) asked: Option<Request>,
    #[serde(skip)]
    last_seq: u64,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AskAnswer {
    /// The grant, or the refusal.
    pub id: String,
    /// Who gave it.
    pub who: Who,
    /// Why.
    pub why: String,
    /// Until when it counts.
    pub until: String,
}

/// An answer in the ledger.
struct Given<'a> {
    seq: u64,
    state: AskState,
    answer: AskAnswer,
    /// A refusal that counts now: whatever else was answered, the request is denied.
    stands: bool,
    covers: Box<dyn Fn(&Decision) -> bool + 'a>,
}

/// The questions of a ledger, followed as they come.
#[derive(Debug)]
pub struct Inbox {
    tail: Tail,
    asks: Asks,
}

impl Inbox {
    /// The follower of the ledger: it says when to look again.
    pub fn tail(&mut self) -> &mut Tail {
        &mut self.tail
    }
}

impl Governor {
    /// The questions of the last day. A ledger is made if there is none.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub fn inbox(&self) -> Result<Inbox, GrantError> {
        self.ledger()?;
        let mut filter = Filter::default();
        let from = Timestamp::now().checked_sub(LOOK_BACK).ok();
        filter.from = from.map(|from| format!("{from:.6}"));
        let failed = |error: std::io::Error| LedgerError::from(LogError::io("read", &error));
        let tail = follow(self.ledger_path(), filter, None).map_err(failed)?;
        let gone = || failed(std::io::ErrorKind::NotFound.into());
        Ok(Inbox {
            tail: tail.ok_or_else(gone)?,
            asks: Asks::default(),
        })
    }

    /// The questions, those that wait first, and in each group those that were asked last first.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub fn questions(&self, inbox: &mut Inbox) -> Result<Vec<AskView>, GrantError> {
        self.questions_at(inbox, Timestamp::now())
    }

    fn questions_at(&self, inbox: &mut Inbox, now: Timestamp) -> Result<Vec<AskView>, GrantError> {
        let asks = &mut inbox.asks;
        let read = inbox.tail.read(&mut |shown| {
            if let Ok(entry) = &shown.entry {
                asks.add(entry);
            }
            ControlFlow::Continue(())
        });
        read.map_err(|error| LedgerError::from(LogError::io("read", &error)))?;
        let (grants, refusals) = (self.known_grants()?, self.known_refusals()?);
        let given = self.given(&grants, &refusals, now);
        let mut views: Vec<AskView> = Vec::new();
        // The place of the last question about each request.
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for ask in inbox.asks.all() {
            let decision = ask.asked.as_ref().map(|(request, _)| self.decided(request));
            let exact = decision.as_ref().and_then(Decision::exact);
            let key = match exact {
                Some(exact) => format!("{} {}", ask.actor, exact.to_json()),
                None => ask.id.clone(),
            };
            let answered = |from: u64, to: u64| {
                given.iter().rev().find(|given| {
                    let is_between = from < given.seq && given.seq < to;
                    is_between
                        && decision
                            .as_ref()
                            .is_some_and(|decision| (given.covers)(decision))
                })
            };
            let known = last.get(&key).copied().and_then(|nth| views.get_mut(nth));
            if let Some(known) = known
                && answered(known.last_seq, ask.seq).is_none()
                && ask.ts <= known.until
            {
                known.times = known.times.saturating_add(1);
                known.ids.push(ask.id.clone());
            } else {
                last.insert(key.clone(), views.len());
                views.push(AskView::of(ask));
            }
            let Some(view) = last.get(&key).and_then(|nth| views.get_mut(*nth)) else {
                continue;
            };
            view.last.clone_from(&ask.ts);
            view.last_seq = ask.seq;
            view.until = later(&ask.ts, ASK_WAITS);
            view.request = exact.map(|exact| exact.request().clone());
            view.asked = ask.asked.as_ref().map(|(request, _)| request.clone());
            view.approvals = decision
                .iter()
                .flat_map(Decision::approvals)
                .map(|need| need.name.clone())
                .collect();
            let covering = |given: &&Given<'_>| {
                let decision = decision.as_ref();
                given.stands && decision.is_some_and(|decision| (given.covers)(decision))
            };
            let standing = given.iter().find(covering);
            let found = standing.or_else(|| answered(ask.seq, u64::MAX));
            view.answer = found.map(|given| given.answer.clone());
            view.state = match found {
                Some(given) => given.state,
                None if decision.is_some_and(|decision| decision.effect() != Effect::Ask) => {
                    AskState::Settled
                }
                None if format!("{now:.6}") > view.until => AskState::Expired,
                None => AskState::Pending,
            };
        }
        // A question that was answered between two others of the same request stays with that answer.
        views.sort_by(|a, b| {
            let closed = |view: &AskView| view.state != AskState::Pending;
            (closed(a), &b.last).cmp(&(closed(b), &a.last))
        });
        Ok(views)
    }

    /// The question of this name, or of which a name begins so.
    ///
    /// # Errors
    ///
    /// There is none, or there are several; or the ledger cannot be read.
    pub fn question(&self, id: &str) -> Result<AskView, GrantError> {
        let unknown = || GrantError::UnknownAsk { id: id.to_owned() };
        if id.len() < 4 {
            return Err(unknown());
        }
        let all = self.questions(&mut self.inbox()?)?;
        let is_meant = |view: &AskView| view.ids.iter().any(|own| own.starts_with(id));
        let mut found = all.into_iter().filter(is_meant);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(unknown()),
        }
    }

    /// Refuses a request: it is denied, with this reason, to whoever asks for it, until then.
    ///
    /// # Errors
    ///
    /// Nobody is asked about it, or the refusal cannot be recorded.
    pub fn refuse(
        &self,
        request: &Request,
        actor: &str,
        (why, who): (&str, Option<String>),
        until: Option<Timestamp>,
    ) -> Result<RefusalTerms, GrantError> {
        let decision = decide(self.policy(), request, &self.context(actor));
        let message = decision.message().to_owned();
        let exact = match (decision.effect(), decision.exact()) {
            (Effect::Ask, Some(exact)) => exact,
            (Effect::Allow, _) => return Err(GrantError::Allowed),
            _ => return Err(GrantError::Denied { message }),
        };
        let now = Timestamp::now();
        if let Some(known) = self.refusal(&decision, now) {
            return Err(GrantError::Refused {
                id: known.id,
                why: known.why,
            });
        }
        let terms = RefusalTerms {
            lictor_refusal: 1,
            id: drawn_name("r")?,
            workspace: self.here().map_err(Clone::clone)?,
            request: exact.request().clone(),
            actor: decision.asked().actor.clone(),
            who: Who::new(user_id(), who),
            why: why.to_owned(),
            made: format!("{now:.6}"),
            until: match until {
                Some(until) => format!("{until:.6}"),
                None => later(&format!("{now:.6}"), REFUSAL_AGE),
            },
        };
        self.ledger()?.make_refusal(&terms)?;
        Ok(terms)
    }

    /// The refusal that counts for a request that is asked about.
    pub(super) fn refusal(&self, decision: &Decision, now: Timestamp) -> Option<RefusalTerms> {
        let (exact, here) = (decision.exact()?, self.here().ok()?);
        let refusals = self.known_refusals().ok()?;
        let now = format!("{now:.6}");
        let counting = refusals.iter().filter(|refusal| refusal.counts_at(&now));
        counting.filter_map(Refusal::read).find(|terms| {
            terms.request == *exact.request()
                && terms.actor == decision.asked().actor
                && terms.workspace == here
        })
    }

    /// The refusals of the ledger; none if there is no ledger yet, which is not made for this.
    pub(super) fn known_refusals(&self) -> Result<Vec<Refusal>, LedgerError> {
        if !self.ledger_path().exists() {
            return Ok(Vec::new());
        }
        self.ledger()?.refusals()
    }

    /// The refusals that count.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub fn refusals(&self) -> Result<Vec<RefusalTerms>, GrantError> {
        let now = format!("{:.6}", Timestamp::now());
        let all = self.known_refusals()?;
        let counting = all.iter().filter(|refusal| refusal.counts_at(&now));
        Ok(counting.filter_map(Refusal::read).collect())
    }

    fn decided(&self, request: &Request) -> Decision {
        let actor = request.actor().unwrap_or_default();
        decide(self.policy(), request, &self.context(actor))
    }

    /// The answers in the ledger, by the entries that gave them.
    fn given<'a>(
        &'a self,
        grants: &'a [Grant],
        refusals: &'a [Refusal],
        now: Timestamp,
    ) -> Vec<Given<'a>> {
        let here = self.here().ok();
        let of_grant = |grant: &'a Grant| {
            let terms = grant.read()?.terms;
            let seq = serde_json::from_str::<serde_json::Value>(&grant.entry).ok()?;
            let seq = seq.get("seq")?.as_u64()?;
            let made: Timestamp = terms.made.parse().ok()?;
            let here = here.clone();
            let answer = AskAnswer {
                id: terms.id.clone(),
                who: terms.who.clone(),
                why: terms.why.clone(),
                until: grant.until.clone().unwrap_or_default(),
            };
            Some(Given {
                seq,
                state: AskState::Approved,
                answer,
                stands: false,
                // Whatever has become of it since, it was an answer.
                covers: Box::new(move |decision| {
                    let asking = Asking::new(self.policy(), here.as_ref(), decision, made);
                    asking.is_some_and(|asking| terms.misfit(&asking).is_none())
                }),
            })
        };
        let here = self.here().ok();
        let of_refusal = |refusal: &'a Refusal| {
            let terms = refusal
                .read()
                .filter(|terms| Some(&terms.workspace) == here.as_ref())?;
            Some(Given {
                seq: refusal.seq,
                state: AskState::Refused,
                stands: refusal.counts_at(&format!("{now:.6}")),
                answer: AskAnswer {
                    id: terms.id.clone(),
                    who: terms.who.clone(),
                    why: terms.why.clone(),
                    until: terms.until.clone(),
                },
                covers: Box::new(move |decision| {
                    let exact = decision.exact();
                    exact.is_some_and(|exact| *exact.request() == terms.request)
                        && decision.asked().actor == terms.actor
                }),
            })
        };
        let mut given: Vec<Given<'a>> = grants.iter().filter_map(of_grant).collect();
        given.extend(refusals.iter().filter_map(of_refusal));
        given.sort_by_key(|given| given.seq);
        given
    }
}

impl AskView {
    fn of(ask: &RecordedAsk) -> AskView {
        AskView {
            id: ask.id.clone(),
            state: AskState::Pending,
            first: ask.ts.clone(),
            last: ask.ts.clone(),
            times: 1,
            until: ask.ts.clone(),
            actor: ask.actor.clone(),
            request: None,
            message: ask.message.clone(),
            approvals: Vec::new(),
            answer: None,
            ids: vec![ask.id.clone()],
            asked: None,
            last_seq: ask.seq,
        }
    }

    /// Its name as far as it has to be typed.
    #[must_use]
    pub fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// The request as it was written; none if the record does not say.
    #[must_use]
    pub fn asked(&self) -> Option<&Request> {
        self.asked.as_ref()
    }
}

/// A time in the form of `ts`, so much later.
fn later(ts: &str, by: Duration) -> String {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    let end = ts
        .parse::<Timestamp>()
        .ok()
        .and_then(|ts| ts.checked_add(by).ok());
    format!("{:.6}", end.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::{OnDisk, load};
    use crate::reason::Reason;

    const POLICY: &str = "version: 1
name: asks
use: lictor/files@1
scopes: {all: \"**\"}
approvals: {person: {grant: true}}
rules:
  - {id: write, allow: filesystem.write_file, within: all, approval: person}
";

    fn hours(hours: i64) -> Timestamp {
        Timestamp::now() + SignedDuration::from_hours(hours)
    }

    #[test]
    fn a_question_that_nobody_answers_expires_and_is_never_called_refused() {
        let place = tempfile::tempdir().unwrap();
        let work = place.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let file = work.join("lictor.yaml");
        std::fs::write(&file, POLICY).unwrap();
        let governor = Governor::new(load(&file, &work, &place.path().join("state")).unwrap());
        let request = |path: &str| {
            Request::named("filesystem", "write_file")
                .with_arg("path", path)
                .with_actor("agent")
        };
        let ask = |path: &str, now: Timestamp| {
            let context = governor.context("agent").with_time(now);
            let checked = governor.check(&request(path), &context, OnDisk::No);
            (checked.decision.effect(), checked.decision.reason())
        };
        let asks = (Effect::Ask, Some(Reason::ApprovalRequired));
        let refused = (Effect::Deny, Some(Reason::ApprovalRefused));
        assert_eq!(ask("a", hours(0)), asks);
        assert_eq!(ask("b", hours(0)), asks);
        let terms = governor
            .refuse(&request("b"), "agent", ("not today", None), None)
            .unwrap();
        assert_eq!(ask("b", hours(1)), refused);
        let states = |hours: Timestamp| {
            let views = governor
                .questions_at(&mut governor.inbox().unwrap(), hours)
                .unwrap();
            let mut states: Vec<String> = views
                .iter()
                .map(|view| {
                    format!(
                        "{:?} {}",
                        view.request.as_ref().unwrap().args["path"],
                        view.state.word()
                    )
                })
                .collect();
            states.sort();
            states
        };
        let a = r#"[Text("a")]"#;
        let b = r#"[Text("b")]"#;
        assert_eq!(
            states(hours(7)),
            [format!("{a} pending"), format!("{b} refused")]
        );
        assert_eq!(
            states(hours(9)),
            [format!("{a} expired"), format!("{b} refused")]
        );
        // A refusal ends; then a person is asked again.
        assert_eq!(ask("b", hours(25)), asks);
        // It is that request's and that actor's only.
        let other = governor.check(
            &request("b").with_actor("other"),
            &governor.context("other"),
            OnDisk::No,
        );
        assert_eq!(other.decision.effect(), Effect::Ask);
        assert_eq!(ask("c", hours(0)), asks);
        governor.revoke_grant(&terms.id, "after all").unwrap();
        assert_eq!(ask("b", hours(1)), asks);
        assert!(
            states(hours(7)).contains(&format!("{b} pending")),
            "{:?}",
            states(hours(7))
        );
    }
}
