//! Whether a Cypher template can only ever touch the nodes of one tenant: by its text, deny by default.
//!
//! The proof is by construction. A template is made of `MATCH`, `OPTIONAL MATCH`, `UNWIND`, `WITH`, `RETURN`
//! and `UNION` only. Nodes come into it through patterns only, as functions stand on an allow list. Every
//! node of every pattern carries `{tenantId: $tenantId}`, or is a variable that such a pattern bound and
//! that is still in scope; paths of variable length, whose inner nodes nobody names, are refused. So
//! whatever the template computes, it computes from nodes of the tenant. Where this check and Neo4j
//! could read a text differently, the text is refused.
//!
//! Patterns inside expressions must stand in `EXISTS { }`, `COUNT { }` or `COLLECT { }`.

mod clause;
mod pattern;
mod token;
mod words;

use token::{Kind, Token};

/// Why a template is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct Refusal {
    /// Line of the template, from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) reason: String,
}

impl Refusal {
    fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// The parameters that the session binds.
pub(super) const PARAMETERS: [&str; 2] = ["tenantId", "today"];

/// Checks `text` and tells the names of the columns that it returns, in order.
///
/// # Errors
/// The first [`Refusal`].
pub(super) fn columns(text: &str) -> Result<Vec<String>, Refusal> {
    let tokens = token::tokens(text)?;
    let mut cursor = Cursor { tokens: &tokens, at: 0 };
    let columns = clause::query(&mut cursor, &clause::Scope::default(), clause::Place::Whole)?;
    match cursor.peek() {
        None => Ok(columns),
        Some(_) => Err(cursor.refuse("the template must end here")),
    }
}

/// A position in the tokens.
struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Kind> {
        self.ahead(0)
    }

    fn ahead(&self, n: usize) -> Option<&'a Kind> {
        self.tokens.get(self.at + n).map(|token| &token.kind)
    }

    fn next(&mut self) -> Option<&'a Kind> {
        let kind = self.peek();
        self.at += 1;
        kind
    }

    /// Whether the token `n` ahead is the sign `c`.
    fn sign(&self, n: usize, c: char) -> bool {
        self.ahead(n) == Some(&Kind::Sign(c))
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.sign(0, c);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, c: char, what: &str) -> Result<(), Refusal> {
        if self.take(c) { Ok(()) } else { Err(self.refuse(what)) }
    }

    /// Whether the token `n` ahead is the keyword, in any case.
    fn keyword(&self, n: usize, keyword: &str) -> bool {
        matches!(self.ahead(n), Some(Kind::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.keyword(0, keyword);
        self.at += usize::from(found);
        found
    }

    /// A name, bare or in backticks.
    fn name(&mut self) -> Option<&'a str> {
        match self.peek() {
            Some(Kind::Word(name) | Kind::Quoted(name)) => {
                self.at += 1;
                Some(name)
            }
            _ => None,
        }
    }

    fn refuse(&self, reason: impl Into<String>) -> Refusal {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        Refusal::new(token.map_or(1, |token| token.line), reason)
    }
}

#[cfg(test)]
mod tests;
