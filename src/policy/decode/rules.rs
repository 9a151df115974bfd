//! The sections `rules`, `defaults` and `invariants`.

#![forbid(unsafe_code)]

use super::Decoder;
use super::fields::{Fields, is_name};
use super::tools::is_mapping;
use crate::evidence::Level;
use crate::policy::model::{
    ActionPattern, ArgumentScopes, Confine, Invariant, Policy, Rule, RuleEffect, ScopeUse,
    StatedEnv, StatedLimits, StatedTerms,
};
use crate::policy::source::{Node, Span, Value};
use crate::policy::steering;
use crate::policy::terms::{
    Containment, Keep, Leaks, MAX_TIMEOUT, ReportTrouble, StopSignal, StopTarget,
};

const RULE: &[&str] = &[
    "id",
    "allow",
    "ask",
    "deny",
    "within",
    "touching",
    "access",
    "approval",
    "for",
    "limits",
    "env",
    "containment",
    "confine",
    "stop",
    "leaks",
    "report",
    "reason",
    "instead",
    "until",
    "widens",
];
/// Keys that say how an allowed run is to be run.
const TERMS: &[&str] = &[
    "limits",
    "env",
    "containment",
    "confine",
    "stop",
    "leaks",
    "report",
];

impl Decoder {
    pub(super) fn rule(&mut self, node: &Node) -> Option<Rule> {
        let fields = self.fields(node, "a rule", RULE)?;
        let id = self.required(
            &fields,
            "id",
            "a name to find the rule by in decisions",
            Self::name,
        );
        let (effect, actions) = self.effect(&fields)?;
        let allows = effect == RuleEffect::Allow;
        if allows {
            self.only_with(&fields, &["touching", "access"], "ask or deny");
        } else {
            self.only_with(&fields, &["within"], "allow");
            self.only_with(&fields, TERMS, "allow");
            self.only_with(&fields, &["until", "widens"], "allow");
        }
        if effect == RuleEffect::Deny {
            self.only_with(&fields, &["approval"], "allow or ask");
        }
        let scope_key = if allows { "within" } else { "touching" };
        let stated_scope = fields.get(scope_key);
        let scope = self.optional(&fields, scope_key, Self::scope_use);
        if stated_scope.is_some() && scope.is_none() {
            // Without its scope a rule would speak about everything.
            return None;
        }
        Some(Rule {
            id: id.unwrap_or_default(),
            at: self.rule_place(&fields),
            effect,
            actions: actions?,
            scope,
            access: self.optional(&fields, "access", Self::accesses),
            approval: self.optional(&fields, "approval", Self::spanned_text),
            actors: self.optional(&fields, "for", |d, n| {
                d.list_of(n, "an actor", Self::actor_pattern)
            }),
            terms: self.terms(&fields),
            reason: self.optional(&fields, "reason", Self::text),
            instead: self.optional(&fields, "instead", Self::text),
            until: self.optional(&fields, "until", Self::date),
            widens: self
                .optional(&fields, "widens", Self::boolean)
                .unwrap_or_default(),
        })
    }

    /// A rule stands where its id does: that is what a reader looks for.
    fn rule_place(&self, fields: &Fields<'_>) -> Span {
        fields.get("id").map_or(fields.start(), |node| node.at)
    }

    #[expect(clippy::type_complexity, reason = "a name for it would be used once")]
    fn effect(
        &mut self,
        fields: &Fields<'_>,
    ) -> Option<(RuleEffect, Option<Vec<(ActionPattern, Span)>>)> {
        let effects = [RuleEffect::Allow, RuleEffect::Ask, RuleEffect::Deny];
        let mut stated = effects
            .into_iter()
            .filter_map(|effect| Some((effect, fields.get(effect.word())?)));
        let Some((effect, node)) = stated.next() else {
            self.missing(
                fields,
                "allow",
                "or `ask` or `deny`: what does the rule do?",
            );
            return None;
        };
        if let Some((other, node)) = stated.next() {
            let message = format!(
                "a rule that says `{}` and `{}`",
                effect.word(),
                other.word()
            );
            self.invalid(node.at, message, "make two rules of it");
        }
        Some((effect, self.actions(node)))
    }

    pub(super) fn actions(&mut self, node: &Node) -> Option<Vec<(ActionPattern, Span)>> {
        self.list_of(node, "an action", |d, n| d.action_pattern(n))
    }

    fn action_pattern(&mut self, node: &Node) -> Option<(ActionPattern, Span)> {
        let text = self.text(node)?;
        let pattern = match text.split_once('.') {
            _ if text == "*" => Some(ActionPattern::Any),
            Some((tool, "*")) if is_name(tool) => Some(ActionPattern::Tool(tool.to_owned())),
            Some((tool, action)) if is_name(tool) && is_name(action) => {
                Some(ActionPattern::Action(tool.to_owned(), action.to_owned()))
            }
            _ => None,
        };
        if pattern.is_none() {
            self.invalid(
                node.at,
                format!("`{}` names no action", text.escape_debug()),
                "write `tool.action`, `tool.*` or `\"*\"`",
            );
        }
        Some((pattern?, node.at))
    }

    fn scope_use(&mut self, node: &Node) -> Option<ScopeUse> {
        if !is_mapping(node) {
            return self.scope_names(node).map(ScopeUse::All);
        }
        let entries = self.named(node, "within", |d, name, at, node| {
            d.scope_names(node).map(|scopes| ArgumentScopes {
                argument: name,
                at,
                scopes,
            })
        });
        if entries.is_empty() {
            self.wrong(node, "name a scope for at least one argument");
            return None;
        }
        Some(ScopeUse::PerArgument(entries))
    }

    fn scope_names(&mut self, node: &Node) -> Option<Vec<(String, Span)>> {
        self.list_of(node, "a scope", |d, n| {
            let name = d.text(n)?;
            if !is_name(&name) {
                let help = "define the pattern under `scopes` and give its name here";
                d.invalid(
                    n.at,
                    format!("`{}` is no name of a scope", name.escape_debug()),
                    help,
                );
                return None;
            }
            Some((name, n.at))
        })
    }

    fn actor_pattern(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            self.invalid(
                node.at,
                format!("`{}` can name no actor", text.escape_debug()),
                "1 to 128 printable ASCII characters without spaces; `*` is any run of them",
            );
            return None;
        }
        Some(text)
    }

    fn date(&mut self, node: &Node) -> Option<(jiff::civil::Date, Span)> {
        let text = self.date_text(node)?;
        match text.parse() {
            Ok(date) if text.len() == 10 => Some((date, node.at)),
            _ => {
                self.invalid(
                    node.at,
                    format!("`{}` is no date", text.escape_debug()),
                    "write `2027-01-31`",
                );
                None
            }
        }
    }

    pub(super) fn invariant(&mut self, node: &Node) -> Option<Invariant> {
        let fields = self.fields(
            node,
            "an invariant",
            &["id", "never", "always", "access", "paths"],
        )?;
        let id = self.required(&fields, "id", "a name to find it by", Self::name);
        let (always, stated) = match (fields.get("never"), fields.get("always")) {
            (Some(node), None) => (false, node),
            (None, Some(node)) => (true, node),
            (Some(_), Some(node)) => {
                self.invalid(
                    node.at,
                    "an invariant that says `never` and `always`",
                    "make two of it",
                );
                return None;
            }
            (None, None) => {
                self.missing(&fields, "never", "or `always`: which actions?");
                return None;
            }
        };
        Some(Invariant {
            id: id?,
            at: fields.start(),
            always,
            actions: self.actions(stated)?,
            access: self.optional(&fields, "access", Self::accesses),
            paths: self
                .optional(&fields, "paths", Self::patterns)
                .unwrap_or_default(),
        })
    }

    pub(super) fn defaults(&mut self, node: &Node, policy: &mut Policy) {
        let keys = &[
            "limits",
            "env",
            "containment",
            "confine",
            "program_path",
            "executor",
            "stop",
            "leaks",
            "report",
        ];
        let Some(fields) = self.fields(node, "`defaults`", keys) else {
            return;
        };
        policy.executor = self.optional(&fields, "executor", Self::name);
        policy.program_path = self.optional(&fields, "program_path", |d, n| {
            d.list_of(n, "a directory", Self::program_directory)
        });
        policy.defaults = self.terms(&fields);
    }

    fn program_directory(&mut self, node: &Node) -> Option<(String, Span)> {
        let text = self.text(node)?;
        let body = text
            .strip_prefix("~/")
            .or_else(|| text.strip_prefix("./"))
            .or_else(|| text.strip_prefix('/'))
            .unwrap_or(&text);
        let climbs = body.split('/').any(|part| matches!(part, "." | ".."));
        if text.is_empty()
            || climbs
            || text.starts_with('~') && !text.starts_with("~/")
            || text.contains(|c: char| c.is_control() || c == ':')
        {
            self.invalid(
                node.at,
                format!(
                    "`{}` is no directory to look programs up in",
                    text.escape_debug()
                ),
                "absolute, or `~/…`, or relative to the workspace, without `..`",
            );
            return None;
        }
        Some((text, node.at))
    }

    fn terms(&mut self, fields: &Fields<'_>) -> StatedTerms {
        StatedTerms {
            limits: self
                .optional(fields, "limits", Self::limits)
                .unwrap_or_default(),
            env: self.optional(fields, "env", Self::env).unwrap_or_default(),
            containment: self.optional(fields, "containment", Self::containment),
            confine: self.optional(fields, "confine", Self::confine),
            stop: self.optional(fields, "stop", Self::stop),
            leaks: self.word(
                fields,
                "leaks",
                [("warn", Leaks::Warn), ("fail", Leaks::Fail)],
            ),
            report: self.word(
                fields,
                "report",
                [("warn", ReportTrouble::Warn), ("fail", ReportTrouble::Fail)],
            ),
        }
    }

    fn limits(&mut self, node: &Node) -> Option<StatedLimits> {
        let keys = &[
            "timeout",
            "lease",
            "grace",
            "output",
            "keep",
            "processes",
            "memory",
            "cpu",
            "open_files",
            "file_size",
            "stdin",
        ];
        let fields = self.fields(node, "`limits`", keys)?;
        let mut time = |key: &str| {
            let value = self.optional(&fields, key, Self::duration);
            if let (Some(value), Some(node)) = (value, fields.get(key))
                && value > MAX_TIMEOUT
            {
                self.invalid(
                    node.at,
                    format!("a {key} of more than 24h"),
                    "24h is the longest a run may take",
                );
            }
            value
        };
        let (timeout, lease) = (time("timeout"), time("lease"));
        let keeps = [
            ("head", Keep::Head),
            ("tail", Keep::Tail),
            ("head-tail", Keep::HeadTail),
        ];
        Some(StatedLimits {
            timeout,
            lease,
            grace: self.optional(&fields, "grace", Self::duration),
            output_bytes: self.optional(&fields, "output", Self::size),
            keep: self.word(&fields, "keep", keeps),
            processes: self.optional(&fields, "processes", Self::positive),
            memory_bytes: self.optional(&fields, "memory", Self::size),
            cpu: self.optional(&fields, "cpu", Self::duration),
            open_files: self.optional(&fields, "open_files", Self::positive),
            file_size_bytes: self.optional(&fields, "file_size", Self::size),
            stdin_bytes: self.optional(&fields, "stdin", |d, n| {
                let is_none = matches!(&n.value, Value::Text { text, .. } if text == "none");
                if is_none { Some(0) } else { d.size(n) }
            }),
        })
    }

    fn env(&mut self, node: &Node) -> Option<StatedEnv> {
        let fields = self.fields(node, "`env`", &["inherit", "set", "unsafe_inherit"])?;
        let inherit = self.optional(&fields, "inherit", |d, n| {
            d.list_of(n, "a variable", Self::inherited)
        });
        let mut env = StatedEnv {
            inherit: inherit.unwrap_or_default(),
            unsafe_inherit: self
                .optional(&fields, "unsafe_inherit", |d, n| {
                    d.list_of(n, "a variable", Self::variable)
                })
                .unwrap_or_default(),
            set: Vec::new(),
        };
        if let Some(node) = fields.get("set") {
            env.set = self.named(node, "set", Self::set_variable);
        }
        Some(env)
    }

    /// A variable and its value.
    pub(super) fn set_variable(
        &mut self,
        name: String,
        at: Span,
        value: &Node,
    ) -> Option<(String, String)> {
        let value = self.text(value)?;
        let is_variable = !name.contains('-') && !name.starts_with(|c: char| c.is_ascii_digit());
        if !is_variable || value.contains('\0') {
            self.invalid(
                at,
                format!("`{name}` cannot be set"),
                "letters, digits and `_`, and a value without NUL",
            );
            return None;
        }
        Some((name, value))
    }

    fn inherited(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        let stem = text.strip_suffix('*').unwrap_or(&text);
        let fits = !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            self.invalid(
                node.at,
                format!("`{}` is no name of a variable", text.escape_debug()),
                "letters, digits and `_`; a `*` may end it",
            );
            return None;
        }
        if let Some((steers, does)) = steering::steered_by_pattern(&text) {
            self.invalid(
                node.at,
                format!("`{text}` passes on `{steers}`, which {does}"),
                "name it under `unsafe_inherit` if that is meant",
            );
            return None;
        }
        Some(text)
    }

    fn containment(&mut self, node: &Node) -> Option<Containment> {
        let levels = Level::ALL.map(|level| (level.name(), Containment::AtLeast(level)));
        self.one_of(
            node,
            [("auto", Containment::Auto)].into_iter().chain(levels),
        )
    }

    fn confine(&mut self, node: &Node) -> Option<Confine> {
        let fields = self.fields(node, "`confine`", &["read", "write", "hide", "network"])?;
        let places = |d: &mut Self, n: &Node| d.list_of(n, "a place", Self::text);
        Some(Confine {
            read: self.optional(&fields, "read", places),
            write: self.optional(&fields, "write", places),
            hide: self.optional(&fields, "hide", places).unwrap_or_default(),
            no_network: self
                .word(&fields, "network", [("none", true), ("host", false)])
                .unwrap_or_default(),
        })
    }

    fn stop(&mut self, node: &Node) -> Option<StopSignal> {
        let fields = self.fields(node, "`stop`", &["signal", "to"])?;
        // Linux numbers of the signals that ask a program to end.
        let signals = [
            ("TERM", 15),
            ("INT", 2),
            ("HUP", 1),
            ("QUIT", 3),
            ("USR1", 10),
            ("USR2", 12),
        ];
        let mut stop = StopSignal::default();
        if let Some(signal) = self.word(&fields, "signal", signals) {
            stop.signal = signal;
        }
        if let Some(to) = self.word(
            &fields,
            "to",
            [("all", StopTarget::All), ("leader", StopTarget::Leader)],
        ) {
            stop.to = to;
        }
        Some(stop)
    }
}
