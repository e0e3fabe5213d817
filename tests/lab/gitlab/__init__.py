"""GitLab's stand-in over HTTP: the public API's and the runner protocol's shapes, rules and failures, as far as a fleet sees them."""

from gitlab.faults import Fault, Faults
from gitlab.server import GitLab
from gitlab.state import Group, Job, Manager, Project, Runner, State

__all__ = ["Fault", "Faults", "GitLab", "Group", "Job", "Manager", "Project", "Runner", "State"]
