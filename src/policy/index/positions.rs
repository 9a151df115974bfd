//! Sets of positions in a path: how many names can have been taken at some point of a pattern.

#![forbid(unsafe_code)]

/// A set of small numbers.
pub(super) trait Positions: Clone {
    /// The empty set, with room for 0 to `last`.
    fn none(last: usize) -> Self;

    /// Puts a number in.
    fn insert(&mut self, at: usize);

    /// Takes a number out.
    fn remove(&mut self, at: usize);

    /// Returns true if a number is in.
    fn contains(&self, at: usize) -> bool;

    /// The lowest number that is in.
    fn lowest(&self) -> Option<usize>;

    /// Every number from the lowest that is in up to `last`.
    fn lowest_to(&self, last: usize) -> Self;

    /// Every number that is in, and one. The last is not in.
    fn each_one_more(&self) -> Self;

    /// Takes the lowest number out.
    fn take_lowest(&mut self) -> Option<usize> {
        let at = self.lowest()?;
        self.remove(at);
        Some(at)
    }
}

macro_rules! positions_in_a_word {
    ($word:ty) => {
        impl Positions for $word {
            fn none(_: usize) -> $word {
                0
            }

            fn insert(&mut self, at: usize) {
                *self |= <$word>::bit(at);
            }

            fn remove(&mut self, at: usize) {
                *self &= !<$word>::bit(at);
            }

            fn contains(&self, at: usize) -> bool {
                self & <$word>::bit(at) != 0
            }

            fn lowest(&self) -> Option<usize> {
                let at = usize::try_from(self.trailing_zeros()).ok()?;
                (*self != 0).then_some(at)
            }

            fn lowest_to(&self, last: usize) -> $word {
                let below_lowest = (self & self.wrapping_neg()).wrapping_sub(1);
                let up_to_last = <$word>::bit(last) | <$word>::bit(last).wrapping_sub(1);
                up_to_last & !below_lowest
            }

            fn each_one_more(&self) -> $word {
                self.wrapping_shl(1)
            }
        }
    };
}

// 0 to 63: nearly every path there is. 0 to 127: every canonical path.
positions_in_a_word!(u64);
positions_in_a_word!(u128);

/// The word that holds one number.
trait Bit {
    fn bit(at: usize) -> Self;
}

impl Bit for u64 {
    fn bit(at: usize) -> u64 {
        1_u64.wrapping_shl(u32::try_from(at).unwrap_or_default())
    }
}

impl Bit for u128 {
    fn bit(at: usize) -> u128 {
        1_u128.wrapping_shl(u32::try_from(at).unwrap_or_default())
    }
}

/// Any number: a disk may hold paths that no argument may name.
impl Positions for Vec<bool> {
    fn none(last: usize) -> Vec<bool> {
        vec![false; last.saturating_add(1)]
    }

    fn insert(&mut self, at: usize) {
        if let Some(is_in) = self.get_mut(at) {
            *is_in = true;
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some(is_in) = self.get_mut(at) {
            *is_in = false;
        }
    }

    fn contains(&self, at: usize) -> bool {
        self.get(at) == Some(&true)
    }

    fn lowest(&self) -> Option<usize> {
        self.iter().position(|is_in| *is_in)
    }

    fn lowest_to(&self, last: usize) -> Vec<bool> {
        let lowest = self.lowest().unwrap_or(usize::MAX);
        (0..=last).map(|at| at >= lowest).collect()
    }

    fn each_one_more(&self) -> Vec<bool> {
        let mut more = self.clone();
        more.rotate_right(1);
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<P: Positions>(last: usize) {
        let mut set = P::none(last);
        assert_eq!(set.lowest(), None);
        for at in [last, 3, 7] {
            set.insert(at);
        }
        assert!(set.contains(7) && set.contains(last) && !set.contains(4));
        let mut up = set.lowest_to(last);
        assert!(!up.contains(2) && (3..=last).all(|at| up.contains(at)));
        up.remove(3);
        assert_eq!(up.lowest(), Some(4));
        up.remove(last);
        let more = up.each_one_more();
        assert!(!more.contains(4) && (5..=last).all(|at| more.contains(at)));
        assert_eq!(
            [
                set.take_lowest(),
                set.take_lowest(),
                set.take_lowest(),
                set.take_lowest()
            ],
            [Some(3), Some(7), Some(last), None]
        );
    }

    #[test]
    fn all_kinds_of_sets_agree() {
        check::<u64>(63);
        check::<u128>(127);
        check::<Vec<bool>>(63);
        check::<Vec<bool>>(1000);
    }
}
