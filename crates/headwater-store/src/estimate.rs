//! Estimates of how many entries a tree holds between two keys, from the two paths to them: no entry between is looked at.

/// One node on the way from the root to a leaf: which child, or entry, the way takes, and how many the node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: usize,
    pub(crate) of: usize,
}

/// Nodes between the two paths that are looked into.
const SAMPLES: usize = 3;

/// Entries from where `lower` leads to where `upper` leads, both from the root to a leaf of one tree. Exact if the paths
/// part in one leaf or in neighbouring ones. Else nodes off the paths are taken to be as full as those on them, and of
/// the nodes between a few are looked into: `descend` gives the path that takes these children, then the middle of each
/// node.
pub(crate) fn between(
    lower: &[Step],
    upper: &[Step],
    descend: impl Fn(&[usize]) -> Option<Vec<Step>>,
) -> u64 {
    let Some(parting) = lower.iter().zip(upper).position(|(l, u)| l.at != u.at) else { return 0 };
    let levels = lower.len().min(upper.len());
    // From the leaves up: how many entries a child of each level has, and how many lie inside below it.
    let (mut child, mut inside) = (1.0, 0.0);
    for level in (parting..levels).rev() {
        let (Some(l), Some(u)) = (lower.get(level), upper.get(level)) else { break };
        let is_leaf = level + 1 == levels;
        let taken = usize::from(!is_leaf);
        if level > parting {
            inside += (l.of.saturating_sub(l.at + taken) + u.at) as f64 * child;
            child *= (l.of + u.of) as f64 / 2.0;
            continue;
        }
        if u.at < l.at {
            return 0;
        }
        let whole = (u.at - l.at).saturating_sub(taken);
        if !is_leaf && whole > 0 {
            let above: Vec<usize> = lower.iter().take(parting).map(|step| step.at).collect();
            let sizes = (0..SAMPLES).filter_map(|sample| {
                let at = l.at + 1 + whole * (2 * sample + 1) / (2 * SAMPLES);
                let path = descend(&[&above[..], &[at]].concat())?;
                Some(path.iter().skip(parting + 1).map(|step| step.of as f64).product::<f64>())
            });
            let sizes: Vec<f64> = sizes.collect();
            if !sizes.is_empty() {
                child = sizes.iter().sum::<f64>() / sizes.len() as f64;
            }
        }
        return (whole as f64 * child + inside).round() as u64;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[(usize, usize)]) -> Vec<Step> {
        steps.iter().map(|&(at, of)| Step { at, of }).collect()
    }

    fn estimate(lower: &[Step], upper: &[Step]) -> u64 {
        between(lower, upper, |_| None)
    }

    #[test]
    fn one_leaf_and_neighbours_are_counted_exactly() {
        let (from, to) = (path(&[(2, 5), (3, 10)]), path(&[(2, 5), (7, 10)]));
        assert_eq!(estimate(&from, &to), 4);
        assert_eq!(estimate(&to, &from), 0);
        assert_eq!(estimate(&from, &from), 0);
        let next = path(&[(3, 5), (4, 8)]);
        assert_eq!(estimate(&from, &next), 7 + 4);
    }

    #[test]
    fn nodes_between_count_as_full_as_those_on_the_way() {
        let (from, to) = (path(&[(0, 9), (1, 4), (0, 10)]), path(&[(2, 9), (2, 4), (10, 20)]));
        // Right of the lower: its leaf and two more; left of the upper: two leaves and a part; one inner node between.
        let sides = 10 + 2 * 15 + 2 * 15 + 10;
        assert_eq!(estimate(&from, &to), sides + 4 * 15);
        let between = between(&from, &to, |taken| {
            assert_eq!(taken, [1]);
            Some(path(&[(1, 9), (3, 6), (3, 6)]))
        });
        assert_eq!(between, sides + 6 * 6);
    }
}
