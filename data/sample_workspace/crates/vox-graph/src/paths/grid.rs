//! Paths over rectangular grids, used to route connector lines in diagrams.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A grid position as row and column.
pub type Cell = (usize, usize);

/// Searches a shortest four-connected path between two free cells.
///
/// `blocked[row][column]` marks walls; rows may differ in length and anything
/// outside counts as a wall. A* runs with the Manhattan distance as its
/// estimate, which never overshoots, so the path is optimal. Both ends are part
/// of the result. `None` if an end is blocked or they are not connected.
#[must_use]
pub fn astar_grid(blocked: &[Vec<bool>], start: Cell, goal: Cell) -> Option<Vec<Cell>> {
    let free = |(r, c): Cell| blocked.get(r).and_then(|row| row.get(c)) == Some(&false);
    if !free(start) || !free(goal) {
        return None;
    }
    let width = blocked.iter().map(Vec::len).max()?;
    let index = |(r, c): Cell| r * width + c;
    let estimate = |(r, c): Cell| r.abs_diff(goal.0) + c.abs_diff(goal.1);
    let mut best = vec![usize::MAX; blocked.len() * width];
    let mut from = vec![start; best.len()];
    best[index(start)] = 0;
    let mut heap = BinaryHeap::from([Reverse((estimate(start), 0, start))]);
    while let Some(Reverse((_, walked, cell))) = heap.pop() {
        if cell == goal {
            let mut path = vec![goal];
            let mut at = goal;
            while at != start {
                at = from[index(at)];
                path.push(at);
            }
            path.reverse();
            return Some(path);
        }
        if walked > best[index(cell)] {
            continue;
        }
        let (r, c) = cell;
        let around = [
            (r.wrapping_sub(1), c),
            (r + 1, c),
            (r, c.wrapping_sub(1)),
            (r, c + 1),
        ];
        for next in around.into_iter().filter(|&n| free(n)) {
            if walked + 1 < best[index(next)] {
                best[index(next)] = walked + 1;
                from[index(next)] = cell;
                heap.push(Reverse((walked + 1 + estimate(next), walked + 1, next)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: &[&str]) -> Vec<Vec<bool>> {
        rows.iter()
            .map(|r| r.chars().map(|c| c == '#').collect())
            .collect()
    }

    #[test]
    fn walks_around_walls() {
        let map = grid(&[".#.", ".#.", "..."]);
        let path = astar_grid(&map, (0, 0), (0, 2)).expect("connected");
        assert_eq!(path.len(), 7);
        assert_eq!(path[3], (2, 1));
        assert_eq!(astar_grid(&grid(&[".#."]), (0, 0), (0, 2)), None);
        assert_eq!(astar_grid(&map, (0, 1), (0, 2)), None);
        assert_eq!(astar_grid(&map, (1, 0), (1, 0)), Some(vec![(1, 0)]));
    }
}
