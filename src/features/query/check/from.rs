//! FROM: the relations, and how they are joined.

use sqlparser::{
    ast::{
        Join, JoinConstraint, JoinOperator, ObjectName, Spanned, TableAlias, TableAliasColumnDef,
        TableFactor, TableWithJoins,
    },
    tokenizer::Span,
};

use super::{
    super::Refusal,
    name::{name, names, quoted},
    translator::{Translator, absent, no, reserved},
};

type Done = Result<(), Refusal>;

impl Translator<'_> {
    pub(super) fn table_with_joins(&mut self, table: &TableWithJoins) -> Done {
        let TableWithJoins { relation, joins } = table;
        self.table_factor(relation)?;
        joins.iter().try_for_each(|join| self.join(join))
    }

    fn join(&mut self, join: &Join) -> Done {
        let Join { relation, global, join_operator } = join;
        let span = relation.span();
        absent(*global, "GLOBAL", span)?;
        let (words, constraint) = match join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => ("JOIN", constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => ("LEFT JOIN", constraint),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                ("RIGHT JOIN", constraint)
            }
            JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
            JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
            _ => return no("This kind of join", span),
        };
        if matches!(constraint, JoinConstraint::Natural) {
            self.put("NATURAL");
        }
        self.put(words);
        self.table_factor(relation)?;
        match constraint {
            JoinConstraint::None | JoinConstraint::Natural => Ok(()),
            JoinConstraint::On(condition) => {
                self.put("ON");
                self.expression(condition)
            }
            JoinConstraint::Using(columns) => {
                self.put("USING");
                self.parens(|to| to.list(columns, |to, column| to.using(column, span)))
            }
        }
    }

    fn using(&mut self, column: &ObjectName, join: Span) -> Done {
        let parts = names(column)?;
        let [(column, span)] = parts.as_slice() else { return no("This column in USING", join) };
        self.put(&quoted(column));
        self.uses(column.clone(), *span)
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Done {
        let span = factor.span();
        self.count_relation(span)?;
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                absent(args.is_some() || *with_ordinality, "A function in FROM", span)?;
                absent(sample.is_some(), "TABLESAMPLE", span)?;
                let foreign = !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty();
                absent(foreign, "This form of a table", span)?;
                self.relation(name, alias.as_ref(), span)
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                absent(sample.is_some(), "TABLESAMPLE", span)?;
                if *lateral {
                    self.put("LATERAL");
                }
                self.subquery(subquery)?;
                self.alias(alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.parens(|to| to.table_with_joins(table_with_joins))?;
                self.alias(alias.as_ref())
            }
            TableFactor::Function { .. } | TableFactor::TableFunction { .. } | TableFactor::UNNEST { .. } => {
                no("A function in FROM", span)
            }
            _ => no("This form of a table", span),
        }
    }

    /// A name of WITH stands as it is. A table becomes the tenant's part of it: its listed columns, in
    /// rows that carry the tenant's id. So this layer holds without the other one.
    fn relation(&mut self, object: &ObjectName, alias: Option<&TableAlias>, span: Span) -> Done {
        let parts = names(object)?;
        let (schema, table) = match parts.as_slice() {
            [(table, _)] => (None, table.as_str()),
            [(schema, _), (table, _)] => (Some(schema.as_str()), table.as_str()),
            _ => return no("A name of three parts", span),
        };
        if schema.is_none() && self.visible.iter().flatten().any(|visible| visible == table) {
            self.put(&quoted(table));
            return self.alias(alias);
        }
        let Some(relation) = self.policy.relation(schema, table) else {
            let all: Vec<&str> =
                self.policy.relations.iter().map(|relation| relation.name.as_str()).collect();
            let message = format!("There is no table '{object}' to read; there are {}", all.join(", "));
            return Err(Refusal::at("query_relation", message, span));
        };
        for column in &relation.columns {
            self.defines(column, span)?;
        }
        let columns: Vec<String> = relation.columns.iter().map(|column| quoted(column)).collect();
        let source = format!("{}.{}", quoted(&relation.schema), quoted(&relation.table));
        self.put(&format!("(SELECT {} FROM {source} WHERE tenant_id =", columns.join(", ")));
        self.put_tenant();
        self.put(")");
        match alias {
            Some(_) => self.alias(alias),
            None => {
                self.put(&format!("AS {}", quoted(table)));
                Ok(())
            }
        }
    }

    fn alias(&mut self, alias: Option<&TableAlias>) -> Done {
        let Some(alias) = alias else { return Ok(()) };
        self.put("AS");
        self.alias_names(alias).map(drop)
    }

    /// Writes `name (column, ...)`, and returns the name.
    pub(super) fn alias_names(&mut self, alias: &TableAlias) -> Result<String, Refusal> {
        let TableAlias { explicit: _, name: alias_name, columns, at } = alias;
        absent(at.is_some(), "AT", alias_name.span)?;
        let table = name(alias_name)?;
        reserved(&table, alias_name.span)?;
        self.put(&quoted(&table));
        if !columns.is_empty() {
            self.parens(|to| to.list(columns, Self::alias_column))?;
        }
        Ok(table)
    }

    fn alias_column(&mut self, column: &TableAliasColumnDef) -> Done {
        let TableAliasColumnDef { name: ident, data_type } = column;
        absent(data_type.is_some(), "A type in an alias", ident.span)?;
        let column = name(ident)?;
        self.put(&quoted(&column));
        self.defines(&column, ident.span)
    }
}
