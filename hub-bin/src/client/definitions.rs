//! `hub-client definitions`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hub_core::definition::{Library, Reference, Which, check_name};
use hub_core::job::{Job, Limits, Problem, ProblemCode};
use hub_engine::operations::{
    AliasChange, Defined, DefinitionDraft, DefinitionRecord, DefinitionSummary, Hub, NamePage, RequestError,
    RequestErrorKind, Submission,
};
use serde_json::{Map, Value, json};
use similar::TextDiff;

use super::arguments::Args;
use super::definition_args::{DefinitionCommand, StartArgs};
use super::job_file::{JobFile, without_definitions};
use super::output::Output;
use super::remark_args::or_user;
use super::{follow, input, views, yaml};
use crate::exit::{Exit, Failure};

/// The endings of the names of job files.
const JOB_FILES: [&str; 3] = ["json", "yaml", "yml"];
/// Stands for the version of a definition that waits for others of the same files.
const UNKNOWN_VERSION: u32 = 0;
/// Number of definitions in one page of a list.
const PAGE_SIZE: u32 = 1000;

pub(super) async fn run(command: DefinitionCommand, args: &Args, output: &Output) -> Result<Exit, Failure> {
    match command {
        DefinitionCommand::Apply { paths, name, alias, dry_run, by } => {
            let files = read_all(&paths, name.as_deref(), output)?;
            let hub = args.reach().await?.hub;
            let apply = Apply { aliases: alias.into_iter().map(Into::into).collect(), by: or_user(by) };
            return apply.apply(&*hub, files, dry_run, output).await;
        }
        DefinitionCommand::List => {
            let all = list(&*args.reach().await?.hub).await?;
            output.definitions(&all)?;
        }
        DefinitionCommand::Show { reference } => {
            let record = args.reach().await?.hub.definition(reference).await?;
            output.definition(&record)?;
        }
        DefinitionCommand::Document { reference } => {
            let record = args.reach().await?.hub.definition(reference).await?;
            output.exactly(record.job.get())?;
        }
        DefinitionCommand::Diff { from, to } => {
            let to = to.unwrap_or_else(|| Reference { name: Arc::clone(&from.name), which: Which::Newest });
            let hub = args.reach().await?.hub;
            let (from, to) = (hub.definition(from).await?, hub.definition(to).await?);
            output.print(&difference(&from, &to))?;
        }
        DefinitionCommand::Start(start) => return start_job(start, args, output).await,
        DefinitionCommand::Alias { name, alias, version, remove: _ } => {
            let change = AliasChange { name: name.into(), alias: alias.into(), version };
            args.reach().await?.hub.set_alias(change.clone()).await?;
            let AliasChange { name, alias, .. } = &change;
            let done = match version {
                Some(version) => format!("{name}@{alias} is version {version}"),
                None => format!("removed the alias {name}@{alias}"),
            };
            output.checked(&serde_json::to_value(&change).unwrap_or_default(), &done)?;
        }
    }
    Ok(Exit::Success)
}

/// A job file that becomes a version of a definition.
struct Candidate {
    name: Arc<str>,
    file: JobFile,
    /// The definitions that it refers to.
    needs: BTreeSet<Reference>,
}

/// Reads and checks all files. Nothing is applied if one of them is not valid.
fn read_all(paths: &[PathBuf], name: Option<&str>, output: &Output) -> Result<Vec<Candidate>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        find_files(path, &mut files)?;
    }
    if files.is_empty() {
        let message = "no job files: their names end in .json, .yaml or .yml";
        return Err(Failure::new(Exit::Usage, message));
    }
    if name.is_some() && files.len() > 1 {
        return Err(Failure::new(Exit::Usage, format!("--name is for one file, and these are {}", files.len())));
    }
    let (mut all, mut by_name) = (Vec::<Candidate>::new(), BTreeMap::<Arc<str>, PathBuf>::new());
    for path in files {
        let candidate = read(&path, name, output)?;
        if let Some(other) = by_name.insert(Arc::clone(&candidate.name), path.clone()) {
            let message = format!("{} and {} have the same name: {}", other.display(), path.display(), candidate.name);
            return Err(Failure::new(Exit::Usage, message).advise("a definition has one file"));
        }
        all.push(candidate);
    }
    Ok(in_order(all))
}

fn read(path: &Path, name: Option<&str>, output: &Output) -> Result<Candidate, Failure> {
    let file = JobFile::read(path, output)?;
    let limits =
        Limits { max_bytes: usize::MAX, max_tasks: usize::MAX, max_depth: Limits::MAX_DEPTH, ..Limits::default() };
    let job = without_definitions(|library: &Library| Job::parse_definition(file.json(), &limits, library));
    let job = job.map_err(|problems| file.invalid(problems.iter()))?;
    let name = name.unwrap_or_else(|| job.name());
    check_name(name).map_err(|why| {
        let message = format!("{}: {name:?} cannot be the name of a definition", path.display());
        Failure::new(Exit::Usage, message).because(why).advise("give another one with --name")
    })?;
    let needs = job.pins().references.keys().cloned().collect();
    Ok(Candidate { name: name.into(), file, needs })
}

/// The job files at a path, or in a directory and its directories, by name.
pub(super) fn find_files(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Exit::Usage, format!("cannot read {}", path.display())).because(error);
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?
        .into_iter()
        .map(|entry| entry.path())
        .collect::<Vec<_>>();
    entries.sort();
    for entry in entries {
        let is_hidden = entry.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let extension = entry.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        // A link to a directory could lead back here.
        let is_directory = entry.is_dir() && !entry.is_symlink();
        // Reading something else than a file, such as a pipe, may never end.
        if is_hidden || entry.exists() && !entry.is_file() && !is_directory {
            continue;
        } else if is_directory {
            find_files(&entry, found)?;
        } else if extension.is_some_and(|extension| JOB_FILES.contains(&extension.as_str())) {
            found.push(entry);
        }
    }
    Ok(())
}

/// The files in an order in which each comes after those that it refers to. The dispatcher refuses a circle.
fn in_order(mut left: Vec<Candidate>) -> Vec<Candidate> {
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: BTreeSet<Arc<str>> = left.iter().map(|candidate| Arc::clone(&candidate.name)).collect();
        let is_free = |candidate: &Candidate| {
            candidate.needs.iter().all(|need| need.name == candidate.name || !names.contains(&need.name))
        };
        let at = left.iter().position(is_free).unwrap_or(0);
        ordered.push(left.remove(at));
    }
    ordered
}

/// How files are applied.
struct Apply {
    aliases: Vec<Arc<str>>,
    by: Option<String>,
}

impl Apply {
    /// Applies the files when the dispatcher has found no problem in any of them.
    async fn apply(
        &self,
        hub: &dyn Hub,
        files: Vec<Candidate>,
        dry_run: bool,
        output: &Output,
    ) -> Result<Exit, Failure> {
        let names: BTreeSet<Arc<str>> = files.iter().map(|candidate| Arc::clone(&candidate.name)).collect();
        let mut applied = Vec::new();
        for candidate in &files {
            applied.push(self.define(hub, candidate, &names, true).await?);
        }
        if !dry_run {
            applied.clear();
            for candidate in &files {
                let defined =
                    self.define(hub, candidate, &names, false).await.map_err(|failure| match applied.len() {
                        0 => failure,
                        count => {
                            failure.advise(format!("{count} of {} files were applied before this one", files.len()))
                        }
                    })?;
                applied.push(defined);
            }
        }
        for (Candidate { file, .. }, defined) in files.iter().zip(&applied) {
            output.say(&format!("{}: {}", file.path.display(), shown(defined, dry_run)));
            output.warn(&defined.warnings);
        }
        let created = applied.iter().filter(|defined| defined.created).count();
        let moved: usize = applied.iter().map(|defined| defined.moved_aliases.len()).sum();
        let would = if dry_run { " would be made" } else { "" };
        let moved = if moved == 0 { String::new() } else { format!(", {moved} aliases moved") };
        let mut answer = serde_json::to_value(&applied).unwrap_or_default();
        for one in answer.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            // It is not known which one it would be.
            if one.get("version") == Some(&json!(UNKNOWN_VERSION)) {
                one.remove("version");
            }
        }
        let line = format!("{} definitions: {created} new versions{would}{moved}", applied.len());
        output.checked(&answer, &line)?;
        Ok(Exit::Success)
    }

    async fn define(
        &self,
        hub: &dyn Hub,
        Candidate { name, file, needs }: &Candidate,
        names: &BTreeSet<Arc<str>>,
        dry_run: bool,
    ) -> Result<Defined, Failure> {
        let draft = DefinitionDraft {
            name: Arc::clone(name),
            text: file.json().into(),
            aliases: self.aliases.clone(),
            by: self.by.clone(),
            dry_run,
        };
        match hub.define(draft).await {
            Ok(defined) => Ok(defined),
            // What it refers to would be there by then.
            Err(error) if dry_run && waits_for_others(needs, names, &self.aliases) && lacks_definitions(&error) => {
                let (name, moved_aliases, warnings) = (Arc::clone(name), BTreeMap::new(), Vec::new());
                Ok(Defined { name, version: UNKNOWN_VERSION, created: true, moved_aliases, warnings })
            }
            Err(error) => Err(file.refused(error)),
        }
    }
}

/// Whether a definition refers to others of the same files, which would be there if these were applied.
fn waits_for_others(needs: &BTreeSet<Reference>, names: &BTreeSet<Arc<str>>, aliases: &[Arc<str>]) -> bool {
    let mut others = needs.iter().filter(|need| names.contains(&need.name)).peekable();
    let would_be_there = |need: &Reference| match &need.which {
        Which::Newest => true,
        Which::Alias(alias) => aliases.contains(alias),
        Which::Version(_) => false,
    };
    others.peek().is_some() && others.all(would_be_there)
}

/// Whether a definition is refused only because of definitions that are not there.
fn lacks_definitions(error: &RequestError) -> bool {
    let is_unknown = |code| code == ProblemCode::UnknownDefinition;
    error.kind == RequestErrorKind::InvalidJob
        && !error.problems.is_empty()
        && error.problems.iter().all(|problem| is_unknown(problem.code))
}

/// Applies the definitions that a job refers to, before it is run.
pub(super) async fn apply_for_run(
    hub: &dyn Hub,
    job: &JobFile,
    paths: &[PathBuf],
    output: &Output,
) -> Result<(), Failure> {
    if paths.is_empty() {
        return Ok(());
    }
    let parsed = without_definitions(|library: &Library| Job::parse_with(job.json(), &Limits::default(), library));
    let pins = parsed.map(|job| Arc::clone(job.pins())).unwrap_or_default();
    let needs = pins.references.keys();
    let files = read_all(paths, None, output)?;
    // Here each alias stands for the file.
    let references = files.iter().flat_map(|candidate| &candidate.needs).chain(needs);
    let aliases: BTreeSet<(Arc<str>, Arc<str>)> = references
        .filter_map(|reference| match &reference.which {
            Which::Alias(alias) => Some((Arc::clone(&reference.name), Arc::clone(alias))),
            Which::Newest | Which::Version(_) => None,
        })
        .collect();
    for Candidate { name, file, .. } in files {
        let own = aliases.iter().filter(|(known, _)| *known == name).map(|(_, alias)| Arc::clone(alias)).collect();
        let text = file.json().into();
        let draft = DefinitionDraft { name, text, aliases: own, by: None, dry_run: false };
        hub.define(draft).await.map_err(|error| file.refused(error))?;
    }
    Ok(())
}

/// What became of a file.
fn shown(defined: &Defined, dry_run: bool) -> String {
    let Defined { name, version, created, moved_aliases, .. } = defined;
    let mut text = match (created, dry_run, version) {
        (true, _, &UNKNOWN_VERSION) => format!("{name} would get a new version"),
        (true, true, _) => format!("{name} would get version {version}"),
        (true, false, _) => format!("{name} has version {version}, which is new"),
        (false, ..) => format!("{name} has not changed since version {version}"),
    };
    for (alias, before) in moved_aliases {
        let would = if dry_run { "would become" } else { "is now" };
        let before = before.map_or_else(String::new, |before| format!(" instead of {before}"));
        text.push_str(&format!("; {name}@{alias} {would} version {version}{before}"));
    }
    text
}

/// All definitions, which are requested page by page.
async fn list(hub: &dyn Hub) -> Result<Vec<DefinitionSummary>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = hub.definitions(NamePage { limit: Some(PAGE_SIZE), after }).await?;
        all.extend(page.definitions);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// The lines that differ. Both jobs are written in the same way, so only what differs in content is shown.
fn difference(from: &DefinitionRecord, to: &DefinitionRecord) -> String {
    let written = |record: &DefinitionRecord| views::pretty(&record.job);
    let (before, after) = (written(from), written(to));
    if before == after {
        return format!("{} and {} are the same job", title(from), title(to));
    }
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    diff.unified_diff().header(&title(from), &title(to)).to_string().trim_end().to_owned()
}

fn title(record: &DefinitionRecord) -> String {
    format!("{}@{}", record.name, record.summary.version)
}

async fn start_job(start: StartArgs, args: &Args, output: &Output) -> Result<Exit, Failure> {
    let text = start_text(&start, output)?;
    let reached = args.reach().await?;
    let submission = Submission { text: text.as_str().into(), id: start.id };
    let refused = |error: RequestError| match error.kind {
        RequestErrorKind::InvalidJob if !error.problems.is_empty() => {
            let describe = |problem: &Problem| {
                let hint = problem.suggestion.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
                format!("\n  {}: {}{hint}", problem.path, problem.message)
            };
            let problems: Vec<String> = error.problems.iter().map(describe).collect();
            Failure::new(Exit::Usage, format!("{} cannot be started:{}", start.reference, problems.concat()))
        }
        _ => error.into(),
    };
    if start.wait {
        let limit = start.wait_limit.map(Duration::from_secs_f64);
        let view = start.view.view();
        return follow::submit_and_follow(&*reached.hub, submission, limit, &view, output, refused).await;
    }
    let submitted = reached.hub.submit_and_report(submission).await.map_err(refused)?;
    output.submitted(&submitted, &format!("started {} at {}", start.reference, reached.shown))?;
    Ok(Exit::Success)
}

/// The text of a start.
fn start_text(start: &StartArgs, output: &Output) -> Result<String, Failure> {
    let mut inputs = match &start.inputs {
        Some(path) => read_inputs(path, output)?,
        None => Map::new(),
    };
    inputs.extend(start.input.iter().cloned());
    let mut text = Map::new();
    text.insert("definition".to_owned(), start.reference.to_string().into());
    let labels: Map<String, Value> =
        start.label.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let optional = [
        ("inputs", (!inputs.is_empty()).then(|| inputs.into())),
        ("labels", (!labels.is_empty()).then(|| labels.into())),
        ("key", start.key.clone().map(Value::from)),
        ("start_at", start.start_at.clone().map(Value::from)),
        ("priority", start.priority.map(Value::from)),
    ];
    text.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Ok(json!(text).to_string())
}

/// Reads an object of inputs.
fn read_inputs(path: &Path, output: &Output) -> Result<Map<String, Value>, Failure> {
    let text = input::read_text(path, "the inputs", output)?;
    let failed = |why: String| {
        let message = format!("{} is not an object of inputs, in JSON or YAML", path.display());
        Failure::new(Exit::Usage, message).because(why)
    };
    // JSON is YAML, but for numbers and escapes that only one of them has.
    serde_json::from_str(&text).or_else(|error| {
        let converted = yaml::convert(&text).map_err(|problem| failed(problem.to_string()))?;
        serde_json::from_str(&converted.json).map_err(|_| failed(error.to_string()))
    })
}
