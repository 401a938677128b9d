//! Calls: ordinary functions, aggregates, windows.

use sqlparser::{
    ast::{
        DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
        FunctionArgumentList, FunctionArguments, Spanned, WindowFrame, WindowFrameBound, WindowFrameUnits,
        WindowSpec, WindowType,
    },
    tokenizer::Span,
};

use super::{
    super::{
        Refusal,
        functions::{self, Kind},
    },
    name::{names, quoted},
    select::window_name,
    translator::{Translator, absent, no},
};

type Done = Result<(), Refusal>;

impl Translator<'_> {
    pub(super) fn function(&mut self, function: &Function) -> Done {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } =
            function;
        let parts = names(name)?;
        let span = parts.first().map_or(Span::empty(), |(_, span)| *span);
        let called = match parts.as_slice() {
            [(called, _)] => called,
            [(schema, _), (called, _)] if schema == "pg_catalog" => called,
            _ => return no("A function of another schema", span),
        };
        let Some(kind) = functions::kind(called) else {
            let message = format!("The function '{called}' is not allowed");
            return Err(Refusal::at("query_function", message, span));
        };
        absent(*uses_odbc_syntax, "This form of a call", span)?;
        absent(!matches!(parameters, FunctionArguments::None), "A call with parameters", span)?;
        absent(null_treatment.is_some(), "IGNORE NULLS", span)?;
        self.shape(kind, function, span)?;
        // The name of the column, if the query gives it none.
        self.defines(called, span)?;

        if kind == Kind::Word {
            absent(!matches!(args, FunctionArguments::None), "This form of a call", span)?;
            self.put(called);
            return Ok(());
        }
        self.put(&match kind {
            Kind::Special => called.clone(),
            _ => format!("pg_catalog.{}", quoted(called)),
        });
        let FunctionArguments::List(list) = args else { return no("This form of a call", span) };
        self.parens(|to| to.arguments(list, called == "count", span))?;
        if !within_group.is_empty() {
            self.put("WITHIN GROUP");
            self.parens(|to| to.order_by(within_group))?;
        }
        if let Some(condition) = filter {
            self.put("FILTER");
            self.parens(|to| {
                to.put("WHERE");
                to.expression(condition)
            })?;
        }
        match over {
            None => Ok(()),
            Some(WindowType::NamedWindow(name)) => {
                self.put("OVER");
                self.put(&window_name(name)?);
                Ok(())
            }
            Some(WindowType::WindowSpec(spec)) => {
                self.put("OVER");
                self.window(spec)
            }
        }
    }

    /// Whether the clauses after the call fit its kind.
    fn shape(&self, kind: Kind, function: &Function, span: Span) -> Done {
        let (over, filter) = (function.over.is_some(), function.filter.is_some());
        let within = !function.within_group.is_empty();
        let fits = match kind {
            Kind::Scalar | Kind::Special | Kind::Word => !over && !filter && !within,
            Kind::Aggregate => !within,
            Kind::OrderedSet => within && !over,
            Kind::Window => over && !within,
        };
        if fits {
            return Ok(());
        }
        let message = match kind {
            Kind::Window => "This function needs OVER (...)",
            Kind::OrderedSet => "This function needs WITHIN GROUP (ORDER BY ...)",
            _ => "OVER, FILTER or WITHIN GROUP does not fit this function",
        };
        Err(Refusal::at("query_function", message, span))
    }

    fn arguments(&mut self, list: &FunctionArgumentList, star: bool, span: Span) -> Done {
        let FunctionArgumentList { duplicate_treatment, args, clauses } = list;
        match duplicate_treatment {
            None => {}
            Some(DuplicateTreatment::Distinct) => self.put("DISTINCT"),
            Some(DuplicateTreatment::All) => self.put("ALL"),
        }
        self.list(args, |to, arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => to.argument(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if star => {
                to.put("*");
                Ok(())
            }
            _ => no("This kind of argument", span),
        })?;
        match clauses.as_slice() {
            [] => Ok(()),
            [FunctionArgumentClause::OrderBy(keys)] => self.order_by(keys),
            _ => no("This clause in a call", span),
        }
    }

    fn argument(&mut self, expr: &Expr) -> Done {
        absent(matches!(expr, Expr::Tuple(_)), "A row as an argument", expr.span())?;
        self.expression(expr)
    }

    pub(super) fn window(&mut self, spec: &WindowSpec) -> Done {
        let WindowSpec { window_name: base, partition_by, order_by, window_frame } = spec;
        self.parens(|to| {
            if let Some(base) = base {
                to.put(&window_name(base)?);
            }
            if !partition_by.is_empty() {
                to.put("PARTITION BY");
                to.expressions(partition_by)?;
            }
            if !order_by.is_empty() {
                to.order_by(order_by)?;
            }
            match window_frame {
                None => Ok(()),
                Some(frame) => to.frame(frame),
            }
        })
    }

    fn frame(&mut self, frame: &WindowFrame) -> Done {
        let WindowFrame { units, start_bound, end_bound } = frame;
        self.put(match units {
            WindowFrameUnits::Rows => "ROWS",
            WindowFrameUnits::Range => "RANGE",
            WindowFrameUnits::Groups => "GROUPS",
        });
        let Some(end) = end_bound else { return self.bound(start_bound) };
        self.put("BETWEEN");
        self.bound(start_bound)?;
        self.put("AND");
        self.bound(end)
    }

    fn bound(&mut self, bound: &WindowFrameBound) -> Done {
        let (offset, words) = match bound {
            WindowFrameBound::CurrentRow => {
                self.put("CURRENT ROW");
                return Ok(());
            }
            WindowFrameBound::Preceding(offset) => (offset, "PRECEDING"),
            WindowFrameBound::Following(offset) => (offset, "FOLLOWING"),
        };
        match offset {
            None => self.put("UNBOUNDED"),
            Some(offset) => self.expression(offset)?,
        }
        self.put(words);
        Ok(())
    }

    /// One key of GROUP BY.
    pub(super) fn group_key(&mut self, key: &Expr) -> Done {
        let (words, sets) = match key {
            Expr::GroupingSets(sets) => ("GROUPING SETS", sets),
            Expr::Cube(sets) => ("CUBE", sets),
            Expr::Rollup(sets) => ("ROLLUP", sets),
            _ => return self.expression(key),
        };
        self.put(words);
        self.parens(|to| to.list(sets, |to, set| to.parens(|to| to.expressions(set))))
    }
}
