//! SELECT, FROM and what stands around them.

use sqlparser::{
    ast::{
        Cte, CteAsMaterialized, Distinct, Fetch, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator,
        LimitClause, NamedWindowDefinition, NamedWindowExpr, ObjectName, Offset, OffsetRows, OrderBy,
        OrderByExpr, OrderByKind, OrderByOptions, OrderBySort, Parens, Query, Select, SelectFlavor,
        SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Spanned,
        TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Values, WildcardAdditionalOptions,
        With,
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
    pub(super) fn query(&mut self, query: &Query) -> Done {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let span = body.span();
        absent(!locks.is_empty(), "FOR UPDATE and FOR SHARE", span)?;
        absent(for_clause.is_some(), "FOR", span)?;
        absent(settings.is_some(), "SETTINGS", span)?;
        absent(format_clause.is_some(), "FORMAT", span)?;
        absent(!pipe_operators.is_empty(), "|>", span)?;
        self.visible.push(vec![]);
        if let Some(with) = with {
            self.with(with)?;
        }
        self.set_expr(body)?;
        if let Some(order_by) = order_by {
            self.order_by_clause(order_by, span)?;
        }
        if let Some(limit) = limit_clause {
            self.limit(limit, span)?;
        }
        if let Some(fetch) = fetch {
            self.fetch(fetch, span)?;
        }
        self.visible.pop();
        Ok(())
    }

    /// A query in parentheses.
    pub(super) fn subquery(&mut self, query: &Query) -> Done {
        self.parens(|to| to.query(query))
    }

    fn with(&mut self, with: &With) -> Done {
        let With { with_token, recursive, cte_tables } = with;
        absent(*recursive, "WITH RECURSIVE", with_token.0.span)?;
        self.put("WITH");
        self.list(cte_tables, Self::cte)
    }

    fn cte(&mut self, cte: &Cte) -> Done {
        let Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
        absent(from.is_some(), "FROM in WITH", alias.name.span)?;
        let name = self.alias_names(alias)?;
        self.put("AS");
        match materialized {
            None => {}
            Some(CteAsMaterialized::Materialized) => self.put("MATERIALIZED"),
            Some(CteAsMaterialized::NotMaterialized) => self.put("NOT MATERIALIZED"),
        }
        self.subquery(query)?;
        // Visible to what follows, not to itself: a table of the same name may stand inside.
        if let Some(names) = self.visible.last_mut() {
            names.push(name);
        }
        Ok(())
    }

    fn set_expr(&mut self, body: &SetExpr) -> Done {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.subquery(query),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_expr(left)?;
                self.put(match op {
                    SetOperator::Union => "UNION",
                    SetOperator::Except => "EXCEPT",
                    SetOperator::Intersect => "INTERSECT",
                    SetOperator::Minus => return no("MINUS", right.span()),
                });
                match set_quantifier {
                    SetQuantifier::None => {}
                    SetQuantifier::All => self.put("ALL"),
                    SetQuantifier::Distinct => self.put("DISTINCT"),
                    _ => return no("BY NAME", right.span()),
                }
                self.set_expr(right)
            }
            SetExpr::Values(values) => self.values(values),
            _ => no("This statement", body.span()),
        }
    }

    fn values(&mut self, values: &Values) -> Done {
        let Values { explicit_row, value_keyword, rows } = values;
        absent(*explicit_row || *value_keyword, "This form of VALUES", Span::empty())?;
        for column in 1..=rows.first().map_or(0, |row| row.content.len()) {
            self.defines(&format!("column{column}"), Span::empty())?;
        }
        self.put("VALUES");
        self.list(rows, |to, row| {
            let Parens { opening_token: _, content, closing_token: _ } = row;
            to.parens(|to| to.expressions(content))
        })
    }

    fn select(&mut self, select: &Select) -> Done {
        let Select {
            select_token,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        let span = select_token.0.span;
        absent(into.is_some(), "INTO", span)?;
        absent(*flavor != SelectFlavor::Standard, "FROM before SELECT", span)?;
        absent(qualify.is_some(), "QUALIFY", span)?;
        absent(top.is_some() || *top_before_distinct, "TOP", span)?;
        absent(exclude.is_some(), "EXCLUDE", span)?;
        absent(!connect_by.is_empty(), "CONNECT BY", span)?;
        // A hint is a comment to this dialect; it is simply not written.
        let _ = optimizer_hints;
        let foreign = select_modifiers.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || value_table_mode.is_some();
        absent(foreign, "A clause of another database's dialect", span)?;

        self.put("SELECT");
        match distinct {
            None => {}
            Some(Distinct::All) => self.put("ALL"),
            Some(Distinct::Distinct) => self.put("DISTINCT"),
            Some(Distinct::On(keys)) => {
                self.put("DISTINCT ON");
                self.parens(|to| to.expressions(keys))?;
            }
        }
        self.list(projection, |to, item| to.select_item(item, span))?;
        if !from.is_empty() {
            self.put("FROM");
            self.list(from, Self::table_with_joins)?;
        }
        if let Some(condition) = selection {
            self.put("WHERE");
            self.expression(condition)?;
        }
        self.group_by(group_by, span)?;
        if let Some(condition) = having {
            self.put("HAVING");
            self.expression(condition)?;
        }
        if !named_window.is_empty() {
            self.put("WINDOW");
            self.list(named_window, |to, window| {
                let NamedWindowDefinition(window_name, definition) = window;
                to.put(&quoted(&name(window_name)?));
                to.put("AS");
                match definition {
                    NamedWindowExpr::WindowSpec(spec) => to.window(spec),
                    NamedWindowExpr::NamedWindow(other) => no("A window named after another", other.span),
                }
            })?;
        }
        Ok(())
    }

    fn select_item(&mut self, item: &SelectItem, select: Span) -> Done {
        match item {
            SelectItem::UnnamedExpr(expr) => self.expression(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expression(expr)?;
                let alias_name = name(alias)?;
                self.defines(&alias_name, alias.span)?;
                self.put("AS");
                self.put(&quoted(&alias_name));
                Ok(())
            }
            SelectItem::Wildcard(options) => {
                plain_wildcard(options, select)?;
                self.put("*");
                Ok(())
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options) => {
                plain_wildcard(options, select)?;
                let parts = names(table)?;
                let [(table, span)] = parts.as_slice() else { return no("This form of .*", select) };
                reserved(table, *span)?;
                self.put(&format!("{}.*", quoted(table)));
                Ok(())
            }
            _ => no("This form of a column", item.span()),
        }
    }

    fn group_by(&mut self, group_by: &GroupByExpr, span: Span) -> Done {
        match group_by {
            GroupByExpr::Expressions(keys, modifiers) if modifiers.is_empty() => {
                if keys.is_empty() {
                    return Ok(());
                }
                self.put("GROUP BY");
                self.list(keys, Self::group_key)
            }
            _ => no("This form of GROUP BY", span),
        }
    }

    fn table_with_joins(&mut self, table: &TableWithJoins) -> Done {
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
        let source = format!("{}.{}", quoted(&relation.schema), quoted(&relation.name));
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
    fn alias_names(&mut self, alias: &TableAlias) -> Result<String, Refusal> {
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

    fn order_by_clause(&mut self, order_by: &OrderBy, span: Span) -> Done {
        let OrderBy { kind, interpolate } = order_by;
        absent(interpolate.is_some(), "INTERPOLATE", span)?;
        match kind {
            OrderByKind::Expressions(keys) => self.order_by(keys),
            OrderByKind::All(_) => no("ORDER BY ALL", span),
        }
    }

    pub(super) fn order_by(&mut self, keys: &[OrderByExpr]) -> Done {
        self.put("ORDER BY");
        self.list(keys, |to, key| {
            let OrderByExpr { expr, options: OrderByOptions { sort, nulls_first }, with_fill } = key;
            absent(with_fill.is_some(), "WITH FILL", expr.span())?;
            to.expression(expr)?;
            match sort {
                None => {}
                Some(OrderBySort::Asc) => to.put("ASC"),
                Some(OrderBySort::Desc) => to.put("DESC"),
                Some(OrderBySort::Using(_)) => return no("ORDER BY USING", expr.span()),
            }
            match nulls_first {
                None => {}
                Some(true) => to.put("NULLS FIRST"),
                Some(false) => to.put("NULLS LAST"),
            }
            Ok(())
        })
    }

    fn limit(&mut self, limit: &LimitClause, span: Span) -> Done {
        let LimitClause::LimitOffset { limit, offset, limit_by } = limit else {
            return no("LIMIT with a comma", span);
        };
        absent(!limit_by.is_empty(), "LIMIT BY", span)?;
        if let Some(limit) = limit {
            self.put("LIMIT");
            self.expression(limit)?;
        }
        if let Some(Offset { value, rows }) = offset {
            self.put("OFFSET");
            self.expression(value)?;
            match rows {
                OffsetRows::None => {}
                OffsetRows::Row | OffsetRows::Rows => self.put("ROWS"),
            }
        }
        Ok(())
    }

    fn fetch(&mut self, fetch: &Fetch, span: Span) -> Done {
        let Fetch { with_ties, percent, quantity } = fetch;
        absent(*percent, "FETCH ... PERCENT", span)?;
        self.put("FETCH FIRST");
        if let Some(quantity) = quantity {
            self.parens(|to| to.expression(quantity))?;
        }
        self.put(if *with_ties { "ROWS WITH TIES" } else { "ROWS ONLY" });
        Ok(())
    }
}

fn plain_wildcard(options: &WildcardAdditionalOptions, span: Span) -> Done {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let extended = opt_ilike.is_some()
        || opt_exclude.is_some()
        || opt_except.is_some()
        || opt_replace.is_some()
        || opt_rename.is_some()
        || opt_alias.is_some();
    absent(extended, "This form of *", span)
}

/// Kept apart so that a window's name is written in one way.
pub(super) fn window_name(ident: &Ident) -> Result<String, Refusal> {
    name(ident).map(|name| quoted(&name))
}
