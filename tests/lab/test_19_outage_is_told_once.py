"""Case 19: GitLab answers 502 for a minute, and the manager's log has two lines of it: one at its beginning, one at its end."""

from conftest import Fleet
from gitlab import GitLab
from harness.wait import hold, wait_for

QUEUE = r"^/(projects/[^/]+/jobs|graphql)$"


def test_19_outage_is_told_once(gitlab: GitLab, fleet: Fleet) -> None:
    """What comes before, and how often GitLab is asked meanwhile, is not the point: nobody is told the same thing twice."""
    manager = fleet(idle_count=0)

    def looks(since: int = 0) -> list[int]:
        return [entry.status for entry in list(gitlab.journal)[since:] if entry.who == "user" and entry.path.endswith("/jobs")]

    wait_for("the queue was looked at", lambda: 200 in looks(), 60)
    told_before, seen_before = len(manager.log.read_text()), len(gitlab.journal)
    gitlab.faults.add("502", QUEUE)
    hold("GitLab answers nothing but 502", lambda: 200 not in looks(seen_before), 60)
    assert looks(seen_before).count(502) >= 3, "the outage was hardly noticed"
    gitlab.faults.clear()
    wait_for("the queue is looked at again", lambda: 200 in looks(seen_before), 120)
    wait_for("the log has the end of it", lambda: "works again" in manager.log.read_text()[told_before:], 10)

    lines = manager.log.read_text()[told_before:].splitlines()
    outage = [line for line in lines if "queue" in line or "GitLab" in line]
    assert len(outage) == 2, "\n".join(lines)
    assert " WARN " in outage[0] and "server-error" in outage[0] and "works again" in outage[1], "\n".join(outage)
