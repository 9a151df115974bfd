//! The text as words, operators and redirections. Every character that is not known to be read alike is refused.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::{MAX_TEXT_BYTES, Unparsed, refused};
use crate::text::is_control;

/// The file or stream that a stream of a command leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each is a file that is read or written, or none"
)]
pub enum Redirection {
    /// `< FILE`: standard input is read from the file.
    Read(String),
    /// `> FILE`, `>> FILE`: standard output goes to the file.
    Output {
        /// The file, as it is written.
        file: String,
        /// True if it is added at the end of the file.
        append: bool,
    },
    /// `2> FILE`, `2>> FILE`: standard error goes to the file.
    Error {
        /// The file, as it is written.
        file: String,
        /// True if it is added at the end of the file.
        append: bool,
    },
    /// `2>&1`: standard error goes where standard output goes at that place.
    ErrorToOutput,
    /// `>&2`: standard output goes where standard error goes at that place.
    OutputToError,
}

/// A stream of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Input,
    Output,
    Error,
}

impl Redirection {
    pub(super) fn stream(&self) -> Stream {
        match self {
            Redirection::Read(_) => Stream::Input,
            Redirection::Output { .. } | Redirection::OutputToError => Stream::Output,
            Redirection::Error { .. } | Redirection::ErrorToOutput => Stream::Error,
        }
    }
}

pub(super) enum Token {
    Word(Word),
    Redirection(Redirection),
    And,
    Or,
    Pipe,
    Semicolon,
    LineBreak,
    End,
}

/// A word, its quotes removed.
pub(super) struct Word {
    pub(super) text: String,
    /// It holds a `*` that shells replace by the names of files.
    pub(super) is_pattern: bool,
}

/// A reader of tokens.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Result<Tokens<'a>, Unparsed> {
        if text.len() > MAX_TEXT_BYTES {
            let message =
                format!("more than {MAX_TEXT_BYTES} bytes: run the commands one at a time");
            return Err(refused(0..text.len(), message));
        }
        let is_refused = |c: char| is_control(c) && !matches!(c, '\t' | '\n');
        if let Some((at, c)) = text.char_indices().find(|(_, c)| is_refused(*c)) {
            let message = format!("the control character {}", c.escape_unicode());
            return Err(refused(at..at.saturating_add(c.len_utf8()), message));
        }
        Ok(Tokens { text, at: 0 })
    }

    /// The next token of a command; none before an operator, a line break or the end.
    pub(super) fn next_of_command(&mut self) -> Result<Option<(Token, Range<usize>)>, Unparsed> {
        self.skip_blanks();
        match self.peek() {
            None | Some('\n' | ';' | '&' | '|') => Ok(None),
            Some(_) => self.next().map(Some),
        }
    }

    pub(super) fn next(&mut self) -> Result<(Token, Range<usize>), Unparsed> {
        self.skip_blanks();
        let start = self.at;
        let token = match self.peek() {
            None => Token::End,
            Some('\n') => self.operator("\n", Token::LineBreak),
            Some(';') => self.operator(";", Token::Semicolon),
            Some('&') if self.rest().starts_with("&&") => self.operator("&&", Token::And),
            Some('&') => return Err(self.refused("&", "`&` runs a command in the background or joins streams: run it by itself, or write `2>&1`")),
            Some('|') if self.rest().starts_with("||") => self.operator("||", Token::Or),
            Some('|') if self.rest().starts_with("|&") => {
                return Err(self.refused("|&", "`|&` is not known to every shell: write `2>&1 |`"));
            }
            Some('|') => self.operator("|", Token::Pipe),
            Some('<' | '>') => self.redirection(false)?,
            Some('2') if self.rest().starts_with("2>") => {
                self.at = self.at.saturating_add(1);
                self.redirection(true)?
            }
            Some(_) => Token::Word(self.word()?),
        };
        Ok((token, start..self.at))
    }

    pub(super) fn skip_line_breaks(&mut self) {
        self.skip(|c| matches!(c, ' ' | '\t' | '\n'));
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// The refusal of whatever stands where a command has to.
    pub(super) fn unexpected(&self) -> Unparsed {
        match self.peek() {
            None => refused(self.at..self.at, "a command is missing at the end"),
            Some(c) => self.refused(
                c.encode_utf8(&mut [0; 4]),
                "a command is missing before this operator",
            ),
        }
    }

    fn operator(&mut self, text: &str, token: Token) -> Token {
        self.at = self.at.saturating_add(text.len());
        token
    }

    /// Reads from a `<` or `>` on.
    fn redirection(&mut self, is_error: bool) -> Result<Token, Unparsed> {
        let start = self.at;
        for (text, redirection) in [
            ("&1", Redirection::ErrorToOutput),
            ("&2", Redirection::OutputToError),
        ] {
            let is_this = is_error == matches!(redirection, Redirection::ErrorToOutput);
            let behind = self
                .rest()
                .strip_prefix('>')
                .and_then(|rest| rest.strip_prefix(text));
            if let Some(behind) = behind.filter(|_| is_this) {
                if !behind.is_empty() && !behind.starts_with([' ', '\t', '\n', ';', '|', '&']) {
                    break;
                }
                self.at = self.at.saturating_add(3);
                return Ok(Token::Redirection(redirection));
            }
        }
        let append = self.rest().starts_with(">>");
        let is_read = self.rest().starts_with('<');
        self.at = self.at.saturating_add(if append { 2 } else { 1 });
        if self.rest().starts_with(['<', '>', '&', '|', '(', '!']) {
            self.at = start;
            return Err(self.refused(
                self.rest().get(..2).unwrap_or_default(),
                "a redirection of another kind: `> FILE`, `>> FILE`, `2> FILE`, `2>> FILE`, `< FILE`, `2>&1` and `>&2` are read",
            ));
        }
        self.skip_blanks();
        if self
            .peek()
            .is_none_or(|c| matches!(c, '\n' | ';' | '&' | '|' | '<' | '>'))
        {
            return Err(refused(start..self.at, "a redirection without its file"));
        }
        let word = self.word()?;
        if word.is_pattern {
            return Err(refused(start..self.at, special('*')));
        }
        let file = word.text;
        Ok(Token::Redirection(match (is_read, is_error) {
            (true, _) => Redirection::Read(file),
            (false, false) => Redirection::Output { file, append },
            (false, true) => Redirection::Error { file, append },
        }))
    }

    fn word(&mut self) -> Result<Word, Unparsed> {
        let start = self.at;
        let mut word = String::new();
        let mut was_single = false;
        let (mut star, mut is_quoted) = (None, false);
        while let Some(c) = self.peek() {
            let is_single = c == '\'';
            is_quoted |= is_single || c == '"';
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' => break,
                '\'' if was_single => {
                    return Err(self.refused("'", "two texts in single quotes side by side: zsh may read a quote between them"));
                }
                '\'' => word.push_str(self.quoted('\'')?),
                '"' => {
                    let text = match self.here_text()? {
                        Some(text) => text,
                        None => self.quoted('"')?,
                    };
                    word.push_str(text);
                }
                '<' | '>' => {
                    return Err(self.refused(
                        c.encode_utf8(&mut [0; 4]),
                        "a redirection without a blank before it",
                    ));
                }
                _ if c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c) => {
                    word.push(c);
                    self.at = self.at.saturating_add(1);
                }
                '~' | '^' | '{' if !is_quoted && self.is_of_revision(&word) => {
                    let len = if c == '{' { self.braced() } else { 1 };
                    let end = self.at.saturating_add(len);
                    word.push_str(self.text.get(self.at..end).unwrap_or_default());
                    self.at = end;
                }
                // A word that begins with it could become an option; zsh reads `**` in its own way.
                '*' if !word.is_empty() && !word.ends_with('*') && !word.starts_with('-') => {
                    star = star.or(Some(self.at));
                    word.push(c);
                    self.at = self.at.saturating_add(1);
                }
                _ => return Err(self.refused(c.encode_utf8(&mut [0; 4]), &special(c))),
            }
            was_single = is_single;
        }
        if word.starts_with('=') {
            return Err(refused(
                start..self.at,
                "a word that begins with `=`: zsh replaces it by the path of a program",
            ));
        }
        match star {
            Some(at) if is_quoted => Err(refused(
                at..at.saturating_add(1),
                "a pattern with quotes beside it: put the whole word in quotes, or none of it",
            )),
            _ => Ok(Word {
                text: word,
                is_pattern: star.is_some(),
            }),
        }
    }

    /// Returns true if what stands here belongs to a revision of git's, which no shell replaces: `HEAD~2`, `main^`,
    /// `HEAD~2..HEAD`, `stash@{0}`, `@{u}`.
    fn is_of_revision(&self, before: &str) -> bool {
        let rest = self.rest();
        if rest.starts_with('{') {
            return before.ends_with('@') && self.braced() > 0;
        }
        let is_behind_name =
            before.ends_with(|c: char| c.is_ascii_alphanumeric() || "_-}~^".contains(c));
        let behind = rest.get(1..).unwrap_or_default();
        let behind = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        is_behind_name
            && (behind.is_empty()
                || behind.starts_with([' ', '\t', '\n', ';', '&', '|', '~', '^', '.']))
    }

    /// Bytes of one word in braces, with them: shells make several words only of what holds a comma or two dots.
    fn braced(&self) -> usize {
        let inside = self.rest().strip_prefix('{').unwrap_or_default();
        let len = inside.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
        match len
            .filter(|len| *len > 0 && inside.get(*len..).is_some_and(|rest| rest.starts_with('}')))
        {
            Some(len) => len.saturating_add(2),
            None => 0,
        }
    }

    /// Reads a text in quotes: everything in single ones, plain text in double ones.
    fn quoted(&mut self, quote: char) -> Result<&'a str, Unparsed> {
        let inside = self.rest().get(1..).unwrap_or_default();
        let Some(len) = inside.find(quote) else {
            return Err(refused(
                self.at..self.text.len(),
                format!("`{quote}` is opened and not closed"),
            ));
        };
        let text = inside.get(..len).unwrap_or_default();
        if quote == '"'
            && let Some((at, c)) = text
                .char_indices()
                .find(|(_, c)| matches!(c, '$' | '`' | '\\' | '!'))
        {
            self.at = self.at.saturating_add(at).saturating_add(1);
            return Err(self.refused(c.encode_utf8(&mut [0; 4]), &special(c)));
        }
        self.at = self.at.saturating_add(len).saturating_add(2);
        Ok(text)
    }

    /// Reads `"$(cat <<'WORD'`, lines, `WORD`, `)"`: the lines, without the line breaks at their end.
    fn here_text(&mut self) -> Result<Option<&'a str>, Unparsed> {
        let Some(rest) = self.rest().strip_prefix("\"$(cat <<'") else {
            return Ok(None);
        };
        let broken = |end: usize| {
            refused(
                self.at..end,
                "a text by `\"$(cat <<'EOF'` has to end with a line `EOF`, then `)\"`",
            )
        };
        let Some((word, lines)) = rest.split_once("'\n") else {
            return Err(broken(self.text.len()));
        };
        if word.is_empty()
            || !word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(broken(self.text.len()));
        }
        let mut len = 0_usize;
        for line in lines.split_inclusive('\n') {
            if line.strip_suffix('\n') == Some(word) {
                let text = lines.get(..len).unwrap_or_default();
                let behind = lines
                    .get(len.saturating_add(line.len())..)
                    .unwrap_or_default();
                let end = self.text.len().saturating_sub(behind.len());
                if !behind.starts_with(")\"") {
                    return Err(broken(end));
                }
                self.at = end.saturating_add(2);
                return Ok(Some(text.trim_end_matches('\n')));
            }
            len = len.saturating_add(line.len());
        }
        Err(broken(self.text.len()))
    }

    fn refused(&self, what: &str, message: &str) -> Unparsed {
        refused(self.at..self.at.saturating_add(what.len()), message)
    }

    fn skip_blanks(&mut self) {
        self.skip(|c| matches!(c, ' ' | '\t'));
    }

    fn skip(&mut self, is_skipped: fn(char) -> bool) {
        let rest = self.rest().trim_start_matches(is_skipped);
        self.at = self.text.len().saturating_sub(rest.len());
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// Why a character is not accepted outside quotes, and what to write.
fn special(c: char) -> String {
    match c {
        '$' => {
            "`$` is replaced by the shell: write the value itself, or put the word in single quotes"
                .to_owned()
        }
        '`' => "a backtick runs another command: run that by itself".to_owned(),
        '\\' => "a backslash outside single quotes: put the word in single quotes".to_owned(),
        '!' => "`!` recalls a line or negates: put the word in single quotes".to_owned(),
        '*' => "`*` is replaced by the names of files: write a name or `./` in front of it in the word, or put the word in single quotes"
            .to_owned(),
        '?' | '[' | ']' => format!(
            "`{c}` is replaced by the names of files: name them, or put the word in single quotes"
        ),
        '{' | '}' => format!(
            "`{c}` makes several words or a group: write them out, or put the word in single quotes"
        ),
        '(' | ')' => format!(
            "`{c}` makes a group or another shell: write plain commands, or put the word in single quotes"
        ),
        '~' => "`~` is replaced by a home directory: write the path".to_owned(),
        '#' => {
            "`#` begins a comment in some shells: leave it out, or put the word in single quotes"
                .to_owned()
        }
        '^' => "`^` is special in zsh: put the word in single quotes".to_owned(),
        _ => format!(
            "`{}` outside quotes: put the word in single quotes",
            c.escape_debug()
        ),
    }
}
