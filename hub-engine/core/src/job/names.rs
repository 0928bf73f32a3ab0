//! Finds the tasks of a job by their names.

use super::for_each::ForEach;
use super::model::Job;
use super::suggest::nearest;

impl Job {
    /// The position of the task with this name; for a name such as `parse[3]`, of the item with this number, if the task has
    /// `for_each`. It may have fewer items.
    #[must_use]
    pub fn position_of(&self, name: &str) -> Option<u32> {
        let task = |name: &str| self.tasks().iter().position(|task| **task.name() == *name).map(|at| at as u32);
        // The name of a task may end like that of an item.
        task(name).or_else(|| {
            let (of, item) = name.strip_suffix(']')?.rsplit_once('[')?;
            let item = item.parse().ok().filter(|item: &u32| *item < ForEach::MAXIMUM_ITEMS)?;
            Some(self.first_item(task(of)?)? + item)
        })
    }

    /// The name of a task that is similar to this one.
    #[must_use]
    pub fn nearest_name(&self, name: &str) -> Option<&str> {
        nearest(name, self.tasks().iter().map(|task| &**task.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Limits;

    #[test]
    fn tasks_and_items_are_found_by_name() {
        let text = r#"{"name": "j", "tasks": [{"name": "a"}, {"name": "b", "for_each": 3}, {"name": "b[1]"}, {"name": "c", "for_each": 2}]}"#;
        let job = Job::parse(text, &Limits::default()).unwrap();
        let found = ["a", "b[1]", "b[2]", "c[0]", "a[0]", "d", "b[x]", "c[100000]"].map(|name| job.position_of(name));
        let item = |task, item| Some(job.first_item(task).unwrap() + item);
        assert_eq!(found, [Some(0), Some(2), item(1, 2), item(3, 0), None, None, None, None]);
        assert_eq!((job.nearest_name("bb"), job.nearest_name("entirely")), (Some("b"), None));
    }
}
