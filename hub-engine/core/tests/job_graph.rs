//! The dependencies of a task are those that it names and those that its references imply.

mod job_support;

use std::collections::BTreeSet;

use hub_core::job::{Attribute, Job, Limits};
use job_support::{cases, code, parse};
use proptest::prelude::*;

/// How a task refers to another.
#[derive(Clone, Copy, Debug)]
enum Mention {
    Depends,
    Args(Attribute),
    Kwargs(Attribute),
    /// Inside lists and objects of an argument.
    Deep(Attribute),
}

/// A job as a list of tasks, each with the tasks that it refers to.
#[derive(Clone, Debug)]
struct Plan {
    /// The place of each task in the text. A dependency may come after the task that depends on it.
    order: Vec<usize>,
    mentions: Vec<Vec<(usize, Mention)>>,
}

impl Plan {
    fn name(task: usize) -> String {
        // Underscores in names must not break references.
        format!("task_{task}_")
    }

    fn text(&self) -> String {
        let tasks: Vec<serde_json::Value> = self.order.iter().map(|task| self.task(*task)).collect();
        serde_json::json!({"name": "plan", "tasks": tasks}).to_string()
    }

    fn task(&self, task: usize) -> serde_json::Value {
        let (mut depends, mut args, mut kwargs) = (Vec::new(), vec![serde_json::json!(task)], serde_json::Map::new());
        for (number, (other, mention)) in self.mentions[task].iter().enumerate() {
            let name = Self::name(*other);
            let refer = |attribute: Attribute| format!("_{name}.{attribute}");
            match mention {
                Mention::Depends => depends.push(name.clone()),
                Mention::Args(attribute) => args.push(refer(*attribute).into()),
                Mention::Kwargs(attribute) => {
                    kwargs.insert(format!("k{number}"), refer(*attribute).into());
                }
                Mention::Deep(attribute) => args.push(serde_json::json!([{"a": [refer(*attribute), "__x"]}])),
            }
        }
        serde_json::json!({"name": Self::name(task), "depends": depends, "args": args, "kwargs": kwargs})
    }

    /// The names of the dependencies, according to the manual.
    fn upstream(&self, task: usize) -> BTreeSet<String> {
        let waits = |mention: &Mention| match mention {
            Mention::Depends => true,
            Mention::Args(attribute) | Mention::Kwargs(attribute) | Mention::Deep(attribute) => {
                !matches!(attribute, Attribute::Id | Attribute::Name)
            }
        };
        self.mentions[task].iter().filter(|(_, mention)| waits(mention)).map(|(other, _)| Self::name(*other)).collect()
    }
}

fn attributes() -> impl Strategy<Value = Attribute> {
    use Attribute::{Data, Error, Id, Name, Status};
    prop::sample::select(vec![Data, Data, Data, Id, Name, Status, Error])
}

fn mentions() -> impl Strategy<Value = Mention> {
    prop_oneof![
        Just(Mention::Depends),
        attributes().prop_map(Mention::Args),
        attributes().prop_map(Mention::Kwargs),
        attributes().prop_map(Mention::Deep),
    ]
}

/// Plans without cycles. Each task refers to tasks of lower numbers, and can be anywhere in the text.
fn plans() -> impl Strategy<Value = Plan> {
    (1..30_usize)
        .prop_flat_map(|count| {
            let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
            let mentioned = prop::collection::vec((any::<prop::sample::Index>(), mentions()), 0..5);
            (order, prop::collection::vec(mentioned, count))
        })
        .prop_map(|(order, drawn)| {
            let below = |task: usize, drawn: Vec<(prop::sample::Index, Mention)>| match task {
                0 => Vec::new(),
                _ => drawn.into_iter().map(|(index, mention)| (index.index(task), mention)).collect(),
            };
            let mentions = drawn.into_iter().enumerate().map(|(task, drawn)| below(task, drawn)).collect();
            Plan { order, mentions }
        })
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn upstream_contains_named_and_implied_dependencies(plan in plans()) {
        let job = parse(&plan.text());
        for (index, number) in plan.order.iter().enumerate() {
            let task = &job.tasks()[index];
            prop_assert_eq!(&**task.name(), Plan::name(*number));
            prop_assert_eq!(job.tasks().iter().position(|other| other.name() == task.name()), Some(index));
            let upstream: Vec<u32> = task.upstream().to_vec();
            prop_assert!(upstream.is_sorted_by(|a, b| a < b), "sorted, each once: {:?}", upstream);
            let names: BTreeSet<String> = upstream.iter().map(|at| job.tasks()[*at as usize].name().to_string()).collect();
            prop_assert_eq!(names, plan.upstream(*number));
            let depends: Vec<String> = task.depends().unwrap().iter().map(|at| job.tasks()[*at as usize].name().to_string()).collect();
            let written = plan.mentions[*number].iter().filter(|(_, mention)| matches!(mention, Mention::Depends));
            prop_assert_eq!(depends, written.map(|(other, _)| Plan::name(*other)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_edge_that_closes_a_cycle_is_found(plan in plans(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let mut plan = plan;
        let count = plan.mentions.len();
        let (first, second) = (from.index(count), to.index(count));
        let (low, high) = (first.min(second), first.max(second));
        plan.mentions[low].push((high, Mention::Args(Attribute::Data)));
        // Computed independently: does `high` depend on `low`, directly or indirectly?
        let number = |name: &str| plan.mentions.iter().enumerate().position(|(task, _)| Plan::name(task) == *name).unwrap();
        let (mut reached, mut ahead) = (BTreeSet::new(), vec![high]);
        while let Some(task) = ahead.pop() {
            if reached.insert(task) {
                ahead.extend(plan.upstream(task).iter().map(|name| number(name)).filter(|next| *next < task));
            }
        }
        match Job::parse(&plan.text(), &Limits::default()) {
            Ok(_) => prop_assert!(!reached.contains(&low)),
            Err(problems) => {
                prop_assert!(reached.contains(&low), "{}", problems);
                let codes: Vec<String> = problems.iter().map(code).collect();
                prop_assert_eq!(codes, ["cycle"]);
            }
        }
    }
}

#[test]
fn references_to_ids_and_names_are_not_dependencies() {
    let job = parse(
        r#"{"name": "provision", "tasks": [
            {"name": "create_tftp", "args": ["x", "_power_on.id", "_create_tftp.id", "_power_on.name"]},
            {"name": "power_on", "depends": ["create_tftp"]}]}"#,
    );
    assert!(job.tasks()[0].upstream().is_empty());
    assert_eq!(job.tasks()[1].upstream(), [0]);
    assert_eq!(job.tasks()[0].args().unwrap().references().count(), 3);
}

#[test]
fn the_output_may_refer_to_any_task() {
    let job =
        parse(r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b"}], "output": {"x": ["_b.data.0", "_a.error"]}}"#);
    let references: Vec<_> = job.output().unwrap().references().map(|one| (one.task, one.attribute)).collect();
    assert_eq!(references, [(1, Attribute::Data), (0, Attribute::Error)]);
    assert!(job.tasks().iter().all(|task| task.upstream().is_empty()));
}

/// Checks that they can be read without a stack overflow. Time is measured elsewhere.
#[test]
fn reads_a_hundred_thousand_tasks_in_any_shape() {
    let count = 100_000_usize;
    let job = |task: &dyn Fn(usize) -> String| {
        let tasks: Vec<String> = (0..count).map(task).collect();
        format!(r#"{{"name": "large", "tasks": [{}]}}"#, tasks.join(",\n"))
    };
    let chain = parse(&job(&|at| match at {
        0 => r#"{"name": "t0"}"#.to_owned(),
        _ => format!(r#"{{"name": "t{at}", "args": ["_t{}.data"]}}"#, at - 1),
    }));
    assert_eq!(chain.tasks()[count - 1].upstream(), [count as u32 - 2]);

    let fan_out = parse(&job(&|at| match at {
        0 => r#"{"name": "t0"}"#.to_owned(),
        _ => format!(r#"{{"name": "t{at}", "depends": ["t0"]}}"#),
    }));
    assert!(fan_out.tasks()[1..].iter().all(|task| task.upstream() == [0]));

    let everything: Vec<String> = (1..count).map(|at| format!(r#""_t{at}.data""#)).collect();
    let fan_in = parse(&job(&|at| match at {
        0 => format!(r#"{{"name": "t0", "args": [{}]}}"#, everything.join(",")),
        _ => format!(r#"{{"name": "t{at}"}}"#),
    }));
    assert_eq!(fan_in.tasks()[0].upstream().len(), count - 1);

    let circle = job(&|at| format!(r#"{{"name": "t{at}", "depends": ["t{}"]}}"#, (at + 1) % count));
    let problems = Job::parse(&circle, &Limits::default()).unwrap_err();
    assert!(problems.to_string().contains("t11 → … 99988 more … → t0"), "{problems}");

    let misspelt = job(&|at| format!(r#"{{"name": "t{at}", "depends": ["task_number_{at}"]}}"#));
    let problems = Job::parse(&misspelt, &Limits::default()).unwrap_err();
    assert!(problems.to_string().ends_with("… and 99900 more problems"));
}
