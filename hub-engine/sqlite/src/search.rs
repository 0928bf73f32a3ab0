//! The queries of listings.
//!
//! A page is searched in windows of jobs, the newest first, until it is full or the search has taken long enough. A filter that
//! few jobs of a large store match is answered with several pages, each in a bounded time. Most filters are decided by the
//! index `jobs_search` alone, which has every column that filters look at.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hub_core::filter::{Condition, Pattern, Term, TextField, TimeField};
use hub_core::{JobStatus, Timestamp};
use hub_engine::operations::{JobFilter, JobPage};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, ToSql};

use super::rows::{SUMMARY_COLUMNS, millis, read_summary};

/// The limits of the search for a page.
#[derive(Clone, Copy)]
struct Limits {
    /// Number of serials in the first window. The next ones are larger, unless a window takes too long.
    first_window: i64,
    /// Maximum number of serials in a window.
    maximum_window: i64,
    /// After this time no further window is begun.
    time: Duration,
}

const LIMITS: Limits = Limits { first_window: 1000, maximum_window: 64_000, time: Duration::from_millis(50) };
/// A window is made larger than the one before if that took less time than this, and smaller if it took more.
const GOOD_TIME: Duration = Duration::from_millis(8);
/// Number of values of a statement that are not those of its conditions: the ends of the window, and the number of jobs.
const VALUES_OF_WINDOW: usize = 3;

/// A search for jobs.
pub(super) struct Search {
    /// The index by which jobs are found.
    index: &'static str,
    conditions: Vec<String>,
    /// The values of the conditions, in their order.
    values: Vec<Box<dyn ToSql + Send>>,
}

impl Search {
    /// The search for the jobs that match `filter` at `now`.
    pub(super) fn new(filter: &JobFilter, now: Timestamp) -> Self {
        let terms = filter.terms();
        let mut search = Self { index: index(&terms), conditions: Vec::new(), values: Vec::new() };
        if !filter.sub_jobs {
            search.conditions.push("root IS NULL".to_owned());
            if terms.is_empty() {
                search.index = "jobs_roots";
            }
        }
        terms.iter().for_each(|term| search.add(term, now));
        search
    }

    /// The page of the jobs before `before`, newest first. At least one window is looked at.
    pub(super) fn page(&self, connection: &mut Connection, before: i64, limit: usize) -> rusqlite::Result<JobPage> {
        self.page_within(connection, before, limit, LIMITS)
    }

    fn page_within(
        &self,
        connection: &mut Connection,
        before: i64,
        limit: usize,
        limits: Limits,
    ) -> rusqlite::Result<JobPage> {
        let begun = Instant::now();
        // One transaction, so that all windows are of the same moment.
        let connection = connection.transaction()?;
        let ends = "SELECT (SELECT min(serial) FROM jobs), (SELECT max(serial) FROM jobs)";
        let ends: (Option<i64>, Option<i64>) = connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(first), Some(last)) = ends else { return Ok(JobPage::default()) };
        let mut statement = connection.prepare_cached(&self.statement())?;
        let (mut found, mut end, mut window) = (Vec::new(), before.min(last.saturating_add(1)), limits.first_window);
        let next = loop {
            let window_begun = Instant::now();
            let start = end.saturating_sub(window);
            // One more than the limit shows whether there is another page.
            let left = i64::try_from(limit + 1 - found.len()).unwrap_or(i64::MAX);
            let mut values: Vec<&dyn ToSql> = vec![&start, &end, &left];
            values.extend(self.values.iter().map(|value| &**value as &dyn ToSql));
            for row in statement.query_map(values.as_slice(), read_summary)? {
                found.push(row?);
            }
            if found.len() > limit {
                found.truncate(limit);
                break found.last().map(|(serial, _)| *serial);
            }
            if start <= first {
                break None;
            }
            end = start;
            if begun.elapsed() >= limits.time {
                break Some(end);
            }
            let is_quick = window_begun.elapsed() < GOOD_TIME;
            window =
                if is_quick { (window * 2).min(limits.maximum_window) } else { (window / 2).max(limits.first_window) };
        };
        let jobs = found.into_iter().map(|(_, summary)| summary).collect();
        Ok(JobPage { jobs, next: next.map(|serial| serial.to_string()) })
    }

    /// The statement for one window. Its values are the ends of the window, the number of jobs, and those of the conditions.
    fn statement(&self) -> String {
        let conditions: String = self.conditions.iter().map(|condition| format!(" AND {condition}")).collect();
        format!(
            "SELECT {SUMMARY_COLUMNS} FROM jobs WHERE serial IN (
                 SELECT serial FROM jobs AS found INDEXED BY {} WHERE serial >= ?1 AND serial < ?2{conditions}
                     ORDER BY serial DESC LIMIT ?3)
             ORDER BY serial DESC",
            self.index
        )
    }

    fn add(&mut self, term: &Term, now: Timestamp) {
        let condition = match &term.condition {
            Condition::Status(statuses) => {
                // Without duplicates, because the number of variables in a statement is limited.
                let statuses: BTreeSet<&'static str> = statuses.iter().copied().map(JobStatus::as_str).collect();
                let places: Vec<String> = statuses.into_iter().map(|status| self.value(status)).collect();
                format!("status IN ({})", places.join(", "))
            }
            Condition::Text(field, patterns) => {
                let columns: &[&str] = match field {
                    TextField::Name => &["name"],
                    TextField::Key => &["key"],
                    TextField::Task => &["failed_task"],
                    TextField::Definition => &["definition"],
                    TextField::Error => &["failed_kind", "failed_type"],
                };
                let any: Vec<String> = columns.iter().map(|column| self.is_any(column, patterns)).collect();
                any.join(" OR ")
            }
            Condition::Label(name, patterns) => {
                let name = self.value(name.clone());
                let any = self.is_any("labels.value", patterns);
                // Jobs with a certain value are found by it. Other values are looked at job by job.
                if are_exact(patterns) {
                    format!(
                        "serial IN (SELECT job FROM labels WHERE name = {name} AND ({any}) AND job >= ?1 AND job < ?2)"
                    )
                } else {
                    format!(
                        "EXISTS (SELECT 1 FROM labels WHERE labels.job = found.serial AND labels.name = {name} AND ({any}))"
                    )
                }
            }
            Condition::Time(field, relation, when) => {
                let column = match field {
                    TimeField::Submitted => "submitted_at",
                    TimeField::Started => "started_at",
                    TimeField::Ended => "ended_at",
                };
                format!("{column} {} {}", relation.as_str(), self.value(millis(when.at(now))))
            }
        };
        // A condition on a value that a job does not have is NULL, which counts as false, so that its negation holds.
        self.conditions.push(if term.is_negated {
            format!("NOT coalesce({condition}, 0)")
        } else {
            format!("({condition})")
        });
    }

    /// Adds a value. Returns its place in the statement.
    fn value(&mut self, value: impl ToSql + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("?{}", VALUES_OF_WINDOW + self.values.len())
    }

    fn is_any(&mut self, column: &str, patterns: &[Pattern]) -> String {
        let any = patterns.iter().map(|pattern| match pattern.exact() {
            Some(text) => format!("{column} = {}", self.value(text.to_owned())),
            None => format!("hub_matches({column}, {})", self.value(pattern.parts().join(SEPARATOR))),
        });
        any.collect::<Vec<_>>().join(" OR ")
    }
}

/// The index by which the jobs are found: a key or a name leads to few jobs.
fn index(terms: &[Term]) -> &'static str {
    let is_exact = |wanted: TextField| {
        terms.iter().any(|term| match &term.condition {
            Condition::Text(field, patterns) => *field == wanted && !term.is_negated && are_exact(patterns),
            _ => false,
        })
    };
    if is_exact(TextField::Key) {
        "jobs_by_key"
    } else if is_exact(TextField::Name) {
        "jobs_by_name"
    } else if matches!(terms, [Term { is_negated: false, condition: Condition::Status(_) }]) {
        "jobs_by_status"
    } else {
        "jobs_search"
    }
}

fn are_exact(patterns: &[Pattern]) -> bool {
    patterns.iter().all(|pattern| pattern.exact().is_some())
}

/// Separates the parts of a pattern in a statement. No filter contains it.
const SEPARATOR: &str = "\u{1}";

/// Adds the function `hub_matches(text, pattern)`. The operator `GLOB` takes a time that grows exponentially with the number of wildcards.
pub(super) fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("hub_matches", 2, flags, |context| {
        let pattern = context.get_or_create_aux(1, |pattern| -> Result<Pattern, FromSqlError> {
            Ok(Pattern::of_parts(pattern.as_str()?.split(SEPARATOR)))
        })?;
        Ok(context.get_raw(0).as_str_or_null()?.map(|text| pattern.matches(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::migrations::MIGRATIONS;
    use super::*;

    /// A store with jobs of these serials. The jobs with even serials have failed.
    fn store(serials: impl IntoIterator<Item = i64>) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        add_functions(&connection).unwrap();
        MIGRATIONS.iter().for_each(|step| connection.execute_batch(step).unwrap());
        for serial in serials {
            let status = if serial % 2 == 0 { "FAILED" } else { "SUCCESS" };
            let id = format!("0190b4c2-7b1a-7000-8000-{serial:04}fffffff0");
            connection
                .execute(
                    "INSERT INTO jobs (serial, id, family, name, status, tasks, submitted_at, ended_at)
                         VALUES (?1, ?2, CAST(?2 AS BLOB), 'j', ?3, 1, 0, 1)",
                    rusqlite::params![serial, id, status],
                )
                .unwrap();
        }
        connection
    }

    fn search(text: &str) -> Search {
        let filter = JobFilter { filter: Some(text.parse().unwrap()), ..JobFilter::default() };
        Search::new(&filter, Timestamp::default())
    }

    #[test]
    fn a_search_goes_on_with_the_next_page_after_its_time() {
        let mut connection = store((1..=20).chain(90..=99));
        for (window, limit) in [(1, 3), (7, 1), (7, 100), (1000, 2), (64_000, 100)] {
            let (mut found, mut before, mut pages) = (Vec::new(), i64::MAX, 0);
            loop {
                let limits = Limits { first_window: window, maximum_window: window, time: Duration::ZERO };
                let page = search("status:failed -name:k").page_within(&mut connection, before, limit, limits).unwrap();
                assert!(page.jobs.len() <= limit);
                found.extend(page.jobs.iter().map(|job| job.id.to_string()[24..28].parse::<i64>().unwrap()));
                pages += 1;
                let Some(next) = page.next else { break };
                let next = next.parse().unwrap();
                assert!(next < before, "each page goes on");
                before = next;
            }
            let expected: Vec<i64> = (1..=20).chain(90..=99).filter(|serial| serial % 2 == 0).rev().collect();
            assert_eq!(found, expected, "windows of {window}, pages of {limit}");
            assert_eq!(pages > 1, window < 99 || limit < 15);
        }
        assert_eq!(search("").page(&mut store([]), i64::MAX, 10).unwrap(), JobPage::default());
    }

    #[test]
    fn windows_grow_up_to_their_limit() {
        let mut connection = store((1..=20).chain([5000]));
        let limits = Limits { first_window: 1, maximum_window: 600, time: Duration::from_secs(600) };
        let page = search("status:failed -name:k").page_within(&mut connection, i64::MAX, 100, limits).unwrap();
        assert_eq!((page.jobs.len(), page.next), (11, None));
    }

    #[test]
    fn every_search_uses_an_index() {
        let connection = store(1..=3);
        for (text, index) in [
            ("", "INDEX jobs_roots (serial>? AND serial<?)"),
            ("started>-1h", "COVERING INDEX jobs_search (serial>? AND serial<?)"),
            ("name:etl*", "COVERING INDEX jobs_search (serial>? AND serial<?)"),
            ("-status:failed error:*Error task:load,save", "COVERING INDEX jobs_search (serial>? AND serial<?)"),
            ("-label.team:data", "COVERING INDEX jobs_search (serial>? AND serial<?)"),
            ("label.team:data", "COVERING INDEX jobs_search (serial=?"),
            ("label.team:data status:failed", "COVERING INDEX jobs_search (serial=?"),
            ("label.team:data", "PRIMARY KEY (name=? AND value=? AND job>? AND job<?)"),
            ("label.team:d*", "INDEX labels_by_job (job=? AND name=?)"),
            ("name:etl ended>-1h", "INDEX jobs_by_name (name=? AND serial>? AND serial<?)"),
            ("status:failed", "COVERING INDEX jobs_by_status (status=? AND serial>? AND serial<?)"),
            ("name:etl", "COVERING INDEX jobs_by_name (name=? AND serial>? AND serial<?)"),
            ("key:k", "INDEX jobs_by_key (key=?"),
        ] {
            let search = search(text);
            let mut values: Vec<&dyn ToSql> = vec![&0, &0, &0];
            values.extend(search.values.iter().map(|value| &**value as &dyn ToSql));
            let statement = format!("EXPLAIN QUERY PLAN {}", search.statement());
            let mut statement = connection.prepare(&statement).unwrap();
            let plan = statement.query_map(values.as_slice(), |row| row.get::<_, String>(3)).unwrap();
            let plan = plan.collect::<Result<Vec<_>, _>>().unwrap().join("\n");
            assert!(
                plan.contains(index) && !plan.contains("SCAN jobs") && !plan.contains("SCAN found"),
                "{text}:\n{plan}"
            );
        }
    }
}
