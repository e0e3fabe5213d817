//! Every target on its corpus, and on twenty thousand mutations of it, without a fuzzer: what CI runs.
#![cfg(test)]

use std::path::Path;

use runner_fleet_fuzz as targets;

const RUNS: usize = 20_000;

fn smoke(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut corpus: Vec<Vec<u8>> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    corpus.sort();
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|data| target(data));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut number = |below: usize| {
        // xorshift64: any spread will do, but the same at every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    for _ in 0..RUNS {
        let mut data = corpus[number(corpus.len())].clone();
        for _ in 0..=number(4) {
            let at = number(data.len() + 1);
            match number(4) {
                0 => data.insert(at, number(256) as u8),
                1 if at < data.len() => drop(data.remove(at)),
                2 if at < data.len() => data[at] = number(256) as u8,
                _ => {
                    let other = &corpus[number(corpus.len())];
                    let from = number(other.len());
                    let piece = other[from..(from + number(40)).min(other.len())].to_vec();
                    data.splice(at..at, piece);
                }
            }
        }
        target(&data);
    }
}

#[test]
fn config() {
    smoke("config", targets::config);
}

#[test]
fn agent() {
    smoke("agent", targets::agent);
}

#[test]
fn gitlab() {
    smoke("gitlab", targets::gitlab);
}

#[test]
fn periods() {
    smoke("periods", targets::periods);
}
