//! Ids as people give them: whole, by their beginning or their end, or `last`.
//!
//! Ids are UUIDs that begin with the time, so the end tells jobs apart; tables that are narrow show it. A part is looked for in
//! the listing, which every way to a Hub has. That takes time in proportion to the jobs looked at, so only the newest are.

use std::str::FromStr;

use hub_core::state::JobSummary;
use hub_core::text::Shown;
use hub_core::{JobId, JobStatus, TaskId};
use hub_engine::operations::{Hub, JobFilter};
use uuid::Uuid;

use super::record::Record;
use crate::exit::{Exit, Failure};

/// Maximum number of jobs, the newest first, among which a part of an id is looked for.
const SEARCHED: usize = 5000;
/// Number of jobs asked for at a time.
const PAGE: u32 = 1000;
/// Minimum number of digits of a part: fewer would soon fit several jobs.
const SHORTEST: usize = 4;
/// Maximum number of candidates that are listed.
const LISTED: usize = 10;
/// Maximum number of tasks whose ids are compared with a part.
const COMPARED: usize = 1_000_000;

/// A job, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobRef {
    Id(JobId),
    Part(Part),
    /// The job that was submitted last.
    Last,
}

/// A task, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskRef {
    Id(TaskId),
    Part(Part),
}

/// The beginning or end of an id: its hexadecimal digits, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part(String);

impl FromStr for JobRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = bare(text);
        if text.eq_ignore_ascii_case("last") {
            return Ok(Self::Last);
        }
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Id(JobId::new(id)));
        }
        Part::read(text).map(Self::Part).map_err(|why| {
            format!("{why}. Give a job's id, its first or last digits (at least {SHORTEST}), or \"last\"; hub-client list shows ids")
        })
    }
}

impl FromStr for TaskRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = bare(text);
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Id(TaskId::new(id)));
        }
        Part::read(text).map(Self::Part).map_err(|why| {
            format!("{why}. Give a task's id or its last digits (at least {SHORTEST}); hub-client status JOB shows ids")
        })
    }
}

/// Ids are copied out of JSON, with what stands around them.
fn bare(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'', ','])
}

impl Part {
    fn read(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|one| *one != '-').map(|one| one.to_ascii_lowercase()).collect();
        if let Some(other) = digits.chars().find(|one| !one.is_ascii_hexdigit()) {
            return Err(format!("an id has hexadecimal digits only, and no {other:?}"));
        }
        match digits.len() {
            0..SHORTEST => Err(format!("{} digits are too few to find an id", digits.len())),
            33.. => Err(format!("an id has 32 digits, this one has {}", digits.len())),
            _ => Ok(Self(digits)),
        }
    }

    fn is_of(&self, id: Uuid) -> bool {
        let mut buffer = Uuid::encode_buffer();
        let whole = id.simple().encode_lower(&mut buffer);
        whole.starts_with(&self.0) || whole.ends_with(&self.0)
    }
}

impl JobRef {
    /// The id of the job that is meant.
    ///
    /// # Errors
    /// Where there is none, or are several, or the Hub cannot be asked.
    pub(super) async fn resolve(&self, hub: &dyn Hub) -> Result<JobId, Failure> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Last => {
                let newest = hub.jobs(JobFilter { limit: Some(1), ..JobFilter::default() }).await?;
                newest.jobs.first().map(|job| job.id).ok_or_else(|| not_found("there are no jobs yet".to_owned()))
            }
            Self::Part(part) => {
                let looked_at = newest(hub, Vec::new()).await?;
                let found: Vec<&JobSummary> = looked_at.iter().filter(|job| part.is_of(job.id.uuid())).collect();
                match found.as_slice() {
                    [one] => Ok(one.id),
                    [] => Err(not_found(format!(
                        "no job has an id that begins or ends with {} ({})",
                        part.0,
                        extent(looked_at.len(), "jobs")
                    ))),
                    several => Err(ambiguous(part, several.iter().map(|job| candidate(job)).collect())),
                }
            }
        }
    }
}

impl TaskRef {
    /// The id of the task that is meant.
    ///
    /// # Errors
    /// Where there is none, or are several, or the Hub cannot be asked.
    pub(super) async fn resolve(&self, hub: &dyn Hub) -> Result<TaskId, Failure> {
        let part = match self {
            Self::Id(id) => return Ok(*id),
            Self::Part(part) => part,
        };
        // A result can be posted only to a job that has not ended.
        let live = newest(hub, vec![JobStatus::Pending, JobStatus::Running, JobStatus::Paused]).await?;
        let tasks = live.iter().flat_map(|job| (0..job.tasks).map(move |index| (job, job.id.task(index))));
        let found: Vec<_> = tasks.take(COMPARED).filter(|(_, task)| part.is_of(task.uuid())).collect();
        match found.as_slice() {
            [(_, task)] => Ok(*task),
            [] => {
                if let Some(job) = live.iter().find(|job| part.is_of(job.id.uuid())) {
                    return Err(is_a_job(hub, job.id, part.0.clone()).await);
                }
                let extent = extent(live.len(), "jobs that have not ended");
                Err(not_found(format!("no task has an id that begins or ends with {} ({extent})", part.0)))
            }
            several => {
                let lines = several.iter().map(|(job, task)| format!("{task}  a task of job {}", Shown(&job.name)));
                Err(ambiguous(part, lines.collect()))
            }
        }
    }
}

/// The newest jobs of these statuses, or of any.
async fn newest(hub: &dyn Hub, status: Vec<JobStatus>) -> Result<Vec<JobSummary>, Failure> {
    let mut filter = JobFilter { status, limit: Some(PAGE), ..JobFilter::default() };
    let mut jobs = Vec::new();
    loop {
        let page = hub.jobs(filter.clone()).await?;
        jobs.extend(page.jobs);
        match page.next {
            Some(next) if jobs.len() < SEARCHED => filter.after = Some(next),
            _ => return Ok(jobs),
        }
    }
}

/// What to say of an id that no job has: it may be that of a task.
pub(super) async fn unknown_job(hub: &dyn Hub, id: JobId, failure: Failure) -> Failure {
    let task = TaskId::new(id.uuid());
    let Ok(jobs) = newest(hub, Vec::new()).await else { return failure };
    match jobs.iter().find(|job| task.index_in(job.id).is_some_and(|index| index < job.tasks)) {
        Some(job) => {
            not_found(format!("{task} is the id of a task, not of a job. Its job is {}: hub-client status {0}", job.id))
        }
        None => failure,
    }
}

/// What to say of an id that no task has: it may be that of a job.
pub(super) async fn unknown_task(hub: &dyn Hub, id: TaskId, failure: Failure) -> Failure {
    let job = JobId::new(id.uuid());
    match hub.summary(job, None).await {
        Ok(_) => is_a_job(hub, job, job.to_string()).await,
        Err(_) => failure,
    }
}

/// A job's id was given where a task's is needed.
async fn is_a_job(hub: &dyn Hub, id: JobId, given: String) -> Failure {
    let mut message = format!("{given} is the id of a job, and a result is posted to a task");
    let record = hub.job(id, None).await.ok();
    let waiting: Vec<(String, String)> = record
        .as_ref()
        .and_then(|text| Record::read(text).ok())
        .map(|record| {
            record
                .tasks
                .iter()
                .filter(|task| task.is_launched())
                .map(|task| (task.id.clone(), task.name.clone()))
                .collect()
        })
        .unwrap_or_default();
    match waiting.as_slice() {
        [] => message.push_str(". None of its tasks waits for a result"),
        tasks => {
            message.push_str(". Its tasks that wait for a result:");
            for (task, name) in tasks.iter().take(LISTED) {
                message.push_str(&format!("\n    {task}  {}", Shown(name)));
            }
            if tasks.len() > LISTED {
                message.push_str(&format!("\n    and {} more", tasks.len() - LISTED));
            }
        }
    }
    not_found(message)
}

fn extent(looked_at: usize, what: &str) -> String {
    if looked_at < SEARCHED {
        return format!("{looked_at} {what} were compared");
    }
    format!("only the newest {looked_at} {what} were compared: give the whole id of an older one")
}

fn candidate(job: &JobSummary) -> String {
    format!("{}  {}  {}  {}", job.id, Shown(&job.name), job.status, job.submitted_at)
}

fn ambiguous(part: &Part, candidates: Vec<String>) -> Failure {
    let mut message = format!("{} ids begin or end with {}: give more digits of one of them", candidates.len(), part.0);
    for line in candidates.iter().take(LISTED) {
        message.push_str(&format!("\n    {line}"));
    }
    if candidates.len() > LISTED {
        message.push_str(&format!("\n    and {} more", candidates.len() - LISTED));
    }
    Failure::new(Exit::Usage, message)
}

fn not_found(message: String) -> Failure {
    Failure::new(Exit::NotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a20aef-b8a3-72fb-9946-05e04509e7b0";

    #[test]
    fn an_id_is_read_however_it_was_copied() {
        let id = JobRef::Id(JobId::new(Uuid::try_parse(ID).unwrap()));
        let upper = ID.to_uppercase();
        for text in [ID, &*upper, &ID.replace('-', ""), &format!("\"{ID}\","), &format!(" {ID} "), &format!("{{{ID}}}")]
        {
            assert_eq!(text.parse(), Ok(id.clone()), "{text}");
        }
        assert_eq!("LAST".parse(), Ok(JobRef::Last));
        for text in ["", "abc", "sum_product", "01a20aef-b8a3-72fb-9946-05e04509e7b0a", "…", "*"] {
            assert!(text.parse::<JobRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_is_the_beginning_or_the_end() {
        let id = Uuid::try_parse(ID).unwrap();
        for text in ["01A2", "01a20aef-b8a3-7", "e7b0", "46-05e04509e7b0"] {
            assert!(Part::read(text).unwrap().is_of(id), "{text}");
        }
        for text in ["b8a3", "72fb9946", "01a20aee"] {
            assert!(!Part::read(text).unwrap().is_of(id), "{text}");
        }
    }
}
