//! Random queries that the allow list takes: every statement is one that a tenant might send, and
//! most of them compute something that fails on some value.

use std::fmt::Write;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Number,
    Text,
    Truth,
    Time,
}

type Columns = Vec<(String, Type)>;

/// A relation in FROM: alias and columns.
#[derive(Clone)]
struct Source {
    alias: String,
    columns: Columns,
}

pub(crate) struct Grammar {
    random: Random,
    /// Relations that an expression may refer to: those of the query, and of the queries around it.
    scope: Vec<Source>,
    /// Names of WITH.
    ctes: Vec<Source>,
    names: usize,
}

const TABLES: [(&str, &[(&str, Type)]); 4] = [
    (
        "cost_records",
        &[
            ("id", Type::Number),
            ("entity_id", Type::Text),
            ("observed_at", Type::Time),
            ("project_size_sqft", Type::Number),
            ("num_units", Type::Number),
            ("location_tier", Type::Number),
            ("property_type", Type::Text),
            ("year", Type::Number),
            ("total_cost", Type::Number),
        ],
    ),
    (
        "risk_records",
        &[
            ("id", Type::Number),
            ("entity_id", Type::Text),
            ("observed_at", Type::Time),
            ("leverage_ratio", Type::Number),
            ("property_age", Type::Number),
            ("high_risk", Type::Number),
        ],
    ),
    (
        "roi_records",
        &[
            ("id", Type::Number),
            ("entity_id", Type::Text),
            ("observed_at", Type::Time),
            ("purchase_price", Type::Number),
            ("property_type", Type::Text),
            ("roi", Type::Number),
        ],
    ),
    // Imported by tenant A; `world` knows where it lies.
    (
        IMPORTED,
        &[
            ("import_row", Type::Number),
            ("price", Type::Number),
            ("rooms", Type::Number),
            ("kind", Type::Text),
            ("sold", Type::Time),
        ],
    ),
];

const IMPORTED: &str = "houses";

impl Grammar {
    pub(crate) fn statement(seed: u64) -> String {
        let mut grammar = Self { random: Random::new(seed), scope: vec![], ctes: vec![], names: 0 };
        grammar.top()
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn top(&mut self) -> String {
        let mut text = String::new();
        for i in 0..self.random.below(3) {
            let (query, columns) = self.select(2, None);
            let alias = self.fresh("w");
            let hint = self.random.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
            let _ = write!(text, "{} {alias} AS {hint}({query})", if i == 0 { "WITH" } else { "," });
            self.ctes.push(Source { alias, columns });
        }
        let (query, columns) = self.select(3, None);
        text.push_str(&query);
        if self.random.one_in(5) {
            let types: Vec<Type> = columns.iter().map(|(_, kind)| *kind).collect();
            let (other, _) = self.select(2, Some(&types));
            let op = self.random.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL"]);
            let _ = write!(text, " {op} {other}");
        }
        if self.random.one_in(3) {
            let order: Vec<String> = (1..=columns.len()).map(|i| i.to_string()).collect();
            let _ = write!(text, " ORDER BY {}", order.join(", "));
            if self.random.one_in(2) {
                let _ = write!(text, " LIMIT {}", self.random.below(9));
            }
            if self.random.one_in(4) {
                let _ = write!(text, " OFFSET {}", self.random.below(4));
            }
        }
        text
    }

    /// A SELECT and its columns; of the given types if they matter.
    fn select(&mut self, depth: usize, types: Option<&[Type]>) -> (String, Columns) {
        let outer = self.scope.len();
        let from = self.from(depth);
        let filter = (!self.random.one_in(4)).then(|| format!(" WHERE {}", self.truth(depth)));
        let grouped = types.is_none() && self.random.one_in(4);
        let mut columns = vec![];
        let mut items = vec![];
        let mut tail = String::new();
        if grouped {
            let key = self.column(Type::Text).unwrap_or_else(|| "'k'".to_owned());
            let name = self.fresh("c");
            items.push(format!("{key} AS {name}"));
            columns.push((name, Type::Text));
            for _ in 0..=self.random.below(2) {
                let name = self.fresh("c");
                items.push(format!("{} AS {name}", self.aggregate(depth)));
                columns.push((name, Type::Number));
            }
            let keys = match self.random.below(4) {
                0 => format!("ROLLUP ({key})"),
                1 => format!("GROUPING SETS (({key}), ())"),
                _ => key,
            };
            let _ = write!(tail, " GROUP BY {keys}");
            if self.random.one_in(3) {
                let _ = write!(tail, " HAVING {} > {}", self.aggregate(depth), self.literal());
            }
        } else {
            let wanted: Vec<Type> = match types {
                Some(types) => types.to_vec(),
                None => (0..=self.random.below(3))
                    .map(|_| {
                        [Type::Number, Type::Number, Type::Text, Type::Truth, Type::Time]
                            [self.random.below(5)]
                    })
                    .collect(),
            };
            for kind in wanted {
                let name = self.fresh("c");
                let window = kind == Type::Number && self.random.one_in(6);
                let item = if window { self.window(depth) } else { self.typed(kind, depth) };
                items.push(format!("{item} AS {name}"));
                columns.push((name, kind));
            }
        }
        let distinct = if self.random.one_in(8) { "DISTINCT " } else { "" };
        self.scope.truncate(outer);
        (
            format!("SELECT {distinct}{} FROM {from}{}{tail}", items.join(", "), filter.unwrap_or_default()),
            columns,
        )
    }

    fn from(&mut self, depth: usize) -> String {
        let mut text = self.source(depth, false);
        for _ in 0..self.random.below(3).min(depth) {
            let join = self.random.pick(&[
                "JOIN",
                "LEFT JOIN",
                "RIGHT JOIN",
                "FULL JOIN",
                "CROSS JOIN",
                ",",
                ", LATERAL",
            ]);
            match join {
                "CROSS JOIN" => {
                    let source = self.source(depth, false);
                    let _ = write!(text, " CROSS JOIN {source}");
                }
                "," => {
                    let source = self.source(depth, false);
                    let _ = write!(text, ", {source}");
                }
                ", LATERAL" => {
                    let source = self.source(depth.max(1), true);
                    let _ = write!(text, ", LATERAL {source}");
                }
                "FULL JOIN" => {
                    let source = self.source(depth, false);
                    let (left, right) =
                        (&self.scope[self.scope.len() - 2], &self.scope[self.scope.len() - 1]);
                    let pair = (left.columns.first(), right.columns.first());
                    let on = match pair {
                        (Some((a, x)), Some((b, y))) if x == y => {
                            format!("{}.{a} = {}.{b}", left.alias, right.alias)
                        }
                        _ => "TRUE".to_owned(),
                    };
                    let join = if on == "TRUE" { "CROSS JOIN".to_owned() } else { join.to_owned() };
                    let on = if on == "TRUE" { String::new() } else { format!(" ON {on}") };
                    let _ = write!(text, " {join} {source}{on}");
                }
                _ => {
                    let source = self.source(depth, false);
                    let on = self.truth(depth - 1);
                    let _ = write!(text, " {join} {source} ON {on}");
                }
            }
        }
        text
    }

    /// A relation of FROM, which is in scope from then on.
    fn source(&mut self, depth: usize, lateral: bool) -> String {
        let alias = self.fresh("t");
        if lateral || (depth > 1 && self.random.one_in(4)) {
            let saved = self.scope.clone();
            if !lateral {
                self.scope.clear();
            }
            let (query, columns) = self.select(depth - 1, None);
            self.scope = saved;
            self.scope.push(Source { alias: alias.clone(), columns });
            return format!("({query}) AS {alias}");
        }
        if !self.ctes.is_empty() && self.random.one_in(3) {
            let cte = self.ctes[self.random.below(self.ctes.len())].clone();
            self.scope.push(Source { alias: alias.clone(), columns: cte.columns });
            return format!("{} {alias}", cte.alias);
        }
        let (table, columns) = TABLES[self.random.below(TABLES.len())];
        let columns = columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        self.scope.push(Source { alias: alias.clone(), columns });
        let own = if table == IMPORTED { "tenant_data." } else { "public." };
        let schema = if self.random.one_in(5) { own } else { "" };
        format!("{schema}{table} {alias}")
    }

    fn column(&mut self, kind: Type) -> Option<String> {
        let all: Vec<String> = self
            .scope
            .iter()
            .flat_map(|source| source.columns.iter().map(move |(name, kind)| (source, name, *kind)))
            .filter(|(_, _, of)| *of == kind)
            .map(|(source, name, _)| format!("{}.{name}", source.alias))
            .collect();
        (!all.is_empty()).then(|| all[self.random.below(all.len())].clone())
    }

    fn literal(&mut self) -> String {
        self.random
            .pick(&["0", "1", "2", "3", "-1", "0.25", "1995", "1991", "4242", "1e3", "NULL", "12"])
            .to_owned()
    }

    fn typed(&mut self, kind: Type, depth: usize) -> String {
        match kind {
            Type::Number => self.number(depth),
            Type::Text => self.text(depth),
            Type::Truth => self.truth(depth),
            Type::Time => self.time(depth),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.one_in(3) {
            let column = self.column(Type::Number);
            return match column {
                Some(column) if !self.random.one_in(4) => format!("{column}::float8"),
                _ => self.literal() + "::float8",
            };
        }
        let d = depth - 1;
        // What fails on most rows is tried less often.
        let mut choice = self.random.below(19);
        if matches!(choice, 5 | 6 | 8 | 9 | 17) && !self.random.one_in(4) {
            choice = 0;
        }
        match choice {
            0..=3 => {
                let op = self.random.pick(&["+", "-", "*", "+", "-", "*", "/"]);
                format!("({} {op} {})", self.number(d), self.number(d))
            }
            4 => format!("({}::int % {}::int)", self.number(d), self.number(d)),
            5 => {
                let function =
                    self.random.pick(&["abs", "sqrt", "ln", "floor", "ceil", "sign", "cbrt", "acos", "exp"]);
                format!("{function}({})", self.number(d))
            }
            6 => format!("power({}, {})", self.number(d), self.number(d)),
            7 => format!("round({}::numeric, 2)::float8", self.number(d)),
            8 => {
                let to = self.random.pick(&["int", "smallint", "bigint", "numeric(6,2)", "real"]);
                format!("{}::{to}::float8", self.number(d))
            }
            9 => format!("{}::int::float8", self.text(d)),
            10 => format!("length({})", self.text(d)),
            11 => format!("coalesce({}, {})", self.number(d), self.number(d)),
            12 => format!("nullif({}, {})", self.number(d), self.number(d)),
            13 => format!("CASE WHEN {} THEN {} ELSE {} END", self.truth(d), self.number(d), self.number(d)),
            14 => {
                let field = self.random.pick(&["year", "epoch", "dow", "month"]);
                format!("extract({field} FROM {})::float8", self.time(d))
            }
            15 => format!("greatest({}, {})", self.number(d), self.number(d)),
            16 => format!("width_bucket({}, 0, 10, 4)", self.number(d)),
            17 => format!("({}::jsonb ->> 'a')::float8", self.text(d)),
            _ => self.scalar_subquery(d),
        }
    }

    fn scalar_subquery(&mut self, depth: usize) -> String {
        let outer = self.scope.len();
        let from = self.source(0, false);
        let aggregate = self.aggregate(depth);
        let filter = self.truth(depth.min(1));
        self.scope.truncate(outer);
        format!("(SELECT {aggregate} FROM {from} WHERE {filter})")
    }

    fn aggregate(&mut self, depth: usize) -> String {
        let saved = self.scope.len();
        let inner = self.plain(depth.min(1));
        debug_assert_eq!(saved, self.scope.len());
        match self.random.below(7) {
            0 => "count(*)".to_owned(),
            1 => format!("count(DISTINCT {inner})"),
            2 => format!("sum({inner}) FILTER (WHERE {inner} > 1)"),
            3 => format!("percentile_cont(0.5) WITHIN GROUP (ORDER BY {inner})"),
            4 => format!("min({inner})"),
            5 => format!("max({inner})"),
            _ => format!("sum({inner})"),
        }
    }

    /// A number without sub-select, of the innermost relation.
    fn plain(&mut self, depth: usize) -> String {
        let source = self.scope.last().cloned();
        let columns: Vec<String> = source
            .into_iter()
            .flat_map(|source| {
                let alias = source.alias;
                source
                    .columns
                    .into_iter()
                    .filter(|(_, kind)| *kind == Type::Number)
                    .map(move |(name, _)| format!("{alias}.{name}::float8"))
            })
            .collect();
        let one = |random: &mut Random| {
            if columns.is_empty() {
                "1::float8".to_owned()
            } else {
                columns[random.below(columns.len())].clone()
            }
        };
        let (a, b) = (one(&mut self.random), one(&mut self.random));
        match if depth == 0 { 0 } else { self.random.below(5) } {
            1 => format!("({a} / ({b} - 1991))"),
            2 => format!("sqrt({a} - {})", self.literal()),
            3 => format!("({a} * {b})"),
            4 => format!("{a}::smallint::float8"),
            _ => a,
        }
    }

    fn window(&mut self, depth: usize) -> String {
        let value = self.number(depth.min(1));
        let call = match self.random.below(5) {
            0 => "rank()".to_owned(),
            1 => "dense_rank()".to_owned(),
            2 => "count(*)".to_owned(),
            3 => format!("max({value})"),
            _ => format!("min({value})"),
        };
        let part =
            if self.random.one_in(2) { format!("PARTITION BY {} ", self.text(0)) } else { String::new() };
        format!("{call} OVER ({part}ORDER BY {})", self.number(1))
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.one_in(3) {
            let column = self.column(Type::Text);
            return match column {
                Some(column) if !self.random.one_in(4) => column,
                _ => self
                    .random
                    .pick(&[
                        "'a'",
                        "'12'",
                        "'A-1'",
                        "'x(['",
                        "'2020-02-30'",
                        "'{\"a\": 1}'",
                        "E'\\\\'",
                        "'it''s'",
                    ])
                    .to_owned(),
            };
        }
        let d = depth - 1;
        match self.random.below(10) {
            0 => format!("({} || {})", self.text(d), self.text(d)),
            1 => {
                let function = self.random.pick(&["lower", "upper", "reverse", "md5", "initcap", "btrim"]);
                format!("{function}({})", self.text(d))
            }
            2 => format!(
                "substring({} FROM {}::int FOR {}::int)",
                self.text(d),
                self.number(d),
                self.number(d)
            ),
            3 => format!("replace({}, {}, {})", self.text(d), self.text(d), self.text(d)),
            4 => format!("{}::text", self.number(d)),
            5 => format!("to_char({}, 'YYYY-MM')", self.time(d)),
            6 => format!("split_part({}, '-', {}::int)", self.text(d), self.number(d)),
            7 => format!("regexp_replace({}, {}, 'z')", self.text(d), self.text(d)),
            8 => format!("left({}, {}::int)", self.text(d), self.number(d)),
            _ => format!("CASE {} WHEN {} THEN {} END", self.text(d), self.text(d), self.text(d)),
        }
    }

    fn time(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.one_in(3) {
            let column = self.column(Type::Time);
            return match column {
                Some(column) if !self.random.one_in(4) => column,
                _ => "TIMESTAMPTZ '2024-01-05'".to_owned(),
            };
        }
        let d = depth - 1;
        let mut choice = self.random.below(6);
        if choice > 1 && !self.random.one_in(4) {
            choice = 1;
        }
        match choice {
            0 => format!("({} + INTERVAL '1 day')", self.time(d)),
            1 => format!("date_trunc('month', {})", self.time(d)),
            2 => format!("make_date({}::int, 1, 1)::timestamptz", self.number(d)),
            3 => format!("to_timestamp({})", self.number(d)),
            4 => format!("({})::timestamptz", self.text(d)),
            _ => format!("to_date({}, 'YYYY')::timestamptz", self.text(d)),
        }
    }

    fn truth(&mut self, depth: usize) -> String {
        let d = depth.saturating_sub(1);
        let comparison = self.random.pick(&["=", "<>", "<", ">", "<=", ">="]);
        if depth == 0 {
            return format!("{} {comparison} {}", self.number(0), self.number(0));
        }
        match self.random.below(15) {
            0..=2 => format!("{} {comparison} {}", self.number(d), self.number(d)),
            3 => format!("{} {comparison} {}", self.text(d), self.text(d)),
            4 => format!("({} AND {})", self.truth(d), self.truth(d)),
            5 => format!("({} OR {})", self.truth(d), self.truth(d)),
            6 => format!("NOT ({})", self.truth(d)),
            7 => format!("{} IS NOT NULL", self.number(d)),
            8 => format!("{} IN (1, 2, {})", self.number(d), self.number(d)),
            9 => {
                format!("{} LIKE {}", self.text(d), self.random.pick(&["'A%'", "'%1'", "'_-%'", "'CANARY%'"]))
            }
            10 if self.random.one_in(4) => format!("{} ~ {}", self.text(d), self.text(d)),
            10 => format!("{} ~* '^[a-c].*1'", self.text(d)),
            11 => format!("{} BETWEEN {} AND {}", self.number(d), self.number(d), self.number(d)),
            12 => {
                let outer = self.scope.len();
                let from = self.source(0, false);
                let filter = self.truth(d.min(1));
                self.scope.truncate(outer);
                let not = self.random.pick(&["", "NOT "]);
                format!("{not}EXISTS (SELECT 1 FROM {from} WHERE {filter})")
            }
            13 => {
                let outer = self.number(d);
                let saved = self.scope.len();
                let from = self.source(0, false);
                let value = self.plain(1);
                let filter = self.truth(d.min(1));
                self.scope.truncate(saved);
                let how = self.random.pick(&["IN", "NOT IN", "= ANY", "> ALL"]);
                format!("{outer} {how} (SELECT {value} FROM {from} WHERE {filter})")
            }
            _ => {
                let tenant = self.random.pick(&[
                    "= :tenant_id",
                    "<> :tenant_id",
                    "= 'bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb'",
                ]);
                match self
                    .scope
                    .iter()
                    .rev()
                    .find(|source| source.columns.iter().any(|(name, _)| name == "observed_at"))
                {
                    Some(source) => format!("{}.tenant_id {tenant}", source.alias),
                    None => format!(":tenant_id {comparison} :tenant_id"),
                }
            }
        }
    }
}
