//! Patterns: every node bound to the tenant.

use super::clause::Scope;
use super::token::Kind;
use super::{Cursor, Refusal};

/// Reads `pattern, pattern, ...` and adds the variables that it binds to `scope`.
pub(super) fn patterns(cursor: &mut Cursor<'_>, scope: &mut Scope) -> Result<(), Refusal> {
    loop {
        if matches!(cursor.peek(), Some(Kind::Word(_) | Kind::Quoted(_))) && cursor.sign(1, '=') {
            // A path variable holds nothing but the nodes and relationships of its pattern.
            cursor.at += 2;
        }
        path(cursor, scope)?;
        if !cursor.take(',') {
            return Ok(());
        }
    }
}

fn path(cursor: &mut Cursor<'_>, scope: &mut Scope) -> Result<(), Refusal> {
    node(cursor, scope)?;
    while cursor.sign(0, '-') || cursor.sign(0, '<') {
        relationship(cursor)?;
        node(cursor, scope)?;
    }
    Ok(())
}

/// `(variable:Labels {tenantId: $tenantId, ...})`, or `(variable)` of a variable in scope.
fn node(cursor: &mut Cursor<'_>, scope: &mut Scope) -> Result<(), Refusal> {
    cursor.expect(
        '(',
        "a node in parentheses must stand here; shortestPath, selectors and quantified paths are not allowed",
    )?;
    let variable = cursor.name();
    if cursor.take(':') {
        labels(cursor)?;
    }
    let bound = cursor.sign(0, '{') && properties(cursor)?;
    let known = variable.is_some_and(|name| scope.is_bound(name));
    if !bound && !known {
        return Err(cursor.refuse("this node must carry {tenantId: $tenantId}"));
    }
    cursor
        .expect(')', "only variable, labels and properties may stand in a node; put conditions in WHERE")?;
    if let Some(name) = variable {
        scope.bind(name);
    }
    Ok(())
}

/// Names with `|`, `&`, `!`, `%` and parentheses.
fn labels(cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
    let mut depth = 0_usize;
    loop {
        match cursor.peek() {
            Some(Kind::Word(_) | Kind::Quoted(_)) => {}
            Some(Kind::Sign('|' | '&' | '!' | '%' | ':')) => {}
            Some(Kind::Sign('(')) => depth += 1,
            Some(Kind::Sign(')')) if depth > 0 => depth -= 1,
            _ if depth == 0 => return Ok(()),
            _ => return Err(cursor.refuse("labels must be plain names")),
        }
        cursor.at += 1;
    }
}

/// `{name: value, ...}` with literals and parameters for values; whether `tenantId: $tenantId` is among them.
fn properties(cursor: &mut Cursor<'_>) -> Result<bool, Refusal> {
    cursor.expect('{', "properties must stand here")?;
    let mut bound = false;
    loop {
        let quoted = matches!(cursor.peek(), Some(Kind::Quoted(_)));
        let Some(name) = cursor.name() else { return Err(cursor.refuse("a property name must stand here")) };
        cursor.expect(':', "a colon must follow the property name")?;
        let tenant = matches!(cursor.peek(), Some(Kind::Parameter(name)) if name == "tenantId");
        let plain = match cursor.next() {
            Some(Kind::Text | Kind::Number) => true,
            Some(Kind::Parameter(name)) => super::PARAMETERS.contains(&name.as_str()),
            Some(Kind::Word(word)) => ["true", "false"].iter().any(|value| word.eq_ignore_ascii_case(value)),
            _ => false,
        };
        let last = cursor.sign(0, '}');
        if !plain || !(last || cursor.sign(0, ',')) {
            return Err(
                cursor.refuse("a property of a node must be a literal or $tenantId; put conditions in WHERE")
            );
        }
        if name == "tenantId" {
            if !tenant || bound || quoted {
                return Err(cursor.refuse("tenantId must be $tenantId, once"));
            }
            bound = true;
        }
        cursor.at += 1;
        if last {
            return Ok(bound);
        }
    }
}

/// `-->`, `<--`, `--`, or with `[variable:TYPE|TYPE]`: one step, between two nodes that are named.
fn relationship(cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
    const SHAPE: &str = "a relationship such as -[r:TYPE]-> must stand here";
    cursor.take('<');
    cursor.expect('-', SHAPE)?;
    if cursor.take('[') {
        while !cursor.take(']') {
            match cursor.next() {
                Some(Kind::Word(word)) if word.eq_ignore_ascii_case("WHERE") => {
                    return Err(cursor.refuse("put conditions on a relationship after the pattern"));
                }
                Some(Kind::Word(_) | Kind::Quoted(_) | Kind::Sign(':' | '|' | '&' | '!')) => {}
                Some(Kind::Sign('*')) => {
                    return Err(
                        cursor.refuse("a path of variable length passes nodes that no tenant is bound to")
                    );
                }
                _ => return Err(cursor.refuse("a relationship may have a variable and types only")),
            }
        }
    }
    cursor.expect('-', SHAPE)?;
    cursor.take('>');
    Ok(())
}
