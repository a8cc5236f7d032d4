//! The text of a template to tokens. Trim markers and comments end here.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text outside of actions, trimmed.
    Text,
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// White space inside an action.
    Space,
    /// A name without a dot: a function, a keyword, `true`, `false` or `nil`.
    Word,
    /// `.name`.
    Field,
    /// `.` alone.
    Dot,
    /// `$` or `$name`.
    Variable,
    /// A number.
    Number,
    /// A character in `'`.
    Character,
    /// A text in `"`.
    Quoted,
    /// A text in backquotes.
    Raw,
    /// `(`.
    OpenParen,
    /// `)`.
    CloseParen,
    /// `|`.
    Pipe,
    /// `:=`.
    Declare,
    /// `=`.
    Assign,
    /// Another printable character.
    Other,
    /// The end of the source.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'t> {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: &'t str,
    /// Its first byte.
    pub at: usize,
}

/// Why the text cannot be divided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: usize,
    /// Why, in words.
    pub message: String,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// The tokens of `text` up to its end, or up to where it cannot be divided on.
pub fn tokens(text: &str) -> (Vec<Token<'_>>, Option<Fault>) {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), trims: false };
    let fault = lexer.run().err();
    if fault.is_none() {
        lexer.push(Kind::End, text.len());
    }
    (lexer.tokens, fault)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token<'t>>,
    /// Whether the action before asked for the white space after it to go.
    trims: bool,
}

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Result<(), Fault> {
        while let Some(open) = self.text[self.at..].find(OPEN).map(|found| self.at + found) {
            let after = open + OPEN.len();
            let trims = self.text[after..].starts_with('-') && self.text[after + 1..].starts_with(is_space);
            self.plain(open, trims);
            self.at = after + if trims { 2 } else { 0 };
            if self.text[self.at..].starts_with("/*") {
                self.comment()?;
            } else {
                self.tokens.push(Token { kind: Kind::Open, text: OPEN, at: open });
                self.action(open)?;
            }
        }
        self.plain(self.text.len(), false);
        Ok(())
    }

    /// The text up to `end`.
    fn plain(&mut self, end: usize, trims_end: bool) {
        let mut part = &self.text[self.at..end];
        if std::mem::take(&mut self.trims) {
            part = part.trim_start_matches(is_space);
        }
        let at = end - part.len();
        if trims_end {
            part = part.trim_end_matches(is_space);
        }
        if !part.is_empty() {
            self.tokens.push(Token { kind: Kind::Text, text: part, at });
        }
        self.at = end;
    }

    fn comment(&mut self) -> Result<(), Fault> {
        let begins = self.at;
        let Some(end) = self.text[begins..].find("*/") else {
            return Err(Fault { at: begins, message: "the comment is not closed".into() });
        };
        self.at = begins + end + 2;
        match self.closing() {
            Some((length, trims)) => {
                self.at += length;
                self.trims = trims;
                Ok(())
            }
            None => Err(Fault { at: self.at, message: "a comment is the whole action: \"}}\" must follow it".into() }),
        }
    }

    /// Whether the action ends here: how long its end is, and whether it trims.
    fn closing(&self) -> Option<(usize, bool)> {
        let rest = &self.text[self.at..];
        let marked = rest.strip_prefix(is_space).and_then(|rest| rest.strip_prefix('-'));
        if marked.is_some_and(|rest| rest.starts_with(CLOSE)) {
            return Some((2 + CLOSE.len(), true));
        }
        rest.starts_with(CLOSE).then_some((CLOSE.len(), false))
    }

    fn action(&mut self, open: usize) -> Result<(), Fault> {
        let mut parens: Vec<usize> = Vec::new();
        loop {
            if let Some((length, trims)) = self.closing() {
                if let Some(at) = parens.pop() {
                    return Err(Fault { at, message: "\"(\" is not closed".into() });
                }
                self.tokens.push(Token { kind: Kind::Close, text: CLOSE, at: self.at });
                self.at += length;
                self.trims = trims;
                return Ok(());
            }
            let Some(c) = self.text[self.at..].chars().next() else {
                return Err(Fault { at: open, message: "the action is not closed: \"}}\" is missing".into() });
            };
            match c {
                '(' => parens.push(self.at),
                ')' if parens.pop().is_none() => {
                    return Err(Fault { at: self.at, message: "\")\" has no \"(\"".into() });
                }
                _ => {}
            }
            self.token(c)?;
        }
    }

    fn push(&mut self, kind: Kind, end: usize) {
        self.tokens.push(Token { kind, text: &self.text[self.at..end], at: self.at });
        self.at = end;
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { at: self.at, message: message.into() }
    }

    /// The end of the run of characters that `belongs` holds for, from `from` on.
    fn run_end(&self, from: usize, belongs: fn(char) -> bool) -> usize {
        let rest = &self.text[from..];
        from + rest.find(|c| !belongs(c)).unwrap_or(rest.len())
    }

    /// One token that begins with `c`.
    fn token(&mut self, c: char) -> Result<(), Fault> {
        let rest = &self.text[self.at..];
        match c {
            c if is_space(c) => self.space(),
            ':' if rest.starts_with(":=") => self.push(Kind::Declare, self.at + 2),
            ':' => return Err(self.fault("\":\" must be followed by \"=\"")),
            '=' => self.push(Kind::Assign, self.at + 1),
            '|' => self.push(Kind::Pipe, self.at + 1),
            '(' => self.push(Kind::OpenParen, self.at + 1),
            ')' => self.push(Kind::CloseParen, self.at + 1),
            '"' => self.quoted('"', Kind::Quoted)?,
            '\'' => self.quoted('\'', Kind::Character)?,
            '`' => match rest[1..].find('`') {
                Some(end) => self.push(Kind::Raw, self.at + end + 2),
                None => return Err(self.fault("the text in backquotes is not closed")),
            },
            '$' => self.name(Kind::Variable)?,
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let kind = if rest[1..].starts_with(is_word) { Kind::Field } else { Kind::Dot };
                self.name(kind)?;
            }
            '.' | '+' | '-' | '0'..='9' => self.number()?,
            c if is_word(c) => self.name(Kind::Word)?,
            c if c.is_ascii_graphic() => self.push(Kind::Other, self.at + 1),
            c => return Err(self.fault(format!("{c:?} has no meaning in an action"))),
        }
        Ok(())
    }

    /// White space, without the one that belongs to a trimming end.
    fn space(&mut self) {
        let end = self.run_end(self.at, is_space);
        let marked = self.text[end..].strip_prefix('-').is_some_and(|rest| rest.starts_with(CLOSE));
        self.push(Kind::Space, if marked { end - 1 } else { end });
    }

    fn quoted(&mut self, quote: char, kind: Kind) -> Result<(), Fault> {
        let mut escaped = false;
        for (at, c) in self.text[self.at..].char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.push(kind, self.at + at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(self.fault("the quote is not closed on its line"))
    }

    /// A name, or the sign that begins one alone.
    fn name(&mut self, kind: Kind) -> Result<(), Fault> {
        let from = self.at + usize::from(kind != Kind::Word);
        let end = self.run_end(from, is_word);
        match self.text[end..].chars().next() {
            Some(c) if !is_space(c) && !".,|:()".contains(c) && !self.text[end..].starts_with(CLOSE) => {
                Err(Fault { at: end, message: format!("{c:?} cannot stand here") })
            }
            _ => {
                self.push(kind, end);
                Ok(())
            }
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let rest = &self.text[self.at..];
        let mut end = rest.find(|c| !['+', '-'].contains(&c)).unwrap_or(rest.len()).min(1);
        let digits = |from: usize, set: &str| {
            let part = &rest[from..];
            from + part.find(|c: char| c != '_' && !set.contains(c.to_ascii_lowercase())).unwrap_or(part.len())
        };
        let prefix = rest.get(end..end + 2).map(str::to_ascii_lowercase);
        let (set, exponent) = match prefix.as_deref() {
            Some("0x") => ("0123456789abcdef", 'p'),
            Some("0o") => ("01234567", 'p'),
            Some("0b") => ("01", 'p'),
            _ => ("0123456789", 'e'),
        };
        end = digits(if exponent == 'p' { end + 2 } else { end }, set);
        if rest[end..].starts_with('.') {
            end = digits(end + 1, set);
        }
        if rest[end..].starts_with(|c: char| c.to_ascii_lowercase() == exponent) {
            end += 1 + usize::from(rest[end + 1..].starts_with(['+', '-']));
            end = digits(end, "0123456789");
        }
        if rest[end..].starts_with(is_word) {
            let bad = self.run_end(self.at + end, is_word);
            return Err(self.fault(format!("{:?} is not a number", &self.text[self.at..bad])));
        }
        self.push(Kind::Number, self.at + end);
        Ok(())
    }
}
