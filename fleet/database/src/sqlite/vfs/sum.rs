//! The sum that SQLite keeps in two places: in each frame of a log, and at the end of each page by its extension cksumvfs.
//! Two running sums over words of 32 bits, each of which adds the other.
//!
//! A step needs the one before it, so a processor would wait most of the time. But a step is linear: a page is summed up in
//! [`LANES`] parallel parts, and the parts are combined with the matrix of that many steps.

/// Parts of a page that are summed up in parallel.
const LANES: usize = 4;
/// Below this one lane is as fast.
const SHORT_BYTES: usize = 256;
/// Two words.
const PAIR_BYTES: usize = 8;

pub(crate) type Sum = [u32; 2];
type Pair = [u8; PAIR_BYTES];
type Matrix = [[u32; 2]; 2];

/// A step without its words.
const STEP: Matrix = [[1, 1], [1, 2]];
/// The steps of a lane of a page of 4 KiB, and of one without its last eight bytes.
const WHOLE_PAIRS: usize = 4096 / PAIR_BYTES / LANES;
const WHOLE: Matrix = power(WHOLE_PAIRS);
const RESERVED_PAIRS: usize = (4096 - PAIR_BYTES) / PAIR_BYTES / LANES;
const RESERVED: Matrix = power(RESERVED_PAIRS);

/// Goes on from a sum over bytes, whose number is a multiple of eight.
pub(crate) fn sum_up(sum: Sum, bytes: &[u8], is_big_endian: bool) -> Sum {
    match is_big_endian {
        true => chain(sum, pairs_of(bytes), |pair| {
            u64::from_be_bytes(pair).rotate_right(32)
        }),
        false => beside(sum, bytes),
    }
}

/// The eight bytes at the end of a page with these before them.
pub(crate) fn of_page(bytes: &[u8]) -> [u8; PAIR_BYTES] {
    let [first, second] = beside([0, 0], bytes);
    (u64::from(first) | u64::from(second) << 32).to_le_bytes()
}

fn pairs_of(bytes: &[u8]) -> &[Pair] {
    bytes.as_chunks().0
}

fn beside(sum: Sum, bytes: &[u8]) -> Sum {
    let pairs = pairs_of(bytes);
    if bytes.len() < SHORT_BYTES {
        return chain(sum, pairs, u64::from_le_bytes);
    }
    let each = pairs.len() / LANES;
    let (first, rest) = pairs.split_at(each);
    let (second, rest) = rest.split_at(each);
    let (third, rest) = rest.split_at(each);
    let (fourth, rest) = rest.split_at(each);
    // The first lane begins where the sum stands.
    let mut lanes = [sum, [0, 0], [0, 0], [0, 0]];
    for (((first, second), third), fourth) in first.iter().zip(second).zip(third).zip(fourth) {
        lanes[0] = step(lanes[0], u64::from_le_bytes(*first));
        lanes[1] = step(lanes[1], u64::from_le_bytes(*second));
        lanes[2] = step(lanes[2], u64::from_le_bytes(*third));
        lanes[3] = step(lanes[3], u64::from_le_bytes(*fourth));
    }
    let matrix = match each {
        WHOLE_PAIRS => WHOLE,
        RESERVED_PAIRS => RESERVED,
        _ => power(each),
    };
    let mut sum = lanes[0];
    for lane in &lanes[1..] {
        sum = apply(&matrix, sum);
        sum = [sum[0].wrapping_add(lane[0]), sum[1].wrapping_add(lane[1])];
    }
    chain(sum, rest, u64::from_le_bytes)
}

fn chain(sum: Sum, pairs: &[Pair], words: impl Fn(Pair) -> u64) -> Sum {
    pairs.iter().fold(sum, |sum, pair| step(sum, words(*pair)))
}

/// Adds two words: the lower half first.
#[inline(always)]
fn step([first, second]: Sum, words: u64) -> Sum {
    let first = first.wrapping_add(words as u32).wrapping_add(second);
    let second = second.wrapping_add((words >> 32) as u32).wrapping_add(first);
    [first, second]
}

const fn power(steps: usize) -> Matrix {
    let (mut result, mut square, mut left) = ([[1, 0], [0, 1]], STEP, steps);
    while left > 0 {
        if left % 2 == 1 {
            result = times(&result, &square);
        }
        square = times(&square, &square);
        left /= 2;
    }
    result
}

const fn times(one: &Matrix, other: &Matrix) -> Matrix {
    [apply_row(one[0], other), apply_row(one[1], other)]
}

const fn apply_row(row: Sum, matrix: &Matrix) -> Sum {
    [
        row[0]
            .wrapping_mul(matrix[0][0])
            .wrapping_add(row[1].wrapping_mul(matrix[1][0])),
        row[0]
            .wrapping_mul(matrix[0][1])
            .wrapping_add(row[1].wrapping_mul(matrix[1][1])),
    ]
}

/// The matrix is symmetric, so its rows are its columns.
fn apply(matrix: &Matrix, sum: Sum) -> Sum {
    apply_row(sum, matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(count: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        let next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn lanes_give_what_a_chain_gives() {
        for count in [8, 24, 248, 256, 264, 504, 1016, 4072, 4088, 4096, 8184, 65_528] {
            let bytes = bytes(count);
            for start in [[0, 0], [7, u32::MAX]] {
                let expected = chain(start, pairs_of(&bytes), u64::from_le_bytes);
                assert_eq!(sum_up(start, &bytes, false), expected, "{count}");
            }
            let turned: Vec<u8> = bytes
                .chunks(4)
                .flat_map(|word| word.iter().rev().copied())
                .collect();
            let expected = chain([0, 0], pairs_of(&bytes), u64::from_le_bytes);
            assert_eq!(sum_up([0, 0], &turned, true), expected, "{count}");
        }
    }

    /// By the rule of the extension: `s1 += word + s2; s2 += word + s1`.
    #[test]
    fn a_page_has_the_sum_of_cksumvfs() {
        let mut page = [0; 24];
        page[0] = 1;
        page[4] = 2;
        page[8] = 3;
        // 1, 3; 7, 10; 17, 27.
        assert_eq!(of_page(&page), [17, 0, 0, 0, 27, 0, 0, 0]);
        assert_eq!(of_page(&[0; 4088]), [0; 8]);
    }

    #[test]
    fn every_bit_counts() {
        let page = bytes(4088);
        let sum = of_page(&page);
        for at in 0..page.len() {
            let mut flipped = page.clone();
            flipped[at] ^= 1 << (at % 8);
            assert_ne!(of_page(&flipped), sum, "{at}");
        }
    }
}
