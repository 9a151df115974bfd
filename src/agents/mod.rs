//! Hook protocols of coding agents: one message in, one answer out.
//!
//! An agent that is about to call a tool writes a JSON message and acts on the answer. Here the message becomes
//! requests, which the governor decides and records, and the decision becomes the answer in that agent's own form. Nothing
//! is let through that was not understood: an unknown tool, an unknown event, a field that is missing or has another
//! type are denials.
//!
//! Every agent passes over some form of a denial, so a denial is always three things at once: the agent's JSON, a
//! reason on standard error, and exit code 2.
//!
//! | file | |
//! |---|---|
//! | `claude_code`, `codex`, … | an agent: its tools, its fields, its answers |
//! | `agy`, `copilot`, `cursor`, `gemini`, `opencode` | the protocols of these agents |
//! | `names` | a pattern of a shell text as names |
//! | `edit` | an item put into settings, whose other values, order and comments stay |
//! | `installed` | what settings say of the hook |
//! | `json` | bytes as a JSON object, read strictly |
//! | `message` | what a message says |
//! | `patch` | the patches of Codex |
//! | `permissions` | Claude Code's own rules: what they match, and what passes them |
//! | `preamble` | shells that are called with a command |
//! | `requests` | a call as requests |
//! | `rewrite` | a shell text in which lictor runs every program |
//! | `setup` | the settings by which an agent calls the hook |

#![forbid(unsafe_code)]

mod agy;
mod claude_code;
mod codex;
mod copilot;
mod cursor;
mod edit;
mod gemini;
mod installed;
mod json;
mod message;
mod names;
mod opencode;
mod patch;
pub mod permissions;
mod preamble;
mod requests;
mod rewrite;
mod setup;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::decision::{Decision, Effect};
use crate::governor::{Answered, Governor, Part};
use crate::reason::Reason;
use crate::record::Held;
use json::Object;
use message::{Call, Ended, Is, Message, Unread};
use requests::{Asked, Place, Refused, denied};

pub use installed::Installed;
pub use json::MAX_MESSAGE_BYTES;
pub use setup::{Event, Form, Hooked, Place as SettingsPlace, Sample, Setup};

/// The adapter of one agent.
#[derive(Debug)]
pub struct Agent {
    name: &'static str,
    /// The version that its messages are known from.
    tested: &'static str,
    on_ask: OnAsk,
    read: fn(&Object) -> Result<Message, Unread>,
    answer: fn(event: &str, answer: &Answer<'_>) -> Option<Json>,
    /// False if the agent may run a command in another directory than its message says.
    knows_directory: bool,
    setup: Setup,
}

/// Characters of a reason that an agent is given: models read no more, and a pipe takes it at once.
const MAX_REASON_CHARS: usize = 2000;

/// All adapters, in the order in which they are listed for people.
const AGENTS: &[&Agent] = &[
    &claude_code::AGENT,
    &codex::AGENT,
    &gemini::AGENT,
    &agy::AGENT,
    &cursor::AGENT,
    &copilot::AGENT,
    &opencode::AGENT,
];

/// Where a question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is asked or denied")]
pub enum OnAsk {
    /// To the person, by the agent.
    Ask,
    /// Nowhere: the call is denied, and the reason says that an approval is missing.
    Deny,
    /// As [`OnAsk::Deny`], and nothing can change that: the agent would let the call through.
    Never,
}

/// Answer to an allowed call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers choose one")]
pub enum OnAllow {
    /// Nothing: the agent's own permissions stay in force.
    #[default]
    Silent,
    /// An approval: the agent asks nobody.
    Approve,
    /// An approval, and for a shell command a text in which lictor runs every program. What cannot be rewritten is denied.
    /// The words are this program and its options, up to `run`.
    Rewrite(Vec<String>),
}

/// Settings of the answers to an agent.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Answer to an allowed call.
    pub on_allow: OnAllow,
    /// Where a question goes, if not where the agent's adapter says.
    pub on_ask: Option<OnAsk>,
    /// Decisions are recorded and nothing is blocked.
    pub observes: bool,
    /// Who asks; else the agent's name.
    pub actor: Option<String>,
}

/// Answer that an adapter puts into its agent's form.
#[derive(Clone, Copy, Debug)]
enum Answer<'a> {
    /// The call may go on, as the agent's own permissions say.
    Pass,
    /// The call may go on.
    Approve,
    /// The call may go on with this input.
    Rewrite(&'a Object),
    /// A person is to be asked.
    Ask(&'a str),
    /// The call may not go on.
    Deny(&'a str),
}

/// Output for the agent.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// One object for standard output; nothing if the call just goes on.
    pub json: Option<Json>,
    /// The reason of a denial, for standard error. Never empty.
    pub reason: Option<String>,
}

impl Reply {
    /// Returns true if the agent must not go on: it is then answered with exit code 2.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.reason.is_some()
    }
}

impl Agent {
    /// The adapter of that name.
    ///
    /// ```
    /// use lictor::agents::Agent;
    ///
    /// assert!(Agent::named("claude-code").is_some());
    /// assert!(Agent::named("claude").is_none());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Agent> {
        AGENTS.iter().copied().find(|agent| agent.name == name)
    }

    /// All adapters.
    pub fn all() -> impl Iterator<Item = &'static Agent> {
        AGENTS.iter().copied()
    }

    /// The agent's name, which is also the actor of its requests.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The version of the agent that its messages are known from.
    #[must_use]
    pub fn tested(&self) -> &'static str {
        self.tested
    }

    /// Where questions go unless settings say otherwise.
    #[must_use]
    pub fn on_ask(&self) -> OnAsk {
        self.on_ask
    }

    /// Returns false if a command may run in another directory than the agent's message says.
    #[must_use]
    pub fn knows_directory(&self) -> bool {
        self.knows_directory
    }

    /// The settings by which the agent calls the hook.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The denial of a message for which nobody came to a decision.
    #[must_use]
    pub fn not_decided(&self, message: &[u8], why: &str) -> Reply {
        let fields = json::object(message).unwrap_or_default();
        let names = ["hook_event_name", "hookEventName"];
        let event = names.iter().find_map(|name| fields.get(*name)?.as_str());
        let reason = format!(
            "{}: lictor came to no decision, so the call is blocked; no rule has refused it: {}",
            Reason::NotDecided,
            one_line(why)
        );
        self.blocked(event.unwrap_or_default(), reason)
    }

    /// Decides and records what a message asks for.
    #[must_use]
    pub fn answer(&self, message: &[u8], governor: &Governor, settings: &Settings) -> Reply {
        let read = json::object(message)
            .map_err(Unread::Malformed)
            .and_then(|fields| (self.read)(&fields));
        let digest = HEXLOWER.encode(&Sha256::digest(message));
        let unread = match read {
            Ok(message) => match &message.is {
                Is::Before(call) | Is::Permission(call) => {
                    return self.decided(&message, call, &digest, governor, settings);
                }
                Is::After(ended) => return self.ended(&message, ended, governor, settings),
            },
            Err(unread) => unread,
        };
        let mut head = Map::new();
        head.insert("agent".to_owned(), json!(self.name));
        head.insert("input_sha256".to_owned(), json!(digest));
        let answered = self.answered(
            &head,
            &[Part::from(unread.refused())],
            governor,
            settings,
            false,
        );
        self.reply("", &answered.decision, true, settings)
    }

    fn decided(
        &self,
        message: &Message,
        call: &Call,
        digest: &str,
        governor: &Governor,
        settings: &Settings,
    ) -> Reply {
        let on_ask = self.asks(settings, call.can_ask);
        let place = Place::new(
            governor.policy(),
            governor.workspace_path(),
            message.cwd.as_deref(),
            on_ask == OnAsk::Ask,
        );
        let Asked { mut parts, shell } = place.asked(call);
        let rewrites = match &settings.on_allow {
            OnAllow::Rewrite(by) => shell.as_ref().map(|shell| (shell, by)),
            OnAllow::Silent | OnAllow::Approve => None,
        };
        if rewrites.is_some()
            && (self.answer)(&message.event, &Answer::Rewrite(&call.input)).is_none()
        {
            parts.push(Part::from(denied(
                Reason::HookCannotEnforce,
                format!(
                    "`{}` gives no way to have commands run by lictor",
                    self.name
                ),
                Some("ask for files by the tools for files".to_owned()),
            )));
        }
        let mut head = self.head(message, &call.tool);
        head.insert("event".to_owned(), json!(message.event));
        head.insert("cwd".to_owned(), json!(message.cwd));
        head.insert("input_sha256".to_owned(), json!(digest));
        let Answered { decision, parts } =
            self.answered(&head, &parts, governor, settings, rewrites.is_some());
        let decision = match decision.reason() {
            Some(Reason::PathNotFound) if parts.len() > 1 => decision.or_instead(|_| {
                Some(
                    "if another command of the call makes it, run that first, in a call of its own"
                        .to_owned(),
                )
            }),
            _ => decision,
        };
        let is_permission = matches!(message.is, Is::Permission(_));
        if settings.observes {
            return Reply::default();
        }
        match (decision.effect(), on_ask, rewrites) {
            // The agent is about to ask anyway.
            (Effect::Ask, OnAsk::Ask, _) if is_permission => Reply::default(),
            (Effect::Allow, _, Some((shell, by))) => {
                let unsure = message.cwd.as_deref().filter(|_| !self.knows_directory);
                match rewrite::text(shell, &parts, by, unsure) {
                    Some(text) => {
                        let mut input = call.input.clone();
                        input.insert(shell.field.to_owned(), json!(text));
                        Reply {
                            json: (self.answer)(&message.event, &Answer::Rewrite(&input)),
                            reason: None,
                        }
                    }
                    None => self.not_decided(&[], "the command cannot be written anew"),
                }
            }
            _ => self.reply(&message.event, &decision, on_ask != OnAsk::Ask, settings),
        }
    }

    fn ended(
        &self,
        message: &Message,
        ended: &Ended,
        governor: &Governor,
        settings: &Settings,
    ) -> Reply {
        let mut how = Map::new();
        how.insert("ok".to_owned(), json!(ended.succeeded));
        how.insert("interrupted".to_owned(), json!(ended.interrupted));
        how.insert("duration_ms".to_owned(), json!(ended.duration_ms));
        match governor.call_ended(&self.head(message, &ended.tool), &how) {
            Err(why) if !settings.observes => {
                let reason = format!(
                    "{}: the call has ended, and that is not recorded: {}",
                    why.reason(),
                    one_line(&why.to_string())
                );
                self.blocked(&message.event, reason)
            }
            Ok(()) | Err(_) => Reply::default(),
        }
    }

    fn answered(
        &self,
        head: &Map<String, Json>,
        parts: &[Part],
        governor: &Governor,
        settings: &Settings,
        is_rewritten: bool,
    ) -> Answered {
        let actor = settings.actor.as_deref().unwrap_or(self.name);
        let held = match (settings.observes, is_rewritten) {
            (true, _) => Held::No,
            (false, true) => Held::ByRun,
            (false, false) => Held::Yes,
        };
        governor.answer_call(head, parts, &governor.context(actor), held)
    }

    fn asks(&self, settings: &Settings, can_ask: bool) -> OnAsk {
        match (self.on_ask, settings.on_ask) {
            (OnAsk::Never, _) => OnAsk::Never,
            (_, Some(OnAsk::Ask)) | (OnAsk::Ask, None) if can_ask => OnAsk::Ask,
            _ => OnAsk::Deny,
        }
    }

    /// Fields that name a call in the record, before and after it.
    fn head(&self, message: &Message, tool: &str) -> Map<String, Json> {
        let mut head = Map::new();
        head.insert("agent".to_owned(), json!(self.name));
        head.insert("session".to_owned(), json!(message.session));
        head.insert("id".to_owned(), json!(message.call));
        head.insert("tool".to_owned(), json!(tool));
        head
    }

    fn reply(
        &self,
        event: &str,
        decision: &Decision,
        denies_ask: bool,
        settings: &Settings,
    ) -> Reply {
        if settings.observes {
            return Reply::default();
        }
        match decision.effect() {
            Effect::Allow => Reply {
                json: (self.answer)(
                    event,
                    &match settings.on_allow {
                        OnAllow::Silent => Answer::Pass,
                        OnAllow::Approve | OnAllow::Rewrite(_) => Answer::Approve,
                    },
                ),
                reason: None,
            },
            Effect::Ask if !denies_ask => Reply {
                json: (self.answer)(event, &Answer::Ask(&told(decision))),
                reason: None,
            },
            Effect::Ask => {
                let reason = format!(
                    "{}. This was not refused: a person has to approve it first",
                    told(decision)
                );
                self.blocked(event, reason)
            }
            Effect::Deny => self.blocked(event, told(decision)),
        }
    }

    fn blocked(&self, event: &str, reason: String) -> Reply {
        let reason = match reason.char_indices().nth(MAX_REASON_CHARS) {
            Some((end, _)) => format!("{} …", reason.get(..end).unwrap_or_default()),
            None => reason,
        };
        Reply {
            json: (self.answer)(event, &Answer::Deny(&reason)),
            reason: Some(reason),
        }
    }
}

impl Unread {
    /// The denial of a message that is not understood.
    fn refused(self) -> Refused {
        let shown = |name: &str| {
            name.chars()
                .take(80)
                .collect::<String>()
                .escape_debug()
                .to_string()
        };
        match self {
            Unread::Malformed(why) => denied(
                Reason::RequestInvalid,
                format!("the agent's message is not understood: {why}"),
                None,
            ),
            Unread::UnknownEvent(event) => denied(
                Reason::RequestInvalid,
                format!("event `{}` is not known", shown(&event)),
                Some("configure the hook for the events that the documentation names".to_owned()),
            ),
            Unread::UnknownTool(tool) => denied(
                Reason::ToolNotAllowed,
                format!("tool `{}` of the agent is not known", shown(&tool)),
                Some("use the tools for files and commands".to_owned()),
            ),
        }
    }
}

/// A decision for a model: the reason, the rule, and what to do instead.
fn told(decision: &Decision) -> String {
    let mut text = match decision.reason() {
        Some(reason) => format!("{reason}: {}", one_line(decision.message())),
        None => one_line(decision.message()),
    };
    if let Some(rule) = decision.rules().first() {
        text.push_str(&format!(" (rule `{}`)", rule.id));
    }
    if let Some(instead) = decision.instead() {
        text.push_str(&format!(". Instead: {}", one_line(instead)));
    }
    text
}

fn one_line(text: &str) -> String {
    crate::text::one_line(text)
}
