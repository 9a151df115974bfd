//! Requests that show something: made for an action and a path, and decided before anybody sees them.

#![forbid(unsafe_code)]

use super::diagnostic::{NamedRequest, Witness};
use super::subject::{Deed, RuleView, Subject};
use crate::decision::{Context, Decision, Effect, Request, decide};
use crate::policy::glob::{Case, Class, Pattern, Piece, Segment};
use crate::policy::model::{Argument, ArgumentKind, Rule};

/// Who asks in a request that is for nobody in particular.
pub(crate) const ANYONE: &str = "anybody";

/// A path in a pattern, as short and ordinary as the pattern lets it be: names that a wildcard stands for
/// are `a`.
pub(crate) fn sample(pattern: &Pattern) -> String {
    let mut names: Vec<String> = Vec::new();
    for segment in pattern.segments() {
        match segment {
            Segment::Literal(name) => names.push(name.clone()),
            Segment::DoubleStar => {}
            Segment::Wild(pieces) => {
                let name = name_of(pieces);
                names.push(if name.is_empty() {
                    "a".to_owned()
                } else {
                    name
                });
            }
        }
    }
    if pattern.reaches_down() {
        names.push("a".to_owned());
    }
    names.join("/")
}

fn name_of(pieces: &[Piece]) -> String {
    let mut name = String::new();
    let only_star = matches!(pieces, [Piece::Star]);
    for piece in pieces {
        match piece {
            Piece::Literal(text) => name.push_str(text),
            // A name that ends in a dot is refused, and one that begins with one is hidden.
            Piece::Star if only_star || name.is_empty() || name.ends_with('.') => name.push('a'),
            Piece::Star => {}
            Piece::AnyByte => name.push('a'),
            Piece::Class(class) => name.push(letter_of(class)),
            Piece::Alternatives(branches) => {
                name.push_str(
                    &branches
                        .first()
                        .map(|pieces| name_of(pieces))
                        .unwrap_or_default(),
                );
            }
        }
    }
    name
}

fn letter_of(class: &Class) -> char {
    (b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(b'A'..=b'Z')
        .chain([b'_', b'-', b'.'])
        .find(|byte| class.contains(*byte, Case::Exact))
        .map_or('a', char::from)
}

/// An actor that a rule is for.
pub(crate) fn actor(rule: &Rule) -> String {
    match rule.actors.as_ref().and_then(|patterns| patterns.first()) {
        Some(pattern) => pattern.replace('*', "a"),
        None => ANYONE.to_owned(),
    }
}

/// A request for an action with one argument set to `path` and all others that are required filled in.
pub(crate) fn request(
    subject: &Subject<'_>,
    rule: &Rule,
    deed: Deed<'_>,
    set: Option<(&str, &str)>,
) -> Option<NamedRequest> {
    let mut args = Vec::new();
    for argument in deed.arguments() {
        match set {
            Some((name, path)) if name == argument.name => {
                args.push((argument.name.clone(), path.to_owned()));
            }
            _ if argument.required => {
                args.push((
                    argument.name.clone(),
                    filler(subject, rule, deed, argument)?,
                ));
            }
            _ => {}
        }
    }
    Some(NamedRequest {
        tool: deed.tool.name.clone(),
        action: deed.action.name.clone(),
        args,
        actor: actor(rule),
        approved: rule.approval.iter().map(|(name, _)| name.clone()).collect(),
    })
}

/// A value that an argument takes.
fn filler(
    subject: &Subject<'_>,
    rule: &Rule,
    deed: Deed<'_>,
    argument: &Argument,
) -> Option<String> {
    match &argument.kind {
        ArgumentKind::Path(_) => subject
            .scopes_of(rule, deed.number, &argument.name)
            .into_iter()
            .flat_map(|scope| &scope.include)
            .map(|(pattern, _)| sample(pattern))
            .next(),
        ArgumentKind::Text { .. }
        | ArgumentKind::Int { .. }
        | ArgumentKind::Choice(_)
        | ArgumentKind::Flag => value(argument),
    }
}

/// A value that an argument takes, wherever a path may lie.
pub(crate) fn value(argument: &Argument) -> Option<String> {
    match &argument.kind {
        ArgumentKind::Path(_) => Some("a".to_owned()),
        ArgumentKind::Text { pattern, .. } => ["a", "main", "1", "1.0.0", "HEAD", "a/b", "a@b.c"]
            .into_iter()
            .find(|text| pattern.as_ref().is_none_or(|pattern| pattern.matches(text)))
            .map(str::to_owned)
            .or_else(|| pattern.as_ref()?.example()),
        ArgumentKind::Int { min, max } => Some(1_i64.clamp(*min, *max).to_string()),
        ArgumentKind::Choice(words) => words.first().cloned(),
        ArgumentKind::Flag => Some("true".to_owned()),
    }
}

/// Decision on a request.
pub(crate) fn decided(subject: &Subject<'_>, request: &NamedRequest) -> Decision {
    let named = request.args.iter().fold(
        Request::named(&*request.tool, &*request.action),
        |named, (name, value)| named.with_arg(name, value.as_str()),
    );
    let context = request
        .approved
        .iter()
        .fold(Context::new(&*request.actor), Context::with_approval);
    decide(subject.policy, &named.with_actor(&*request.actor), &context)
}

/// The witness that a rule lets `path` pass as an argument, if it does: some scope of the rule holds the
/// path, and the whole policy allows the request.
pub(crate) fn allowed(
    subject: &Subject<'_>,
    rule: RuleView<'_>,
    deed: Deed<'_>,
    argument: &Argument,
    path: &str,
) -> Option<Witness> {
    if !holds(subject, rule.written, deed.number, &argument.name, path) {
        return None;
    }
    let request = request(subject, rule.written, deed, Some((&argument.name, path)))?;
    let decision = decided(subject, &request);
    let is_by_it = decision.rules().iter().any(|by| by.id == rule.written.id);
    (decision.effect() == Effect::Allow && is_by_it).then(|| Witness {
        path: Some(path.to_owned()),
        request: Some(request),
        argv: None,
        shows: format!("is allowed by `{}`", rule.written.id),
    })
}

/// Returns true if some scope of the rule for the argument holds the path.
pub(crate) fn holds(
    subject: &Subject<'_>,
    rule: &Rule,
    action: u32,
    argument: &str,
    path: &str,
) -> bool {
    subject
        .scopes_of(rule, action, argument)
        .into_iter()
        .any(|scope| {
            scope
                .include
                .iter()
                .any(|(pattern, _)| pattern.matches(path))
                && !scope
                    .exclude
                    .iter()
                    .any(|(pattern, _)| pattern.matches(path))
        })
}

/// Directories to look for names in: the top, the directories that a rule's patterns begin with, and one
/// below each.
pub(crate) fn bases(
    subject: &Subject<'_>,
    rule: &Rule,
    action: u32,
    argument: &str,
) -> Vec<String> {
    let mut bases = vec![String::new()];
    for scope in subject.scopes_of(rule, action, argument) {
        for (pattern, _) in &scope.include {
            let mut prefix = pattern.literal_prefix();
            let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
            if pattern.segments().iter().all(is_literal) {
                // The last name is a file's.
                prefix = prefix
                    .rsplit_once('/')
                    .map_or(String::new(), |(above, _)| above.to_owned());
            }
            let like = sample(pattern);
            let beside = like.rsplit_once('/').map_or("", |(above, _)| above);
            for base in [
                prefix.clone(),
                beside.to_owned(),
                join(&prefix, "app"),
                join(&prefix, "config/app"),
            ] {
                if !bases.contains(&base) {
                    bases.push(base);
                }
            }
        }
    }
    bases
}

/// `base/name`, or `name` at the top.
pub(crate) fn join(base: &str, name: &str) -> String {
    if base.is_empty() {
        name.to_owned()
    } else {
        format!("{base}/{name}")
    }
}
