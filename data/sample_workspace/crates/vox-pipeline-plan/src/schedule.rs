//! Timing: critical path, worker simulation and packing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::graph::Plan;
use crate::Millis;

/// Earliest and latest start of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Earliest possible start.
    pub earliest: Millis,
    /// Latest start that does not delay the whole pipeline.
    pub latest: Millis,
}

/// Computes the start window of every step, given unlimited workers.
///
/// A pass forward finds the earliest starts and the total time; a pass
/// backward from that total finds the latest starts. The slack of a step is
/// the difference of the two. The result is indexed like the steps and comes
/// with the total; sums of times saturate.
#[must_use]
pub fn windows(plan: &Plan) -> (Vec<Window>, Millis) {
    let mut windows = vec![Window::default(); plan.steps.len()];
    let mut total = 0;
    for &step in &plan.order {
        let ready = plan.needs[step]
            .iter()
            .map(|&need| {
                windows[need]
                    .earliest
                    .saturating_add(plan.steps[need].duration)
            })
            .max();
        windows[step].earliest = ready.unwrap_or(0);
        let finish = windows[step]
            .earliest
            .saturating_add(plan.steps[step].duration);
        total = total.max(finish);
    }
    let mut deadline = vec![total; plan.steps.len()];
    for &step in plan.order.iter().rev() {
        windows[step].latest = deadline[step] - plan.steps[step].duration;
        for &need in &plan.needs[step] {
            deadline[need] = deadline[need].min(windows[step].latest);
        }
    }
    (windows, total)
}

/// Follows one chain of steps without slack from start to finish.
///
/// Shortening the pipeline requires shortening a step on such a chain. Where
/// several chains tie, the one with the smallest indices is taken. An empty
/// plan has an empty path.
#[must_use]
pub fn critical_path(plan: &Plan) -> Vec<usize> {
    let (windows, total) = windows(plan);
    let finish = |step: usize| {
        windows[step]
            .earliest
            .saturating_add(plan.steps[step].duration)
    };
    let mut path = Vec::new();
    let mut current = (0..plan.steps.len()).find(|&step| finish(step) == total);
    while let Some(step) = current {
        path.push(step);
        let start = windows[step].earliest;
        current = plan.needs[step]
            .iter()
            .copied()
            .find(|&need| finish(need) == start);
    }
    path.reverse();
    path
}

/// One step placed on a worker by [`simulate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Index of the step.
    pub step: usize,
    /// Number of the worker.
    pub worker: usize,
    /// Start time.
    pub start: Millis,
}

/// Simulates a fixed number of workers with a longest-tail-first rule.
///
/// Whenever a worker is idle it takes, among the steps whose needs are done,
/// the one with the smallest latest start (the least slack), then the smallest
/// index. Idle workers are filled in rising number. Slots are returned in the
/// order in which they start. Zero workers are treated as one.
#[must_use]
pub fn simulate(plan: &Plan, workers: usize) -> Vec<Slot> {
    let (windows, _) = windows(plan);
    let mut waiting: Vec<usize> = plan.needs.iter().map(Vec::len).collect();
    let mut ready: BinaryHeap<Reverse<(Millis, usize)>> = BinaryHeap::new();
    for &step in plan.order.iter().filter(|&&step| waiting[step] == 0) {
        ready.push(Reverse((windows[step].latest, step)));
    }
    let mut idle: BinaryHeap<Reverse<usize>> = (0..workers.max(1)).map(Reverse).collect();
    let mut running: BinaryHeap<Reverse<(Millis, usize, usize)>> = BinaryHeap::new();
    let mut slots = Vec::with_capacity(plan.steps.len());
    let mut now = 0;
    loop {
        while let Some(Reverse((_, step))) = ready.peek().copied() {
            let Some(Reverse(worker)) = idle.pop() else {
                break;
            };
            ready.pop();
            slots.push(Slot {
                step,
                worker,
                start: now,
            });
            let end = now.saturating_add(plan.steps[step].duration);
            running.push(Reverse((end, worker, step)));
        }
        let Some(Reverse((end, _, _))) = running.peek().copied() else {
            return slots;
        };
        now = end;
        while let Some(Reverse((_, worker, step))) =
            running.peek().copied().filter(|entry| entry.0 .0 == now)
        {
            running.pop();
            idle.push(Reverse(worker));
            let freed = (0..plan.steps.len()).filter(|&next| plan.needs[next].contains(&step));
            for next in freed {
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(Reverse((windows[next].latest, next)));
                }
            }
        }
    }
}

/// Packs items into as few batches as a greedy rule finds.
///
/// Items are taken from large to small and each goes into the first batch with
/// room (first fit decreasing), which needs at most about 22 percent more
/// batches than the optimum, plus one. An item larger than `capacity` gets a
/// batch of its own, and a full batch takes nothing more, not even an item of
/// size zero. Batches list item indices in rising order.
#[must_use]
pub fn pack_batches(sizes: &[u64], capacity: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&item| Reverse(sizes[item]));
    let mut batches: Vec<(u64, Vec<usize>)> = Vec::new();
    for item in order {
        let size = sizes[item];
        let fitting = batches
            .iter_mut()
            .find(|(room, _)| *room > 0 && *room >= size);
        match fitting {
            Some((room, items)) => {
                *room -= size;
                items.push(item);
            }
            None => batches.push((capacity.saturating_sub(size), vec![item])),
        }
    }
    batches
        .into_iter()
        .map(|(_, mut items)| {
            items.sort_unstable();
            items
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps;

    fn plan() -> Plan {
        let steps = steps! {
            "fetch" (2);
            "parse" (4) needs "fetch";
            "lint" (1) needs "fetch";
            "build" (6) needs "parse";
            "docs" (3) needs "parse";
            "ship" (1) needs "build", "lint";
        };
        Plan::new(steps).unwrap()
    }

    #[test]
    fn slack_is_zero_on_the_critical_path() {
        let plan = plan();
        let (windows, total) = windows(&plan);
        assert_eq!(total, 13);
        let path = critical_path(&plan);
        assert_eq!(path, [0, 1, 3, 5]);
        assert!(path
            .iter()
            .all(|&step| windows[step].earliest == windows[step].latest));
        assert_eq!(
            windows[2],
            Window {
                earliest: 2,
                latest: 11
            }
        );
    }

    #[test]
    fn workers_prefer_urgent_steps() {
        let plan = plan();
        let slots = simulate(&plan, 1);
        let order: Vec<usize> = slots.iter().map(|slot| slot.step).collect();
        assert_eq!(order, [0, 1, 3, 4, 2, 5]);
        let wide = simulate(&plan, 3);
        let end = wide
            .iter()
            .map(|slot| slot.start + plan.steps[slot.step].duration)
            .max();
        assert_eq!(end, Some(13));
    }

    #[test]
    fn batches_respect_the_capacity() {
        let batches = pack_batches(&[4, 8, 1, 4, 2, 11], 10);
        assert_eq!(batches, vec![vec![5], vec![1, 4], vec![0, 2, 3]]);
        assert!(pack_batches(&[], 5).is_empty());
    }
}
