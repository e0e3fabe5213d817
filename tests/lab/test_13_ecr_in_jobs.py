"""Case 13: private ECR images for the runner, for the docker CLI in jobs, and for Docker-in-Docker: without `docker login`.

One worker for all of it. Each promise is also shown to fail without the wiring that keeps it.
"""

import json
from collections.abc import Iterator

import pytest

from aws import Ecr
from aws.ecr import REGISTRY, SECOND, SECOND_LOGIN
from gitlab import GitLab
from harness import aftermath
from harness.ecr import CLI, DENIED, DOCKER_IS_UP, HELPER, MUSL, NEWER, OTHER, PLAIN, SOCKET, TLS, TOKEN_REQUEST, UNWIRED, WEB, WITH_DIND, WORKED, Bench, Table, fail, log_of, succeed
from harness.host import GATEWAY
from harness.manager import Manager, Settings
from harness.world import World


@pytest.fixture(scope="module")
def bench(world: World, ecr: Ecr) -> Iterator[Bench]:
    """One worker with ECR in its jobs, which may be privileged."""
    gitlab = GitLab(GATEWAY)
    gitlab.runners.hold_s = 4.0
    docker = {"privileged": "true", "volumes": '["/cache", "/var/run/docker.sock:/run/worker-docker.sock"]'}
    manager = Manager(world, gitlab, "13_ecr", Settings(idle_count=1, capacity=4, idle_time="10m", more=Table(ecr).more(), docker=docker))
    try:
        manager.start()
        yield Bench(manager, gitlab)
        print(f"\neverything that was seen is in {aftermath.report(manager, '13_ecr')}")
        manager.reload(idle_count=0, idle_time="1s")
        aftermath.comes_to_rest(manager)
        aftermath.look_around(manager)
    finally:
        aftermath.clean_up(manager)


def test_13_1_job_image_and_service_image(bench: Bench, ecr: Ecr) -> None:
    """The runner pulls both, with one call of the helper for each and one token for all."""
    counted = "#!/bin/sh\necho called >>/run/helper-calls\nexec {HELPER} \"$@\"\n".replace("{HELPER}", HELPER)
    bench.on_worker(f"printf %s '{counted}' >/usr/local/sbin/docker-credential-ecr-login && chmod 755 /usr/local/sbin/docker-credential-ecr-login")
    job = bench.job("private", "wget -qO- http://web/passwd | grep -q root: && echo reached", services=[{"name": WEB, "alias": "web"}])
    succeed(job)
    assert log_of(job).count(WORKED) == 2 and "reached" in log_of(job)
    assert bench.on_worker("wc -l </run/helper-calls").strip() == "2", "one call of the helper for each pull"
    bench.on_worker("rm /usr/local/sbin/docker-credential-ecr-login")
    calls = [call for call in ecr.calls if call.instance == bench.worker.id]
    assert len(calls) == 1, f"one token for the readiness check and for all pulls: {calls}"

    bench.on_worker("mv /root/.docker/config.json /root/aside")
    fail(bench.job("without our wiring"), DENIED, "failed to pull image")
    fail(bench.job("without our wiring, service", image="alpine", services=[{"name": WEB}]), DENIED)
    bench.on_worker("mv /root/aside /root/.docker/config.json")


def pull_and_push(image: str) -> list[str]:
    """What a job says to use an image and to publish another."""
    return [DOCKER_IS_UP, f"docker pull {image}", f"docker tag {image} {REGISTRY}/team/pushed:$CI_JOB_ID", f"docker push {REGISTRY}/team/pushed:$CI_JOB_ID", "echo pushed it"]


def test_13_2_docker_in_the_job(bench: Bench) -> None:
    """Pull and push with the CLI: Docker-in-Docker with TLS and without, and the worker's own daemon by its socket."""
    ways = {"dind": (TLS, WITH_DIND), "dind without TLS": (PLAIN, WITH_DIND), "socket": (SOCKET, [])}
    jobs = [bench.job(name, *pull_and_push(MUSL), services=services, variables=variables) for name, (variables, services) in ways.items()]
    succeed(*jobs)
    assert all("pushed it" in log_of(job) for job in jobs)
    for name, (variables, services) in ways.items():
        fail(bench.job(f"{name}, without our wiring", UNWIRED, *pull_and_push(MUSL), services=services, variables=variables), DENIED)


def test_13_2_a_newer_cli(bench: Bench) -> None:
    """The CLI of Debian 13 with Debian 12's Docker: by the worker's socket, and with Docker-in-Docker."""
    newer = "docker --version | grep -q 'version 2[6-9]'"
    login = f"echo of-another-day | docker login -u AWS --password-stdin {REGISTRY} || true"
    script = [newer, *pull_and_push(MUSL), login, f"docker logout {REGISTRY}", f"docker pull {MUSL}"]
    ways = {"socket": (SOCKET, []), "dind": (TLS, WITH_DIND)}
    jobs = [bench.job(f"{name}, newer CLI", *script, image=NEWER, services=services, variables=variables) for name, (variables, services) in ways.items()]
    succeed(*jobs)
    assert all("pushed it" in log_of(job) for job in jobs)
    fail(bench.job("newer CLI, without our wiring", UNWIRED, *pull_and_push(MUSL), image=NEWER, variables=SOCKET), DENIED)


def test_13_3_build_from_a_private_image(bench: Bench) -> None:
    """With the classic builder and with BuildKit, and push what was built."""
    build = [DOCKER_IS_UP, "mkdir /tmp/context", f"printf 'FROM {MUSL}\\nRUN echo built >/built\\n' >/tmp/context/Dockerfile", f"docker build -t {REGISTRY}/team/built:$CI_JOB_ID /tmp/context"]
    push = [f"docker push {REGISTRY}/team/built:$CI_JOB_ID", f"docker run --rm {REGISTRY}/team/built:$CI_JOB_ID cat /built"]
    jobs = [bench.job(f"BuildKit {kit}", *build, *push, services=WITH_DIND, variables={**TLS, "DOCKER_BUILDKIT": kit}) for kit in ("0", "1")]
    succeed(*jobs)
    assert all(log_of(job).rstrip().splitlines()[-2] == "built" for job in jobs)
    for kit in ("0", "1"):
        unwired = bench.job("without our wiring", UNWIRED, *build, services=WITH_DIND, variables={**TLS, "DOCKER_BUILDKIT": kit})
        fail(unwired)
        assert DENIED in log_of(unwired) or "401 Unauthorized" in log_of(unwired) or "authorization failed" in log_of(unwired), log_of(unwired)


def test_13_4_other_users_and_places(bench: Bench) -> None:
    """A user with a home, one without, `DOCKER_CONFIG` of the user's own; the copy belongs to the job, and can be written."""
    pull = [DOCKER_IS_UP, f"docker pull {MUSL}", "id -u"]
    common = {"services": WITH_DIND, "variables": PLAIN}
    home = bench.job("non-root", *pull, "ls -l $HOME/.docker/config.json", user="1000", **common)
    homeless = bench.job("no home", *pull, "echo config in $DOCKER_CONFIG", user="2000:2000", **common)
    own = bench.job("DOCKER_CONFIG", *pull, "ls /tmp/own/config.json; test ! -e /root/.docker", services=WITH_DIND, variables={**PLAIN, "DOCKER_CONFIG": "/tmp/own"})
    succeed(home, homeless, own)
    assert "-rw-------" in log_of(home) and "/home/ci/.docker" in log_of(home)
    assert "config in /tmp/" in log_of(homeless), log_of(homeless)
    fail(bench.job("non-root, without our wiring", UNWIRED, *pull, user="1000", **common), DENIED)

    # The helper itself asks nothing of an image: here is no libc but musl, and the packaged helper of Debian needs glibc.
    musl = bench.job("musl", "test -e /lib/ld-musl-*.so.1 && test ! -e /lib64/ld-linux-x86-64.so.2", f"echo {REGISTRY} | docker-credential-ecr-login get | grep -c AWS", image=MUSL)
    succeed(musl)


def test_13_5_login_elsewhere(bench: Bench) -> None:
    """A `docker login` to another registry in the same job, then a pull from each; one to ECR counts until its logout."""
    user, password = SECOND_LOGIN
    login = f"echo {password} | docker login -u {user} --password-stdin {SECOND}"
    both = [DOCKER_IS_UP, login, f"docker pull {OTHER}", f"docker pull {MUSL}"]
    token = f"echo {REGISTRY} | docker-credential-ecr-login get | sed 's/.*\"Secret\":\"\\([^\"]*\\).*/\\1/'"
    to_ecr = [f"{token} | docker login -u AWS --password-stdin {REGISTRY}", f"docker logout {REGISTRY}", *both]
    jobs = [bench.job("login", *both, variables=SOCKET), bench.job("login to ECR", *to_ecr, variables=SOCKET)]
    succeed(*jobs)
    assert log_of(jobs[1]).count("Login Succeeded") == 2

    # As it is often done instead: the file itself mounted over the CLI's own. Any login then fails.
    mounts = f"-v /etc/runner-fleet/docker-config.json:/root/.docker/config.json:ro -v {HELPER}:{HELPER}:ro -v /var/run/docker.sock:/run/worker-docker.sock -e DOCKER_HOST={SOCKET['DOCKER_HOST']}"
    said = bench.on_worker(f"docker run --rm {mounts} {CLI} sh -c '{login}' 2>&1 || true")
    assert "device or resource busy" in said, said
    # The plain helper, as an image's own configuration may name it: a login is refused, or with the switch does nothing.
    plain = "sed -i s/runner-fleet-ecr/ecr-login/ $HOME/.docker/config.json"
    succeed(bench.job("login to ECR with the plain helper", plain, *to_ecr, variables=SOCKET))
    fail(bench.job("login to ECR without our wiring", plain, "unset AWS_ECR_IGNORE_CREDS_STORAGE", *to_ecr, variables=SOCKET), "not implemented")

    # What the job logged in with goes out, not what the worker's role would get.
    wrong = f"echo of-another-day | docker login -u AWS --password-stdin {REGISTRY} || true"
    kept = f"printf '%s' '{{\"ServerURL\":\"{REGISTRY}\",\"Username\":\"AWS\",\"Secret\":\"of-another-day\"}}' | docker-credential-runner-fleet-ecr store"
    fail(bench.job("another login to ECR", DOCKER_IS_UP, wrong, kept, f"docker pull {MUSL}", variables=SOCKET))
    succeed(bench.job("and its logout", DOCKER_IS_UP, kept, f"docker logout {REGISTRY}", f"docker pull {MUSL}", variables=SOCKET))


def test_13_6_two_days_later(bench: Bench, ecr: Ecr) -> None:
    """The registry takes the old token no more, and what the helper keeps is old: the same job works again, with no step."""
    script = [DOCKER_IS_UP, f"docker pull {MUSL}"]
    # Beside it, what people do by hand: a login that was stored on the first day.
    bench.on_worker(f"mkdir -p /root/by-hand && echo {ecr.password} | docker --config /root/by-hand login -u AWS --password-stdin {REGISTRY} && docker --config /root/by-hand pull {MUSL}")
    first = bench.job("first day", *script, variables=SOCKET)
    succeed(first)
    ecr.expire()
    bench.on_worker(r"""sed -i -E 's/"(RequestedAt|ExpiresAt)": ?"20[0-9]{2}/"\1":"2020/g' /root/.ecr/cache.json && grep -q '"ExpiresAt":"2020' /root/.ecr/cache.json""")
    before = len(ecr.calls)
    again = bench.gitlab.state.retry(first)
    succeed(again)
    assert WORKED in log_of(again)
    assert len(ecr.calls) == before + 2, "one new token for the runner, and one for the CLI in its container"
    said = bench.on_worker(f"docker --config /root/by-hand pull {MUSL} 2>&1 || true")
    assert "unauthorized" in said or DENIED in said or "denied" in said, said


def test_13_7_every_form_of_host(bench: Bench, ecr: Ecr) -> None:
    """The helper knows every form of host that the configuration takes, and asks the right region for it."""
    hosts = {
        REGISTRY: "eu-central-1", "123456789012.dkr-ecr.eu-central-1.on.aws": "eu-central-1", "123456789012.dkr.ecr-fips.eu-central-1.amazonaws.com": "eu-central-1",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn": "cn-north-1", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu": "eusc-de-east-1",
        "public.ecr.aws": "ecr-public.us-east-1", "ecr-public.aws.com": "ecr-public.us-east-1",
    }
    for host, region in hosts.items():
        before = len(ecr.calls)
        said = bench.on_worker(f"echo {host} | AWS_ECR_DISABLE_CACHE=1 {HELPER} get")
        assert json.loads(said) == {"ServerURL": host, "Username": "AWS", "Secret": ecr.password}
        (call,) = ecr.calls[before:]
        assert region in call.host, f"{host}: asked {call.host}"

    # It asks the plain address for the dual-stack and FIPS hosts, too; the SDK's own switch changes that.
    bench.on_worker(f"echo {REGISTRY} | AWS_ECR_DISABLE_CACHE=1 AWS_USE_DUALSTACK_ENDPOINT=true {HELPER} get >/dev/null")
    assert ecr.calls[-1].host == "ecr.eu-central-1.api.aws"


def test_13_8_cache_stays_on_the_worker(bench: Bench) -> None:
    """The worker's token is not in any container, and a container's is gone with it."""
    job = bench.job("look", "test ! -e $HOME/.ecr", f"echo {REGISTRY} | docker-credential-ecr-login get >/dev/null", "ls $HOME/.ecr/cache.json")
    succeed(job)
    assert bench.on_worker("stat -c %a /root/.ecr/cache.json").strip() == "600"
    # At hop limit 2 the role is within reach of a job: the other side of test_15_hop_limit_one.
    reach = bench.job("metadata", f"said=$({TOKEN_REQUEST})", 'echo "metadata says: [$said]"')
    succeed(reach)
    assert "200 OK" in log_of(reach), log_of(reach)
