//! SELECT and what stands around it.

use sqlparser::{
    ast::{
        Cte, CteAsMaterialized, Distinct, Fetch, GroupByExpr, Ident, LimitClause, NamedWindowDefinition,
        NamedWindowExpr, Offset, OffsetRows, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, OrderBySort,
        Parens, Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
        SetOperator, SetQuantifier, Spanned, Values, WildcardAdditionalOptions, With,
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
