//! Which shards an array of jobs does.

/// An array of jobs: task `i` of it does shard `first + i`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The shard of task 0.
    pub first: u64,
    /// The shards that it does, in their order.
    pub shards: Vec<u64>,
}

/// The most tasks in one array, whatever the cluster takes: their list is one argument of a command,
/// for which Linux has 128 KiB.
const MOST_TASKS: u64 = 10_000;

/// Cuts shards, in their order, into arrays of indexes below `max_array_size`.
pub fn cut(shards: &[u64], max_array_size: u64) -> Vec<Part> {
    // Slurm's limit is one more than the largest index; sites and versions differ in how they count.
    let size = max_array_size.saturating_sub(1).clamp(1, MOST_TASKS);
    let parts = shards.chunk_by(|one, other| one / size == other / size);
    parts.map(|part| Part { first: part[0] / size * size, shards: part.to_owned() }).collect()
}

impl Part {
    /// The indexes as `sbatch --array` takes them, of which at most so many run at once; 0 for all.
    pub fn indexes(&self, at_once: u64) -> String {
        let indexes: Vec<u64> = self.shards.iter().map(|shard| shard - self.first).collect();
        let ranges = ranges(&indexes);
        if at_once == 0 { ranges } else { format!("{ranges}%{at_once}") }
    }
}

/// Numbers in their order as Slurm writes them: 3,17,42-50.
pub fn ranges(numbers: &[u64]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let word = |run: &[u64]| match run {
        [one] => one.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    };
    runs.map(word).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_a_range() {
        assert_eq!(ranges(&[3, 17, 42, 43, 44, 50]), "3,17,42-44,50");
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[7, 8]), "7-8");
    }

    #[test]
    fn an_array_begins_at_a_multiple_of_its_size() {
        let all: Vec<u64> = (0..2500).collect();
        let words = |parts: Vec<Part>| -> Vec<(u64, String)> {
            parts.iter().map(|part| (part.first, part.indexes(0))).collect()
        };
        let three = [(0, "0-999"), (1000, "0-999"), (2000, "0-499")];
        assert_eq!(words(cut(&all, 1001)), three.map(|(first, text)| (first, text.to_owned())));
        let missing = [3, 999, 1000, 2001, 2002];
        let three = [(0, "3,999"), (1000, "0"), (2000, "1-2")];
        assert_eq!(words(cut(&missing, 1001)), three.map(|(first, text)| (first, text.to_owned())));
        assert_eq!(cut(&[3, 4], 1001)[0].indexes(50), "3-4%50");
        assert_eq!(cut(&[], 1001), []);
        assert_eq!(cut(&all, 4_000_001).len(), 1);
    }

    proptest! {
        #[test]
        fn every_shard_is_in_one_array_and_every_index_is_allowed(
            shards in prop::collection::btree_set(0_u64..100_000, 0..300),
            limit in 1_u64..2000,
        ) {
            let shards: Vec<u64> = shards.into_iter().collect();
            let parts = cut(&shards, limit);
            for part in &parts {
                prop_assert!(part.shards.iter().all(|shard| shard - part.first < limit));
            }
            let joined: Vec<u64> = parts.into_iter().flat_map(|part| part.shards).collect();
            prop_assert_eq!(joined, shards);
        }
    }
}
