//! Requests out of a policy: its own actions, its own scopes' paths, and what attackers make of them.

#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::random::Random;
use super::tricks::TRICKS;
use crate::decision::{Request, Value};
use crate::policy::CompiledPolicy;
use crate::policy::glob::{Case, Pattern, Piece, Segment};
use crate::policy::model::{Action, Argument, ArgumentKind, Tool};

/// Most places that are taken from a policy. Each is matched against every scope of every action.
const MAX_PLACES: usize = 300;

/// Words that options, formats and shells could be made to obey.
const HOSTILE_TEXTS: &[&str] = &[
    "-rf",
    "--output=/etc/passwd",
    "-o/etc/passwd",
    "--help",
    "--",
    "-",
    "@/etc/passwd",
    "$(id)",
    ";id",
    "`id`",
    "../x",
    "/etc/passwd",
    "a\n--x",
    "--exec=sh",
    "-c",
    "",
    "\u{200b}-x",
];

const PLAIN_TEXTS: &[&str] = &[
    "a",
    "main",
    "HEAD",
    "test_a",
    "1.0.0",
    "x-y",
    "some words",
    "feature/a",
];

/// Names that links of a scratch tree have; `scratch.rs` makes them.
pub(super) const LINKS: &[&str] = &[
    "lictor-out",
    "lictor-abs",
    "lictor-up",
    "lictor-aside",
    "lictor-denied",
];

/// A path in each pattern of each scope, without repetitions; and how many were left out.
pub(super) fn places(policy: &CompiledPolicy) -> (Vec<String>, u64) {
    let mut places = vec!["src/a".to_owned()];
    let mut known: HashSet<String> = places.iter().cloned().collect();
    let mut left_out = 0_u64;
    for scope in policy.scopes() {
        for pattern in scope.include.iter().chain(&scope.exclude) {
            for deep in [false, true] {
                let place = instance(pattern, deep);
                if place.is_empty() || !known.insert(place.clone()) {
                    continue;
                }
                if places.len() < MAX_PLACES {
                    places.push(place);
                } else {
                    left_out = left_out.saturating_add(1);
                }
            }
        }
    }
    (places, left_out)
}

/// One path that the pattern matches.
pub(super) fn instance(pattern: &Pattern, deep: bool) -> String {
    let mut names: Vec<String> = Vec::new();
    for segment in pattern.segments() {
        match segment {
            Segment::DoubleStar if deep => {
                names.extend(["lictor-a".to_owned(), "lictor-b".to_owned()])
            }
            Segment::DoubleStar => {}
            Segment::Literal(name) => names.push(name.clone()),
            Segment::Wild(pieces) => names.push(pieces.iter().map(piece).collect()),
        }
    }
    names.join("/")
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Star | Piece::AnyByte => "x".to_owned(),
        Piece::Class(class) => {
            let mut plain = (b'0'..=b'z').filter(u8::is_ascii_alphanumeric);
            let found = plain.find(|byte| class.contains(*byte, Case::Exact));
            found.map_or("_".to_owned(), |byte| char::from(byte).to_string())
        }
        Piece::Alternatives(branches) => branches
            .first()
            .map(|pieces| pieces.iter().map(self::piece).collect())
            .unwrap_or_default(),
    }
}

/// A path, and which tricks made it.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) tricks: Vec<&'static str>,
}

/// A path made of a place, plain or by one or two tricks.
pub(super) fn path(places: &[String], random: &mut Random) -> Made {
    let mut made = Made {
        bytes: random
            .pick(places)
            .cloned()
            .unwrap_or_default()
            .into_bytes(),
        tricks: Vec::new(),
    };
    if random.once_in(4) {
        // Through a link of the scratch tree, from somewhere on the way.
        let text = String::from_utf8_lossy(&made.bytes).into_owned();
        let above = text
            .rsplit_once('/')
            .map_or(text.as_str(), |(above, _)| above);
        let link = random.pick(LINKS).copied().unwrap_or_default();
        let more = ["", "/secret", "/lictor-new", "/lictor-up"];
        let more = random.pick(&more).copied().unwrap_or_default();
        made.bytes = match random.below(3) {
            0 => format!("{link}{more}"),
            1 => format!("{above}/{link}{more}"),
            _ => format!("{text}/{link}{more}"),
        }
        .into_bytes();
        made.tricks.push("link");
    }
    let tricks = random.below(3);
    for _ in 0..tricks {
        let Ok(text) = std::str::from_utf8(&made.bytes) else {
            break;
        };
        if let Some((name, trick)) = random.pick(TRICKS) {
            made.bytes = trick(text, random);
            made.tricks.push(name);
        }
    }
    made
}

/// A request for an action. `paths` makes its paths.
pub(super) fn request(
    tool: &Tool,
    action: &Action,
    random: &mut Random,
    mut paths: impl FnMut(&Argument, &mut Random) -> Option<Vec<u8>>,
) -> Request {
    let mut request = Request::named(&tool.name, &action.name);
    // About two of the optional arguments in every other request, however many there are: with more, some
    // value or other is always refused, and nothing is learnt about the paths.
    let optional = tool.arguments(action).filter(|argument| !argument.required);
    let rare = optional.count().max(4).checked_div(2).unwrap_or(2);
    let is_bare = random.once_in(2);
    for argument in tool.arguments(action) {
        let value = match &argument.kind {
            ArgumentKind::Path(_) => match paths(argument, random) {
                Some(path) if argument.repeat && random.once_in(6) => {
                    let more = paths(argument, random).into_iter();
                    let all = std::iter::once(path).chain(more);
                    Value::List(all.map(Value::Text).collect())
                }
                Some(path) => Value::Text(path),
                None => continue,
            },
            _ if !argument.required && (is_bare || !random.once_in(rare)) => continue,
            ArgumentKind::Flag => Value::Flag(true),
            ArgumentKind::Text { pattern, .. } => {
                let fits = |text: &&&str| pattern.as_ref().is_none_or(|known| known.matches(text));
                let plain: Vec<&str> = PLAIN_TEXTS.iter().filter(fits).copied().collect();
                let texts = if random.once_in(2) {
                    HOSTILE_TEXTS
                } else {
                    &plain
                };
                Value::from(random.pick(texts).copied().unwrap_or("a"))
            }
            ArgumentKind::Int { min, max } => {
                let numbers = [*min, *max, 0, 1, -1, i64::MAX];
                Value::Int(random.pick(&numbers).copied().unwrap_or(*min))
            }
            ArgumentKind::Choice(words) => {
                Value::from(random.pick(words).map_or("", String::as_str))
            }
        };
        request = request.with_arg(&argument.name, value);
    }
    request
}

/// A request for any action of the policy, or now and then for something that it does not know.
#[cfg(feature = "testing")]
pub(super) fn any_request(
    policy: &CompiledPolicy,
    places: &[String],
    random: &mut Random,
) -> Request {
    let known = random.pick(policy.tools());
    let Some((tool, action)) = known.and_then(|tool| Some((tool, random.pick(&tool.actions)?)))
    else {
        return Request::argv(["nothing"]);
    };
    if random.once_in(16) {
        let words = [
            tool.program.clone().unwrap_or_default(),
            action.name.clone(),
        ]
        .into_iter();
        return Request::argv(
            words
                .map(String::into_bytes)
                .chain([path(places, random).bytes]),
        );
    }
    request(tool, action, random, |argument, random| {
        (argument.required || random.once_in(2)).then(|| path(places, random).bytes)
    })
}
