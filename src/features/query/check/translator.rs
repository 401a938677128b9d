//! The text being written, and what was seen on the way.

use std::collections::HashSet;

use sqlparser::tokenizer::Span;

use super::super::{Policy, Refusal};

/// Columns that every Postgres table has besides its own.
const SYSTEM_COLUMNS: [&str; 7] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"];

/// Names that Postgres gives to columns of expressions of the grammar.
const IMPLICIT: [&str; 10] =
    ["case", "exists", "extract", "array", "row", "numeric", "bool", "substring", "position", "overlay"];

/// Writes the new text.
pub(super) struct Translator<'p> {
    pub(super) policy: &'p Policy,
    out: String,
    tenant_at: Vec<usize>,
    /// The names of WITH that are visible here, innermost last.
    pub(super) visible: Vec<Vec<String>>,
    /// Columns that the query refers to.
    used: Vec<(String, Span)>,
    /// Columns that the query has: of its relations, and the names that it gives itself.
    known: HashSet<String>,
    relations: usize,
}

impl<'p> Translator<'p> {
    pub(super) fn new(policy: &'p Policy) -> Self {
        let known = IMPLICIT.into_iter().map(Into::into).collect();
        let (out, tenant_at, visible, used) = (String::new(), vec![], vec![], vec![]);
        Self { policy, out, tenant_at, visible, used, known, relations: 0 }
    }

    /// The text, and where the tenant's id goes.
    ///
    /// # Errors
    /// A column that nothing in the query defines. Postgres would read `t.f` as the call `f(t)`.
    pub(super) fn finish(self) -> Result<(String, Vec<usize>), Refusal> {
        match self.used.iter().find(|(name, _)| !self.known.contains(name)) {
            Some((name, span)) => {
                Err(Refusal::at("query_column", format!("There is no column '{name}'"), *span))
            }
            None => Ok((self.out, self.tenant_at)),
        }
    }

    /// Writes one word or sign. The blank keeps `-` and `-` from becoming a comment.
    pub(super) fn put(&mut self, token: &str) {
        self.out.push(' ');
        self.out.push_str(token);
    }

    /// Writes the tenant's id.
    pub(super) fn put_tenant(&mut self) {
        self.out.push(' ');
        self.tenant_at.push(self.out.len());
    }

    /// Writes `items` with commas between.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.put(",");
            }
            write(self, item)?;
        }
        Ok(())
    }

    /// Writes `inner` in parentheses.
    pub(super) fn parens(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.put("(");
        inner(self)?;
        self.put(")");
        Ok(())
    }

    /// A column that the query has from here on, or has had.
    pub(super) fn defines(&mut self, name: &str, span: Span) -> Result<(), Refusal> {
        reserved(name, span)?;
        self.known.insert(name.to_owned());
        Ok(())
    }

    /// A column that the query refers to.
    pub(super) fn uses(&mut self, name: String, span: Span) -> Result<(), Refusal> {
        reserved(&name, span)?;
        self.used.push((name, span));
        Ok(())
    }

    /// Counts one relation or sub-select of FROM.
    pub(super) fn count_relation(&mut self, span: Span) -> Result<(), Refusal> {
        self.relations += 1;
        let most = self.policy.limits.relations;
        if self.relations > most {
            let message = format!("More than {most} relations and sub-selects");
            return Err(Refusal::at("query_too_large", message, span));
        }
        Ok(())
    }
}

/// Refuses the names of Postgres' own.
pub(super) fn reserved(name: &str, span: Span) -> Result<(), Refusal> {
    if name.starts_with("pg_") || SYSTEM_COLUMNS.contains(&name) {
        return Err(Refusal::at("query_name", format!("The name '{name}' is Postgres' own"), span));
    }
    Ok(())
}

/// The refusal of a construct.
pub(super) fn no<T>(what: &str, span: Span) -> Result<T, Refusal> {
    Err(Refusal::at("query_not_allowed", format!("{what} is not allowed"), span))
}

/// Refuses a construct that is there.
pub(super) fn absent(there: bool, what: &str, span: Span) -> Result<(), Refusal> {
    if there { no(what, span) } else { Ok(()) }
}
