//! A tenant's id as Tracium's collector meters it: at most 128 bytes, and never two as one.

/// What the collector keeps of an id.
const MOST: usize = 128;
/// What is left of a longer one, before its hash.
const KEPT: usize = 95;
const HASH_DIGITS: usize = 32;

/// `id`, or where it is too long its beginning, `~` and its hash. Ids that look as if that had been done to them get the
/// same, so that no tenant can take another's place by its name.
pub(super) fn metered(id: &str) -> std::borrow::Cow<'_, str> {
    if id.len() <= MOST && !looks_shortened(id) {
        return id.into();
    }
    let kept = super::cut_bytes(id, KEPT);
    let mut short = String::with_capacity(MOST);
    short.push_str(kept);
    short.push('~');
    put_hex(&mut short, &sha256(id.as_bytes())[..HASH_DIGITS / 2]);
    short.into()
}

fn put_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        out.push_str(&format!("{byte:02x}"));
    }
}

fn looks_shortened(id: &str) -> bool {
    let tail = id.len().checked_sub(HASH_DIGITS + 1).map(|at| &id.as_bytes()[at..]);
    tail.is_some_and(|tail| tail[0] == b'~' && tail[1..].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// SHA-256, as FIPS 180-4 has it: a weaker hash would let a customer choose an id that is metered as another's.
#[allow(clippy::many_single_char_names)] // The standard's names.
fn sha256(message: &[u8]) -> [u8; 32] {
    let (mut state, constants) = constants();
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.as_chunks::<64>().0 {
        let mut schedule = [0_u32; 64];
        for (word, bytes) in schedule.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        for at in 16..64 {
            let (a, b) = (schedule[at - 15], schedule[at - 2]);
            let small = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let large = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            schedule[at] = [schedule[at - 16], small, schedule[at - 7], large].into_iter().fold(0, u32::wrapping_add);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        for (constant, word) in constants.iter().zip(schedule) {
            let of_e = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let first = [h, of_e, choice, *constant, word].into_iter().fold(0, u32::wrapping_add);
            let of_a = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            (h, g, f, e) = (g, f, e, d.wrapping_add(first));
            (d, c, b, a) = (c, b, a, first.wrapping_add(of_a).wrapping_add(majority));
        }
        for (word, more) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *word = word.wrapping_add(more);
        }
    }
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

/// The first 32 bits of the fractions of the square roots of the first 8 primes, and of the cube roots of the first 64.
fn constants() -> ([u32; 8], [u32; 64]) {
    let mut primes = (2_u128..).filter(|n| (2..*n).all(|divisor| n % divisor != 0));
    let (mut roots, mut cubes) = ([0; 8], [0; 64]);
    for at in 0..64 {
        let prime = primes.next().unwrap_or(2);
        // Whole numbers, since the fraction of a floating-point root is not exact enough to be sure of 32 bits.
        if at < 8 {
            roots[at] = (prime << 64).isqrt() as u32;
        }
        cubes[at] = integer_cube_root(prime << 96) as u32;
    }
    (roots, cubes)
}

fn integer_cube_root(of: u128) -> u128 {
    let (mut low, mut high) = (0_u128, 1 << 40);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if middle * middle * middle <= of { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256() {
        let hex = |message: &str| {
            let mut hex = String::new();
            put_hex(&mut hex, &sha256(message.as_bytes()));
            hex
        };
        assert_eq!(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(hex(long), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }

    #[test]
    fn ids_up_to_128_bytes_stay_and_longer_ones_never_meet() {
        let whole = "a".repeat(128);
        assert_eq!(metered(&whole), whole);
        let (one, other) = (format!("{}1", "a".repeat(254)), format!("{}2", "a".repeat(254)));
        for id in [&one, &other] {
            let short = metered(id);
            assert_eq!(short.len(), 128);
            assert!(short.starts_with(&format!("{}~", "a".repeat(95))), "{short}");
        }
        assert_ne!(metered(&one), metered(&other));
        let wide = metered(&"会".repeat(255)).into_owned();
        assert_eq!(wide.chars().filter(|c| *c == '会').count(), 31, "no character is split: {wide}");
    }

    #[test]
    fn a_short_id_cannot_pass_for_the_short_form_of_a_long_one() {
        let long = "a".repeat(200);
        let forged = metered(&long).into_owned();
        assert_ne!(metered(&forged), metered(&long));
    }
}
