//! Ids on the command line: a complete id, its beginning or its end, or `last`; for a task also `JOB.TASK`, the job and the
//! name of the task.
//!
//! Ids are UUIDs that begin with the time, so the end distinguishes jobs; narrow tables show only the end. A partial id is
//! searched for in the list of jobs, which is available over AMQP and HTTP. The cost grows with the number of jobs, so only the
//! newest jobs are searched.

use std::collections::HashSet;
use std::str::FromStr;

use hub_core::job::nearest;
use hub_core::state::JobSummary;
use hub_core::text::Shown;
use hub_core::{JobId, JobStatus, TaskId};
use hub_engine::operations::{Hub, JobFilter, RequestErrorKind, TaskQuery, View};
use uuid::Uuid;

use super::record::Record;
use crate::exit::{Exit, Failure};

/// Maximum number of jobs, newest first, that are searched for a partial id.
const MAX_JOBS: usize = 5000;
/// Number of jobs in one page of the list.
const PAGE_SIZE: u32 = 1000;
/// Minimum number of digits of a partial id. Shorter ones often match several jobs.
const MIN_DIGITS: usize = 4;
/// Maximum number of candidates that are listed.
const MAX_CANDIDATES: usize = 10;
/// Maximum number of tasks that are searched for a partial id.
const MAX_TASKS: usize = 1_000_000;

/// A reference to a job on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobRef {
    Id(JobId),
    Part(PartialId),
    /// The job that was submitted last.
    Last,
}

/// A reference to a task on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskRef {
    Id(TaskId),
    Part(PartialId),
    /// The task with this name of a job.
    Named(JobRef, String),
}

/// A job, or a task of it, on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JobOrTask {
    pub(super) job: JobRef,
    /// The name of the task.
    pub(super) task: Option<String>,
}

/// A reference to a job or to a task on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobOrTaskRef {
    /// A task, named with its job.
    Task(TaskRef),
    /// A job. If there is no such job, the same text may mean a task.
    Either(JobRef, Option<TaskRef>),
}

/// The beginning or end of an id: its hexadecimal digits, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartialId(String);

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
        PartialId::parse(text).map(Self::Part).map_err(|why| {
            format!("{why}. Give the id of a job, its first or last digits (at least {MIN_DIGITS}), or \"last\"; hub-client list shows ids")
        })
    }
}

impl FromStr for JobOrTask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match bare(text).split_once('.').filter(|(_, name)| !name.is_empty()) {
            Some((job, name)) => Ok(Self { job: job.parse()?, task: Some(name.to_owned()) }),
            None => Ok(Self { job: text.parse()?, task: None }),
        }
    }
}

impl FromStr for TaskRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = bare(text);
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Id(TaskId::new(id)));
        }
        // Neither ids nor the names of tasks have dots.
        if let Some((job, name)) = text.split_once('.').filter(|(_, name)| !name.is_empty()) {
            return Ok(Self::Named(job.parse()?, name.to_owned()));
        }
        PartialId::parse(text).map(Self::Part).map_err(|why| {
            format!("{why}. Give JOB.TASK, such as last.load, or the id of a task or its last digits (at least {MIN_DIGITS})")
        })
    }
}

impl FromStr for JobOrTaskRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(task @ TaskRef::Named(..)) => Ok(Self::Task(task)),
            task => Ok(Self::Either(text.parse()?, task.ok())),
        }
    }
}

/// Removes quotation marks and commas, which remain if an id is copied from JSON.
fn bare(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'', ','])
}

impl PartialId {
    fn parse(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|one| *one != '-').map(|one| one.to_ascii_lowercase()).collect();
        if let Some(other) = digits.chars().find(|one| !one.is_ascii_hexdigit()) {
            return Err(format!("an id consists of hexadecimal digits, {other:?} is not one"));
        }
        match digits.len() {
            0..MIN_DIGITS => {
                Err(format!("an abbreviated id needs at least {MIN_DIGITS} digits, this one has {}", digits.len()))
            }
            33.. => Err(format!("an id has 32 digits, this one has {}", digits.len())),
            _ => Ok(Self(digits)),
        }
    }

    fn matches(&self, id: Uuid) -> bool {
        let mut buffer = Uuid::encode_buffer();
        let whole = id.simple().encode_lower(&mut buffer);
        whole.starts_with(&self.0) || whole.ends_with(&self.0)
    }
}

impl JobRef {
    /// The id of the job.
    ///
    /// # Errors
    /// If no job or several jobs match, or a request to the Hub fails.
    pub(super) async fn resolve(&self, hub: &dyn Hub) -> Result<JobId, Failure> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Last => {
                let newest = hub.jobs(JobFilter { limit: Some(1), ..JobFilter::default() }).await?;
                newest.jobs.first().map(|job| job.id).ok_or_else(|| not_found("there are no jobs yet".to_owned()))
            }
            Self::Part(part) => {
                let is_meant = |job: &&JobSummary| part.matches(job.id.uuid());
                // The newest jobs may all be sub-jobs.
                let mut searched = newest(hub, Vec::new(), false).await?;
                let known: HashSet<JobId> = searched.iter().map(|job| job.id).collect();
                let all = newest(hub, Vec::new(), true).await?;
                searched.extend(all.into_iter().filter(|job| !known.contains(&job.id)));
                let found: Vec<&JobSummary> = searched.iter().filter(is_meant).collect();
                match found.as_slice() {
                    [one] => Ok(one.id),
                    [] => Err(not_found(format!(
                        "no job has an id that begins or ends with {} ({})",
                        part.0,
                        extent(searched.len(), "jobs")
                    ))),
                    several => Err(ambiguous(part, several.iter().map(|job| candidate(job)).collect())),
                }
            }
        }
    }
}

impl JobOrTaskRef {
    /// The id of the job, or the task that it means instead. With `is_job`, a complete id is that of a job, also of one that was
    /// removed.
    ///
    /// # Errors
    /// If no job and no task matches, several jobs match, or a request to the Hub fails.
    pub(super) async fn resolve(self, hub: &dyn Hub, is_job: bool) -> Result<Result<JobId, TaskRef>, Failure> {
        let (job, task) = match self {
            Self::Task(task) => return Ok(Err(task)),
            Self::Either(job, task) => (job, task),
        };
        match (job.resolve(hub).await, task) {
            // An id that is complete is not compared with anything.
            (Ok(id), Some(task @ TaskRef::Id(_))) if !is_job => match hub.summary(id, None).await {
                Err(error) if error.kind == RequestErrorKind::NotFound => Ok(Err(task)),
                summary => Ok(Ok(summary?.id)),
            },
            (Ok(id), _) => Ok(Ok(id)),
            (Err(failure), Some(task)) if failure.exit == Exit::NotFound => Ok(Err(task)),
            (Err(failure), _) => Err(failure),
        }
    }
}

impl TaskRef {
    /// The job and the name of the task.
    ///
    /// # Errors
    /// If it is given by an id, or no job matches.
    pub(super) async fn job_and_name(self, hub: &dyn Hub) -> Result<(JobId, String), Failure> {
        match self {
            Self::Named(job, name) => Ok((job.resolve(hub).await?, name)),
            Self::Id(_) | Self::Part(_) => {
                Err(Failure::new(Exit::Usage, "give the task as JOB.TASK, such as last.parse, not by its id"))
            }
        }
    }

    /// The id of the task.
    ///
    /// # Errors
    /// If no task or several tasks match, or a request to the Hub fails.
    pub(super) async fn resolve(&self, hub: &dyn Hub) -> Result<TaskId, Failure> {
        let part = match self {
            Self::Id(id) => return Ok(*id),
            Self::Named(job, name) => return named(hub, job.resolve(hub).await?, name).await,
            Self::Part(part) => part,
        };
        // A result can be posted only to a job that has not ended.
        let live = vec![JobStatus::Pending, JobStatus::Running, JobStatus::Paused, JobStatus::Cancelling];
        let live = newest(hub, live, true).await?;
        let tasks = live.iter().flat_map(|job| (0..job.tasks).map(move |index| (job, job.id.task(index))));
        let found: Vec<_> = tasks.take(MAX_TASKS).filter(|(_, task)| part.matches(task.uuid())).collect();
        match found.as_slice() {
            [(_, task)] => Ok(*task),
            [] => {
                if let Some(job) = live.iter().find(|job| part.matches(job.id.uuid())) {
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

/// The task with this name of a job.
async fn named(hub: &dyn Hub, id: JobId, name: &str) -> Result<TaskId, Failure> {
    #[derive(serde::Deserialize)]
    struct Page {
        tasks: Vec<Named>,
        next: Option<u32>,
    }
    #[derive(serde::Deserialize)]
    struct Named {
        id: TaskId,
        name: String,
    }
    let view = View::whole().with_fields("id,name");
    let mut query = TaskQuery { limit: Some(TaskQuery::MAX_PAGE), view, ..TaskQuery::default() };
    let mut names = Vec::new();
    loop {
        let page = match hub.tasks(id, query.clone()).await {
            Err(error) if error.kind == RequestErrorKind::NotFound => {
                return Err(unknown_job(hub, id, error.into()).await);
            }
            page => page?,
        };
        let page: Page = serde_json::from_str(page.get()).map_err(|error| {
            Failure::new(Exit::Unreachable, "the list of tasks that the Hub sent cannot be read").because(error)
        })?;
        for task in page.tasks {
            if task.name == name {
                return Ok(task.id);
            }
            names.push(task.name);
        }
        query.after = page.next;
        if page.next.is_none() {
            let near = nearest(name, names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {}?", Shown(near))).unwrap_or_default();
            return Err(not_found(format!("the job {id} has no task named {}{near}", Shown(name))));
        }
    }
}

/// The newest jobs with these statuses, with sub-jobs if `sub_jobs` is set. An empty list means all statuses.
async fn newest(hub: &dyn Hub, status: Vec<JobStatus>, sub_jobs: bool) -> Result<Vec<JobSummary>, Failure> {
    let mut filter = JobFilter { status, sub_jobs, limit: Some(PAGE_SIZE), ..JobFilter::default() };
    let mut jobs = Vec::new();
    loop {
        let page = hub.jobs(filter.clone()).await?;
        jobs.extend(page.jobs);
        match page.next {
            Some(next) if jobs.len() < MAX_JOBS => filter.after = Some(next),
            _ => return Ok(jobs),
        }
    }
}

/// The failure for an unknown job id. It says so if the id is the id of a task.
pub(super) async fn unknown_job(hub: &dyn Hub, id: JobId, failure: Failure) -> Failure {
    let task = TaskId::new(id.uuid());
    let Ok(jobs) = newest(hub, Vec::new(), true).await else { return failure };
    match jobs.iter().find(|job| task.index_in(job.id).is_some_and(|index| index < job.tasks)) {
        Some(job) => {
            not_found(format!("{task} is the id of a task, not of a job. Its job is {}: hub-client status {0}", job.id))
        }
        None => failure,
    }
}

/// The failure for an unknown task id. It says so if the id is the id of a job.
pub(super) async fn unknown_task(hub: &dyn Hub, id: TaskId, failure: Failure) -> Failure {
    let job = JobId::new(id.uuid());
    match hub.summary(job, None).await {
        Ok(_) => is_a_job(hub, job, job.to_string()).await,
        Err(_) => failure,
    }
}

/// The failure for the id of a job where the id of a task is needed.
async fn is_a_job(hub: &dyn Hub, id: JobId, given: String) -> Failure {
    let mut message = format!("{given} is the id of a job; a result needs a task: its id, or JOB.TASK");
    let record = hub.job(id, None).await.ok();
    let waiting: Vec<(String, String)> = record
        .as_ref()
        .and_then(|text| Record::read(text).ok())
        .map(|record| {
            record
                .tasks
                .iter()
                .filter(|task| task.waits_for_outside())
                .map(|task| (task.id.clone(), task.name.clone()))
                .collect()
        })
        .unwrap_or_default();
    match waiting.as_slice() {
        [] => message.push_str(". None of its tasks waits for a result"),
        tasks => {
            message.push_str(". Its tasks that wait for a result:");
            for (task, name) in tasks.iter().take(MAX_CANDIDATES) {
                message.push_str(&format!("\n    {task}  {}", Shown(name)));
            }
            if tasks.len() > MAX_CANDIDATES {
                message.push_str(&format!("\n    and {} more", tasks.len() - MAX_CANDIDATES));
            }
        }
    }
    not_found(message)
}

/// The number of ids that were searched, for messages.
fn extent(searched: usize, what: &str) -> String {
    if searched < MAX_JOBS {
        return format!("searched {searched} {what}");
    }
    format!("searched only the newest {searched} {what}: give the complete id of an older one")
}

fn candidate(job: &JobSummary) -> String {
    format!("{}  {}  {}  {}", job.id, Shown(&job.name), job.status, job.submitted_at)
}

fn ambiguous(part: &PartialId, candidates: Vec<String>) -> Failure {
    let mut message = format!("{} ids begin or end with {}: give more digits", candidates.len(), part.0);
    for line in candidates.iter().take(MAX_CANDIDATES) {
        message.push_str(&format!("\n    {line}"));
    }
    if candidates.len() > MAX_CANDIDATES {
        message.push_str(&format!("\n    and {} more", candidates.len() - MAX_CANDIDATES));
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
    fn an_id_is_parsed_in_all_spellings() {
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
    fn a_task_is_named_by_its_job_and_its_name() {
        let job = |text: &str| text.parse::<JobRef>().unwrap();
        for (text, of, name) in
            [("last.load", "last", "load"), ("e7b0.größe 2", "e7b0", "größe 2"), (&format!("{ID}.a"), ID, "a")]
        {
            assert_eq!(text.parse(), Ok(TaskRef::Named(job(of), name.to_owned())), "{text}");
        }
        for text in ["last", "last.", "nightly.load", ".load"] {
            assert!(text.parse::<TaskRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_job_may_be_given_with_a_task() {
        let parsed = |text: &str| text.parse::<JobOrTask>().unwrap();
        assert_eq!(parsed("last"), JobOrTask { job: JobRef::Last, task: None });
        assert_eq!(parsed("last.parse[3]"), JobOrTask { job: JobRef::Last, task: Some("parse[3]".to_owned()) });
        assert!("nightly.load".parse::<JobOrTask>().is_err());
    }

    #[test]
    fn a_partial_id_matches_the_beginning_or_the_end() {
        let id = Uuid::try_parse(ID).unwrap();
        for text in ["01A2", "01a20aef-b8a3-7", "e7b0", "46-05e04509e7b0"] {
            assert!(PartialId::parse(text).unwrap().matches(id), "{text}");
        }
        for text in ["b8a3", "72fb9946", "01a20aee"] {
            assert!(!PartialId::parse(text).unwrap().matches(id), "{text}");
        }
    }
}
