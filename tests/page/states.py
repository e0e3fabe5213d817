"""Answers of a service in different conditions, as docs/contract.md has them."""

import math
from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
KNOWN = {"state": "known"}
LONG = "build & <b>test</b> \"everything\" " + "x" * 220


def time(ago=0):
    return (NOW - timedelta(seconds=ago)).isoformat().replace("+00:00", "Z")


def runner(name, **changes):
    return {
        "name": name, "queue": KNOWN, "projects_blind": 0, "facts": KNOWN, "token_end": None, "launch_plan": KNOWN,
        "running": 0, "waiting": 0, "idle_wanted": 1, "idle_ready": 1, "workers": 1, "slots": 2, "max_workers": 20,
        "held_back": None, "paused": False, "forecast": None, "over_price_cap": [],
        "promise": {"target_wait_seconds": 30.0, "jobs": 1200, "kept": 1181, "since": time(6 * 86400)},
    } | changes


def worker(number, state="busy", runner="spot", **changes):
    jobs = [7000 + number] if state in ("busy", "draining") else []
    return {
        "id": f"i-{number:017x}", "runner": runner, "state": state, "reason": None, "phase": None, "jobs": len(jobs),
        "job_ids": jobs, "age_seconds": 300.0 + 7 * number, "idle_seconds": 40.0 if state == "idle" else None,
        "instance_type": ("c7g.large", "m7g.xlarge", "c8g.large")[number % 3], "zone": "eu-central-1" + "abc"[number % 3],
        "market": "on-demand" if number % 9 == 8 else "spot", "usd_per_hour": 0.0312, "usd_estimated": 0.0026,
        "hold": False, "ecr_error": None,
    } | changes


def booting(number, step="docker: pulling images"):
    reason = {"kind": "booting", "since": time(25), "step": step, "failure": None, "text": f"boots for 25 s: {step}"}
    return worker(number, "booting", reason=reason, phase={"state": "booting", "step": "docker"}, age_seconds=25.0)


def job(number, runner="spot", kind="next-step", text="a worker is asked for in the next step", **changes):
    return {
        "id": 7500 + number, "project": 40 + number % 3, "project_path": f"acme/p{number % 3}",
        "url": f"https://gitlab.example.com/acme/p{number % 3}/-/jobs/{7500 + number}",
        "name": ("rspec", "lint", "build")[number % 3], "waited_seconds": 12.0 + number, "runner": runner, "reason": {"kind": kind, "text": text},
    } | changes


def trouble(severity, runner, ago, kind, text, advice, waiting=None):
    return {"severity": severity, "runner": runner, "since": time(ago), "jobs_waiting": waiting,
            "reason": {"kind": kind, "text": text}, "advice": advice}


def spent(usd, below=0.58, **changes):
    return {"usd": usd, "usd_at_most": usd, "on_demand_usd": usd / 0.42, "below_on_demand": below, "hours": 99.0,
            "unpriced_hours": 0.0} | changes


def state(runners, workers, jobs=(), troubles=(), **changes):
    severities = [one["severity"] for one in troubles]
    worst = "critical" if "critical" in severities else "warning" if severities else "ok"
    jobs = list(jobs)
    return {
        "version": 1, "at": time(), "ec2": KNOWN, "runners": runners, "workers": workers, "jobs": jobs[:1000],
        "waiting": {"complete": True, "total": len(jobs), "unmatched": sum(one["runner"] is None for one in jobs),
                    "longest_seconds": max((one["waited_seconds"] for one in jobs), default=0.0)},
        "decisions": [], "verdict": {"severity": worst, "troubles": list(troubles)},
        "totals": dict.fromkeys(("launches", "workers_launched", "launches_short", "workers_terminated", "boots_failed",
                                 "fences_failed", "requests_stuck", "stops_failed", "unfit", "interruptions",
                                 "jobs_retried", "laws_broken"), 3),
        "costs": {"usd_per_hour": 0.0312 * len(workers), "unpriced_workers": 0, "usd_per_hour_at_most": 0.08 * len(workers)},
        "prices": {"eu-central-1": KNOWN},
        "ledger": {"since": time(9 * 86400), "today_total": spent(4.1), "month_total": spent(31.2, 0.55), "today": [],
                   "month": [], "projects": [], "totals": []},
    } | changes


def all_well():
    workers = [worker(number) for number in range(12)] + [worker(12, "idle"), worker(13, "idle")]
    return state([runner("spot", running=12, idle_ready=4, workers=14, slots=28, idle_wanted=2), runner("large")], workers)


def boots():
    text = "waits for i-0000000000000000c, which boots: docker: pulling images"
    jobs = [job(number, kind="booting", text=text) for number in range(6)]
    workers = [worker(0), *[booting(number) for number in range(12, 18)]]
    return state([runner("spot", running=1, waiting=6, workers=7, slots=14)], workers, jobs)


def breaker():
    why = "4 boots failed in a row, the last: no SSH to 10.0.3.7:22 (connection timed out, 12 tries); the next try is at 09:35"
    held = {"kind": "breaker", "until": time(-300), "boots": 4, "last": "no SSH", "text": why}
    jobs = [job(number, kind="held-back", text="spot launches nothing: " + why) for number in range(4)]
    jobs.append(job(9, runner=None, kind="no-match", text="no runner here has the tag gpu", waited_seconds=5400.0))
    advice = "Look at the security group, the route and ssh_port: `runner-fleet doctor --runner spot`; then `runner-fleet retry spot`."
    troubles = [
        trouble("critical", "spot", 720, "boots-fail", "spot launches nothing: 4 boots failed, no SSH to 10.0.3.7:22 (timed out)", advice, 4),
        trouble("warning", None, 5400, "jobs-unmatched", "1 job waits that no runner here may take: no runner has the tag gpu",
                "Give a runner the tag, or take it from the job: `runner-fleet status --job 7509` tells more.", 1),
    ]
    return state([runner("spot", waiting=4, held_back=held, workers=0, slots=0, idle_ready=0)], [], jobs, troubles)


def no_capacity():
    said = "We currently do not have sufficient c7g.large capacity in eu-central-1a"
    held = {"kind": "no-offering", "until": time(-60), "said": said, "text": "EC2 has no capacity: " + said}
    jobs = [job(number, kind="held-back", text="spot launches nothing: EC2 has no capacity") for number in range(9)]
    text = "EC2 has none of spot's instance types in any of its zones: " + said
    troubles = [trouble("critical", "spot", 340, "no-capacity", text, "Add instance types or zones, or set `on_demand_fallback = true`.", 9)]
    workers = [worker(number) for number in range(3)]
    return state([runner("spot", running=3, waiting=9, workers=3, held_back=held)], workers, jobs, troubles)


def gitlab_down():
    stale = {"state": "stale", "age_seconds": 95.0, "class": "server-error", "text": "GitLab answers 502 (Bad Gateway)"}
    text = "the queue of https://gitlab.example.com was last read 95 s ago: GitLab answers 502 (Bad Gateway)"
    troubles = [trouble("critical", None, 95, "queue-unreadable", text, "Look at GitLab; nothing is to be done here.")]
    workers = [worker(number, runner=LONG[:40]) for number in range(3)]
    waiting = {"complete": False, "total": 7, "unmatched": 0, "longest_seconds": 61.0}
    runners = [runner(LONG[:40], queue=stale, facts=stale, waiting=None, running=3, workers=3)]
    return state(runners, workers, [], troubles, waiting=waiting)


def thousand():
    states = ["busy"] * 7 + ["idle", "booting", "draining"]
    workers = [booting(number) if states[number % 10] == "booting" else worker(number, states[number % 10]) for number in range(1000)]
    text = "spot is at its limit of 1000 workers (max_workers)"
    jobs = [job(number, kind="held-back", text=text, name=LONG) for number in range(1000)]
    big = state([runner("spot", running=700, waiting=10_000, workers=1000, slots=1000, max_workers=1000)], workers, jobs)
    big["waiting"]["total"] = 10_000
    return big


def unknown():
    awaited = {"state": "unknown", "class": "denied", "text": "EC2 refuses the listing: UnauthorizedOperation"}
    return state([runner("spot", waiting=None, queue=awaited)], [], ec2=awaited,
                 waiting={"complete": False, "total": 0, "unmatched": 0, "longest_seconds": 0.0})


STATES = {"well": all_well, "booting": boots, "breaker": breaker, "no-capacity": no_capacity, "gitlab-down": gitlab_down,
          "thousand": thousand, "unknown": unknown}


def history(seconds, step, gap=True):
    """A working day's waves; in the middle a time of which nothing is known."""
    rows = []
    for number in range(seconds // step):
        ago = seconds - number * step
        if gap and 0.40 < number * step / seconds < 0.47:
            continue
        wave = 0.5 + 0.5 * math.sin(number * step / 3500)
        paid, at_work = 4 + 20 * wave, 3 + 17 * wave
        began = round(6 * wave)
        rows.append({
            "at": time(ago), "seconds": float(step), "slots_paid": round(paid, 2), "slots_at_work": round(at_work, 2),
            "slots_idle": round(paid - at_work, 2), "workers_booting": 1.0, "jobs_waiting": round(4 * wave * wave, 2),
            "longest_wait_seconds": round(60 * wave, 1), "jobs_begun": float(began),
            "wait_p50_seconds": round(2 + 4 * wave, 1) if began else None,
            "wait_p95_seconds": round(12 + 40 * wave * wave, 1) if began else None,
            "workers_launched": 1.0, "boots_failed": 1.0 if number % 400 == 5 else 0.0, "interruptions": 0.0,
            "workers_ended": 1.0, "usd_per_hour_spot": round(0.03 * paid, 4), "usd_per_hour_on_demand": 0.08,
            "usd_per_hour_idle": round(0.03 * (paid - at_work), 4),
        })
    return {"version": 1, "from": time(seconds), "to": time(), "step_seconds": step, "runner": None,
            "since": time(8 * 86400), "not_kept": None, "rows": rows}


def events(question):
    texts = [("launching", "info", "launching 2 (spot) for spot: 2 jobs wait, no free slot"),
             ("launched", "info", "launched i-000000000000000c1 for spot: c7g.large in eu-central-1a, spot"),
             ("ready", "info", "i-000000000000000c1 is ready after 41 s"),
             ("job_started", "info", "i-000000000000000c1 runs job 7003"),
             ("boot_failed", "warning", "the boot of i-000000000000000c2 for spot has failed: no SSH: 10.0.3.7:22 timed out"),
             ("interrupted", "warning", "EC2 takes i-000000000000000c1 back in 2 minutes, with 1 running job"),
             ("ended", "info", "i-000000000000000c1 has ended after 1 h 2 min and 9 jobs, about 0.03 USD: <i>idle</i>")]
    found = []
    for number in range(200):
        event, level, text = texts[number % len(texts)]
        if question.get("kind", event) == event:
            found.append({"id": 1000 + number, "at": time(60 * (200 - number)), "event": event, "level": level, "runner": "spot",
                          "worker": None, "type": None, "zone": None, "market": None, "job": None, "seconds": None,
                          "jobs": None, "usd": None, "reason": None, "text": text})
    return {"version": 1, "since": time(12000), "not_kept": None, "events": found[-int(question.get("limit", 100)):]}
