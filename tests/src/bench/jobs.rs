//! The JSON texts of the workloads' jobs.

use std::fmt::Write as _;

use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::examples::example;

/// Maximum number of tasks in a layer of the layered graph.
const LAYER: usize = 1000;
/// Number of dependencies of a task in the layered graph, all in the previous layer.
const EDGES: usize = 3;
/// Seed of the edges, the same in every run.
const SEED: u64 = 11;

/// A shape of a large job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shape {
    /// Independent tasks
    Flat,
    /// Each task takes the value of the previous one
    Chain,
    /// Each task depends on three tasks of the previous layer
    Layered,
}

impl Shape {
    pub(super) const ALL: [Self; 3] = [Self::Flat, Self::Chain, Self::Layered];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Chain => "chain",
            Self::Layered => "layered",
        }
    }

    pub(super) fn job(self, tasks: usize) -> String {
        match self {
            Self::Flat => flat(tasks),
            Self::Chain => chain(tasks),
            Self::Layered => layered(tasks),
        }
    }
}

/// The manual's job.
pub(super) fn sum_product() -> String {
    example("sum_product.json")
}

/// A job of independent tasks.
pub(super) fn flat(tasks: usize) -> String {
    job((0..tasks).map(|at| task(at, "add", &format!("[{at},1]"), &[])))
}

/// A chain, in which each task takes the value of the previous one.
pub(super) fn chain(tasks: usize) -> String {
    job((0..tasks).map(|at| match at {
        0 => task(0, "add", "[0,1]", &[]),
        _ => task(at, "add", &format!(r#"["_t{}.data",1]"#, at - 1), &[]),
    }))
}

/// One task, then `width` tasks that take its value, then one task that depends on all of them.
pub(super) fn fan(width: usize) -> String {
    let leaves: Vec<usize> = (1..=width).collect();
    let middle = leaves.iter().map(|at| task(*at, "add", r#"["_t0.data",1]"#, &[]));
    let first = std::iter::once(task(0, "add", "[1,1]", &[]));
    job(first.chain(middle).chain(std::iter::once(task(width + 1, "add", "[1,1]", &leaves))))
}

/// A chain of tasks that compute a Fibonacci number.
pub(super) fn fibonacci_chain(tasks: usize, number: u32) -> String {
    job((0..tasks).map(|at| task(at, "fibonacci", &format!("[{number}]"), at.checked_sub(1).as_slice())))
}

/// Layers of tasks. Each task depends on three random tasks of the previous layer.
pub(super) fn layered(tasks: usize) -> String {
    let mut chance = ChaCha8Rng::seed_from_u64(SEED);
    let width = (tasks / 10).clamp(1, LAYER);
    job((0..tasks).map(|at| {
        let Some(before) = (at / width).checked_sub(1) else { return task(at, "add", "[1,1]", &[]) };
        let mut depends = Vec::with_capacity(EDGES);
        while depends.len() < EDGES.min(width) {
            let one = before * width + (chance.next_u32() as usize) % width;
            if !depends.contains(&one) {
                depends.push(one);
            }
        }
        task(at, "add", "[1,1]", &depends)
    }))
}

fn task(at: usize, module: &str, args: &str, depends: &[usize]) -> String {
    let mut text = format!(r#"{{"name":"t{at}","task_name":"{module}","args":{args}"#);
    if let Some((first, more)) = depends.split_first() {
        let _ = write!(text, r#","depends":["t{first}""#);
        for one in more {
            let _ = write!(text, r#","t{one}""#);
        }
        text.push(']');
    }
    text.push('}');
    text
}

fn job(tasks: impl Iterator<Item = String>) -> String {
    let mut text = String::from(r#"{"name":"bench","tasks":["#);
    for (at, task) in tasks.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&task);
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use hub_core::job::{Job, Limits};

    use super::*;

    #[test]
    fn all_jobs_are_valid() {
        let jobs = [flat(10), chain(10), fan(10), fibonacci_chain(10, 3), layered(10), layered(250), sum_product()];
        let tasks = jobs.map(|text| Job::parse(&text, &Limits::default()).expect("a valid job").tasks().len());
        assert_eq!(tasks, [10, 10, 12, 10, 10, 250, 2]);
        assert_eq!(layered(250).matches("depends").count(), 225);
    }
}
