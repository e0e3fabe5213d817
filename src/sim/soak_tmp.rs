#[test]
fn soak() {
    let rough = std::env::var("ROUGH").is_ok();
    let from: u64 = std::env::var("FROM").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let n: u64 = std::env::var("N").ok().and_then(|v| v.parse().ok()).unwrap_or(50);
    let began = std::time::Instant::now();
    let mut kinds = std::collections::BTreeMap::<String, Vec<u64>>::new();
    let mut steps = 0;
    for seed in from..from + n {
        let scenario = if rough { super::workload::small_and_rough(seed) } else { super::workload::small(seed) };
        let result = std::panic::catch_unwind(|| super::run(seed, &scenario));
        match result {
            Ok(Ok(o)) => steps += o.steps,
            Ok(Err(b)) => {
                if n == 1 {
                    println!("{:#?}\n{b}", scenario.settings);
                }
                let v = format!("{:?}", b.violations[0].1);
                kinds.entry(v.split(['(', ' ']).next().unwrap().to_owned()).or_default().push(seed);
            }
            Err(_) => kinds.entry("PANIC".into()).or_default().push(seed),
        }
    }
    println!("{n} seeds, {steps} steps, {:?}, {kinds:?}", began.elapsed());
}
