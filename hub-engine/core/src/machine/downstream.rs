//! The dependent tasks of each task: the edges of the graph in the direction of the data flow.

use crate::job::{Job, Task};

/// The lists of dependent tasks, one after another. Before them are the places in this list where that of each task begins, and
/// where the last one ends.
#[derive(Debug)]
pub(super) struct Downstream(Box<[u32]>);

impl Downstream {
    /// Builds the lists of a job by counting.
    pub(super) fn new(job: &Job) -> Self {
        let tasks = job.tasks().len();
        let edges: usize = job.tasks().iter().map(|task| task.upstream().len()).sum();
        let mut lists = vec![0_u32; tasks + 1 + edges];
        for task in job.tasks().iter().flat_map(Task::upstream) {
            lists[*task as usize + 1] += 1;
        }
        lists[0] = tasks as u32 + 1;
        for at in 1..=tasks {
            lists[at] += lists[at - 1];
        }
        let mut next = lists[..tasks].to_vec();
        for (task, index) in job.tasks().iter().zip(0..) {
            for before in task.upstream() {
                let at = &mut next[*before as usize];
                lists[*at as usize] = index;
                *at += 1;
            }
        }
        Self(lists.into())
    }

    /// The tasks that depend on `task`, in the order of the job.
    pub(super) fn of(&self, task: u32) -> &[u32] {
        let task = task as usize;
        debug_assert!(task + 1 < self.0[0] as usize, "{task} is the position of an item");
        &self.0[self.0[task] as usize..self.0[task + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Limits;

    #[test]
    fn every_edge_is_reversed() {
        let text = r#"{"name": "j", "tasks": [{"name": "a", "depends": ["c"]}, {"name": "b", "args": ["_a.data", "_c.data"]},
            {"name": "c"}, {"name": "d", "depends": ["c", "c"]}]}"#;
        let downstream = Downstream::new(&Job::parse(text, &Limits::default()).unwrap());
        let lists: Vec<&[u32]> = (0..4).map(|task| downstream.of(task)).collect();
        assert_eq!(lists, [&[1][..], &[], &[0, 1, 3], &[]]);
    }
}
