//! `testsmith usage`.

use std::time::Duration;

use serde_json::{Map, Value, json};
use testsmith_daemon::{
    By, Cost, Day, Figures, Money, PRICES_DATE, Report, ReportRow, lifted_budget, today,
};

use crate::args::{Global, UsageArgs, UsageBy};
use crate::context::Context;
use crate::exit::UsageError;
use crate::output::{counted, escape};
use crate::{block_on, exit, output, remote};

/// Columns of the longest bar.
const BAR: usize = 24;

/// Columns of a key that is shown in full.
const KEY: usize = 40;

pub(crate) fn run(global: &Global, args: &UsageArgs) -> anyhow::Result<u8> {
    let since = since(&args.since, today()).map_err(UsageError)?;
    let context = Context::to_ask(global, None)?;
    let by = match args.by {
        UsageBy::Day => By::Day,
        UsageBy::Model => By::Model,
        UsageBy::Project => By::Project,
        UsageBy::File => By::File,
    };
    let report = block_on(async {
        remote::tell_if_none(&context.client()).await?;
        testsmith_daemon::check_state_version(&context.state_dir)?;
        let read = testsmith_daemon::usage_report(&context.state_dir, by, Some(since));
        anyhow::Ok(read.await?)
    })??;
    if args.json {
        output::json(&as_json(&report, by, since))?;
    } else {
        for line in as_text(&report, by, since, &Style::of_terminal()) {
            output::line(line)?;
        }
    }
    Ok(exit::OK)
}

/// The first day of `--since`: a date, or so many days with today as the last.
fn since(text: &str, today: Day) -> Result<Day, String> {
    if let Ok(day) = text.parse() {
        return Ok(day);
    }
    let bad = || format!("--since {text}: write a date such as 2026-11-01, or a time such as 7d");
    let time = humantime::parse_duration(text).map_err(|_| bad())?;
    let days = time.as_secs().div_ceil(Duration::from_hours(24).as_secs());
    let days = u32::try_from(days).map_err(|_| bad())?;
    Ok(today.minus(days.saturating_sub(1)))
}

fn as_json(report: &Report, by: By, since: Day) -> Value {
    let row = |row: &ReportRow| {
        let mut object = figures_json(&row.figures);
        let known = Some(&row.key).filter(|key| !key.is_empty());
        object.insert(name(by).to_owned(), json!(known));
        if let Some(project) = &row.project {
            object.insert("project".to_owned(), json!(project));
        }
        Value::Object(object)
    };
    json!({
        "by": name(by),
        "since": since.to_string(),
        "rows": report.rows.iter().map(row).collect::<Vec<_>>(),
        "total": figures_json(&report.total),
        "lifted": report.lifted.iter().map(lifted_budget).collect::<Vec<_>>(),
        "prices_of": PRICES_DATE,
    })
}

/// `cost_usd` is `null` where any of it is unknown; `known_cost_nano_usd` is the part that is known,
/// to the last billionth.
fn figures_json(figures: &Figures) -> Map<String, Value> {
    let cost = match figures.cost() {
        Cost::Known(money) => Some(money.dollars()),
        Cost::AtLeast(_) | Cost::Unknown => None,
    };
    let value = json!({
        "calls": figures.calls,
        "requests": figures.requests,
        "input_tokens": figures.input_tokens,
        "cached_input_tokens": figures.cached_input_tokens,
        "output_tokens": figures.output_tokens,
        "cost_usd": cost,
        "known_cost_nano_usd": figures.cost.nanos(),
        "unpriced_requests": figures.unpriced_requests,
        "estimated_requests": figures.estimated_requests,
    });
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

const fn name(by: By) -> &'static str {
    match by {
        By::Day => "day",
        By::Model => "model",
        By::Project => "project",
        By::File => "file",
    }
}

/// What bars are drawn with: from the thinnest to the full one.
struct Style {
    blocks: &'static [&'static str],
}

impl Style {
    const UNICODE: Self = Self {
        blocks: &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    };
    const ASCII: Self = Self { blocks: &["#"] };

    /// By the locale: POSIX takes the first of these that is set and not empty.
    fn of_terminal() -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .filter_map(std::env::var_os)
            .find(|value| !value.is_empty());
        let locale = locale.unwrap_or_default().to_string_lossy().to_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") {
            Self::UNICODE
        } else {
            Self::ASCII
        }
    }

    /// A bar for `amount` where `most` is the longest. Anything but nothing is seen.
    fn bar(&self, amount: u64, most: u64) -> String {
        let steps = self.blocks.len() as u128;
        let whole = BAR as u128 * steps;
        let length = (u128::from(amount) * whole).div_ceil(u128::from(most.max(1)));
        let length = usize::try_from(length.min(whole)).unwrap_or(0);
        let (full, rest) = (length / self.blocks.len(), length % self.blocks.len());
        let last = self.blocks.last().copied().unwrap_or("#");
        let end = rest.checked_sub(1).map_or("", |at| self.blocks[at]);
        let columns = full + usize::from(rest > 0);
        format!("{}{end}{}", last.repeat(full), " ".repeat(BAR - columns))
    }
}

fn as_text(report: &Report, by: By, since: Day, style: &Style) -> Vec<String> {
    let mut lines = vec![
        format!("Usage since {since} (UTC), by {}", name(by)),
        String::new(),
    ];
    if report.rows.is_empty() {
        lines.push("  nothing was asked".to_owned());
        lines.extend(lifted(report));
        return lines;
    }
    let measure = measure(&report.total);
    let most = report.rows.iter().map(|row| measure(&row.figures)).max();
    let keys: Vec<String> = report.rows.iter().map(|row| shown(&row.key)).collect();
    let width = keys.iter().map(|key| key.chars().count()).max();
    let width = width.unwrap_or(0).max("total".len());
    let sums = report.rows.iter().map(|row| &row.figures);
    let costs = sums.chain([&report.total]);
    let cost = costs.map(|figures| figures.cost().to_string().len()).max();
    let cost = cost.unwrap_or(0);
    for (row, key) in report.rows.iter().zip(&keys) {
        let bar = style.bar(measure(&row.figures), most.unwrap_or(1));
        lines.push(format!(
            "  {key:width$}  {bar}  {}",
            line(&row.figures, cost)
        ));
    }
    let blank = " ".repeat(BAR);
    lines.push(format!(
        "  {:width$}  {blank}  {}",
        "total",
        line(&report.total, cost)
    ));
    lines.extend(notes(&report.total));
    lines.extend(lifted(report));
    lines
}

/// Budgets that do not hold just now.
fn lifted(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.lifted.is_empty() {
        lines.push(String::new());
    }
    let lifted = report.lifted.iter().map(lifted_budget);
    lines.extend(lifted.map(|limit| format!("lifted: {}", escape(&limit.to_string()))));
    lines
}

/// What the bars show: money where any is known, else tokens, else calls.
fn measure(total: &Figures) -> fn(&Figures) -> u64 {
    if total.cost > Money::ZERO {
        |figures| figures.cost.nanos()
    } else if total.tokens() > 0 {
        Figures::tokens
    } else {
        |figures| figures.calls
    }
}

fn line(figures: &Figures, width: usize) -> String {
    let retries = figures.requests.saturating_sub(figures.calls);
    let retries = match retries {
        0 => String::new(),
        retries => format!(" (+{})", counted(retries, "retry")),
    };
    let cached = match figures.cached_input_tokens {
        0 => String::new(),
        cached => format!(" ({} cached)", short(cached)),
    };
    format!(
        "{:>width$}  {:>5} {:<5}{retries}  {:>6} in{cached}  {:>6} out",
        figures.cost().to_string(),
        figures.calls,
        if figures.calls == 1 { "call" } else { "calls" },
        short(figures.input_tokens),
        short(figures.output_tokens),
    )
}

fn notes(total: &Figures) -> Vec<String> {
    let mut notes = Vec::new();
    if total.unpriced_requests > 0 {
        notes.push(format!(
            "?: {} {} to models without a known price; set [prices.\"MODEL\"] in your \
             configuration (built-in prices are of {PRICES_DATE})",
            total.unpriced_requests,
            if total.unpriced_requests == 1 {
                "request went"
            } else {
                "requests went"
            },
        ));
    }
    if total.estimated_requests > 0 {
        notes.push(format!(
            "{} whose reply was cut, or told no tokens, counted as the most that can have been used",
            counted(total.estimated_requests, "request")
        ));
    }
    if !notes.is_empty() {
        notes.insert(0, String::new());
    }
    notes
}

/// `950`, `12.3k`, `4.0M`.
fn short(count: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = (count + unit / 20) / (unit / 10);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match count {
        0..1_000 => count.to_string(),
        1_000..999_950 => format!("{}k", tenths(1_000)),
        _ => format!("{}M", tenths(1_000_000)),
    }
}

/// A key as it may be printed: its end, if it is long, and no control characters.
fn shown(key: &str) -> String {
    if key.is_empty() {
        return "(not kept)".to_owned();
    }
    let clean = key.chars().flat_map(|c| {
        let escaped = c.is_control().then(|| c.escape_default());
        let plain = escaped.is_none().then_some(c);
        escaped.into_iter().flatten().chain(plain)
    });
    let clean: Vec<char> = clean.collect();
    if clean.len() <= KEY {
        return clean.into_iter().collect();
    }
    let end: String = clean[clean.len() - (KEY - 3)..].iter().collect();
    format!("...{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, calls: u64, nanos: u64, unpriced: u64) -> ReportRow {
        ReportRow {
            key: key.to_owned(),
            project: None,
            figures: Figures {
                calls,
                requests: calls + 1,
                input_tokens: calls * 1234,
                output_tokens: calls * 100,
                cost: Money::from_nanos(nanos),
                unpriced_requests: unpriced,
                ..Figures::default()
            },
        }
    }

    fn report(rows: Vec<ReportRow>) -> Report {
        let mut total = Figures::default();
        for row in &rows {
            total.add(&row.figures);
        }
        Report {
            rows,
            total,
            lifted: Vec::new(),
        }
    }

    #[test]
    fn a_chart_of_what_it_cost() {
        let rows = vec![
            row("m", 10, 30_000_000, 0),
            row("\u{1b}[31mx", 2, 1_000_000, 2),
        ];
        let since = "2026-11-01".parse().unwrap();
        let text = as_text(&report(rows.clone()), By::Model, since, &Style::ASCII).join("\n");
        assert_eq!(
            text,
            "Usage since 2026-11-01 (UTC), by model

  m            ########################        $0.0300     10 calls (+1 retry)   12.3k in    1.0k out
  \\u{1b}[31mx  #                         $0.001000 + ?      2 calls (+1 retry)    2.5k in     200 out
  total                                    $0.0310 + ?     12 calls (+2 retries)   14.8k in    1.2k out

?: 2 requests went to models without a known price; set [prices.\"MODEL\"] in your configuration \
(built-in prices are of 2026-11-23)"
        );
        let json = as_json(&report(rows), By::Model, since);
        assert_eq!(json["rows"][1]["cost_usd"], Value::Null);
        assert_eq!(json["rows"][0]["cost_usd"], 0.03);
        assert_eq!(json["total"]["known_cost_nano_usd"], 31_000_000);
    }

    #[test]
    fn bars_and_numbers() {
        assert_eq!(Style::UNICODE.bar(1, 1000).trim_end(), "▏");
        assert_eq!(Style::UNICODE.bar(1000, 1000), "█".repeat(BAR));
        assert_eq!(Style::UNICODE.bar(0, 0), " ".repeat(BAR));
        assert_eq!(Style::ASCII.bar(u64::MAX, u64::MAX), "#".repeat(BAR));
        for (count, text) in [
            (999, "999"),
            (1000, "1.0k"),
            (999_949, "999.9k"),
            (999_950, "1.0M"),
        ] {
            assert_eq!(short(count), text);
        }
        assert_eq!(shown(&format!("/{}", "x".repeat(80))).chars().count(), KEY);
    }

    #[test]
    fn a_week_has_seven_days() {
        let today: Day = "2026-11-23".parse().unwrap();
        let day = |text| since(text, today).map(|day| day.to_string());
        assert_eq!(day("7d"), Ok("2026-11-17".to_owned()));
        assert_eq!(day("1h"), Ok("2026-11-23".to_owned()));
        assert_eq!(day("2026-01-31"), Ok("2026-01-31".to_owned()));
        assert!(day("soon").is_err() && day("2026-02-30").is_err());
    }
}
