//! Expressions, but for calls.

use sqlparser::{
    ast::{
        AccessExpr, Array, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, Expr, Ident, Interval, Spanned,
        Subscript, TrimWhereField, TypedString, UnaryOperator, Value, ValueWithSpan,
    },
    tokenizer::Span,
};

use super::{
    super::Refusal,
    name::{name, quoted, string_literal},
    translator::{Translator, absent, no, reserved},
    types::{time_field, type_name},
};

type Done = Result<(), Refusal>;

impl Translator<'_> {
    pub(super) fn expressions(&mut self, items: &[Expr]) -> Done {
        self.list(items, Self::expression)
    }

    pub(super) fn expression(&mut self, expr: &Expr) -> Done {
        match expr {
            Expr::Identifier(ident) => self.column(ident),
            Expr::CompoundIdentifier(parts) => self.qualified_column(parts),
            Expr::Value(value) => self.value(value),
            Expr::Nested(inner) => self.parens(|to| to.expression(inner)),
            Expr::BinaryOp { left, op, right } => {
                self.expression(left)?;
                self.put(binary(op, expr)?);
                self.expression(right)
            }
            Expr::UnaryOp { op, expr: operand } => {
                self.put(match op {
                    UnaryOperator::Plus => "+",
                    UnaryOperator::Minus => "-",
                    UnaryOperator::Not => "NOT",
                    _ => return no("This operator", operand.span()),
                });
                self.expression(operand)
            }
            Expr::Function(function) => self.function(function),
            Expr::Cast { kind, expr: operand, data_type, format } => {
                let span = operand.span();
                absent(format.is_some(), "FORMAT", span)?;
                let target = type_name(data_type, span)?;
                match kind {
                    CastKind::Cast => {
                        self.put("CAST");
                        self.parens(|to| {
                            to.expression(operand)?;
                            to.put("AS");
                            to.put(&target);
                            Ok(())
                        })
                    }
                    CastKind::DoubleColon => {
                        self.expression(operand)?;
                        self.put("::");
                        self.put(&target);
                        Ok(())
                    }
                    CastKind::TryCast | CastKind::SafeCast => no("This kind of CAST", span),
                }
            }
            Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax }) => {
                absent(*uses_odbc_syntax, "This kind of literal", value.span)?;
                self.put("CAST");
                self.parens(|to| {
                    to.value(value)?;
                    to.put("AS");
                    to.put(&type_name(data_type, value.span)?);
                    Ok(())
                })
            }
            Expr::Interval(interval) => self.interval(interval),
            Expr::Case { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Extract { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::AtTimeZone { .. } => self.special_form(expr),
            Expr::Exists { subquery, negated } => {
                self.not(*negated);
                self.put("EXISTS");
                self.subquery(subquery)
            }
            Expr::Subquery(query) => self.subquery(query),
            Expr::Tuple(items) => self.parens(|to| to.expressions(items)),
            Expr::AnyOp { left, compare_op, right, is_some: _ } => {
                self.expression(left)?;
                self.put(binary(compare_op, expr)?);
                self.put("ANY");
                self.quantified(right)
            }
            Expr::AllOp { left, compare_op, right } => {
                self.expression(left)?;
                self.put(binary(compare_op, expr)?);
                self.put("ALL");
                self.quantified(right)
            }
            _ => self.test(expr),
        }
    }

    /// `x IS ...`, `x IN ...`, `x LIKE ...`.
    fn test(&mut self, expr: &Expr) -> Done {
        match expr {
            Expr::IsFalse(operand) => self.is(operand, "IS FALSE"),
            Expr::IsNotFalse(operand) => self.is(operand, "IS NOT FALSE"),
            Expr::IsTrue(operand) => self.is(operand, "IS TRUE"),
            Expr::IsNotTrue(operand) => self.is(operand, "IS NOT TRUE"),
            Expr::IsNull(operand) => self.is(operand, "IS NULL"),
            Expr::IsNotNull(operand) => self.is(operand, "IS NOT NULL"),
            Expr::IsUnknown(operand) => self.is(operand, "IS UNKNOWN"),
            Expr::IsNotUnknown(operand) => self.is(operand, "IS NOT UNKNOWN"),
            Expr::IsDistinctFrom(left, right) => self.infix(left, "IS DISTINCT FROM", right),
            Expr::IsNotDistinctFrom(left, right) => self.infix(left, "IS NOT DISTINCT FROM", right),
            Expr::InList { expr, list, negated } => {
                self.expression(expr)?;
                self.not(*negated);
                self.put("IN");
                self.parens(|to| to.expressions(list))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                self.expression(expr)?;
                self.not(*negated);
                self.put("IN");
                self.subquery(subquery)
            }
            Expr::Between { expr, negated, low, high } => {
                self.expression(expr)?;
                self.not(*negated);
                self.put("BETWEEN");
                self.infix(low, "AND", high)
            }
            Expr::Like { negated, any, expr, pattern, escape_char } => {
                self.like("LIKE", *negated, *any, expr, pattern, escape_char.as_deref())
            }
            Expr::ILike { negated, any, expr, pattern, escape_char } => {
                self.like("ILIKE", *negated, *any, expr, pattern, escape_char.as_deref())
            }
            Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                self.like("SIMILAR TO", *negated, false, expr, pattern, escape_char.as_deref())
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.refuse_access(root, access_chain),
            Expr::Collate { .. } => no("COLLATE", expr.span()),
            Expr::Array(_) => no("An array outside ANY and ALL", expr.span()),
            _ => no("This expression", expr.span()),
        }
    }

    fn refuse_access(&self, root: &Expr, chain: &[AccessExpr]) -> Done {
        no(
            match chain.first() {
                Some(AccessExpr::Subscript(Subscript::Index { .. } | Subscript::Slice { .. })) => {
                    "A subscript"
                }
                _ => "A field of an expression",
            },
            root.span(),
        )
    }

    fn column(&mut self, ident: &Ident) -> Done {
        let column = name(ident)?;
        self.put(&quoted(&column));
        self.uses(column, ident.span)
    }

    fn qualified_column(&mut self, parts: &[Ident]) -> Done {
        let [table, column] = parts else {
            let span = parts.first().map_or(Span::empty(), |ident| ident.span);
            return no("A column name of more than two parts", span);
        };
        let table_name = name(table)?;
        reserved(&table_name, table.span)?;
        let column_name = name(column)?;
        self.put(&format!("{}.{}", quoted(&table_name), quoted(&column_name)));
        self.uses(column_name, column.span)
    }

    fn not(&mut self, negated: bool) {
        if negated {
            self.put("NOT");
        }
    }

    fn is(&mut self, operand: &Expr, words: &str) -> Done {
        self.expression(operand)?;
        self.put(words);
        Ok(())
    }

    fn infix(&mut self, left: &Expr, words: &str, right: &Expr) -> Done {
        self.expression(left)?;
        self.put(words);
        self.expression(right)
    }

    fn like(
        &mut self,
        words: &str,
        negated: bool,
        any: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Done {
        absent(any, "LIKE ANY", pattern.span())?;
        self.expression(expr)?;
        self.not(negated);
        self.put(words);
        self.expression(pattern)?;
        if let Some(escape) = escape {
            self.put("ESCAPE");
            self.expression(escape)?;
        }
        Ok(())
    }

    /// What ANY and ALL compare with: a sub-select or a list.
    fn quantified(&mut self, right: &Expr) -> Done {
        match right {
            Expr::Subquery(query) => self.subquery(query),
            Expr::Nested(inner) => self.quantified(inner),
            Expr::Array(Array { elem, named: _ }) => self.parens(|to| {
                to.put("ARRAY [");
                to.expressions(elem)?;
                to.put("]");
                Ok(())
            }),
            _ => no("This after ANY or ALL", right.span()),
        }
    }

    fn special_form(&mut self, expr: &Expr) -> Done {
        match expr {
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.put("CASE");
                if let Some(operand) = operand {
                    self.expression(operand)?;
                }
                for CaseWhen { condition, result } in conditions {
                    self.put("WHEN");
                    self.expression(condition)?;
                    self.put("THEN");
                    self.expression(result)?;
                }
                if let Some(result) = else_result {
                    self.put("ELSE");
                    self.expression(result)?;
                }
                self.put("END");
                Ok(())
            }
            Expr::Ceil { expr, field } => self.rounding("ceil", expr, field),
            Expr::Floor { expr, field } => self.rounding("floor", expr, field),
            Expr::Extract { field, syntax: _, expr } => {
                self.put("EXTRACT");
                self.parens(|to| {
                    to.put(time_field(field, expr.span())?);
                    to.put("FROM");
                    to.expression(expr)
                })
            }
            Expr::Position { expr, r#in } => {
                self.put("POSITION");
                self.parens(|to| {
                    to.expression(expr)?;
                    to.put("IN");
                    to.expression(r#in)
                })
            }
            Expr::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                self.put("SUBSTRING");
                self.parens(|to| {
                    to.expression(expr)?;
                    if let Some(from) = substring_from {
                        to.put("FROM");
                        to.expression(from)?;
                    }
                    if let Some(length) = substring_for {
                        to.put("FOR");
                        to.expression(length)?;
                    }
                    Ok(())
                })
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                absent(trim_characters.is_some(), "TRIM with a comma", expr.span())?;
                self.put("TRIM");
                self.parens(|to| {
                    to.put(match trim_where {
                        None | Some(TrimWhereField::Both) => "BOTH",
                        Some(TrimWhereField::Leading) => "LEADING",
                        Some(TrimWhereField::Trailing) => "TRAILING",
                    });
                    if let Some(what) = trim_what {
                        to.expression(what)?;
                    }
                    to.put("FROM");
                    to.expression(expr)
                })
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.infix(timestamp, "AT TIME ZONE", time_zone),
            _ => no("This expression", expr.span()),
        }
    }

    fn rounding(&mut self, function: &str, operand: &Expr, field: &CeilFloorKind) -> Done {
        let plain = matches!(field, CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime));
        absent(!plain, "This form of CEIL and FLOOR", operand.span())?;
        self.defines(function, operand.span())?;
        self.put(&format!("pg_catalog.{}", quoted(function)));
        self.parens(|to| to.expression(operand))
    }

    fn interval(&mut self, interval: &Interval) -> Done {
        let Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision } =
            interval;
        let span = value.span();
        let sized =
            leading_precision.is_some() || fractional_seconds_precision.is_some() || last_field.is_some();
        absent(sized, "This form of INTERVAL", span)?;
        let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) = value.as_ref()
        else {
            return no("An INTERVAL that is no text", span);
        };
        self.put("INTERVAL");
        self.put(&string_literal(text, *span)?);
        if let Some(field) = leading_field {
            self.put(match time_field(field, *span)? {
                field @ ("year" | "month" | "day" | "hour" | "minute" | "second") => field,
                _ => return no("This unit of INTERVAL", *span),
            });
        }
        Ok(())
    }
}

fn binary(op: &BinaryOperator, whole: &Expr) -> Result<&'static str, Refusal> {
    Ok(match op {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::PGExp => "^",
        BinaryOperator::StringConcat => "||",
        BinaryOperator::Gt => ">",
        BinaryOperator::Lt => "<",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::And => "AND",
        BinaryOperator::Or => "OR",
        BinaryOperator::BitwiseAnd => "&",
        BinaryOperator::BitwiseOr => "|",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        BinaryOperator::Arrow => "->",
        BinaryOperator::LongArrow => "->>",
        BinaryOperator::HashArrow => "#>",
        BinaryOperator::HashLongArrow => "#>>",
        BinaryOperator::AtArrow => "@>",
        BinaryOperator::ArrowAt => "<@",
        BinaryOperator::Question => "?",
        _ => return no("This operator", whole.span()),
    })
}
