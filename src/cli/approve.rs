//! `lictor approve`: a person grants what a request is missing, here or in a file for another machine.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::request::RequestArgs;
use super::{Failure, Global, discover, granted, offers, print_json, refuse};
use crate::decision::Request;
use crate::decision::extent::Width;
use crate::decision::grant::{GrantMisfit, GrantTerms, MAX_GRANT_BYTES};
use crate::governor::{Accepted, Governor, GrantError, What, Wish, offer_of};
use crate::policy::{CompiledPolicy, parse_time};
use crate::record::signature;
use crate::resolve::read_file;
use crate::text::shell;

/// The most bytes that are read of a key or a signature.
const MAX_KEY_BYTES: usize = 64 * 1024;

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct Approve {
    /// A question that waits, as `lictor approvals` names it, instead of the request itself
    #[arg(value_name = "ID", conflicts_with_all = ["rule", "tool", "argv", "import"])]
    id: Option<String>,
    /// Why it is approved; recorded. Without it, what can be approved is shown, and nothing is recorded
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["import", "tool", "argv", "id"])]
    why: Option<String>,
    /// How much is approved: `exact`ly this request; the same command on the same `paths`, which are some or all of them and
    /// what lies below; or the same action with any arguments `below` the directory
    #[arg(long, value_name = "WIDTH", value_parser = width, conflicts_with = "rule")]
    width: Option<Width>,
    /// Approve only what `--json` showed with this value of `offer`
    #[arg(long, value_name = "SHA256", conflicts_with = "rule")]
    offer: Option<String>,
    /// How often it may be used; else once, with --width paths 10 times, with --width below 20 times, or as often as the
    /// policy lets it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    uses: Option<u64>,
    /// For how long it counts, for example 30m, 2h or 1d; else 8h, with --width paths 1h, with --width below 30m, or as long
    /// as the policy lets it
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until", value_parser = age)]
    age: Option<jiff::SignedDuration>,
    /// Until when it counts: 2027-01-31 or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Which approval of the policy, if several are missing
    #[arg(long, value_name = "NAME")]
    approval: Option<String>,
    /// What you are called; recorded as a claim
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Approve whatever this rule is about, instead of one request
    #[arg(long, value_name = "ID", conflicts_with_all = ["tool", "argv"])]
    rule: Option<String>,
    /// With --rule: only paths that this pattern matches; repeat for several
    #[arg(long, value_name = "GLOB", requires = "rule")]
    within: Vec<String>,
    /// Sign with this SSH key, which no passphrase may protect
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where it counts: in this workspace, or in any with the same policy, for a file that travels
    #[arg(long, value_name = "here|any", default_value = "here", value_parser = ["here", "any"])]
    workspace: String,
    /// Write the grant to this file, to be used elsewhere, and record nothing here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Record a grant from a file that `--out` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["why", "uses", "age", "until", "approval", "who", "rule", "width", "offer", "key", "workspace", "out", "tool", "argv"])]
    import: Option<PathBuf>,
    /// With --import: its signature; else FILE.sig, if there is one
    #[arg(long, value_name = "FILE", requires = "import")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    request: RequestArgs,
}

const HELP: &str = "\
A grant counts for exactly this request in this workspace under exactly this policy; files of arguments that the policy \
pins count by their content. With --actor it is for that actor only. It is spent by `lictor run`, and \
by `lictor check --spend` for tools that lictor does not start. A wider one says what it covers, and is for one actor; it \
reaches nothing that a rule denies or that another rule asks about.

  lictor approve -- git add src/a.rs                                  # shows what can be approved
  lictor approve --why 'my own files' --width below -- git add src/a.rs
  lictor approve --why 'read the plan' -- terraform apply tf.plan
  lictor approve --why 'on call' --rule deploy --within 'staging/**' --uses 5 --for 2h

For another machine, signed with a key in an agent or on a token:

  lictor approve --why 'read the plan' --actor ci --workspace any --out plan.grant -- terraform apply tf.plan
  ssh-keygen -Y sign -n lictor-grant -f ~/.ssh/id_ed25519 plan.grant
  lictor run --actor ci --grant plan.grant -- terraform apply tf.plan";

pub(super) fn main(command: Approve, global: &Global) -> Result<Exit, Failure> {
    let governor = Governor::new(discover::policy(global)?);
    if let Some(file) = &command.import {
        let accepted = import(&governor, file, command.signature.as_deref())?;
        return Ok(tell(&accepted, None, &governor, global));
    }
    let question = match &command.id {
        Some(id) => Some(refuse::asked(&governor, id)?),
        None => None,
    };
    let actor = match &question {
        Some((actor, _)) => actor.clone(),
        None => discover::actor(global),
    };
    // Whoever names no actor approves the request whoever makes it; a question is somebody's.
    let only = match &question {
        Some((actor, _)) => Some(actor.clone()),
        None => global.actor.clone(),
    };
    let context = governor.context(&actor);
    let Approve {
        out,
        key,
        rule,
        within,
        request,
        ..
    } = command;
    let asked = match (&rule, question) {
        (Some(_), _) => None,
        (None, Some((_, request))) => Some(request),
        (None, None) => Some(request.into_request(&actor, &governor)?),
    };
    let what = match (rule, &asked) {
        (Some(rule), _) => What::Rule { rule, within },
        (None, Some(request)) => What::Request(Request::clone(request)),
        (None, None) => return Err(Failure::new("nothing is asked for")),
    };
    let Some(why) = command.why else {
        let request = asked.as_ref();
        let request = request.ok_or_else(|| Failure::new("say why: `--why TEXT`"))?;
        let offers = governor.offers(request, &context).map_err(failure)?;
        offers::print(&offers, &governor, global);
        return Ok(Exit::Ask);
    };
    let mut wish = Wish::new(what, why);
    wish.width = command.width.unwrap_or(Width::Exact);
    wish.uses = command.uses;
    wish.approval = command.approval;
    wish.name = command.who;
    wish.anywhere = command.workspace == "any";
    wish.actor = only;
    wish.until = match (&command.until, command.age) {
        (Some(text), _) => Some(parse_time(text).ok_or_else(|| {
            Failure::new(format!(
                "`--until {}` is no time; write 2027-01-31 or 2027-01-31T12:00:00Z",
                text.escape_debug()
            ))
        })?),
        (None, Some(age)) => jiff::Timestamp::now().checked_add(age).ok(),
        (None, None) => None,
    };
    let terms = governor.draft_grant(&wish, &context).map_err(failure)?;
    if command.offer.is_some_and(|shown| shown != offer_of(&terms)) {
        return Err(Failure::new(
            "what would be approved now is not what was shown: the policy, the workspace or the request is another one\n  \
             help: look again, without `--why`",
        ));
    }
    let text = terms.to_text();
    let signature = match &key {
        Some(file) => {
            let key = read(file, MAX_KEY_BYTES)?;
            let signed = signature::sign(&key, text.as_bytes()).map_err(Failure::new)?;
            Some(signed)
        }
        None => None,
    };
    if let Some(file) = out {
        return write_out(
            &file,
            &terms,
            &text,
            signature.as_deref(),
            &governor,
            global,
        );
    }
    if signature.is_none() && governor.has_to_be_signed(&terms.approval) {
        return Err(Failure::new(format!(
            "the approval `{}` counts only if one of its keys signed the grant\n  \
             help: sign it here with `--key FILE`; or write it with `--out FILE`, sign that with\n        \
             `ssh-keygen -Y sign -n {} -f KEY FILE`, and record it with `lictor approve --import FILE`",
            terms.approval,
            signature::NAMESPACE
        )));
    }
    let accepted = governor
        .accept_grant(&text, signature.as_deref())
        .map_err(failure)?;
    Ok(tell(&accepted, asked.as_ref(), &governor, global))
}

/// Records the grant in a file, with the signature beside it.
pub(super) fn import(
    governor: &Governor,
    file: &Path,
    signature: Option<&Path>,
) -> Result<Accepted, Failure> {
    let text = read(file, MAX_GRANT_BYTES)?;
    let beside = beside(file);
    let signature = match signature {
        Some(file) => Some(read(file, MAX_KEY_BYTES)?),
        None if beside.symlink_metadata().is_ok() => Some(read(&beside, MAX_KEY_BYTES)?),
        None => None,
    };
    governor
        .accept_grant(&text, signature.as_deref())
        .map_err(failure)
}

/// Where ssh-keygen puts the signature of a file.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

fn read(file: &Path, most: usize) -> Result<String, Failure> {
    let say = |why: &str| {
        let shown = file.display().to_string();
        Failure::new(format!("`{}` cannot be read: {why}", shown.escape_debug()))
    };
    let bytes = read_file(file, most).map_err(|why| say(&why))?;
    String::from_utf8(bytes).map_err(|_| say("it is not UTF-8"))
}

fn write_out(
    file: &Path,
    terms: &GrantTerms,
    text: &str,
    signature: Option<&str>,
    governor: &Governor,
    global: &Global,
) -> Result<Exit, Failure> {
    let from = discover::current_directory()?;
    let cannot = |file: &Path, why: &dyn std::fmt::Display| {
        let shown = file.display().to_string();
        Failure::new(format!(
            "`{}` cannot be written: {why}",
            shown.escape_debug()
        ))
    };
    let write = |file: &Path, text: &str| {
        let new = governor.new_file(file, &from);
        let new = new.map_err(|why| cannot(file, &why))?;
        new.keep(text.as_bytes(), 0o666)
            .map_err(|error| cannot(file, &error))
    };
    write(file, text)?;
    let beside = beside(file);
    if let Some(signature) = signature {
        write(&beside, signature)?;
    }
    if global.json {
        print_json(&json!({
            "v": 1,
            "grant": terms.id,
            "terms": terms,
            "file": file.display().to_string(),
            "signature_file": signature.map(|_| beside.display().to_string()),
            "recorded": false,
        }));
        return Ok(Exit::Good);
    }
    let shown = shell(file.as_os_str().as_encoded_bytes());
    answer!(
        "grant `{}` is in {shown}; nothing is recorded here",
        terms.id
    );
    let key = match signature {
        Some(signature) => signature::signed_by(&[], text.as_bytes(), Some(signature)).ok(),
        None => None,
    };
    print_terms(terms, key.as_deref(), governor.policy());
    if signature.is_none() {
        answer!(
            "  to sign: ssh-keygen -Y sign -n {} -f KEY {shown}",
            signature::NAMESPACE
        );
    }
    answer!("  to use:  lictor run --grant {shown} …, or lictor approve --import {shown}");
    Ok(Exit::Good)
}

fn tell(
    accepted: &Accepted,
    asked: Option<&Request>,
    governor: &Governor,
    global: &Global,
) -> Exit {
    let terms = &accepted.terms;
    if global.json {
        print_json(&json!({
            "v": 1,
            "grant": terms.id,
            "terms": terms,
            "key": accepted.key,
            "recorded": true,
            "entry": accepted.entry,
        }));
        return Exit::Good;
    }
    let already = match accepted.entry {
        Some(_) => "",
        None => ", and was on record already",
    };
    answer!("granted `{}` as `{}`{already}", terms.approval, terms.id);
    print_terms(terms, accepted.key.as_deref(), governor.policy());
    if asked.is_some() {
        match terms.request.is_some() {
            true => answer!("  it is spent by the next run of this request"),
            false => answer!("  each run of such a request spends one use"),
        }
    }
    Exit::Good
}

/// Prints a grant for people.
fn print_terms(terms: &GrantTerms, key: Option<&str>, policy: &CompiledPolicy) {
    let times = match terms.uses {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    let counts = format!("{times}, until {}", short(&terms.until));
    for line in granted::grant(terms, key, &counts, policy) {
        answer!("  {line}");
    }
}

/// A time without its fraction.
pub(super) fn short(time: &str) -> String {
    let whole = time.split_once('.').map_or(time, |(whole, _)| whole);
    format!("{} UTC", whole.replace('T', " ").trim_end_matches('Z'))
}

/// An error with the way out.
pub(super) fn failure(error: GrantError) -> Failure {
    let help = match &error {
        GrantError::Allowed => Some("run it: `lictor run -- …`"),
        GrantError::Denied { .. } => Some("`lictor explain` tells what would change that"),
        GrantError::Switch { .. } => {
            Some("set it where lictor is started; there is nothing to record beforehand")
        }
        GrantError::Several { .. } => {
            Some("name one with `--approval NAME`, and then approve the others")
        }
        GrantError::TooLong { .. } => Some("say a shorter time with `--for`"),
        GrantError::TooMany { .. } => Some("say fewer with `--uses`"),
        GrantError::Refused { .. } => Some("take that back first: `lictor revoke ID --why TEXT`"),
        GrantError::UnknownAsk { .. } => Some(
            "`lictor approvals` lists them; the first characters of a name are enough, four at least",
        ),
        GrantError::NotOffered { .. } => Some("`lictor approve` without `--why` shows what is"),
        GrantError::NoSuchRule { .. } => Some("`lictor explain` lists the rules of a request"),
        GrantError::Unknown { .. } => Some("`lictor approvals` lists them"),
        GrantError::Signature { .. } => Some(
            "sign the file as it is: `ssh-keygen -Y sign -n lictor-grant -f KEY FILE`, with one of the keys that the policy names in `by`",
        ),
        GrantError::Unreadable(error) if error.why.contains("8 KiB") => Some(
            "a request this long cannot be approved word for word; use `--rule ID --within GLOB`",
        ),
        GrantError::Misfit {
            why: GrantMisfit::OtherWorkspace { .. } | GrantMisfit::ReplacedWorkspace { .. },
            ..
        } => Some(
            "approve it in this workspace, or let it count in every one: `lictor approve --workspace any`",
        ),
        GrantError::Misfit {
            why: GrantMisfit::NoWorkspace,
            ..
        } => Some("approve it again: `lictor approve --why 'WHY' …`"),
        GrantError::NoApproval { .. }
        | GrantError::NotMissing { .. }
        | GrantError::Pin { .. }
        | GrantError::Unreadable(_)
        | GrantError::Misfit { .. }
        | GrantError::Workspace(_)
        | GrantError::Known { .. }
        | GrantError::Ledger(_) => None,
    };
    match help {
        Some(help) => Failure::new(format!("{error}\n  help: {help}")),
        None => Failure::new(error),
    }
}

/// `exact` or `1`, and so on.
fn width(text: &str) -> Result<Width, String> {
    Width::named(text)
        .ok_or_else(|| "it is `exact`, `paths` or `below`, or its number: 1, 2 or 3".to_owned())
}

/// `30m`, `2h`, `1d`.
pub(super) fn age(text: &str) -> Result<jiff::SignedDuration, String> {
    let wrong = || "write a number with s, m, h or d, for example 2h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: i64 = text
        .strip_suffix(unit)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or_else(wrong)?;
    Ok(jiff::SignedDuration::from_secs(
        number.saturating_mul(seconds),
    ))
}
