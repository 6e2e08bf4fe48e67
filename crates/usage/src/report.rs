//! What was used, for people.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use crate::budget::Limit;
use crate::calendar::Day;
use crate::figures::Figures;
use crate::journal::{self, UsageError};

/// By what sums are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Day.
    Day,
    /// Model.
    Model,
    /// Project.
    Project,
    /// Source file.
    File,
}

/// Sums over some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The rows: days in their order, everything else by what it cost, the most first.
    pub rows: Vec<ReportRow>,
    /// All of it.
    pub total: Figures,
    /// Limits of this moment that the user lifted, each until its window's end.
    pub lifted: Vec<Limit>,
}

/// One sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// The day, model or project; the file's path below its project. Empty for files that are not
    /// known any more.
    pub key: String,
    /// The project, where rows are files.
    pub project: Option<String>,
    /// The sum.
    pub figures: Figures,
}

/// Reads what was used since a day, from the state directory's `dir`. A process may be writing
/// there meanwhile. Blocks on the disk.
pub fn read_report(dir: &Path, by: By, since: Option<Day>) -> Result<Report, UsageError> {
    let loaded = journal::peek(dir)?;
    let mut sums: BTreeMap<(String, Option<String>), Figures> = BTreeMap::new();
    let mut total = Figures::default();
    let recent = loaded.book.rows();
    let recent = recent.filter(|(key, _)| since.is_none_or(|since| key.day >= since));
    for (key, figures) in recent {
        let row = match by {
            By::Day => (key.day.to_string(), None),
            By::Model => (key.model.clone(), None),
            By::Project => (key.project.clone(), None),
            By::File => (key.file.clone(), Some(key.project.clone())),
        };
        sums.entry(row).or_default().add(figures);
        total.add(figures);
    }
    let row = |((key, project), figures)| ReportRow {
        key,
        project,
        figures,
    };
    let mut rows: Vec<ReportRow> = sums.into_iter().map(row).collect();
    if by != By::Day {
        rows.sort_by_key(|row| {
            let figures = row.figures;
            std::cmp::Reverse((figures.cost, figures.tokens(), figures.calls))
        });
    }
    let now = SystemTime::now();
    let lifted = loaded.marks.lifted.into_iter();
    Ok(Report {
        rows,
        total,
        lifted: lifted.filter(|l| l.window.contains(now)).collect(),
    })
}
