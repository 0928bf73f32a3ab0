//! Passes the tasks of a job through their gates.

use std::ops::Range;

use serde_json::{Value, json};

use super::condition;
use super::expected::{Expected, Status, TaskEnd};
use super::fill::{Known, Missing};
use super::job::{ForEach, Job, Task};
use super::limits::Limits;
use super::scenario::{Call, Outcome, Scenario};
use super::trigger;

/// Errors after which there is no other attempt.
const PERMANENT: [&str; 8] = [
    "BAD_ARGUMENTS",
    "BAD_RESULT",
    "MISSING_VALUE",
    "RESULT_TOO_LARGE",
    "ARGUMENTS_TOO_LARGE",
    "VALUE_TOO_DEEP",
    "UNDELIVERABLE",
    "WORKER_LOST",
];

/// The expected result of a job, with the default limits.
///
/// # Panics
/// If the tasks wait for each other, or the scenario does not know a module.
#[must_use]
pub fn evaluate(job: &Job, scenario: &dyn Scenario) -> Expected {
    evaluate_within(job, scenario, Limits::default())
}

/// The expected result of a job, with these limits.
///
/// # Panics
/// As [`evaluate`].
#[must_use]
pub fn evaluate_within(job: &Job, scenario: &dyn Scenario, limits: Limits) -> Expected {
    evaluate_with(job, scenario, limits, &Value::Null)
}

/// The expected result of a sub-job with these inputs.
///
/// # Panics
/// As [`evaluate`].
#[must_use]
pub fn evaluate_with(job: &Job, scenario: &dyn Scenario, limits: Limits, input: &Value) -> Expected {
    let mut ended: Vec<Option<TaskEnd>> = vec![None; job.tasks().len()];
    let [tasks, on_failure, finally] = job.lists();
    let run = |list: Range<usize>, ended: &mut [Option<TaskEnd>], failure: &Value| {
        for task in job.in_order().into_iter().filter(|task| list.contains(&task.position)) {
            let known = Known { job, scenario, ended, item: None, failure, input, first: None };
            ended[task.position] = Some(end_of(task, &known, limits));
        }
    };
    run(tasks.clone(), &mut ended, &Value::Null);
    let failure = &Value::Null;
    let output = output(&Known { job, scenario, ended: &ended, item: None, failure, input, first: None }, limits);
    let output = output.filter(|_| have_succeeded(&ended[tasks.clone()]));
    let failure = failure_of(job, &ended[tasks], output.is_some());
    if output.is_none() {
        run(on_failure, &mut ended, &failure);
    } else {
        ended[on_failure].fill(Some(TaskEnd::unrun(Status::Skipped)));
    }
    run(finally.clone(), &mut ended, &failure);
    let output = output.filter(|_| have_succeeded(&ended[finally]));
    let tasks: Vec<TaskEnd> = ended.into_iter().flatten().collect();
    match output {
        Some(output) => Expected { status: Status::Success, output, tasks },
        None => Expected { status: Status::Failed, output: Value::Null, tasks },
    }
}

/// How a task ends after its dependencies.
fn end_of(task: &Task, known: &Known<'_>, limits: Limits) -> TaskEnd {
    let known = Known { first: first_of(task, known), ..*known };
    let end = lead(task, &known, limits).unwrap_or_else(|end| end);
    let own_failure = end.failure();
    recover(task, end, &Known { failure: &own_failure, ..known }, limits)
}

/// The upstream task that has decided the trigger rule of a task that runs. Which it is depends on chance, so the scenario says it.
///
/// # Panics
/// If the end of that task does not meet the rule.
fn first_of(task: &Task, known: &Known<'_>) -> Option<usize> {
    let ends = task.upstream.iter().map(|before| (*before, counted(*before, known)));
    let deciding: Vec<usize> =
        ends.filter(|(_, end)| trigger::decides(&task.trigger_rule, *end)).map(|(before, _)| before).collect();
    let usual = *deciding.first()?;
    let first = known.scenario.first(task).unwrap_or(usual);
    assert!(deciding.contains(&first), "{first} is not among the first tasks {deciding:?} of {}", task.name);
    Some(first)
}

/// How a task that has ended counts for the tasks that depend on it.
fn counted(before: usize, known: &Known<'_>) -> Status {
    known.ended[before].as_ref().map_or(Status::Failed, TaskEnd::counts_as)
}

fn have_succeeded(ends: &[Option<TaskEnd>]) -> bool {
    ends.iter().flatten().all(|end| matches!(end.counts_as(), Status::Success | Status::Skipped))
}

/// How the tasks of a job ended, as its handlers see it, without messages.
fn failure_of(job: &Job, ends: &[Option<TaskEnd>], is_well: bool) -> Value {
    let names = job.tasks().iter().map(|task| &task.name);
    let failed = names.zip(ends.iter().flatten());
    let failed = failed.filter(|(_, end)| matches!(end.counts_as(), Status::Failed | Status::UpstreamFailed));
    let tasks: Vec<Value> =
        failed.map(|(name, end)| json!({"name": name, "status": end.status.as_str(), "kind": end.error})).collect();
    let status = if is_well { Status::Success } else { Status::Failed };
    // What messages say is not computed.
    let msg = if is_well { Value::Null } else { Value::from("") };
    json!({"status": status.as_str(), "msg": msg, "count": tasks.len(), "tasks": tasks[..tasks.len().min(100)]})
}

/// Passes a task through its gates. A gate that does not let it pass ends it.
fn lead(task: &Task, known: &Known<'_>, limits: Limits) -> Result<TaskEnd, TaskEnd> {
    trigger::pass(&task.trigger_rule, task.upstream.iter().map(|before| counted(*before, known)))?;
    if let Some(when) = &task.when
        && !condition::holds(when, known).map_err(|kind| TaskEnd::failed(Some(kind)))?
    {
        return Err(TaskEnd::unrun(Status::Skipped));
    }
    if let Some(wait) = &task.wait {
        return wait_for(task, wait, known);
    }
    match &task.for_each {
        None => call(task, known, limits),
        Some(for_each) => iterate(task, for_each, known, limits),
    }
}

/// Runs a task for one item or without any.
fn call(task: &Task, known: &Known<'_>, limits: Limits) -> Result<TaskEnd, TaskEnd> {
    if let Some(sub_job) = &task.sub_job {
        return run_job(task, sub_job, known, limits);
    }
    let (args, kwargs) = arguments(task, known, limits)?;
    let item = known.item.map(|(index, _)| index);
    let end = attempts(task, item, (&args, &kwargs), known.scenario, limits);
    Ok(end.called_with(args, kwargs))
}

/// Runs a job for a task. Another attempt of the task would end in the same way.
fn run_job(task: &Task, job: &Job, known: &Known<'_>, limits: Limits) -> Result<TaskEnd, TaskEnd> {
    let inputs = known.fill(&task.inputs).map_err(|Missing| TaskEnd::failed(Some("MISSING_VALUE")))?;
    limits.check_inputs(&inputs).map_err(|kind| TaskEnd::failed(Some(kind)))?;
    match known.scenario.job(task, known.item.map(|(index, _)| index), &inputs) {
        Some(Outcome::Success(data)) => return Ok(TaskEnd::success(data)),
        Some(Outcome::Failed(kind)) => return Err(TaskEnd::failed(kind)),
        None => {}
    }
    let end = evaluate_with(job, known.scenario, limits, &inputs);
    Ok(if end.status == Status::Success { TaskEnd::success(end.output) } else { TaskEnd::failed(Some("JOB_FAILED")) })
}

/// Runs a task for its items.
fn iterate(task: &Task, for_each: &ForEach, known: &Known<'_>, limits: Limits) -> Result<TaskEnd, TaskEnd> {
    let source = known.fill(&for_each.source).map_err(|Missing| TaskEnd::failed(Some("MISSING_VALUE")))?;
    let items = for_each.items(&source).ok_or_else(|| TaskEnd::failed(Some("BAD_ARGUMENTS")))?;
    let ends: Vec<TaskEnd> = items
        .iter()
        .enumerate()
        .map(|item| {
            let known = Known { item: Some(item), ..*known };
            run_item(task, for_each, &known, limits).unwrap_or_else(|end| end)
        })
        .collect();
    let failed = ends.iter().filter(|end| end.status == Status::Failed).count();
    let end = if failed > for_each.tolerates(ends.len()) {
        TaskEnd::failed(Some("ITEMS_FAILED"))
    } else {
        TaskEnd::success(ends.iter().map(|end| end.data.clone().unwrap_or_default()).collect())
    };
    Ok(TaskEnd { items: ends, ..end })
}

fn run_item(task: &Task, for_each: &ForEach, known: &Known<'_>, limits: Limits) -> Result<TaskEnd, TaskEnd> {
    if let Some(when) = &for_each.when
        && !condition::holds(when, known).map_err(|kind| TaskEnd::failed(Some(kind)))?
    {
        return Err(TaskEnd::unrun(Status::Skipped));
    }
    call(task, known, limits)
}

/// How a task ends that may have a recovery.
fn recover(task: &Task, end: TaskEnd, known: &Known<'_>, limits: Limits) -> TaskEnd {
    let Some(recover) = task.recover.as_ref().filter(|_| end.status == Status::Failed) else { return end };
    let is_named = |names: &Vec<Value>| names.is_empty() || names.iter().any(|name| name.as_str() == end.error);
    if !recover["match"].as_array().is_none_or(is_named) {
        return end;
    }
    match known.fill(&recover["fallback"]).ok().filter(|fallback| limits.allow_output(fallback)) {
        Some(fallback) => end.recovered_with(fallback),
        None => end,
    }
}

/// A task that runs no module: the values that it needs must be there, and the scenario says what comes from outside.
fn wait_for(task: &Task, wait: &Value, known: &Known<'_>) -> Result<TaskEnd, TaskEnd> {
    for template in [wait["approval"].get("message"), wait.get("until")].into_iter().flatten() {
        known.fill(template).map_err(|Missing| TaskEnd::failed(Some("MISSING_VALUE")))?;
    }
    Ok(match known.scenario.wait(task) {
        Outcome::Success(data) => TaskEnd::success(data),
        Outcome::Failed(kind) => TaskEnd::failed(kind),
    })
}

fn arguments(task: &Task, known: &Known<'_>, limits: Limits) -> Result<(Value, Value), TaskEnd> {
    let fill = |template: &Value| known.fill(template).map_err(|Missing| TaskEnd::failed(Some("MISSING_VALUE")));
    let (args, kwargs) = (fill(&task.args)?, fill(&task.kwargs)?);
    limits.check_arguments(&args, &kwargs).map_err(|kind| TaskEnd::failed(Some(kind)))?;
    Ok((args, kwargs))
}

/// One attempt after the other, until one succeeds or fails with an error that would come again.
fn attempts(
    task: &Task,
    item: Option<usize>,
    (args, kwargs): (&Value, &Value),
    scenario: &dyn Scenario,
    limits: Limits,
) -> TaskEnd {
    let mut attempt = 1;
    loop {
        let data = run(Call { task, item, attempt, args, kwargs }, scenario);
        match data.and_then(|data| result(data, limits)) {
            Ok(end) => return end,
            Err(end) if attempt == task.attempts || end.error.is_some_and(|kind| PERMANENT.contains(&kind)) => {
                return end;
            }
            Err(_) => attempt += 1,
        }
    }
}

fn run(call: Call<'_>, scenario: &dyn Scenario) -> Result<Value, TaskEnd> {
    match scenario.run(call) {
        Outcome::Success(data) => Ok(data),
        Outcome::Failed(kind) => Err(TaskEnd::failed(kind)),
    }
}

fn result(data: Value, limits: Limits) -> Result<TaskEnd, TaskEnd> {
    limits.check_result(&data).map_err(|kind| TaskEnd::failed(Some(kind)))?;
    Ok(TaskEnd::success(data))
}

/// The output; `null` if the job has none, `None` if it cannot be built.
fn output(known: &Known<'_>, limits: Limits) -> Option<Value> {
    let Some(template) = known.job.output() else { return Some(Value::Null) };
    known.fill(template).ok().filter(|output| limits.allow_output(output))
}
