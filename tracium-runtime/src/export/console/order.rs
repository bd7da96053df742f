//! From spans that know their parents to the lines of a tree, top down.

use std::collections::HashMap;
use std::time::Duration;

use crate::SpanId;

/// What places a span in its tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) id: SpanId,
    /// The nearest span that is printed; any other id puts it under the root.
    pub(super) parent: SpanId,
    pub(super) start: Duration,
}

/// A span's line in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// The span's index among those that were given.
    pub(super) index: usize,
    /// Its parent's index; `None` under the root.
    pub(super) parent: Option<usize>,
    /// How many spans are above it.
    pub(super) depth: usize,
    /// For the outermost spans above it, a bit each, lowest first: whether siblings follow below, which need a guide.
    pub(super) rails: u16,
    /// No sibling follows.
    pub(super) last: bool,
    pub(super) has_children: bool,
}

const NONE: usize = usize::MAX;

/// The lines of the tree: every span once, children under their parent, in the order they started.
///
/// It takes no stack and time of `n log n` however deep the tree is. Spans that claim to be their own ancestors, which
/// only a broken sender makes, come at the end, under the root.
pub(super) fn order(places: &[Place]) -> Vec<Placed> {
    let index_of: HashMap<SpanId, usize> = places.iter().enumerate().map(|(at, place)| (place.id, at)).collect();
    let parents: Vec<usize> = places.iter().map(|place| index_of.get(&place.parent).copied().unwrap_or(NONE)).collect();

    // Children as linked lists, by start; built from the last, since each goes before those that are there.
    let mut by_start: Vec<usize> = (0..places.len()).collect();
    by_start.sort_by_key(|&at| places[at].start);
    let mut first_child = vec![NONE; places.len()];
    let mut next_sibling = vec![NONE; places.len()];
    let mut roots = Vec::new();
    for &at in by_start.iter().rev() {
        let parent = parents[at];
        if parent == NONE {
            roots.push(at);
        } else {
            next_sibling[at] = first_child[parent];
            first_child[parent] = at;
        }
    }
    roots.reverse();

    let mut walk = Walk { first_child, next_sibling, done: vec![false; places.len()], lines: Vec::new() };
    walk.forest(&roots);
    if walk.lines.len() < places.len() {
        for at in by_start {
            if !walk.done[at] {
                walk.go_on_after_the_last();
                walk.forest(&[at]);
            }
        }
    }
    walk.lines
}

struct Walk {
    first_child: Vec<usize>,
    next_sibling: Vec<usize>,
    done: Vec<bool>,
    lines: Vec<Placed>,
}

impl Walk {
    fn forest(&mut self, roots: &[usize]) {
        let mut todo = Vec::new();
        for (position, &index) in roots.iter().enumerate() {
            let last = position + 1 == roots.len();
            todo.push(Placed { index, parent: None, depth: 0, rails: 0, last, has_children: false });
            while let Some(mut line) = todo.pop() {
                if std::mem::replace(&mut self.done[line.index], true) {
                    continue;
                }
                // The sibling waits below this one's children.
                let sibling = self.next_sibling[line.index];
                if line.depth > 0 && sibling != NONE {
                    todo.push(Placed { index: sibling, last: self.next_sibling[sibling] == NONE, ..line });
                }
                let child = self.first_child[line.index];
                line.has_children = child != NONE && !self.done[child];
                if line.has_children {
                    let rail = if line.last { 0 } else { 1_u16.checked_shl(line.depth as u32).unwrap_or(0) };
                    todo.push(Placed {
                        index: child,
                        parent: Some(line.index),
                        depth: line.depth + 1,
                        rails: line.rails | rail,
                        last: self.next_sibling[child] == NONE,
                        has_children: false,
                    });
                }
                self.lines.push(line);
            }
        }
    }

    /// Another root follows the last one.
    fn go_on_after_the_last(&mut self) {
        for line in self.lines.iter_mut().rev() {
            if line.depth == 0 {
                line.last = false;
                break;
            }
            line.rails |= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> SpanId {
        SpanId::from_bytes(number.to_be_bytes()).unwrap()
    }

    fn place(own: u64, parent: u64, start: u64) -> Place {
        Place { id: id(own), parent: id(parent), start: Duration::from_millis(start) }
    }

    fn shape(places: &[Place]) -> Vec<(usize, usize, u16, bool)> {
        order(places).iter().map(|line| (line.index, line.depth, line.rails, line.last)).collect()
    }

    #[test]
    fn children_come_under_their_parent_by_start() {
        // As exported: children before parents.
        let places = [place(4, 2, 3), place(3, 2, 2), place(5, 9, 5), place(2, 9, 1)];
        let expected = [(3, 0, 0, false), (1, 1, 1, false), (0, 1, 1, true), (2, 0, 0, true)];
        assert_eq!(shape(&places), expected);
        assert_eq!(order(&places)[1].parent, Some(3));
        assert!(order(&places)[0].has_children && !order(&places)[3].has_children);
    }

    #[test]
    fn spans_that_are_their_own_ancestors_are_shown_once() {
        let places = [place(1, 9, 0), place(2, 3, 1), place(3, 2, 2), place(4, 4, 3), place(5, 1, 4)];
        let expected = [(0, 0, 0, false), (4, 1, 1, true), (1, 0, 0, false), (2, 1, 1, true), (3, 0, 0, true)];
        assert_eq!(shape(&places), expected);
    }

    #[test]
    fn a_hundred_thousand_levels_and_a_hundred_thousand_siblings_are_no_harm() {
        let deep: Vec<Place> = (1..=100_000).map(|at| place(at + 1, at, at)).collect();
        let lines = order(&deep);
        assert_eq!((lines.len(), lines.last().unwrap().depth), (100_000, 99_999));
        let wide: Vec<Place> = (2..=100_001).map(|at| place(at, 1, at)).collect();
        let lines = order(&wide);
        assert!(lines.iter().all(|line| line.depth == 0) && lines.len() == 100_000);
    }
}
