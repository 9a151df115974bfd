//! `lictor approvals --watch`: questions as they come, in a terminal, and their answers from its keyboard.
//!
//! The terminal stays as it is: it edits lines itself, and whatever ends this program leaves nothing behind. What is
//! shown of a request is quoted, and characters that nobody sees are named.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use super::approvals::{COLUMNS, line, offered, question};
use super::approve::{failure, short};
use super::exit::Exit;
use super::print::{self, Answers};
use super::{Failure, Global, person};
use crate::decision::extent::Width;
use crate::governor::{AskState, AskView, Governor, Offer, Offers, What, Wish, offer_of};
use crate::log::follow::{Until, Woken};

const HELP: &str = "\
N      show question N, and what can be approved
a N    approve question N: its width and the reason are asked for
r N    refuse question N: the reason is asked for
l      list what waits
q      end; questions go on waiting";

/// Longest wait before it is looked whether a question has expired.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub(super) fn main(governor: &Governor, global: &Global) -> Result<Exit, Failure> {
    if global.json {
        return Err(Failure::new(
            "`--watch` is for a person; other programs read `lictor approvals --json`",
        ));
    }
    if !std::io::stdin().is_terminal() || !print::answers_are_watched() {
        return Err(Failure::new(
            "`--watch` takes answers from a person's terminal, and standard input or output is none\n  \
             help: other programs read `lictor approvals --json`",
        ));
    }
    person::at_the_terminal()?;
    let mut inbox = governor.inbox().map_err(failure)?;
    let mut desk = Desk {
        governor,
        numbers: BTreeMap::new(),
        waiting: Vec::new(),
    };
    answer!(
        "questions of {}; ? for help",
        super::granted::shown(governor.policy().name())
    );
    loop {
        let views = governor.questions(&mut inbox).map_err(failure)?;
        desk.take(views);
        desk.prompt();
        let stdin = std::io::stdin();
        loop {
            let until = Until {
                readable: Some(stdin.as_fd()),
                closed: None,
            };
            let woken = inbox.tail().wait(LONGEST_WAIT, until);
            let woken = woken
                .map_err(|error| Failure::new(format!("cannot wait for questions: {error}")))?;
            if woken == Woken::Stop {
                break;
            }
            let views = governor.questions(&mut inbox).map_err(failure)?;
            if desk.take(views) {
                desk.prompt();
            }
        }
        match typed()? {
            None => {
                answer!();
                return Ok(Exit::Good);
            }
            Some(text) => {
                if desk.command(text.trim())? {
                    return Ok(Exit::Good);
                }
            }
        }
    }
}

/// The next line from the keyboard; none at its end.
fn typed() -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let read = std::io::stdin().lock().read_until(b'\n', &mut line);
    match read {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
        Err(error) => Err(Failure::new(format!(
            "the keyboard cannot be read: {error}"
        ))),
    }
}

/// Asks for a line; none if it is empty, or the keyboard is at its end.
fn asked_for(what: &str) -> Result<Option<String>, Failure> {
    answer_part!("{what}: ");
    let _ = Answers.flush();
    let line = typed()?.map(|line| line.trim().to_owned());
    Ok(line.filter(|line| !line.is_empty()))
}

/// The questions that wait, each with the number that it keeps.
struct Desk<'a> {
    governor: &'a Governor,
    numbers: BTreeMap<String, usize>,
    waiting: Vec<AskView>,
}

impl Desk<'_> {
    /// Takes the questions as they stand now and shows the new ones. Returns true if there is something to tell.
    fn take(&mut self, views: Vec<AskView>) -> bool {
        let mut told = false;
        let mut tell = |text: &str| {
            if !told {
                answer!();
            }
            told = true;
            answer!("{text}");
        };
        for view in views.iter().rev() {
            let known = self.waiting.iter().any(|known| known.id == view.id);
            if view.state != AskState::Pending {
                if known {
                    let number = self.numbers.get(&view.id).copied().unwrap_or_default();
                    tell(&format!("{number:>3}  is {}", view.state.word()));
                }
                continue;
            }
            let next = self.numbers.len().saturating_add(1);
            let number = *self.numbers.entry(view.id.clone()).or_insert(next);
            if !known {
                tell(&numbered(number, view));
            }
        }
        self.waiting = views
            .into_iter()
            .filter(|view| view.state == AskState::Pending)
            .collect();
        told
    }

    fn prompt(&self) {
        answer_part!("{} waiting> ", self.waiting.len());
        let _ = Answers.flush();
    }

    /// Does what was typed. Returns true at the end.
    fn command(&mut self, text: &str) -> Result<bool, Failure> {
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("q"), None, None) => return Ok(true),
            (None | Some("l"), None, None) => self.list(),
            (Some("a"), Some(number), None) => self.approve(number)?,
            (Some("r"), Some(number), None) => self.refuse(number)?,
            (Some(number), None, None) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                if let Some(view) = self.named(number) {
                    question(view, offered(self.governor, view).as_ref(), self.governor);
                }
            }
            _ => answer!("{HELP}"),
        }
        Ok(false)
    }

    fn list(&self) {
        if self.waiting.is_empty() {
            answer!("nothing waits");
        }
        for view in self.waiting.iter().rev() {
            let number = self.numbers.get(&view.id).copied().unwrap_or_default();
            answer!("{}", numbered(number, view));
        }
    }

    fn named(&self, number: &str) -> Option<&AskView> {
        let number: Option<usize> = number.parse().ok();
        let found = self
            .waiting
            .iter()
            .find(|view| self.numbers.get(&view.id).copied() == number);
        if found.is_none() {
            answer!("no question with this number waits; l lists those that do");
        }
        found
    }

    fn approve(&self, number: &str) -> Result<(), Failure> {
        let Some(view) = self.named(number) else {
            return Ok(());
        };
        let offers = offered(self.governor, view);
        question(view, offers.as_ref(), self.governor);
        let (Some(Ok(offers)), Some(request)) = (&offers, view.asked()) else {
            return Ok(());
        };
        let Some(offer) = chosen(offers)? else {
            answer!("not answered; it goes on waiting");
            return Ok(());
        };
        if self.governor.has_to_be_signed(&offer.terms.approval) {
            answer!("this approval counts only if it is signed:");
            answer!(
                "  lictor approve {} --width {} --why 'WHY' --key FILE",
                view.short(),
                offer.width.word()
            );
            return Ok(());
        }
        let Some(why) = asked_for("why")? else {
            answer!("not answered; it goes on waiting");
            return Ok(());
        };
        let mut wish = Wish::new(What::Request(request.clone()), why);
        wish.width = offer.width;
        wish.actor = Some(view.actor.clone());
        wish.approval = Some(offer.terms.approval.clone());
        let made = self
            .governor
            .draft_grant(&wish, &self.governor.context(&view.actor))
            .and_then(|terms| match offer_of(&terms) == offer.offer {
                true => self.governor.accept_grant(&terms.to_text(), None).map(Some),
                false => Ok(None),
            });
        match made {
            Ok(Some(accepted)) => answer!(
                "approved as `{}`, until {}",
                accepted.terms.id,
                short(&accepted.terms.until)
            ),
            Ok(None) => {
                answer!("not approved: the policy or the workspace has changed; look again")
            }
            Err(error) => failure(error).print(),
        }
        Ok(())
    }

    fn refuse(&self, number: &str) -> Result<(), Failure> {
        let Some(view) = self.named(number) else {
            return Ok(());
        };
        answer!("{}", line(view, COLUMNS));
        let Some(request) = view.asked() else {
            answer!(
                "the record does not hold the request as it was; it cannot be refused from here"
            );
            return Ok(());
        };
        let Some(why) = asked_for("why not")? else {
            answer!("not answered; it goes on waiting");
            return Ok(());
        };
        match self
            .governor
            .refuse(request, &view.actor, (&why, None), None)
        {
            Ok(terms) => answer!("refused as `{}`, until {}", terms.id, short(&terms.until)),
            Err(error) => failure(error).print(),
        }
        Ok(())
    }
}

/// A question in one line, behind its number.
fn numbered(number: usize, view: &AskView) -> String {
    let number = format!("{number:>3}  ");
    let left = COLUMNS.saturating_sub(number.len());
    format!("{number}{}", line(view, left))
}

/// The offer that a person chooses.
fn chosen(offers: &Offers) -> Result<Option<&Offer>, Failure> {
    let numbers: Vec<String> = offers
        .offers
        .iter()
        .map(|offer| offer.number.to_string())
        .collect();
    let Some(text) = asked_for(&format!("width ({})", numbers.join(", ")))? else {
        return Ok(None);
    };
    let width = Width::named(&text);
    let mut found = offers.offers.iter();
    Ok(found.find(|offer| Some(offer.width) == width))
}
