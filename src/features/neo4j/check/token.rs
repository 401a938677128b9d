//! Cypher as tokens: comments gone, strings opaque, everything unusual refused.

use super::Refusal;

/// One token and the line on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word: keyword, variable, label, function or property.
    Word(String),
    /// A name in backticks: never a keyword.
    Quoted(String),
    /// A string; its content is of no interest.
    Text,
    /// A number.
    Number,
    /// `$name`.
    Parameter(String),
    /// Any other sign.
    Sign(char),
}

/// The tokens of `text`.
///
/// Refused: an unfinished string, name or comment, `\u` anywhere (Neo4j replaces such escapes before
/// it reads the text, so one can end a string or open a pattern), and every sign that is not ASCII
/// outside strings (Neo4j takes several dashes and brackets of Unicode for arrows).
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut reader = Reader { rest: text.chars().collect(), at: 0, line: 1 };
    let mut tokens = vec![];
    if let Some(at) = text.find("\\u").or_else(|| text.find("\\U")) {
        let line = 1 + text[..at].matches('\n').count();
        return Err(Refusal::new(line, "Unicode escapes are not allowed"));
    }
    while let Some(first) = reader.next() {
        let line = reader.line;
        let kind = match first {
            ' ' | '\t' | '\r' | '\n' => continue,
            '/' if reader.peek() == Some('/') => {
                while reader.peek().is_some_and(|c| c != '\n' && c != '\r') {
                    reader.next();
                }
                continue;
            }
            '/' if reader.peek() == Some('*') => {
                reader.next();
                reader.comment()?;
                continue;
            }
            quote @ ('\'' | '"') => {
                reader.string(quote)?;
                Kind::Text
            }
            '`' => Kind::Quoted(reader.quoted()?),
            '$' => match reader.next() {
                Some(c) if is_start(c) => Kind::Parameter(reader.word(c)),
                _ => return Err(Refusal::new(line, "a parameter must have a plain name")),
            },
            c if is_start(c) => Kind::Word(reader.word(c)),
            c if c.is_ascii_digit() => {
                reader.number()?;
                Kind::Number
            }
            c if "(){}[],:;.|+-*/%^=<>&!".contains(c) => Kind::Sign(c),
            c => return Err(Refusal::new(line, format!("the sign {c:?} is not allowed"))),
        };
        tokens.push(Token { kind, line });
    }
    Ok(tokens)
}

fn is_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    line: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self.peek().filter(|&c| is_start(c) || c.is_ascii_digit()) {
            word.push(c);
            self.at += 1;
        }
        word
    }

    /// Decimal digits with a point and an exponent; a letter at their end could begin a clause.
    fn number(&mut self) -> Result<(), Refusal> {
        while let Some(c) = self.peek() {
            let next = self.rest.get(self.at + 1);
            let part = match c {
                '0'..='9' => true,
                // `1..3` is a range.
                '.' | 'e' | 'E' => next.is_some_and(char::is_ascii_digit),
                '-' => matches!(self.rest[self.at - 1], 'e' | 'E'),
                _ => false,
            };
            let exponent = matches!(c, 'e' | 'E') && next == Some(&'-');
            if !(part || exponent) {
                break;
            }
            self.at += 1;
        }
        match self.peek() {
            Some(c) if is_start(c) => {
                Err(Refusal::new(self.line, "a number must be decimal and end before a letter"))
            }
            _ => Ok(()),
        }
    }

    fn comment(&mut self) -> Result<(), Refusal> {
        let line = self.line;
        while let Some(c) = self.next() {
            if c == '*' && self.peek() == Some('/') {
                self.at += 1;
                return Ok(());
            }
        }
        Err(Refusal::new(line, "the comment does not end"))
    }

    fn string(&mut self, quote: char) -> Result<(), Refusal> {
        let line = self.line;
        while let Some(c) = self.next() {
            if c == '\\' {
                self.next();
            } else if c == quote {
                return Ok(());
            }
        }
        Err(Refusal::new(line, "the string does not end"))
    }

    fn quoted(&mut self) -> Result<String, Refusal> {
        let line = self.line;
        let mut name = String::new();
        while let Some(c) = self.next() {
            if c != '`' {
                name.push(c);
            } else if self.peek() == Some('`') {
                self.at += 1;
                name.push('`');
            } else {
                return Ok(name);
            }
        }
        Err(Refusal::new(line, "the name in backticks does not end"))
    }
}
