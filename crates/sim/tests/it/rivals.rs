//! Two managers of one name: both see it, and the younger launches nothing.

use runner_fleet_engine::snapshot::DecisionKind;
use runner_fleet_engine::{Command, HeldBack, Instance, LaunchToken, WorkerId};

use super::bench::{TestBench, launches, runner, serving};

/// A listing that shows an instance, launched now, which a manager has launched that was started so long before or after ours.
fn another_launches(bench: &mut TestBench, id: &str, started_after_us: i64) -> Vec<Command> {
    let token = LaunchToken::new(format!("{:032x}-{}", 7, bench.started_at.as_second() + started_after_us));
    let instance = Instance { launch: Some(token), ..bench.instance(id) };
    bench.instances.push(instance);
    bench.list()
}

fn told(bench: &TestBench) -> usize {
    let decisions = bench.engine.snapshot().decisions;
    decisions.iter().filter(|decision| decision.kind == DecisionKind::AnotherManager).count()
}

fn held_back(bench: &TestBench) -> Option<HeldBack> {
    bench.engine.snapshot().runners[0].held_back.clone().map(|why| why.reason)
}

/// Five minutes after its start, with nothing there.
fn bench() -> TestBench {
    let mut bench = TestBench::with(vec![runner()]);
    bench.pass(300);
    bench.list();
    bench
}

#[test]
fn the_younger_launches_nothing_while_the_elder_is_there() {
    let mut bench = bench();
    another_launches(&mut bench, "i-elder", -3600);
    bench.report(&WorkerId::new("i-elder"), serving(1));
    assert_eq!(launches(&bench.queue(&[1])).len(), 0);
    assert!(matches!(held_back(&bench), Some(HeldBack::AnotherManager { .. })), "{:?}", held_back(&bench));
    assert_eq!(told(&bench), 1);
    let mut minutes = 0;
    while launches(&bench.queue(&[1])).is_empty() {
        bench.pass(60);
        bench.list();
        bench.report(&WorkerId::new("i-elder"), serving(1));
        minutes += 1;
    }
    assert_eq!((minutes, told(&bench)), (15, 1));
}

#[test]
fn the_elder_goes_on_and_tells_it_once() {
    let mut bench = bench();
    another_launches(&mut bench, "i-younger-1", 200);
    another_launches(&mut bench, "i-younger-2", 200);
    bench.report(&WorkerId::new("i-younger-1"), serving(1));
    bench.report(&WorkerId::new("i-younger-2"), serving(1));
    assert_eq!(launches(&bench.queue(&[1])).len(), 1);
    assert_eq!(told(&bench), 1);
}

#[test]
fn what_an_earlier_life_had_under_way_is_no_other_manager() {
    let mut bench = TestBench::with(vec![runner()]);
    bench.pass(60);
    another_launches(&mut bench, "i-early", -3600);
    bench.pass(240);
    let token = LaunchToken::new(format!("{:032x}-{}", 7, bench.started_at.as_second() - 3600));
    let old = Instance { launch: Some(token), launched_at: bench.started_at, ..bench.instance("i-late") };
    bench.instances.push(old);
    bench.list();
    let unmarked = Instance { launch: Some(LaunchToken::new("0123456789abcdef")), ..bench.instance("i-unmarked") };
    bench.instances.push(unmarked);
    bench.list();
    assert_eq!(told(&bench), 0);
}

#[test]
fn our_own_launches_are_no_other_manager() {
    let mut bench = bench();
    let launch = launches(&bench.queue(&[1])).remove(0);
    // EC2 shows it before it answers.
    another_launches(&mut bench, "i-own", 0);
    bench.grant(&launch);
    bench.list();
    assert_eq!(told(&bench), 0);
}
