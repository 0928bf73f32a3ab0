//! Finds dependency cycles.

/// Returns one cycle for each group of tasks that depend on each other, ordered by the first task of the group. A cycle
/// is a list of positions `a, b, …`: each task depends on the next one, and the last depends on the first. It is a
/// shortest cycle through the first task of its group. `upstream` contains the dependencies of each task, without the
/// task itself.
pub(super) fn find<Edges: AsRef<[u32]>>(upstream: &[Edges]) -> Vec<Vec<u32>> {
    let (groups, group_of) = groups(upstream);
    let mut came_from = vec![NONE; upstream.len()];
    let mut cycles: Vec<Vec<u32>> = groups
        .iter()
        .filter(|(_, size)| *size > 1)
        .map(|(first, _)| shortest(upstream, &group_of, *first, &mut came_from))
        .collect();
    cycles.sort_unstable();
    cycles
}

/// Stands for "no task" and "no group".
const NONE: u32 = u32::MAX;

/// Returns the first task and the size of each group, and the group of each task. A group is a strongly connected
/// component, found with Tarjan's algorithm. An explicit stack replaces the recursion.
fn groups<Edges: AsRef<[u32]>>(upstream: &[Edges]) -> (Vec<(u32, u32)>, Vec<u32>) {
    let mut groups = Vec::new();
    let mut group_of = vec![NONE; upstream.len()];
    // When each task was first visited, and the earliest visit among the tasks without a group that it can reach.
    let mut seen = vec![NONE; upstream.len()];
    let mut lowest = vec![NONE; upstream.len()];
    let mut clock = 0;
    let mut open: Vec<u32> = Vec::new();
    let mut walk: Vec<(u32, usize)> = Vec::new();
    for start in 0..upstream.len() as u32 {
        if seen[start as usize] == NONE {
            walk.push((start, 0));
        }
        while let Some((task, edge)) = walk.pop() {
            let here = task as usize;
            if edge == 0 {
                (seen[here], lowest[here]) = (clock, clock);
                clock += 1;
                open.push(task);
            } else {
                // The task at the end of the previous edge has been visited.
                let behind = upstream[here].as_ref()[edge - 1] as usize;
                if group_of[behind] == NONE {
                    lowest[here] = lowest[here].min(lowest[behind]);
                }
            }
            if let Some(next) = upstream[here].as_ref().get(edge) {
                walk.push((task, edge + 1));
                if seen[*next as usize] == NONE {
                    walk.push((*next, 0));
                }
            } else if lowest[here] == seen[here] {
                let at = open.iter().rposition(|one| *one == task).unwrap_or_default();
                let number = groups.len() as u32;
                let members = open.split_off(at);
                members.iter().for_each(|member| group_of[*member as usize] = number);
                groups.push((members.iter().copied().min().unwrap_or(task), members.len() as u32));
            }
        }
    }
    (groups, group_of)
}

/// Finds a shortest cycle through `first` within its group by breadth-first search.
fn shortest<Edges: AsRef<[u32]>>(upstream: &[Edges], group_of: &[u32], first: u32, came_from: &mut [u32]) -> Vec<u32> {
    let mut queue = std::collections::VecDeque::from([first]);
    while let Some(task) = queue.pop_front() {
        for next in upstream[task as usize].as_ref() {
            if *next == first {
                let mut cycle: Vec<u32> = std::iter::successors(Some(task), |task| {
                    Some(came_from[*task as usize]).filter(|from| *from != NONE)
                })
                .collect();
                cycle.reverse();
                return cycle;
            }
            if group_of[*next as usize] == group_of[first as usize] && came_from[*next as usize] == NONE {
                came_from[*next as usize] = task;
                queue.push_back(*next);
            }
        }
    }
    unreachable!("every task of a group can be reached from every other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_cycle_once_without_the_tasks_that_depend_on_it() {
        // 0 → 1 → 2 → 0, 3 waits for 0, 4 ⇄ 5, 6 has no dependency.
        let upstream = vec![vec![1], vec![2], vec![0], vec![0], vec![5], vec![4], vec![]];
        assert_eq!(find(&upstream), [vec![0, 1, 2], vec![4, 5]]);
    }

    #[test]
    fn finds_a_cycle_that_depends_on_another_cycle() {
        let upstream = vec![vec![1], vec![0], vec![0, 3], vec![2]];
        assert_eq!(find(&upstream), [vec![0, 1], vec![2, 3]]);
    }

    #[test]
    fn finds_the_shortest_cycle() {
        let upstream = vec![vec![1, 3], vec![2], vec![3], vec![0]];
        assert_eq!(find(&upstream), [vec![0, 3]]);
    }

    #[test]
    fn long_chains_and_long_cycles_need_no_recursion() {
        let chain = |first: Option<u32>| -> Vec<Vec<u32>> {
            (0..200_000_u32).map(|at| at.checked_sub(1).or(first).into_iter().collect()).collect()
        };
        assert!(find(&chain(None)).is_empty());
        assert_eq!(find(&chain(Some(199_999))).iter().map(Vec::len).collect::<Vec<_>>(), [200_000]);
    }
}
