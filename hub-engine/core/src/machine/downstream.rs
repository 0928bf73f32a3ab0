//! The dependent tasks of each task: the edges of the graph in the direction of the data flow.

use crate::job::{Job, Task};

/// The lists of dependent tasks, stored in one list.
#[derive(Debug)]
pub(super) struct Downstream {
    starts: Vec<u32>,
    tasks: Vec<u32>,
}

impl Downstream {
    /// Builds the lists of a job by counting.
    pub(super) fn new(job: &Job) -> Self {
        let mut starts = vec![0_u32; job.tasks().len() + 1];
        for task in job.tasks().iter().flat_map(Task::upstream) {
            starts[*task as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut tasks = vec![0; starts[starts.len() - 1] as usize];
        for (task, index) in job.tasks().iter().zip(0..) {
            for before in task.upstream() {
                let at = &mut next[*before as usize];
                tasks[*at as usize] = index;
                *at += 1;
            }
        }
        Self { starts, tasks }
    }

    /// The tasks that depend on `task`, in the order of the job.
    pub(super) fn of(&self, task: u32) -> &[u32] {
        let task = task as usize;
        &self.tasks[self.starts[task] as usize..self.starts[task + 1] as usize]
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
