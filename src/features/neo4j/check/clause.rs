//! Clauses and expressions: what may stand where, and which variables are nodes of the tenant.

use std::collections::BTreeSet;

use super::pattern::patterns;
use super::token::Kind;
use super::words::{CLAUSES, FORBIDDEN, FUNCTIONS, OPERATORS};
use super::{Cursor, PARAMETERS, Refusal};

/// The variables that a pattern with the tenant has bound and that are still visible.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope(BTreeSet<String>);

impl Scope {
    pub(super) fn is_bound(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    pub(super) fn bind(&mut self, name: &str) {
        self.0.insert(name.to_owned());
    }
}

/// Where a query stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The template itself: every branch ends with a RETURN of named columns.
    Whole,
    /// Between the braces of EXISTS, COUNT or COLLECT.
    Braces,
}

/// Reads a query up to the end of the tokens or the closing brace, which stays.
///
/// Answers the names of its columns; none inside braces.
pub(super) fn query(cursor: &mut Cursor<'_>, outer: &Scope, place: Place) -> Result<Vec<String>, Refusal> {
    let mut scope = outer.clone();
    let mut columns: Option<Vec<String>> = None;
    let mut returned = false;
    loop {
        if cursor.peek().is_none() || (place == Place::Braces && cursor.sign(0, '}')) {
            break;
        }
        if returned && !cursor.keyword(0, "UNION") {
            return Err(cursor.refuse("nothing but UNION may follow RETURN"));
        }
        if cursor.take_keyword("UNION") {
            if !returned {
                return Err(cursor.refuse("RETURN must stand before UNION"));
            }
            let _ = cursor.take_keyword("ALL") || cursor.take_keyword("DISTINCT");
            (scope, returned) = (outer.clone(), false);
        } else if cursor.take_keyword("MATCH")
            || (cursor.keyword(0, "OPTIONAL") && cursor.keyword(1, "MATCH") && advance(cursor, 2))
        {
            patterns(cursor, &mut scope)?;
            if cursor.take_keyword("WHERE") {
                expression(cursor, &scope)?;
            }
        } else if cursor.take_keyword("UNWIND") {
            expression(cursor, &scope)?;
        } else if cursor.take_keyword("WITH") {
            let _ = cursor.take_keyword("DISTINCT");
            scope = projection(cursor, &scope)?;
        } else if cursor.take_keyword("RETURN") {
            let _ = cursor.take_keyword("DISTINCT");
            let names = items(cursor, &scope, place)?;
            if columns.as_ref().is_some_and(|first| *first != names) {
                return Err(
                    cursor.refuse("the parts of a UNION must return the same columns in the same order")
                );
            }
            (columns, returned) = (Some(names), true);
        } else {
            let words = "MATCH, OPTIONAL MATCH, UNWIND, WITH, RETURN or UNION";
            return Err(cursor.refuse(format!("only {words} may begin a clause")));
        }
    }
    match columns {
        Some(columns) if returned => Ok(columns),
        None if place == Place::Braces => Ok(vec![]),
        _ => Err(cursor.refuse("a RETURN is missing")),
    }
}

fn advance(cursor: &mut Cursor<'_>, n: usize) -> bool {
    cursor.at += n;
    true
}

/// The items of a WITH. A node stays bound only where it is handed on under its own name.
fn projection(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<Scope, Refusal> {
    let mut next = Scope::default();
    loop {
        let start = cursor.at;
        if cursor.take('*') {
            next.0.extend(scope.0.iter().cloned());
        } else {
            item(cursor, scope)?;
            if let (1, Some(Kind::Word(name) | Kind::Quoted(name))) =
                (cursor.at - start, cursor.tokens.get(start).map(|token| &token.kind))
                && scope.is_bound(name)
            {
                next.bind(name);
            }
        }
        if !cursor.take(',') {
            break;
        }
    }
    // After an aggregation only what was handed on is visible: any other name would be a new, free node.
    tail(cursor, &next)?;
    Ok(next)
}

/// The items of a RETURN, each named by AS.
fn items(cursor: &mut Cursor<'_>, scope: &Scope, place: Place) -> Result<Vec<String>, Refusal> {
    let mut names = vec![];
    loop {
        item(cursor, scope)?;
        let end = cursor.at;
        let named = end >= 2
            && matches!(&cursor.tokens[end - 2].kind, Kind::Word(word) if word.eq_ignore_ascii_case("AS"));
        match &cursor.tokens[end - 1].kind {
            Kind::Word(name) | Kind::Quoted(name) if named => names.push(name.clone()),
            _ if place == Place::Whole => {
                return Err(cursor.refuse("every returned column must be named by AS"));
            }
            _ => {}
        }
        if !cursor.take(',') {
            break;
        }
    }
    tail(cursor, &Scope::default())?;
    Ok(if place == Place::Whole { names } else { vec![] })
}

/// ORDER BY, SKIP, LIMIT, WHERE.
fn tail(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<(), Refusal> {
    while cursor.keyword(0, "ORDER")
        || cursor.keyword(0, "SKIP")
        || cursor.keyword(0, "LIMIT")
        || cursor.keyword(0, "WHERE")
    {
        if cursor.take_keyword("ORDER") {
            if !cursor.take_keyword("BY") {
                return Err(cursor.refuse("BY must follow ORDER"));
            }
        } else {
            cursor.at += 1;
        }
        expression(cursor, scope)?;
    }
    Ok(())
}

/// One item of a projection, up to a comma, the tail, the next clause or a closing brace.
fn item(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<(), Refusal> {
    run(cursor, scope, Stop::Item)
}

/// Expressions separated by commas, up to the next clause or a closing brace.
fn expression(cursor: &mut Cursor<'_>, scope: &Scope) -> Result<(), Refusal> {
    run(cursor, scope, Stop::Clause)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// At a comma as well.
    Item,
    /// At the next clause.
    Clause,
    /// At this closing bracket.
    Bracket(char),
}

/// Walks over an expression: no pattern, no unknown function, no parameter but ours, no clause.
fn run(cursor: &mut Cursor<'_>, scope: &Scope, stop: Stop) -> Result<(), Refusal> {
    let start = cursor.at;
    loop {
        let top = !matches!(stop, Stop::Bracket(_));
        let after_dot = cursor.at > 0 && cursor.tokens[cursor.at - 1].kind == Kind::Sign('.');
        match cursor.peek() {
            None if top => break,
            None => return Err(cursor.refuse("a bracket is not closed")),
            Some(Kind::Sign(c @ (')' | ']' | '}'))) => {
                if stop == Stop::Bracket(*c) {
                    cursor.at += 1;
                    if *c == ')' {
                        no_pattern(cursor)?;
                    }
                    return Ok(());
                }
                if top && *c == '}' {
                    break;
                }
                return Err(cursor.refuse("this bracket closes nothing"));
            }
            Some(Kind::Sign(',')) if stop == Stop::Item => break,
            Some(Kind::Sign(';')) => return Err(cursor.refuse("one statement only")),
            Some(Kind::Sign(open @ ('(' | '[' | '{'))) => {
                cursor.at += 1;
                run(cursor, scope, Stop::Bracket(closing(*open)))?;
            }
            Some(Kind::Parameter(name)) if !PARAMETERS.contains(&name.as_str()) => {
                return Err(cursor.refuse(format!("${name} is not bound; there are $tenantId and $today")));
            }
            Some(Kind::Word(_)) if after_dot => {
                // A property, or the last part of a function's name.
                cursor.at += 1;
                if cursor.sign(0, '(') {
                    return Err(cursor.refuse("a function cannot be called on a value"));
                }
            }
            Some(Kind::Word(word)) => {
                if top
                    && is_any(&CLAUSES, word)
                    && !(is_any(&["WITH"], word) && after(cursor, &["STARTS", "ENDS"]))
                {
                    break;
                }
                if top && stop == Stop::Item && is_any(&["ORDER", "SKIP", "LIMIT", "WHERE"], word) {
                    break;
                }
                self::word(cursor, scope, word)?;
            }
            Some(Kind::Quoted(_)) if cursor.sign(1, '(') || (cursor.sign(1, '.') && called(cursor)) => {
                return Err(cursor.refuse("a function's name must not stand in backticks"));
            }
            Some(_) => cursor.at += 1,
        }
    }
    if cursor.at == start { Err(cursor.refuse("an expression is missing")) } else { Ok(()) }
}

/// A word inside an expression: keyword of a subquery, function, operator or variable.
fn word(cursor: &mut Cursor<'_>, scope: &Scope, word: &str) -> Result<(), Refusal> {
    if is_any(&["EXISTS", "COUNT", "COLLECT"], word) && cursor.sign(1, '{') {
        cursor.at += 2;
        let mut inner = scope.clone();
        if cursor.sign(0, '(') || cursor.sign(1, '=') {
            patterns(cursor, &mut inner)?;
            if cursor.take_keyword("WHERE") {
                expression(cursor, &inner)?;
            }
        } else {
            query(cursor, scope, Place::Braces)?;
        }
        return cursor.expect('}', "the subquery must end here");
    }
    let key = cursor.sign(1, ':')
        && cursor.at > 0
        && matches!(cursor.tokens[cursor.at - 1].kind, Kind::Sign('{' | ','));
    if !key && (is_any(&FORBIDDEN, word) || (is_any(&CLAUSES, word) && !is_any(&["WITH"], word))) {
        return Err(cursor.refuse(format!("{} is not allowed here", word.to_ascii_uppercase())));
    }
    if !key && is_any(&["WITH"], word) && !after(cursor, &["STARTS", "ENDS"]) {
        return Err(cursor.refuse("WITH is not allowed here"));
    }
    let mut name = word.to_ascii_lowercase();
    let mut length = 1;
    while cursor.sign(length, '.') {
        match cursor.ahead(length + 1) {
            Some(Kind::Word(part) | Kind::Quoted(part)) => {
                name = format!("{name}.{}", part.to_ascii_lowercase());
                length += 2;
            }
            _ => break,
        }
    }
    let is_call = cursor.sign(length, '(');
    let is_operator = length == 1 && is_any(&OPERATORS, word);
    if is_call && !is_operator && !FUNCTIONS.contains(&name.as_str()) {
        return Err(cursor.refuse(format!("the function {name} is not on the list of allowed ones")));
    }
    cursor.at += if is_call { length } else { 1 };
    Ok(())
}

/// Whether names and dots from here on end in a call.
fn called(cursor: &Cursor<'_>) -> bool {
    let mut n = 1;
    while cursor.sign(n, '.') && matches!(cursor.ahead(n + 1), Some(Kind::Word(_) | Kind::Quoted(_))) {
        n += 2;
    }
    cursor.sign(n, '(')
}

/// A closing parenthesis and the beginning of an arrow make a pattern.
fn no_pattern(cursor: &Cursor<'_>) -> Result<(), Refusal> {
    let left = usize::from(cursor.sign(0, '<'));
    let arrow = cursor.sign(left, '-')
        && (cursor.sign(left + 1, '[') || cursor.sign(left + 1, '-') || cursor.sign(left + 1, '>'));
    if arrow {
        return Err(
            cursor.refuse("a pattern in an expression must stand in EXISTS { }, COUNT { } or COLLECT { }")
        );
    }
    Ok(())
}

fn after(cursor: &Cursor<'_>, words: &[&str]) -> bool {
    cursor.at > 0 && matches!(&cursor.tokens[cursor.at - 1].kind, Kind::Word(word) if is_any(words, word))
}

fn is_any(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}
